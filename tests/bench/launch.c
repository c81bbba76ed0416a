/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 *   launch ROUNDS SOCKET VOLUME.json BUNDLE
 *
 * What it costs to run a static `true` in a container: coffer-agent, crun and runc in turn, on one root file system and by one OCI
 * config.  Runs in the bench VM, in the agent's own mount and pid namespace.  Prints the tables of docs/BENCHMARKS.md.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/client.h"
#include "tests/bench/tracer.h"

#define WARM_UPS   5
#define ROUNDS_MAX 1000
#define SPLITS_MAX 16
/* The kernel goes on destroying namespaces for a while: nobody is to pay for who came before. */
#define SETTLE_MS 200

enum { COFFER, CRUN, RUNC, SUBJECTS };
static const char *const names[] = { "coffer", "crun", "runc" };

extern char **environ;

struct series {
	char name[64];
	double ms[ROUNDS_MAX];
	int count;
};

struct bench {
	int connection;
	char *create; /* params of container.create */
	const char *bundle;
	struct series whole[SUBJECTS], splits[SPLITS_MAX];
	struct tracer_count counts[SUBJECTS];
};

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static char *read_whole(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0) {
		fprintf(stderr, "bench: %s: %s\n", path, strerror(errno));
		exit(1);
	}
	char *text = calloc(1, (size_t)status.st_size + 1);
	if (!text || read(fd, text, (size_t)status.st_size) != status.st_size)
		exit(1);
	close(fd);
	/* A request is one line. */
	for (char *at = text; *at; at++) {
		if (*at == '\n' || *at == '\t')
			*at = ' ';
	}
	return text;
}

/* ---- series ---- */

static void add(struct series *series, double ms)
{
	if (series->count < ROUNDS_MAX)
		series->ms[series->count++] = ms;
}

static void add_split(struct bench *bench, const char *name, size_t length, double ms)
{
	struct series *series = bench->splits;

	while (series < bench->splits + SPLITS_MAX - 1 && series->name[0] &&
	       (strncmp(series->name, name, length) != 0 || series->name[length] != '\0'))
		series++;
	snprintf(series->name, sizeof(series->name), "%.*s", (int)length, name);
	add(series, ms);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double quantile(struct series *series, double part)
{
	qsort(series->ms, (size_t)series->count, sizeof(series->ms[0]), compare);
	return series->count ? series->ms[(size_t)((series->count - 1) * part + 0.5)] : 0;
}

/* ---- one container ---- */

/* {"name":"clone the process","us":1234,...} */
static void note_steps(struct bench *bench, const char *answer)
{
	char name[64];

	while ((answer = strstr(answer, "{\"name\":\""))) {
		answer += strlen("{\"name\":\"");
		const char *time = strstr(answer, "\"us\":");

		if (!time)
			return;
		int length = snprintf(name, sizeof(name), "&emsp;%.*s", (int)strcspn(answer, "\""), answer);
		add_split(bench, name, (size_t)length, (double)strtoul(time + 5, NULL, 10) / 1e3);
	}
}

static int run_with_agent(void *context)
{
	static const char *const rest[] = { "container.start", "container.wait", "container.remove" };
	struct bench *bench = context;
	double began = now_ms(), ended;
	const char *answer = client_call(bench->connection, "container.create", bench->create);

	ended = now_ms();
	add_split(bench, "container.create", strlen("container.create"), ended - began);
	note_steps(bench, answer);
	for (size_t i = 0; i < sizeof(rest) / sizeof(rest[0]); i++) {
		began = ended;
		answer = client_call(bench->connection, rest[i], "{\"id\":\"c\"}");
		ended = now_ms();
		add_split(bench, rest[i], strlen(rest[i]), ended - began);
		if (i == 1 && !strstr(answer, "\"exit_code\":0")) {
			fprintf(stderr, "bench: %s", answer);
			return 1;
		}
	}
	return 0;
}

static char **runtime_args(const struct bench *bench, int subject)
{
	static char program[64], bundle[256];
	static char *args[] = { program, (char *)"run", (char *)"--bundle", bundle, (char *)"c", NULL };

	snprintf(program, sizeof(program), "/usr/bin/%s", names[subject]);
	if (access(program, X_OK) < 0)
		snprintf(program, sizeof(program), "/usr/sbin/%s", names[subject]);
	snprintf(bundle, sizeof(bundle), "%s", bench->bundle);
	return args;
}

static int run_with_runtime(const struct bench *bench, int subject)
{
	char **args = runtime_args(bench, subject);
	int status;
	pid_t pid;

	if (posix_spawn(&pid, args[0], NULL, NULL, args, environ) != 0 || waitpid(pid, &status, 0) != pid)
		return 1;
	return status != 0;
}

static void run_once(struct bench *bench, int subject)
{
	const struct timespec settle = { .tv_nsec = SETTLE_MS * 1000 * 1000 };
	double began = now_ms();
	int failed = subject == COFFER ? run_with_agent(bench) : run_with_runtime(bench, subject);

	add(&bench->whole[subject], now_ms() - began);
	if (failed) {
		fprintf(stderr, "bench: %s failed\n", names[subject]);
		exit(1);
	}
	nanosleep(&settle, NULL);
}

static void count_calls(struct bench *bench)
{
	for (int subject = 0; subject < SUBJECTS; subject++) {
		struct tracer_count *count = &bench->counts[subject];
		int failed = subject == COFFER ? tracer_follow(1, run_with_agent, bench, count)
					       : tracer_run(runtime_args(bench, subject), count);

		if (failed) {
			fprintf(stderr, "bench: %s failed when it was followed\n", names[subject]);
			exit(1);
		}
	}
}

/* ---- the whole ---- */

static void prepare(struct bench *bench, const char *volume, const char *bundle)
{
	char path[512], *params = NULL;

	if (asprintf(&params, "{\"id\":\"v\",\"volume\":%s}", read_whole(volume)) < 0)
		exit(1);
	client_call(bench->connection, "volume.attach", params);
	client_call(bench->connection, "scratch.create", "{\"id\":\"s\",\"device\":{\"path\":\"/dev/vdc\"}}");
	client_call(bench->connection, "rootfs.create", "{\"id\":\"r\",\"lower\":[\"v\"],\"scratch\":\"s\"}");
	snprintf(path, sizeof(path), "%s/config.json", bundle);
	if (asprintf(&bench->create, "{\"id\":\"c\",\"rootfs\":\"r\",\"stdio\":\"null\",\"spec\":%s}", read_whole(path)) < 0)
		exit(1);
	bench->bundle = bundle;
	free(params);
}

static void print(struct bench *bench, int rounds)
{
	double reference = quantile(&bench->whole[CRUN], 0.5);

	printf("| median of %d, ms | median | min | p90 | of crun's median | system calls | processes | largest process |\n",
	       rounds);
	printf("| --- | --- | --- | --- | --- | --- | --- | --- |\n");
	for (int subject = 0; subject < SUBJECTS; subject++) {
		struct series *series = &bench->whole[subject];
		const struct tracer_count *count = &bench->counts[subject];
		double median = quantile(series, 0.5);

		printf("| %s | %.1f | %.1f | %.1f | %.2f | %lu | %lu | %lu KiB |\n", names[subject], median, series->ms[0],
		       quantile(series, 0.9), median / reference, count->calls, count->processes, count->peak_kib);
	}
	printf("\n| coffer | ms |\n| --- | --- |\n");
	for (struct series *series = bench->splits; series < bench->splits + SPLITS_MAX && series->name[0]; series++)
		printf("| %s | %.2f |\n", series->name, quantile(series, 0.5));
}

int main(int argc, char **argv)
{
	static struct bench bench;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (argc != 5 || null < 0)
		return 2;
	int rounds = atoi(argv[1]);
	if (rounds < 1 || rounds > ROUNDS_MAX)
		return 2;
	bench.connection = client_connect(argv[2]);
	prepare(&bench, argv[3], argv[4]);
	/* As for the agent's container; what goes wrong is still heard. */
	dup2(null, STDIN_FILENO);
	for (int turn = -WARM_UPS; turn < rounds; turn++) {
		if (turn == 0) {
			memset(bench.whole, 0, sizeof(bench.whole));
			memset(bench.splits, 0, sizeof(bench.splits));
		}
		/* Each comes first, second and last, and after each other, equally often. */
		for (int i = 0; i < SUBJECTS; i++)
			run_once(&bench, ((turn + WARM_UPS) / 2 + (turn % 2 ? SUBJECTS - i : i)) % SUBJECTS);
	}
	count_calls(&bench);
	print(&bench, rounds);
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * coffer-agent: PID 1 of a confidential utility VM.  boot -> serve -> shutdown.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "boot.h"
#include "rpc/server.h"
#include "shutdown.h"
#include "sys/button.h"

static void on_signal(void *context, int signal)
{
	struct agent *agent = context;

	log_info("signal %d", signal);
	/* SIGINT is ctrl-alt-del (see RB_DISABLE_CAD), SIGPWR the power failing. */
	agent->reboot = signal == SIGINT;
	shutdown_begin(agent);
}

static void before_reap(void *context)
{
	jobs_drain(((struct agent *)context)->jobs);
}

static void on_button(struct loop_watch *watch, uint32_t events)
{
	(void)events;
	if (!button_pressed(watch->fd))
		return;
	log_info("power button");
	shutdown_begin(watch->context);
}

static int serve(struct agent *agent, struct error *err)
{
	const struct loop_hooks hooks = { .signal = on_signal, .before_reap = before_reap, .context = agent };
	struct loop_watch button = { .fd = -1, .ready = on_button, .context = agent };
	struct rpc_server *server = NULL;
	struct error ignored;
	int result;

	agent->shut_down = shutdown_begin;
	agent->loop = loop_new(&hooks, err);
	if (!agent->loop)
		return -EINVAL;
	result = jobs_new(agent->loop, &agent->jobs, err);
	if (result < 0)
		return result;
	jobs_set_claims(agent->jobs, objects_claimed, &agent->objects);
	button.fd = agent->listen ? -1 : button_open();
	if (button.fd >= 0 && loop_add(agent->loop, &button, EPOLLIN, &ignored) < 0)
		log_warning("power button: %s", ignored.message);
	result = rpc_server_new(agent, &server, err);
	if (result < 0)
		return result;
	agent->boot_ms = loop_now_ms();
	log_info("coffer-agent " AGENT_VERSION " serves, %llu ms after the kernel's start", (unsigned long long)agent->boot_ms);
	loop_run(agent->loop);
	rpc_server_free(server);
	return 0;
}

static void open_log(struct agent *agent)
{
	log_open(STDERR_FILENO, agent->listen ? -1 : open("/dev/kmsg", O_WRONLY | O_CLOEXEC), &agent->log);
}

/* Without these the agent would be the one that the kernel kills first, or dumps with what it knows, or lets wait for all others.
 */
static void protect_self(void)
{
	const struct rlimit descriptors = { AGENT_DESCRIPTORS, AGENT_DESCRIPTORS };
	fd_auto score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (score < 0 || write(score, "-1000", 5) < 0)
		log_warning("oom_score_adj: %s", strerror(errno));
	prctl(PR_SET_DUMPABLE, 0);
	/* Each process has four descriptors of ours; the kernel starts init with a limit of 1024. */
	if (setpriority(PRIO_PROCESS, 0, -20) < 0 || setrlimit(RLIMIT_NOFILE, &descriptors) < 0)
		log_warning("priority and limit of descriptors: %s", strerror(errno));
}

/* A machine without its PID 1 panics, and the console shows nothing of why: so it says it, and powers off. */
static int give_up(const struct agent *agent, const struct error *err)
{
	char text[600];

	error_text(err, text, sizeof(text));
	log_error("cannot go on: %s", text);
	if (!agent->listen)
		shutdown_machine(false);
	return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	static struct agent agent;
	struct error err;

	if (argc == 3 && strcmp(argv[1], "--listen") == 0)
		agent.listen = argv[2];
	if (getpid() != 1 || geteuid() != 0) {
		fprintf(stderr,
			"coffer-agent " AGENT_VERSION
			": this is the init of a utility VM: it runs as process 1 and as root, not as "
			"process %d with uid %u.\nBoot it with `coffer vm start`; see README.md.\n",
			getpid(), geteuid());
		return EXIT_FAILURE;
	}
	umask(022);
	log_open(STDERR_FILENO, -1, NULL);
	if (boot_on_initramfs() && boot_switch_root(argv, &err) < 0)
		return give_up(&agent, &err);
	if (!agent.listen) {
		setsid();
		reboot(RB_DISABLE_CAD);
	}
	int result = boot_prepare(!agent.listen, &err);
	open_log(&agent);
	boot_read_command_line(&agent);
	protect_self();
	if (result == 0)
		result = serve(&agent, &err);
	if (result < 0)
		return give_up(&agent, &err);
	if (!agent.listen)
		shutdown_machine(agent.reboot);
	return EXIT_SUCCESS;
}

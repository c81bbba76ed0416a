/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "layer/import.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "layer/sandbox.h"
#include "layer/tar_reader.h"
#include "layer/tree.h"

#define STEP           "unpack the layer"
#define PIECE          (64u * 1024)
#define PROGRESS_EVERY (4u * 1024 * 1024)

/* libarchive's and the unpacking's buffers, a zstd window of 8 MiB, extended attributes, and the half as much again. */
#define MEMORY (24u * 1024 * 1024)

/* What a tar may have besides its files' data: headers, names, extended attributes, and the padding at its end. */
#define OVERHEAD_ENTRY (64u * 1024)
#define OVERHEAD       (64u * 1024 * 1024)

/* What the child writes at its end.  It may have been taken over: only `error`'s words and the numbers are believed. */
struct report {
	struct import_result result;
	struct error error;
};

/* ---- the child ---- */

static uint64_t most_of(const struct import_limits *limits)
{
	uint64_t most;

	if (__builtin_mul_overflow(limits->files, OVERHEAD_ENTRY, &most) || __builtin_add_overflow(most, limits->bytes, &most) ||
	    __builtin_add_overflow(most, OVERHEAD, &most))
		return UINT64_MAX;
	return most;
}

static int unpack(struct tar_reader *reader, const struct import_request *request, struct import_result *result, struct error *err)
{
	struct tar_reader_entry entry;
	struct tree *tree;
	int outcome = tree_begin(&tree, request, err);

	if (outcome < 0)
		return outcome;
	while ((outcome = tar_reader_next(reader, &entry, err)) > 0) {
		outcome = tree_add(tree, reader, &entry, err);
		if (outcome < 0)
			break;
	}
	if (outcome == 0)
		outcome = tree_finish(tree, err);
	if (outcome == 0)
		outcome = tar_reader_finish(reader, result->diff_id, &result->tar_bytes, err);
	result->size = tree->bytes;
	result->files = tree->files;
	tree_end(tree);
	return outcome;
}

static int run(const struct import_request *request, int from, int answer, struct import_result *result, struct error *err)
{
	struct import_request inside = *request;
	struct tar_reader *reader = NULL;
	struct sandbox sandbox = {
		.tree = request->tree,
		.lower = request->lower,
		.kept = { from, request->spool, answer },
		.kept_count = 3,
		.memory = MEMORY,
	};
	/* Before the sandbox, as it opens libraries. */
	int outcome = tar_reader_open(&reader, from, most_of(&request->limits), request->limits.ratio, err);

	if (outcome == 0)
		outcome = sandbox_enter(&sandbox, err);
	if (outcome == 0) {
		inside.tree = sandbox.tree;
		inside.lower = sandbox.lower;
		outcome = unpack(reader, &inside, result, err);
	}
	tar_reader_close(reader);
	return outcome;
}

_Noreturn static void be_child(const struct import_request *request, pid_t parent, int from, int answer)
{
	struct report report = { 0 };

	umask(0);
	/* A worker that is stopped at its deadline takes its child along. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != parent)
		_exit(1);
	report.error.code = ERROR_NONE;
	if (run(request, from, answer, &report.result, &report.error) < 0 && report.error.code == ERROR_NONE)
		error_set(&report.error, ERROR_INTERNAL, 0, "no reason given");
	_exit(write(answer, &report, sizeof(report)) == sizeof(report) ? 0 : 1);
}

/* ---- the parent ---- */

struct feed {
	const struct import_request *request;
	struct digest *sum;
	int to; /* the child's end of the stream; -1 when all is handed on */
	uint64_t bytes, told;
	char piece[PIECE];
};

static void tell(struct feed *feed)
{
	if (feed->request->progress && feed->bytes - feed->told >= PROGRESS_EVERY) {
		feed->told = feed->bytes;
		feed->request->progress(feed->request->progress_context, feed->bytes);
	}
}

/* One piece of the stream to the child.  1: there may be more.  0: it has ended, or the child has. */
static int hand_on(struct feed *feed, struct error *err)
{
	ssize_t got = read(feed->request->from, feed->piece, sizeof(feed->piece));

	if (got < 0)
		return errno == EINTR || errno == EAGAIN ? 1 : error_set(err, ERROR_INTERNAL, errno, "read the layer's stream");
	if (got == 0)
		return 0;
	digest_add(feed->sum, feed->piece, (size_t)got);
	feed->bytes += (uint64_t)got;
	for (ssize_t done = 0; done < got;) {
		ssize_t put = send(feed->to, feed->piece + done, (size_t)(got - done), MSG_NOSIGNAL);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0 && (errno == EPIPE || errno == ECONNRESET))
			return 0; /* its report says why */
		if (put < 0)
			return error_set(err, ERROR_INTERNAL, errno, "hand the layer's stream on");
		done += put;
	}
	tell(feed);
	return 1;
}

/* Until the child has said what became of it, or is gone. */
static int feed_child(struct feed *feed, int answer, struct report *report, bool *reported, struct error *err)
{
	*reported = false;
	for (;;) {
		struct pollfd fds[] = { { .fd = answer, .events = POLLIN },
					{ .fd = feed->to < 0 ? -1 : feed->request->from, .events = POLLIN } };

		if (poll(fds, array_count(fds), -1) < 0) {
			if (errno == EINTR)
				continue;
			return error_set(err, ERROR_INTERNAL, errno, "wait for the layer's stream");
		}
		if (fds[0].revents) {
			*reported = read(answer, report, sizeof(*report)) == sizeof(*report);
			return 0;
		}
		if (!fds[1].revents)
			continue;
		int result = hand_on(feed, err);
		if (result < 0)
			return result;
		if (result == 0)
			close_fd(&feed->to); /* the child reads its end */
	}
}

static int child_died(int status, struct error *err)
{
	int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

	if (number == SIGSYS)
		return error_set(err, ERROR_LAYER, 0, "the archive led its reader to what it may not do, and it was stopped");
	if (number == SIGKILL)
		return error_set(err, ERROR_LAYER, 0, "the archive's reader was killed: no memory, most likely");
	if (number)
		return error_set(err, ERROR_LAYER, 0, "the archive crashed its reader (signal %d)", number);
	return error_set(err, ERROR_LAYER, 0, "the archive's reader ended without a word (status %d)", WEXITSTATUS(status));
}

/* The words are for a person, whoever wrote them; a code that is not the reader's to give is not taken. */
static int child_failed(const struct report *report, struct error *err)
{
	enum error_code code = report->error.code;
	int errnum = report->error.errnum;

	if (code != ERROR_INTERNAL && code != ERROR_KERNEL)
		code = ERROR_LAYER;
	error_set(err, code, 0, "%.*s", (int)sizeof(report->error.message) - 1, report->error.message);
	err->errnum = errnum > 0 && errnum < 4096 ? errnum : 0;
	return err->errnum ? -err->errnum : -EINVAL;
}

static int compare(const char *what, const char *wanted, const uint8_t digest[DIGEST_SIZE], struct error *err)
{
	char text[DIGEST_TEXT];

	digest_format(digest, text);
	if (!wanted || strcmp(wanted, text) == 0)
		return 0;
	return error_set(err, ERROR_DIGEST, 0, "the %s is %s, and not %s", what, text, wanted);
}

static int check(const struct import_request *request, const struct import_result *result, struct error *err)
{
	int outcome = compare("stream's digest", request->digest, result->digest, err);

	return outcome < 0 ? outcome : compare("tar's digest (diff_id)", request->diff_id, result->diff_id, err);
}

static int start_child(const struct import_request *request, struct feed *feed, int *answer, pid_t *child, struct error *err)
{
	int stream[2], report[2];
	pid_t parent = getpid();

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stream) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "a layer's stream");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, report) < 0) {
		int errnum = errno;

		close(stream[0]);
		close(stream[1]);
		return error_set(err, ERROR_INTERNAL, errnum, "a layer's report");
	}
	*child = fork();
	int errnum = errno;
	if (*child == 0) {
		close(stream[0]);
		close(report[0]);
		be_child(request, parent, stream[1], report[1]);
	}
	close(stream[1]);
	close(report[1]);
	feed->to = stream[0];
	*answer = report[0];
	return *child < 0 ? error_set(err, ERROR_INTERNAL, errnum, "fork") : 0;
}

static int import(const struct import_request *request, struct import_result *result, struct error *err)
{
	struct feed feed;
	struct report report;
	fd_auto answer = -1;
	pid_t child = -1;
	bool reported = false;
	int status = 0;

	feed.request = request;
	feed.sum = NULL;
	feed.to = -1;
	feed.bytes = feed.told = 0;
	int outcome = digest_begin(&feed.sum, err);
	if (outcome == 0)
		outcome = start_child(request, &feed, &answer, &child, err);
	if (outcome == 0) {
		outcome = feed_child(&feed, answer, &report, &reported, err);
		close_fd(&feed.to);
		if (outcome < 0)
			kill(child, SIGKILL);
		while (waitpid(child, &status, 0) < 0 && errno == EINTR)
			;
	}
	close_fd(&feed.to);
	if (outcome == 0 && !reported)
		outcome = child_died(status, err);
	else if (outcome == 0 && report.error.code != ERROR_NONE)
		outcome = child_failed(&report, err);
	if (outcome < 0) {
		digest_end(feed.sum, NULL);
		return outcome;
	}
	*result = report.result;
	digest_end(feed.sum, result->digest);
	result->stream_bytes = feed.bytes;
	return check(request, result, err);
}

int import_layer(const struct import_request *request, struct import_result *result, struct error *err)
{
	const char *const digests[] = { request->digest, request->diff_id };

	*result = (struct import_result){ 0 };
	for (size_t i = 0; i < array_count(digests); i++) {
		int outcome = digests[i] ? digest_check(digests[i], err) : 0;

		if (outcome < 0)
			return outcome;
	}
	int outcome = import(request, result, err);
	return outcome < 0 ? error_step(err, STEP) : 0;
}

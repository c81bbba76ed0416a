/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "service/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "service/events.h"

static void close_stream(struct process_stream *stream)
{
	if (stream->events)
		loop_remove(stream->process->agent->loop, &stream->watch);
	stream->events = 0;
	close_fd(&stream->watch.fd);
}

/* Level-triggered, so what nobody wants to hear of is not watched: a slow reader costs nothing but its own pipe. */
static void watch_stream(struct process_stream *stream, uint32_t events)
{
	struct loop *loop = stream->process->agent->loop;
	struct error err;

	if (stream->watch.fd < 0 || stream->events == events)
		return;
	if (stream->events && events) {
		loop_change(loop, &stream->watch, events);
	} else if (stream->events) {
		loop_remove(loop, &stream->watch);
	} else if (loop_add(loop, &stream->watch, events, &err) < 0) {
		log_error("%s: %s", stream->process->container->id, err.message);
		return;
	}
	stream->events = events;
}

/* With a terminal, input and output are one descriptor: it belongs to the stream STDOUT. */
static struct process_stream *input_of(struct process *process)
{
	return &process->streams[process->terminal ? PROCESS_STDOUT : PROCESS_STDIN];
}

static void tell_sinks(struct process *process)
{
	struct process_sink *next;

	for (struct process_sink *sink = process->sinks; sink; sink = next) {
		next = sink->next;
		sink->ready(sink);
	}
}

/* stdio "log": output goes to the ring as it comes. */
static void fill_ring(struct process_stream *stream)
{
	struct process *process = stream->process;
	char buffer[4096];

	for (int turns = 0; turns < 16; turns++) {
		ssize_t got = read(stream->watch.fd, buffer, sizeof(buffer));

		if (got > 0) {
			ring_write(process->ring, buffer, (size_t)got);
			continue;
		}
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		stream->ended = true;
		close_stream(stream);
		break;
	}
	tell_sinks(process);
}

static void stream_ready(struct loop_watch *watch, uint32_t events)
{
	struct process_stream *stream = watch->context;
	struct process *process = stream->process;

	(void)events;
	if (process->ring) {
		fill_ring(stream);
		return;
	}
	/* The sink reads, or asks again when it can. */
	watch_stream(stream, 0);
	tell_sinks(process);
}

static void process_exited(struct loop_child *child, int status);
static void gate_ready(struct loop_watch *watch, uint32_t events);

static int set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 ? flags : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

static int make_pipe(struct process *process, int stream, int *theirs, struct error *err)
{
	int ends[2];
	int mine = stream == PROCESS_STDIN ? 1 : 0;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "pipe");
	process->streams[stream].watch.fd = ends[mine];
	*theirs = ends[1 - mine];
	return set_nonblocking(ends[mine]) < 0 ? error_set(err, ERROR_INTERNAL, errno, "pipe") : 0;
}

static int make_streams(struct process *process, int theirs[4], struct error *err)
{
	int result = 0;

	for (int stream = 0; stream < PROCESS_STREAMS && result == 0; stream++) {
		bool null = process->stdio == CONFIG_STDIO_NULL || (process->stdio == CONFIG_STDIO_LOG && stream == PROCESS_STDIN);

		if (process->terminal)
			break;
		if (!null) {
			result = make_pipe(process, stream, &theirs[stream], err);
			continue;
		}
		process->streams[stream].ended = true;
		theirs[stream] = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (theirs[stream] < 0)
			result = error_set(err, ERROR_INTERNAL, errno, "open /dev/null");
	}
	return result;
}

static int copy_args(struct process *process, const struct config_process *config)
{
	const char *const *args = config->args.items;

	process->args = calloc(config->args.count + 1, sizeof(*process->args));
	if (!process->args)
		return -ENOMEM;
	for (size_t i = 0; i < config->args.count; i++) {
		process->args[i] = strdup(args[i]);
		if (!process->args[i])
			return -ENOMEM;
	}
	return 0;
}

int process_new(struct agent *agent, struct object *container, const char *id, const struct config_process *config, int theirs[4],
		struct process **made, struct error *err)
{
	struct process *process = calloc(1, sizeof(*process));
	int pair[2] = { -1, -1 };
	int result = 0;

	for (int i = 0; i < 4; i++)
		theirs[i] = -1;
	if (!process)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "process");
	process->agent = agent;
	process->container = container;
	process->stdio = config->stdio;
	process->terminal = config->terminal;
	process->gate = (struct loop_watch){ .fd = -1, .ready = gate_ready, .context = process };
	process->child = (struct loop_child){ .pid = -1, .exited = process_exited, .context = process };
	snprintf(process->id, sizeof(process->id), "%s", id);
	for (int i = 0; i < PROCESS_STREAMS; i++) {
		process->streams[i].watch = (struct loop_watch){ .fd = -1, .ready = stream_ready, .context = &process->streams[i] };
		process->streams[i].process = process;
		process->streams[i].ended = config->terminal && i != PROCESS_STDOUT;
	}
	if (config->stdio == CONFIG_STDIO_LOG)
		process->ring = calloc(1, sizeof(*process->ring));
	if (copy_args(process, config) < 0 || (config->stdio == CONFIG_STDIO_LOG && !process->ring))
		result = error_set(err, ERROR_INTERNAL, ENOMEM, "process");
	if (result == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		result = error_set(err, ERROR_INTERNAL, errno, "gate");
	process->gate.fd = pair[0];
	theirs[3] = pair[1];
	if (result == 0)
		result = make_streams(process, theirs, err);
	if (result == 0) {
		*made = process;
		return 0;
	}
	for (int i = 0; i < 4; i++)
		close_fd(&theirs[i]);
	process_free(process);
	return result;
}

static void tell_waiters(struct process *process, const struct error *error)
{
	const struct process_exit end = { process->exit_code, process->signal };
	struct process_waiter *waiter = take_pointer(process->waiters);

	while (waiter) {
		struct process_waiter *next = waiter->next;

		waiter->completion.done(waiter->completion.context, error, error ? NULL : &end);
		free(waiter);
		waiter = next;
	}
}

void process_free(struct process *process)
{
	struct error err;

	if (process->child.pid > 0)
		loop_remove_child(process->agent->loop, &process->child);
	for (int i = 0; i < PROCESS_STREAMS; i++) {
		close_stream(&process->streams[i]);
		process->streams[i].ended = true;
	}
	free(take_pointer(process->ring));
	while (process->sinks) {
		struct process_sink *sink = process->sinks;

		process->sinks = sink->next;
		sink->next = NULL;
		sink->process = NULL;
		sink->ready(sink);
	}
	if (process->waiters || process->starting)
		error_set(&err, ERROR_NOT_FOUND, ESRCH, "the process is gone");
	tell_waiters(process, &err);
	if (process->starting) {
		process->starting = false;
		completion_fail(&process->start, &err);
	}
	loop_remove(process->agent->loop, &process->gate);
	close_fd(&process->gate.fd);
	for (char **arg = process->args; arg && *arg; arg++)
		free(*arg);
	free(process->args);
	free(process);
}

void process_spawned(struct process *process, pid_t pid, int fd)
{
	if (pid > 0) {
		process->pid = process->child.pid = pid;
		loop_add_child(process->agent->loop, &process->child);
	} else if (fd >= 0) {
		process->streams[PROCESS_STDOUT].watch.fd = fd;
		if (set_nonblocking(fd) < 0)
			log_error("terminal of %s: %s", process->container->id, strerror(errno));
	}
	for (int i = PROCESS_STDOUT; process->ring && i < PROCESS_STREAMS; i++)
		watch_stream(&process->streams[i], EPOLLIN);
}

static void end_start(struct process *process, const struct error *error)
{
	struct completion completion = process->start;

	if (!process->starting)
		return;
	process->starting = false;
	loop_remove(process->agent->loop, &process->gate);
	close_fd(&process->gate.fd);
	if (!error) {
		const struct event event = { .name = "started", .id = process->container->id, .exec = process->id };

		process->started_ms = events_now_ms();
		events_publish(process->agent, &event);
	}
	completion.done(completion.context, error, NULL);
}

/* The end of the socket means that execve closed it; a struct error says why it did not. */
static void gate_ready(struct loop_watch *watch, uint32_t events)
{
	struct process *process = watch->context;
	struct error error;
	ssize_t got = recv(watch->fd, &error, sizeof(error), MSG_DONTWAIT);

	(void)events;
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	end_start(process, got == (ssize_t)sizeof(error) ? &error : NULL);
}

void process_start(struct process *process, struct completion completion)
{
	struct error err;

	if (process->state != PROCESS_CREATED || process->starting) {
		error_set(&err, ERROR_STATE, EINVAL, "the process is not waiting to be started");
		completion_fail(&completion, &err);
		return;
	}
	process->start = completion;
	process->starting = true;
	process->state = PROCESS_RUNNING;
	if (loop_add(process->agent->loop, &process->gate, EPOLLIN, &err) < 0) {
		end_start(process, &err);
		return;
	}
	if (send(process->gate.fd, "g", 1, MSG_NOSIGNAL | MSG_DONTWAIT) != 1) {
		error_set(&err, ERROR_STATE, errno, "the process has ended before it was started");
		end_start(process, &err);
	}
}

static void process_exited(struct loop_child *child, int status)
{
	struct process *process = child->context;

	child->pid = -1;
	/* How execve went is in the socket, whichever event the loop saw first. */
	if (process->starting)
		gate_ready(&process->gate, 0);
	end_start(process, NULL);
	process->pid = 0;
	process->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	process->exit_code = WIFSIGNALED(status) ? 128 + process->signal : WEXITSTATUS(status);
	process->state = PROCESS_STOPPED;
	process->finished_ms = events_now_ms();
	const struct event event = {
		.name = "exited",
		.id = process->container->id,
		.exec = process->id,
		.has_exit = true,
		.exit_code = process->exit_code,
		.signal = process->signal,
	};
	events_publish(process->agent, &event);
	bool waited = process->waiters != NULL;
	tell_waiters(process, NULL);
	if (process->stopped)
		process->stopped(process, waited);
}

void process_wait(struct process *process, struct completion completion)
{
	struct process_waiter *waiter;
	struct error err;

	if (process->state == PROCESS_STOPPED) {
		const struct process_exit end = { process->exit_code, process->signal };

		completion.done(completion.context, NULL, &end);
		return;
	}
	waiter = calloc(1, sizeof(*waiter));
	if (!waiter) {
		error_set(&err, ERROR_INTERNAL, ENOMEM, "waiter");
		completion_fail(&completion, &err);
		return;
	}
	waiter->completion = completion;
	waiter->next = process->waiters;
	process->waiters = waiter;
}

int process_signal(const struct process *process, int signal, struct error *err)
{
	if (process->pid <= 0 || process->state == PROCESS_STOPPED)
		return error_set(err, ERROR_STATE, ESRCH, "the process has ended");
	/* Not reaped, since only the loop reaps: the number cannot belong to another process by now. */
	if (kill(process->pid, signal) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "send signal %d", signal);
	return 0;
}

int process_resize(const struct process *process, unsigned width, unsigned height, struct error *err)
{
	struct winsize size = { .ws_col = (unsigned short)width, .ws_row = (unsigned short)height };
	int fd = process->streams[PROCESS_STDOUT].watch.fd;

	if (!process->terminal)
		return error_set(err, ERROR_STATE, ENOTTY, "the process has no terminal");
	if (fd < 0)
		return error_set(err, ERROR_STATE, EIO, "the terminal is gone");
	return ioctl(fd, TIOCSWINSZ, &size) < 0 ? error_set(err, ERROR_CONTAINER, errno, "resize the terminal") : 0;
}

int process_attach(struct process *process, struct process_sink *sink, struct error *err)
{
	if (process->stdio == CONFIG_STDIO_NULL)
		return error_set(err, ERROR_STATE, ENODEV, "the process has no streams: its stdio is \"null\"");
	if (process->sinks && !process->ring)
		return error_set(err, ERROR_IN_USE, EBUSY, "another connection has the process's streams");
	sink->process = process;
	sink->next = process->sinks;
	process->sinks = sink;
	return 0;
}

void process_detach(struct process_sink *sink)
{
	struct process *process = sink->process;

	if (!process)
		return;
	struct process_sink **at = &process->sinks;
	while (*at && *at != sink)
		at = &(*at)->next;
	if (*at)
		*at = sink->next;
	sink->process = NULL;
	sink->next = NULL;
	for (int i = 0; i < PROCESS_STREAMS && !process->ring; i++)
		watch_stream(&process->streams[i], 0);
	if (!process->sinks && process->abandoned)
		process->abandoned(process);
}

long process_read(struct process_sink *sink, int stream, char *buffer, size_t size)
{
	struct process *process = sink->process;

	if (!process)
		return 0;
	if (process->ring) {
		/* Both outputs are one text here, shown as stdout. */
		size_t got = stream == PROCESS_STDOUT ? ring_read(process->ring, &sink->position, buffer, size) : 0;
		bool ended = process->streams[PROCESS_STDOUT].ended && process->streams[PROCESS_STDERR].ended;

		return got > 0 ? (long)got : ended ? 0 : -EAGAIN;
	}
	struct process_stream *from = &process->streams[stream];
	if (from->ended)
		return 0;
	if (from->watch.fd < 0)
		return -EAGAIN; /* the terminal has not come yet */
	ssize_t got = read(from->watch.fd, buffer, size);
	if (got > 0)
		return got;
	if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
		watch_stream(from, from->events | EPOLLIN);
		return -EAGAIN;
	}
	/* A terminal's end is EIO. */
	from->ended = true;
	close_stream(from);
	return 0;
}

long process_write(struct process_sink *sink, const char *bytes, size_t size)
{
	struct process *process = sink->process;
	struct process_stream *to = process ? input_of(process) : NULL;

	if (!process || process->stdio != CONFIG_STDIO_STREAM)
		return (long)size; /* dropped, as docs/PROTOCOL.md says */
	if (to->ended)
		return -EPIPE;
	if (to->watch.fd < 0)
		return -EAGAIN;
	ssize_t put = write(to->watch.fd, bytes, size);
	if (put >= 0)
		return put;
	if (errno == EAGAIN || errno == EINTR) {
		watch_stream(to, to->events | EPOLLOUT);
		return -EAGAIN;
	}
	return -EPIPE;
}

void process_close_stdin(struct process_sink *sink)
{
	struct process *process = sink->process;

	if (!process || process->stdio != CONFIG_STDIO_STREAM)
		return;
	if (!process->terminal) {
		struct process_stream *to = &process->streams[PROCESS_STDIN];

		to->ended = true;
		close_stream(to);
		return;
	}
	/* A terminal's end of file is its end-of-file character. */
	char end = 4;
	struct termios settings;
	int fd = process->streams[PROCESS_STDOUT].watch.fd;
	if (fd >= 0 && tcgetattr(fd, &settings) == 0)
		end = (char)settings.c_cc[VEOF];
	if (fd >= 0 && write(fd, &end, 1) < 0)
		log_debug("end of file on the terminal of %s: %s", process->container->id, strerror(errno));
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICE_PROCESS_H
#define SERVICE_PROCESS_H

#include "container/config.h"
#include "service/operation.h"

/*
 * A process of a container, as PID 1 sees it: the first one, or an exec.  Its standard streams end here; a front end takes them
 * through the `sink` calls.
 */

enum process_state { PROCESS_CREATING, PROCESS_CREATED, PROCESS_RUNNING, PROCESS_STOPPED };

enum { PROCESS_STDIN, PROCESS_STDOUT, PROCESS_STDERR, PROCESS_STREAMS };

struct process;

/* Somebody who takes a process's streams: a stream connection.  One at a time, or any number with stdio "log". */
struct process_sink {
	/* Output can be read, or has ended: process_read.  Input can be written: process_write. */
	void (*ready)(struct process_sink *sink);
	void *context;
	struct process *process; /* set while attached; NULL after the process has gone */
	uint64_t position;       /* in the ring of "log" */
	struct process_sink *next;
};

struct process_stream {
	struct loop_watch watch;
	uint32_t events; /* what is watched for now; 0: not in the loop */
	bool ended;      /* output: no more bytes; input: closed */
	struct process *process;
};

struct process_waiter {
	struct completion completion;
	struct process_waiter *next;
};

struct process {
	char id[COFFER_ID_MAX + 1]; /* "" for the container's first */
	struct agent *agent;
	struct object *container;
	enum process_state state;
	enum config_stdio stdio;
	bool terminal;
	pid_t pid;                        /* 0: none */
	int exit_code, signal;            /* once STOPPED */
	uint64_t started_ms, finished_ms; /* since 1970; 0: not yet */
	char **args;                      /* for lists; owned, NULL-terminated */
	struct loop_child child;
	struct loop_watch gate;  /* our end: opened once, then answers how execve went */
	struct completion start; /* of the start that is under way */
	bool starting;
	struct process_stream streams[PROCESS_STREAMS];
	struct ring *ring; /* stdio "log" */
	struct process_sink *sinks;
	struct process_waiter *waiters;
	/* The process has ended and its waiters, if there were any, have been told; may free it.  May be NULL. */
	void (*stopped)(struct process *process, bool waited);
	/* Once set, called when the last sink has gone: nobody can reach the process any more.  May free it. */
	void (*abandoned)(struct process *process);
	struct process *next; /* execs of one container */
};

struct process_exit {
	int exit_code, signal; /* signal 0: none */
};

/* The descriptors of a new process: ours go into `process`, the child's into `theirs` (stdin, stdout, stderr, gate), to be closed
 * by the caller. */
must_check int process_new(struct agent *agent, struct object *container, const char *id, const struct config_process *config,
			   int theirs[4], struct process **made, struct error *err);
/* Kills nothing: the process has ended or the cgroup will be killed. Sinks are told; waiters too, with ERROR_NOT_FOUND. */
void process_free(struct process *process);
/* From job->spawned: pid, then 0 with the terminal. */
void process_spawned(struct process *process, pid_t pid, int fd);
void process_start(struct process *process, struct completion completion);
/* Completion's result is struct process_exit. */
void process_wait(struct process *process, struct completion completion);
must_check int process_signal(const struct process *process, int signal, struct error *err);
must_check int process_resize(const struct process *process, unsigned width, unsigned height, struct error *err);

/* ERROR_IN_USE, ERROR_STATE (stdio "null").  The sink's `ready` is called when there is something to do. */
must_check int process_attach(struct process *process, struct process_sink *sink, struct error *err);
void process_detach(struct process_sink *sink);
/* Bytes; 0 at the end; -EAGAIN when there is nothing now (ready will be called). */
long process_read(struct process_sink *sink, int stream, char *buffer, size_t size);
/* Bytes taken; -EAGAIN when the pipe is full (ready will be called); -EPIPE when nobody reads any more. */
long process_write(struct process_sink *sink, const char *bytes, size_t size);
void process_close_stdin(struct process_sink *sink);

#endif

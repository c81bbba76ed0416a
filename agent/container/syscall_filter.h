/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONTAINER_SYSCALL_FILTER_H
#define CONTAINER_SYSCALL_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/decode.h"
#include "base/error.h"

/*
 * libcontainer's Seccomp: which system calls a container may make.  The worker compiles it with libseccomp (or takes the program
 * from the cache in /run/coffer/seccomp, named by a hash of the profile and compared with the whole of it); the container's child
 * loads it with seccomp(2), and needs no library for that.
 *
 * A rule for a system call that libseccomp does not know is left out where the default is stricter than the rule (an allow list);
 * where leaving it out would let the call through, it is an error.
 */

struct syscall_filter_argument {
	uint64_t index, value, value_two;
	int64_t op; /* libcontainer's numbers: 1 EQ, 2 NE, 3 GT, 4 GE, 5 LT, 6 LE, 7 MASKED_EQ (value: mask, value_two: datum) */
};

struct syscall_filter_rule {
	const char *name;
	int64_t action;
	uint64_t errno_value;
	bool has_errno;
	/* struct syscall_filter_argument; all must match, unless an index is named twice: then each alone will do, as with runc. */
	struct decode_list args;
};

struct syscall_filter {
	int64_t default_action; /* 1 kill thread, 2 errno, 3 trap, 4 allow, 5 trace, 6 log, 8 kill thread, 9 kill process */
	uint64_t default_errno;
	bool has_default_errno;
	struct decode_list architectures; /* const char *: libseccomp's names; the native one is implied */
	struct decode_list rules;         /* struct syscall_filter_rule */
	struct decode_list flags;         /* const char *: "SECCOMP_FILTER_FLAG_LOG" */
};

extern const struct decode_schema syscall_filter_schema;

struct sock_filter;

struct syscall_filter_program {
	struct sock_filter *filter; /* NULL: none.  From malloc */
	unsigned short length;      /* instructions */
	unsigned flags;             /* of seccomp(2) */
};

/* In a worker.  Fields in errors are relative to the object. */
must_check int syscall_filter_compile(const struct syscall_filter *seccomp, struct syscall_filter_program *program,
				      struct error *err);
/* For the calling process, for good.  Needs no_new_privs or CAP_SYS_ADMIN. */
must_check int syscall_filter_load(const struct syscall_filter_program *program, struct error *err);

#endif

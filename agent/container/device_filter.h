/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONTAINER_DEVICE_FILTER_H
#define CONTAINER_DEVICE_FILTER_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "container/resources.h"

/*
 * What device nodes the processes of a cgroup may make (m), read (r) and write (w).  Rules are looked at one by one for each of the
 * three: the last one that covers the device decides, and without one the answer is no.  A config without rules gets null, zero,
 * full, random, urandom, tty, console, ptmx and the pseudo-terminals, and nothing else: without a filter CAP_MKNOD would reach the
 * disks below the encryption (CVE-2020-2023).
 */

enum { DEVICE_FILTER_MKNOD = 1, DEVICE_FILTER_READ = 2, DEVICE_FILTER_WRITE = 4, DEVICE_FILTER_ALL = 7 }; /* as BPF_DEVCG_ACC_* */

struct device_filter_rule {
	char type;            /* 'a' both, 'b', 'c' */
	int32_t major, minor; /* -1: any */
	unsigned access;
	bool allow;
};

struct device_filter {
	struct device_filter_rule *rules;
	size_t count;
};

/* The rules that the config means, in order.  To be freed. */
must_check int device_filter_make(const struct resources *resources, struct device_filter *filter, struct error *err);
void device_filter_free(struct device_filter *filter);

/*
 * cgroup v2: a BPF_PROG_TYPE_CGROUP_DEVICE program.  *program is the caller's to free.  It has a few instructions a rule, no loop,
 * and keeps in r3 what of the access is still undecided while it goes through the rules from the last to the first.
 */
must_check int device_filter_program(const struct device_filter *filter, struct bpf_insn **program, size_t *count,
				     struct error *err);
/* Gives it to the kernel; nothing is restricted yet.  A descriptor of the caller's. */
must_check int device_filter_load(const struct device_filter *filter, struct error *err);
/* Puts it on the cgroup, in the place of the one that this function put there before: at no moment is there none. */
must_check int device_filter_attach(int cgroup, int program, struct error *err);

/*
 * cgroup v1 knows a default and exceptions to it, and no order: the same rules in that form, `exceptions` being rules of the other
 * answer.  ERROR_UNSUPPORTED_FIELD, with field "devices", when a rule takes a single device out of a wider exception, which v1
 * cannot say.
 */
must_check int device_filter_exceptions(const struct device_filter *filter, bool *allow, struct device_filter *exceptions,
					struct error *err);
/* "c 1:3 rwm", "b *:* m" */
void device_filter_text(const struct device_filter_rule *rule, char *text, size_t size);

#endif

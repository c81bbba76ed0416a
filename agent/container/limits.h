/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONTAINER_LIMITS_H
#define CONTAINER_LIMITS_H

#include "container/resources.h"
#include "sys/cgroups.h"

/*
 * What limits mean as writes to files of a cgroup, on either version: a list, made without touching anything.  The conversions are
 * those that runc documents; a key that the version has no file for is ERROR_UNSUPPORTED_FIELD unless its value says nothing.
 */

/* How a file shows what a write of ours would change, so that it can be written back. */
enum limits_form {
	LIMITS_WHOLE,    /* one value */
	LIMITS_KEYED,    /* a line for each first word; `absent` is what a line that is not there means */
	LIMITS_LAST_WORD /* "name value" in the first line: the value is written */
};

struct limits_write {
	const char *key;        /* within the object: "memory", "hugetlb_limit[0]" */
	const char *controller; /* of the file: its hierarchy on v1 */
	const char *file, *value;
	const char *other_file, *other_value; /* instead, when the kernel has no `file`; NULL: none */
	enum limits_form form;
	const char *absent;
	bool defer;  /* EINVAL may come from a limit that a later write changes: then try again behind that */
	bool verify; /* a number that some kernels take and do not keep: read it back */
};

struct limits {
	struct limits_write *items;
	size_t count, capacity;
	struct decode_memory memory; /* strings of the writes; others point into the resources */
};

/* Fields of errors are relative to the object.  `limits` is to be freed whatever is returned. */
must_check int limits_plan(const struct resources *resources, enum cgroups_version version, struct limits *limits,
			   struct error *err);
void limits_free(struct limits *limits);

/*
 * v1 keeps memory <= memory and swap at every moment.  The plan writes the sum first, which is right when it is not below the limit
 * in force (`now`, bytes); else this turns the two around.
 */
void limits_order(struct limits *limits, const struct resources *resources, uint64_t now);

/* cpu.weight (1..10000) for cpu.shares (2..262144), by runc's logarithmic formula: 1024 shares are 100. */
unsigned limits_weight_from_shares(uint64_t shares);
/* io.weight (1..10000) for blkio.weight (10..1000), linear. */
unsigned limits_weight_from_blkio(uint64_t weight);

#endif

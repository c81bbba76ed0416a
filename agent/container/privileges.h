/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONTAINER_PRIVILEGES_H
#define CONTAINER_PRIVILEGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include "base/error.h"

/* Bit N is capability N (capabilities(7)). */
struct privileges_capabilities {
	uint64_t bounding, effective, permitted, inheritable, ambient;
};

/*
 * libcontainer's capabilities: an array of names (2016: bounding, effective and permitted; never inheritable or ambient, which
 * CVE-2016-8867 and CVE-2022-29162 are about), or an object of five arrays (2019), or null: none.  Unknown names are errors.
 * Effective capabilities must be permitted, and permitted ones bounding.  Ambient ones that are not permitted and inheritable are left
 * out: the kernel would not raise them.
 */
must_check int privileges_decode(json_object *json, struct privileges_capabilities *capabilities, struct error *err);

struct privileges {
	struct privileges_capabilities capabilities;
	uint32_t uid, gid;
	const uint64_t *groups;
	size_t group_count;
	bool no_new_privileges;
	uint64_t held; /* capabilities that stay until privileges_release: what loading a seccomp filter needs */
};

/*
 * Gives up everything but what `privileges` says, for the calling process; cannot be taken back.  In the container's child only.
 * ERROR_CONTAINER.
 */
must_check int privileges_drop(const struct privileges *privileges, struct error *err);
/* Gives up what was held, too. */
must_check int privileges_release(const struct privileges *privileges, struct error *err);

#endif

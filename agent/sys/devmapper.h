/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SYS_DEVMAPPER_H
#define SYS_DEVMAPPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

/*
 * Device-mapper mappings of one target, through libdevmapper.  For workers.  Names are ours, [a-zA-Z0-9_.+-], at most 127 bytes;
 * a mapping's node is /dev/mapper/NAME.  Sectors are 512 bytes.
 */
struct devmapper_target {
	uint64_t sectors;
	const char *type;
	const char *params; /* never with bytes of a request that have not been re-encoded: a blank would be a new option */
	bool read_only;
};

/* Creates and resumes; *number is the mapping's device.  `code` is the error to answer.  A mapping that exists is -EEXIST. */
must_check int devmapper_create(const char *name, const struct devmapper_target *target, enum error_code code, dev_t *number,
				struct error *err);
/*
 * Another table for a mapping that is in use: loaded beside the live one, to be looked at, and then put in its place (what is under
 * way is waited for, what comes meanwhile waits), or dropped.
 */
must_check int devmapper_load(const char *name, const struct devmapper_target *target, enum error_code code, struct error *err);
must_check int devmapper_loaded_table(const char *name, char *text, size_t size, struct error *err);
must_check int devmapper_swap(const char *name, enum error_code code, struct error *err);
void devmapper_drop_loaded(const char *name);
/* The status (or, with `table`, the table) line of the only target, without start, length and type. */
must_check int devmapper_status(const char *name, bool table, char *text, size_t size, struct error *err);
/* The device of a mapping that exists. */
must_check int devmapper_number(const char *name, dev_t *number, struct error *err);
/* Absent is success.  Waits a little for openers to go, as a just unmounted file system is let go of late. */
must_check int devmapper_remove(const char *name, struct error *err);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VOLUME_RULES_H
#define VOLUME_RULES_H

#include <stdbool.h>

#include "base/error.h"
#include "volume/virtual_volume.h"

/*
 * What a volume of a type may say: the one strict check of all types, before anything is opened.  docs/VOLUMES.md has the same as a
 * table, with what other implementations do.
 */
struct rules {
	unsigned may, must;          /* VIRTUAL_VOLUME_* members */
	const char *const *fs_types; /* accepted ones, NULL at the end */
	bool fs_type_needed;         /* also on a verified device, where it could be found */
	bool writable;               /* options beyond "ro" */
	bool plain;                  /* never verified: only where plain storage is allowed */
	bool verified_by_base;       /* its files lie in another volume, which is verified */
};

/* What the options of a volume say. */
struct rules_options {
	unsigned long flags; /* MS_* */
	bool discard;
};

/* All members but `source` and what is in texts.  ERROR_PARAMS with the field; ERROR_UNSUPPORTED_VOLUME for RAFS v5. */
must_check int rules_check(const struct virtual_volume *volume, const struct rules *rules, struct error *err);

/* ERROR_NOT_ALLOWED when nothing verifies the volume and `plain_allowed` is false. */
must_check int rules_check_trust(const struct virtual_volume *volume, const struct rules *rules, bool plain_allowed,
				 struct error *err);

/* The options as flags; they have been checked. */
must_check int rules_options(const struct virtual_volume *volume, const struct rules *rules, struct rules_options *options,
			     struct error *err);

#endif

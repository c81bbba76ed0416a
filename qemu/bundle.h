/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_BUNDLE_H
#define QEMU_BUNDLE_H

#include <limits.h>
#include <stdbool.h>

#include <json-c/json.h>

#include "base/buf.h"
#include "qemu/options.h"
#include "qemu/progress.h"

/*
 * An OCI bundle: a folder with a config.json and a root file system.  What the container needs of the host's files is made into
 * verified images, in a folder for temporary files that lives until the VM has opened them.
 */

#define BUNDLE_SOURCES_MAX 256

/* A bind mount of something on the host. */
struct bundle_source {
	size_t mount; /* in config.json's mounts */
	char *path;   /* absolute */
};

struct bundle {
	char root[PATH_MAX]; /* the folder of the root file system */
	struct buf text;     /* config.json in one line */
	json_object *spec;   /* the same, parsed */
	bool terminal;       /* process.terminal */
	struct bundle_source sources[BUNDLE_SOURCES_MAX];
	size_t source_count;
	char folder[PATH_MAX]; /* for temporary files; "": none */
	char image[PATH_MAX];  /* of the root file system */
	char binds[PATH_MAX];  /* of the sources, each named by its number; "": there are none */
};

/* Reads config.json and looks for what it names.  bundle_close, also after a failure. */
must_check int bundle_open(const char *folder, struct bundle *bundle, struct error *err);

/* Makes the folder for temporary files, and the images in it.  `interrupt`: of interrupt_open. */
must_check int bundle_make(struct bundle *bundle, int interrupt, struct error *err);

/*
 * The text of the spec to send: that of the file, with the sources of bind mounts where the guest has the volume `binds`, and with
 * `args` (NULL: none) in place of its own.
 */
must_check int bundle_text(struct bundle *bundle, const char *binds, char **args, struct buf *text, struct error *err);

/* process.args[0]; "" if it has none. */
const char *bundle_program(const struct bundle *bundle);

/* The temporary files are not needed any more by anybody who has not opened them.  Says so when some are left. */
void bundle_discard(struct bundle *bundle);
/* And the rest. */
void bundle_close(struct bundle *bundle);

#endif

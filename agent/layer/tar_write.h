/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LAYER_TAR_WRITE_H
#define LAYER_TAR_WRITE_H

#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/error.h"
#include "layer/digest.h"
#include "layer/xattrs.h"

/*
 * A tar archive as OCI layers are: POSIX.1-2017 (pax), ustar headers, with extended records only for what ustar cannot say (long
 * names, bytes beyond ASCII, sizes from 8 GiB, ids over 2097151, times with fractions, before 1970 or after 2242) and for extended
 * attributes (SCHILY.xattr.*, as GNU tar, libarchive, moby and containerd have them).  No user and group names, no sparse files.
 * The same entries give the same bytes.  For workers.
 */

#define TAR_WRITE_PAX_MAX (1u << 20) /* bytes of extended records of an entry: Go's reader takes no more.  Else E2BIG */

enum tar_type {
	TAR_FILE = '0',
	TAR_HARD_LINK = '1',
	TAR_SYMBOLIC_LINK = '2',
	TAR_CHARACTER_DEVICE = '3',
	TAR_BLOCK_DEVICE = '4',
	TAR_DIRECTORY = '5',
	TAR_FIFO = '6',
};

struct tar_entry {
	enum tar_type type;
	const char *name; /* as it is to stand there: a directory's with '/' at its end */
	const char *link; /* NULL for what is no link */
	mode_t mode;      /* only its permissions and the set-id and sticky bits count */
	uint32_t uid, gid;
	uint64_t size; /* of a file */
	struct timespec mtime;
	unsigned device_major, device_minor;
	const struct xattr *xattrs;
	size_t xattr_count;
};

struct tar_write; /* an archive under way */

/* `out` stays the caller's, and is written to in large pieces; a pipe without a reader is EPIPE if SIGPIPE is ignored. */
must_check int tar_write_begin(struct tar_write **tar, int out, struct error *err);
/* ERROR_LAYER for what no archive can say, ERROR_INTERNAL.  A file's content has to follow, all of it. */
must_check int tar_write_entry(struct tar_write *tar, const struct tar_entry *entry, struct error *err);
must_check int tar_write_data(struct tar_write *tar, const void *bytes, size_t size, struct error *err);
/* The content, as much of it as is still missing, from a file; ERROR_INTERNAL, ESTALE when it has less.  Holes become zeros. */
must_check int tar_write_content(struct tar_write *tar, int file, struct error *err);
/* Ends the archive; the digest and the number of all its bytes.  tar_write_free is still to be called. */
must_check int tar_write_end(struct tar_write *tar, uint8_t digest[DIGEST_SIZE], uint64_t *bytes, struct error *err);
/* NULL is nothing. */
void tar_write_free(struct tar_write *tar);

#endif

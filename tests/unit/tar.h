/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef UNIT_TAR_H
#define UNIT_TAR_H

#include <stddef.h>
#include <stdint.h>

/* Archives as a test wants them, hostile ones too: nothing here looks at what is written.  Ustar headers, and pax headers before
 * them. */

struct tar {
	unsigned char *bytes;
	size_t size;
};

struct tar_file {
	char type; /* of the header; 0: a regular file's */
	const char *name, *link;
	const char *data;
	size_t size;             /* of the data; 0: as long as the text */
	unsigned mode, uid, gid; /* mode 0: 0755 of a directory, else 0644; bits above 07777 are dropped */
	int64_t time;
	unsigned major, minor;
	const char *pax[6];     /* "key=value" */
	const char *binary_key; /* one more, with bytes as its value */
	const void *binary;
	size_t binary_size;
	const char *declared; /* instead of the size, eleven octal digits */
};

void tar_add(struct tar *tar, const struct tar_file *file);
/* "d a;f a/b=text;l link=target;h name=target;p fifo;c device;b device;x global header": entries of a kind and a name */
void tar_add_text(struct tar *tar, const char *text);
void tar_end(struct tar *tar);
void tar_append(struct tar *tar, const void *bytes, size_t size);
void tar_free(struct tar *tar);

/* A directory's content from the same text, with "w name" for a whiteout; and back, sorted: "o" is an opaque directory, "F" a file
 * of several links, "e" an empty file. */
void tree_text_make(int directory, const char *text);
char *tree_text_read(int directory);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_FILE_H
#define QEMU_FILE_H

#include <json-c/json.h>

#include "base/buf.h"
#include "base/error.h"

/* The whole of a file ("-": standard input), at most `most` bytes. */
must_check int file_read(const char *path, size_t most, struct buf *buf, struct error *err);

/*
 * A file that holds one JSON object, NUL-terminated, with its line ends made spaces, so that it fits into a line of the
 * protocol.  Checked strictly; a mistake is reported with its place.
 */
must_check int file_read_json(const char *path, struct buf *buf, struct error *err);

/* JSON permits line ends only between its words, where a space does as well. */
void file_join_lines(char *text, size_t length);

#endif

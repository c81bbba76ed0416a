/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/*
 * The log: one line a record, to every sink that is open: the console, /dev/kmsg, and a ring in memory that the host reads through
 * a stream connection.  Whatever is logged is public to the host.  The sink is the one mutable thing at file scope in the agent.
 */

enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARNING = 4, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };

struct ring;

/* Either may be -1 (not wanted); descriptors are borrowed.  `ring` may be NULL. */
void log_open(int console, int kmsg, struct ring *ring);
void log_set_level(enum log_level level);
/* -1 when the word is no level: error, warning, info, debug. */
int log_level_from_name(const char *name);
/* In a forked child: its lines would be lost in its own copy of the ring, so they go to `fd` (datagrams), or nowhere if -1. */
void log_to_parent(int fd);
/* A line that a child sent through log_to_parent: `text` is not NUL-terminated. */
void log_from_child(int level, const char *text, size_t length);

void log_error(const char *format, ...) printf_like(1, 2);
void log_warning(const char *format, ...) printf_like(1, 2);
void log_info(const char *format, ...) printf_like(1, 2);
void log_debug(const char *format, ...) printf_like(1, 2);

#endif

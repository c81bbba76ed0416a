/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/ring.h"

static struct {
	int console, kmsg, parent;
	enum log_level level;
	struct ring *ring;
} sink = { .console = -1, .kmsg = -1, .parent = -1, .level = LOG_LEVEL_INFO };

void log_open(int console, int kmsg, struct ring *ring)
{
	sink.console = console;
	sink.kmsg = kmsg;
	sink.ring = ring;
}

void log_set_level(enum log_level level)
{
	sink.level = level;
}

static const struct {
	const char *name;
	enum log_level level;
} levels[] = {
	{ "error", LOG_LEVEL_ERROR },
	{ "warning", LOG_LEVEL_WARNING },
	{ "info", LOG_LEVEL_INFO },
	{ "debug", LOG_LEVEL_DEBUG },
};

int log_level_from_name(const char *name)
{
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		if (strcmp(levels[i].name, name) == 0)
			return (int)levels[i].level;
	}
	return -1;
}

static const char *level_name(enum log_level level)
{
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		if (levels[i].level == level)
			return levels[i].name;
	}
	return "?";
}

void log_to_parent(int fd)
{
	sink = (typeof(sink)){ .console = -1, .kmsg = -1, .parent = fd, .level = sink.level };
}

/* A sink that fails must not stop the agent: there is nobody left to tell. */
static void write_all(int fd, const char *text, size_t length)
{
	if (fd >= 0 && write(fd, text, length) < 0)
		return;
}

static void emit(enum log_level level, const char *text)
{
	struct timespec now;
	char line[1200];

	if (sink.parent >= 0) {
		int size = snprintf(line, sizeof(line), "L%d%s", (int)level, text);

		if (size > 0)
			send(sink.parent, line, strnlen(line, sizeof(line)), MSG_NOSIGNAL);
		return;
	}
	if (sink.kmsg >= 0) {
		snprintf(line, sizeof(line), "<%d>coffer: %s\n", (int)level, text);
		write_all(sink.kmsg, line, strlen(line));
	}
	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(line, sizeof(line), "[%5ld.%03ld] coffer %s: %s\n", (long)now.tv_sec, now.tv_nsec / 1000000, level_name(level),
		 text);
	write_all(sink.console, line, strlen(line));
	if (sink.ring)
		ring_write(sink.ring, line, strlen(line));
}

/* One record is one line. */
static void make_printable(char *text)
{
	for (char *c = text; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	}
}

static void record(enum log_level level, const char *format, va_list args)
{
	char text[1024];

	if (level > sink.level)
		return;
	vsnprintf(text, sizeof(text), format, args);
	make_printable(text);
	emit(level, text);
}

void log_from_child(int level, const char *text, size_t length)
{
	char copy[1024];

	if (level > (int)sink.level)
		return;
	snprintf(copy, sizeof(copy), "%.*s", (int)length, text);
	make_printable(copy); /* the child may be one that the bytes of a disk have taken over */
	emit((enum log_level)level, copy);
}

#define LOG_FUNCTION(name, level)                                                                                                  \
	void name(const char *format, ...)                                                                                         \
	{                                                                                                                          \
		va_list args;                                                                                                      \
                                                                                                                                   \
		va_start(args, format);                                                                                            \
		record(level, format, args);                                                                                       \
		va_end(args);                                                                                                      \
	}

LOG_FUNCTION(log_error, LOG_LEVEL_ERROR)
LOG_FUNCTION(log_warning, LOG_LEVEL_WARNING)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG)

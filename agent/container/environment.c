/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "container/environment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t name_length(const char *entry)
{
	return strcspn(entry, "=");
}

static bool same_name(const char *a, const char *b)
{
	size_t length = name_length(a);

	return length == name_length(b) && memcmp(a, b, length) == 0;
}

const char *environment_get(const char *const *environment, const char *name)
{
	size_t length = strlen(name);

	for (; *environment; environment++) {
		if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=')
			return *environment + length + 1;
	}
	return NULL;
}

/* Field 6 of the line whose field 3 is exactly the uid: "root:x:0:0:root:/root:/bin/sh". */
static bool find_home(const char *passwd, uint64_t uid, char *home, size_t size)
{
	char wanted[32];

	snprintf(wanted, sizeof(wanted), "%llu", (unsigned long long)uid);
	for (const char *line = passwd; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		size_t line_length = strcspn(line, "\n"), field = 0, start = 0;
		bool match = false;

		for (size_t i = 0; i <= line_length; i++) {
			if (i < line_length && line[i] != ':')
				continue;
			if (field == 2)
				match = i - start == strlen(wanted) && memcmp(line + start, wanted, i - start) == 0;
			if (field == 5 && match && i - start > 0 && i - start < size) {
				memcpy(home, line + start, i - start);
				home[i - start] = '\0';
				return true;
			}
			field++;
			start = i + 1;
		}
	}
	return false;
}

static bool add_missing(const char **array, size_t *count, const char *entry, struct decode_memory *memory)
{
	for (size_t i = 0; i < *count; i++) {
		/* An empty HOME counts as missing, as in runc. */
		if (same_name(array[i], entry) && (strncmp(entry, "HOME=", 5) != 0 || strcmp(array[i], "HOME=") != 0))
			return true;
	}
	char *copy = decode_alloc(memory, strlen(entry) + 1, 1);
	if (!copy)
		return false;
	memcpy(copy, entry, strlen(entry));
	for (size_t i = 0; i < *count; i++) {
		if (same_name(array[i], entry)) {
			array[i] = copy;
			return true;
		}
	}
	array[(*count)++] = copy;
	return true;
}

const char **environment_make(const struct config_process *process, const char *passwd, struct decode_memory *memory)
{
	const char *const *wanted = process->env.items;
	char home[512] = "HOME=/";
	const char **array = decode_alloc(memory, process->env.count + 4, sizeof(*array));
	size_t count = 0;

	if (!array)
		return NULL;
	for (size_t i = 0; i < process->env.count; i++) {
		size_t at = 0;

		while (at < count && !same_name(array[at], wanted[i]))
			at++;
		array[at] = wanted[i];
		count += at == count;
	}
	if (passwd)
		find_home(passwd, process->uid, home + 5, sizeof(home) - 5);
	if (!add_missing(array, &count, "PATH=" ENVIRONMENT_PATH, memory) || !add_missing(array, &count, home, memory) ||
	    (process->terminal && !add_missing(array, &count, "TERM=xterm", memory)))
		return NULL;
	array[count] = NULL;
	return array;
}

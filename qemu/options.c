/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/options.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "qemu/fail.h"
#include "qemu/oci_layout.h"

int options_size(const char *text, uint64_t *bytes, struct error *err)
{
	static const char letters[] = "KMGT";
	char *end;

	errno = 0;
	unsigned long long number = strtoull(text, &end, 10);
	if (end == text || errno || text[0] < '0' || text[0] > '9')
		return fail_set(err, EINVAL, "'%s' is no size; write 4096, 512M, 64G or 1T", text);
	unsigned shift = 0;
	const char *letter = *end ? strchr(letters, *end) : NULL;
	if (letter) {
		shift = 10 * (unsigned)(letter - letters + 1);
		end++;
		if (strcmp(end, "i") == 0 || strcmp(end, "iB") == 0)
			end += strlen(end);
	}
	if (*end)
		return fail_set(err, EINVAL, "'%s' is no size; write 4096, 512M, 64G or 1T", text);
	if (number > (UINT64_MAX >> shift))
		return fail_set(err, EINVAL, "the size '%s' is too large", text);
	*bytes = (uint64_t)number << shift;
	return 0;
}

static int read_seconds(const char *text, uint64_t *milliseconds, struct error *err)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end || !isfinite(seconds) || seconds < 0 || seconds > 1e6)
		return fail_set(err, EINVAL, "'%s' is no time in seconds; write 10 or 0.5", text);
	*milliseconds = (uint64_t)(seconds * 1000);
	return 0;
}

static int read_number(const char *text, uint64_t *number, struct error *err)
{
	char *end;

	errno = 0;
	unsigned long long value = strtoull(text, &end, 10);
	if (end == text || *end || errno || text[0] < '0' || text[0] > '9')
		return fail_set(err, EINVAL, "'%s' is no number", text);
	*number = value;
	return 0;
}

static int add_item(struct options_list *list, const char *item, struct error *err)
{
	if (list->count == OPTIONS_LIST_MAX)
		return fail_set(err, E2BIG, "given more than %d times", OPTIONS_LIST_MAX);
	if (*item == '\0')
		return fail_set(err, EINVAL, "the value is empty");
	list->items[list->count++] = item;
	return 0;
}

/* The commas in argv's own string become its ends. */
static int add_items(struct options_list *list, char *text, struct error *err)
{
	int result = 0;

	for (char *item = text; item && result == 0;) {
		char *comma = strchr(item, ',');

		if (comma)
			*comma = '\0';
		result = add_item(list, item, err);
		item = comma ? comma + 1 : NULL;
	}
	return result;
}

static int read_value(const struct options_row *row, char *value, struct options *options, struct error *err)
{
	void *at = (char *)options + row->offset;
	int result = 0;

	switch (row->kind) {
	case OPTIONS_FLAG:
		*(bool *)at = true;
		return 0;
	case OPTIONS_STRING:
		*(const char **)at = value;
		return 0;
	case OPTIONS_LIST:
		return add_item(at, value, err);
	case OPTIONS_COMMAS:
		return add_items(at, value, err);
	case OPTIONS_NUMBER:
		result = read_number(value, at, err);
		break;
	case OPTIONS_SIZE:
		result = options_size(value, at, err);
		break;
	case OPTIONS_SECONDS:
		result = read_seconds(value, at, err);
		break;
	}
	if (result < 0)
		return result;
	if (*(uint64_t *)at < row->min || (row->max && *(uint64_t *)at > row->max))
		return fail_set(err, ERANGE, "'%s' is out of range", value);
	return 0;
}

static const struct options_row *find_row(const struct options_command *command, const char *name, size_t length)
{
	for (size_t i = 0; i < command->row_count; i++) {
		if (strlen(command->rows[i].name) == length && strncmp(command->rows[i].name, name, length) == 0)
			return &command->rows[i];
	}
	return NULL;
}

/* One option at *argv; moves *argv behind its value. */
static int read_option(const struct options_command *command, char ***argv, struct options *options, struct error *err)
{
	char *name = **argv + 2, *value = strchr(name, '=');
	size_t length = value ? (size_t)(value - name) : strlen(name);
	const struct options_row *row = find_row(command, name, length);

	(*argv)++;
	if (!row)
		return fail_set(err, EINVAL, "there is no option --%.*s; `coffer %s --help` lists them", (int)length, name,
				command->name);
	if (value)
		value++;
	if (row->kind == OPTIONS_FLAG && value)
		return fail_set(err, EINVAL, "--%s takes no value", row->name);
	if (row->kind != OPTIONS_FLAG && !value) {
		value = **argv;
		if (!value)
			return fail_set(err, EINVAL, "--%s needs a value: --%s %s", row->name, row->name, row->operand);
		(*argv)++;
	}
	if (read_value(row, value, options, err) < 0)
		return error_wrap(err, "--%s", row->name);
	return 0;
}

static int check_counts(const struct options_command *command, const struct options *options, struct error *err)
{
	/* A bundle or an image says itself what is run, and may have a VM of its own. */
	bool is_whole = options->oci || (options->images.count > 0 && oci_layout_is(options->images.items[0]));

	if (options->word_count < command->words_min && !is_whole)
		return fail_set(err, EINVAL, "something is missing; usage: coffer %s %s", command->name, command->arguments);
	if (command->rest && options->rest_count == 0 && !is_whole)
		return fail_set(err, EINVAL, "the program to run is missing; usage: coffer %s %s", command->name,
				command->arguments);
	return 0;
}

int options_read(const struct options_command *command, char **argv, struct options *options, struct error *err)
{
	int result = 0;

	memset(options, 0, sizeof(*options));
	while (*argv && result == 0) {
		char *word = *argv;

		if (strcmp(word, "--") == 0 && command->rest) {
			options->rest = argv + 1;
			while (options->rest[options->rest_count])
				options->rest_count++;
			break;
		}
		if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
			options->help = true;
			return 0;
		}
		if (word[0] == '-' && word[1] == '-') {
			result = read_option(command, &argv, options, err);
			continue;
		}
		if (word[0] == '-' && word[1] != '\0')
			return fail_set(err, EINVAL, "there is no option %s; `coffer %s --help` lists them", word, command->name);
		if (options->word_count == command->words_max)
			return fail_set(err, EINVAL, "'%s' is too much%s; usage: coffer %s %s", word,
					command->rest ? " (put `--` before the program to run)" : "", command->name,
					command->arguments);
		options->words[options->word_count++] = word;
		argv++;
	}
	return result < 0 ? result : check_counts(command, options, err);
}

void options_help(const struct options_command *command)
{
	printf("Usage: coffer %s %s\n\n%s\n", command->name, command->arguments, command->summary);
	if (command->row_count)
		printf("\nOptions:\n");
	for (size_t i = 0; i < command->row_count; i++) {
		const struct options_row *row = &command->rows[i];
		char left[64];

		snprintf(left, sizeof(left), "--%s%s%s", row->name, row->operand ? " " : "", row->operand ? row->operand : "");
		printf("  %-28s %s\n", left, row->help);
	}
}

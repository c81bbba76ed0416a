/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_OPTIONS_H
#define QEMU_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* The command line: every command is a row with a const table of its options; usage texts are made from the same rows. */

#define OPTIONS_LIST_MAX  256
#define OPTIONS_WORDS_MAX 4

struct options_list {
	const char *items[OPTIONS_LIST_MAX];
	size_t count;
};

/* Everything that any command takes.  Strings point into argv.  Zero (NULL, 0, false) is "not given". */
struct options {
	const char *words[OPTIONS_WORDS_MAX]; /* the positional arguments */
	size_t word_count;
	char **rest; /* what stands behind `--`, NULL-terminated */
	size_t rest_count;

	bool help, json, force, all, follow, tty, keep, detach, verbose, no_superblock, devices, seal;
	const char *kernel, *initrd, *append, *accel, *config, *scratch, *cwd, *user, *hostname, *id, *fs, *salt, *oci, *volume,
		*store, *parent, *digest, *diff_id, *name, *platform, *key_file, *passphrase_file, *size, *device;
	uint64_t memory, memory_limit, cpus, timeout, data_block;
	struct options_list disks, images, layers, env;
};

enum options_kind {
	OPTIONS_FLAG,    /* bool */
	OPTIONS_STRING,  /* const char * */
	OPTIONS_LIST,    /* struct options_list, one more each time */
	OPTIONS_COMMAS,  /* struct options_list, further ones each time, separated by commas */
	OPTIONS_NUMBER,  /* uint64_t */
	OPTIONS_SIZE,    /* uint64_t bytes: 4096, 512M, 64G, 1T */
	OPTIONS_SECONDS, /* uint64_t milliseconds: 10, 0.5 */
};

struct options_row {
	const char *name; /* without the dashes */
	enum options_kind kind;
	size_t offset;       /* in struct options */
	uint64_t min, max;   /* of a number, size or time */
	const char *operand; /* as usage shows it: "SIZE"; NULL for flags */
	const char *help;
};

struct options_command {
	const char *name;      /* "vm start", "run" */
	const char *arguments; /* as usage shows them: "NAME [JSON|-]" */
	const char *summary;
	const struct options_row *rows;
	size_t row_count;
	size_t words_min, words_max;
	bool rest; /* takes `-- ARGV...` */
	/* Returns the exit code, or a negative errno with `err` set. */
	int (*run)(const struct options *options, struct error *err);
	int failure; /* the exit code when coffer itself fails */
};

/* Reads argv (what follows the command's name) by the command's rows.  Fails with what is wrong and what is accepted. */
must_check int options_read(const struct options_command *command, char **argv, struct options *options, struct error *err);

/* The command's usage and options, to standard output. */
void options_help(const struct options_command *command);

/* "4096", "512M", "64G": bytes.  Suffixes K M G T, also Ki or KiB and so on, always powers of 1024. */
must_check int options_size(const char *text, uint64_t *bytes, struct error *err);

#endif

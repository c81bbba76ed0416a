/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/encode.h"
#include "qemu/commands.h"
#include "qemu/containers.h"
#include "qemu/fail.h"
#include "qemu/key_file.h"
#include "qemu/output.h"
#include "qemu/transfer.h"

/* `coffer layer ...`: the layers of a store in a VM. */

#define LAYER_CONNECT_MS 10000

struct session {
	struct vm vm;
	struct client client;
};

static int begin(struct session *session, const struct options *options, struct error *err)
{
	session->client = (struct client)CLIENT_NONE;
	int result = vm_find(options->words[0], &session->vm, err);
	return result == 0 ? client_open(&session->vm, process_now() + LAYER_CONNECT_MS, &session->client, err) : result;
}

/* One request without a stream; what it answers is printed with --json.  `text` is consumed. */
static int ask(const struct options *options, const char *method, struct encode *e, struct error *err)
{
	struct session session;
	json_object *answer = NULL;
	int result = encode_result(e) < 0 || buf_append(e->buf, "", 1) < 0 ? error_set(err, ERROR_HOST, ENOMEM, "%s", method)
									   : begin(&session, options, err);

	if (result == 0) {
		result = client_call(&session.client, method, buf_bytes(e->buf), &answer, err);
		client_close(&session.client);
	}
	if (result == 0 && options->json)
		output_json(answer);
	json_object_put(answer);
	buf_free(e->buf);
	return result;
}

/* The word behind the VM's name, and nothing else. */
static void encode_name(struct encode *e, const struct options *options, const char *key)
{
	encode_open(e, NULL, '{');
	encode_string(e, key, options->words[1]);
	encode_close(e, '}');
}

static int ask_named(const struct options *options, const char *method, const char *key, struct error *err)
{
	struct buf text = { 0 };
	struct encode e = { .buf = &text };

	encode_name(&e, options, key);
	return ask(options, method, &e, err);
}

int layer_open(const struct options *options, struct error *err)
{
	struct buf text = { 0 };
	struct encode e = { .buf = &text };

	encode_open(&e, NULL, '{');
	encode_string(&e, "store", options->words[1]);
	if (options->scratch)
		encode_string(&e, "scratch", options->scratch);
	if (options->volume)
		encode_string(&e, "volume", options->volume);
	encode_close(&e, '}');
	return ask(options, "layer.open", &e, err);
}

int layer_close(const struct options *options, struct error *err)
{
	return ask_named(options, "layer.close", "store", err);
}

static void encode_device(struct encode *e, const char *serial)
{
	encode_open(e, "device", '{');
	encode_string(e, "serial", serial);
	encode_close(e, '}');
}

int layer_unlock(const struct options *options, struct error *err)
{
	struct buf text = { .wipe = true };
	struct encode e = { .buf = &text };

	if (!key_file_wanted(options))
		return fail_set(err, EINVAL, "--key-file or --passphrase-file is needed");
	encode_open(&e, NULL, '{');
	encode_string(&e, "id", options->words[1]);
	if (options->device)
		encode_device(&e, options->device);
	int result = key_file_encode(&e, options, err);
	encode_close(&e, '}');
	if (result < 0) {
		buf_free(&text);
		return result;
	}
	return ask(options, "layer.unlock", &e, err);
}

int layer_lock(const struct options *options, struct error *err)
{
	return ask_named(options, "layer.lock", "id", err);
}

int layer_remove(const struct options *options, struct error *err)
{
	return ask_named(options, "layer.remove", "id", err);
}

/* ---- the list ---- */

/* What protects its files: "locked" and "unlocked" are of one with a key of its own. */
static const char *kind_of(json_object *layer)
{
	if (client_bool(layer, "encrypted"))
		return client_bool(layer, "locked") ? "locked" : "unlocked";
	return client_bool(layer, "sealed") ? "sealed" : "-";
}

static void add_row(struct output_table *table, json_object *layer)
{
	const char *parent = client_string(layer, "parent");
	char size[32];

	output_size((uint64_t)client_number(layer, "size", 0), size, sizeof(size));
	output_cell(table, "%s", client_string(layer, "id"));
	output_cell(table, "%s", client_string(layer, "store"));
	output_cell(table, "%s", parent && *parent ? parent : "-");
	output_cell(table, "%s", client_string(layer, "state"));
	output_cell(table, "%s", kind_of(layer));
	output_cell(table, "%" PRId64, client_number(layer, "gets", 0));
	output_cell(table, "%s", size);
}

int layer_list(const struct options *options, struct error *err)
{
	struct output_table table = { .columns = 7 };
	json_object *answer = NULL, *list = NULL;
	struct session session;
	int result = begin(&session, options, err);

	if (result < 0)
		return result;
	result = containers_list(&session.client, "layer.list", "layers", &answer, &list, err);
	client_close(&session.client);
	if (result < 0)
		return result;
	if (options->json) {
		output_json(list);
	} else {
		static const char *const heads[] = { "LAYER", "STORE", "PARENT", "STATE", "KIND", "GETS", "SIZE" };

		for (size_t i = 0; i < array_count(heads); i++)
			output_cell(&table, "%s", heads[i]);
		for (size_t i = 0; i < json_object_array_length(list); i++)
			add_row(&table, json_object_array_get_idx(list, i));
		output_print(&table);
	}
	json_object_put(answer);
	return 0;
}

/* ---- streams ---- */

/* `text` holds the parameters and is consumed; *answer is the caller's. */
static int transfer(const struct options *options, const struct transfer *wanted, struct encode *e, json_object **answer,
		    struct error *err)
{
	struct transfer whole = *wanted;
	struct session session;
	char what[96];
	int result = encode_result(e) < 0 || buf_append(e->buf, "", 1) < 0
			     ? error_set(err, ERROR_HOST, ENOMEM, "%s", wanted->method)
			     : begin(&session, options, err);

	if (result == 0) {
		snprintf(what, sizeof(what), "%s %s", wanted->method, wanted->layer);
		whole.vm = &session.vm;
		whole.client = &session.client;
		whole.params = buf_bytes(e->buf);
		whole.what = what;
		result = transfer_run(&whole, answer, err);
		client_close(&session.client);
	}
	buf_free(e->buf);
	return result;
}

static int encode_image(struct encode *e, const struct options *options, struct error *err)
{
	if (!key_file_wanted(options))
		return options->size || options->device ? fail_set(err, EINVAL, "--size and --device go with a key") : 0;
	if (!options->size == !options->device)
		return fail_set(err, EINVAL, "with a key, --size or --device is needed");
	encode_open(e, "image", '{');
	if (options->size)
		encode_string(e, "size", options->size);
	else
		encode_device(e, options->device);
	encode_close(e, '}');
	return key_file_encode(e, options, err);
}

static int encode_import(struct encode *e, const struct options *options, struct error *err)
{
	encode_open(e, NULL, '{');
	encode_string(e, "id", options->words[1]);
	encode_string(e, "store", options->store);
	if (options->parent)
		encode_string(e, "parent", options->parent);
	if (options->digest)
		encode_string(e, "digest", options->digest);
	if (options->diff_id)
		encode_string(e, "diff_id", options->diff_id);
	if (options->devices)
		encode_bool(e, "devices", true);
	if (options->seal)
		encode_bool(e, "seal", true);
	int result = encode_image(e, options, err);
	encode_close(e, '}');
	return result;
}

int layer_import(const struct options *options, struct error *err)
{
	const char *name = options->words[2];
	fd_auto file = strcmp(name, "-") == 0 ? dup(STDIN_FILENO) : open(name, O_RDONLY | O_CLOEXEC);
	struct transfer wanted = { .layer = options->words[1], .method = "layer.import", .file = file };
	struct buf text = { .wipe = true };
	struct encode e = { .buf = &text };
	json_object *answer = NULL;
	struct stat status;

	if (file < 0 || fstat(file, &status) < 0)
		return error_set(err, ERROR_HOST, errno, "%s", name);
	if (!options->store)
		return fail_set(err, EINVAL, "--store is needed; `coffer layer open` opens one");
	if (S_ISREG(status.st_mode))
		wanted.size = (uint64_t)status.st_size;
	int result = encode_import(&e, options, err);
	if (result < 0)
		buf_free(&text);
	else
		result = transfer(options, &wanted, &e, &answer, err);
	if (result == 0 && options->json)
		output_json(answer);
	else if (result == 0)
		printf("%s %s\n", client_string(answer, "id"), client_string(answer, "diff_id"));
	json_object_put(answer);
	return result;
}

/* A request whose stream comes here; to standard output, unless a file is named. */
static int receive(const struct options *options, const char *method, const char *name, json_object **answer, struct error *err)
{
	fd_auto file =
		!name || strcmp(name, "-") == 0 ? dup(STDOUT_FILENO) : open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	struct transfer wanted = { .layer = options->words[1], .method = method, .file = file, .outwards = true };
	struct buf text = { 0 };
	struct encode e = { .buf = &text };
	struct stat status;
	bool is_file = name && strcmp(name, "-") != 0 && fstat(file, &status) == 0 && S_ISREG(status.st_mode);

	if (file < 0)
		return error_set(err, ERROR_HOST, errno, "%s", name ? name : "standard output");
	encode_name(&e, options, "id");
	int result = transfer(options, &wanted, &e, answer, err);
	/* Half an archive looks like a whole one. */
	if (result < 0 && is_file)
		unlink(name);
	return result;
}

int layer_export(const struct options *options, struct error *err)
{
	const char *name = options->word_count > 2 ? options->words[2] : "-";
	json_object *answer = NULL;
	int result;

	if (strcmp(name, "-") == 0 && isatty(STDOUT_FILENO))
		return fail_set(err, EINVAL, "an archive is not for a terminal: name a file");
	result = receive(options, "layer.export", name, &answer, err);
	if (result == 0)
		fprintf(stderr, "%s %s\n", client_string(answer, "id"), client_string(answer, "diff_id"));
	json_object_put(answer);
	return result;
}

int layer_changes(const struct options *options, struct error *err)
{
	json_object *answer = NULL;
	int result = receive(options, "layer.changes", NULL, &answer, err);

	json_object_put(answer);
	return result;
}

/* As other container tools show it: A, C or D, and the path. */
int layer_diff(const struct options *options, struct error *err)
{
	static const struct {
		const char *kind;
		char letter;
	} kinds[] = { { "added", 'A' }, { "modified", 'C' }, { "deleted", 'D' } };
	auto_file lines = tmpfile();
	struct transfer wanted = { .layer = options->words[1], .method = "layer.changes", .outwards = true };
	struct buf text = { 0 };
	struct encode e = { .buf = &text };
	json_object *answer = NULL;
	char *line = NULL;
	size_t room = 0;

	if (!lines)
		return error_set(err, ERROR_HOST, errno, "temporary file");
	wanted.file = fileno(lines);
	encode_name(&e, options, "id");
	int result = transfer(options, &wanted, &e, &answer, err);
	json_object_put(answer);
	rewind(lines);
	while (result == 0 && getline(&line, &room, lines) > 0) {
		json_object *change = json_tokener_parse(line);
		const char *kind = client_string(change, "kind");

		for (size_t i = 0; i < array_count(kinds); i++) {
			if (strcmp(kind, kinds[i].kind) == 0)
				printf("%c %s\n", kinds[i].letter, client_string(change, "path"));
		}
		json_object_put(change);
	}
	free(line);
	return result;
}

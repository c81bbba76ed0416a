/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "layer/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/decode.h"
#include "base/encode.h"
#include "base/log.h"
#include "base/text.h"
#include "sys/paths.h"

#define FACTS     "layer.json"
#define FACTS_MAX 4096u
#define NEW       "new-"
#define GONE      "gone-"

/* Far more than the agent has objects; what the scan of a store may cost in memory. */
#define LAYERS_MAX (2u * COFFER_OBJECTS_MAX)

/* ---- names ---- */

static int format_path(const struct store *store, const char *prefix, uint64_t number, const char *name, char *path, size_t size,
		       struct error *err)
{
	if (text_format(path, size, "%s/%s%" PRIu64 "%s%s", store->path, prefix, number, *name ? "/" : "", name) < 0)
		return error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "layer %" PRIu64 " in %s", number, store->path);
	return 0;
}

int store_member(const struct store *store, uint64_t number, bool finished, const char *name, char path[STORE_PATH_MAX + 64],
		 struct error *err)
{
	return format_path(store, finished ? "" : NEW, number, name, path, STORE_PATH_MAX + 64, err);
}

int store_tree(const struct store *store, uint64_t number, bool finished, int flags, struct error *err)
{
	char path[STORE_PATH_MAX + 64];
	int result = store_member(store, number, finished, "tree", path, err);

	if (result < 0)
		return result;
	int tree = open(path, flags | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return tree < 0 ? error_set(err, ERROR_MOUNT, errno, "open %s", path) : tree;
}

/* What is in the directory is on the disk when this returns. */
static int flush_directory(const struct store *store, const char *path, struct error *err)
{
	if (!store->lasting)
		return 0;
	fd_auto fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? error_set(err, ERROR_MOUNT, errno, "flush %s", path) : 0;
}

/* ---- the facts of a layer ---- */

static const char *const places[STORE_PLACES] = {
	[STORE_PLAIN] = "plain", [STORE_IMAGE] = "image", [STORE_DISK] = "disk", [STORE_SEALED] = "sealed"
};

struct facts {
	const char *id, *parent, *digest, *diff_id, *place, *identity, *root_hash, *salt;
	bool writable;
	uint64_t tar_bytes, size, files, blocks, sealed_bytes;
};

#define FIELD(key, decode_kind, member) .name = key, .kind = decode_kind, .offset = offsetof(struct facts, member)

static const struct decode_field fields[] = {
	{ FIELD("id", DECODE_STRING, id), .flags = DECODE_REQUIRED, .max = COFFER_ID_MAX, .check = decode_check_id },
	{ FIELD("parent", DECODE_STRING, parent), .flags = DECODE_NONZERO, .max = COFFER_ID_MAX, .check = decode_check_id },
	{ FIELD("writable", DECODE_BOOL, writable) },
	{ FIELD("digest", DECODE_STRING, digest), .max = DIGEST_TEXT, .check = digest_check },
	{ FIELD("diff_id", DECODE_STRING, diff_id), .max = DIGEST_TEXT, .check = digest_check },
	{ FIELD("place", DECODE_STRING, place), .max = 16 },
	{ FIELD("identity", DECODE_STRING, identity), .max = 64 },
	{ FIELD("root_hash", DECODE_STRING, root_hash), .max = 2 * DIGEST_SIZE },
	{ FIELD("salt", DECODE_STRING, salt), .max = 2 * VERITY_TREE_SALT },
	{ FIELD("blocks", DECODE_UINT, blocks), .max = INT64_MAX / VERITY_TREE_BLOCK },
	{ FIELD("sealed_bytes", DECODE_UINT, sealed_bytes), .max = INT64_MAX },
	{ FIELD("tar_bytes", DECODE_UINT, tar_bytes), .max = INT64_MAX },
	{ FIELD("size", DECODE_UINT, size), .max = INT64_MAX },
	{ FIELD("files", DECODE_UINT, files), .max = INT64_MAX },
};
static const struct decode_schema schema = { fields, array_count(fields), sizeof(struct facts), NULL };

/* All of it, and only hex digits of the right number; or, of a layer that is not `wanted` to have it, nothing. */
static int take_hex(const char *text, bool wanted, const char *name, uint8_t *bytes, size_t size, struct error *err)
{
	if (!wanted)
		return text ? error_field(err, name, "does not go with the layer's place") : 0;
	if (!text || text_from_hex(text, bytes, size) != (long)size)
		return error_field(err, name, "must be %zu hex digits", 2 * size);
	return 0;
}

static int take_seal(const struct facts *facts, struct store_layer *layer, struct error *err)
{
	const bool sealed = layer->place == STORE_SEALED;
	int result = take_hex(facts->root_hash, sealed, "root_hash", layer->seal.root, sizeof(layer->seal.root), err);

	if (result == 0)
		result = take_hex(facts->salt, sealed, "salt", layer->seal.salt, sizeof(layer->seal.salt), err);
	if (result < 0)
		return result;
	if (sealed != (facts->blocks > 0) || facts->sealed_bytes % VERITY_TREE_BLOCK != 0 ||
	    facts->sealed_bytes / VERITY_TREE_BLOCK < facts->blocks || (!sealed && facts->sealed_bytes > 0))
		return error_field(err, "sealed_bytes", "does not go with the layer's place and blocks");
	if (sealed && (facts->writable || !facts->digest || !facts->diff_id))
		return error_field(err, "place", "a sealed layer was imported");
	layer->seal.blocks = facts->blocks;
	layer->seal.bytes = facts->sealed_bytes;
	return 0;
}

static int take_place(const struct facts *facts, struct store_layer *layer, struct error *err)
{
	while (facts->place && layer->place < STORE_PLACES && strcmp(places[layer->place], facts->place) != 0)
		layer->place++;
	if (facts->place && (layer->place == STORE_PLACES || layer->place == STORE_PLAIN))
		return error_field(err, "place", "%.32s is none", facts->place);
	int result =
		take_hex(facts->identity, store_has_key(layer->place), "identity", layer->identity, sizeof(layer->identity), err);
	return result < 0 ? result : take_seal(facts, layer, err);
}

static int take_facts(const struct facts *facts, struct store_layer *layer, struct error *err)
{
	int result = take_place(facts, layer, err);

	snprintf(layer->id, sizeof(layer->id), "%s", facts->id);
	snprintf(layer->parent, sizeof(layer->parent), "%s", facts->parent ? facts->parent : "");
	layer->writable = facts->writable;
	layer->imported = facts->digest && facts->diff_id;
	layer->tar_bytes = facts->tar_bytes;
	layer->size = facts->size;
	layer->files = facts->files;
	if (result == 0 && layer->imported)
		result = digest_parse(facts->digest, layer->digest, err);
	return result == 0 && layer->imported ? digest_parse(facts->diff_id, layer->diff_id, err) : result;
}

static int read_facts(const struct store *store, uint64_t number, struct store_layer *layer, struct error *err)
{
	struct decode_memory memory = { 0 };
	char path[STORE_PATH_MAX + 64], text[FACTS_MAX];
	json_object *json = NULL;
	struct facts facts;
	int result = store_member(store, number, true, FACTS, path, err);

	if (result < 0)
		return result;
	*layer = (struct store_layer){ .number = number };
	long length = text_read_file(path, text, sizeof(text));
	if (length < 0)
		return error_set(err, ERROR_LAYER, (int)-length, "read %s", path);
	result = decode_parse(text, (size_t)length, &json, err);
	if (result == 0)
		result = decode_object(json, &schema, &facts, &memory, err);
	if (result == 0)
		result = take_facts(&facts, layer, err);
	decode_free(&memory);
	json_object_put(json);
	if (result < 0) {
		err->code = ERROR_LAYER;
		err->field[0] = '\0';
		return error_wrap(err, "%s", path);
	}
	return 0;
}

static void encode_hex(struct encode *e, const char *name, const uint8_t *bytes, size_t size)
{
	char text[2 * DIGEST_SIZE + 1];

	text_to_hex(bytes, size, text);
	encode_string(e, name, text);
}

static void encode_place(struct encode *e, const struct store_layer *layer)
{
	if (layer->place != STORE_PLAIN)
		encode_string(e, "place", places[layer->place]);
	if (store_has_key(layer->place))
		encode_hex(e, "identity", layer->identity, sizeof(layer->identity));
	if (layer->place != STORE_SEALED)
		return;
	encode_hex(e, "root_hash", layer->seal.root, sizeof(layer->seal.root));
	encode_hex(e, "salt", layer->seal.salt, sizeof(layer->seal.salt));
	encode_uint(e, "blocks", layer->seal.blocks);
	encode_uint(e, "sealed_bytes", layer->seal.bytes);
}

static void encode_facts(struct encode *e, const struct store_layer *layer)
{
	char text[DIGEST_TEXT];

	encode_open(e, NULL, '{');
	encode_string(e, "id", layer->id);
	if (layer->parent[0])
		encode_string(e, "parent", layer->parent);
	encode_bool(e, "writable", layer->writable);
	encode_place(e, layer);
	if (layer->imported) {
		digest_format(layer->digest, text);
		encode_string(e, "digest", text);
		digest_format(layer->diff_id, text);
		encode_string(e, "diff_id", text);
		encode_uint(e, "tar_bytes", layer->tar_bytes);
		encode_uint(e, "size", layer->size);
		encode_uint(e, "files", layer->files);
	}
	encode_close(e, '}');
}

static int write_facts(const struct store *store, const struct store_layer *layer, struct error *err)
{
	char path[STORE_PATH_MAX + 64];
	struct buf text = { .limit = FACTS_MAX };
	struct encode e = { .buf = &text };
	int result = store_member(store, layer->number, false, FACTS, path, err);

	if (result < 0)
		return result;
	encode_facts(&e, layer);
	result = encode_result(&e);
	fd_auto fd = result < 0 ? -1 : open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (result < 0)
		error_set(err, ERROR_INTERNAL, -result, "%s", path);
	else if (fd < 0 || write(fd, buf_bytes(&text), buf_length(&text)) != (ssize_t)buf_length(&text))
		result = error_set(err, ERROR_MOUNT, errno ? errno : ENOSPC, "write %s", path);
	else if (store->lasting && syncfs(fd) < 0) /* the whole tree with it */
		result = error_set(err, ERROR_MOUNT, errno, "flush the layer");
	buf_free(&text);
	return result;
}

/* ---- making and removing ---- */

int store_begin(const struct store *store, uint64_t number, struct undo *undo, struct error *err)
{
	char path[STORE_PATH_MAX + 64];
	int result = store_member(store, number, true, "", path, err);

	if (result == 0)
		result = undo_push(undo, UNDO_TREE, path, err);
	if (result == 0)
		result = store_member(store, number, false, "", path, err);
	if (result == 0)
		result = undo_push(undo, UNDO_TREE, path, err);
	if (result < 0)
		return result;
	if (mkdir(path, 0700) < 0)
		return error_set(err, ERROR_MOUNT, errno, "make the directory %s", path);
	result = store_member(store, number, false, "tree", path, err);
	if (result < 0)
		return result;
	/* What the container sees as "/". */
	if (mkdir(path, 0755) < 0 || chmod(path, 0755) < 0)
		return error_set(err, ERROR_MOUNT, errno, "make the directory %s", path);
	return 0;
}

static int move(const struct store *store, const char *from, const char *to, uint64_t number, struct error *err)
{
	char old_path[STORE_PATH_MAX + 64], new_path[STORE_PATH_MAX + 64];
	int result = format_path(store, from, number, "", old_path, sizeof(old_path), err);

	if (result == 0)
		result = format_path(store, to, number, "", new_path, sizeof(new_path), err);
	if (result < 0)
		return result;
	/* NOREPLACE: a directory that is in the way would be replaced if it is empty. */
	if (renameat2(AT_FDCWD, old_path, AT_FDCWD, new_path, RENAME_NOREPLACE) < 0)
		return error_set(err, ERROR_MOUNT, errno, "rename %s to %s", old_path, new_path);
	return flush_directory(store, store->path, err);
}

int store_commit(const struct store *store, const struct store_layer *layer, struct error *err)
{
	int result = write_facts(store, layer, err);

	return result < 0 ? result : move(store, NEW, "", layer->number, err);
}

static int delete_tree(const struct store *store, const char *prefix, uint64_t number, const char *name, struct error *err)
{
	char path[STORE_PATH_MAX + 64];
	int result = format_path(store, prefix, number, name, path, sizeof(path), err);

	return result < 0 ? result : paths_remove_tree(AT_FDCWD, path, true, err);
}

int store_seal(const struct store *store, uint64_t number, const uint8_t diff_id[DIGEST_SIZE], struct seal *seal, struct error *err)
{
	char path[STORE_PATH_MAX + 64];
	int result = store_member(store, number, false, STORE_SEALED_FILE, path, err);

	if (result < 0)
		return result;
	fd_auto tree = store_tree(store, number, false, O_PATH, err);
	if (tree < 0)
		return tree;
	fd_auto file = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (file < 0)
		return error_set(err, ERROR_MOUNT, errno, "make the file %s", path);
	result = seal_tree(tree, file, diff_id, seal, err);
	return result < 0 ? result : delete_tree(store, NEW, number, "tree", err);
}

int store_remove(const struct store *store, uint64_t number, struct error *err)
{
	struct error lost;
	int result = move(store, "", GONE, number, err);

	if (result == -ENOENT)
		result = 0; /* an earlier attempt came so far */
	if (result == 0 && delete_tree(store, GONE, number, "", &lost) < 0)
		log_warning("layer %" PRIu64 " is removed, and takes up space until the store is opened again: %s", number,
			    lost.message);
	return result;
}

/* ---- opening ---- */

static int compare_numbers(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* PREFIX and a decimal number without leading zeros. */
static bool read_number(const char *name, const char *prefix, uint64_t *number)
{
	size_t length = strlen(prefix);
	char *end;

	if (strncmp(name, prefix, length) != 0 || name[length] < '1' || name[length] > '9')
		return false;
	errno = 0;
	*number = strtoull(name + length, &end, 10);
	return *end == '\0' && errno == 0 && *number < INT64_MAX;
}

struct scan {
	uint64_t numbers[LAYERS_MAX];
	size_t count;
	unsigned removed;
};

static int scan_entry(const struct store *store, const char *name, struct scan *scan, struct error *err)
{
	uint64_t number;

	if (strcmp(name, STORE_EMPTY) == 0)
		return 0;
	if (read_number(name, NEW, &number) || read_number(name, GONE, &number)) {
		scan->removed++;
		return delete_tree(store, *name == *NEW ? NEW : GONE, number, "", err);
	}
	if (!read_number(name, "", &number))
		return error_set(err, ERROR_LAYER, EINVAL, "%s holds %.64s, which is no layer", store->path, name);
	if (scan->count == LAYERS_MAX)
		return error_set(err, ERROR_LAYER, E2BIG, "%s holds more than %u layers", store->path, LAYERS_MAX);
	scan->numbers[scan->count++] = number;
	/* overlayfs' own: it may be of a mount that a crash has ended. */
	return delete_tree(store, "", number, "work", err);
}

static int scan_directory(const struct store *store, struct scan *scan, struct error *err)
{
	auto_dir directory = opendir(store->path);
	struct dirent *entry;
	int result = 0;

	if (!directory)
		return error_set(err, ERROR_MOUNT, errno, "open %s", store->path);
	while (result == 0 && (errno = 0, entry = readdir(directory))) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			result = scan_entry(store, entry->d_name, scan, err);
	}
	if (result == 0 && errno != 0)
		result = error_set(err, ERROR_MOUNT, errno, "read %s", store->path);
	return result;
}

static int make_directories(const struct store *store, struct error *err)
{
	char path[STORE_PATH_MAX + 64];

	if (text_format(path, sizeof(path), "%s/" STORE_EMPTY, store->path) < 0)
		return error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "%s", store->path);
	if (mkdir(store->path, 0700) < 0 && errno != EEXIST)
		return error_set(err, ERROR_MOUNT, errno, "make the directory %s", store->path);
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return error_set(err, ERROR_MOUNT, errno, "make the directory %s", path);
	return 0;
}

int store_open(const struct store *store, int out, unsigned *removed, struct error *err)
{
	auto_free struct scan *scan = calloc(1, sizeof(*scan));
	int result;

	if (!scan)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "layers of a store");
	result = make_directories(store, err);
	if (result == 0)
		result = scan_directory(store, scan, err);
	if (result == 0)
		result = flush_directory(store, store->path, err);
	qsort(scan->numbers, scan->count, sizeof(scan->numbers[0]), compare_numbers);
	for (size_t i = 0; i < scan->count && result == 0; i++) {
		struct store_layer layer;

		result = read_facts(store, scan->numbers[i], &layer, err);
		if (result == 0 && write(out, &layer, sizeof(layer)) != sizeof(layer))
			result = error_set(err, ERROR_INTERNAL, errno ? errno : ENOSPC, "tell the agent of a layer");
	}
	*removed = scan->removed;
	return result;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/layer/store.c agent/layer/digest.c agent/sys/libraries.c agent/sys/paths.c */
/* What a crash leaves in a store, and what a store does with it.  Flushing is left out: the directory is an ordinary one. */
#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "layer/store.h"
#include "sys/paths.h"

/* Fake of layer/seal.c: one block, and what it was called with. */
int seal_tree(int tree, int file, const uint8_t id[DIGEST_SIZE], struct seal *seal, struct error *error)
{
	static const uint8_t block[VERITY_TREE_BLOCK];

	(void)error;
	assert_int_equal(faccessat(tree, "f", F_OK, 0), 0);
	assert_int_equal(write(file, block, sizeof(block)), sizeof(block));
	*seal = (struct seal){ .root = { id[0] }, .salt = { [31] = 7 }, .blocks = 1, .bytes = sizeof(block) };
	return 0;
}

static char top[] = "/tmp/coffer-store-XXXXXX";
static struct store store;
static struct undo undo;
static struct error err;

static int fresh(void **state)
{
	(void)state;
	memset(&err, 0, sizeof(err));
	memcpy(top + strlen(top) - 6, "XXXXXX", 6);
	if (!mkdtemp(top))
		return -1;
	memset(&store, 0, sizeof(store));
	snprintf(store.path, sizeof(store.path), "%s/layers", top);
	return 0;
}

static int clean(void **state)
{
	(void)state;
	undo_free(&undo);
	return paths_remove_tree(-1, top, true, &err);
}

static const char *in_store(const char *name)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/%s", store.path, name);
	return path;
}

static void write_text(const char *name, const char *text)
{
	fd_auto fd = open(in_store(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* The layers that are found, up to `most`; their number. */
static size_t opened(struct store_layer *found, size_t most, unsigned *removed)
{
	fd_auto out = memfd_create("layers", 0);

	assert_worked(store_open(&store, out, removed, &err), &err);
	ssize_t got = pread(out, found, most * sizeof(*found), 0);
	assert_true(got >= 0 && (size_t)got % sizeof(*found) == 0);
	return (size_t)got / sizeof(*found);
}

static void make(uint64_t number, const char *id, const char *parent)
{
	struct store_layer layer = { .number = number, .imported = number == 2, .size = 7 };

	snprintf(layer.id, sizeof(layer.id), "%s", id);
	snprintf(layer.parent, sizeof(layer.parent), "%s", parent);
	memset(layer.diff_id, 0xab, sizeof(layer.diff_id));
	assert_worked(store_begin(&store, number, &undo, &err), &err);
	assert_worked(store_commit(&store, &layer, &err), &err);
}

static void what_is_finished_is_found_again(void **state)
{
	struct store_layer found[4];
	unsigned removed;

	(void)state;
	assert_int_equal(opened(found, 4, &removed), 0);
	make(2, "child", "base"); /* the order of making is that of the numbers, whatever the disk's */
	make(1, "base", "");
	make(10, "top", "child");
	assert_int_equal(opened(found, 4, &removed), 3);
	assert_int_equal(removed, 0);
	assert_string_equal(found[0].id, "base");
	assert_string_equal(found[1].id, "child");
	assert_string_equal(found[1].parent, "base");
	assert_true(found[1].imported && found[1].size == 7 && found[1].diff_id[31] == 0xab && !found[0].imported);
	assert_int_equal(found[2].number, 10);
}

/* Sealed as 1, on the layer of that id. */
static void make_sealed(const char *id)
{
	struct store_layer layer = { .number = 1, .imported = true, .place = STORE_SEALED, .diff_id = { 0xab } };

	snprintf(layer.id, sizeof(layer.id), "%s", id);
	assert_worked(store_begin(&store, 1, &undo, &err), &err);
	write_text("new-1/tree/f", "x");
	assert_worked(store_seal(&store, 1, layer.diff_id, &layer.seal, &err), &err);
	assert_worked(store_commit(&store, &layer, &err), &err);
}

static void a_sealed_one_has_a_file_in_place_of_its_tree(void **state)
{
	struct store_layer found[4];
	unsigned removed;
	struct stat status;

	(void)state;
	assert_int_equal(opened(found, 4, &removed), 0);
	make_sealed("base");
	assert_int_equal(access(in_store("1/tree"), F_OK), -1);
	assert_int_equal(stat(in_store("1/" STORE_SEALED_FILE), &status), 0);
	assert_int_equal(status.st_size, VERITY_TREE_BLOCK);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(opened(found, 4, &removed), 1);
	assert_int_equal(found[0].place, STORE_SEALED);
	assert_int_equal(found[0].seal.root[0], 0xab);
	assert_int_equal(found[0].seal.salt[31], 7);
	assert_int_equal(found[0].seal.blocks, 1);
	assert_int_equal(found[0].seal.bytes, VERITY_TREE_BLOCK);
	/* The second time a file is in the way. */
	assert_worked(store_begin(&store, 2, &undo, &err), &err);
	write_text("new-2/sealed", "x");
	assert_failed(store_seal(&store, 2, found[0].diff_id, &found[0].seal, &err), &err, ERROR_MOUNT, "");
}

static void what_is_not_finished_goes(void **state)
{
	struct store_layer found[4];
	unsigned removed;

	(void)state;
	assert_int_equal(opened(found, 4, &removed), 0);
	make(1, "base", "");
	assert_worked(store_begin(&store, 2, &undo, &err), &err);
	write_text("new-2/tree/half", "x");
	assert_int_equal(mkdir(in_store("gone-3"), 0700), 0);
	write_text("gone-3/f", "x");
	assert_int_equal(mkdir(in_store("1/work"), 0700), 0);
	assert_int_equal(opened(found, 4, &removed), 1);
	assert_int_equal(removed, 2);
	assert_int_equal(access(in_store("new-2"), F_OK), -1);
	assert_int_equal(access(in_store("gone-3"), F_OK), -1);
	assert_int_equal(access(in_store("1/work"), F_OK), -1);
	assert_int_equal(access(in_store("1/tree"), F_OK), 0);
}

static void removing_is_one_step_and_may_be_repeated(void **state)
{
	struct store_layer found[4];
	unsigned removed;

	(void)state;
	assert_int_equal(opened(found, 4, &removed), 0);
	make(1, "base", "");
	assert_worked(store_remove(&store, 1, &err), &err);
	assert_worked(store_remove(&store, 1, &err), &err);
	assert_int_equal(opened(found, 4, &removed), 0);
	assert_int_equal(removed, 0);
}

static void a_layer_takes_no_other_s_place(void **state)
{
	struct store_layer found[4];
	struct store_layer layer = { .number = 1, .id = "second" };
	unsigned removed;

	(void)state;
	assert_int_equal(opened(found, 4, &removed), 0);
	make(1, "first", "");
	assert_worked(store_begin(&store, 1, &undo, &err), &err);
	assert_failed(store_commit(&store, &layer, &err), &err, ERROR_MOUNT, "");
	assert_int_equal(err.errnum, EEXIST);
	assert_int_equal(opened(found, 4, &removed), 1);
	assert_string_equal(found[0].id, "first");
}

#define HEX    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define SHA256 "sha256:" HEX
#define BEGIN  "{\"id\":\"base\",\"writable\":false,\"digest\":\"" SHA256 "\",\"diff_id\":\"" SHA256 "\""
#define PLACE  ",\"place\":\"sealed\""
#define ROOT   ",\"root_hash\":\"" HEX "\""
#define SALT   ",\"salt\":\"" HEX "\""
#define SIZES  ",\"blocks\":3,\"sealed_bytes\":16384"

static bool is_taken(const char *text)
{
	unsigned removed;

	write_text("1/layer.json", text);
	fd_auto out = memfd_create("layers", 0);
	int result = store_open(&store, out, &removed, &err);
	if (result < 0)
		check_row(err.code == ERROR_LAYER && strstr(err.message, "layer.json"), "%s: %s", text, err.message);
	return result == 0;
}

static void facts_of_sealed_layers(void **state)
{
	static const char *const wrong[] = {
		BEGIN ROOT SALT SIZES "}",
		BEGIN ROOT "}",
		BEGIN SALT "}",
		BEGIN SIZES "}",
		BEGIN PLACE SALT SIZES "}",
		BEGIN PLACE ROOT SIZES "}",
		BEGIN PLACE ROOT SALT "}",
		BEGIN PLACE ROOT SALT ",\"blocks\":3}",
		BEGIN PLACE ROOT SALT ",\"blocks\":0,\"sealed_bytes\":16384}",
		BEGIN PLACE ROOT SALT ",\"blocks\":5,\"sealed_bytes\":16384}",
		BEGIN PLACE ROOT SALT ",\"blocks\":3,\"sealed_bytes\":16385}",
		BEGIN PLACE ROOT SALT ",\"blocks\":2251799813685249,\"sealed_bytes\":16384}",
		BEGIN PLACE ROOT SALT SIZES ",\"identity\":\"" HEX "\"}",
		BEGIN ",\"identity\":\"" HEX "\"}",
		BEGIN ",\"place\":\"image\"}",
		BEGIN ",\"place\":\"image\",\"identity\":\"" HEX "\"" ROOT SALT SIZES "}",
		BEGIN ",\"place\":\"plain\"}",
		BEGIN PLACE ",\"root_hash\":\"0011\"" SALT SIZES "}",
		BEGIN PLACE ROOT ",\"salt\":\"\"" SIZES "}",
		BEGIN PLACE ROOT ",\"salt\":\"zz112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"" SIZES "}",
		"{\"id\":\"base\",\"writable\":false" PLACE ROOT SALT SIZES "}",
		"{\"id\":\"base\",\"writable\":true,\"digest\":\"" SHA256 "\",\"diff_id\":\"" SHA256 "\"" PLACE ROOT SALT SIZES "}",
	};
	struct store_layer found[4];
	unsigned removed;

	(void)state;
	assert_int_equal(opened(found, 4, &removed), 0);
	make(1, "base", "");
	assert_true(is_taken(BEGIN PLACE ROOT SALT SIZES "}"));
	assert_true(is_taken(BEGIN ",\"place\":\"image\",\"identity\":\"" HEX "\"}"));
	assert_true(is_taken(BEGIN "}"));
	for (size_t i = 0; i < array_count(wrong); i++)
		check_row(!is_taken(wrong[i]), "was taken: %s", wrong[i]);
}

static void what_is_no_store(void **state)
{
	static const struct {
		const char *name, *text, *word;
	} rows[] = {
		{ "1/layer.json", "", "layer.json" },
		{ "1/layer.json", "{\"id\":\"base\"", "layer.json" },
		{ "1/layer.json", "{\"id\":\"../up\"}", "layer.json" },
		{ "1/layer.json", "{\"id\":\"base\",\"owner\":1}", "layer.json" },
		{ "1/layer.json", "{\"id\":\"base\",\"digest\":\"md5:0\"}", "layer.json" },
		{ "stranger", "x", "stranger" },
		{ "01", "x", "01" },
		{ "new-", "x", "new-" },
		{ "99999999999999999999", "x", "9999" },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		struct store_layer found[4];
		unsigned removed;

		assert_int_equal(fresh(NULL), 0);
		assert_int_equal(opened(found, 4, &removed), 0);
		make(1, "base", "");
		write_text(rows[i].name, rows[i].text);
		fd_auto out = memfd_create("layers", 0);
		check_row(store_open(&store, out, &removed, &err) < 0 && err.code == ERROR_LAYER &&
				  strstr(err.message, rows[i].word),
			  "%s: %s: %s", rows[i].name, rows[i].text, err.message);
		if (i + 1 < array_count(rows))
			assert_int_equal(clean(NULL), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_finished_is_found_again, fresh, clean),
		cmocka_unit_test_setup_teardown(what_is_not_finished_goes, fresh, clean),
		cmocka_unit_test_setup_teardown(removing_is_one_step_and_may_be_repeated, fresh, clean),
		cmocka_unit_test_setup_teardown(a_layer_takes_no_other_s_place, fresh, clean),
		cmocka_unit_test_setup_teardown(a_sealed_one_has_a_file_in_place_of_its_tree, fresh, clean),
		cmocka_unit_test_setup_teardown(facts_of_sealed_layers, fresh, clean),
		cmocka_unit_test_teardown(what_is_no_store, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/layer/verity_tree.c agent/layer/digest.c agent/sys/libraries.c */
#include "unit/test.h"

#include "base/text.h"
#include "layer/verity_tree.h"
#include "unit/layer_tree.h"

#define BLOCK 4096u
#define SALT  "00112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef"

static struct error err;

static int append(const char *path, uint64_t size, struct verity_tree *made)
{
	fd_auto image = open(path, O_RDWR | O_CLOEXEC);
	uint8_t salt[VERITY_TREE_SALT];

	assert_true(image >= 0);
	assert_int_equal(text_from_hex(SALT, salt, sizeof(salt)), sizeof(salt));
	return verity_tree_append(image, size, salt, made, &err);
}

/* A file of so many blocks, each with another beginning, the rest a hole. */
static void make_image(const char *path, uint64_t blocks)
{
	fd_auto image = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(image >= 0);
	assert_int_equal(ftruncate(image, (off_t)(blocks * BLOCK)), 0);
	for (uint64_t i = 0; i<blocks; i += blocks> 1000 ? 97 : 1)
		assert_int_equal(pwrite(image, &i, sizeof(i), (off_t)(i * BLOCK + 11)), sizeof(i));
}

static void same_as_veritysetup(uint64_t blocks)
{
	char command[512], root[2 * DIGEST_SIZE + 1];
	struct verity_tree made;

	make_image("ours", blocks);
	make_image("theirs", blocks);
	assert_worked(append("ours", blocks * BLOCK, &made), &err);
	assert_int_equal(made.blocks, blocks);
	assert_int_equal(made.hash_offset, blocks * BLOCK);
	text_to_hex(made.root, sizeof(made.root), root);
	snprintf(command, sizeof(command),
		 "PATH=$PATH:/usr/sbin veritysetup format --no-superblock --format=1 --hash=sha256 --salt=" SALT
		 " --data-block-size=4096 --hash-block-size=4096 --data-blocks=%llu --hash-offset=%llu theirs theirs |"
		 " sed -n 's/^Root hash:[[:space:]]*//p' | tr -d '\\n'",
		 (unsigned long long)blocks, (unsigned long long)made.hash_offset);
	assert_output(command, root);
	run("cmp ours theirs");
	struct stat status;
	assert_int_equal(stat("ours", &status), 0);
	check_row((uint64_t)status.st_size == made.bytes, "%llu bytes, not %llu", (unsigned long long)status.st_size,
		  (unsigned long long)made.bytes);
	snprintf(command, sizeof(command),
		 "PATH=$PATH:/usr/sbin veritysetup verify --no-superblock --format=1 --hash=sha256 --salt=" SALT
		 " --data-block-size=4096 --hash-block-size=4096 --data-blocks=%llu --hash-offset=%llu ours ours %s 2>&1",
		 (unsigned long long)blocks, (unsigned long long)made.hash_offset, root);
	run(command);
}

static void as_veritysetup_makes_it(void **state)
{
	static const uint64_t blocks[] = { 1, 2, 127, 128, 129, 128 * 128 - 1, 128 * 128, 128 * 128 + 1 };

	(void)state;
	for (size_t i = 0; i < array_count(blocks); i++) {
		print_message("%llu blocks\n", (unsigned long long)blocks[i]);
		same_as_veritysetup(blocks[i]);
	}
}

static void only_whole_blocks(void **state)
{
	struct verity_tree made;

	(void)state;
	make_image("image", 2);
	assert_failed(append("image", 0, &made), &err, ERROR_INTERNAL, "");
	assert_failed(append("image", 4097, &made), &err, ERROR_INTERNAL, "");
	/* More than there is. */
	assert_failed(append("image", 3 * BLOCK, &made), &err, ERROR_INTERNAL, "");
	assert_int_equal(made.bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(as_veritysetup_makes_it, layer_tree_fresh, layer_tree_clean),
		cmocka_unit_test_setup_teardown(only_whole_blocks, layer_tree_fresh, layer_tree_clean),
	};

	return cmocka_run_group_tests(tests, layer_tree_make_top, layer_tree_remove_top);
}

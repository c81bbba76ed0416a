/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/layer/seal.c agent/layer/erofs_write.c agent/layer/erofs_plan.c agent/layer/erofs_chunks.c */
/* links: agent/layer/erofs_tree.c agent/layer/erofs_directory.c agent/layer/erofs_attributes.c agent/layer/walk.c */
/* links: agent/layer/xattrs.c agent/layer/link_table.c agent/layer/verity_tree.c agent/layer/digest.c */
/* links: agent/sys/libraries.c agent/storage/erofs.c */
#include "unit/test.h"

#include "base/text.h"
#include "layer/seal.h"
#include "unit/layer_tree.h"

static struct error err;

static int seal_as(const char *path, struct seal *seal)
{
	static const uint8_t id[DIGEST_SIZE] = { 0xff, 1, 2, 3, 4, 5, 0xff, 7, 0xff, 9, 10, 11, 12, 13, 14, 15, 16 };
	fd_auto tree = open("tree", O_PATH | O_DIRECTORY | O_CLOEXEC);
	fd_auto file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(tree >= 0 && file >= 0);
	return seal_tree(tree, file, id, seal, &err);
}

/* Another program's view of the file: the image as it was sealed, whole. */
static void check(const char *path, const struct seal *seal)
{
	char root[2 * DIGEST_SIZE + 1], salt[2 * VERITY_TREE_SALT + 1], command[512];
	struct stat status;

	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_size, seal->bytes);
	text_to_hex(seal->root, sizeof(seal->root), root);
	text_to_hex(seal->salt, sizeof(seal->salt), salt);
	snprintf(command, sizeof(command),
		 "PATH=$PATH:/usr/sbin veritysetup verify --no-superblock --format=1 --hash=sha256 --salt=%s --data-block-size=4096"
		 " --hash-block-size=4096 --data-blocks=%llu --hash-offset=%llu %s %s %s 2>&1",
		 salt, (unsigned long long)seal->blocks, (unsigned long long)seal->blocks * VERITY_TREE_BLOCK, path, path, root);
	run(command);
	snprintf(command, sizeof(command), "head -c %llu %s >image", (unsigned long long)seal->blocks * VERITY_TREE_BLOCK, path);
	run(command);
	run("fsck.erofs image >said 2>&1 && ! grep '^<E>' said");
	run("dump.erofs -s image | grep -q 'Filesystem UUID: *ff010203-0405-8f07-bf09-0a0b0c0d0e0f'");
}

static void an_image_and_what_verifies_it(void **state)
{
	struct seal first, second;

	(void)state;
	run("mkdir -p tree/d; seq 100000 >tree/d/f; echo x >tree/x");
	assert_worked(seal_as("first", &first), &err);
	check("first", &first);
	run("mv image kept");
	/* Another salt, another hash area; the image is the same. */
	assert_worked(seal_as("second", &second), &err);
	check("second", &second);
	run("cmp image kept");
	assert_memory_not_equal(first.salt, second.salt, sizeof(first.salt));
	assert_memory_not_equal(first.root, second.root, sizeof(first.root));
}

static void what_no_image_can_say(void **state)
{
	struct seal seal;

	(void)state;
	skip_without_overlay_marks();
	run("mkdir tree; touch tree/f");
	assert_int_equal(setxattr("tree/f", "trusted.overlay.metacopy", "", 0, 0), 0);
	assert_failed(seal_as("file", &seal), &err, ERROR_LAYER, "");
	assert_int_equal(seal.blocks, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_image_and_what_verifies_it, layer_tree_fresh, layer_tree_clean),
		cmocka_unit_test_setup_teardown(what_no_image_can_say, layer_tree_fresh, layer_tree_clean),
	};

	return cmocka_run_group_tests(tests, layer_tree_make_top, layer_tree_remove_top);
}

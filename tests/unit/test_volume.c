/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/volume/volume.c agent/volume/virtual_volume.c tests/fake/raw_block_parts.c agent/volume/raw_block.c */
/* links: agent/storage/filesystem.c */
/* The registry of volume types, and what a request's words about a device may be. */
#include "unit/test.h"

#include "coffer/protocol.h"
#include "volume/volume.h"

static struct decode_memory memory;
static json_object *json;
static struct volume_attach request;
static struct error err;

static int clean(void **state)
{
	(void)state;
	json_object_put(json);
	json = NULL;
	decode_free(&memory);
	return 0;
}

static int check_volume(const char *text)
{
	json_object *parsed;

	clean(NULL);
	memset(&err, 0, sizeof(err));
	request = (struct volume_attach){ .id = "v", .timeout_ms = 1 };
	int result = decode_parse(text, strlen(text), &json, &err);
	if (result == 0)
		result = virtual_volume_decode(json, &request.volume, &parsed, &memory, &err);
	return result == 0 ? volume_check(&request, &err) : result;
}

#define VERITY                                                                                                                     \
	"\"dm_verity\":{\"hashtype\":\"sha256\",\"hash\":\"9de18652fe74edfb9b805aaed72ae2aa48f94333f1ba5c452ac33b1c39325174\","    \
	"\"blocknum\":8,\"blocksize\":4096,\"hashsize\":4096,\"offset\":32768}"

static void every_row_is_whole_and_unique(void **state)
{
	(void)state;
	for (size_t a = 0; a < volume_driver_count; a++) {
		const struct volume_driver *driver = volume_drivers[a];

		check_row(driver->type && driver->type[0], "row %zu", a);
		check_row(strlen(driver->type) < sizeof(((struct volume_attached *)0)->type), "%s does not fit the answer",
			  driver->type);
		check_row(!driver->attach == !driver->check, "%s: both or neither", driver->type);
		for (size_t b = 0; b < a; b++)
			check_row(strcmp(volume_drivers[b]->type, driver->type) != 0, "%s twice", driver->type);
	}
}

/* The constants of all three implementations. */
static void every_kata_type_is_known(void **state)
{
	static const char *const types[] = { "direct_block",      "image_raw_block", "layer_raw_block", "image_nydus_block",
					     "layer_nydus_block", "image_nydus_fs",  "layer_nydus_fs",  "image_guest_pull" };

	(void)state;
	assert_int_equal(volume_driver_count, array_count(types));
	for (size_t i = 0; i < array_count(types); i++) {
		size_t row = 0;

		while (row < volume_driver_count && strcmp(volume_drivers[row]->type, types[i]) != 0)
			row++;
		check_row(row < volume_driver_count, "%s", types[i]);
	}
}

static void known_types_without_a_driver_answer_by_name(void **state)
{
	char text[512];
	size_t unsupported = 0;

	(void)state;
	for (size_t i = 0; i < volume_driver_count; i++) {
		snprintf(text, sizeof(text), "{\"volume_type\":\"%s\",\"source\":\"serial:s\"," VERITY "}",
			 volume_drivers[i]->type);
		if (volume_drivers[i]->attach) {
			assert_worked(check_volume(text), &err);
			continue;
		}
		unsupported++;
		assert_failed(check_volume(text), &err, ERROR_UNSUPPORTED_VOLUME, "volume_type");
		check_row(strstr(err.message, volume_drivers[i]->type), "%s", err.message);
		assert_int_equal(err.errnum, ENOTSUP);
		/* And it is never attached, were it asked. */
		struct volume_attached attached;
		struct volume_context context = { 0 };
		assert_true(volume_attach(&request, &context, &attached, &err) < 0);
	}
	assert_true(unsupported > 0);
}

static void unknown_types_are_the_sender_s_mistake(void **state)
{
	static const char *const types[] = { "image_raw_blocks", "image_raw_bloc", "IMAGE_RAW_BLOCK", "raw_block", "ignore", " " };
	char text[512];

	(void)state;
	for (size_t i = 0; i < array_count(types); i++) {
		snprintf(text, sizeof(text), "{\"volume_type\":\"%s\",\"source\":\"serial:s\"," VERITY "}", types[i]);
		assert_failed(check_volume(text), &err, ERROR_PARAMS, "volume_type");
	}
	assert_failed(check_volume("{\"volume_type\":\"\",\"source\":\"serial:s\"}"), &err, ERROR_PARAMS, "volume_type");
	assert_failed(check_volume("{\"source\":\"serial:s\"}"), &err, ERROR_PARAMS, "volume_type");
}

static void members_of_an_image(void **state)
{
	static const struct {
		const char *members, *field; /* NULL: accepted */
	} rows[] = {
		{ "\"source\":\"serial:s\"", NULL },
		{ "\"source\":\"/dev/vdb\"", NULL },
		{ "\"source\":\"serial:s\",\"fs_type\":\"erofs\"", NULL },
		{ "\"source\":\"serial:s\",\"fs_type\":\"ext4\"", NULL },
		{ "\"source\":\"serial:s\",\"fs_type\":\"squashfs\"", NULL },
		{ "\"source\":\"serial:s\",\"fs_type\":\"\"", NULL },
		{ "\"source\":\"serial:s\",\"fs_type\":null", NULL },
		{ "\"source\":\"serial:s\",\"options\":[]", NULL },
		{ "\"source\":\"serial:s\",\"options\":[\"ro\"]", NULL },
		{ "\"source\":\"serial:s\",\"options\":[\"ro\",\"ro\"]", NULL },
		{ "\"source\":\"serial:s\",\"options\":null", NULL },
		{ "\"source\":\"serial:s\",\"direct_volume\":null,\"image_pull\":null,\"nydus_image\":null", NULL },
		{ "\"source\":\"serial:s\",\"fs_type\":\"xfs\"", "fs_type" },
		{ "\"source\":\"serial:s\",\"fs_type\":\"ext2\"", "fs_type" },
		{ "\"source\":\"serial:s\",\"fs_type\":\"ext4,suid\"", "fs_type" },
		{ "\"source\":\"serial:s\",\"fs_type\":\"overlay\"", "fs_type" },
		{ "\"source\":\"serial:s\",\"options\":[\"rw\"]", "options[0]" },
		{ "\"source\":\"serial:s\",\"options\":[\"ro\",\"suid\"]", "options[1]" },
		{ "\"source\":\"serial:s\",\"options\":[\"\"]", "options[0]" },
		{ "\"source\":\"serial:s\",\"options\":[\"ro \"]", "options[0]" },
		{ "\"source\":\"serial:s\",\"options\":\"ro\"", "options" },
		{ "\"source\":\"serial:s\",\"direct_volume\":{\"metadata\":{}}", "direct_volume" },
		{ "\"source\":\"serial:s\",\"direct_volume\":{}", "direct_volume" },
		{ "\"source\":\"serial:s\",\"image_pull\":{}", "image_pull" },
		{ "\"source\":\"serial:s\",\"nydus_image\":{}", "nydus_image" },
		{ "\"source\":\"\"", "source" },
		{ "\"source\":null", "source" },
		{ "\"options\":[]", "source" },
	};
	char text[1024];

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		snprintf(text, sizeof(text), "{\"volume_type\":\"image_raw_block\",%s," VERITY "}", rows[i].members);
		int result = check_volume(text);
		check_row((result == 0) == !rows[i].field, "%s: %s: %s", rows[i].members, err.field, err.message);
		if (rows[i].field)
			assert_failed(result, &err, ERROR_PARAMS, rows[i].field);
	}
	assert_failed(check_volume("{\"volume_type\":\"image_raw_block\",\"source\":\"serial:s\"}"), &err, ERROR_PARAMS,
		      "dm_verity");
	assert_failed(check_volume("{\"volume_type\":\"image_raw_block\",\"source\":\"serial:s\",\"dm_verity\":null}"), &err,
		      ERROR_PARAMS, "dm_verity");
}

#define LONGEST_SERIAL "0123456789012345678901234567890123456789012345678901234567890123"

static void devices(void **state)
{
	static const struct {
		const char *source;
		const char *serial, *path; /* both NULL: refused */
	} rows[] = {
		{ "serial:a", "a", NULL },
		{ "serial:image 1", "image 1", NULL },
		{ "serial:/dev/vda", "/dev/vda", NULL },
		{ "serial:" LONGEST_SERIAL, LONGEST_SERIAL, NULL },
		{ "/dev/vda", NULL, "/dev/vda" },
		{ "/dev/nvme0n1", NULL, "/dev/nvme0n1" },
		{ "/dev/disk/by-id/x", NULL, "/dev/disk/by-id/x" }, /* the file itself must be a device node: blockdev_open */
		{ "serial:", NULL, NULL },
		{ "serial:" LONGEST_SERIAL "4", NULL, NULL },
		{ "Serial:a", NULL, NULL },
		{ "serial", NULL, NULL },
		{ "vda", NULL, NULL },
		{ "/", NULL, NULL },
		{ "/dev", NULL, NULL },
		{ "/dev/", NULL, NULL },
		{ "/devices/x", NULL, NULL },
		{ "//dev/vda", NULL, NULL },
		{ "/etc/passwd", NULL, NULL },
		{ "/dev/../etc/passwd", NULL, NULL },
		{ "/dev/x/../vda", NULL, NULL },
		{ "/dev/..", NULL, NULL },
		{ "/dev/mapper/coffer-volume-v", NULL, NULL },
		{ "/dev/dm-0", NULL, NULL },
		/* Other spellings of the same. */
		{ "/dev//mapper/coffer-volume-v", NULL, NULL },
		{ "/dev//dm-0", NULL, NULL },
		{ "/dev/./dm-0", NULL, NULL },
		{ "/dev/./mapper/x", NULL, NULL },
		{ "/dev/012345678901234567890123456789012345678901234567890123456789", NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		const struct virtual_volume volume = { .source = rows[i].source };
		struct blockdev_name name;

		memset(&err, 0, sizeof(err));
		int result = volume_source(&volume, &name, &err);
		if (!rows[i].serial && !rows[i].path) {
			check_row(result < 0, "accepted: %s", rows[i].source);
			assert_failed(result, &err, ERROR_PARAMS, "source");
			continue;
		}
		check_row(result == 0, "%s: %s", rows[i].source, err.message);
		check_row(!name.serial == !rows[i].serial && !name.path == !rows[i].path, "%s", rows[i].source);
		assert_string_equal(name.serial ? name.serial : name.path, rows[i].serial ? rows[i].serial : rows[i].path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_is_whole_and_unique),
		cmocka_unit_test(every_kata_type_is_known),
		cmocka_unit_test_teardown(known_types_without_a_driver_answer_by_name, clean),
		cmocka_unit_test_teardown(unknown_types_are_the_sender_s_mistake, clean),
		cmocka_unit_test_teardown(members_of_an_image, clean),
		cmocka_unit_test(devices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

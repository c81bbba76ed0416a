/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/volume/volume.c agent/volume/virtual_volume.c agent/volume/rules.c agent/volume/mapped.c agent/volume/raw_block.c */
/* links: agent/volume/direct_block.c agent/volume/nydus_config.c agent/volume/nydus_block.c agent/volume/nydus_fs.c */
/* links: agent/volume/erofs_image.c */
/* links: tests/fake/volume_parts.c agent/storage/filesystem.c agent/storage/erofs.c */
/* links: agent/sys/device_ways.c agent/sys/device_tree.c agent/sys/device_pci.c agent/sys/device_scsi.c */
/* The registry of volume types, and what a request's words about a device may be. */
#include "unit/test.h"

#include "coffer/protocol.h"
#include "sys/device_ways.h"
#include "volume/volume.h"

static struct decode_memory memory;
static json_object *json;
static struct volume_attach request;
static struct volume_bases bases;
static bool plain_allowed;
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
	request = (struct volume_attach){ .id = "v", .timeout_ms = 1, .plain_allowed = plain_allowed };
	int result = decode_parse(text, strlen(text), &json, &err);
	if (result == 0)
		result = virtual_volume_decode(json, &request.volume, &parsed, &memory, &err);
	return result == 0 ? volume_check(&request, &bases, &err) : result;
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

/* docs/VOLUMES.md: the rows that begin with a type and "yes" or "no". */
static void the_table_of_the_docs_is_the_registry(void **state)
{
	auto_file file = fopen("docs/VOLUMES.md", "re");
	char line[2048], type[32], attached[8];
	size_t rows = 0;

	(void)state;
	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		size_t row = 0;

		if (sscanf(line, "| `%31[a-z_]` | %7[a-z] |", type, attached) != 2 ||
		    (strcmp(attached, "yes") != 0 && strcmp(attached, "no") != 0))
			continue;
		while (row < volume_driver_count && strcmp(volume_drivers[row]->type, type) != 0)
			row++;
		check_row(row < volume_driver_count, "%s is in docs/VOLUMES.md alone", type);
		check_row(!volume_drivers[row]->attach == (strcmp(attached, "no") == 0), "%s: %s", type, attached);
		for (const char *const *fs = volume_drivers[row]->rules.fs_types; fs && *fs; fs++)
			check_row(strstr(line, *fs), "%s: %s is not in its row", type, *fs);
		rows++;
	}
	assert_int_equal(rows, volume_driver_count);
}

static void known_types_without_a_driver_answer_by_name(void **state)
{
	char text[512];
	size_t unsupported = 0;

	(void)state;
	for (size_t i = 0; i < volume_driver_count; i++) {
		if (volume_drivers[i]->attach)
			continue;
		unsupported++;
		snprintf(text, sizeof(text), "{\"volume_type\":\"%s\",\"source\":\"serial:s\"}", volume_drivers[i]->type);
		assert_failed(check_volume(text), &err, ERROR_UNSUPPORTED_VOLUME, "volume_type");
		check_row(strstr(err.message, volume_drivers[i]->type), "%s", err.message);
		assert_int_equal(err.errnum, ENOTSUP);
		/* And it is never attached, were it asked. */
		struct volume_attached attached;
		struct volume_context context = { 0 };
		assert_true(volume_attach(&request, &context, &attached, &err) < 0);
	}
	assert_int_equal(unsupported, 1);
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
		{ "\"source\":\"serial:s\",\"options\":[\"ro\",\"nodev\",\"nosuid\"]", NULL },
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
	assert_failed(check_volume("{\"volume_type\":\"image_raw_block\",\"source\":\"serial:s\",\"fs_type\":\"erofs\"}"), &err,
		      ERROR_NOT_ALLOWED, "dm_verity");
	assert_failed(
		check_volume(
			"{\"volume_type\":\"layer_raw_block\",\"source\":\"serial:s\",\"fs_type\":\"erofs\",\"dm_verity\":null}"),
		&err, ERROR_NOT_ALLOWED, "dm_verity");
}

struct member_row {
	const char *members; /* of the volume, its type included */
	const char *field;   /* NULL: accepted */
	enum error_code code;
};

static void check_rows(const struct member_row *rows, size_t count)
{
	char text[2048];

	for (size_t i = 0; i < count; i++) {
		snprintf(text, sizeof(text), "{%s}", rows[i].members);
		int result = check_volume(text);
		check_row((result == 0) == !rows[i].field, "%s: %s: %s", rows[i].members, err.field, err.message);
		if (rows[i].field)
			check_row(strcmp(err.field, rows[i].field) == 0 && err.code == rows[i].code, "%s: %s: %s", rows[i].members,
				  err.field, err.message);
	}
}

#define DIRECT         "\"volume_type\":\"direct_block\",\"source\":\"/dev/sdb\",\"fs_type\":\"ext4\""
#define OPTIONS(words) DIRECT ",\"options\":[" words "]"
#define GROUP(pairs)   DIRECT ",\"direct_volume\":{\"metadata\":{" pairs "}}"
#define METADATA(key)  "direct_volume.metadata" key

static void members_of_a_plain_disk(void **state)
{
	static const struct member_row rows[] = {
		{ DIRECT, NULL, 0 },
		{ OPTIONS("\"rw\""), NULL, 0 },
		{ OPTIONS("\"ro\",\"noexec\",\"nosuid\",\"nodev\",\"noatime\",\"nodiratime\",\"dirsync\""), NULL, 0 },
		{ OPTIONS("\"rw\",\"exec\",\"relatime\",\"lazytime\",\"sync\",\"discard\""), NULL, 0 },
		{ OPTIONS("\"strictatime\",\"async\""), NULL, 0 },
		{ OPTIONS("\"ro\",\"rw\""), "options[0]", ERROR_PARAMS },
		{ OPTIONS("\"noexec\",\"exec\""), "options[0]", ERROR_PARAMS },
		{ OPTIONS("\"sync\",\"async\""), "options[0]", ERROR_PARAMS },
		{ OPTIONS("\"noatime\",\"strictatime\""), "options[1]", ERROR_PARAMS },
		{ OPTIONS("\"suid\""), "options[0]", ERROR_PARAMS },
		{ OPTIONS("\"dev\""), "options[0]", ERROR_PARAMS },
		{ OPTIONS("\"rw\",\"data=writeback\""), "options[1]", ERROR_PARAMS },
		{ OPTIONS("\"rw,suid\""), "options[0]", ERROR_PARAMS },
		{ OPTIONS("\"\""), "options[0]", ERROR_PARAMS },
		{ OPTIONS("\"RO\""), "options[0]", ERROR_PARAMS },
		{ OPTIONS("\"loop\""), "options[0]", ERROR_PARAMS },
		{ OPTIONS("\"remount\""), "options[0]", ERROR_PARAMS },
		{ "\"volume_type\":\"direct_block\",\"source\":\"/dev/sdb\",\"fs_type\":\"xfs\"", NULL, 0 },
		{ "\"volume_type\":\"direct_block\",\"source\":\"/dev/sdb\",\"fs_type\":\"vfat\"", "fs_type", ERROR_PARAMS },
		{ "\"volume_type\":\"direct_block\",\"source\":\"/dev/sdb\",\"fs_type\":\"\"", "fs_type", ERROR_PARAMS },
		{ "\"volume_type\":\"direct_block\",\"fs_type\":\"ext4\"", "source", ERROR_PARAMS },
		{ DIRECT "," VERITY, "dm_verity", ERROR_PARAMS },
		{ DIRECT ",\"nydus_image\":{}", "nydus_image", ERROR_PARAMS },
		{ DIRECT ",\"direct_volume\":{}", NULL, 0 },
		{ DIRECT ",\"direct_volume\":{\"other\":1}", "direct_volume.other", ERROR_PARAMS },
		{ GROUP("\"key\":\"value\""), NULL, 0 },
		{ GROUP("\"fsGroup\":\"1000\""), NULL, 0 },
		{ GROUP("\"fsGroup\":\"0\",\"fsGroupChangePolicy\":\"Always\""), NULL, 0 },
		{ GROUP("\"fsGroup\":\"4294967294\",\"fsGroupChangePolicy\":\"OnRootMismatch\""), NULL, 0 },
		{ GROUP("\"fsGroup\":\"4294967295\""), METADATA(".fsGroup"), ERROR_PARAMS }, /* chown(2): "leave it" */
		{ GROUP("\"fsGroup\":\"-1\""), METADATA(".fsGroup"), ERROR_PARAMS },
		{ GROUP("\"fsGroup\":\"\""), METADATA(".fsGroup"), ERROR_PARAMS },
		{ GROUP("\"fsGroup\":\" 5\""), METADATA(".fsGroup"), ERROR_PARAMS },
		{ GROUP("\"fsGroup\":\"5x\""), METADATA(".fsGroup"), ERROR_PARAMS },
		{ GROUP("\"fsGroup\":\"staff\""), METADATA(".fsGroup"), ERROR_PARAMS },
		{ GROUP("\"fsGroup\":\"18446744073709551617\""), METADATA(".fsGroup"), ERROR_PARAMS },
		{ GROUP("\"fsGroup\":5"), "direct_volume.metadata.fsGroup", ERROR_PARAMS },
		{ GROUP("\"fsgroup\":\"5\""), METADATA(""), ERROR_PARAMS },
		{ GROUP("\"FSGroupChangePolicy\":\"Always\""), METADATA(""), ERROR_PARAMS },
		{ GROUP("\"fsGroup\":\"5\",\"fsGroupChangePolicy\":\"Never\""), METADATA(".fsGroupChangePolicy"), ERROR_PARAMS },
		{ GROUP("\"fsGroupChangePolicy\":\"Always\""), METADATA(".fsGroupChangePolicy"), ERROR_PARAMS },
		{ GROUP("\"fsGroup\":\"5\"") ",\"options\":[\"ro\"]", METADATA(".fsGroup"), ERROR_PARAMS },
	};

	(void)state;
	plain_allowed = false;
	assert_failed(check_volume("{" DIRECT "}"), &err, ERROR_NOT_ALLOWED, "volume_type");
	assert_non_null(strstr(err.message, "coffer.plain_storage=allow"));
	plain_allowed = true;
	check_rows(rows, array_count(rows));
	plain_allowed = false;
}

#define NYDUS           "\"volume_type\":\"layer_nydus_block\",\"source\":\"serial:b\",\"fs_type\":\"rafsv6\"," VERITY
#define CONFIG(escaped) NYDUS ",\"nydus_image\":{\"config\":\"" escaped "\"}"
#define Q               "\\\""
#define BLOB_VERITY                                                                                                                \
	Q "dm_verity" Q ":{" Q "hashtype" Q ":" Q "sha256" Q "," Q "hash" Q ":" Q                                                  \
	  "9de18652fe74edfb9b805aaed72ae2aa48f94333f1ba5c452ac33b1c39325174" Q "," Q "blocknum" Q ":8," Q "blocksize" Q ":4096," Q \
	  "hashsize" Q ":4096," Q "offset" Q ":32768}"
#define BLOBS "nydus_image.config.blobs"

static void members_of_a_bootstrap_on_a_device(void **state)
{
	static const struct member_row rows[] = {
		{ NYDUS, NULL, 0 },
		{ "\"volume_type\":\"image_nydus_block\",\"source\":\"serial:b\",\"fs_type\":\"erofs\"," VERITY, NULL, 0 },
		{ "\"volume_type\":\"image_nydus_block\",\"source\":\"serial:b\",\"fs_type\":\"rafsv6\"", "dm_verity",
		  ERROR_NOT_ALLOWED },
		{ "\"volume_type\":\"image_nydus_block\",\"source\":\"serial:b\"," VERITY, "fs_type", ERROR_PARAMS },
		{ "\"volume_type\":\"image_nydus_block\",\"source\":\"serial:b\",\"fs_type\":\"rafsv5\"," VERITY, "fs_type",
		  ERROR_UNSUPPORTED_VOLUME },
		{ "\"volume_type\":\"image_nydus_block\",\"source\":\"serial:b\",\"fs_type\":\"squashfs\"," VERITY, "fs_type",
		  ERROR_PARAMS },
		{ NYDUS ",\"options\":[\"ro\"]", NULL, 0 },
		{ NYDUS ",\"options\":[\"rw\"]", "options[0]", ERROR_PARAMS },
		{ NYDUS ",\"nydus_image\":{\"config\":\"\",\"snapshot_dir\":\"\"}", NULL, 0 },
		{ NYDUS ",\"nydus_image\":{\"snapshot_dir\":\"/var/lib/nydus\"}", "nydus_image.snapshot_dir", ERROR_PARAMS },
		{ NYDUS ",\"nydus_image\":{\"other\":1}", "nydus_image.other", ERROR_PARAMS },
		{ NYDUS ",\"direct_volume\":{}", "direct_volume", ERROR_PARAMS },
		{ CONFIG("{" Q "blobs" Q ":[]}"), NULL, 0 },
		{ CONFIG("{" Q "blobs" Q ":[{" Q "source" Q ":" Q "serial:x" Q "," BLOB_VERITY "}]}"), NULL, 0 },
		{ CONFIG("{" Q "blobs" Q ":[{" Q "id" Q ":" Q "a" Q "," Q "source" Q ":" Q "/dev/vdc" Q "," BLOB_VERITY "}]}"),
		  NULL, 0 },
		{ CONFIG("{" Q "blobs" Q ":[{" Q "source" Q ":" Q "serial:x" Q "}]}"), BLOBS "[0].dm_verity", ERROR_NOT_ALLOWED },
		{ CONFIG("{" Q "blobs" Q ":[{" BLOB_VERITY "}]}"), BLOBS "[0].source", ERROR_PARAMS },
		{ CONFIG("{" Q "blobs" Q ":[{" Q "path" Q ":" Q "x" Q "}]}"), BLOBS "[0].path", ERROR_PARAMS },
		{ CONFIG("{" Q "blobs" Q ":[{" Q "source" Q ":" Q "/etc/passwd" Q "," BLOB_VERITY "}]}"), BLOBS "[0].source",
		  ERROR_PARAMS },
		{ CONFIG("{" Q "device" Q ":{}}"), "nydus_image.config.device", ERROR_PARAMS },
		{ CONFIG("{" Q "version" Q ":2}"), "nydus_image.config.version", ERROR_PARAMS },
		{ CONFIG("{}"), BLOBS, ERROR_PARAMS },
		{ CONFIG("/etc/nydus/config.json"), "nydus_image.config", ERROR_PARAMS },
		{ CONFIG("[]"), "nydus_image.config", ERROR_PARAMS },
	};

	(void)state;
	check_rows(rows, array_count(rows));
	plain_allowed = true;
	assert_worked(check_volume("{\"volume_type\":\"image_nydus_block\",\"source\":\"serial:b\",\"fs_type\":\"rafsv6\"}"), &err);
	plain_allowed = false;
}

#define FILES(source) "\"volume_type\":\"image_nydus_fs\",\"source\":\"" source "\",\"fs_type\":\"rafsv6\""
#define FOLDER(text)  FILES("volume:base/boot") ",\"nydus_image\":{\"snapshot_dir\":\"" text "\"}"

static void members_of_a_bootstrap_in_a_volume(void **state)
{
	static const struct member_row rows[] = {
		{ FILES("volume:base/bootstrap"), NULL, 0 },
		{ FILES("volume:base/a/../b"), NULL, 0 }, /* resolved within the volume */
		{ FILES("volume:base/"), "source", ERROR_PARAMS },
		{ FILES("volume:base"), "source", ERROR_PARAMS },
		{ FILES("volume:/x"), "source", ERROR_PARAMS },
		{ FILES("volume:../x"), "source", ERROR_PARAMS },
		{ FILES("volume:a b/x"), "source", ERROR_PARAMS },
		{ FILES("/run/coffer/volume/base/x"), "source", ERROR_PARAMS },
		{ FILES("serial:s"), "source", ERROR_PARAMS },
		{ FOLDER("volume:base/blobs"), NULL, 0 },
		{ FOLDER("volume:other/blobs"), NULL, 0 },
		{ FOLDER("/var/lib/nydus"), "nydus_image.snapshot_dir", ERROR_PARAMS },
		{ FILES("volume:base/x") "," VERITY, "dm_verity", ERROR_PARAMS },
		{ FILES("volume:base/x") ",\"nydus_image\":{\"config\":\"{" Q "blobs" Q ":[{" Q "path" Q ":" Q "b" Q "}]}\"}",
		  "nydus_image.snapshot_dir", ERROR_PARAMS },
		{ FILES("volume:base/x") ",\"nydus_image\":{\"snapshot_dir\":\"volume:base/d\",\"config\":\"{" Q "blobs" Q ":[{" Q
					 "path" Q ":" Q "b" Q "}]}\"}",
		  NULL, 0 },
		{ FILES("volume:base/x") ",\"nydus_image\":{\"snapshot_dir\":\"volume:base/d\",\"config\":\"{" Q "blobs" Q ":[{" Q
					 "source" Q ":" Q "serial:b" Q "}]}\"}",
		  BLOBS "[0].source", ERROR_PARAMS },
	};

	(void)state;
	check_rows(rows, array_count(rows));
	/* What it stands on is told, so that it is counted. */
	assert_worked(check_volume("{" FOLDER("volume:other/blobs") "}"), &err);
	assert_int_equal(bases.count, 2);
	assert_string_equal(bases.ids[0], "base");
	assert_string_equal(bases.ids[1], "other");
	assert_string_equal(bases.fields[1], "nydus_image.snapshot_dir");
}

#define LONGEST_SERIAL "0123456789012345678901234567890123456789012345678901234567890123"

static void devices(void **state)
{
	static const struct {
		const char *source;
		bool good;
	} rows[] = {
		{ "serial:a", true },
		{ "serial:image 1", true },
		{ "serial:/dev/vda", true },
		{ "serial:" LONGEST_SERIAL, true },
		{ "/dev/vda", true },
		{ "/dev/nvme0n1", true },
		{ "/dev/disk/by-id/x", true }, /* the file itself must be a device node: blockdev_open */
		{ "pci:02/03", true },
		{ "scsi:0:1#2", true },
		{ "hyperv:0:1", true },
		{ "serial:a#c12a7328-f81f-11d2-ba4b-00a0c93ec93b", true },
		{ "pci:20", false },
		{ "hyperv:4:0", false },
		{ "serial:a#0", false },
		{ "serial:", false },
		{ "serial:" LONGEST_SERIAL "4", false },
		{ "Serial:a", false },
		{ "serial", false },
		{ "vda", false },
		{ "/", false },
		{ "/dev", false },
		{ "/dev/", false },
		{ "/devices/x", false },
		{ "//dev/vda", false },
		{ "/etc/passwd", false },
		{ "/dev/../etc/passwd", false },
		{ "/dev/x/../vda", false },
		{ "/dev/..", false },
		{ "/dev/mapper/coffer-volume-v", false },
		{ "/dev/dm-0", false },
		/* Other spellings of the same. */
		{ "/dev//mapper/coffer-volume-v", false },
		{ "/dev//dm-0", false },
		{ "/dev/./dm-0", false },
		{ "/dev/./mapper/x", false },
		{ "/dev/012345678901234567890123456789012345678901234567890123456789", false },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		struct device_wanted wanted;
		struct blockdev_name name;

		memset(&err, 0, sizeof(err));
		int result = volume_source(rows[i].source, &name, &err);
		if (!rows[i].good) {
			check_row(result < 0, "accepted: %s", rows[i].source);
			assert_failed(result, &err, ERROR_PARAMS, "source");
			continue;
		}
		check_row(result == 0, "%s: %s", rows[i].source, err.message);
		/* In the worker it is read once more. */
		assert_worked(device_ways_read(&name, &wanted, &err), &err);
		check_row(strstr(rows[i].source, wanted.text), "%s", rows[i].source);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_is_whole_and_unique),
		cmocka_unit_test(every_kata_type_is_known),
		cmocka_unit_test(the_table_of_the_docs_is_the_registry),
		cmocka_unit_test_teardown(known_types_without_a_driver_answer_by_name, clean),
		cmocka_unit_test_teardown(unknown_types_are_the_sender_s_mistake, clean),
		cmocka_unit_test_teardown(members_of_an_image, clean),
		cmocka_unit_test_teardown(members_of_a_plain_disk, clean),
		cmocka_unit_test_teardown(members_of_a_bootstrap_on_a_device, clean),
		cmocka_unit_test_teardown(members_of_a_bootstrap_in_a_volume, clean),
		cmocka_unit_test(devices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

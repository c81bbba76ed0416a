/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/volume/volume.c agent/volume/virtual_volume.c tests/fake/raw_block_parts.c agent/volume/raw_block.c */
/* links: agent/storage/filesystem.c */
/* fuzz: -max_len=4096 */
/*
 * A Kata virtual volume from its wire form to the parameters of dm-verity.  The first byte says how the rest comes: as the JSON
 * object, as the option string, or as JSON that is put into base64 here (so that the fuzzer can work on the JSON).
 */
#include "fuzz/fuzz.h"

#include <string.h>

#include "base/text.h"
#include "volume/volume.h"

/* What the kernel is told must fit, be aligned, and lie behind the data. */
static void check_verity(const struct verity *verity)
{
	must_hold(verity->blocks >= 1 && verity->blocks <= UINT32_MAX);
	must_hold(verity->block_size >= 512 && verity->block_size <= 4096);
	must_hold(verity->hash_block_size >= 512 && verity->hash_block_size <= 4096);
	must_hold((verity->block_size & (verity->block_size - 1)) == 0);
	must_hold((verity->hash_block_size & (verity->hash_block_size - 1)) == 0);
	must_hold(verity->hash_offset % verity->hash_block_size == 0);
	must_hold(verity->hash_offset >= verity->blocks * verity->block_size);
	must_hold(verity->hash_offset <= INT64_MAX);
	must_hold(verity->hash_type <= 1);
	must_hold(verity->salt_size <= VERITY_SALT_MAX);
	must_hold((strcmp(verity->algorithm, "sha256") == 0 && verity->root_size == 32) ||
		  (strcmp(verity->algorithm, "sha512") == 0 && verity->root_size == 64));
}

static void check_accepted(const struct volume_attach *request)
{
	struct blockdev_name name;
	struct verity verity;
	struct error err;

	must_hold(strcmp(request->volume.volume_type, "image_raw_block") == 0);
	must_hold(virtual_volume_verity(&request->volume, &verity, &err) == 0);
	check_verity(&verity);
	must_hold(volume_source(&request->volume, &name, &err) == 0);
	must_hold(!name.serial != !name.path);
	if (name.path)
		must_hold(strncmp(name.path, "/dev/", 5) == 0 && !strstr(name.path, "..") && !strstr(name.path, "//") &&
			  strncmp(name.path, "/dev/mapper/", 12) != 0);
	for (size_t i = 0; i < request->volume.options.count; i++)
		must_hold(strcmp(((const char *const *)request->volume.options.items)[i], "ro") == 0);
}

static json_object *as_json(uint8_t form, const char *text, size_t size)
{
	json_object *json = NULL;
	struct error err;

	if (form % 4 == 0)
		return decode_parse(text, size, &json, &err) == 0 ? json : NULL;
	if (form % 4 == 1)
		return json_object_new_string_len(text, (int)size);
	char *base64 = malloc(size * 2 + 64);
	size_t used = form % 4 == 2 ? 0 : strlen(VIRTUAL_VOLUME_OPTION);
	memcpy(base64, VIRTUAL_VOLUME_OPTION, used);
	text_to_base64((const uint8_t *)text, size, base64 + used);
	json = json_object_new_string(base64);
	free(base64);
	return json;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct volume_attach request = { .id = "v", .timeout_ms = 1 };
	struct decode_memory memory = { 0 };
	json_object *parsed = NULL;
	struct error err = { 0 };

	if (size < 1)
		return 0;
	json_object *json = as_json(data[0], (const char *)data + 1, size - 1);
	int result = virtual_volume_decode(json, &request.volume, &parsed, &memory, &err);
	if (result == 0)
		result = volume_check(&request, &err);
	if (result == 0)
		check_accepted(&request);
	else
		must_hold((err.code == ERROR_PARAMS || err.code == ERROR_UNSUPPORTED_VOLUME) && err.message[0] != '\0');
	json_object_put(json);
	json_object_put(parsed);
	decode_free(&memory);
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/volume/volume.c agent/volume/virtual_volume.c agent/volume/rules.c agent/volume/mapped.c agent/volume/raw_block.c */
/* links: agent/volume/direct_block.c agent/volume/nydus_config.c agent/volume/nydus_block.c agent/volume/nydus_fs.c */
/* links: agent/volume/erofs_image.c */
/* links: tests/fake/volume_parts.c agent/storage/filesystem.c agent/storage/erofs.c */
/* links: agent/sys/device_ways.c agent/sys/device_tree.c agent/sys/device_pci.c agent/sys/device_scsi.c */
/* fuzz: -max_len=4096 */
/*
 * A Kata virtual volume from its wire form to the parameters of dm-verity.  The first byte says how the rest comes: as the JSON
 * object, as the option string, or as JSON that is put into base64 here (so that the fuzzer can work on the JSON); and whether
 * plain storage is allowed.
 */
#include "fuzz/fuzz.h"

#include <string.h>

#include "base/text.h"
#include "sys/device_ways.h"
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
	must_hold(!verity->fec_roots == !verity->fec_offset);
	must_hold(!verity->fec_roots || verity->fec_offset > verity->hash_offset);
	must_hold(verity->signature_size <= VERITY_SIGNATURE_MAX);
}

static void check_source(const struct volume_attach *request, const struct volume_bases *bases)
{
	struct blockdev_name name;
	struct device_wanted wanted;
	struct error err;

	if (strstr(request->volume.volume_type, "_nydus_fs")) {
		must_hold(bases->count >= 1 && bases->count <= VOLUME_BASES_MAX);
		for (size_t i = 0; i < bases->count; i++)
			must_hold(decode_check_id(bases->ids[i], &err) == 0 && bases->fields[i]);
		return;
	}
	must_hold(bases->count == 0);
	must_hold(volume_source(request->volume.source, &name, &err) == 0);
	must_hold(device_ways_read(&name, &wanted, &err) == 0);
	must_hold(wanted.way && wanted.way->check(wanted.text, &err) == 0);
	must_hold(wanted.partition <= DEVICE_WAYS_PARTITION_MAX && !(wanted.partition && wanted.partuuid[0]));
	must_hold(wanted.partuuid[0] == '\0' || strlen(wanted.partuuid) == DEVICE_WAYS_PARTUUID);
	if (strcmp(wanted.way->name, "path") == 0)
		must_hold(strncmp(wanted.text, "/dev/", 5) == 0 && !strstr(wanted.text, "/.") && !strstr(wanted.text, "//") &&
			  strncmp(wanted.text, "/dev/mapper/", 12) != 0);
}

static void check_accepted(const struct volume_attach *request, const struct volume_bases *bases)
{
	const struct virtual_volume *volume = &request->volume;
	struct verity verity;
	struct error err;

	if (volume->has_dm_verity) {
		must_hold(virtual_volume_verity(&volume->dm_verity, &verity, &err) == 0);
		check_verity(&verity);
	} else {
		must_hold(request->plain_allowed || strstr(volume->volume_type, "_nydus_fs"));
	}
	check_source(request, bases);
	for (size_t i = 0; i < volume->options.count; i++) {
		const char *option = ((const char *const *)volume->options.items)[i];

		must_hold(!strpbrk(option, ",= ") && strlen(option) < 16);
	}
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
	struct volume_bases bases;
	json_object *parsed = NULL;
	struct error err = { 0 };

	if (size < 1)
		return 0;
	request.plain_allowed = data[0] & 0x80;
	json_object *json = as_json(data[0], (const char *)data + 1, size - 1);
	int result = virtual_volume_decode(json, &request.volume, &parsed, &memory, &err);
	if (result == 0)
		result = volume_check(&request, &bases, &err);
	if (result == 0)
		check_accepted(&request, &bases);
	else
		must_hold((err.code == ERROR_PARAMS || err.code == ERROR_UNSUPPORTED_VOLUME || err.code == ERROR_NOT_ALLOWED) &&
			  err.message[0] != '\0');
	json_object_put(json);
	json_object_put(parsed);
	decode_free(&memory);
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: qemu/oci_config.c qemu/oci_blob.c qemu/fail.c */
/* fuzz: -max_len=8192 */
/* The config of an OCI image, and what becomes of it on a command line of a few words. */
#include "fuzz/fuzz.h"

#include <string.h>

#include "coffer/protocol.h"
#include "qemu/oci_config.h"

static void check(const struct oci_config *config, struct decode_memory *memory)
{
	char *rest[] = { (char[]){ "word" }, NULL };
	const struct options options = { .rest = rest, .rest_count = 1, .env = { .items = { "A=1" }, .count = 1 } };
	const char *const *diff_ids = config->rootfs.diff_ids.items;
	struct options own;
	struct error err;

	must_hold(config->os && config->architecture && strcmp(config->rootfs.type, "layers") == 0);
	for (size_t i = 0; i < config->rootfs.diff_ids.count; i++)
		must_hold(strlen(diff_ids[i]) == 71 && !strchr(diff_ids[i], '/') && !strchr(diff_ids[i], '.'));
	if (oci_config_apply(config, &options, &own, memory, &err) < 0) {
		must_hold(config->run.env.count == OPTIONS_LIST_MAX);
		return;
	}
	must_hold(own.rest_count == config->run.entrypoint.count + 1 && !own.rest[own.rest_count]);
	must_hold(own.rest[own.rest_count - 1] == rest[0]);
	must_hold(own.env.count == config->run.env.count + 1 && strcmp(own.env.items[own.env.count - 1], "A=1") == 0);
	for (size_t i = 0; i < own.env.count; i++)
		must_hold(strchr(own.env.items[i], '=') > own.env.items[i]);
	must_hold(!own.cwd || own.cwd[0] == '/');
	must_hold(!own.user || own.user[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct decode_memory memory = { 0 };
	struct oci_config config;
	json_object *json;
	struct error err = { 0 };

	if (decode_parse((const char *)data, size, &json, &err) < 0)
		return 0;
	if (oci_config_decode(json, "config", &config, &memory, &err) == 0)
		check(&config, &memory);
	else
		must_hold(err.code == ERROR_HOST && strncmp(err.message, "config: ", 8) == 0);
	decode_free(&memory);
	json_object_put(json);
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/rpc/params.c agent/sys/device_ways.c agent/sys/device_tree.c agent/sys/device_pci.c agent/sys/device_scsi.c */
/* links: agent/storage/integrity_layout.c agent/storage/scratch_plan.c */
/* The `params` of every method, as docs/PROTOCOL.md has them. */
#include "unit/test.h"

#include "coffer/protocol.h"
#include "rpc/params.h"

#define LONGEST "0123456789012345678901234567890123456789012345678901234567890123"

static const struct {
	const struct decode_schema *schema;
	const char *params, *field; /* NULL: accepted */
} rows[] = {
	{ &params_none, "{}", NULL },
	{ &params_none, "{\"x\":1}", "x" },
	{ &params_none, "{\"x\":null}", "x" },
	{ &params_shutdown, "{}", NULL },
	{ &params_shutdown, "{\"reboot\":true}", NULL },
	{ &params_shutdown, "{\"reboot\":1}", "reboot" },
	{ &params_id, "{\"id\":\"a\"}", NULL },
	{ &params_id, "{\"id\":\"" LONGEST "\"}", NULL },
	{ &params_id, "{\"id\":\"" LONGEST "4\"}", "id" },
	{ &params_id, "{}", "id" },
	{ &params_id, "{\"id\":null}", "id" },
	{ &params_id, "{\"id\":\"\"}", "id" },
	{ &params_id, "{\"id\":1}", "id" },
	{ &params_id, "{\"id\":\"..\"}", "id" },
	{ &params_id, "{\"id\":\"a/b\"}", "id" },
	{ &params_id, "{\"id\":\"a\",\"force\":true}", "force" },
	{ &params_volume, "{\"id\":\"v\",\"volume\":{}}", NULL },
	{ &params_volume, "{\"id\":\"v\",\"volume\":\"x\",\"timeout_ms\":600000}", NULL },
	{ &params_volume, "{\"id\":\"v\"}", "volume" },
	{ &params_volume, "{\"id\":\"v\",\"volume\":null}", "volume" },
	{ &params_volume, "{\"id\":\"v\",\"volume\":{},\"timeout_ms\":0}", "timeout_ms" },
	{ &params_volume, "{\"id\":\"v\",\"volume\":{},\"timeout_ms\":600001}", "timeout_ms" },
	{ &params_volume, "{\"id\":\"v\",\"volume\":{},\"timeout_ms\":-1}", "timeout_ms" },
	{ &params_scratch, "{\"id\":\"s\",\"device\":{\"serial\":\"x\"}}", NULL },
	{ &params_scratch, "{\"id\":\"s\",\"device\":{\"path\":\"/dev/vdb\"},\"timeout_ms\":1}", NULL },
	{ &params_scratch, "{\"id\":\"s\",\"device\":{\"serial\":\"x\",\"path\":null}}", NULL },
	{ &params_scratch, "{\"id\":\"s\",\"device\":{}}", "device" },
	{ &params_scratch, "{\"id\":\"s\",\"device\":{\"serial\":null}}", "device" },
	{ &params_scratch, "{\"id\":\"s\",\"device\":{\"serial\":\"x\",\"path\":\"/dev/vdb\"}}", "device" },
	{ &params_scratch, "{\"id\":\"s\",\"device\":{\"serial\":\"\"}}", "device.serial" },
	{ &params_scratch, "{\"id\":\"s\",\"device\":{\"serial\":\"" LONGEST "4\"}}", "device.serial" },
	{ &params_scratch, "{\"id\":\"s\",\"device\":{\"uuid\":\"x\"}}", "device.uuid" },
	{ &params_scratch, "{\"id\":\"s\",\"device\":\"/dev/vdb\"}", "device" },
	{ &params_scratch, "{\"id\":\"s\"}", "device" },
	{ &params_scratch, "{\"id\":\"s\",\"device\":{\"pci\":\"02/03\"}}", NULL },
	{ &params_scratch, "{\"id\":\"s\",\"device\":{\"scsi\":\"0:1\",\"partition\":128}}", NULL },
	{ &params_scratch, "{\"id\":\"s\",\"device\":{\"hyperv\":\"3:0\",\"partuuid\":\"c12a7328-f81f-11d2-ba4b-00a0c93ec93b\"}}",
	  NULL },
	{ &params_scratch, "{\"id\":\"s\",\"device\":{\"pci\":\"20\"}}", "device.pci" },
	{ &params_scratch, "{\"id\":\"s\",\"device\":{\"pci\":\"\"}}", "device.pci" },
	{ &params_scratch, "{\"id\":\"s\",\"device\":{\"scsi\":\"0:0:0:1\"}}", "device.scsi" },
	{ &params_scratch, "{\"id\":\"s\",\"device\":{\"scsi\":1}}", "device.scsi" },
	{ &params_scratch, "{\"id\":\"s\",\"device\":{\"hyperv\":\"4:0\"}}", "device.hyperv" },
	{ &params_scratch, "{\"id\":\"s\",\"device\":{\"path\":\"/etc/passwd\"}}", "device.path" },
	{ &params_scratch, "{\"id\":\"s\",\"device\":{\"pci\":\"02\",\"partition\":0}}", "device.partition" },
	{ &params_scratch, "{\"id\":\"s\",\"device\":{\"pci\":\"02\",\"partition\":129}}", "device.partition" },
	{ &params_scratch, "{\"id\":\"s\",\"device\":{\"pci\":\"02\",\"partuuid\":\"x\"}}", "device.partuuid" },
	{ &params_scratch, "{\"id\":\"s\",\"device\":{\"partition\":1}}", "device" },
	{ &params_scratch, "{\"id\":\"s\",\"device\":{\"pci\":\"02\",\"scsi\":\"0:1\"}}", "device" },
	{ &params_scratch, "{\"id\":\"s\",\"device\":{\"source\":\"/dev/vdb\"}}", "device.source" },
	{ &params_scratch,
	  "{\"id\":\"s\",\"device\":{\"serial\":\"x\"},\"use\":\"swap\",\"cipher\":\"aegis128\",\"size\":16777216}", NULL },
	{ &params_scratch, "{\"id\":\"s\",\"device\":{\"serial\":\"x\"},\"use\":\"filesystem\",\"cipher\":\"aes-xts-hmac-sha256\"}",
	  NULL },
	{ &params_scratch, "{\"id\":\"s\",\"device\":{\"serial\":\"x\"},\"use\":\"\"}", "use" },
	{ &params_scratch, "{\"id\":\"s\",\"device\":{\"serial\":\"x\"},\"use\":\"Swap\"}", "use" },
	{ &params_scratch, "{\"id\":\"s\",\"device\":{\"serial\":\"x\"},\"cipher\":\"\"}", "cipher" },
	{ &params_scratch, "{\"id\":\"s\",\"device\":{\"serial\":\"x\"},\"cipher\":\"aes-gcm \"}", "cipher" },
	{ &params_scratch, "{\"id\":\"s\",\"device\":{\"serial\":\"x\"},\"cipher\":1}", "cipher" },
	{ &params_scratch, "{\"id\":\"s\",\"device\":{\"serial\":\"x\"},\"size\":0}", "size" },
	{ &params_scratch, "{\"id\":\"s\",\"device\":{\"serial\":\"x\"},\"size\":16773120}", "size" },
	{ &params_scratch, "{\"id\":\"s\",\"device\":{\"serial\":\"x\"},\"size\":16777728}", "size" },
	{ &params_scratch, "{\"id\":\"s\",\"device\":{\"serial\":\"x\"},\"size\":1152921504606851072}", "size" },
	{ &params_scratch, "{\"id\":\"s\",\"device\":{\"serial\":\"x\"},\"size\":\"1G\"}", "size" },
	{ &params_rootfs, "{\"id\":\"r\",\"lower\":[\"v\"],\"scratch\":\"s\"}", NULL },
	{ &params_rootfs, "{\"id\":\"r\",\"lower\":[\"v\",\"w\"],\"scratch\":\"s\"}", NULL },
	{ &params_rootfs, "{\"id\":\"r\",\"lower\":[],\"scratch\":\"s\"}", "lower" },
	{ &params_rootfs, "{\"id\":\"r\",\"lower\":null,\"scratch\":\"s\"}", "lower" },
	{ &params_rootfs, "{\"id\":\"r\",\"lower\":[\"v\",\"\"],\"scratch\":\"s\"}", "lower[1]" },
	{ &params_rootfs, "{\"id\":\"r\",\"lower\":[\"v:w\"],\"scratch\":\"s\"}", "lower[0]" },
	{ &params_rootfs, "{\"id\":\"r\",\"lower\":[\"../v\"],\"scratch\":\"s\"}", "lower[0]" },
	{ &params_rootfs, "{\"id\":\"r\",\"lower\":\"v\",\"scratch\":\"s\"}", "lower" },
	{ &params_rootfs, "{\"id\":\"r\",\"lower\":[\"v\"]}", "scratch" },
	{ &params_container, "{\"id\":\"c\",\"rootfs\":\"r\",\"config\":{},\"process\":{}}", NULL },
	{ &params_container, "{\"id\":\"c\",\"rootfs\":\"r\",\"config\":{}}", "process" },
	{ &params_container, "{\"id\":\"c\",\"rootfs\":\"r\",\"process\":{}}", "config" },
	{ &params_container, "{\"id\":\"c\",\"rootfs\":\"r\"}", "config" },
	{ &params_container, "{\"id\":\"c\",\"rootfs\":\"r\",\"spec\":{}}", NULL },
	{ &params_container, "{\"id\":\"c\",\"rootfs\":\"r\",\"spec\":{},\"config\":null}", NULL },
	{ &params_container, "{\"id\":\"c\",\"rootfs\":\"r\",\"spec\":{},\"config\":{}}", "config" },
	{ &params_container, "{\"id\":\"c\",\"rootfs\":\"r\",\"spec\":{},\"process\":{}}", "process" },
	{ &params_container, "{\"id\":\"c\",\"rootfs\":\"r\",\"spec\":{},\"config\":{},\"process\":{}}", "config" },
	{ &params_container, "{\"id\":\"c\",\"rootfs\":\"r\",\"spec\":null}", "config" },
	{ &params_container, "{\"id\":\"c\",\"config\":{},\"process\":{}}", "rootfs" },
	{ &params_container, "{\"id\":\"c\",\"rootfs\":\"/r\",\"config\":{},\"process\":{}}", "rootfs" },
	{ &params_container, "{\"id\":\"c\",\"rootfs\":\"r\",\"config\":{},\"process\":{},\"exec\":\"e\"}", "exec" },
	{ &params_exec, "{\"id\":\"c\",\"exec\":\"e\",\"process\":{}}", NULL },
	{ &params_exec, "{\"id\":\"c\",\"process\":{}}", "exec" },
	{ &params_exec, "{\"id\":\"c\",\"exec\":\"\",\"process\":{}}", "exec" },
	{ &params_exec, "{\"id\":\"c\",\"exec\":\"e\"}", "process" },
	{ &params_signal, "{\"id\":\"c\",\"signal\":9}", NULL },
	{ &params_signal, "{\"id\":\"c\",\"exec\":\"e\",\"signal\":\"TERM\"}", NULL },
	{ &params_signal, "{\"id\":\"c\",\"exec\":null,\"signal\":\"TERM\",\"all\":true}", NULL },
	{ &params_signal, "{\"id\":\"c\",\"exec\":\"\",\"signal\":9}", "exec" },
	{ &params_signal, "{\"id\":\"c\"}", "signal" },
	{ &params_signal, "{\"id\":\"c\",\"signal\":9,\"all\":\"yes\"}", "all" },
	{ &params_wait, "{\"id\":\"c\"}", NULL },
	{ &params_wait, "{\"id\":\"c\",\"exec\":\"e\"}", NULL },
	{ &params_wait, "{\"id\":\"c\",\"timeout\":5}", "timeout" },
	{ &params_resize, "{\"id\":\"c\",\"width\":80,\"height\":0}", NULL },
	{ &params_resize, "{\"id\":\"c\",\"width\":65535,\"height\":65535}", NULL },
	{ &params_resize, "{\"id\":\"c\",\"width\":65536,\"height\":1}", "width" },
	{ &params_resize, "{\"id\":\"c\",\"width\":80}", "height" },
	{ &params_remove, "{\"id\":\"c\"}", NULL },
	{ &params_remove, "{\"id\":\"c\",\"force\":true}", NULL },
	{ &params_remove, "{\"id\":\"c\",\"force\":\"true\"}", "force" },
	{ &params_fault, "{\"after\":1000}", NULL },
	{ &params_fault, "{\"after\":1001}", "after" },
};

static void what_each_method_takes(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		struct decode_memory memory = { 0 };
		struct error err = { 0 };
		json_object *json;

		assert_worked(decode_parse(rows[i].params, strlen(rows[i].params), &json, &err), &err);
		auto_free void *params = malloc(rows[i].schema->size);
		int result = decode_object(json, rows[i].schema, params, &memory, &err);
		check_row((result == 0) == !rows[i].field, "%s: %s: %s", rows[i].params, err.field, err.message);
		if (rows[i].field)
			check_row(err.code == ERROR_PARAMS && strcmp(err.field, rows[i].field) == 0, "%s: %s: %s", rows[i].params,
				  err.field, err.message);
		json_object_put(json);
		decode_free(&memory);
	}
}

static void at_most_64_lower_volumes(void **state)
{
	(void)state;
	for (int count = COFFER_LOWER_MAX; count <= COFFER_LOWER_MAX + 1; count++) {
		json_object *json = json_object_new_object(), *lower = json_object_new_array();
		struct decode_memory memory = { 0 };
		struct params_rootfs params;
		struct error err;

		for (int i = 0; i < count; i++)
			json_object_array_add(lower, json_object_new_string("v"));
		json_object_object_add(json, "id", json_object_new_string("r"));
		json_object_object_add(json, "scratch", json_object_new_string("s"));
		json_object_object_add(json, "lower", lower);
		int result = decode_object(json, &params_rootfs, &params, &memory, &err);
		if (count <= COFFER_LOWER_MAX)
			assert_int_equal(params.lower.count, count);
		else
			assert_failed(result, &err, ERROR_PARAMS, "lower");
		json_object_put(json);
		decode_free(&memory);
	}
}

/* Rows that would take only 0, rows of one name, and structs whose first member has a `present` flag (offset 0 means none). */
static void every_table_is_whole(void **state)
{
	static const struct decode_schema *const schemas[] = {
		&params_none, &params_shutdown, &params_id,   &params_volume, &params_scratch, &params_rootfs, &params_container,
		&params_exec, &params_signal,   &params_wait, &params_resize, &params_remove,  &params_fault,
	};

	(void)state;
	for (size_t s = 0; s < array_count(schemas); s++) {
		for (size_t i = 0; i < schemas[s]->count; i++) {
			const struct decode_field *field = &schemas[s]->fields[i];

			if (field->kind == DECODE_INT || field->kind == DECODE_UINT || field->kind == DECODE_LIST)
				check_row(field->max > 0, "%s", field->name);
			check_row(field->offset < schemas[s]->size, "%s lies outside its struct", field->name);
			for (size_t j = 0; j < i; j++)
				check_row(strcmp(field->name, schemas[s]->fields[j].name) != 0, "%s twice", field->name);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_each_method_takes),
		cmocka_unit_test(at_most_64_lower_volumes),
		cmocka_unit_test(every_table_is_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

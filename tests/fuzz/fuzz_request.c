/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/container/config.c agent/container/privileges.c agent/container/resources.c agent/container/validate.c */
/* links: agent/container/hooks.c agent/container/namespaces.c agent/container/network.c agent/container/scheduling.c */
/* links: agent/container/syscall_filter.c agent/container/sysctl.c agent/sys/links.c agent/sys/netlink.c */
/* links: agent/rpc/call.c agent/rpc/methods.c agent/rpc/params.c agent/rpc/request.c agent/rpc/results.c agent/rpc/life.c */
/* links: agent/service/objects.c agent/service/completion.c agent/storage/filesystem.c */
/* links: agent/volume/volume.c agent/volume/virtual_volume.c agent/volume/rules.c agent/volume/mapped.c agent/volume/raw_block.c */
/* links: agent/volume/direct_block.c agent/volume/nydus_config.c agent/volume/nydus_block.c agent/volume/nydus_fs.c */
/* links: agent/volume/erofs_image.c agent/storage/erofs.c */
/* links: tests/fake/services.c tests/fake/volume_parts.c */
/* links: agent/sys/device_ways.c agent/sys/device_tree.c agent/sys/device_pci.c agent/sys/device_scsi.c */
/* links: agent/rpc/encrypted.c agent/rpc/volumes.c agent/rpc/layers.c agent/rpc/layer_images.c */
/* links: tests/fake/layers.c agent/layer/digest.c */
/* links: agent/storage/integrity_layout.c agent/storage/scratch_plan.c */
/* links: agent/sys/labels.c agent/rpc/layer_images.c agent/rpc/layer_archives.c agent/base/ram_size.c */
/* fuzz: -max_len=8192 */
/*
 * One line of the control port through every front-end step, with services that do nothing: each line gets exactly one answer,
 * which is one line of strict JSON with either a result or an error, and what reaches a service has been checked.
 */
#include "fuzz/fuzz.h"

#include <string.h>

#include "base/scan.h"
#include "fake/services.h"
#include "rpc/call.h"
#include "rpc/life.h"

static void shut_down(struct agent *agent)
{
	agent->closing = true;
}

static void check_answer(void)
{
	const char *text = buf_bytes(&fake_services.sent);
	size_t length = buf_length(&fake_services.sent);
	json_object *json = NULL, *id, *result, *error, *data, *value;
	struct error err;

	must_hold(fake_services.lines == 1);
	must_hold(length > 0 && text[length - 1] == '\n' && !memchr(text, '\n', length - 1));
	must_hold(decode_parse(text, length, &json, &err) == 0);
	must_hold(json_object_object_get_ex(json, "id", &id));
	bool has_result = json_object_object_get_ex(json, "result", &result);
	bool has_error = json_object_object_get_ex(json, "error", &error);
	must_hold(has_result != has_error);
	must_hold(!has_result || (json_object_is_type(result, json_type_object) && id));
	if (has_error) {
		must_hold(json_object_object_get_ex(error, "code", &value) && json_object_is_type(value, json_type_int));
		must_hold(error_from_wire(json_object_get_int(value)) != ERROR_NONE);
		must_hold(json_object_object_get_ex(error, "message", &value) && json_object_get_string_len(value) > 0);
		must_hold(json_object_object_get_ex(error, "data", &data) && json_object_object_get_ex(data, "field", &value));
	}
	json_object_put(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct agent agent;
	struct rpc_connection connection = { .agent = &agent };

	if (size < 1 || memchr(data, '\n', size))
		return 0;
	agent.shut_down = shut_down;
	agent.closing = data[0] & 1;
	fake_services = (struct fake_services){ .fail = data[0] & 2 };
	/* A copy with nothing behind it. */
	char *line = malloc(size);
	memcpy(line, data + 1, size - 1);
	rpc_call_line(&connection, line, size - 1);
	free(line);
	must_hold(!fake_services.closed);
	must_hold(connection.in_flight == 0 && !connection.state);
	check_answer();
	rpc_life_unsubscribe(&connection);
	buf_free(&fake_services.sent);
	return 0;
}

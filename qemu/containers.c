/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/containers.h"

#include <errno.h>
#include <string.h>

#include "qemu/fail.h"

int containers_list(struct client *client, const char *method, const char *what, json_object **answer, json_object **list,
		    struct error *err)
{
	int result = client_call(client, method, "{}", answer, err);

	if (result < 0)
		return result;
	*list = client_array(*answer, what);
	if (*list)
		return 0;
	json_object_put(*answer);
	return fail_set(err, EPROTO, "the agent's answer to %s has no '%s'", method, what);
}

json_object *containers_find(json_object *list, const char *id)
{
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		json_object *element = json_object_array_get_idx(list, i);

		if (strcmp(client_string(element, "id"), id) == 0)
			return element;
	}
	return NULL;
}

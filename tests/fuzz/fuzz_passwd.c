/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/container/environment.c agent/container/users.c */
/* fuzz: -max_len=2048 */
/* /etc/passwd of an image, which its maker wrote as he liked, and which is its /etc/group too.  The first two bytes are the uid,
 * and a name. */
#include "fuzz/fuzz.h"

#include <string.h>

#include "container/environment.h"
#include "container/users.h"

static void check_user(const char *user, const char *passwd)
{
	struct users_ids ids;
	struct error err;

	if (users_find(user, passwd, passwd, &ids, &err) < 0) {
		must_hold(err.code == ERROR_CONTAINER && strcmp(err.field, "process.user") == 0);
		return;
	}
	must_hold(ids.uid < UINT32_MAX && ids.gid < UINT32_MAX && ids.group_count <= USERS_GROUPS_MAX);
	for (size_t i = 0; i < ids.group_count; i++)
		must_hold(ids.groups[i] < UINT32_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct decode_memory memory = { 0 };
	struct config_process process = { 0 };

	if (size < 2)
		return 0;
	process.uid = data[0] | (unsigned)data[1] << 8;
	char *passwd = malloc(size - 1);
	memcpy(passwd, data + 2, size - 2);
	passwd[size - 2] = '\0';
	const char **environment = environment_make(&process, passwd, &memory);
	must_hold(environment);
	const char *home = environment_get(environment, "HOME");
	must_hold(home && home[0] != '\0' && !strchr(home, '\n') && !strchr(home, ':'));
	/* It stands in the text, unless it is the default. */
	must_hold(strcmp(home, "/") == 0 || strstr(passwd, home));
	must_hold(strcmp(environment_get(environment, "PATH"), ENVIRONMENT_PATH) == 0);
	check_user((char[]){ (char)data[0], (char)data[1], '\0' }, passwd);
	check_user((char[]){ (char)data[0], ':', (char)data[1], '\0' }, passwd);
	free(passwd);
	decode_free(&memory);
	return 0;
}

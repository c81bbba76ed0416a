/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/container/environment.c */
/* fuzz: -max_len=2048 */
/* /etc/passwd of an image, which its maker wrote as he liked.  The first two bytes are the uid. */
#include "fuzz/fuzz.h"

#include <string.h>

#include "container/environment.h"

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
	free(passwd);
	decode_free(&memory);
	return 0;
}

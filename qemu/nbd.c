/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/nbd.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "qemu/fail.h"

#define NBD_SCHEME   "nbd+unix:///"
#define NBD_QUERY    "?socket="
#define NBD_NAME_MAX 255

bool nbd_is_url(const char *text)
{
	return strncmp(text, "nbd", 3) == 0 && strstr(text, "://");
}

int nbd_check(const char *url, struct error *err)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
	struct stat st;

	if (strncmp(url, NBD_SCHEME, strlen(NBD_SCHEME)) != 0)
		return fail_set(err, EINVAL, "'%s' is no NBD URL of the form " NBD_SCHEME "NAME" NBD_QUERY "PATH", url);
	const char *name = url + strlen(NBD_SCHEME);
	size_t length = strspn(name, letters);
	const char *path = name + length + strlen(NBD_QUERY);
	if (length > NBD_NAME_MAX || strncmp(name + length, NBD_QUERY, strlen(NBD_QUERY)) != 0 || path[0] != '/')
		return fail_set(err, EINVAL, "'%s' is no NBD URL of the form " NBD_SCHEME "NAME" NBD_QUERY "PATH", url);
	if (strchr(path, '%') || strchr(path, '&') || strchr(path, '#'))
		return fail_set(err, EINVAL, "the socket '%s' has one of the characters %% & #", path);
	if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return fail_set(err, ENAMETOOLONG, "the socket %s", path);
	if (stat(path, &st) < 0)
		return error_set(err, ERROR_HOST, errno, "the NBD server's socket %s", path);
	return S_ISSOCK(st.st_mode) ? 0 : fail_set(err, ENOTSOCK, "%s", path);
}

void nbd_encode(struct encode *e, const char *url)
{
	const char *name = url + strlen(NBD_SCHEME), *query = strstr(name, NBD_QUERY);
	char export[NBD_NAME_MAX + 1];

	snprintf(export, sizeof(export), "%.*s", (int)(query - name), name);
	encode_string(e, "driver", "nbd");
	encode_open(e, "server", '{');
	encode_string(e, "type", "unix");
	encode_string(e, "path", query + strlen(NBD_QUERY));
	encode_close(e, '}');
	encode_string(e, "export", export);
}

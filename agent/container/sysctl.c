/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "container/sysctl.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"

/* sysctl(7), namespaces(7): what each namespace has of its own.  A name that ends in '/' covers all below it. */
static const struct {
	const char *name;
	unsigned long owner;
} owned[] = {
	{ "net/", CLONE_NEWNET },
	{ "fs/mqueue/", CLONE_NEWIPC },
	{ "kernel/msgmax", CLONE_NEWIPC },
	{ "kernel/msgmnb", CLONE_NEWIPC },
	{ "kernel/msgmni", CLONE_NEWIPC },
	{ "kernel/sem", CLONE_NEWIPC },
	{ "kernel/shmall", CLONE_NEWIPC },
	{ "kernel/shmmax", CLONE_NEWIPC },
	{ "kernel/shmmni", CLONE_NEWIPC },
	{ "kernel/shm_rmid_forced", CLONE_NEWIPC },
	{ "kernel/domainname", CLONE_NEWUTS },
	{ "user/", CLONE_NEWUSER },
};

static const struct {
	unsigned long flag;
	const char *name;
} names[] = { { CLONE_NEWNET, "NEWNET" }, { CLONE_NEWIPC, "NEWIPC" }, { CLONE_NEWUTS, "NEWUTS" }, { CLONE_NEWUSER, "NEWUSER" } };

/* sysctl(8)'s rule: the first separator decides; when it is a dot, dots and slashes change places. */
static int to_path(const char *key, char *path, size_t size)
{
	const char *first = strpbrk(key, "./");
	bool dots = !first || *first == '.';

	if (text_format(path, size, "%s", key) < 0)
		return -ENAMETOOLONG;
	for (char *c = path; dots && *c; c++)
		*c = *c == '.' ? '/' : *c == '/' ? '.' : *c;
	return 0;
}

/* Letters, digits and "-_." between single slashes; no part that is "." or "..": a key is not a way through the tree. */
static bool is_plain(const char *path)
{
	for (const char *part = path;; part++) {
		size_t length = strcspn(part, "/");

		if (length == 0 || part[0] == '.' ||
		    strspn(part, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") < length)
			return false;
		part += length;
		if (*part == '\0')
			return true;
	}
}

static int refuse(struct error *err, const char *key, const char *why)
{
	char field[100];

	snprintf(field, sizeof(field), "sysctl.%.80s", key);
	return error_field(err, field, "%s", why);
}

static int check(const char *key, unsigned long own, struct error *err)
{
	char path[256], why[96];

	if (to_path(key, path, sizeof(path)) < 0 || !is_plain(path))
		return refuse(err, key, "not a parameter's name");
	if (strcmp(path, "kernel/hostname") == 0)
		return refuse(err, key, "`hostname` says it");
	for (size_t i = 0; i < array_count(owned); i++) {
		size_t length = strlen(owned[i].name);

		if (owned[i].name[length - 1] == '/' ? strncmp(path, owned[i].name, length) != 0 : strcmp(path, owned[i].name) != 0)
			continue;
		if (own & owned[i].owner)
			return 0;
		for (size_t n = 0; n < array_count(names); n++) {
			if (names[n].flag == owned[i].owner)
				snprintf(why, sizeof(why), "needs the namespace %s: without it this is the agent's", names[n].name);
		}
		return refuse(err, key, why);
	}
	return refuse(err, key, "belongs to the whole VM, and to no namespace");
}

int sysctl_check(const struct decode_list *parameters, unsigned long own, struct error *err)
{
	const struct decode_pair *pairs = parameters->items;

	for (size_t i = 0; i < parameters->count; i++) {
		int result = check(pairs[i].key, own, err);

		if (result < 0)
			return result;
		if (strchr(pairs[i].value, '\n'))
			return refuse(err, pairs[i].key, "the value must be one line");
	}
	return 0;
}

static int write_one(int directory, const struct decode_pair *pair)
{
	struct open_how how = {
		.flags = O_WRONLY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
	};
	char path[256];

	if (to_path(pair->key, path, sizeof(path)) < 0)
		return -ENAMETOOLONG;
	fd_auto fd = (int)syscall(SYS_openat2, directory, path, &how, sizeof(how));
	if (fd < 0)
		return -errno;
	ssize_t put = write(fd, pair->value, strlen(pair->value));
	return put < 0 ? -errno : (size_t)put == strlen(pair->value) ? 0 : -EIO;
}

int sysctl_write(const struct decode_list *parameters, int proc, struct error *err)
{
	const struct decode_pair *pairs = parameters->items;
	struct statfs filesystem;

	if (parameters->count == 0)
		return 0;
	fd_auto directory = openat(proc, "sys", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (directory < 0 || fstatfs(directory, &filesystem) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "open /proc/sys");
	if (filesystem.f_type != PROC_SUPER_MAGIC)
		return error_set(err, ERROR_CONTAINER, ENODEV, "/proc/sys is not of a proc");
	for (size_t i = 0; i < parameters->count; i++) {
		int result = write_one(directory, &pairs[i]);

		if (result < 0) {
			error_set(err, ERROR_CONTAINER, -result, "write the kernel parameter");
			snprintf(err->field, sizeof(err->field), "config.sysctl.%.80s", pairs[i].key);
			return result;
		}
	}
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "container/namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "coffer/protocol.h"

#define FIELD(type, key, decode_kind, member) .name = key, .kind = decode_kind, .offset = offsetof(struct type, member)
#define SCHEMA(fields, type)                                                                                                       \
	{                                                                                                                          \
		fields, array_count(fields), sizeof(struct type), NULL                                                             \
	}

#define CONTAINER_PREFIX "/run/coffer/container/"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

static const struct {
	const char *type, *file;
	unsigned long flag;
} kinds[NAMESPACE_KINDS] = {
	[NAMESPACE_MNT] = { "NEWNS", "mnt", CLONE_NEWNS },
	[NAMESPACE_PID] = { "NEWPID", "pid", CLONE_NEWPID },
	[NAMESPACE_UTS] = { "NEWUTS", "uts", CLONE_NEWUTS },
	[NAMESPACE_IPC] = { "NEWIPC", "ipc", CLONE_NEWIPC },
	[NAMESPACE_NET] = { "NEWNET", "net", CLONE_NEWNET },
	[NAMESPACE_USER] = { "NEWUSER", "user", CLONE_NEWUSER },
	[NAMESPACE_CGROUP] = { "NEWCGROUP", "cgroup", CLONE_NEWCGROUP },
	[NAMESPACE_TIME] = { "NEWTIME", "time", CLONE_NEWTIME },
};

static const struct decode_field entry_fields[] = {
	{ FIELD(namespaces_entry, "type", DECODE_STRING, type), .flags = DECODE_REQUIRED | DECODE_NONZERO, .max = 16 },
	{ FIELD(namespaces_entry, "path", DECODE_STRING, path), .max = 256, .check = decode_check_absolute },
};
const struct decode_schema namespaces_entry_schema = SCHEMA(entry_fields, namespaces_entry);

static const struct decode_field mapping_fields[] = {
	{ FIELD(namespaces_mapping, "container_id", DECODE_UINT, container_id), .max = UINT32_MAX - 1 },
	{ FIELD(namespaces_mapping, "host_id", DECODE_UINT, host_id), .max = UINT32_MAX - 1 },
	{ FIELD(namespaces_mapping, "size", DECODE_UINT, size), .flags = DECODE_REQUIRED, .min = 1, .max = UINT32_MAX - 1 },
};
const struct decode_schema namespaces_mapping_schema = SCHEMA(mapping_fields, namespaces_mapping);

#define YEARS_100 (100ll * 366 * 86400)
static const struct decode_field offset_fields[] = {
	{ FIELD(namespaces_offset, "secs", DECODE_INT, secs), .min = -YEARS_100, .max = YEARS_100 },
	{ FIELD(namespaces_offset, "nanosecs", DECODE_UINT, nanosecs), .max = 999999999 },
};
static const struct decode_schema offset_schema = SCHEMA(offset_fields, namespaces_offset);

static const struct decode_field offsets_fields[] = {
	{ FIELD(namespaces_offsets, "monotonic", DECODE_OBJECT, monotonic), .schema = &offset_schema },
	{ FIELD(namespaces_offsets, "boottime", DECODE_OBJECT, boottime), .schema = &offset_schema },
};
const struct decode_schema namespaces_offsets_schema = SCHEMA(offsets_fields, namespaces_offsets);

int namespaces_read(const struct decode_list *entries, struct namespaces *namespaces, struct error *err)
{
	const struct namespaces_entry *wanted = entries->items;

	*namespaces = (struct namespaces){ 0 };
	for (int kind = 0; kind < NAMESPACE_KINDS; kind++)
		namespaces->owners[kind] = -1;
	for (size_t i = 0; i < entries->count; i++) {
		char field[48];
		size_t kind = 0;

		snprintf(field, sizeof(field), "namespaces[%zu].type", i);
		while (kind < NAMESPACE_KINDS && strcmp(kinds[kind].type, wanted[i].type) != 0)
			kind++;
		if (kind == NAMESPACE_KINDS)
			return error_field(err, field, "unknown namespace type");
		if ((namespaces->create | namespaces->join) & kinds[kind].flag)
			return error_field(err, field, "%s is named twice", wanted[i].type);
		if (wanted[i].path && wanted[i].path[0]) {
			namespaces->join |= kinds[kind].flag;
			namespaces->paths[kind] = wanted[i].path;
			namespaces->positions[kind] = i;
		} else {
			namespaces->create |= kinds[kind].flag;
		}
	}
	return 0;
}

int namespaces_owner(const char *path, enum namespace_kind kind, char id[], size_t size, pid_t *pid, struct error *err)
{
	char file[16] = "", name[COFFER_ID_MAX + 1] = "", digits[11] = "";
	int end = 0;

	*pid = 0;
	id[0] = '\0';
	/* As the kernel writes a number: %d would also take " 7", "+7", "007" and what does not fit. */
	if (sscanf(path, "/proc/%10[0-9]/ns/%15[a-z]%n", digits, file, &end) == 2 && path[end] == '\0' && digits[0] != '0' &&
	    strtoll(digits, NULL, 10) > 1 && strtoll(digits, NULL, 10) <= INT_MAX)
		*pid = (pid_t)strtoll(digits, NULL, 10);
	else if (strncmp(path, CONTAINER_PREFIX, strlen(CONTAINER_PREFIX)) == 0 &&
		 sscanf(path + strlen(CONTAINER_PREFIX), "%64[A-Za-z0-9_.-]/ns/%15[a-z]%n", name, file, &end) == 2 &&
		 path[strlen(CONTAINER_PREFIX) + (size_t)end] == '\0' && decode_check_id(name, err) == 0)
		snprintf(id, size, "%s", name);
	else
		return error_field(err, "",
				   "must be /proc/PID/ns/NAME or " CONTAINER_PREFIX "ID/ns/NAME, of a container of this VM");
	if (strcmp(file, kinds[kind].file) != 0)
		return error_field(err, "", "%s wants the file \"%s\", not \"%s\"", kinds[kind].type, kinds[kind].file, file);
	return 0;
}

/* ---- in a worker ---- */

static int set_time_offsets(const struct namespaces_offsets *offsets, struct error *err)
{
	char text[160];
	fd_auto fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);

	snprintf(text, sizeof(text), "monotonic %" PRId64 " %" PRIu64 "\nboottime %" PRId64 " %" PRIu64 "\n",
		 offsets->monotonic.secs, offsets->monotonic.nanosecs, offsets->boottime.secs, offsets->boottime.nanosecs);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "set the time offsets");
	return 0;
}

/* From within a cgroup namespace no child can be made in a cgroup outside of it (nsdelegate): that is for the child to join. */
static unsigned long left_for_later(const struct namespaces *namespaces)
{
	return CLONE_NEWCGROUP | (namespaces->join & CLONE_NEWUSER ? CLONE_NEWUSER | CLONE_NEWPID : 0);
}

int namespaces_enter(const struct namespaces *namespaces, struct error *err)
{
	for (int kind = 0; kind < NAMESPACE_KINDS; kind++) {
		/* By the pidfd, so no path of anybody's is resolved. */
		if (!(namespaces->join & kinds[kind].flag) || (left_for_later(namespaces) & kinds[kind].flag))
			continue;
		if (setns(namespaces->owners[kind], (int)kinds[kind].flag) < 0)
			return error_set(err, ERROR_CONTAINER, errno, "join the %s namespace", kinds[kind].file);
	}
	/* The offsets can be set only as long as nobody is in the new namespace: clone3 alone would be too late. */
	if ((namespaces->create & CLONE_NEWTIME) && unshare(CLONE_NEWTIME) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "make a time namespace");
	return (namespaces->create & CLONE_NEWTIME) && namespaces->time ? set_time_offsets(namespaces->time, err) : 0;
}

static int write_map(pid_t pid, const char *file, const struct decode_list *list, struct error *err)
{
	const struct namespaces_mapping *rows = list->items;
	struct buf text = { 0 };
	char path[48];
	int result = 0;

	for (size_t i = 0; i < list->count && result == 0; i++)
		result = buf_printf(&text, "%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", rows[i].container_id, rows[i].host_id,
				    rows[i].size);
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	fd_auto fd = open(path, O_WRONLY | O_CLOEXEC);
	/* The kernel takes a map in one write. */
	if (result == 0 && (fd < 0 || write(fd, buf_bytes(&text), buf_length(&text)) < 0))
		result = -errno;
	buf_free(&text);
	if (result == 0)
		return 0;
	result = error_set(err, ERROR_CONTAINER, -result, "write %s", file);
	snprintf(err->field, sizeof(err->field), "config.%s_mappings", file[0] == 'u' ? "uid" : "gid");
	return result;
}

int namespaces_map(const struct namespaces *namespaces, pid_t pid, struct error *err)
{
	int result = 0;

	if (!(namespaces->create & CLONE_NEWUSER))
		return 0;
	result = write_map(pid, "gid_map", namespaces->gid, err);
	return result < 0 ? result : write_map(pid, "uid_map", namespaces->uid, err);
}

/* ---- in the child ---- */

int namespaces_enter_user(const struct namespaces *namespaces, struct error *err)
{
	static const enum namespace_kind late[] = { NAMESPACE_CGROUP, NAMESPACE_PID, NAMESPACE_USER };

	for (size_t i = 0; i < array_count(late); i++) {
		enum namespace_kind kind = late[i];

		if ((namespaces->join & kinds[kind].flag) && setns(namespaces->owners[kind], (int)kinds[kind].flag) < 0)
			return error_set(err, ERROR_CONTAINER, errno, "join the %s namespace", kinds[kind].file);
	}
	return 0;
}

int namespaces_enter_cgroup(const struct namespaces *namespaces, struct error *err)
{
	if ((namespaces->join & CLONE_NEWCGROUP) && setns(namespaces->owners[NAMESPACE_CGROUP], CLONE_NEWCGROUP) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "join the cgroup namespace");
	return 0;
}

int namespaces_join(const struct namespaces *namespaces, int process, struct error *err)
{
	unsigned long all = namespaces->create | namespaces->join;
	int flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET;

	/* Not always: to join the one that it is in is refused in some cases, and there is no need. */
	if (all & CLONE_NEWTIME)
		flags |= CLONE_NEWTIME;
	if (setns(process, flags) < 0)
		return error_set(err, errno == ESRCH ? ERROR_STATE : ERROR_CONTAINER, errno, "join the container's namespaces");
	return 0;
}

int namespaces_follow(const struct namespaces *namespaces, int process, struct error *err)
{
	int flags = (int)((namespaces->create | namespaces->join) & (CLONE_NEWCGROUP | CLONE_NEWUSER));

	if (flags && setns(process, flags) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "join the container's cgroup and user namespaces");
	return 0;
}

int namespaces_become_root(struct error *err)
{
	if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "become root of the user namespace");
	return 0;
}

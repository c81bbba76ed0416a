/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "container/privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

static const char *const names[] = {
	"CHOWN",
	"DAC_OVERRIDE",
	"DAC_READ_SEARCH",
	"FOWNER",
	"FSETID",
	"KILL",
	"SETGID",
	"SETUID",
	"SETPCAP",
	"LINUX_IMMUTABLE",
	"NET_BIND_SERVICE",
	"NET_BROADCAST",
	"NET_ADMIN",
	"NET_RAW",
	"IPC_LOCK",
	"IPC_OWNER",
	"SYS_MODULE",
	"SYS_RAWIO",
	"SYS_CHROOT",
	"SYS_PTRACE",
	"SYS_PACCT",
	"SYS_ADMIN",
	"SYS_BOOT",
	"SYS_NICE",
	"SYS_RESOURCE",
	"SYS_TIME",
	"SYS_TTY_CONFIG",
	"MKNOD",
	"LEASE",
	"AUDIT_WRITE",
	"AUDIT_CONTROL",
	"SETFCAP",
	"MAC_OVERRIDE",
	"MAC_ADMIN",
	"SYSLOG",
	"WAKE_ALARM",
	"BLOCK_SUSPEND",
	"AUDIT_READ",
	"PERFMON",
	"BPF",
	"CHECKPOINT_RESTORE",
};

static int decode_names(json_object *json, const char *set, uint64_t *bits, struct error *err)
{
	char field[64];

	*bits = 0;
	if (!json)
		return 0;
	if (!json_object_is_type(json, json_type_array))
		return error_field(err, set, "an array of names is needed");
	for (size_t i = 0; i < json_object_array_length(json); i++) {
		json_object *element = json_object_array_get_idx(json, i);
		const char *name = json_object_is_type(element, json_type_string) ? json_object_get_string(element) : "";
		size_t number = 0;

		if (strncmp(name, "CAP_", 4) == 0) {
			while (number < array_count(names) && strcmp(names[number], name + 4) != 0)
				number++;
		} else {
			number = array_count(names);
		}
		if (number == array_count(names)) {
			snprintf(field, sizeof(field), "%s[%zu]", set, i);
			return error_field(err, field, "unknown capability \"%.40s\"", name);
		}
		*bits |= (uint64_t)1 << number;
	}
	return 0;
}

static int decode_sets(json_object *json, struct privileges_capabilities *sets, struct error *err)
{
	const struct {
		const char *key;
		uint64_t *bits;
	} rows[] = {
		{ "Bounding", &sets->bounding },       { "Effective", &sets->effective }, { "Permitted", &sets->permitted },
		{ "Inheritable", &sets->inheritable }, { "Ambient", &sets->ambient },
	};

	json_object_object_foreach (json, key, value) {
		size_t row = 0;

		while (row < array_count(rows) && strcmp(rows[row].key, key) != 0)
			row++;
		if (row == array_count(rows))
			return error_field(err, key, "unknown field");
		int result = decode_names(value, key, rows[row].bits, err);
		if (result < 0)
			return result;
	}
	if (sets->effective & ~sets->permitted)
		return error_field(err, "Effective", "has a capability that is not in Permitted");
	/* runc's own configs name more, and the kernel gives them these. */
	sets->ambient &= sets->permitted & sets->inheritable;
	/* The kernel would drop them at execve anyway, silently. */
	if (sets->permitted & ~sets->bounding)
		return error_field(err, "Permitted", "has a capability that is not in Bounding");
	return 0;
}

int privileges_decode(json_object *json, struct privileges_capabilities *capabilities, struct error *err)
{
	memset(capabilities, 0, sizeof(*capabilities));
	if (!json)
		return 0;
	if (json_object_is_type(json, json_type_object))
		return decode_sets(json, capabilities, err);
	if (!json_object_is_type(json, json_type_array))
		return error_field(err, "", "an array of names or an object of five arrays is needed");
	int result = decode_names(json, "", &capabilities->bounding, err);
	capabilities->effective = capabilities->permitted = capabilities->bounding;
	return result;
}

static int drop_bounding(uint64_t keep, struct error *err)
{
	for (unsigned number = 0; number < 64; number++) {
		if (keep & (uint64_t)1 << number)
			continue;
		if (prctl(PR_CAPBSET_DROP, number, 0, 0, 0) == 0)
			continue;
		if (errno == EINVAL)
			break; /* the kernel has no more capabilities */
		return error_set(err, ERROR_CONTAINER, errno, "drop a bounding capability");
	}
	return 0;
}

static int change_user(const struct privileges *privileges, struct error *err)
{
	gid_t groups[64];

	if (privileges->group_count > array_count(groups))
		return error_set(err, ERROR_CONTAINER, EINVAL, "too many groups");
	for (size_t i = 0; i < privileges->group_count; i++)
		groups[i] = (gid_t)privileges->groups[i];
	if (setgroups(privileges->group_count, groups) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "set additional groups");
	if (setresgid(privileges->gid, privileges->gid, privileges->gid) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "set gid %u", privileges->gid);
	if (setresuid(privileges->uid, privileges->uid, privileges->uid) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "set uid %u", privileges->uid);
	return 0;
}

static int set_capabilities(const struct privileges_capabilities *sets, uint64_t held, struct error *err)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	uint64_t effective = sets->effective | held, permitted = sets->permitted | held;
	struct __user_cap_data_struct data[2] = {
		{ (uint32_t)effective, (uint32_t)permitted, (uint32_t)sets->inheritable },
		{ (uint32_t)(effective >> 32), (uint32_t)(permitted >> 32), (uint32_t)(sets->inheritable >> 32) },
	};

	if (syscall(SYS_capset, &header, data) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "set capabilities");
	return 0;
}

static int set_ambient(uint64_t ambient, struct error *err)
{
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "clear ambient capabilities");
	for (unsigned number = 0; number < 64; number++) {
		if (!(ambient & (uint64_t)1 << number))
			continue;
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0) < 0)
			return error_set(err, ERROR_CONTAINER, errno, "raise an ambient capability");
	}
	return 0;
}

int privileges_drop(const struct privileges *privileges, struct error *err)
{
	int result = drop_bounding(privileges->capabilities.bounding, err);

	if (result < 0)
		return result;
	/* Or leaving uid 0 would take what is to be kept; execve clears it. */
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "keep capabilities");
	result = change_user(privileges, err);
	if (result == 0)
		result = set_capabilities(&privileges->capabilities, privileges->held, err);
	if (result == 0)
		result = set_ambient(privileges->capabilities.ambient, err);
	if (result < 0)
		return result;
	if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "keep no capabilities");
	if (privileges->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "set no_new_privs");
	return 0;
}

int privileges_release(const struct privileges *privileges, struct error *err)
{
	return privileges->held ? set_capabilities(&privileges->capabilities, 0, err) : 0;
}

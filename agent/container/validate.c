/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "container/validate.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#include "base/cleanup.h"
#include "container/sysctl.h"
#include "sys/labels.h"

static int unsupported(struct error *err, const char *field, const char *why)
{
	int result = error_field(err, field, "%s", why);

	err->code = ERROR_UNSUPPORTED_FIELD;
	return result;
}

static int check_namespaces(const struct config *config, struct error *err)
{
	const struct namespaces *namespaces = &config->namespaces;
	unsigned long own = namespaces->create | namespaces->join;
	bool mapped = config->uid_mappings.count || config->gid_mappings.count;
	char field[48];

	if (namespaces->join & CLONE_NEWNS) {
		snprintf(field, sizeof(field), "namespaces[%zu].path", namespaces->positions[NAMESPACE_MNT]);
		return unsupported(err, field, "a container's mounts are its own");
	}
	if (!(own & CLONE_NEWNS))
		return error_field(err, "namespaces", "NEWNS is needed: a container never mounts in the agent's namespace");
	if (config->hostname && config->hostname[0] && !(own & CLONE_NEWUTS))
		return error_field(err, "hostname", "needs the namespace NEWUTS");
	if (config->domainname && config->domainname[0] && !(own & CLONE_NEWUTS))
		return error_field(err, "domainname", "needs the namespace NEWUTS");
	if ((namespaces->create & CLONE_NEWUSER) && (!config->uid_mappings.count || !config->gid_mappings.count))
		return error_field(err, config->uid_mappings.count ? "gid_mappings" : "uid_mappings",
				   "a new user namespace needs mappings of both users and groups");
	if (mapped && !(namespaces->create & CLONE_NEWUSER))
		return error_field(err, config->uid_mappings.count ? "uid_mappings" : "gid_mappings",
				   "needs the namespace NEWUSER, a new one");
	if (config->has_time_offsets && !(namespaces->create & CLONE_NEWTIME))
		return error_field(err, "time_offsets", "needs the namespace NEWTIME, a new one");
	return 0;
}

static int check_mappings(const struct decode_list *list, const char *key, struct error *err)
{
	const struct namespaces_mapping *rows = list->items;
	char field[48];

	for (size_t i = 0; i < list->count; i++) {
		snprintf(field, sizeof(field), "%s[%zu].size", key, i);
		if (rows[i].container_id + rows[i].size > UINT32_MAX || rows[i].host_id + rows[i].size > UINT32_MAX)
			return error_field(err, field, "the range ends past the last id");
	}
	return 0;
}

static int check_network(const struct config *config, struct error *err)
{
	unsigned long own = config->namespaces.create | config->namespaces.join;
	int result = network_check(&config->networks, &config->routes, err);

	if (result < 0)
		return result;
	if (config->networks.count && !(own & CLONE_NEWNET))
		return error_field(err, "networks", "needs the namespace NEWNET");
	if (config->routes.count && !(own & CLONE_NEWNET))
		return error_field(err, "routes", "needs the namespace NEWNET");
	return 0;
}

static int check_devices(const struct config *config, struct error *err)
{
	const struct config_device *devices = config->devices.items;

	for (size_t i = 0; i < config->devices.count; i++) {
		char field[48];

		snprintf(field, sizeof(field), "devices[%zu].type", i);
		if (devices[i].type != 'c' && devices[i].type != 'b' && devices[i].type != 'p')
			return error_field(err, field, "99 (c), 98 (b) and 112 (p) are accepted");
	}
	return 0;
}

#define KINDS (MS_PRIVATE | MS_SLAVE | MS_SHARED | MS_UNBINDABLE)

/* MS_REC, and one kind. */
static bool is_propagation(int64_t flags)
{
	int64_t kind = flags & KINDS;

	return (flags & ~(int64_t)(KINDS | MS_REC)) == 0 && kind != 0 && (kind & (kind - 1)) == 0;
}

static int check_mount(const struct config_mount *mount, size_t i, struct error *err)
{
	const int64_t *propagation = mount->propagation_flags.items;
	bool bind = strcmp(mount->device, "bind") == 0;
	char field[80];

	for (size_t p = 0; p < mount->propagation_flags.count; p++) {
		snprintf(field, sizeof(field), "mounts[%zu].propagation_flags[%zu]", i, p);
		if (!is_propagation(propagation[p]))
			return error_field(err, field,
					   "must be one of MS_PRIVATE, MS_SLAVE, MS_SHARED, MS_UNBINDABLE, and maybe MS_REC");
	}
	snprintf(field, sizeof(field), "mounts[%zu].extensions", i);
	if ((mount->extensions & CONFIG_COPY_UP) && strcmp(mount->device, "tmpfs") != 0)
		return error_field(err, field, "only a tmpfs is filled with what it covers");
	snprintf(field, sizeof(field), "mounts[%zu].data", i);
	if (bind && mount->data && mount->data[0])
		return error_field(err, field, "a bind mount takes no data");
	snprintf(field, sizeof(field), "mounts[%zu].rec_attr", i);
	if ((mount->recursive.set | mount->recursive.clear) & MOUNT_ATTR_IDMAP)
		return unsupported(err, field, "MOUNT_ATTR_IDMAP: the file systems of this VM are mounted without one");
	if (mount->recursive.propagation && !is_propagation((int64_t)mount->recursive.propagation))
		return error_field(err, field, "Propagation must be one of MS_PRIVATE, MS_SLAVE, MS_SHARED, MS_UNBINDABLE");
	/* A device node on a volume would be one of the host's choice. */
	snprintf(field, sizeof(field), "mounts[%zu].%s", i, mount->cleared_flags & MS_NODEV ? "cleared_flags" : "rec_attr");
	if (bind && ((mount->cleared_flags & MS_NODEV) || (mount->recursive.clear & MOUNT_ATTR_NODEV)))
		return unsupported(err, field, "bind mounts are always nodev");
	return 0;
}

static int check_mounts(const struct config *config, struct error *err)
{
	const struct config_mount *mounts = config->mounts.items;

	if (config->root_propagation && !is_propagation(config->root_propagation))
		return error_field(err, "rootPropagation",
				   "only MS_REC and one of MS_PRIVATE, MS_SLAVE, MS_SHARED, MS_UNBINDABLE are accepted");
	for (size_t i = 0; i < config->mounts.count; i++) {
		int result = check_mount(&mounts[i], i, err);

		if (result < 0)
			return result;
	}
	return 0;
}

int validate_config(const struct config *config, struct error *err)
{
	int result = check_namespaces(config, err);

	if (result == 0)
		result = check_mappings(&config->uid_mappings, "uid_mappings", err);
	if (result == 0)
		result = check_mappings(&config->gid_mappings, "gid_mappings", err);
	if (result == 0)
		result = check_network(config, err);
	if (result == 0)
		result = check_devices(config, err);
	if (result == 0)
		result = check_mounts(config, err);
	if (result == 0)
		result = sysctl_check(&config->sysctl, config->namespaces.create | config->namespaces.join, err);
	if (result == 0)
		result = scheduling_check(&config->scheduling, err);
	return result;
}

int validate_sandbox(const struct config *config, struct error *err)
{
	const struct {
		const struct decode_list *list;
		const char *key;
	} rows[] = {
		{ &config->mounts, "mounts" },
		{ &config->devices, "devices" },
		{ &config->mask_paths, "mask_paths" },
		{ &config->readonly_paths, "readonly_paths" },
		{ &config->hooks.start_container, "Hooks.startContainer" },
	};

	for (size_t i = 0; i < array_count(rows); i++) {
		if (rows[i].list->count)
			return error_field(err, rows[i].key, "a sandbox has no root file system");
	}
	return 0;
}

static int check_relabel(const struct config *config, const struct config_mount *mount, const char *field, struct error *err)
{
	if (!mount->relabel || !mount->relabel[0])
		return 0;
	int result = labels_check(config->mount_label ? config->mount_label : "", field, err);
	if (result < 0)
		return result;
	return strcmp(mount->relabel, "z") == 0 || strcmp(mount->relabel, "Z") == 0 ? 0 : error_field(err, field, "must be z or Z");
}

/* A label without a policy would say nothing. */
static int check_labels(const struct config *config, struct error *err)
{
	const struct config_mount *mounts = config->mounts.items;
	char field[48];
	int result = 0;

	if (config->process_label && config->process_label[0])
		result = labels_check(config->process_label, "process_label", err);
	if (result == 0 && config->mount_label && config->mount_label[0])
		result = labels_check(config->mount_label, "mount_label", err);
	for (size_t i = 0; i < config->mounts.count && result == 0; i++) {
		snprintf(field, sizeof(field), "mounts[%zu].relabel", i);
		result = check_relabel(config, &mounts[i], field, err);
	}
	return result;
}

int validate_allowed(const struct config *config, struct error *err)
{
	const struct config_mount *mounts = config->mounts.items;
	const struct {
		const struct decode_list *list;
		const char *key;
	} rows[] = {
		{ &config->hooks.prestart, "Hooks.prestart" },
		{ &config->hooks.create_runtime, "Hooks.createRuntime" },
		{ &config->hooks.create_container, "Hooks.createContainer" },
		{ &config->hooks.poststart, "Hooks.poststart" },
		{ &config->hooks.poststop, "Hooks.poststop" },
	};
	int result = check_labels(config, err);

	for (size_t i = 0; i < array_count(rows) && result == 0; i++)
		result = hooks_check(rows[i].list, rows[i].key, err);
	for (size_t i = 0; i < config->mounts.count && result == 0; i++) {
		char key[48];

		snprintf(key, sizeof(key), "mounts[%zu].premount_cmds", i);
		result = hooks_check(&mounts[i].premount, key, err);
		snprintf(key, sizeof(key), "mounts[%zu].postmount_cmds", i);
		if (result == 0)
			result = hooks_check(&mounts[i].postmount, key, err);
	}
	return result;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "container/groups.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "container/device_filter.h"
#include "container/limits.h"

#define FOLDER_SIZE 512
#define VALUE_SIZE  8192

/* The errno of what the kernel only has under some configurations; it has no name in user space. */
#define NOT_SUPPORTED 524

/* ---- limits ---- */

struct writing {
	const char *path, *prefix;
	struct undo *undo; /* NULL: the group is new, and goes as a whole */
	struct error *err;
};

static int blame(struct writing *w, const char *key)
{
	char field[sizeof(w->err->field)];

	snprintf(field, sizeof(field), "%.20s.%.130s", w->prefix, key);
	memcpy(w->err->field, field, sizeof(field));
	return error_step(w->err, "set the cgroup's limits");
}

/* The line that begins with the first word of `value`. */
static bool find_line(const char *text, const char *value, char *line, size_t size)
{
	size_t word = strcspn(value, " ");

	for (const char *at = text; *at; at += strcspn(at, "\n"), at += *at == '\n') {
		if (strncmp(at, value, word) == 0 && at[word] == ' ') {
			snprintf(line, size, "%.*s", (int)strcspn(at, "\n"), at);
			return true;
		}
	}
	return false;
}

/* What brings the file back to what it holds now. */
static int former_value(const struct limits_write *write, const char *folder, const char *file, char *value, size_t size,
			struct error *err)
{
	auto_free char *text = malloc(VALUE_SIZE);
	const char *last;

	if (!text)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "limits");
	long length = cgroups_read(folder, file, text, VALUE_SIZE);
	if (length < 0)
		return error_set(err, ERROR_CONTAINER, (int)-length, "read %.100s", file);
	/* The kernel takes no empty list back while processes are there: what an empty one stands for is the same. */
	if (length == 0 && strncmp(file, "cpuset.", 7) == 0) {
		char effective[64];

		if (text_format(effective, sizeof(effective), "%s.effective", file) < 0 ||
		    (length = cgroups_read(folder, effective, text, VALUE_SIZE)) < 0)
			return error_set(err, ERROR_CONTAINER, (int)-length, "read %.100s.effective", file);
	}
	switch (write->form) {
	case LIMITS_WHOLE:
		snprintf(value, size, "%s", text);
		return length < (long)size ? 0 : error_set(err, ERROR_CONTAINER, E2BIG, "keep what %.100s holds", file);
	case LIMITS_KEYED:
		if (!find_line(text, write->value, value, size))
			snprintf(value, size, "%s", write->absent);
		return 0;
	case LIMITS_LAST_WORD:
		text[strcspn(text, "\n")] = '\0';
		last = strrchr(text, ' ');
		snprintf(value, size, "%s", last ? last + 1 : text);
		return 0;
	}
	return error_set(err, ERROR_INTERNAL, EINVAL, "limits");
}

static int remember(struct writing *w, const struct limits_write *write, const char *folder, const char *file)
{
	char value[UNDO_NAME_MAX], record[UNDO_NAME_MAX];

	if (!w->undo)
		return 0;
	int result = former_value(write, folder, file, value, sizeof(value), w->err);
	if (result < 0)
		return result;
	if (text_format(record, sizeof(record), "%s/%s=%s", folder, file, value) < 0)
		return error_set(w->err, ERROR_CONTAINER, E2BIG, "keep what %.100s holds", file);
	return undo_push(w->undo, UNDO_LIMIT, record, w->err);
}

/* Some kernels take a number that they then do not keep to. */
static int verify(struct writing *w, const char *folder, const char *file, const char *value)
{
	char text[64];

	if (cgroups_read(folder, file, text, sizeof(text)) < 0)
		return error_set(w->err, ERROR_KERNEL, ENOSYS, "read %.100s", file);
	if (strtoull(text, NULL, 10) <= strtoull(value, NULL, 10))
		return 0;
	return error_set(w->err, ERROR_KERNEL, EOPNOTSUPP, "the kernel does not keep to %.100s", file);
}

static int write_file(struct writing *w, const struct limits_write *write, const char *folder, const char *file, const char *value)
{
	int result = remember(w, write, folder, file);

	if (result == 0)
		result = cgroups_write(folder, file, value, w->err);
	if (result == 0 && write->verify)
		result = verify(w, folder, file, value);
	if (result == -ENOENT || result == -EOPNOTSUPP || result == -NOT_SUPPORTED)
		w->err->code = ERROR_KERNEL;
	return result;
}

static int write_one(struct writing *w, const struct limits_write *write)
{
	char folder[FOLDER_SIZE];
	int result = cgroups_path(w->path, write->controller, folder, sizeof(folder), w->err);

	if (result == 0)
		result = write_file(w, write, folder, write->file, write->value);
	if (result == -ENOENT && write->other_file)
		result = write_file(w, write, folder, write->other_file, write->other_value);
	return result < 0 ? blame(w, write->key) : 0;
}

static int write_limits(struct writing *w, const struct limits *limits)
{
	const struct limits_write *deferred[8];
	size_t count = 0;
	int result = 0;

	for (size_t i = 0; i < limits->count && result == 0; i++) {
		const struct limits_write *write = &limits->items[i];

		result = write_one(w, write);
		if (result == -EINVAL && write->defer && count < array_count(deferred)) {
			deferred[count++] = write;
			result = 0;
		}
	}
	for (size_t i = 0; i < count && result == 0; i++)
		result = write_one(w, deferred[i]);
	return result;
}

/* ---- devices ---- */

static int write_rules_v1(const char *path, const struct device_filter *filter, struct error *err)
{
	struct device_filter exceptions = { 0 };
	char folder[FOLDER_SIZE], text[64];
	bool allow;
	int result = device_filter_exceptions(filter, &allow, &exceptions, err);

	if (result == 0)
		result = cgroups_path(path, "devices", folder, sizeof(folder), err);
	/* Less in between, never more. */
	if (result == 0)
		result = cgroups_write(folder, "devices.deny", "a", err);
	if (result == 0 && allow)
		result = cgroups_write(folder, "devices.allow", "a", err);
	for (size_t i = 0; i < exceptions.count && result == 0; i++) {
		device_filter_text(&exceptions.rules[i], text, sizeof(text));
		result = cgroups_write(folder, allow ? "devices.deny" : "devices.allow", text, err);
	}
	device_filter_free(&exceptions);
	return result;
}

static int load_rules(const struct resources *resources, struct error *err)
{
	struct device_filter filter = { 0 };
	int result = device_filter_make(resources, &filter, err);

	if (result == 0)
		result = device_filter_load(&filter, err);
	device_filter_free(&filter);
	return result;
}

static int set_rules(const struct groups *groups, const struct resources *resources, struct error *err)
{
	struct device_filter filter = { 0 };

	if (groups->directory >= 0) {
		fd_auto loaded = groups->filter < 0 ? load_rules(resources, err) : -1;
		int program = groups->filter < 0 ? loaded : groups->filter;

		return program < 0 ? program : device_filter_attach(groups->directory, program, err);
	}
	int result = device_filter_make(resources, &filter, err);
	if (result == 0)
		result = write_rules_v1(groups->path, &filter, err);
	device_filter_free(&filter);
	return result;
}

/* ---- the group ---- */

int groups_open(const char *path, struct groups *groups, struct error *err)
{
	*groups = (struct groups){ .path = path, .directory = -1, .mount = -1, .filter = -1 };
	if (cgroups_version() == CGROUPS_V1) {
		groups->mount = open(CGROUPS_MOUNT, O_PATH | O_DIRECTORY | O_CLOEXEC);
		return groups->mount < 0 ? error_set(err, ERROR_CONTAINER, errno, "open " CGROUPS_MOUNT) : 0;
	}
	groups->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return groups->directory < 0 ? error_set(err, ERROR_CONTAINER, errno, "open the cgroup %s", path) : 0;
}

void groups_close(struct groups *groups)
{
	close_fd(&groups->directory);
	close_fd(&groups->mount);
	close_fd(&groups->filter);
}

int groups_enter(const struct groups *groups, struct error *err)
{
	return groups->mount < 0 ? 0 : cgroups_enter(groups->mount, groups->path, err);
}

int groups_leave(const struct groups *groups, struct error *err)
{
	return groups->mount < 0 ? 0 : cgroups_enter(groups->mount, CGROUPS_MOUNT, err);
}

/* What the kernel says may be given to the owner of a subtree, and the folder itself. */
static int give_to_owner(const struct groups *groups, const struct resources *resources, struct error *err)
{
	auto_file list = NULL;
	char name[128];

	if (!resources->has_owner_uid)
		return 0;
	list = fopen("/sys/kernel/cgroup/delegate", "re");
	if (!list)
		return error_set(err, ERROR_KERNEL, errno, "read /sys/kernel/cgroup/delegate");
	if (fchown(groups->directory, (uid_t)resources->owner_uid, (gid_t)-1) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "give the cgroup away");
	while (fscanf(list, "%127s", name) == 1) {
		if (fchownat(groups->directory, name, (uid_t)resources->owner_uid, (gid_t)-1, AT_SYMLINK_NOFOLLOW) < 0 &&
		    errno != ENOENT)
			return error_set(err, ERROR_CONTAINER, errno, "give %s away", name);
	}
	return 0;
}

int groups_create(const char *path, const struct resources *resources, struct undo *undo, struct groups *groups, struct error *err)
{
	struct writing w = { .path = path, .prefix = "config.cgroups", .err = err };
	struct limits limits = { 0 };
	int result = limits_plan(resources, cgroups_version(), &limits, err);

	*groups = (struct groups){ .path = path, .directory = -1, .mount = -1, .filter = -1 };
	if (result < 0)
		result = blame(&w, err->field);
	if (result == 0)
		result = undo_push(undo, UNDO_CGROUP, path, err);
	if (result == 0)
		result = cgroups_make(path, err);
	if (result == 0)
		result = groups_open(path, groups, err);
	/* A new group's limits are none. */
	if (result == 0 && cgroups_version() == CGROUPS_V1)
		limits_order(&limits, resources, UINT64_MAX);
	if (result == 0)
		result = write_limits(&w, &limits);
	limits_free(&limits);
	if (result == 0 && give_to_owner(groups, resources, err) < 0)
		result = blame(&w, "owner_uid");
	return result;
}

int groups_load(struct groups *groups, const struct resources *resources, struct error *err)
{
	struct writing w = { .path = groups->path, .prefix = "config.cgroups", .err = err };

	if (groups->directory < 0)
		return 0;
	groups->filter = load_rules(resources, err);
	return groups->filter < 0 ? blame(&w, "devices") : 0;
}

int groups_restrict(const struct groups *groups, const struct resources *resources, struct error *err)
{
	struct writing w = { .path = groups->path, .prefix = "config.cgroups", .err = err };

	return set_rules(groups, resources, err) < 0 ? blame(&w, "devices") : 0;
}

/* ---- changes ---- */

/* The number in a file of the memory controller; 0 when there is none. */
static uint64_t memory_number(const char *path, const char *v1, const char *v2)
{
	char folder[FOLDER_SIZE], text[64];
	struct error ignored;

	if (cgroups_path(path, "memory", folder, sizeof(folder), &ignored) < 0 ||
	    cgroups_read(folder, cgroups_version() == CGROUPS_V1 ? v1 : v2, text, sizeof(text)) < 0)
		return 0;
	return strtoull(text, NULL, 10);
}

static int check_usage(struct writing *w, const struct resources *resources)
{
	if (!resources->memory_check_before_update || resources->memory <= 0)
		return 0;
	uint64_t now = memory_number(w->path, "memory.usage_in_bytes", "memory.current");
	if (now <= (uint64_t)resources->memory)
		return 0;
	error_set(w->err, ERROR_CONTAINER, EBUSY, "%" PRIu64 " bytes are in use", now);
	return blame(w, "memory");
}

static int change_rules(struct writing *w, const struct resources *resources, const struct resources *former)
{
	struct groups groups;
	struct error ignored;
	int result = groups_open(w->path, &groups, w->err);

	if (result == 0)
		result = set_rules(&groups, resources, w->err);
	if (result < 0 && groups.directory < 0)
		(void)!set_rules(&groups, former, &ignored);
	groups_close(&groups);
	return result < 0 ? blame(w, "devices") : 0;
}

int groups_update(const char *path, const struct resources *resources, const struct resources *former, struct undo *undo,
		  struct error *err)
{
	struct writing w = { .path = path, .prefix = "resources", .undo = undo, .err = err };
	struct limits limits = { 0 };
	int result = limits_plan(resources, cgroups_version(), &limits, err);

	if (result < 0)
		result = blame(&w, err->field);
	if (result == 0)
		result = check_usage(&w, resources);
	if (result == 0 && cgroups_version() == CGROUPS_V1)
		limits_order(&limits, resources, memory_number(path, "memory.limit_in_bytes", ""));
	if (result == 0)
		result = write_limits(&w, &limits);
	limits_free(&limits);
	if (result == 0 && resources_has_rules(resources))
		result = change_rules(&w, resources, former);
	return result;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/bundle.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "base/decode.h"
#include "base/text.h"
#include "qemu/fail.h"
#include "qemu/file.h"
#include "qemu/filesystem.h"
#include "qemu/image.h"

#define BUNDLE_CONFIG "config.json"

/* Sources that are places of the guest already. */
static const char *const guest_places[] = { "/run/coffer/volume/", "/run/coffer/scratch/" };

/* A member of an object; NULL when it is absent or of another type.  What is wrong with a spec, the agent tells. */
static json_object *member(json_object *object, const char *key, enum json_type type)
{
	json_object *value;

	if (!json_object_is_type(object, json_type_object) || !json_object_object_get_ex(object, key, &value))
		return NULL;
	return json_object_is_type(value, type) ? value : NULL;
}

static const char *text_of(json_object *object, const char *key)
{
	json_object *value = member(object, key, json_type_string);

	return value ? json_object_get_string(value) : "";
}

/* A path of the document, seen from the bundle. */
static int place(const char *folder, const char *path, char *out, struct error *err)
{
	int result = path[0] == '/' ? text_format(out, PATH_MAX, "%s", path) : text_format(out, PATH_MAX, "%s/%s", folder, path);

	return result < 0 ? error_set(err, ERROR_HOST, ENAMETOOLONG, "%.64s...", path) : 0;
}

static int find_root(const char *folder, struct bundle *bundle, struct error *err)
{
	const char *path = text_of(member(bundle->spec, "root", json_type_object), "path");
	char where[PATH_MAX];
	struct stat st;

	if (!path[0])
		return fail_set(err, EINVAL, "%s/" BUNDLE_CONFIG ": root.path is missing", folder);
	if (place(folder, path, where, err) < 0)
		return error_wrap(err, "root.path");
	/* A link is followed, as a mount of it would be. */
	if (!realpath(where, bundle->root))
		return error_set(err, ERROR_HOST, errno, "root.path of %s/" BUNDLE_CONFIG ": %s", folder, where);
	if (stat(bundle->root, &st) < 0 || !S_ISDIR(st.st_mode))
		return fail_set(err, ENOTDIR, "root.path of %s/" BUNDLE_CONFIG ": %s is no folder", folder, bundle->root);
	return 0;
}

static bool has_option(json_object *mount, const char *wanted)
{
	json_object *options = member(mount, "options", json_type_array);
	size_t count = options ? json_object_array_length(options) : 0;

	for (size_t i = 0; i < count; i++) {
		json_object *option = json_object_array_get_idx(options, i);

		if (json_object_is_type(option, json_type_string) && strcmp(json_object_get_string(option), wanted) == 0)
			return true;
	}
	return false;
}

static bool is_bind(json_object *mount)
{
	return has_option(mount, "bind") || has_option(mount, "rbind") || strcmp(text_of(mount, "type"), "bind") == 0;
}

static bool is_in_guest(const char *source)
{
	for (size_t i = 0; i < array_count(guest_places); i++) {
		if (strncmp(source, guest_places[i], strlen(guest_places[i])) == 0)
			return true;
	}
	return false;
}

/* Files that are made up when they are read are the host kernel's own matter, and some of them never end. */
static bool is_made_up(const char *path)
{
	static const unsigned long kinds[] = { PROC_SUPER_MAGIC, SYSFS_MAGIC,   CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC,
					       DEBUGFS_MAGIC,    TRACEFS_MAGIC, SECURITYFS_MAGIC };
	struct statfs filesystem;

	for (size_t i = 0; i < array_count(kinds) && statfs(path, &filesystem) == 0; i++) {
		if ((unsigned long)filesystem.f_type == kinds[i])
			return true;
	}
	return false;
}

static int add_source(const char *folder, json_object *mount, size_t index, struct bundle *bundle, struct error *err)
{
	const char *source = text_of(mount, "source");
	char where[PATH_MAX], found[PATH_MAX];
	struct stat st;

	if (bundle->source_count == BUNDLE_SOURCES_MAX)
		return fail_set(err, E2BIG, "at most %d bind mounts", BUNDLE_SOURCES_MAX);
	if (!source[0])
		return fail_set(err, EINVAL, "mounts[%zu].source is missing", index);
	if (place(folder, source, where, err) < 0)
		return error_wrap(err, "mounts[%zu].source", index);
	if (!realpath(where, found) || stat(found, &st) < 0)
		return error_set(err, ERROR_HOST, errno, "mounts[%zu].source: %s", index, where);
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
		return fail_set(err, EINVAL,
				"mounts[%zu].source: %s is neither a file nor a folder; the VM gets a copy, and of nothing else "
				"there is one",
				index, where);
	if (is_made_up(found))
		return fail_set(err, EINVAL, "mounts[%zu].source: %s is the host kernel's; the VM has a kernel of its own", index,
				found);
	if (!has_option(mount, "ro") && !has_option(mount, "rro"))
		fprintf(stderr, "coffer: mounts[%zu]: the container gets a read-only copy of %s\n", index, found);
	struct bundle_source *added = &bundle->sources[bundle->source_count];
	added->mount = index;
	added->path = strdup(found);
	if (!added->path)
		return error_set(err, ERROR_HOST, ENOMEM, "mounts[%zu]", index);
	bundle->source_count++;
	return 0;
}

static int find_sources(const char *folder, struct bundle *bundle, struct error *err)
{
	json_object *mounts = member(bundle->spec, "mounts", json_type_array);
	size_t count = mounts ? json_object_array_length(mounts) : 0;

	for (size_t i = 0; i < count; i++) {
		json_object *mount = json_object_array_get_idx(mounts, i);

		if (!is_bind(mount) || is_in_guest(text_of(mount, "source")))
			continue;
		if (add_source(folder, mount, i, bundle, err) < 0)
			return error_wrap(err, "%s/" BUNDLE_CONFIG, folder);
	}
	return 0;
}

int bundle_open(const char *folder, struct bundle *bundle, struct error *err)
{
	char path[PATH_MAX];

	memset(bundle, 0, sizeof(*bundle));
	if (text_format(path, sizeof(path), "%s/" BUNDLE_CONFIG, folder) < 0)
		return error_set(err, ERROR_HOST, ENAMETOOLONG, "%s", folder);
	int result = file_read_json(path, &bundle->text, err);
	if (result == 0)
		result = decode_parse(buf_bytes(&bundle->text), strlen(buf_bytes(&bundle->text)), &bundle->spec, err);
	if (result < 0)
		return error_wrap(err, "%s is no OCI bundle", folder);
	json_object *terminal = member(member(bundle->spec, "process", json_type_object), "terminal", json_type_boolean);
	bundle->terminal = terminal && json_object_get_boolean(terminal);
	result = find_root(folder, bundle, err);
	return result < 0 ? result : find_sources(folder, bundle, err);
}

/* Large files, so not where they may be kept in memory. */
static int make_folder(struct bundle *bundle, struct error *err)
{
	const char *given = getenv("TMPDIR");

	if (text_format(bundle->folder, sizeof(bundle->folder), "%s/coffer-run-XXXXXX", given && *given ? given : "/var/tmp") < 0) {
		bundle->folder[0] = '\0';
		return error_set(err, ERROR_HOST, ENAMETOOLONG, "TMPDIR");
	}
	if (!mkdtemp(bundle->folder)) {
		int result = error_set(err, ERROR_HOST, errno, "%s", bundle->folder);

		bundle->folder[0] = '\0';
		return result;
	}
	return 0;
}

/* One folder with all sources in it, since a file system is made of one folder. */
static int make_binds(struct bundle *bundle, int interrupt, struct error *err)
{
	struct progress progress = { 0 };
	const struct filesystem fs = { .progress = &progress, .interrupt = interrupt };
	char all[PATH_MAX], one[PATH_MAX];
	int result = 0;

	if (text_format(all, sizeof(all), "%s/binds", bundle->folder) < 0 ||
	    text_format(bundle->binds, sizeof(bundle->binds), "%s/binds.img", bundle->folder) < 0)
		return error_set(err, ERROR_HOST, ENAMETOOLONG, "%s", bundle->folder);
	if (mkdir(all, 0755) < 0)
		return error_set(err, ERROR_HOST, errno, "%s", all);
	progress_begin(&progress, "copy what is bind-mounted");
	for (size_t i = 0; i < bundle->source_count && result == 0; i++) {
		result = text_format(one, sizeof(one), "%s/%zu", all, i) < 0
				 ? error_set(err, ERROR_HOST, ENAMETOOLONG, "%s", all)
				 : filesystem_copy(&fs, bundle->sources[i].path, one, err);
		if (result < 0)
			error_wrap(err, "mounts[%zu].source", bundle->sources[i].mount);
	}
	progress_end(&progress);
	return result < 0 ? result : image_make(all, bundle->binds, interrupt, err);
}

int bundle_make(struct bundle *bundle, int interrupt, struct error *err)
{
	int result = make_folder(bundle, err);

	if (result == 0 && text_format(bundle->image, sizeof(bundle->image), "%s/root.img", bundle->folder) < 0)
		result = error_set(err, ERROR_HOST, ENAMETOOLONG, "%s", bundle->folder);
	if (result == 0 && image_make(bundle->root, bundle->image, interrupt, err) < 0)
		result = error_wrap(err, "an image of %s", bundle->root);
	if (result == 0 && bundle->source_count > 0)
		result = make_binds(bundle, interrupt, err);
	return result;
}

static int change_sources(struct bundle *bundle, const char *binds, struct error *err)
{
	json_object *mounts = member(bundle->spec, "mounts", json_type_array);

	for (size_t i = 0; i < bundle->source_count; i++) {
		char source[128];

		snprintf(source, sizeof(source), "/run/coffer/volume/%s/%zu", binds, i);
		if (json_object_object_add(json_object_array_get_idx(mounts, bundle->sources[i].mount), "source",
					   json_object_new_string(source)) != 0)
			return error_set(err, ERROR_HOST, ENOMEM, "the spec");
	}
	return 0;
}

static int change_args(struct bundle *bundle, char **args, struct error *err)
{
	json_object *process = member(bundle->spec, "process", json_type_object), *array = json_object_new_array();

	if (!process) {
		json_object_put(array);
		return fail_set(err, EINVAL, "process is missing in " BUNDLE_CONFIG);
	}
	if (!array || json_object_object_add(process, "args", array) != 0) {
		json_object_put(array);
		return error_set(err, ERROR_HOST, ENOMEM, "the spec");
	}
	for (; *args; args++) {
		if (json_object_array_add(array, json_object_new_string(*args)) != 0)
			return error_set(err, ERROR_HOST, ENOMEM, "the spec");
	}
	return 0;
}

int bundle_text(struct bundle *bundle, const char *binds, char **args, struct buf *text, struct error *err)
{
	const char *bytes = buf_bytes(&bundle->text);
	int result = change_sources(bundle, binds, err);

	if (result == 0 && args)
		result = change_args(bundle, args, err);
	if (result == 0 && (bundle->source_count > 0 || args))
		bytes = json_object_to_json_string_ext(bundle->spec, JSON_C_TO_STRING_PLAIN);
	if (result == 0 && buf_append(text, bytes, strlen(bytes)) < 0)
		result = error_set(err, ERROR_HOST, ENOMEM, "the spec");
	return result;
}

const char *bundle_program(const struct bundle *bundle)
{
	json_object *args = member(member(bundle->spec, "process", json_type_object), "args", json_type_array);
	json_object *first = args && json_object_array_length(args) > 0 ? json_object_array_get_idx(args, 0) : NULL;

	return json_object_is_type(first, json_type_string) ? json_object_get_string(first) : "";
}

void bundle_discard(struct bundle *bundle)
{
	struct error why;

	if (bundle->folder[0] && filesystem_remove_tree(bundle->folder, &why) < 0)
		fprintf(stderr, "coffer: %s is left behind: %s\n", bundle->folder, why.message);
	bundle->folder[0] = '\0';
}

void bundle_close(struct bundle *bundle)
{
	bundle_discard(bundle);
	for (size_t i = 0; i < bundle->source_count; i++)
		free(bundle->sources[i].path);
	bundle->source_count = 0;
	buf_free(&bundle->text);
	json_object_put(bundle->spec);
	bundle->spec = NULL;
}

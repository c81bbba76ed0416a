/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "volume/direct_block.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mount.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "storage/filesystem.h"
#include "storage/fs_group.h"
#include "volume/mapped.h"

static const char *const fs_types[] = { "ext4", "xfs", "erofs", "squashfs", NULL };

/*
 * The keys that Kata writes for a pod's fsGroup (kata-containers: src/runtime/pkg/direct-volume/utils.go).  Other metadata is for
 * whoever put it there, and says nothing to a guest.
 */
#define FS_GROUP        "fsGroup"
#define FS_GROUP_CHANGE "fsGroupChangePolicy"

/* 1 when a group is asked for. */
static int read_group(const struct virtual_volume *volume, struct fs_group *group, struct error *err)
{
	static const char *const known[] = { FS_GROUP, FS_GROUP_CHANGE };
	const struct decode_pair *pairs = volume->direct_volume.pairs.items;
	const char *text = virtual_volume_metadata(&volume->direct_volume, FS_GROUP);
	const char *change = virtual_volume_metadata(&volume->direct_volume, FS_GROUP_CHANGE);
	char *end = NULL;

	for (size_t i = 0; i < volume->direct_volume.pairs.count; i++) {
		for (size_t j = 0; j < array_count(known); j++) {
			/* A group that is lost to a spelling would be access that was not given, or was given to others. */
			if (strcasecmp(pairs[i].key, known[j]) == 0 && strcmp(pairs[i].key, known[j]) != 0)
				return error_field(err, "direct_volume.metadata", "\"%.32s\" is spelt \"%s\"", pairs[i].key,
						   known[j]);
		}
	}
	*group = (struct fs_group){ .on_mismatch_only = change && strcmp(change, "OnRootMismatch") == 0 };
	if (change && !group->on_mismatch_only && strcmp(change, "Always") != 0)
		return error_field(err, "direct_volume.metadata." FS_GROUP_CHANGE, "Always and OnRootMismatch are accepted");
	if (change && !text)
		return error_field(err, "direct_volume.metadata." FS_GROUP_CHANGE, "needs " FS_GROUP);
	if (!text)
		return 0;
	unsigned long value = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || strlen(text) > 10 || value >= (gid_t)-1)
		return error_field(err, "direct_volume.metadata." FS_GROUP, "must be a group's number");
	group->gid = (gid_t)value;
	return 1;
}

static int check(const struct volume_attach *request, struct volume_bases *bases, struct error *err)
{
	struct rules_options options = { 0 };
	struct fs_group group;
	int result = volume_check_source(request, bases, err);

	if (result == 0)
		result = rules_options(&request->volume, &direct_block.rules, &options, err);
	if (result < 0)
		return result;
	result = read_group(&request->volume, &group, err);
	if (result > 0 && (options.flags & MS_RDONLY))
		return error_field(err, "direct_volume.metadata." FS_GROUP, "owners cannot be changed on a read-only volume");
	return result < 0 ? result : 0;
}

static int attach(const struct volume_attach *request, struct volume_context *context, struct volume_attached *attached,
		  struct error *err)
{
	const struct virtual_volume *volume = &request->volume;
	struct rules_options options = { 0 };
	struct fs_group group;
	struct mapped mapped;
	char target[160];
	int result = rules_options(volume, &direct_block.rules, &options, err);

	if (result < 0)
		return result;
	const struct mapped_request wanted = {
		.source = volume->source,
		.id = request->id,
		.part = "",
		.writable = !(options.flags & MS_RDONLY),
		.timeout_ms = request->timeout_ms,
	};
	result = mapped_open(&wanted, context, &mapped, err);
	if (result < 0)
		return result;
	result = filesystem_confirm(mapped.node, volume->fs_type, err);
	if (result < 0)
		return error_step(err, "look for the file system");
	const struct filesystem_mount mount = {
		.source = mapped.node,
		.device = mapped.number,
		.type = volume->fs_type,
		.flags = options.flags,
		.discard = options.discard,
	};
	result = mapped_mount(request, &mount, context, err);
	if (result < 0)
		return result;
	result = read_group(volume, &group, err);
	if (result > 0) {
		result = text_format(target, sizeof(target), VOLUME_DIRECTORY "/%s", request->id);
		if (result == 0)
			result = fs_group_apply(target, &group, err);
		if (result < 0)
			return error_step(err, "hand the files to the group");
		steps_done(context->steps, "change the group");
	}
	mapped_describe(&mapped, volume->fs_type, attached);
	return result;
}

const struct volume_driver direct_block = {
	.type = "direct_block",
	.rules = {
		.may = VIRTUAL_VOLUME_DIRECT_VOLUME,
		.fs_types = fs_types,
		.fs_type_needed = true,
		.writable = true,
		.plain = true,
	},
	.check = check,
	.attach = attach,
};

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "volume/rules.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#include "base/buf.h"
#include "base/cleanup.h"

static const struct {
	unsigned bit;
	const char *name;
} members[] = {
	{ VIRTUAL_VOLUME_DIRECT_VOLUME, "direct_volume" },
	{ VIRTUAL_VOLUME_IMAGE_PULL, "image_pull" },
	{ VIRTUAL_VOLUME_NYDUS_IMAGE, "nydus_image" },
	{ VIRTUAL_VOLUME_DM_VERITY, "dm_verity" },
};

static int check_members(const struct virtual_volume *volume, const struct rules *rules, struct error *err)
{
	unsigned there = virtual_volume_members(volume);

	for (size_t i = 0; i < array_count(members); i++) {
		if ((there & members[i].bit) && !(rules->may & members[i].bit))
			return error_field(err, members[i].name, "does not belong to %s", volume->volume_type);
		if (!(there & members[i].bit) && (rules->must & members[i].bit))
			return error_field(err, members[i].name, "is required for %s", volume->volume_type);
	}
	return 0;
}

static int check_fs_type(const struct virtual_volume *volume, const struct rules *rules, struct error *err)
{
	const char *type = volume->fs_type;
	char list[64] = "";

	if (type && strcmp(type, "rafsv5") == 0) {
		int result = error_field(err, "fs_type", "RAFS v5 is served by a user-space daemon alone: convert it to rafsv6");

		err->code = ERROR_UNSUPPORTED_VOLUME;
		err->errnum = ENOTSUP;
		return result;
	}
	if (!type || !type[0]) {
		/* Looking for one is for verified bytes. */
		if (!rules->fs_type_needed && volume->has_dm_verity)
			return 0;
		return error_field(err, "fs_type", "is required for %s%s", volume->volume_type,
				   rules->fs_type_needed ? "" : " without dm_verity");
	}
	for (const char *const *known = rules->fs_types; *known; known++) {
		if (strcmp(*known, type) == 0)
			return 0;
		size_t used = strlen(list);
		snprintf(list + used, sizeof(list) - used, "%s%s", used ? ", " : "", *known);
	}
	return error_field(err, "fs_type", "of these: %s", list);
}

/* Every word that a request may say.  A word sets and clears flags; nothing is passed through as text. */
static const struct {
	const char *word;
	unsigned long set;
	const char *against; /* a word that contradicts it */
	bool discard, read_only_too;
} words[] = {
	{ "ro", MS_RDONLY, "rw", false, true },
	{ "rw", 0, "ro", false, false },
	{ "nosuid", 0, NULL, false, true }, /* is so anyway */
	{ "nodev", 0, NULL, false, true },
	{ "noexec", MS_NOEXEC, "exec", false, false },
	{ "exec", 0, "noexec", false, false },
	{ "noatime", MS_NOATIME, "relatime", false, false },
	{ "relatime", MS_RELATIME, "noatime", false, false },
	{ "strictatime", MS_STRICTATIME, "noatime", false, false },
	{ "nodiratime", MS_NODIRATIME, NULL, false, false },
	{ "lazytime", MS_LAZYTIME, NULL, false, false },
	{ "sync", MS_SYNCHRONOUS, "async", false, false },
	{ "async", 0, "sync", false, false },
	{ "dirsync", MS_DIRSYNC, NULL, false, false },
	{ "discard", 0, NULL, true, false },
};

static bool is_there(const struct virtual_volume *volume, const char *word)
{
	const char *const *options = volume->options.items;

	for (size_t i = 0; word && i < volume->options.count; i++) {
		if (strcmp(options[i], word) == 0)
			return true;
	}
	return false;
}

int rules_options(const struct virtual_volume *volume, const struct rules *rules, struct rules_options *options, struct error *err)
{
	const char *const *given = volume->options.items;
	char field[32];

	*options = (struct rules_options){ .flags = rules->writable ? 0 : MS_RDONLY };
	for (size_t i = 0; i < volume->options.count; i++) {
		size_t row = 0;

		snprintf(field, sizeof(field), "options[%zu]", i);
		while (row < array_count(words) && strcmp(words[row].word, given[i]) != 0)
			row++;
		if (row == array_count(words))
			return error_field(err, field, "is none of the options that docs/VOLUMES.md lists");
		if (!rules->writable && !words[row].read_only_too)
			return error_field(err, field,
					   "only \"ro\" is accepted: an image is read-only, and its options are the agent's");
		if (is_there(volume, words[row].against))
			return error_field(err, field, "contradicts \"%s\"", words[row].against);
		options->flags |= words[row].set;
		options->discard = options->discard || words[row].discard;
	}
	return 0;
}

int rules_check_trust(const struct virtual_volume *volume, const struct rules *rules, bool plain_allowed, struct error *err)
{
	const char *field = rules->plain ? "volume_type" : "dm_verity";

	if (plain_allowed || volume->has_dm_verity || rules->verified_by_base)
		return 0;
	int result = error_field(err, field,
				 "what is not verified is not trusted: a VM takes it only when it was started with "
				 "coffer.plain_storage=allow on its kernel command line");
	err->code = ERROR_NOT_ALLOWED;
	err->errnum = EPERM;
	return result;
}

int rules_check(const struct virtual_volume *volume, const struct rules *rules, struct error *err)
{
	struct rules_options options;
	struct verity verity;
	int result = check_members(volume, rules, err);

	if (result == 0)
		result = check_fs_type(volume, rules, err);
	if (result == 0)
		result = rules_options(volume, rules, &options, err);
	if (result == 0 && volume->has_dm_verity)
		result = virtual_volume_verity(&volume->dm_verity, &verity, err);
	return result;
}

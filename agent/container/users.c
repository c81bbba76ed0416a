/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "container/users.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { FIELD_NAME = 0, FIELD_ID = 2, FIELD_GROUP = 3, FIELD_MEMBERS = 3 };

struct word {
	const char *text;
	size_t length;
};

static bool is(struct word word, struct word other)
{
	return word.length == other.length && memcmp(word.text, other.text, word.length) == 0;
}

/* Digits alone, and an id that the kernel takes: -1 stands for "leave it as it is". */
static bool read_id(struct word word, uint64_t *id)
{
	*id = 0;
	for (size_t i = 0; i < word.length; i++) {
		if (word.text[i] < '0' || word.text[i] > '9')
			return false;
		*id = *id * 10 + (uint64_t)(word.text[i] - '0');
		if (*id >= UINT32_MAX)
			return false;
	}
	return word.length > 0;
}

static bool all_digits(struct word word)
{
	size_t i = 0;

	while (i < word.length && word.text[i] >= '0' && word.text[i] <= '9')
		i++;
	return i > 0 && i == word.length;
}

/* Field `number` of a line of passwd or group; an empty one when the line has fewer. */
static struct word field_of(struct word line, unsigned number)
{
	const char *at = line.text, *end = line.text + line.length;

	for (; number > 0; number--) {
		const char *colon = memchr(at, ':', (size_t)(end - at));

		if (!colon)
			return (struct word){ end, 0 };
		at = colon + 1;
	}
	const char *colon = memchr(at, ':', (size_t)(end - at));
	return (struct word){ at, (size_t)((colon ? colon : end) - at) };
}

/* The next line of *text, which moves behind it. */
static bool next_line(const char **text, struct word *line)
{
	if (!*text || !**text)
		return false;
	*line = (struct word){ *text, strcspn(*text, "\n") };
	*text += line->length;
	*text += **text == '\n';
	return true;
}

/* The first line that is about `who`: by its number if that is one, else by its name. */
static bool find_line(const char *text, struct word who, struct word *line)
{
	uint64_t wanted = 0, id;
	bool by_id = read_id(who, &wanted);

	while (next_line(&text, line)) {
		if (by_id ? read_id(field_of(*line, FIELD_ID), &id) && id == wanted : is(field_of(*line, FIELD_NAME), who))
			return true;
	}
	return false;
}

static bool lists(struct word members, struct word name)
{
	while (members.length > 0) {
		const char *comma = memchr(members.text, ',', members.length);
		struct word first = { members.text, comma ? (size_t)(comma - members.text) : members.length };

		if (is(first, name))
			return true;
		members.text += first.length + (comma != NULL);
		members.length -= first.length + (comma != NULL);
	}
	return false;
}

static int blame(struct error *err, int errnum, const char *what, struct word who, const char *why)
{
	int result =
		error_set(err, ERROR_CONTAINER, 0, "%s '%.*s': %s", what, (int)(who.length < 64 ? who.length : 64), who.text, why);

	snprintf(err->field, sizeof(err->field), "process.user");
	err->errnum = errnum;
	return result < 0 ? -errnum : result;
}

static int add_groups(const char *group, struct word name, struct users_ids *ids, struct error *err)
{
	struct word line;
	uint64_t id;

	while (name.length > 0 && next_line(&group, &line)) {
		if (!lists(field_of(line, FIELD_MEMBERS), name) || !read_id(field_of(line, FIELD_ID), &id))
			continue;
		if (ids->group_count == USERS_GROUPS_MAX)
			return blame(err, E2BIG, "user", name, "in more groups than a process may have here");
		ids->groups[ids->group_count++] = id;
	}
	return 0;
}

static int find_user(struct word who, const char *passwd, struct users_ids *ids, struct word *name, struct error *err)
{
	bool by_id = read_id(who, &ids->uid);
	struct word line;

	if (!by_id && all_digits(who))
		return blame(err, ERANGE, "user", who, "the number is too large");
	if (find_line(passwd, who, &line)) {
		*name = field_of(line, FIELD_NAME);
		if (!read_id(field_of(line, FIELD_ID), &ids->uid) || !read_id(field_of(line, FIELD_GROUP), &ids->gid))
			return blame(err, EINVAL, "user", who,
				     "the line of the container's /etc/passwd has no ids that can be used");
		return 0;
	}
	return by_id ? 0 : blame(err, ENOENT, "user", who, "not in the container's /etc/passwd");
}

static int find_group(struct word who, const char *group, struct users_ids *ids, struct error *err)
{
	struct word line;

	if (read_id(who, &ids->gid))
		return 0;
	if (all_digits(who))
		return blame(err, ERANGE, "group", who, "the number is too large");
	if (!find_line(group, who, &line))
		return blame(err, ENOENT, "group", who, "not in the container's /etc/group");
	if (!read_id(field_of(line, FIELD_ID), &ids->gid))
		return blame(err, EINVAL, "group", who, "the line of the container's /etc/group has no id that can be used");
	return 0;
}

int users_find(const char *user, const char *passwd, const char *group, struct users_ids *ids, struct error *err)
{
	const struct word who = { user, strcspn(user, ":") };
	struct word name = { user, 0 };

	*ids = (struct users_ids){ 0 };
	if (who.length == 0 || strchr(user, '\n'))
		return blame(err, EINVAL, "user", who, "USER or USER:GROUP is needed, names or numbers");
	int result = find_user(who, passwd, ids, &name, err);
	if (result == 0 && user[who.length] == ':') {
		const struct word other = { user + who.length + 1, strlen(user + who.length + 1) };

		return find_group(other, group, ids, err);
	}
	return result < 0 ? result : add_groups(group, name, ids, err);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "layer/tree_times.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"

struct record {
	int64_t times[4];
	uint64_t length; /* of the path that follows */
};

static int failed(int errnum, struct error *err)
{
	return error_set(err, ERROR_INTERNAL, errnum, "the spool of directories' times");
}

static int write_all(int fd, const void *bytes, size_t size, int64_t at)
{
	while (size > 0) {
		ssize_t put = pwrite(fd, bytes, size, at);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return put < 0 ? -errno : -EIO;
		bytes = (const char *)bytes + put;
		size -= (size_t)put;
		at += put;
	}
	return 0;
}

int tree_times_record(struct tree *tree, const char *path, const char *name, const struct timespec times[2], struct error *err)
{
	struct {
		struct record head;
		char path[TREE_PATH];
	} record = { .head = { .times = { times[0].tv_sec, times[0].tv_nsec, times[1].tv_sec, times[1].tv_nsec } } };
	bool itself = strcmp(name, ".") == 0;

	if (text_format(record.path, sizeof(record.path), "%s%s%s", path, itself || !path[0] ? "" : "/", itself ? "" : name) < 0)
		return error_set(err, ERROR_LAYER, 0, "a directory's path has more than %u bytes", TREE_PATH - 1);
	record.head.length = strlen(record.path);
	size_t size = sizeof(record.head) + record.head.length;
	int result = write_all(tree->request->spool, &record, size, tree->spooled);
	if (result < 0)
		return failed(-result, err);
	tree->spooled += (int64_t)size;
	return 0;
}

/* What is a directory of this path no more has other times, from elsewhere. */
static int apply(struct tree *tree, const struct record *record, const char *path, struct error *err)
{
	const struct timespec times[2] = {
		{ .tv_sec = record->times[0], .tv_nsec = record->times[1] },
		{ .tv_sec = record->times[2], .tv_nsec = record->times[3] },
	};
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
	};
	fd_auto fd = (int)syscall(SYS_openat2, tree->request->tree, path[0] ? path : ".", &how, sizeof(how));

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
		return 0;
	if (fd < 0 || futimens(fd, times) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "give the directory \"%.120s\" its times", path);
	return 0;
}

int tree_times_apply(struct tree *tree, struct error *err)
{
	size_t have = 0;
	int64_t at = 0;

	while (at < tree->spooled || have > 0) {
		size_t used = 0;
		ssize_t got = pread(tree->request->spool, tree->buffer + have, sizeof(tree->buffer) - have, at);

		if (got < 0 || (got == 0 && at < tree->spooled))
			return failed(got < 0 ? errno : EIO, err);
		have += (size_t)got;
		at += got;
		for (;;) {
			struct record record;
			char path[TREE_PATH];

			if (have - used < sizeof(record))
				break;
			memcpy(&record, tree->buffer + used, sizeof(record));
			if (record.length >= sizeof(path))
				return failed(EIO, err);
			if (have - used < sizeof(record) + record.length)
				break;
			memcpy(path, tree->buffer + used + sizeof(record), record.length);
			path[record.length] = '\0';
			used += sizeof(record) + record.length;
			int result = apply(tree, &record, path, err);
			if (result < 0)
				return result;
		}
		if (used == 0)
			return failed(EIO, err);
		have -= used;
		memmove(tree->buffer, tree->buffer + used, have);
	}
	return 0;
}

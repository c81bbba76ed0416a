/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/container/syscall_filter.c agent/sys/libraries.c */
/* links: -Wl,--wrap=open -Wl,--wrap=opendir -Wl,--wrap=rename -Wl,--wrap=unlink */
/* The cache of compiled filters: what is in it is taken for its own profile only, and costs nothing when it is damaged. */
#include "unit/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/decode.h"
#include "container/syscall_filter.h"
#include "sys/paths.h"

#define CACHE "/run/coffer/seccomp"

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
DIR *__real_opendir(const char *path);
DIR *__wrap_opendir(const char *path);
int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __real_unlink(const char *path);
int __wrap_unlink(const char *path);

static char top[] = "/tmp/coffer-test-XXXXXX";

static struct {
	json_object *json;
	struct decode_memory memory;
	struct syscall_filter profile;
	struct syscall_filter_program program;
	struct error err;
	bool no_cache; /* its directory cannot be made */
	bool no_rename;
} t;

/* ---- the cache, elsewhere ---- */

static const char *elsewhere(const char *path, char moved[256])
{
	if (strncmp(path, CACHE, strlen(CACHE)) != 0)
		return path;
	snprintf(moved, 256, "%s%s", top, path + strlen(CACHE));
	return moved;
}

int __wrap_open(const char *path, int flags, ...)
{
	char moved[256];
	va_list list;

	va_start(list, flags);
	mode_t mode = flags & O_CREAT ? va_arg(list, mode_t) : 0;
	va_end(list);
	return __real_open(elsewhere(path, moved), flags, mode);
}

DIR *__wrap_opendir(const char *path)
{
	char moved[256];

	return __real_opendir(elsewhere(path, moved));
}

int __wrap_rename(const char *from, const char *to)
{
	char moved_from[256], moved_to[256];

	if (t.no_rename) {
		errno = ENOSPC;
		return -1;
	}
	return __real_rename(elsewhere(from, moved_from), elsewhere(to, moved_to));
}

int __wrap_unlink(const char *path)
{
	char moved[256];

	return __real_unlink(elsewhere(path, moved));
}

int paths_mkdirs(const char *path, mode_t mode, struct error *err)
{
	assert_string_equal(path, CACHE);
	assert_int_equal(mode, 0700);
	return t.no_cache ? error_set(err, ERROR_INTERNAL, EROFS, "no cache") : 0;
}

/* Removes the files of the cache; returns how many there were.  *last is the name of one. */
static unsigned sweep(bool remove_them, char last[512])
{
	auto_dir directory = __real_opendir(top);
	struct dirent *entry;
	unsigned count = 0;

	assert_non_null(directory);
	while ((entry = readdir(directory))) {
		char path[512];

		if (entry->d_name[0] == '.')
			continue;
		count++;
		snprintf(path, sizeof(path), "%s/%s", top, entry->d_name);
		if (last)
			snprintf(last, 512, "%s", path);
		if (remove_them)
			assert_int_equal(__real_unlink(path), 0);
	}
	return count;
}

/* ---- */

static void forget(void)
{
	free(t.program.filter);
	t.program.filter = NULL;
	json_object_put(t.json);
	t.json = NULL;
	decode_free(&t.memory);
}

static int make_top(void **state)
{
	(void)state;
	return mkdtemp(top) ? 0 : -1;
}

static int remove_top(void **state)
{
	(void)state;
	return rmdir(top);
}

static int fresh(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	t.no_cache = true;
	return 0;
}

static int clean(void **state)
{
	(void)state;
	forget();
	sweep(true, NULL);
	return 0;
}

static int compile(const char *text)
{
	forget();
	memset(&t.err, 0, sizeof(t.err));
	assert_worked(decode_parse(text, strlen(text), &t.json, &t.err), &t.err);
	int result = decode_object(t.json, &syscall_filter_schema, &t.profile, &t.memory, &t.err);

	return result < 0 ? result : syscall_filter_compile(&t.profile, &t.program, &t.err);
}

#define PROFILE "{\"default_action\":2,\"syscalls\":[{\"name\":\"read\",\"action\":4}]}"

static void change(const char *path, off_t at, const void *bytes, size_t size)
{
	fd_auto fd = __real_open(path, O_WRONLY);

	assert_true(fd >= 0);
	if (at < 0)
		at = lseek(fd, 0, SEEK_END) + at;
	assert_int_equal(pwrite(fd, bytes, size, at), size);
}

/* Compiled once more: from the file if it is believed, which a mark in it shows. */
static bool is_taken(const char *path, const char *profile)
{
	struct stat status;

	assert_int_equal(stat(path, &status), 0);
	assert_worked(compile(profile), &t.err);
	for (size_t i = 0; i < t.program.length; i++) {
		if (t.program.filter[i].k == 0xc0ffee)
			return true;
	}
	return false;
}

static void a_program_is_kept(void **state)
{
	const uint32_t mark = 0xc0ffee;
	char path[512];
	struct stat status;

	(void)state;
	t.no_cache = false;
	assert_worked(compile(PROFILE), &t.err);
	assert_int_equal(sweep(false, path), 1);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	assert_worked(compile(PROFILE), &t.err);
	assert_int_equal(sweep(false, NULL), 1);
	assert_false(is_taken(path, PROFILE));
	change(path, -4, &mark, sizeof(mark));
	assert_true(is_taken(path, PROFILE));
}

/* The name is only a hash: what is under it must be the profile's own. */
static void a_file_with_another_key_is_not_taken(void **state)
{
	const uint32_t mark = 0xc0ffee;
	uint64_t length = 0, longer;
	char path[512], byte = 0;
	struct stat status;

	(void)state;
	t.no_cache = false;
	assert_worked(compile(PROFILE), &t.err);
	assert_int_equal(sweep(false, path), 1);
	auto_free struct sock_filter *program = take_pointer(t.program.filter);
	const unsigned short program_length = t.program.length;
	const size_t size = program_length * sizeof(*program);
	change(path, -4, &mark, sizeof(mark));
	t.no_cache = true; /* nothing mends it */
	assert_true(is_taken(path, PROFILE));
	fd_auto fd = __real_open(path, O_RDONLY);
	assert_int_equal(read(fd, &length, sizeof(length)), sizeof(length));
	for (uint64_t i = 0; i < length; i++) {
		off_t at = (off_t)(sizeof(length) + i);

		assert_int_equal(pread(fd, &byte, 1, at), 1);
		byte ^= 1;
		change(path, at, &byte, 1);
		check_row(!is_taken(path, PROFILE), "byte %llu of the key", (unsigned long long)i);
		byte ^= 1;
		change(path, at, &byte, 1);
	}
	longer = length - 8; /* what it has of the key is right */
	change(path, 0, &longer, sizeof(longer));
	assert_false(is_taken(path, PROFILE));
	longer = length + 8;
	change(path, 0, &longer, sizeof(longer));
	assert_false(is_taken(path, PROFILE));
	longer = UINT64_MAX - 7;
	change(path, 0, &longer, sizeof(longer));
	assert_false(is_taken(path, PROFILE));
	change(path, 0, &length, sizeof(length));
	assert_true(is_taken(path, PROFILE));
	/* More than a filter may have; half an instruction, none, not the whole key, nothing. */
	assert_int_equal(fstat(fd, &status), 0);
	const off_t sizes[] = {
		(off_t)(8 + length + 4097 * 8), status.st_size - 4, (off_t)(8 + length), (off_t)(8 + length - 1), 8, 4, 0
	};
	for (size_t i = 0; i < array_count(sizes); i++) {
		assert_int_equal(truncate(path, sizes[i]), 0);
		assert_worked(compile(PROFILE), &t.err);
		check_row(t.program.length == program_length && memcmp(t.program.filter, program, size) == 0, "size %lld",
			  (long long)sizes[i]);
	}
}

static void profiles_that_differ_share_nothing(void **state)
{
#define ARG(index, value, two, op) "{\"index\":" index ",\"value\":" value ",\"value_two\":" two ",\"op\":" op "}"
#define RULE(name, more)           "{\"default_action\":2,\"syscalls\":[{\"name\":\"" name "\",\"action\":" more "}]}"
	static const char *const rows[] = {
		"{\"default_action\":2}",
		"{\"default_action\":3}",
		"{\"default_action\":2,\"default_errno_ret\":0}",
		"{\"default_action\":2,\"default_errno_ret\":5}",
		"{\"default_action\":2,\"architectures\":[\"x86\"]}",
		"{\"default_action\":2,\"architectures\":[\"x32\"]}",
		"{\"default_action\":2,\"architectures\":[\"x86\",\"x32\"]}",
		PROFILE,
		RULE("write", "4"),
		RULE("readv", "4"),
		RULE("read", "3"),
		RULE("read", "5"),
		RULE("read", "5,\"errnoRet\":0"),
		RULE("read", "5,\"errnoRet\":7"),
		RULE("read", "4,\"args\":[" ARG("0", "1", "1", "1") "]"),
		RULE("read", "4,\"args\":[" ARG("1", "1", "1", "1") "]"),
		RULE("read", "4,\"args\":[" ARG("0", "2", "1", "1") "]"),
		RULE("read", "4,\"args\":[" ARG("0", "1", "0", "7") "]"),
		RULE("read", "4,\"args\":[" ARG("0", "1", "1", "7") "]"),
		RULE("read", "4,\"args\":[" ARG("0", "1", "1", "1") "," ARG("1", "1", "1", "1") "]"),
		"{\"default_action\":2,\"syscalls\":[{\"name\":\"read\",\"action\":4},{\"name\":\"write\",\"action\":4}]}",
		"{\"default_action\":2,\"syscalls\":[{\"name\":\"read\",\"action\":4},{\"name\":\"write\",\"action\":3}]}",
	};
	struct sock_filter *programs[array_count(rows)];
	unsigned short lengths[array_count(rows)];

	(void)state;
	for (int round = 0; round < 3; round++) {
		/* First without a cache, then into it, then from it. */
		t.no_cache = round == 0;
		for (size_t i = 0; i < array_count(rows); i++) {
			assert_worked(compile(rows[i]), &t.err);
			if (round == 0) {
				lengths[i] = t.program.length;
				programs[i] = take_pointer(t.program.filter);
				continue;
			}
			assert_int_equal(sweep(false, NULL), round == 1 ? i + 1 : array_count(rows));
			check_row(t.program.length == lengths[i], "%s: round %d", rows[i], round);
			assert_memory_equal(t.program.filter, programs[i], lengths[i] * sizeof(*programs[i]));
		}
	}
	for (size_t i = 0; i < array_count(rows); i++)
		free(programs[i]);
}

static void the_cache_has_an_end_and_leaves_no_parts(void **state)
{
	(void)state;
	t.no_cache = false;
	t.no_rename = true;
	assert_worked(compile(PROFILE), &t.err);
	assert_int_equal(sweep(false, NULL), 0);
	t.no_rename = false;
	for (int i = 0; i < 70; i++) {
		char text[96];

		snprintf(text, sizeof(text), "{\"default_action\":2,\"default_errno_ret\":%d}", i + 1);
		assert_worked(compile(text), &t.err);
		bool found = false;
		for (size_t at = 0; at < t.program.length; at++)
			found = found || t.program.filter[at].k == (SECCOMP_RET_ERRNO | (uint32_t)(i + 1));
		assert_true(found);
	}
	assert_int_equal(sweep(false, NULL), 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_program_is_kept, fresh, clean),
		cmocka_unit_test_setup_teardown(a_file_with_another_key_is_not_taken, fresh, clean),
		cmocka_unit_test_setup_teardown(profiles_that_differ_share_nothing, fresh, clean),
		cmocka_unit_test_setup_teardown(the_cache_has_an_end_and_leaves_no_parts, fresh, clean),
	};

	return cmocka_run_group_tests(tests, make_top, remove_top);
}

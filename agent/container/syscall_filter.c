/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "container/syscall_filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "sys/libraries.h"
#include "sys/paths.h"

#define CACHE       "/run/coffer/seccomp"
#define CACHE_MOST  64u /* files; memory of the VM is not the host's to fill */
#define PROGRAM_MAX 4096u
#define ERRNO_MOST  4094u /* the kernel's is 4095, which libseccomp does not take */

#define FIELD(type, key, decode_kind, member) .name = key, .kind = decode_kind, .offset = offsetof(struct type, member)
#define PRESENT(type, member)                 .present = offsetof(struct type, member)
#define REFUSED(key, reason)                                                                                                       \
	{                                                                                                                          \
		.name = key, .kind = DECODE_REFUSED, .why = reason                                                                 \
	}
#define SCHEMA(fields, type)                                                                                                       \
	{                                                                                                                          \
		fields, array_count(fields), sizeof(struct type), NULL                                                             \
	}

static const char no_listener[] = "nobody in the VM could answer for the host";

static const struct decode_field argument_fields[] = {
	{ FIELD(syscall_filter_argument, "index", DECODE_UINT, index), .max = 5 },
	{ FIELD(syscall_filter_argument, "value", DECODE_UINT, value), .max = UINT64_MAX },
	{ FIELD(syscall_filter_argument, "value_two", DECODE_UINT, value_two), .max = UINT64_MAX },
	{ FIELD(syscall_filter_argument, "op", DECODE_INT, op), .flags = DECODE_REQUIRED, .min = 1, .max = 7 },
};
static const struct decode_schema argument_schema = SCHEMA(argument_fields, syscall_filter_argument);

static const struct decode_field rule_fields[] = {
	{ FIELD(syscall_filter_rule, "name", DECODE_STRING, name), .flags = DECODE_REQUIRED | DECODE_NONZERO, .max = 64 },
	{ FIELD(syscall_filter_rule, "action", DECODE_INT, action), .flags = DECODE_REQUIRED, .min = 1, .max = 9 },
	{ FIELD(syscall_filter_rule, "errnoRet", DECODE_UINT, errno_value), .max = ERRNO_MOST,
	  PRESENT(syscall_filter_rule, has_errno) },
	{ FIELD(syscall_filter_rule, "args", DECODE_LIST, args), .schema = &argument_schema, .max = 6 },
};
static const struct decode_schema rule_schema = SCHEMA(rule_fields, syscall_filter_rule);

static const struct decode_field name_item = { .kind = DECODE_STRING, .flags = DECODE_NONZERO, .max = 64 };

static const struct decode_field fields[] = {
	{ FIELD(syscall_filter, "default_action", DECODE_INT, default_action), .flags = DECODE_REQUIRED, .min = 1, .max = 9 },
	{ FIELD(syscall_filter, "default_errno_ret", DECODE_UINT, default_errno), .max = ERRNO_MOST,
	  PRESENT(syscall_filter, has_default_errno) },
	{ FIELD(syscall_filter, "architectures", DECODE_LIST, architectures), .item = &name_item, .max = 32 },
	{ FIELD(syscall_filter, "syscalls", DECODE_LIST, rules), .schema = &rule_schema, .max = 2048 },
	{ FIELD(syscall_filter, "flags", DECODE_LIST, flags), .item = &name_item, .max = 8 },
	REFUSED("listener_path", no_listener),
	REFUSED("listener_metadata", no_listener),
};
const struct decode_schema syscall_filter_schema = SCHEMA(fields, syscall_filter);

enum { ACTION_ERRNO = 2, ACTION_TRACE = 5, ACTION_ALLOW = 4, ACTION_LOG = 6 };

/* By libcontainer's number. */
static const struct {
	uint32_t code;
	bool known;
} actions[] = {
	[1] = { SCMP_ACT_KILL_THREAD, true }, [2] = { SCMP_ACT_ERRNO(0), true },     [3] = { SCMP_ACT_TRAP, true },
	[4] = { SCMP_ACT_ALLOW, true },       [5] = { SCMP_ACT_TRACE(0), true },     [6] = { SCMP_ACT_LOG, true },
	[8] = { SCMP_ACT_KILL_THREAD, true }, [9] = { SCMP_ACT_KILL_PROCESS, true },
};

/* Its order is not libseccomp's. */
static const enum scmp_compare operators[] = {
	[1] = SCMP_CMP_EQ, [2] = SCMP_CMP_NE, [3] = SCMP_CMP_GT,        [4] = SCMP_CMP_GE,
	[5] = SCMP_CMP_LT, [6] = SCMP_CMP_LE, [7] = SCMP_CMP_MASKED_EQ,
};

static const struct {
	const char *name;
	unsigned flag;
} flags[] = {
	{ "SECCOMP_FILTER_FLAG_TSYNC", SECCOMP_FILTER_FLAG_TSYNC },
	{ "SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG },
	{ "SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW },
};

static int find_action(int64_t number, bool has_errno, uint64_t errno_value, const char *field, uint32_t *code, struct error *err)
{
	size_t row = (size_t)number;

	if (row >= array_count(actions) || !actions[row].known) {
		int result = error_field(err, field, "the action %lld needs a listener: %s", (long long)number, no_listener);

		err->code = ERROR_UNSUPPORTED_FIELD;
		return result;
	}
	*code = actions[row].code;
	if (has_errno && number != ACTION_ERRNO && number != ACTION_TRACE)
		return error_field(err, field, "this action takes no errno");
	if (number == ACTION_ERRNO || number == ACTION_TRACE)
		*code |= has_errno ? (uint32_t)errno_value : EPERM;
	return 0;
}

/* What libseccomp answers is a negative errno. */
static int failed(int result, const char *what, const char *name, struct error *err)
{
	return error_set(err, ERROR_CONTAINER, -result, "seccomp: %s %s", what, name);
}

struct compiler {
	const struct libraries *lib;
	scmp_filter_ctx context;
	const struct syscall_filter *seccomp;
	uint32_t default_code;
};

static int add_comparisons(const struct compiler *compiler, uint32_t code, int number, const struct syscall_filter_rule *rule,
			   struct error *err)
{
	const struct syscall_filter_argument *args = rule->args.items;
	struct scmp_arg_cmp all[6];
	unsigned seen = 0;
	bool alternatives = false;

	for (size_t i = 0; i < rule->args.count; i++) {
		alternatives = alternatives || (seen & 1u << args[i].index);
		seen |= 1u << args[i].index;
		all[i] = (struct scmp_arg_cmp){
			.arg = (unsigned)args[i].index,
			.op = operators[args[i].op],
			.datum_a = args[i].value,
			.datum_b = args[i].value_two,
		};
	}
	/* libseccomp takes an index once a rule; runc makes a rule of each then. */
	size_t rounds = alternatives ? rule->args.count : 1;
	for (size_t i = 0; i < rounds; i++) {
		unsigned count = alternatives ? 1 : (unsigned)rule->args.count;
		int result =
			compiler->lib->seccomp_rule_add_array(compiler->context, code, number, count, alternatives ? &all[i] : all);

		if (result < 0)
			return failed(result, "add a rule for", rule->name, err);
	}
	return 0;
}

static int add_rule(const struct compiler *compiler, const struct syscall_filter_rule *rule, struct error *err)
{
	uint32_t code;
	int result = find_action(rule->action, rule->has_errno, rule->errno_value, "action", &code, err);

	if (result < 0)
		return result;
	/* It says what is the case already; libseccomp would not take it. */
	if (code == compiler->default_code)
		return 0;
	int number = compiler->lib->seccomp_syscall_resolve_name(rule->name);
	if (number == __NR_SCMP_ERROR) {
		if (rule->action == ACTION_ALLOW || rule->action == ACTION_LOG)
			return 0;
		return error_field(err, "name", "the system call \"%s\" is not known, so it could not be stopped", rule->name);
	}
	return add_comparisons(compiler, code, number, rule, err);
}

static int add_architectures(const struct compiler *compiler, struct error *err)
{
	const char *const *names = compiler->seccomp->architectures.items;

	for (size_t i = 0; i < compiler->seccomp->architectures.count; i++) {
		uint32_t token = compiler->lib->seccomp_arch_resolve_name(names[i]);
		int result = 0;
		char field[48];

		snprintf(field, sizeof(field), "architectures[%zu]", i);
		/* libseccomp says x86_64, libcontainer amd64. */
		if (strcmp(names[i], "amd64") == 0)
			token = SCMP_ARCH_X86_64;
		if (token == 0)
			return error_field(err, field, "unknown architecture \"%s\"", names[i]);
		result = compiler->lib->seccomp_arch_add(compiler->context, token);
		if (result < 0 && result != -EEXIST)
			return failed(result, "add the architecture", names[i], err);
	}
	return 0;
}

/* The library's own export is the only way to the program, and writes to a descriptor. */
static int export_program(const struct compiler *compiler, struct syscall_filter_program *program, struct error *err)
{
	struct stat status;
	fd_auto fd = memfd_create("seccomp", MFD_CLOEXEC);

	if (fd < 0)
		return error_set(err, ERROR_CONTAINER, errno, "seccomp: memory");
	int result = compiler->lib->seccomp_export_bpf(compiler->context, fd);
	if (result < 0)
		return failed(result, "compile", "the filter", err);
	if (fstat(fd, &status) < 0 || status.st_size <= 0 || (size_t)status.st_size % sizeof(struct sock_filter) ||
	    (size_t)status.st_size / sizeof(struct sock_filter) > PROGRAM_MAX)
		return error_set(err, ERROR_CONTAINER, E2BIG, "seccomp: the filter has more than %u instructions", PROGRAM_MAX);
	program->filter = malloc((size_t)status.st_size);
	if (!program->filter || pread(fd, program->filter, (size_t)status.st_size, 0) != status.st_size)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "seccomp: memory");
	program->length = (unsigned short)((size_t)status.st_size / sizeof(struct sock_filter));
	return 0;
}

static int compile(const struct compiler *compiler, struct syscall_filter_program *program, struct error *err)
{
	const struct syscall_filter_rule *rules = compiler->seccomp->rules.items;
	int result = add_architectures(compiler, err);

	/* The child decides about no_new_privs. */
	if (result == 0)
		result = compiler->lib->seccomp_attr_set(compiler->context, SCMP_FLTATR_CTL_NNP, 0);
	for (size_t i = 0; i < compiler->seccomp->rules.count && result == 0; i++) {
		result = add_rule(compiler, &rules[i], err);
		if (result < 0) {
			char index[48];

			snprintf(index, sizeof(index), "syscalls[%zu]", i);
			return error_within(err, index);
		}
	}
	return result < 0 ? result : export_program(compiler, program, err);
}

static int find_flags(const struct syscall_filter *seccomp, unsigned *found, struct error *err)
{
	const char *const *names = seccomp->flags.items;

	for (size_t i = 0; i < seccomp->flags.count; i++) {
		size_t row = 0;

		while (row < array_count(flags) && strcmp(flags[row].name, names[i]) != 0)
			row++;
		if (row == array_count(flags)) {
			char field[48];

			snprintf(field, sizeof(field), "flags[%zu]", i);
			return error_field(err, field, "unknown flag \"%s\"", names[i]);
		}
		*found |= flags[row].flag;
	}
	return 0;
}

/* ---- the cache ---- */

/* The profile as bytes: numbers as they are, strings with their end. */
static int describe(const struct syscall_filter *seccomp, struct buf *key)
{
	const struct syscall_filter_rule *rules = seccomp->rules.items;
	const char *const *names = seccomp->architectures.items;
	const uint64_t head[] = { (uint64_t)seccomp->default_action, seccomp->has_default_errno, seccomp->default_errno,
				  seccomp->architectures.count, seccomp->rules.count };
	int result = buf_append(key, head, sizeof(head));

	for (size_t i = 0; i < seccomp->architectures.count && result == 0; i++)
		result = buf_append(key, names[i], strlen(names[i]) + 1);
	for (size_t i = 0; i < seccomp->rules.count && result == 0; i++) {
		const uint64_t numbers[] = { (uint64_t)rules[i].action, rules[i].has_errno, rules[i].errno_value,
					     rules[i].args.count };

		result = buf_append(key, rules[i].name, strlen(rules[i].name) + 1);
		if (result == 0)
			result = buf_append(key, numbers, sizeof(numbers));
		if (result == 0 && rules[i].args.count)
			result = buf_append(key, rules[i].args.items, rules[i].args.count * sizeof(struct syscall_filter_argument));
	}
	return result;
}

/* FNV-1a: for the name alone; a file whose key differs is not taken. */
static uint64_t hash(const struct buf *key)
{
	const unsigned char *bytes = (const unsigned char *)buf_bytes(key);
	uint64_t value = 0xcbf29ce484222325u;

	for (size_t i = 0; i < buf_length(key); i++)
		value = (value ^ bytes[i]) * 0x100000001b3u;
	return value;
}

/* A file of the cache is the key's length, the key, and the program. */
static bool read_cache(const char *path, const struct buf *key, struct syscall_filter_program *program)
{
	struct stat status;
	uint64_t length = 0;
	fd_auto fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 || fstat(fd, &status) < 0 || read(fd, &length, sizeof(length)) != sizeof(length) || length != buf_length(key))
		return false;
	off_t size = status.st_size - (off_t)(sizeof(length) + length);
	if (size <= 0 || (size_t)size % sizeof(struct sock_filter) || (size_t)size / sizeof(struct sock_filter) > PROGRAM_MAX)
		return false;
	auto_free char *same = malloc(length + 1);
	if (!same || read(fd, same, length) != (ssize_t)length || memcmp(same, buf_bytes(key), length) != 0)
		return false;
	struct sock_filter *filter = malloc((size_t)size);
	if (!filter || read(fd, filter, (size_t)size) != size) {
		free(filter);
		return false;
	}
	program->filter = filter;
	program->length = (unsigned short)((size_t)size / sizeof(*filter));
	return true;
}

static unsigned count_files(const char *path)
{
	auto_dir directory = opendir(path);
	unsigned count = 0;

	while (directory && readdir(directory))
		count++;
	return count;
}

/* Whatever goes wrong here only costs the next container its time. */
static void write_cache(const char *path, const struct buf *key, const struct syscall_filter_program *program)
{
	struct error ignored;
	char part[96];
	uint64_t length = buf_length(key);
	size_t size = program->length * sizeof(*program->filter);

	if (paths_mkdirs(CACHE, 0700, &ignored) < 0 || count_files(CACHE) >= CACHE_MOST + 2 ||
	    text_format(part, sizeof(part), "%s.%d", path, getpid()) < 0)
		return;
	fd_auto fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	if (write(fd, &length, sizeof(length)) != sizeof(length) || write(fd, buf_bytes(key), length) != (ssize_t)length ||
	    write(fd, program->filter, size) != (ssize_t)size || rename(part, path) < 0)
		unlink(part);
}

/* ---- */

int syscall_filter_compile(const struct syscall_filter *seccomp, struct syscall_filter_program *program, struct error *err)
{
	struct libraries lib;
	struct compiler compiler = { .lib = &lib, .seccomp = seccomp };
	struct buf key = { 0 };
	char path[64];

	*program = (struct syscall_filter_program){ 0 };
	int result = find_flags(seccomp, &program->flags, err);
	if (result == 0)
		result = find_action(seccomp->default_action, seccomp->has_default_errno, seccomp->default_errno, "default_action",
				     &compiler.default_code, err);
	if (result < 0)
		return result;
	bool keyed = describe(seccomp, &key) == 0 &&
		     text_format(path, sizeof(path), CACHE "/%016llx", (unsigned long long)hash(&key)) == 0;
	if (keyed && read_cache(path, &key, program)) {
		buf_free(&key);
		return 0;
	}
	result = libraries_open(&lib, LIBRARY_seccomp, err);
	if (result == 0) {
		compiler.context = lib.seccomp_init(compiler.default_code);
		result = compiler.context ? compile(&compiler, program, err) : error_set(err, ERROR_INTERNAL, ENOMEM, "seccomp");
		if (compiler.context)
			lib.seccomp_release(compiler.context);
	}
	if (result == 0 && keyed)
		write_cache(path, &key, program);
	buf_free(&key);
	return result;
}

int syscall_filter_load(const struct syscall_filter_program *program, struct error *err)
{
	struct sock_fprog filter = { .len = program->length, .filter = program->filter };

	if (!program->filter)
		return 0;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, program->flags, &filter) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "load the seccomp filter");
	return 0;
}

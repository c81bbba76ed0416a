/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "container/oci_seccomp.h"

#include "base/cleanup.h"

#define SECCOMP_CALLS_MAX 4096 /* rules, one a name; the kernel has some 500 calls */
#define SECCOMP_ARGS_MAX  6    /* arguments of a system call */

static const struct oci_table_word actions[] = {
	{ .name = "SCMP_ACT_KILL", .number = 1 },         { .name = "SCMP_ACT_ERRNO", .number = 2 },
	{ .name = "SCMP_ACT_TRAP", .number = 3 },         { .name = "SCMP_ACT_ALLOW", .number = 4 },
	{ .name = "SCMP_ACT_TRACE", .number = 5 },        { .name = "SCMP_ACT_LOG", .number = 6 },
	{ .name = "SCMP_ACT_NOTIFY", .number = 7 },       { .name = "SCMP_ACT_KILL_THREAD", .number = 8 },
	{ .name = "SCMP_ACT_KILL_PROCESS", .number = 9 }, { .name = NULL },
};

static const struct oci_table_word operators[] = {
	{ .name = "SCMP_CMP_EQ", .number = 1 },        { .name = "SCMP_CMP_NE", .number = 2 },
	{ .name = "SCMP_CMP_GT", .number = 3 },        { .name = "SCMP_CMP_GE", .number = 4 },
	{ .name = "SCMP_CMP_LT", .number = 5 },        { .name = "SCMP_CMP_LE", .number = 6 },
	{ .name = "SCMP_CMP_MASKED_EQ", .number = 7 }, { .name = NULL },
};

/* The names are those of Go's binding of libseccomp. */
static const struct oci_table_word architectures[] = {
	{ .name = "SCMP_ARCH_X86", .text = "x86" },
	{ .name = "SCMP_ARCH_X86_64", .text = "amd64" },
	{ .name = "SCMP_ARCH_X32", .text = "x32" },
	{ .name = "SCMP_ARCH_ARM", .text = "arm" },
	{ .name = "SCMP_ARCH_AARCH64", .text = "arm64" },
	{ .name = "SCMP_ARCH_MIPS", .text = "mips" },
	{ .name = "SCMP_ARCH_MIPS64", .text = "mips64" },
	{ .name = "SCMP_ARCH_MIPS64N32", .text = "mips64n32" },
	{ .name = "SCMP_ARCH_MIPSEL", .text = "mipsel" },
	{ .name = "SCMP_ARCH_MIPSEL64", .text = "mipsel64" },
	{ .name = "SCMP_ARCH_MIPSEL64N32", .text = "mipsel64n32" },
	{ .name = "SCMP_ARCH_PPC", .text = "ppc" },
	{ .name = "SCMP_ARCH_PPC64", .text = "ppc64" },
	{ .name = "SCMP_ARCH_PPC64LE", .text = "ppc64le" },
	{ .name = "SCMP_ARCH_S390", .text = "s390" },
	{ .name = "SCMP_ARCH_S390X", .text = "s390x" },
	{ .name = "SCMP_ARCH_RISCV64", .text = "riscv64" },
	{ .name = "SCMP_ARCH_LOONGARCH64", .text = "loong64" },
	{ .name = "SCMP_ARCH_PARISC", .refused = true },
	{ .name = "SCMP_ARCH_PARISC64", .refused = true },
	{ .name = "SCMP_ARCH_M68K", .refused = true },
	{ .name = "SCMP_ARCH_SH", .refused = true },
	{ .name = "SCMP_ARCH_SHEB", .refused = true },
	{ .name = NULL },
};

static const struct oci_table_word flags[] = {
	{ .name = "SECCOMP_FILTER_FLAG_TSYNC", .text = "SECCOMP_FILTER_FLAG_TSYNC" },
	{ .name = "SECCOMP_FILTER_FLAG_LOG", .text = "SECCOMP_FILTER_FLAG_LOG" },
	{ .name = "SECCOMP_FILTER_FLAG_SPEC_ALLOW", .text = "SECCOMP_FILTER_FLAG_SPEC_ALLOW" },
	{ .name = "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", .text = "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" },
	{ .name = NULL },
};

static const struct oci_table_row arg_rows[] = {
	{ .name = "index", .kind = OCI_UINT, .to = "index", .max = SECCOMP_ARGS_MAX - 1, .flags = OCI_REQUIRED },
	{ .name = "value", .kind = OCI_UINT, .to = "value", .max = UINT64_MAX, .flags = OCI_REQUIRED },
	{ .name = "valueTwo", .kind = OCI_UINT, .to = "value_two", .max = UINT64_MAX },
	{ .name = "op", .kind = OCI_WORD, .to = "op", .words = operators, .flags = OCI_REQUIRED },
};
static const struct oci_table arg_table = { arg_rows, array_count(arg_rows), NULL };

static const struct oci_table_row call_rows[] = {
	{ .name = "names", .kind = OCI_STRINGS, .max = 64, .flags = OCI_REQUIRED | OCI_NONEMPTY, .most = SECCOMP_CALLS_MAX },
	{ .name = "action", .kind = OCI_WORD, .to = "action", .words = actions, .flags = OCI_REQUIRED },
	{ .name = "errnoRet", .kind = OCI_UINT, .to = "errnoRet", .max = UINT32_MAX },
	{ .name = "args", .kind = OCI_LIST, .to = "args", .table = &arg_table, .most = SECCOMP_ARGS_MAX },
};
static const struct oci_table call_table = { call_rows, array_count(call_rows), NULL };

/* One rule of the filter for one system call; action and arguments are shared by all of one rule of the document. */
static int add_call(json_object *calls, const char *name, json_object *rule, struct error *err)
{
	static const char *const keys[] = { "action", "errnoRet", "args" };
	json_object *call = json_object_new_object();
	int result = oci_table_append(calls, call, err);

	if (result == 0)
		result = oci_table_put_text(call, "name", name, err);
	for (size_t i = 0; i < array_count(keys) && result == 0; i++) {
		json_object *value = oci_table_get(rule, keys[i]);

		if (value)
			result = oci_table_put(call, keys[i], json_object_get(value), err);
	}
	return result;
}

static int add_calls(const struct oci_table_output *output, json_object *value, json_object *calls, struct error *err)
{
	json_object *rule = json_object_new_object();
	json_object *names;
	int result = rule ? oci_table_convert(output, value, &call_table, rule, err)
			  : error_set(err, ERROR_INTERNAL, 0, "convert the spec");

	names = result == 0 ? oci_table_get(value, "names") : NULL;
	if (names && json_object_array_length(names) == 0)
		result = error_field(err, "names", "must not be empty");
	for (size_t i = 0; result == 0 && i < json_object_array_length(names); i++) {
		if (json_object_array_length(calls) == SECCOMP_CALLS_MAX)
			result = error_field(err, "names", "at most %d rules are accepted", SECCOMP_CALLS_MAX);
		else
			result = add_call(calls, json_object_get_string(json_object_array_get_idx(names, i)), rule, err);
	}
	json_object_put(rule);
	return result;
}

static int convert_calls(const struct oci_table_output *output, json_object *value, json_object *out, struct error *err)
{
	json_object *calls;

	if (!json_object_is_type(value, json_type_array))
		return error_field(err, "", "an array is needed");
	int result = oci_table_put(out, "syscalls", json_object_new_array(), err);
	calls = oci_table_get(out, "syscalls");
	for (size_t i = 0; result == 0 && i < json_object_array_length(value); i++) {
		if (add_calls(output, json_object_array_get_idx(value, i), calls, err) < 0)
			result = oci_table_within(err, "", i);
	}
	return result;
}

bool oci_seccomp_is_none(json_object *value)
{
	json_object *action = oci_table_get(value, "defaultAction"), *calls = oci_table_get(value, "syscalls");
	bool no_action = !action || (json_object_is_type(action, json_type_string) && json_object_get_string_len(action) == 0);
	bool no_calls = !calls || (json_object_is_type(calls, json_type_array) && json_object_array_length(calls) == 0);

	return no_action && no_calls;
}

static const struct oci_table_row seccomp_rows[] = {
	{ .name = "defaultAction", .kind = OCI_WORD, .to = "default_action", .words = actions, .flags = OCI_REQUIRED },
	{ .name = "defaultErrnoRet", .kind = OCI_UINT, .to = "default_errno_ret", .max = UINT32_MAX },
	{ .name = "architectures", .kind = OCI_WORDS, .to = "architectures", .words = architectures, .most = 32 },
	{ .name = "flags", .kind = OCI_WORDS, .to = "flags", .words = flags, .most = 8 },
	{ .name = "listenerPath", .kind = OCI_STRING, .to = "listener_path" },
	{ .name = "listenerMetadata", .kind = OCI_STRING, .to = "listener_metadata" },
	{ .name = "syscalls", .kind = OCI_OWN, .finish = convert_calls },
};
const struct oci_table oci_seccomp_table = { seccomp_rows, array_count(seccomp_rows), NULL };

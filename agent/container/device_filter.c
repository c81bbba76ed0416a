/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "container/device_filter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

static const struct {
	int32_t major, minor; /* -1: any */
} usual[] = {
	{ 1, 3 },    /* null */
	{ 1, 5 },    /* zero */
	{ 1, 7 },    /* full */
	{ 1, 8 },    /* random */
	{ 1, 9 },    /* urandom */
	{ 5, 0 },    /* tty */
	{ 5, 1 },    /* console */
	{ 5, 2 },    /* ptmx */
	{ 136, -1 }, /* pseudo-terminals */
};

/* ---- rules ---- */

void device_filter_free(struct device_filter *filter)
{
	free(filter->rules);
	memset(filter, 0, sizeof(*filter));
}

static void add_list(struct device_filter *filter, const struct decode_list *list, const bool *allow)
{
	const struct resources_rule *rules = list->items;

	for (size_t i = 0; i < list->count; i++) {
		unsigned access = 0;

		for (const char *c = rules[i].permissions; *c; c++)
			access |= *c == 'r' ? DEVICE_FILTER_READ : *c == 'w' ? DEVICE_FILTER_WRITE : DEVICE_FILTER_MKNOD;
		filter->rules[filter->count++] = (struct device_filter_rule){
			.type = (char)rules[i].type,
			.major = (int32_t)rules[i].major,
			.minor = (int32_t)rules[i].minor,
			.access = access,
			.allow = allow ? *allow : rules[i].allow,
		};
	}
}

static void add_usual(struct device_filter *filter)
{
	for (size_t i = 0; i < array_count(usual); i++)
		filter->rules[filter->count++] =
			(struct device_filter_rule){ 'c', usual[i].major, usual[i].minor, DEVICE_FILTER_ALL, true };
}

int device_filter_make(const struct resources *resources, struct device_filter *filter, struct error *err)
{
	static const bool yes = true, no = false;
	size_t most = resources->devices.count + resources->allowed_devices.count + resources->denied_devices.count;

	filter->count = 0;
	filter->rules = calloc(most + array_count(usual) + 1, sizeof(*filter->rules));
	if (!filter->rules)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "device rules");
	/* `devices` outranks the older three keys, as in libcontainer. */
	if (resources->devices.count > 0) {
		add_list(filter, &resources->devices, NULL);
		return 0;
	}
	if (!resources->has_allow_all_devices)
		add_usual(filter);
	else if (resources->allow_all_devices)
		filter->rules[filter->count++] = (struct device_filter_rule){ 'a', -1, -1, DEVICE_FILTER_ALL, true };
	else
		add_list(filter, &resources->allowed_devices, &yes);
	add_list(filter, &resources->denied_devices, &no);
	return 0;
}

/* ---- cgroup v2 ---- */

#define INSTRUCTION(op, dst, src, offset, value)                                                                                   \
	((struct bpf_insn){ .code = (op), .dst_reg = (dst), .src_reg = (src), .off = (offset), .imm = (value) })
#define LOAD(dst, member) INSTRUCTION(BPF_LDX | BPF_MEM | BPF_W, dst, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, member), 0)
#define RULE_INSTRUCTIONS 8

static size_t put_answer(struct bpf_insn *program, bool allow)
{
	program[0] = INSTRUCTION(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, allow);
	program[1] = INSTRUCTION(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	return 2;
}

/* What is done when the rule covers the device. */
static size_t put_verdict(struct bpf_insn *program, const struct device_filter_rule *rule)
{
	size_t n = 0;

	if (rule->access == DEVICE_FILTER_ALL)
		return put_answer(program, rule->allow);
	if (rule->allow) {
		program[n++] = INSTRUCTION(BPF_ALU | BPF_AND | BPF_K, BPF_REG_3, 0, 0, (int)(DEVICE_FILTER_ALL & ~rule->access));
		program[n++] = INSTRUCTION(BPF_JMP | BPF_JNE | BPF_K, BPF_REG_3, 0, 2, 0);
	} else {
		program[n++] = INSTRUCTION(BPF_JMP | BPF_JSET | BPF_K, BPF_REG_3, 0, 1, (int)rule->access);
		program[n++] = INSTRUCTION(BPF_JMP | BPF_JA, 0, 0, 2, 0);
	}
	return n + put_answer(program + n, rule->allow);
}

/* r2 = kind, r3 = the access that is still undecided, r4 = major, r5 = minor.  What does not match jumps on to the next rule. */
static size_t put_rule(struct bpf_insn *program, const struct device_filter_rule *rule)
{
	struct bpf_insn verdict[4];
	size_t size = put_verdict(verdict, rule), tests = (rule->type != 'a') + (rule->major >= 0) + (rule->minor >= 0), n = 0;

	if (rule->type != 'a') {
		int kind = rule->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR;

		program[n] = INSTRUCTION(BPF_JMP | BPF_JNE | BPF_K, BPF_REG_2, 0, (int16_t)(tests - n - 1 + size), kind);
		n++;
	}
	if (rule->major >= 0) {
		program[n] = INSTRUCTION(BPF_JMP | BPF_JNE | BPF_K, BPF_REG_4, 0, (int16_t)(tests - n - 1 + size), rule->major);
		n++;
	}
	if (rule->minor >= 0) {
		program[n] = INSTRUCTION(BPF_JMP | BPF_JNE | BPF_K, BPF_REG_5, 0, (int16_t)(tests - n - 1 + size), rule->minor);
		n++;
	}
	memcpy(program + n, verdict, size * sizeof(*verdict));
	return n + size;
}

int device_filter_program(const struct device_filter *filter, struct bpf_insn **program, size_t *count, struct error *err)
{
	struct bpf_insn *code = calloc(filter->count * RULE_INSTRUCTIONS + 16, sizeof(*code));
	size_t n = 0;

	if (!code)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "device filter");
	code[n++] = LOAD(BPF_REG_2, access_type);
	code[n++] = INSTRUCTION(BPF_ALU | BPF_MOV | BPF_X, BPF_REG_3, BPF_REG_2, 0, 0);
	code[n++] = INSTRUCTION(BPF_ALU | BPF_AND | BPF_K, BPF_REG_2, 0, 0, 0xffff);
	code[n++] = INSTRUCTION(BPF_ALU | BPF_RSH | BPF_K, BPF_REG_3, 0, 0, 16);
	code[n++] = LOAD(BPF_REG_4, major);
	code[n++] = LOAD(BPF_REG_5, minor);
	*program = code;
	for (size_t i = filter->count; i-- > 0;) {
		const struct device_filter_rule *rule = &filter->rules[i];

		n += put_rule(code + n, rule);
		/* Behind a rule for everything nothing is reached, and the kernel refuses what cannot be reached. */
		if (rule->type == 'a' && rule->major < 0 && rule->minor < 0 && rule->access == DEVICE_FILTER_ALL) {
			*count = n;
			return 0;
		}
	}
	*count = n + put_answer(code + n, false);
	return 0;
}

static int bpf(int command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

int device_filter_load(const struct device_filter *filter, struct error *err)
{
	static const char license[] = "GPL";
	auto_free struct bpf_insn *program = NULL;
	union bpf_attr attr;
	size_t count;
	int result = device_filter_program(filter, &program, &count, err);

	if (result < 0)
		return result;
	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insns = (uint64_t)(uintptr_t)program;
	attr.insn_cnt = (uint32_t)count;
	attr.license = (uint64_t)(uintptr_t)license;
	int loaded = bpf(BPF_PROG_LOAD, &attr);
	return loaded < 0 ? error_set(err, ERROR_CONTAINER, errno, "load the device filter") : loaded;
}

/* The program that is on the cgroup now; -1: none. */
static int find_attached(int cgroup, int *attached, struct error *err)
{
	uint32_t ids[64];
	union bpf_attr attr;

	*attached = -1;
	memset(&attr, 0, sizeof(attr));
	attr.query.target_fd = (uint32_t)cgroup;
	attr.query.attach_type = BPF_CGROUP_DEVICE;
	attr.query.prog_ids = (uint64_t)(uintptr_t)ids;
	attr.query.prog_cnt = array_count(ids);
	if (bpf(BPF_PROG_QUERY, &attr) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "look for the device filter");
	if (attr.query.prog_cnt == 0)
		return 0;
	/* Ours is the oldest: it was there before anything ran. */
	memset(&attr, 0, sizeof(attr));
	attr.prog_id = ids[0];
	*attached = bpf(BPF_PROG_GET_FD_BY_ID, &attr);
	return *attached < 0 ? error_set(err, ERROR_CONTAINER, errno, "open the device filter") : 0;
}

int device_filter_attach(int cgroup, int program, struct error *err)
{
	fd_auto former = -1;
	union bpf_attr attr;
	int result = find_attached(cgroup, &former, err);

	if (result < 0)
		return result;
	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (uint32_t)cgroup;
	attr.attach_bpf_fd = (uint32_t)program;
	attr.attach_type = BPF_CGROUP_DEVICE;
	attr.attach_flags = BPF_F_ALLOW_MULTI;
	if (former >= 0) {
		attr.attach_flags |= BPF_F_REPLACE;
		attr.replace_bpf_fd = (uint32_t)former;
	}
	if (bpf(BPF_PROG_ATTACH, &attr) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "attach the device filter");
	return 0;
}

/* ---- cgroup v1 ---- */

static bool covers_number(int32_t rule, int32_t other)
{
	return rule < 0 || rule == other;
}

static bool meets_number(int32_t rule, int32_t other)
{
	return rule < 0 || other < 0 || rule == other;
}

/* A rule for one kind of device, with the exceptions so far. */
static int except(struct device_filter *exceptions, bool allow, struct device_filter_rule rule, struct error *err)
{
	size_t left = 0;

	if (rule.allow != allow) {
		exceptions->rules[exceptions->count++] = rule;
		return 0;
	}
	for (size_t i = 0; i < exceptions->count; i++) {
		struct device_filter_rule *old = &exceptions->rules[i];
		bool covered = covers_number(rule.major, old->major) && covers_number(rule.minor, old->minor);
		bool meets = meets_number(rule.major, old->major) && meets_number(rule.minor, old->minor);

		if (old->type == rule.type && meets && !covered && (old->access & rule.access)) {
			int result =
				error_field(err, "devices", "cgroup v1 cannot take %c %d:%d out of the wider rule for %c %d:%d",
					    rule.type, rule.major, rule.minor, old->type, old->major, old->minor);

			err->code = ERROR_UNSUPPORTED_FIELD;
			return result;
		}
		if (old->type == rule.type && covered)
			old->access &= ~rule.access;
		if (old->access)
			exceptions->rules[left++] = *old;
	}
	exceptions->count = left;
	return 0;
}

int device_filter_exceptions(const struct device_filter *filter, bool *allow, struct device_filter *exceptions, struct error *err)
{
	int result = 0;

	*allow = false;
	exceptions->count = 0;
	exceptions->rules = calloc(filter->count * 2 + 1, sizeof(*exceptions->rules));
	if (!exceptions->rules)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "device rules");
	for (size_t i = 0; i < filter->count && result == 0; i++) {
		struct device_filter_rule rule = filter->rules[i];

		if (rule.type == 'a' && rule.access == DEVICE_FILTER_ALL) {
			*allow = rule.allow;
			exceptions->count = 0;
			continue;
		}
		if (rule.type != 'a') {
			result = except(exceptions, *allow, rule, err);
			continue;
		}
		/* v1's own "a" would be all three accesses. */
		rule.type = 'b';
		result = except(exceptions, *allow, rule, err);
		rule.type = 'c';
		if (result == 0)
			result = except(exceptions, *allow, rule, err);
	}
	return result;
}

void device_filter_text(const struct device_filter_rule *rule, char *text, size_t size)
{
	char major[16] = "*", minor[16] = "*";

	if (rule->major >= 0)
		snprintf(major, sizeof(major), "%d", rule->major);
	if (rule->minor >= 0)
		snprintf(minor, sizeof(minor), "%d", rule->minor);
	snprintf(text, size, "%c %s:%s %s%s%s", rule->type, major, minor, rule->access & DEVICE_FILTER_READ ? "r" : "",
		 rule->access & DEVICE_FILTER_WRITE ? "w" : "", rule->access & DEVICE_FILTER_MKNOD ? "m" : "");
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "container/device_filter.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

static const struct {
	int32_t major, minor; /* -1: any */
} allowed[] = {
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

#define INSTRUCTION(op, dst, src, offset, value)                                                                                   \
	((struct bpf_insn){ .code = (op), .dst_reg = (dst), .src_reg = (src), .off = (offset), .imm = (value) })

/*
 * r2 = device type, r4 = major, r5 = minor of struct bpf_cgroup_dev_ctx.  Every rule is four instructions; what does not match
 * jumps on.
 */
static size_t write_program(struct bpf_insn *program)
{
	size_t n = 0;

	program[n++] =
		INSTRUCTION(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_2, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, access_type), 0);
	program[n++] = INSTRUCTION(BPF_ALU | BPF_AND | BPF_K, BPF_REG_2, 0, 0, 0xffff);
	program[n++] = INSTRUCTION(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_4, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, major), 0);
	program[n++] = INSTRUCTION(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_5, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, minor), 0);
	/* Character devices only: block devices go to the denial at the end. */
	program[n++] = INSTRUCTION(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_2, 0, 2, BPF_DEVCG_DEV_CHAR);
	program[n++] = INSTRUCTION(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0);
	program[n++] = INSTRUCTION(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	for (size_t i = 0; i < array_count(allowed); i++) {
		bool any = allowed[i].minor < 0;

		program[n++] = INSTRUCTION(BPF_JMP | BPF_JNE | BPF_K, BPF_REG_4, 0, any ? 2 : 3, allowed[i].major);
		if (!any)
			program[n++] = INSTRUCTION(BPF_JMP | BPF_JNE | BPF_K, BPF_REG_5, 0, 2, allowed[i].minor);
		program[n++] = INSTRUCTION(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 1);
		program[n++] = INSTRUCTION(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	}
	program[n++] = INSTRUCTION(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0);
	program[n++] = INSTRUCTION(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	return n;
}

int device_filter_attach(int cgroup, struct error *err)
{
	struct bpf_insn program[16 + 4 * array_count(allowed)];
	static const char license[] = "GPL";
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insns = (uint64_t)(uintptr_t)program;
	attr.insn_cnt = (uint32_t)write_program(program);
	attr.license = (uint64_t)(uintptr_t)license;
	fd_auto filter = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
	if (filter < 0)
		return error_set(err, ERROR_CONTAINER, errno, "load the device filter");
	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (uint32_t)cgroup;
	attr.attach_bpf_fd = (uint32_t)filter;
	attr.attach_type = BPF_CGROUP_DEVICE;
	attr.attach_flags = BPF_F_ALLOW_MULTI;
	if (syscall(SYS_bpf, BPF_PROG_ATTACH, &attr, sizeof(attr)) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "attach the device filter");
	return 0;
}

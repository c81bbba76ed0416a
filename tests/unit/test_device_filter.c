/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/container/device_filter.c agent/container/resources.c */
/* Device rules: what the program answers, run by an interpreter here, and what cgroup v1 is told, against the rules read one by
 * one. */
#include "unit/test.h"

#include "container/device_filter.h"

/* The last rule that covers the device decides, for each access alone. */
static bool by_rules(const struct device_filter *filter, char type, int32_t major, int32_t minor, unsigned access)
{
	for (unsigned bit = 1; bit <= 4; bit *= 2) {
		bool allow = false;

		for (size_t i = 0; i < filter->count; i++) {
			const struct device_filter_rule *rule = &filter->rules[i];

			if ((rule->type == 'a' || rule->type == type) && (rule->major < 0 || rule->major == major) &&
			    (rule->minor < 0 || rule->minor == minor) && (rule->access & bit))
				allow = rule->allow;
		}
		if ((access & bit) && !allow)
			return false;
	}
	return true;
}

/* The instructions that the program is made of, and no others; -1: it is no good program. */
static int interpret(const struct bpf_insn *program, size_t count, const struct bpf_cgroup_dev_ctx *ctx)
{
	uint64_t r[11] = { 0 };

	for (size_t pc = 0; pc < count; pc++) {
		const struct bpf_insn *in = &program[pc];
		uint64_t source = (uint64_t)(int64_t)in->imm;

		switch (in->code) {
		case BPF_LDX | BPF_MEM | BPF_W:
			if (in->src_reg != BPF_REG_1 || in->off < 0 || (size_t)in->off + 4 > sizeof(*ctx))
				return -1;
			r[in->dst_reg] = *(const uint32_t *)((const char *)ctx + in->off);
			break;
		case BPF_ALU | BPF_MOV | BPF_X:
			r[in->dst_reg] = (uint32_t)r[in->src_reg];
			break;
		case BPF_ALU64 | BPF_MOV | BPF_K:
			r[in->dst_reg] = source;
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			r[in->dst_reg] = (uint32_t)r[in->dst_reg] & (uint32_t)in->imm;
			break;
		case BPF_ALU | BPF_RSH | BPF_K:
			r[in->dst_reg] = (uint32_t)r[in->dst_reg] >> in->imm;
			break;
		case BPF_JMP | BPF_JNE | BPF_K:
			pc += r[in->dst_reg] != source ? (size_t)in->off : 0;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			pc += r[in->dst_reg] & source ? (size_t)in->off : 0;
			break;
		case BPF_JMP | BPF_JA:
			pc += (size_t)in->off;
			break;
		case BPF_JMP | BPF_EXIT:
			return (int)r[0];
		default:
			return -1;
		}
	}
	return -1;
}

static const struct {
	char type;
	int32_t major, minor;
} devices[] = {
	{ 'c', 1, 3 },    { 'c', 1, 5 }, { 'c', 1, 1 },   { 'c', 5, 2 },   { 'c', 136, 0 }, { 'c', 136, 7 },
	{ 'c', 10, 236 }, { 'b', 1, 3 }, { 'b', 254, 0 }, { 'b', 253, 0 }, { 'b', 0, 0 },
};

static void check_program(const struct device_filter *filter, const char *what)
{
	struct bpf_insn *program = NULL;
	struct error err;
	size_t count;

	assert_worked(device_filter_program(filter, &program, &count, &err), &err);
	for (size_t d = 0; d < array_count(devices); d++) {
		for (unsigned access = 1; access <= 7; access++) {
			const struct bpf_cgroup_dev_ctx ctx = {
				.access_type = access << 16 | (devices[d].type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR),
				.major = (uint32_t)devices[d].major,
				.minor = (uint32_t)devices[d].minor,
			};
			int wanted = by_rules(filter, devices[d].type, devices[d].major, devices[d].minor, access);
			int got = interpret(program, count, &ctx);

			check_row(got == wanted, "%s: %c %d:%d, access %u: %d", what, devices[d].type, devices[d].major,
				  devices[d].minor, access, got);
		}
	}
	/* The kernel refuses a program with instructions that no path reaches; jumps only go forward here. */
	bool reached[4096] = { true };
	assert_true(count < array_count(reached));
	for (size_t pc = 0; pc < count; pc++) {
		uint8_t code = program[pc].code;

		check_row(reached[pc], "%s: instruction %zu is never reached", what, pc);
		if (BPF_CLASS(code) == BPF_JMP && BPF_OP(code) != BPF_EXIT)
			reached[pc + 1 + (size_t)program[pc].off] = true;
		if (code != (BPF_JMP | BPF_EXIT) && code != (BPF_JMP | BPF_JA))
			reached[pc + 1] = true;
	}
	free(program);
}

/* What v1's kernel would answer: one exception has to cover all of an access, or, where all is allowed, must not touch it. */
static bool by_exceptions(bool allow, const struct device_filter *exceptions, char type, int32_t major, int32_t minor,
			  unsigned access)
{
	unsigned met = 0;

	for (size_t i = 0; i < exceptions->count; i++) {
		const struct device_filter_rule *rule = &exceptions->rules[i];

		if (rule->type == type && (rule->major < 0 || rule->major == major) && (rule->minor < 0 || rule->minor == minor))
			met |= rule->access;
	}
	return allow ? !(met & access) : (met & access) == access;
}

static void check_exceptions(const struct device_filter *filter, const char *what)
{
	struct device_filter exceptions = { 0 };
	struct error err;
	bool allow;

	if (device_filter_exceptions(filter, &allow, &exceptions, &err) < 0) {
		assert_int_equal(err.code, ERROR_UNSUPPORTED_FIELD);
		assert_string_equal(err.field, "devices");
		device_filter_free(&exceptions);
		return;
	}
	for (size_t d = 0; d < array_count(devices); d++) {
		for (unsigned bit = 1; bit <= 4; bit *= 2)
			check_row(by_exceptions(allow, &exceptions, devices[d].type, devices[d].major, devices[d].minor, bit) ==
					  by_rules(filter, devices[d].type, devices[d].major, devices[d].minor, bit),
				  "%s: v1: %c %d:%d, access %u", what, devices[d].type, devices[d].major, devices[d].minor, bit);
	}
	device_filter_free(&exceptions);
}

static void check_both(struct device_filter_rule *rules, size_t count, const char *what)
{
	const struct device_filter filter = { rules, count };

	check_program(&filter, what);
	check_exceptions(&filter, what);
}

#define BOTH(...)                                                                                                                  \
	do {                                                                                                                       \
		struct device_filter_rule rules_[] = { __VA_ARGS__ };                                                              \
		check_both(rules_, array_count(rules_), #__VA_ARGS__);                                                             \
	} while (0)

static void the_last_rule_wins(void **state)
{
	(void)state;
	check_both(NULL, 0, "nothing");
	BOTH({ 'c', 1, 3, 7, true });
	BOTH({ 'c', 1, 3, 7, true }, { 'a', -1, -1, 7, false });
	BOTH({ 'a', -1, -1, 7, true }, { 'b', -1, -1, 7, false });
	BOTH({ 'a', -1, -1, 7, true }, { 'c', 1, -1, DEVICE_FILTER_WRITE, false }, { 'c', 1, 3, 7, true });
	BOTH({ 'c', 1, 3, 7, true }, { 'c', 1, 3, DEVICE_FILTER_WRITE, false });
	BOTH({ 'c', 1, 3, DEVICE_FILTER_READ, true }, { 'c', 1, 3, DEVICE_FILTER_WRITE, true });
	BOTH({ 'c', 1, -1, 7, true }, { 'c', 1, 5, 7, false });
	BOTH({ 'c', -1, -1, DEVICE_FILTER_MKNOD, true }, { 'b', -1, -1, DEVICE_FILTER_MKNOD, true }, { 'c', 136, -1, 7, true });
	BOTH({ 'c', -1, 3, 7, true }, { 'a', -1, -1, DEVICE_FILTER_READ, false });
	BOTH({ 'b', 0, 0, 7, true });
}

/* Thousands of lists of rules, against the rules read one by one. */
static void any_rules(void **state)
{
	static const int32_t majors[] = { -1, -1, 1, 1, 5, 136, 254, 0 }, minors[] = { -1, -1, 3, 5, 0, 7, 2, 1 };
	unsigned seed = 12345;

	(void)state;
	for (unsigned round = 0; round < 5000; round++) {
		struct device_filter_rule rules[6];
		size_t count = 0;
		char what[32];

		snprintf(what, sizeof(what), "round %u", round);
		for (size_t i = 0; i < 1 + round % 6; i++) {
			seed = seed * 1103515245 + 12345;
			unsigned dice = seed >> 8;

			rules[count++] = (struct device_filter_rule){
				.type = "abcc"[dice % 4],
				.major = majors[(dice >> 2) % 8],
				.minor = minors[(dice >> 5) % 8],
				.access = 1 + (dice >> 8) % 7,
				.allow = (dice >> 12) % 2,
			};
			if (rules[count - 1].type == 'a')
				rules[count - 1].major = rules[count - 1].minor = -1;
			if ((dice >> 13) % 2)
				rules[count - 1].access = 7;
		}
		check_both(rules, count, what);
	}
}

static void what_v1_cannot_say(void **state)
{
	struct device_filter_rule rules[] = { { 'c', 1, -1, 7, true }, { 'c', 1, 5, 7, false } };
	const struct device_filter filter = { rules, 2 };
	struct device_filter exceptions = { 0 };
	struct error err;
	bool allow;

	(void)state;
	assert_failed(device_filter_exceptions(&filter, &allow, &exceptions, &err), &err, ERROR_UNSUPPORTED_FIELD, "devices");
	device_filter_free(&exceptions);
}

static void texts_of_v1(void **state)
{
	const struct device_filter_rule some = { 'c', 1, 3, 7, true }, all = { 'b', -1, -1, DEVICE_FILTER_MKNOD, true };
	char text[64];

	(void)state;
	device_filter_text(&some, text, sizeof(text));
	assert_string_equal(text, "c 1:3 rwm");
	device_filter_text(&all, text, sizeof(text));
	assert_string_equal(text, "b *:* m");
}

static void without_rules_a_short_list(void **state)
{
	const struct resources none = { 0 };
	struct device_filter filter;
	struct error err;

	(void)state;
	assert_worked(device_filter_make(&none, &filter, &err), &err);
	check_program(&filter, "usual");
	assert_true(by_rules(&filter, 'c', 1, 3, 7) && by_rules(&filter, 'c', 136, 7, 7));
	assert_false(by_rules(&filter, 'c', 1, 1, 1) || by_rules(&filter, 'b', 254, 0, 1) || by_rules(&filter, 'c', 10, 236, 1));
	device_filter_free(&filter);
}

static void the_older_keys(void **state)
{
	struct resources_rule null = { .type = 'c', .major = 1, .minor = 3, .permissions = "rwm" };
	struct resources resources = { .allowed_devices = { &null, 1 }, .has_allow_all_devices = true };
	struct device_filter filter;
	struct error err;

	(void)state;
	assert_worked(device_filter_make(&resources, &filter, &err), &err);
	assert_true(by_rules(&filter, 'c', 1, 3, 7) && !by_rules(&filter, 'c', 1, 5, 1));
	device_filter_free(&filter);
	resources = (struct resources){ .denied_devices = { &null, 1 }, .allow_all_devices = true, .has_allow_all_devices = true };
	assert_worked(device_filter_make(&resources, &filter, &err), &err);
	assert_true(!by_rules(&filter, 'c', 1, 3, 1) && by_rules(&filter, 'b', 254, 0, 7));
	device_filter_free(&filter);
	resources.devices = (struct decode_list){ &null, 1 };
	assert_worked(device_filter_make(&resources, &filter, &err), &err);
	assert_int_equal(filter.count, 1);
	device_filter_free(&filter);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_rule_wins),         cmocka_unit_test(any_rules),
		cmocka_unit_test(what_v1_cannot_say),         cmocka_unit_test(texts_of_v1),
		cmocka_unit_test(without_rules_a_short_list), cmocka_unit_test(the_older_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

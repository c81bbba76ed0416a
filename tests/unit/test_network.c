/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/container/network.c agent/sys/links.c agent/sys/netlink.c tests/fake/modules.c */
/* What a container's interfaces and routes may be called and have for addresses. */
#include "unit/test.h"

#include <net/if.h>

#include "base/decode.h"
#include "container/network.h"

static struct error err;

/* Members of a veth that is right otherwise; decoded by the table, and checked.  0, or the failure. */
static int check(const char *networks_text, const char *routes_text)
{
	static const struct decode_field fields[] = {
		{ .name = "networks", .kind = DECODE_LIST, .schema = &network_schema, .max = 16 },
		{ .name = "routes", .kind = DECODE_LIST, .schema = &network_route_schema, .max = 16 },
	};
	struct decode_list networks = { 0 }, routes = { 0 };
	struct decode_memory memory = { 0 };
	json_object *lists[2] = { NULL, NULL };

	memset(&err, 0, sizeof(err));
	assert_worked(decode_parse(networks_text, strlen(networks_text), &lists[0], &err), &err);
	assert_worked(decode_parse(routes_text, strlen(routes_text), &lists[1], &err), &err);
	int result = decode_value(lists[0], &fields[0], &networks, &memory, &err);
	if (result == 0)
		result = decode_value(lists[1], &fields[1], &routes, &memory, &err);
	if (result == 0)
		result = network_check(&networks, &routes, &err);
	json_object_put(lists[0]);
	json_object_put(lists[1]);
	decode_free(&memory);
	return result;
}

static int check_veth(const char *members)
{
	char text[512];

	snprintf(text, sizeof(text), "[{\"type\":\"loopback\"},{\"type\":\"veth\",\"name\":\"eth0\",\"bridge\":\"br0\"%s%s}]",
		 members[0] ? "," : "", members);
	return check(text, "[]");
}

struct row {
	const char *key, *value;
	bool taken;
};

static void check_rows(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char text[256], field[64];

		snprintf(text, sizeof(text), "\"%s\":\"%s\"", rows[i].key, rows[i].value);
		int result = check_veth(text);
		check_row((result == 0) == rows[i].taken, "%s: %s", text, rows[i].taken ? err.message : "taken");
		snprintf(field, sizeof(field), "networks[1].%s", rows[i].key);
		if (!rows[i].taken)
			assert_failed(result, &err, ERROR_PARAMS, field);
	}
}

static void addresses(void **state)
{
	static const struct row rows[] = {
		{ "address", "10.1.2.3/24", true },
		{ "address", "10.1.2.3/0", true },
		{ "address", "10.1.2.3/32", true },
		{ "address", "", true },
		{ "address", "10.1.2.3", false },
		{ "address", "10.1.2.3/", false },
		{ "address", "10.1.2.3/33", false },
		{ "address", "10.1.2.3/-1", false },
		{ "address", "10.1.2.3/+24", false },
		{ "address", "10.1.2.3/ 24", false },
		{ "address", "10.1.2.3/24 ", false },
		{ "address", "10.1.2.3/24/24", false },
		{ "address", "10.1.2.3/0x18", false },
		{ "address", "10.1.2.3/4294967320", false },
		{ "address", "10.1.2.3/18446744073709551640", false },
		{ "address", "10.1.2.3/255.255.255.0", false },
		{ "address", "/24", false },
		{ "address", "10.1.2/24", false },
		{ "address", "10.1.2.256/24", false },
		{ "address", "010.1.2.3/24", false },
		{ "address", " 10.1.2.3/24", false },
		{ "address", "localhost/24", false },
		{ "address", "fd00::2/64", false },
		{ "address", "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0/8", false },
		/* One more than the longest address, to the byte. */
		{ "address", "0000000000000000000000000000000000000000000000/8", false },
		{ "ipv6_address", "fd00::2/64", true },
		{ "ipv6_address", "::1/0", true },
		{ "ipv6_address", "fd00:1:2:3:4:5:6:7/128", true },
		{ "ipv6_address", "::ffff:10.0.0.1/128", true },
		{ "ipv6_address", "fd00:1111:2222:3333:4444:5555:255.255.255.255/128", true },
		{ "ipv6_address", "fd00::2/129", false },
		{ "ipv6_address", "fd00::2", false },
		{ "ipv6_address", "10.1.2.3/24", false },
		{ "ipv6_address", "fd00::2::3/64", false },
		{ "ipv6_address", "fe80::1%eth0/64", false },
		{ "ipv6_address", "g::1/64", false },
		{ "gateway", "10.1.2.1", true },
		{ "gateway", "", true },
		{ "gateway", "10.1.2.1/24", false },
		{ "gateway", "10.1.2.1/32", false },
		{ "gateway", "fd00::1", false },
		{ "gateway", "gw", false },
		{ "ipv6_gateway", "fd00::1", true },
		{ "ipv6_gateway", "fd00::1/64", false },
		{ "ipv6_gateway", "10.1.2.1", false },
	};

	(void)state;
	check_rows(rows, array_count(rows));
}

static void names(void **state)
{
	static const char *const keys[] = { "name", "bridge", "host_interface_name" };
	static const struct {
		const char *value;
		bool taken;
	} rows[] = {
		{ "a", true },
		{ "eth0.1", true },
		{ "veth-a_b", true },
		{ "123456789012345", true },
		{ "...", true },
		{ "a\303\244", true },
		{ "1234567890123456", false },
		{ ".", false },
		{ "..", false },
		{ "a/b", false },
		{ "/", false },
		{ "a:1", false },
		{ "a b", false },
		{ "a\\t", false },
		{ "a\\n", false },
		{ "eth%d", false },
		{ "../../x", false },
	};

	(void)state;
	assert_int_equal(IF_NAMESIZE, 16);
	for (size_t k = 0; k < array_count(keys); k++) {
		for (size_t i = 0; i < array_count(rows); i++) {
			char text[256], field[64];

			snprintf(text, sizeof(text),
				 "[{\"type\":\"veth\",\"name\":\"%s\",\"bridge\":\"%s\",\"host_interface_name\":\"%s\"}]",
				 k == 0 ? rows[i].value : "eth0", k == 1 ? rows[i].value : "br0", k == 2 ? rows[i].value : "");
			int result = check(text, "[]");
			check_row((result == 0) == rows[i].taken, "%s: %s", text, rows[i].taken ? err.message : "taken");
			snprintf(field, sizeof(field), "networks[0].%s", keys[k]);
			if (!rows[i].taken)
				assert_failed(result, &err, ERROR_PARAMS, field);
		}
	}
	/* Its own it must have; a bridge and a port's name it need not. */
	assert_failed(check("[{\"type\":\"veth\"}]", "[]"), &err, ERROR_PARAMS, "networks[0].name");
	assert_failed(check("[{\"type\":\"veth\",\"name\":\"\"}]", "[]"), &err, ERROR_PARAMS, "networks[0].name");
	assert_worked(check("[{\"type\":\"veth\",\"name\":\"e\"}]", "[]"), &err);
}

static void cards(void **state)
{
	static const struct row rows[] = {
		{ "mac_address", "02:00:00:00:00:01", true },     { "mac_address", "fe:DC:ba:98:76:54", true },
		{ "mac_address", "00:16:3e:00:00:00", true },     { "mac_address", "", true },
		{ "mac_address", "01:00:00:00:00:01", false }, /* a group */
		{ "mac_address", "ff:ff:ff:ff:ff:ff", false },    { "mac_address", "00:00:00:00:00:00", false },
		{ "mac_address", "02:00:00:00:00", false },       { "mac_address", "02:00:00:00:00:", false },
		{ "mac_address", "02:00:00:00:00:1", false },     { "mac_address", "2:0:0:0:0:1", false },
		{ "mac_address", "02:00:00:00:00:01:02", false }, { "mac_address", "02:00:00:00:00:012", false },
		{ "mac_address", "02:00:00:00:00:01 ", false },   { "mac_address", " 02:00:00:00:00:01", false },
		{ "mac_address", "02:00:00:00:00: 1", false },    { "mac_address", "02:00:00:00:00:+1", false },
		{ "mac_address", "02:00:00:00:00:-1", false },    { "mac_address", "02:00:00:00:00:0x", false },
		{ "mac_address", "02:00:00:00:00:0g", false },    { "mac_address", "02-00-00-00-00-01", false },
		{ "mac_address", "020000000001", false },
	};

	(void)state;
	check_rows(rows, array_count(rows));
}

static void numbers_and_types(void **state)
{
	static const struct {
		const char *members, *field;
	} rows[] = {
		{ "\"mtu\":0,\"txqueuelen\":0,\"hairpin_mode\":true", NULL },
		{ "\"mtu\":68", NULL },
		{ "\"mtu\":65535,\"txqueuelen\":1000000", NULL },
		{ "\"mtu\":67", "networks[1].mtu" },
		{ "\"mtu\":1", "networks[1].mtu" },
		{ "\"mtu\":65536", "[1].mtu" },
		{ "\"mtu\":-1", "[1].mtu" },
		{ "\"txqueuelen\":1000001", "[1].txqueuelen" },
		{ "\"vlan\":1", "[1].vlan" },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		int result = check_veth(rows[i].members);

		if (rows[i].field)
			assert_failed(result, &err, ERROR_PARAMS, rows[i].field);
		else
			assert_worked(result, &err);
	}
	assert_failed(check("[{\"type\":\"macvlan\",\"name\":\"e\"}]", "[]"), &err, ERROR_PARAMS, "networks[0].type");
	assert_failed(check("[{\"type\":\"Veth\",\"name\":\"e\"}]", "[]"), &err, ERROR_PARAMS, "networks[0].type");
	assert_failed(check("[{\"name\":\"e\"}]", "[]"), &err, ERROR_PARAMS, "[0].type");
	assert_failed(check("[{\"type\":\"veth\",\"name\":\"e\",\"hairpin_mode\":true}]", "[]"), &err, ERROR_PARAMS,
		      "networks[0].hairpin_mode");
	/* With loopback the rest says nothing. */
	assert_worked(check("[{\"type\":\"loopback\",\"name\":\"a/b\",\"address\":\"x\",\"mtu\":1}]", "[]"), &err);
}

static void routes(void **state)
{
	static const struct {
		const char *members, *field;
	} rows[] = {
		{ "\"destination\":\"10.0.0.0/8\",\"gateway\":\"10.1.2.1\"", NULL },
		{ "\"destination\":\"10.0.0.1\",\"interface_name\":\"eth0\"", NULL },
		{ "\"destination\":\"0.0.0.0/0\",\"gateway\":\"10.1.2.1\"", NULL },
		{ "\"gateway\":\"10.1.2.1\"", NULL },
		{ "\"source\":\"10.1.2.3\",\"interface_name\":\"eth0\"", NULL },
		{ "\"destination\":\"fd00::/8\",\"source\":\"fd00::2\",\"gateway\":\"fe80::1\",\"interface_name\":\"eth0\"", NULL },
		{ "\"destination\":\"\",\"source\":\"\",\"gateway\":\"fd00::1\",\"interface_name\":\"\"", NULL },
		{ "\"gateway\":\"10.1.2.1/32\"", NULL },
		{ "", "routes[1].destination" },
		{ "\"interface_name\":\"eth0\"", "routes[1].destination" },
		{ "\"destination\":\"default\"", "routes[1].destination" },
		{ "\"destination\":\"10.0.0.0/33\"", "routes[1].destination" },
		{ "\"destination\":\"10.0.0.0/255.0.0.0\"", "routes[1].destination" },
		{ "\"destination\":\"fd00::/129\"", "routes[1].destination" },
		{ "\"destination\":\"10.0.0.0/8\",\"gateway\":\"fd00::1\"", "routes[1].gateway" },
		{ "\"destination\":\"fd00::/8\",\"gateway\":\"10.0.0.1\"", "routes[1].gateway" },
		{ "\"destination\":\"10.0.0.0/8\",\"source\":\"fd00::1\"", "routes[1].source" },
		{ "\"source\":\"10.0.0.1\",\"gateway\":\"fd00::1\"", "routes[1].gateway" },
		{ "\"source\":\"10.0.0.0/8\"", "routes[1].source" },
		{ "\"source\":\"fd00::/32\"", "routes[1].source" }, /* a net, of an address of 128 bits */
		{ "\"gateway\":\"10.0.0.0/31\"", "routes[1].gateway" },
		{ "\"gateway\":\"gw\"", "routes[1].gateway" },
		{ "\"gateway\":\"10.0.0.1\",\"interface_name\":\"a/b\"", "routes[1].interface_name" },
		{ "\"gateway\":\"10.0.0.1\",\"interface_name\":\"1234567890123456\"", "routes[1].interface_name" },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		char text[512];

		snprintf(text, sizeof(text), "[{\"gateway\":\"10.0.0.1\"},{%s}]", rows[i].members);
		int result = check("[]", text);

		check_row((result < 0) == (rows[i].field != NULL), "%s: %s", rows[i].members, err.message);
		if (rows[i].field)
			assert_failed(result, &err, ERROR_PARAMS, rows[i].field);
	}
}

static void which_need_the_kernels_veth(void **state)
{
	struct network networks[] = { { .type = "loopback" }, { .type = "loopback" }, { .type = "veth" } };
	struct decode_list list = { networks, 0 };

	(void)state;
	assert_false(network_has_veth(&list));
	list.count = 2;
	assert_false(network_has_veth(&list));
	list.count = 3;
	assert_true(network_has_veth(&list));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses),         cmocka_unit_test(names),  cmocka_unit_test(cards),
		cmocka_unit_test(numbers_and_types), cmocka_unit_test(routes), cmocka_unit_test(which_need_the_kernels_veth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/sys/netlink.c -Wl,--wrap=send -Wl,--wrap=recvfrom */
/* Messages as rtnetlink(7) and netlink(7) lay them out, and answers as the kernel, and others, may give them. */
#include "unit/test.h"

#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include "sys/netlink.h"

ssize_t __real_send(int fd, const void *bytes, size_t size, int flags);
ssize_t __wrap_send(int fd, const void *bytes, size_t size, int flags);
ssize_t __real_recvfrom(int fd, void *bytes, size_t size, int flags, struct sockaddr *from, socklen_t *length);
ssize_t __wrap_recvfrom(int fd, void *bytes, size_t size, int flags, struct sockaddr *from, socklen_t *length);

static struct {
	struct netlink netlink;
	struct error err;
	bool real;
	char sent[4096] __attribute__((aligned(8)));
	size_t sent_size;
	int sends, send_errno;
	/* What recvfrom answers, one datagram after the other. */
	struct {
		char bytes[512];
		size_t size;
		uint32_t port;
		int errnum;
	} answers[8];
	size_t answer_count, next;
} t;

static int fresh(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	t.netlink.fd = -1;
	memset(t.netlink.message, 0x55, sizeof(t.netlink.message));
	return 0;
}

static int clean(void **state)
{
	(void)state;
	netlink_close(&t.netlink);
	return 0;
}

ssize_t __wrap_send(int fd, const void *bytes, size_t size, int flags)
{
	if (t.real)
		return __real_send(fd, bytes, size, flags);
	t.sends++;
	if (t.send_errno) {
		errno = t.send_errno;
		return -1;
	}
	assert_true(size <= sizeof(t.sent));
	memcpy(t.sent, bytes, size);
	t.sent_size = size;
	return (ssize_t)size;
}

ssize_t __wrap_recvfrom(int fd, void *bytes, size_t size, int flags, struct sockaddr *from, socklen_t *length)
{
	if (t.real)
		return __real_recvfrom(fd, bytes, size, flags, from, length);
	/* A call too many would wait for ever. */
	assert_true(t.next < t.answer_count);
	size_t i = t.next++;
	if (t.answers[i].errnum) {
		errno = t.answers[i].errnum;
		return -1;
	}
	assert_true(t.answers[i].size <= size);
	memcpy(bytes, t.answers[i].bytes, t.answers[i].size);
	if (from) {
		assert_true(*length >= sizeof(struct sockaddr_nl));
		*(struct sockaddr_nl *)(void *)from = (struct sockaddr_nl){ .nl_family = AF_NETLINK, .nl_pid = t.answers[i].port };
	}
	return (ssize_t)t.answers[i].size;
}

/* One more datagram, or, with `more`, one more message in the last datagram. */
static void answer(bool more, uint16_t type, uint32_t sequence, const void *payload, size_t size)
{
	struct nlmsghdr header = { .nlmsg_len = (uint32_t)NLMSG_LENGTH(size), .nlmsg_type = type, .nlmsg_seq = sequence };

	if (!more)
		t.answer_count++;
	char *end = t.answers[t.answer_count - 1].bytes + t.answers[t.answer_count - 1].size;
	memcpy(end, &header, sizeof(header));
	memcpy(end + NLMSG_HDRLEN, payload, size);
	t.answers[t.answer_count - 1].size += NLMSG_LENGTH(size);
}

static void answer_error(bool more, uint32_t sequence, int error)
{
	struct nlmsgerr payload = { .error = error };

	answer(more, NLMSG_ERROR, sequence, &payload, sizeof(payload));
}

static void answer_link(bool more, uint32_t sequence, int index)
{
	struct ifinfomsg payload = { .ifi_index = index };

	answer(more, RTM_NEWLINK, sequence, &payload, sizeof(payload));
}

/* ---- layout ---- */

static const struct nlmsghdr *sent_header(void)
{
	const struct nlmsghdr *header = (const struct nlmsghdr *)(void *)t.sent;

	assert_true(t.sent_size >= sizeof(*header));
	assert_int_equal(header->nlmsg_len, t.sent_size);
	return header;
}

static void a_message_as_the_kernel_reads_it(void **state)
{
	const struct ifinfomsg body = { .ifi_family = AF_INET6, .ifi_index = 7, .ifi_change = 1 };

	(void)state;
	netlink_begin(&t.netlink, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &body, sizeof(body));
	netlink_put_string(&t.netlink, IFLA_IFNAME, "eth0");
	netlink_put_u32(&t.netlink, IFLA_MTU, 0x01020304);
	netlink_put(&t.netlink, IFLA_ADDRESS, "\1\2\3\4\5\6", 6);
	netlink_put(&t.netlink, IFLA_IFALIAS, NULL, 0);
	answer_error(false, 1, 0);
	assert_int_equal(netlink_send(&t.netlink), 0);
	const struct nlmsghdr *header = sent_header();
	assert_int_equal(header->nlmsg_type, RTM_NEWLINK);
	assert_int_equal(header->nlmsg_flags, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
	assert_int_equal(header->nlmsg_seq, 1);
	assert_memory_equal(NLMSG_DATA(header), &body, sizeof(body));
	/* The kernel's own macros walk over it: four attributes, each padded, and nothing behind. */
	int left = (int)(header->nlmsg_len - NLMSG_SPACE(sizeof(body)));
	const struct rtattr *attribute = (const struct rtattr *)(const void *)(t.sent + NLMSG_SPACE(sizeof(body)));
	assert_true(RTA_OK(attribute, left));
	assert_int_equal(attribute->rta_type, IFLA_IFNAME);
	assert_int_equal(attribute->rta_len, 4 + 5);
	assert_string_equal(RTA_DATA(attribute), "eth0");
	assert_memory_equal((const char *)RTA_DATA(attribute) + 5, "\0\0\0", 3); /* no memory of ours in the padding */
	attribute = RTA_NEXT(attribute, left);
	assert_true(RTA_OK(attribute, left));
	assert_int_equal(attribute->rta_type, IFLA_MTU);
	assert_int_equal(attribute->rta_len, 8);
	assert_int_equal(*(const uint32_t *)RTA_DATA(attribute), 0x01020304);
	attribute = RTA_NEXT(attribute, left);
	assert_true(RTA_OK(attribute, left));
	assert_int_equal(attribute->rta_len, 4 + 6);
	assert_memory_equal(RTA_DATA(attribute), "\1\2\3\4\5\6", 6);
	attribute = RTA_NEXT(attribute, left);
	assert_true(RTA_OK(attribute, left));
	assert_int_equal(attribute->rta_type, IFLA_IFALIAS);
	assert_int_equal(attribute->rta_len, 4);
	attribute = RTA_NEXT(attribute, left);
	assert_int_equal(left, 0);
}

static void nests_span_what_is_in_them(void **state)
{
	const struct ifinfomsg body = { .ifi_family = AF_UNSPEC }, peer = { .ifi_index = 9 };

	(void)state;
	netlink_begin(&t.netlink, RTM_NEWLINK, 0, &body, sizeof(body));
	size_t outer = netlink_nest(&t.netlink, 18, NULL, 0);
	netlink_put_string(&t.netlink, 1, "veth");
	size_t inner = netlink_nest(&t.netlink, 2, &peer, sizeof(peer));
	netlink_put_u32(&t.netlink, 3, 5);
	netlink_nest_end(&t.netlink, inner);
	netlink_nest_end(&t.netlink, outer);
	netlink_put_u32(&t.netlink, 4, 6);
	answer_error(false, 1, 0);
	assert_int_equal(netlink_send(&t.netlink), 0);
	const char *at = t.sent + NLMSG_SPACE(sizeof(body));
	const struct rtattr *attribute = (const struct rtattr *)(const void *)at;
	/* header, "veth" with its end padded to 12, header, peer, u32 attribute */
	assert_int_equal(attribute->rta_type, 18);
	assert_int_equal(attribute->rta_len, 4 + 12 + 4 + sizeof(peer) + 8);
	attribute = (const struct rtattr *)(const void *)(at + 4 + 12);
	assert_int_equal(attribute->rta_type, 2);
	assert_int_equal(attribute->rta_len, 4 + sizeof(peer) + 8);
	assert_memory_equal(RTA_DATA(attribute), &peer, sizeof(peer));
	attribute = (const struct rtattr *)(const void *)(at + 4 + 12 + 4 + sizeof(peer));
	assert_int_equal(attribute->rta_type, 3);
	attribute = (const struct rtattr *)(const void *)(at + 4 + 12 + 4 + sizeof(peer) + 8);
	assert_int_equal(attribute->rta_type, 4);
	assert_int_equal(attribute->rta_len, 8);
	assert_int_equal(sent_header()->nlmsg_len, NLMSG_SPACE(sizeof(body)) + 4 + 12 + 4 + sizeof(peer) + 8 + 8);
}

static void each_message_has_its_number_and_nothing_of_the_last(void **state)
{
	(void)state;
	for (uint32_t i = 1; i <= 3; i++) {
		netlink_begin(&t.netlink, RTM_NEWADDR, 0, "abcd", 4);
		if (i == 1)
			netlink_put_u32(&t.netlink, 1, 1);
		answer_error(false, i, 0);
		assert_int_equal(netlink_send(&t.netlink), 0);
		assert_int_equal(sent_header()->nlmsg_seq, i);
		assert_int_equal(sent_header()->nlmsg_len, NLMSG_SPACE(4) + (i == 1 ? 8 : 0));
	}
}

/* The message is the last member of the struct: ASan does not see a write behind a field, so a guard does. */
static void what_does_not_fit_is_not_sent(void **state)
{
	static char value[4096];
	struct {
		struct netlink netlink;
		char guard[4096];
	} box = { .netlink = { .fd = -1 } };

	(void)state;
	const size_t room = sizeof(box.netlink.message) - NLMSG_SPACE(4) - sizeof(struct rtattr);
	memset(value, 'v', sizeof(value));
	for (size_t size = room - 5; size < room + 9; size++) {
		memset(box.guard, 'g', sizeof(box.guard));
		box.netlink.sequence = 0;
		t.next = t.answer_count = 0;
		memset(t.answers, 0, sizeof(t.answers));
		answer_error(false, 1, 0);
		t.sends = 0;
		netlink_begin(&box.netlink, RTM_NEWADDR, 0, "abcd", 4);
		netlink_put(&box.netlink, 1, value, size);
		int result = netlink_send(&box.netlink);
		check_row(result == (size <= room ? 0 : -EMSGSIZE), "%zu of %zu bytes: %d", size, room, result);
		assert_int_equal(t.sends, size <= room);
		if (size <= room)
			assert_memory_equal(t.sent + NLMSG_SPACE(4) + sizeof(struct rtattr), value, size);
		for (size_t i = 0; i < sizeof(box.guard); i++)
			check_row(box.guard[i] == 'g', "%zu bytes: wrote %zu behind the end", size, i);
	}
}

static void overflow_is_remembered(void **state)
{
	static char value[2000];

	(void)state;
	netlink_begin(&t.netlink, RTM_NEWADDR, 0, "abcd", 4);
	for (int i = 0; i < 40; i++)
		netlink_put(&t.netlink, 1, value, sizeof(value));
	/* Where it begins there is no message any more. */
	size_t nest = netlink_nest(&t.netlink, 2, NULL, 0);
	netlink_put_u32(&t.netlink, 3, 5);
	netlink_nest_end(&t.netlink, nest);
	assert_int_equal(netlink_send(&t.netlink), -EMSGSIZE);
	assert_int_equal(t.sends, 0);
	/* The next one is free of it. */
	netlink_begin(&t.netlink, RTM_NEWADDR, 0, "abcd", 4);
	answer_error(false, 2, 0);
	assert_int_equal(netlink_send(&t.netlink), 0);
}

/* ---- answers ---- */

static void errors_are_the_kernels_own(void **state)
{
	(void)state;
	netlink_begin(&t.netlink, RTM_NEWADDR, 0, "abcd", 4);
	answer_error(false, 1, -EEXIST);
	assert_int_equal(netlink_send(&t.netlink), -EEXIST);
	t.send_errno = ENOBUFS;
	netlink_begin(&t.netlink, RTM_NEWADDR, 0, "abcd", 4);
	assert_int_equal(netlink_send(&t.netlink), -ENOBUFS);
	t.send_errno = 0;
	t.answers[t.answer_count++].errnum = ENOMEM;
	netlink_begin(&t.netlink, RTM_NEWADDR, 0, "abcd", 4);
	assert_int_equal(netlink_send(&t.netlink), -ENOMEM);
	assert_int_equal(t.next, 2);
}

static void a_signal_is_no_answer(void **state)
{
	(void)state;
	netlink_begin(&t.netlink, RTM_NEWADDR, 0, "abcd", 4);
	t.answers[t.answer_count++].errnum = EINTR;
	answer_error(false, 1, -EPERM);
	assert_int_equal(netlink_send(&t.netlink), -EPERM);
}

static void answers_to_other_requests_are_passed_over(void **state)
{
	(void)state;
	netlink_begin(&t.netlink, RTM_NEWADDR, 0, "abcd", 4);
	netlink_begin(&t.netlink, RTM_NEWADDR, 0, "abcd", 4);
	answer_error(false, 1, -EPERM);
	answer_error(true, 3, -EPERM);
	answer_error(false, 2, -ENODEV);
	assert_int_equal(netlink_send(&t.netlink), -ENODEV);
	assert_int_equal(t.next, 2);
}

static void an_index_is_in_the_link_that_comes(void **state)
{
	(void)state;
	answer_link(false, 1, 42);
	answer_error(false, 1, 0);
	assert_int_equal(netlink_index(&t.netlink, "eth0"), 42);
	const struct nlmsghdr *header = sent_header();
	assert_int_equal(header->nlmsg_type, RTM_GETLINK);
	const struct rtattr *attribute = (const struct rtattr *)(const void *)(t.sent + NLMSG_SPACE(sizeof(struct ifinfomsg)));
	assert_int_equal(attribute->rta_type, IFLA_IFNAME);
	assert_string_equal(RTA_DATA(attribute), "eth0");
	/* Both in one datagram. */
	answer_link(false, 2, 43);
	answer_error(true, 2, 0);
	assert_int_equal(netlink_index(&t.netlink, "eth0"), 43);
	answer_error(false, 3, -ENODEV);
	assert_int_equal(netlink_index(&t.netlink, "eth0"), -ENODEV);
	answer_link(false, 4, 45);
	answer_error(true, 4, -EPERM);
	assert_int_equal(netlink_index(&t.netlink, "eth0"), -EPERM);
	/* Done, but the link was another request's. */
	answer_link(false, 3, 44);
	answer_error(true, 5, 0);
	assert_int_equal(netlink_index(&t.netlink, "eth0"), -ENODEV);
}

static void only_the_kernel_answers(void **state)
{
	(void)state;
	answer_link(false, 1, 7);
	answer_error(true, 1, 0);
	t.answers[0].port = 4711;
	answer_link(false, 1, 42);
	answer_error(true, 1, 0);
	assert_int_equal(netlink_index(&t.netlink, "eth0"), 42);
}

/* A message whose length is no multiple of four may be a datagram's last: what lies behind it in the buffer is of an older one. */
static void stale_bytes_are_not_read(void **state)
{
	char payload[61] = "";
	struct nlmsghdr stale = { .nlmsg_len = NLMSG_LENGTH(4), .nlmsg_type = NLMSG_ERROR, .nlmsg_seq = 1 };
	int code = -EPERM;

	(void)state;
	netlink_begin(&t.netlink, RTM_NEWADDR, 0, "abcd", 4);
	/* Another's answer, with our error at 20 from its start; then a shorter one that ends just before it. */
	memcpy(payload + 4, &stale, sizeof(stale));
	memcpy(payload + 4 + NLMSG_HDRLEN, &code, sizeof(code));
	answer(false, NLMSG_NOOP, 9, payload, sizeof(payload));
	answer(false, NLMSG_NOOP, 9, "x", 1);
	answer_error(false, 1, 0);
	assert_int_equal(netlink_send(&t.netlink), 0);
	assert_int_equal(t.next, 3);
}

/* ---- the kernel ---- */

static void the_kernel_understands_it(void **state)
{
	(void)state;
	t.real = true;
	assert_worked(netlink_open(&t.netlink, &t.err), &t.err);
	assert_int_equal(netlink_index(&t.netlink, "lo"), if_nametoindex("lo"));
	assert_int_equal(netlink_index(&t.netlink, "no-such-link"), -ENODEV);
	assert_int_equal(netlink_index(&t.netlink, "lo"), if_nametoindex("lo"));
}

/* With CAP_NET_ADMIN any process of the namespace reaches the socket. */
static void a_forged_answer_is_passed_over(void **state)
{
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
	} forged = { { .nlmsg_len = sizeof(forged), .nlmsg_type = NLMSG_ERROR, .nlmsg_seq = 1 }, { .error = -ESTALE } };
	struct sockaddr_nl own;
	socklen_t length = sizeof(own);

	(void)state;
	t.real = true;
	assert_worked(netlink_open(&t.netlink, &t.err), &t.err);
	assert_int_equal(bind(t.netlink.fd, (struct sockaddr *)&(struct sockaddr_nl){ .nl_family = AF_NETLINK }, sizeof(own)), 0);
	assert_int_equal(getsockname(t.netlink.fd, (struct sockaddr *)&own, &length), 0);
	fd_auto other = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (sendto(other, &forged, sizeof(forged), 0, (struct sockaddr *)&own, sizeof(own)) != sizeof(forged))
		skip();
	assert_int_equal(netlink_index(&t.netlink, "lo"), if_nametoindex("lo"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_message_as_the_kernel_reads_it, fresh, clean),
		cmocka_unit_test_setup_teardown(nests_span_what_is_in_them, fresh, clean),
		cmocka_unit_test_setup_teardown(each_message_has_its_number_and_nothing_of_the_last, fresh, clean),
		cmocka_unit_test_setup_teardown(what_does_not_fit_is_not_sent, fresh, clean),
		cmocka_unit_test_setup_teardown(overflow_is_remembered, fresh, clean),
		cmocka_unit_test_setup_teardown(errors_are_the_kernels_own, fresh, clean),
		cmocka_unit_test_setup_teardown(a_signal_is_no_answer, fresh, clean),
		cmocka_unit_test_setup_teardown(answers_to_other_requests_are_passed_over, fresh, clean),
		cmocka_unit_test_setup_teardown(an_index_is_in_the_link_that_comes, fresh, clean),
		cmocka_unit_test_setup_teardown(only_the_kernel_answers, fresh, clean),
		cmocka_unit_test_setup_teardown(stale_bytes_are_not_read, fresh, clean),
		cmocka_unit_test_setup_teardown(the_kernel_understands_it, fresh, clean),
		cmocka_unit_test_setup_teardown(a_forged_answer_is_passed_over, fresh, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

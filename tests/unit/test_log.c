/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit/test.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/ring.h"

static struct ring ring;
static int console[2], kmsg[2];

static int fresh(void **state)
{
	(void)state;
	memset(&ring, 0, sizeof(ring));
	if (pipe(console) < 0 || pipe(kmsg) < 0)
		return -1;
	log_open(console[1], kmsg[1], &ring);
	log_set_level(LOG_LEVEL_INFO);
	return 0;
}

static int clean(void **state)
{
	(void)state;
	log_open(-1, -1, NULL);
	for (int i = 0; i < 2; i++) {
		close(console[i]);
		close(kmsg[i]);
	}
	return 0;
}

static const char *read_from(int fd)
{
	static char text[8192];
	ssize_t got = read(fd, text, sizeof(text) - 1);

	text[got > 0 ? got : 0] = '\0';
	return text;
}

static const char *read_ring(void)
{
	static char text[RING_SIZE + 1];
	uint64_t position = 0;

	text[ring_read(&ring, &position, text, RING_SIZE)] = '\0';
	return text;
}

static void a_record_goes_everywhere(void **state)
{
	const char *text;

	(void)state;
	log_info("%s is %d", "answer", 42);
	text = read_from(console[0]);
	assert_int_equal(text[0], '[');
	assert_non_null(strstr(text, "] coffer info: answer is 42\n"));
	assert_string_equal(text, read_ring());
	assert_string_equal(read_from(kmsg[0]), "<6>coffer: answer is 42\n");
}

static void levels(void **state)
{
	(void)state;
	log_error("e");
	log_warning("w");
	log_info("i");
	log_debug("d");
	assert_non_null(strstr(read_ring(), "coffer error: e\n"));
	assert_non_null(strstr(read_ring(), "coffer warning: w\n"));
	assert_non_null(strstr(read_ring(), "coffer info: i\n"));
	assert_null(strstr(read_ring(), "debug"));
	assert_string_equal(read_from(kmsg[0]), "<3>coffer: e\n<4>coffer: w\n<6>coffer: i\n");
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("d");
	assert_non_null(strstr(read_ring(), "coffer debug: d\n"));
	log_set_level(LOG_LEVEL_ERROR);
	log_warning("not this");
	assert_null(strstr(read_ring(), "not this"));
}

static void level_names(void **state)
{
	(void)state;
	assert_int_equal(log_level_from_name("error"), LOG_LEVEL_ERROR);
	assert_int_equal(log_level_from_name("warning"), LOG_LEVEL_WARNING);
	assert_int_equal(log_level_from_name("info"), LOG_LEVEL_INFO);
	assert_int_equal(log_level_from_name("debug"), LOG_LEVEL_DEBUG);
	assert_int_equal(log_level_from_name("Info"), -1);
	assert_int_equal(log_level_from_name(""), -1);
	assert_int_equal(log_level_from_name("infos"), -1);
}

static void a_record_is_one_line(void **state)
{
	char text[4000];
	const char *line;

	(void)state;
	log_info("a\nb\rc\033[1md\177\t%s", "\xc3\xa9");
	assert_non_null(strstr(read_ring(), "coffer info: a?b?c?[1md??\xc3\xa9\n"));
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_info("%s", text);
	line = strstr(read_ring(), "xxxx");
	assert_non_null(line);
	size_t length = strcspn(line, "\n");
	assert_true(length > 500 && length < 1200);
	assert_int_equal(line[length], '\n'); /* cut, but ended */
}

static void sinks_are_optional(void **state)
{
	(void)state;
	log_open(-1, -1, NULL);
	log_error("to nobody");
	log_open(-1, -1, &ring);
	log_error("to the ring");
	assert_null(strstr(read_ring(), "nobody"));
	assert_non_null(strstr(read_ring(), "to the ring\n"));
	/* One that is broken takes nothing from the others. */
	log_open(9999, 9999, &ring);
	log_error("still there");
	assert_non_null(strstr(read_ring(), "still there\n"));
}

static void a_child_s_lines_go_to_its_parent(void **state)
{
	int pair[2];
	char text[2048];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	log_to_parent(pair[1]);
	log_warning("from the %s", "child");
	log_debug("not this");
	ssize_t got = recv(pair[0], text, sizeof(text), 0);
	log_open(-1, -1, &ring);
	log_to_parent(-1);
	log_error("to nobody at all"); /* a child without a parent to tell */
	log_open(-1, -1, &ring);
	assert_int_equal(got, strlen("L4from the child"));
	assert_memory_equal(text, "L4from the child", (size_t)got);
	assert_string_equal(read_ring(), "");
	/* As the parent takes it: behind the kind, not ended. */
	log_from_child(text[1] - '0', text + 2, (size_t)got - 2);
	assert_non_null(strstr(read_ring(), "coffer warning: from the child\n"));
	log_from_child(LOG_LEVEL_DEBUG, "quiet", 5);
	assert_null(strstr(read_ring(), "quiet"));
	log_from_child(LOG_LEVEL_INFO, "cut here and not there", 8);
	assert_non_null(strstr(read_ring(), "coffer info: cut here\n"));
	log_from_child(LOG_LEVEL_INFO, "a\nb", 3);
	assert_non_null(strstr(read_ring(), "coffer info: a?b\n"));
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_record_goes_everywhere, fresh, clean),
		cmocka_unit_test_setup_teardown(levels, fresh, clean),
		cmocka_unit_test(level_names),
		cmocka_unit_test_setup_teardown(a_record_is_one_line, fresh, clean),
		cmocka_unit_test_setup_teardown(sinks_are_optional, fresh, clean),
		cmocka_unit_test_setup_teardown(a_child_s_lines_go_to_its_parent, fresh, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

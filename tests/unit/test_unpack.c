/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/layer/unpack.c agent/sys/libraries.c tests/unit/tar.c -lz -lzstd */
/* Streams and their packing: what is taken, however it comes, and what is refused. */
#include "unit/test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "layer/unpack.h"
#include "unit/pack.h"

static struct error err;
static size_t unpacked; /* bytes, of the last stream */

/* All that comes out of the stream, behind what is in `out`, if that is not NULL. */
static int unpack_fd(int from, uint64_t ratio, struct tar *out)
{
	struct unpack *unpack;
	const void *bytes;
	size_t size;
	int result;

	err = (struct error){ 0 };
	unpacked = 0;
	assert_worked(unpack_open(&unpack, from, ratio, &err), &err);
	while ((result = unpack_read(unpack, &bytes, &size, &err)) > 0) {
		assert_true(size > 0);
		if (out)
			tar_append(out, bytes, size);
		unpacked += size;
	}
	if (result == 0)
		assert_int_equal(unpack_read(unpack, &bytes, &size, &err), 0);
	unpack_close(unpack);
	return result;
}

static int unpack_bytes(const struct tar *stream, uint64_t ratio, struct tar *out)
{
	fd_auto from = memfd_create("stream", MFD_CLOEXEC);

	assert_int_equal(write(from, stream->bytes, stream->size), stream->size);
	assert_int_equal(lseek(from, 0, SEEK_SET), 0);
	return unpack_fd(from, ratio, out);
}

/* The same from a pipe, into which it is written byte by byte. */
static int unpack_bit_by_bit(const struct tar *stream, struct tar *out)
{
	int ends[2], status;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid_t writer = fork();
	if (writer == 0) {
		close(ends[0]);
		signal(SIGPIPE, SIG_DFL);
		for (size_t i = 0; i < stream->size; i++)
			(void)!write(ends[1], stream->bytes + i, 1);
		_exit(0);
	}
	close(ends[1]);
	int result = unpack_fd(ends[0], 0, out);
	close(ends[0]);
	assert_int_equal(waitpid(writer, &status, 0), writer);
	return result;
}

/* ---- what streams are made of ---- */

static unsigned char content[300000];

static void skippable(struct tar *out, size_t size)
{
	unsigned char head[8] = { 0x5a, 0x2a, 0x4d, 0x18, (unsigned char)size, (unsigned char)(size >> 8) };

	tar_append(out, head, sizeof(head));
	tar_append(out, content, size);
}

/* One letter after the other of `plan` is a part of the stream; `out` is what is to come of it.
 * g: a gzip member.  e: an empty one.  z: a zstd frame.  E: an empty one.  s: a skippable one.  p: plain bytes.  x: garbage. */
static struct tar make(const char *plan, size_t size, struct tar *out)
{
	struct tar stream = { 0 };

	for (; *plan; plan++) {
		if (*plan == 'g')
			pack_gzip(&stream, content, size);
		else if (*plan == 'z')
			pack_zstd(&stream, content, size, 0);
		else if (*plan == 'p')
			tar_append(&stream, content, size);
		else if (*plan == 'e')
			pack_gzip(&stream, "", 0);
		else if (*plan == 'E')
			pack_zstd(&stream, "", 0, 0);
		else if (*plan == 's')
			skippable(&stream, size / 5);
		else if (*plan == 'x')
			tar_append(&stream, content + 9, size);
		if (out && strchr("gzp", *plan))
			tar_append(out, content, size);
	}
	return stream;
}

static void what_is_taken(void **state)
{
	static const char *const plans[] = { "",   "p", "g",  "gg",  "e", "eg", "ge", "geeg",   "z",
					     "zz", "E", "Ez", "zEz", "s", "sz", "zs", "szsszs", "ssss" };
	static const size_t sizes[] = { 0, 1, 3, 100, 65535, 65536, 65537, 131072, 262144, 300000 };

	(void)state;
	for (size_t i = 0; i < array_count(plans); i++) {
		for (size_t k = 0; k < array_count(sizes); k++) {
			struct tar wanted = { 0 }, out = { 0 };
			struct tar stream = make(plans[i], sizes[k], &wanted);

			check_row(unpack_bytes(&stream, 0, &out) == 0, "\"%s\" of %zu: %s", plans[i], sizes[k], err.message);
			check_row(out.size == wanted.size && (!out.size || memcmp(out.bytes, wanted.bytes, out.size) == 0),
				  "\"%s\" of %zu: %zu bytes, not %zu", plans[i], sizes[k], out.size, wanted.size);
			out.size = 0;
			if (sizes[k] < 70000) {
				check_row(unpack_bit_by_bit(&stream, &out) == 0, "\"%s\" of %zu: %s", plans[i], sizes[k],
					  err.message);
				check_row(out.size == wanted.size && (!out.size || memcmp(out.bytes, wanted.bytes, out.size) == 0),
					  "\"%s\" of %zu, bit by bit", plans[i], sizes[k]);
			}
			tar_free(&stream);
			tar_free(&wanted);
			tar_free(&out);
		}
	}
}

static void assert_refused(const char *what, const struct tar *stream, const char *why)
{
	struct tar out = { 0 };
	int result = unpack_bytes(stream, 0, &out);

	check_row(result < 0 && err.code == ERROR_LAYER && strstr(err.message, why), "%s: %d, not \"%s\": %s", what, result, why,
		  err.message);
	tar_free(&out);
}

/* Bits that are turned over, counted from the stream's end. */
static void sums_that_are_wrong(void **state)
{
	static const struct {
		const char *plan;
		size_t from, to; /* bytes before the end */
		const char *why;
	} rows[] = {
		{ "g", 8, 5, "incorrect data check" },   { "g", 4, 1, "incorrect length check" },
		{ "gg", 8, 5, "incorrect data check" },  { "gg", 4, 1, "incorrect length check" },
		{ "e", 8, 5, "incorrect data check" },   { "e", 4, 1, "incorrect length check" },
		{ "z", 4, 1, "doesn't match checksum" }, { "zz", 4, 1, "doesn't match checksum" },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		struct tar stream = make(rows[i].plan, 1000, NULL);

		for (size_t at = stream.size - rows[i].from; at <= stream.size - rows[i].to; at++) {
			stream.bytes[at] ^= 0x10;
			assert_refused(rows[i].plan, &stream, rows[i].why);
			stream.bytes[at] ^= 0x10;
		}
		tar_free(&stream);
	}
}

/* Also the first of two members. */
static void a_wrong_sum_amid(void **state)
{
	struct tar stream = make("g", 1000, NULL);

	(void)state;
	stream.bytes[stream.size - 6] ^= 1;
	pack_gzip(&stream, content, 1000);
	assert_refused("the first of two", &stream, "incorrect data check");
	tar_free(&stream);
}

/* A stream that ends anywhere but behind a member or frame.  (After one or two bytes nothing says yet that it is packed.) */
static void cut_streams(void **state)
{
	static const char *const plans[] = { "g", "e", "z", "E", "s", "gg", "zz", "zs" };

	(void)state;
	for (size_t i = 0; i < array_count(plans); i++) {
		struct tar whole = make(plans[i], 300, NULL), half = make((char[]){ plans[i][0], 0 }, 300, NULL);

		for (size_t size = 4; size < whole.size; size++) {
			struct tar cut = { .bytes = whole.bytes, .size = size };

			if (size != half.size)
				assert_refused(plans[i], &cut, size < half.size || size >= half.size + 4 ? "too early" : "");
		}
		tar_free(&whole);
		tar_free(&half);
	}
}

static void what_follows_the_end(void **state)
{
	static const char *const plans[] = { "gx", "zx", "sx", "gz", "zg", "sg", "gs", "ex", "Ex" };
	static const size_t sizes[] = { 1, 2, 3, 4, 100 };

	(void)state;
	for (size_t i = 0; i < array_count(plans); i++) {
		for (size_t k = 0; k < array_count(sizes); k++) {
			struct tar stream = make(plans[i], sizes[k], NULL);

			assert_refused(plans[i], &stream, "something else follows");
			tar_free(&stream);
		}
	}
	/* Zeros, as some tapes have them; and a frame of a format that zstd had once, which libzstd would still read. */
	static const unsigned char behind[][8] = { { 0 }, { 0x27, 0xb5, 0x2f, 0xfd, 1, 2, 3, 4 } };
	for (size_t i = 0; i < array_count(behind); i++) {
		for (const char *plan = "gz"; *plan; plan++) {
			struct tar stream = make((char[]){ *plan, 0 }, 100, NULL);

			tar_append(&stream, behind[i], sizeof(behind[i]));
			assert_refused("behind", &stream, "something else follows");
			tar_free(&stream);
		}
	}
}

static void packed_twice(void **state)
{
	(void)state;
	for (const char *outer = "gz"; *outer; outer++) {
		for (const char *inner = "gze"; *inner; inner++) {
			struct tar once = make((char[]){ *inner, 0 }, 1000, NULL), twice = { 0 };

			if (*outer == 'g')
				pack_gzip(&twice, once.bytes, once.size);
			else
				pack_zstd(&twice, once.bytes, once.size, 0);
			assert_refused((char[]){ *outer, *inner, 0 }, &twice, "more than once");
			tar_free(&once);
			tar_free(&twice);
		}
	}
}

static void windows(void **state)
{
	/* RFC 8878, 3.1.1.1.2: 2^(10 + exponent); the largest is 2^41. */
	static const unsigned char largest[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x00, 31 << 3, 0x01, 0x00, 0x00 };
	struct tar out = { 0 };

	(void)state;
	for (int window = 22; window <= 27; window++) {
		struct tar stream = { 0 };

		pack_zstd(&stream, content, sizeof(content), window);
		if (window > 23)
			assert_refused("window", &stream, "more memory");
		else
			assert_worked(unpack_bytes(&stream, 0, &out), &err);
		tar_free(&stream);
	}
	struct tar stream = { 0 };
	tar_append(&stream, largest, sizeof(largest));
	assert_refused("2^41", &stream, "more memory");
	tar_free(&stream);
	tar_free(&out);
}

/* What comes out is counted, and not kept. */
static int unpack_zeros(char packing, size_t size, uint64_t ratio)
{
	unsigned char *zeros = calloc(1, size);
	struct tar stream = { 0 };

	assert_non_null(zeros);
	if (packing == 'g')
		pack_gzip(&stream, zeros, size);
	else if (packing == 'z')
		pack_zstd(&stream, zeros, size, 0);
	else
		tar_append(&stream, zeros, size);
	free(zeros);
	int result = unpack_bytes(&stream, ratio, NULL);
	check_row(result < 0 || unpacked == size, "%zu of %zu", unpacked, size);
	tar_free(&stream);
	return result;
}

/* gzip cannot come to more than 1032 (RFC 1951: 258 bytes for two bits), zstd does. */
static void ratios(void **state)
{
	static const struct {
		char packing;
		size_t mib;
		uint64_t ratio;
		bool taken;
	} rows[] = {
		{ 'g', 70, 0, true },      { 'g', 70, 1100, true }, { 'g', 70, 1000, false }, { 'g', 60, 1, true },
		{ 'z', 70, 0, true },      { 'z', 60, 1, true },    { 'z', 70, 1100, false }, { 'z', 70, 40000, true },
		{ 'z', 70, 10000, false }, { 'p', 70, 1, true },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		int result = unpack_zeros(rows[i].packing, rows[i].mib << 20, rows[i].ratio);

		check_row(rows[i].taken ? result == 0 : result < 0 && err.code == ERROR_LAYER && strstr(err.message, " times"),
			  "row %zu: %d: %s", i, result, err.message);
	}
}

static void what_cannot_be_read(void **state)
{
	fd_auto from = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct tar out = { 0 };

	(void)state;
	assert_int_equal(unpack_fd(from, 0, &out), -EISDIR);
	assert_int_equal(err.code, ERROR_INTERNAL);
	unpack_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_taken),
		cmocka_unit_test(sums_that_are_wrong),
		cmocka_unit_test(a_wrong_sum_amid),
		cmocka_unit_test(cut_streams),
		cmocka_unit_test(what_follows_the_end),
		cmocka_unit_test(packed_twice),
		cmocka_unit_test(windows),
		cmocka_unit_test(ratios),
		cmocka_unit_test(what_cannot_be_read),
	};

	for (size_t i = 0; i < sizeof(content); i++)
		content[i] = (unsigned char)(i * i >> 7 ^ i ^ 't');
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What makes Debian's static libarchive, zlib and libzstd a small library of ours (initramfs/archive.map says which functions it
 * has).
 *
 * The names of an archive are bytes, and stay what they are.  libarchive would change them: it puts the names of pax headers into
 * Unicode's composed form in a UTF-8 locale, and asks iconv() elsewhere, which opens files and loads code in the middle of a
 * sandbox. Without iconv(), in the C locale, it answers ARCHIVE_WARN and the bytes as they were.
 */
#include <errno.h>
#include <iconv.h>

iconv_t iconv_open(const char *to, const char *from)
{
	(void)to;
	(void)from;
	errno = EINVAL;
	return (iconv_t)-1;
}

size_t iconv(iconv_t how, char **in, size_t *in_left, char **out, size_t *out_left)
{
	(void)how;
	(void)in;
	(void)in_left;
	(void)out;
	(void)out_left;
	errno = EINVAL;
	return (size_t)-1;
}

int iconv_close(iconv_t how)
{
	(void)how;
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/mkswap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/cleanup.h"

/* Fewer pages the kernel does not swap to; more it does not number. */
#define PAGES_LEAST 10u
#define PAGES_MOST  ((uint64_t)UINT32_MAX + 1)

/* In the byte order of the CPU. */
struct header {
	uint8_t boot[1024];
	uint32_t version, last_page, bad_pages;
	uint8_t uuid[16], label[16];
	uint8_t zeros[MKSWAP_PAGE - 1024 - 12 - 32 - 10];
	char magic[10];
};
_Static_assert(sizeof(struct header) == MKSWAP_PAGE, "a swap's header is one page");

int mkswap_fill(void *page, uint64_t size, struct error *err)
{
	struct header *header = page;
	uint64_t pages = size / MKSWAP_PAGE;

	if (size % MKSWAP_PAGE != 0 || pages < PAGES_LEAST || pages > PAGES_MOST)
		return error_set(err, ERROR_FORMAT, EINVAL, "a swap of %llu bytes", (unsigned long long)size);
	memset(header, 0, sizeof(*header));
	header->version = 1;
	header->last_page = (uint32_t)(pages - 1);
	if (getrandom(header->uuid, sizeof(header->uuid), 0) != sizeof(header->uuid))
		return error_set(err, ERROR_INTERNAL, errno, "getrandom");
	header->uuid[6] = (uint8_t)((header->uuid[6] & 0x0f) | 0x40); /* RFC 4122: version 4 */
	header->uuid[8] = (uint8_t)((header->uuid[8] & 0x3f) | 0x80);
	memcpy(header->magic, "SWAPSPACE2", sizeof(header->magic));
	return 0;
}

int mkswap_write(const char *node, uint64_t size, struct error *err)
{
	fd_auto fd = open(node, O_WRONLY | O_DIRECT | O_EXCL | O_CLOEXEC);
	auto_free void *page = aligned_alloc(MKSWAP_PAGE, MKSWAP_PAGE);

	if (fd < 0)
		return error_set(err, ERROR_FORMAT, errno, "open %s", node);
	if (!page)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "buffer");
	if (sysconf(_SC_PAGESIZE) != MKSWAP_PAGE)
		return error_set(err, ERROR_KERNEL, EINVAL, "pages of %u bytes", MKSWAP_PAGE);
	int result = mkswap_fill(page, size, err);
	if (result < 0)
		return result;
	ssize_t put = pwrite(fd, page, MKSWAP_PAGE, 0);
	if (put != (ssize_t)MKSWAP_PAGE || fsync(fd) < 0)
		return error_set(err, ERROR_FORMAT, put >= 0 && put != (ssize_t)MKSWAP_PAGE ? EIO : errno, "write to %s", node);
	return 0;
}

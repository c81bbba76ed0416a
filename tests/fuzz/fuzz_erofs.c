/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/storage/erofs.c */
/* fuzz: -max_len=70000 */
/* The superblock and the device table of an EROFS image, as a disk has them. */
#include "fuzz/fuzz.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "storage/erofs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct erofs_layout layout;
	struct error err = { 0 };
	int fd = memfd_create("image", MFD_CLOEXEC);

	must_hold(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	if (erofs_read(fd, size, &layout, &err) < 0) {
		must_hold((err.code == ERROR_MOUNT || err.code == ERROR_UNSUPPORTED_VOLUME) && err.message[0]);
	} else {
		must_hold(layout.block_size >= 512 && layout.block_size <= 4096 && layout.bytes <= size);
		must_hold(layout.device_count <= EROFS_DEVICES_MAX);
		for (uint32_t i = 0; i < layout.device_count; i++)
			must_hold(layout.devices[i].bytes > 0 && strlen(layout.devices[i].tag) <= 64);
		if (erofs_check_flat(&layout, size, &err) == 0) {
			for (uint32_t i = 0; i < layout.device_count; i++)
				must_hold(layout.devices[i].mapped + layout.devices[i].bytes <= size);
		}
	}
	close(fd);
	return 0;
}

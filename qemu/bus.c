/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/bus.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/encode.h"
#include "qemu/fail.h"

#define BUS_NVDIMM_STEP  (2ull << 20) /* what the guest's kernel can map: anything else would be cut off */
#define BUS_NVDIMM_ROUND (1ull << 30) /* QEMU gives each the addresses up to the next multiple */

struct bus {
	const char *name;
	bool can_plug;
	/* A device that the disk itself sits on, made first and removed last; NULL: none. */
	const char *controller;
	const char *driver;
};

static const struct bus buses[VM_BUSES] = {
	[VM_VIRTIO_BLK] = { "virtio-blk", true, NULL, "virtio-blk-pci" },
	[VM_VIRTIO_SCSI] = { "virtio-scsi", true, "virtio-scsi-pci", "scsi-hd" },
	[VM_NVME] = { "nvme", true, NULL, "nvme" },
	[VM_NVDIMM] = { "nvdimm", false, NULL, "nvdimm" },
};

const char *bus_name(enum vm_bus bus)
{
	return buses[bus].name;
}

int bus_find(const char *name, enum vm_bus *bus, struct error *err)
{
	for (int i = 0; i < VM_BUSES; i++) {
		if (strcmp(buses[i].name, name) == 0) {
			*bus = (enum vm_bus)i;
			return 0;
		}
	}
	return fail_set(err, EINVAL, "'%s' is no bus: virtio-blk, virtio-scsi, nvme or nvdimm", name);
}

bool bus_can_plug(enum vm_bus bus)
{
	return buses[bus].can_plug;
}

void bus_device_id(const struct vm_disk *disk, unsigned index, char *id, size_t size)
{
	bool controller = buses[disk->bus].controller && index == 0;

	id[0] = '\0';
	if (controller || index == (buses[disk->bus].controller ? 1 : 0))
		snprintf(id, size, "%s-%s", controller ? "host" : "disk", disk->serial);
}

static int encode_device(const struct vm_disk *disk, unsigned slot, unsigned index, struct buf *json, struct error *err)
{
	const struct bus *bus = &buses[disk->bus];
	bool controller = bus->controller && index == 0;
	struct encode e = { .buf = json };
	char name[64];

	encode_open(&e, NULL, '{');
	encode_string(&e, "driver", controller ? bus->controller : bus->driver);
	bus_device_id(disk, index, name, sizeof(name));
	encode_string(&e, "id", name);
	if (!controller) {
		snprintf(name, sizeof(name), "disk-%s", disk->serial);
		encode_string(&e, "drive", name);
		encode_string(&e, "serial", disk->serial);
	}
	if (!bus->controller || controller) {
		snprintf(name, sizeof(name), "slot%u", slot);
	} else {
		snprintf(name, sizeof(name), "host-%s.0", disk->serial);
		encode_uint(&e, "scsi-id", disk->scsi_id);
		encode_uint(&e, "lun", disk->scsi_lun);
		encode_uint(&e, "discard_granularity", 0);
	}
	encode_string(&e, "bus", name);
	if (disk->bus == VM_VIRTIO_BLK)
		encode_bool(&e, "discard", false);
	encode_close(&e, '}');
	return encode_result(&e) < 0 ? error_set(err, ERROR_HOST, ENOMEM, "disk %s", disk->file) : 0;
}

int bus_devices(const struct vm_disk *disk, unsigned slot, struct buf json[BUS_DEVICES_MAX], struct error *err)
{
	unsigned count = buses[disk->bus].controller ? 2 : 1;
	int result = 0;

	for (unsigned i = 0; i < count && result == 0; i++)
		result = encode_device(disk, slot, i, &json[i], err);
	return result < 0 ? result : (int)count;
}

void bus_pci_path(const struct vm_disk *disk, unsigned slot, char *path, size_t size)
{
	path[0] = '\0';
	if (disk->bus == VM_VIRTIO_BLK || disk->bus == VM_NVME)
		snprintf(path, size, "%02x/00", BUS_FIRST_PORT + slot);
}

/* ---- memory ---- */

static int nvdimm_size(const struct vm_disk *disk, uint64_t *size, struct error *err)
{
	struct stat st;

	if (stat(disk->file, &st) < 0)
		return error_set(err, ERROR_HOST, errno, "disk %s", disk->file);
	/* QEMU would make the file larger. */
	if (!S_ISREG(st.st_mode) || st.st_size == 0 || (uint64_t)st.st_size % BUS_NVDIMM_STEP != 0)
		return fail_set(err, EINVAL, "disk %s: a nvdimm is a file with a multiple of %llu bytes", disk->file,
				BUS_NVDIMM_STEP);
	*size = (uint64_t)st.st_size;
	return 0;
}

static int add_nvdimm(const struct vm_disk *disk, uint64_t size, struct argv *argv, struct error *err)
{
	struct buf json = { 0 };
	struct encode e = { .buf = &json };
	char id[64];

	snprintf(id, sizeof(id), "memory-%s", disk->serial);
	encode_open(&e, NULL, '{');
	encode_string(&e, "qom-type", "memory-backend-file");
	encode_string(&e, "id", id);
	encode_string(&e, "mem-path", disk->file);
	encode_uint(&e, "size", size);
	encode_bool(&e, "share", true);
	encode_bool(&e, "readonly", disk->readonly);
	encode_close(&e, '}');
	int result = encode_result(&e) < 0 ? error_set(err, ERROR_HOST, ENOMEM, "disk %s", disk->file) : 0;
	if (result == 0) {
		argv_add(argv, "-object");
		argv_printf(argv, "%.*s", (int)buf_length(&json), buf_bytes(&json));
		argv_add(argv, "-device");
		/* `unarmed` is what tells the guest that it must not write. */
		argv_printf(argv, "nvdimm,id=disk-%s,memdev=%s,unarmed=%s", disk->serial, id, disk->readonly ? "on" : "off");
	}
	buf_free(&json);
	return result;
}

int bus_add_machine(const struct vm *vm, const char *machine, struct argv *argv, struct error *err)
{
	uint64_t sizes[VM_SLOTS] = { 0 }, most = vm->memory;
	unsigned count = 0;
	int result = 0;

	for (unsigned slot = 0; slot < VM_SLOTS; slot++) {
		const struct vm_disk *disk = &vm->disks[slot];

		if (!disk->serial[0] || disk->bus != VM_NVDIMM)
			continue;
		result = nvdimm_size(disk, &sizes[slot], err);
		if (result < 0)
			return result;
		most += (sizes[slot] + 2 * BUS_NVDIMM_ROUND - 1) / BUS_NVDIMM_ROUND * BUS_NVDIMM_ROUND;
		count++;
	}
	argv_add(argv, "-m");
	if (count)
		argv_printf(argv, "%" PRIu64 "M,slots=%u,maxmem=%" PRIu64 "M", vm->memory >> 20, count, most >> 20);
	else
		argv_printf(argv, "%" PRIu64 "M", vm->memory >> 20);
	argv_add(argv, "-M");
	argv_printf(argv, "%s%s", machine, count ? ",nvdimm=on" : "");
	for (unsigned slot = 0; slot < VM_SLOTS && result == 0; slot++) {
		if (sizes[slot])
			result = add_nvdimm(&vm->disks[slot], sizes[slot], argv, err);
	}
	return result;
}

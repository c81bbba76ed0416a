/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/disk.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/decode.h"
#include "base/encode.h"
#include "base/text.h"
#include "qemu/bus.h"
#include "qemu/fail.h"
#include "qemu/nbd.h"
#include "qemu/qmp.h"
#include "qemu/state.h"

#define DISK_LOCK_MS   60000
#define DISK_UNPLUG_MS 20000

int disk_check_serial(const char *serial, struct error *err)
{
	if (decode_check_id(serial, err) < 0 || strlen(serial) > VM_SERIAL_MAX)
		return fail_set(err, EINVAL, "serial '%s': 1 to %d letters, digits, '_', '.' or '-', a letter or digit first",
				serial, VM_SERIAL_MAX);
	return 0;
}

/* Copies up to the first single comma; ",," stands for one comma.  Returns what follows, NULL at the text's end. */
static const char *next_word(const char *text, char *word, size_t size, struct error *err)
{
	size_t used = 0;

	for (; *text; text++) {
		if (*text == ',' && text[1] != ',')
			break;
		if (*text == ',')
			text++;
		if (used + 1 < size)
			word[used] = *text;
		used++;
	}
	word[used < size ? used : size - 1] = '\0';
	if (used >= size)
		error_set(err, ERROR_HOST, ENAMETOOLONG, "disk '%.60s...'", word);
	return *text ? text + 1 : NULL;
}

static int read_file(const char *word, struct vm_disk *disk, struct error *err)
{
	struct stat st;

	if (nbd_is_url(word)) {
		int result = nbd_check(word, err);

		return result < 0 || text_format(disk->file, sizeof(disk->file), "%s", word) == 0
			       ? result
			       : error_set(err, ERROR_HOST, ENAMETOOLONG, "disk %.60s", word);
	}
	if (!realpath(word, disk->file) || stat(disk->file, &st) < 0)
		return error_set(err, ERROR_HOST, errno, "disk %s", word);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return fail_set(err, EINVAL, "disk %s is neither a file nor a block device", word);
	return 0;
}

static int read_scsi(const char *text, struct vm_disk *disk, struct error *err)
{
	char end;

	if (text[0] < '0' || text[0] > '9' || sscanf(text, "%3u:%5u%c", &disk->scsi_id, &disk->scsi_lun, &end) != 2 ||
	    disk->scsi_id > DISK_SCSI_ID_MAX || disk->scsi_lun > DISK_SCSI_LUN_MAX)
		return fail_set(err, EINVAL, "'%s' is no ID:LUN, 0..%u and 0..%u", text, DISK_SCSI_ID_MAX, DISK_SCSI_LUN_MAX);
	disk->has_scsi = true;
	return 0;
}

static int read_word(const char *word, struct vm_disk *disk, struct error *err)
{
	int result;

	if (strcmp(word, "ro") == 0) {
		disk->readonly = true;
		return 0;
	}
	if (strncmp(word, "serial=", 7) == 0) {
		result = disk_check_serial(word + 7, err);
		if (result == 0)
			snprintf(disk->serial, sizeof(disk->serial), "%.*s", VM_SERIAL_MAX, word + 7);
		return result;
	}
	if (strncmp(word, "bus=", 4) == 0)
		return bus_find(word + 4, &disk->bus, err);
	if (strncmp(word, "scsi=", 5) == 0)
		return read_scsi(word + 5, disk, err);
	return fail_set(err, EINVAL, "'%s' is none of ro, serial=S, bus=BUS and scsi=ID:LUN", word);
}

int disk_parse(const char *text, struct vm_disk *disk, struct error *err)
{
	char word[PATH_MAX];

	memset(disk, 0, sizeof(*disk));
	memset(err, 0, sizeof(*err));
	const char *next = next_word(text, word, sizeof(word), err);
	if (err->code)
		return error_wrap(err, "the file's name");
	int result = read_file(word, disk, err);
	if (result < 0)
		return result;
	while (next) {
		next = next_word(next, word, sizeof(word), err);
		if (err->code || read_word(word, disk, err) < 0)
			return error_wrap(err, "disk %s", text);
	}
	if (disk->has_scsi && disk->bus != VM_VIRTIO_SCSI)
		return fail_set(err, EINVAL, "disk %s: scsi=ID:LUN needs bus=virtio-scsi", text);
	if (disk->bus == VM_NVDIMM && nbd_is_url(disk->file))
		return fail_set(err, EINVAL, "disk %s: a nvdimm is a file", text);
	return 0;
}

int disk_place(struct vm *vm, const struct vm_disk *disk, int slot, struct error *err)
{
	struct vm_disk *own = &vm->disks[slot];
	struct error ignored;

	if (disk_slot(vm, disk->serial, &ignored) >= 0)
		return fail_set(err, EEXIST, "the VM %s has a disk with serial %s already", vm->name, disk->serial);
	for (int other = 0; other < VM_SLOTS && disk->has_scsi; other++) {
		if (vm->disks[other].serial[0] && vm->disks[other].bus == VM_VIRTIO_SCSI &&
		    vm->disks[other].scsi_id == disk->scsi_id && vm->disks[other].scsi_lun == disk->scsi_lun)
			return fail_set(err, EEXIST, "the VM %s has a disk at scsi=%u:%u already", vm->name, disk->scsi_id,
					disk->scsi_lun);
	}
	*own = *disk;
	/* Slots are fewer than ids, and ids that are asked for are usually small: from the top. */
	if (disk->bus == VM_VIRTIO_SCSI && !disk->has_scsi)
		own->scsi_id = DISK_SCSI_ID_MAX - (unsigned)slot;
	return 0;
}

int disk_slot(const struct vm *vm, const char *serial, struct error *err)
{
	for (int slot = 0; slot < VM_SLOTS; slot++) {
		if (strcmp(vm->disks[slot].serial, serial) == 0)
			return slot;
	}
	if (*serial)
		return fail_set(err, ENOENT, "the VM %s has no disk with serial %s", vm->name, serial);
	return fail_set(err, ENOSPC, "all %d disk slots of the VM %s are taken; remove a disk first", VM_SLOTS, vm->name);
}

static int encode_file(struct encode *e, const struct vm_disk *disk, struct error *err)
{
	struct stat st;

	if (nbd_is_url(disk->file)) {
		nbd_encode(e, disk->file);
		return 0;
	}
	if (stat(disk->file, &st) < 0)
		return error_set(err, ERROR_HOST, errno, "disk %s", disk->file);
	encode_string(e, "driver", S_ISBLK(st.st_mode) ? "host_device" : "file");
	encode_string(e, "filename", disk->file);
	return 0;
}

int disk_blockdev(const struct vm_disk *disk, struct buf *json, struct error *err)
{
	struct encode e = { .buf = json };
	char node[sizeof(disk->serial) + 8];

	encode_open(&e, NULL, '{');
	encode_string(&e, "driver", "raw");
	snprintf(node, sizeof(node), "disk-%s", disk->serial);
	encode_string(&e, "node-name", node);
	encode_bool(&e, "read-only", disk->readonly);
	/* What the guest gives up stays as it is: a hole that appears would tell which blocks the guest no longer uses. */
	encode_string(&e, "discard", "ignore");
	encode_string(&e, "detect-zeroes", "off");
	encode_open(&e, "file", '{');
	int result = encode_file(&e, disk, err);
	encode_bool(&e, "read-only", disk->readonly);
	encode_string(&e, "discard", "ignore");
	encode_close(&e, '}');
	encode_close(&e, '}');
	if (result == 0 && encode_result(&e) < 0)
		result = error_set(err, ERROR_HOST, ENOMEM, "disk %s", disk->file);
	return result;
}

/* The VM under its lock, with its state as it is now. */
static int open_locked(const char *name, struct vm *vm, int *lock, struct error *err)
{
	int result = vm_find(name, vm, err);

	if (result == 0)
		result = state_lock(vm, DISK_LOCK_MS, lock, err);
	return result < 0 ? result : state_load(vm, name, err);
}

static int add_node(struct qmp *qmp, const struct vm_disk *disk, struct error *err)
{
	struct buf json = { 0 };
	int result = disk_blockdev(disk, &json, err);

	if (result == 0)
		result = qmp_command(qmp, "blockdev-add", buf_bytes(&json), buf_length(&json), err);
	buf_free(&json);
	return result;
}

static int remove_node(struct qmp *qmp, const char *serial, struct error *err)
{
	char json[64];
	int length = snprintf(json, sizeof(json), "{\"node-name\":\"disk-%s\"}", serial);

	return qmp_command(qmp, "blockdev-del", json, (size_t)length, err);
}

/* The last device first.  One that an earlier attempt has removed, or that was never there, is passed over. */
static int remove_devices(struct qmp *qmp, const struct vm_disk *disk, struct error *err)
{
	int result = 0;

	for (unsigned i = BUS_DEVICES_MAX; i-- > 0 && result == 0;) {
		char json[80], id[48];

		bus_device_id(disk, i, id, sizeof(id));
		if (!id[0])
			continue;
		int length = snprintf(json, sizeof(json), "{\"id\":\"%s\"}", id);
		result = qmp_command(qmp, "device_del", json, (size_t)length, err);
		if (result == 0)
			result = qmp_wait_deleted(qmp, id, DISK_UNPLUG_MS, err);
		else if (result == -ENODEV)
			result = 0;
	}
	return result;
}

static int add_devices(struct qmp *qmp, const struct vm_disk *disk, unsigned slot, struct error *err)
{
	struct buf json[BUS_DEVICES_MAX] = { 0 };
	struct error ignored;
	int count = bus_devices(disk, slot, json, err), result = count < 0 ? count : 0;

	for (int i = 0; i < count && result == 0; i++) {
		result = qmp_command(qmp, "device_add", buf_bytes(&json[i]), buf_length(&json[i]), err);
		if (result < 0 && i > 0 && remove_devices(qmp, disk, &ignored) < 0)
			error_wrap(err, "%s; and before", ignored.message);
	}
	for (size_t i = 0; i < BUS_DEVICES_MAX; i++)
		buf_free(&json[i]);
	return result;
}

int disk_plug(const char *vm_name, const struct vm_disk *disk, struct error *err)
{
	struct vm vm;
	fd_auto lock = -1;
	struct error ignored;

	if (!bus_can_plug(disk->bus))
		return fail_set(err, EINVAL, "a disk on %s must be there from the start: coffer vm start --disk",
				bus_name(disk->bus));
	int result = open_locked(vm_name, &vm, &lock, err);
	if (result < 0)
		return result;
	int slot = disk_slot(&vm, "", err);
	if (slot < 0)
		return slot;
	result = disk_place(&vm, disk, slot, err);
	if (result < 0)
		return result;
	struct qmp qmp;
	result = qmp_open(&vm, &qmp, err);
	if (result < 0)
		return result;
	result = add_node(&qmp, disk, err);
	if (result == 0) {
		/* Recorded first: a disk that is recorded and not there can be removed, the other way round it could not. */
		result = state_save(&vm, err);
		if (result == 0)
			result = add_devices(&qmp, &vm.disks[slot], (unsigned)slot, err);
		if (result < 0) {
			vm.disks[slot].serial[0] = '\0';
			if (remove_node(&qmp, disk->serial, &ignored) < 0 || state_save(&vm, &ignored) < 0)
				error_wrap(err, "%s; and before", ignored.message);
		}
	}
	qmp_close(&qmp);
	if (result < 0 && strstr(err->message, "lock"))
		error_wrap(err, "another disk of this or another VM uses the file");
	return result < 0 ? error_wrap(err, "plug %s", disk->file) : 0;
}

/* The disk's slot; `or_else` says what a disk does whose bus cannot unplug. */
static int find_plugged(const char *vm_name, const char *serial, const char *or_else, struct vm *vm, int *lock, int *slot,
			struct error *err)
{
	int result = open_locked(vm_name, vm, lock, err);

	if (result < 0)
		return result;
	*slot = disk_slot(vm, serial, err);
	if (*slot < 0)
		return *slot;
	if (!bus_can_plug(vm->disks[*slot].bus))
		return fail_set(err, EINVAL, "a disk on %s %s", bus_name(vm->disks[*slot].bus), or_else);
	return 0;
}

int disk_unplug(const char *vm_name, const char *serial, struct error *err)
{
	struct vm vm;
	struct qmp qmp;
	fd_auto lock = -1;
	int slot, result = find_plugged(vm_name, serial, "stays as long as the VM does", &vm, &lock, &slot, err);

	if (result < 0)
		return result;
	result = qmp_open(&vm, &qmp, err);
	if (result < 0)
		return result;
	result = remove_devices(&qmp, &vm.disks[slot], err);
	/* It may have gone in an earlier attempt that was cut off. */
	if (result == 0)
		result = remove_node(&qmp, serial, err);
	if (result == 0 || result == -ENODEV) {
		vm.disks[slot].serial[0] = '\0';
		result = state_save(&vm, err);
	}
	qmp_close(&qmp);
	return result < 0 ? error_wrap(err, "unplug the disk %s", serial) : 0;
}

int disk_resize(const char *vm_name, const char *serial, uint64_t bytes, struct error *err)
{
	struct vm vm;
	struct qmp qmp;
	fd_auto lock = -1;
	char json[128];
	int slot, result = find_plugged(vm_name, serial, "keeps its size", &vm, &lock, &slot, err);

	if (result < 0)
		return result;
	if (bytes == 0 || bytes % 512 != 0 || bytes > INT64_MAX)
		return fail_set(err, EINVAL, "the size of a disk is a multiple of 512 bytes");
	result = qmp_open(&vm, &qmp, err);
	if (result < 0)
		return result;
	int length = snprintf(json, sizeof(json), "{\"node-name\":\"disk-%s\",\"size\":%" PRIu64 "}", serial, bytes);
	result = qmp_command(&qmp, "block_resize", json, (size_t)length, err);
	qmp_close(&qmp);
	return result < 0 ? error_wrap(err, "resize the disk %s", serial) : 0;
}

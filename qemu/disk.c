/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/disk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/decode.h"
#include "base/encode.h"
#include "base/text.h"
#include "qemu/fail.h"
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

int disk_parse(const char *text, struct vm_disk *disk, struct error *err)
{
	char word[PATH_MAX];
	struct stat st;

	memset(disk, 0, sizeof(*disk));
	memset(err, 0, sizeof(*err));
	const char *next = next_word(text, word, sizeof(word), err);
	if (err->code)
		return error_wrap(err, "the file's name");
	if (!realpath(word, disk->file) || stat(disk->file, &st) < 0)
		return error_set(err, ERROR_HOST, errno, "disk %s", word);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return fail_set(err, EINVAL, "disk %s is neither a file nor a block device", word);
	while (next) {
		next = next_word(next, word, sizeof(word), err);
		if (strcmp(word, "ro") == 0) {
			disk->readonly = true;
		} else if (strncmp(word, "serial=", 7) == 0) {
			if (disk_check_serial(word + 7, err) < 0)
				return error_wrap(err, "disk %s", text);
			snprintf(disk->serial, sizeof(disk->serial), "%.*s", VM_SERIAL_MAX, word + 7);
		} else {
			return fail_set(err, EINVAL, "disk %s: '%s' is neither `ro` nor `serial=S`", text, word);
		}
	}
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

int disk_blockdev(const struct vm_disk *disk, struct buf *json, struct error *err)
{
	struct encode e = { .buf = json };
	struct stat st;

	if (stat(disk->file, &st) < 0)
		return error_set(err, ERROR_HOST, errno, "disk %s", disk->file);
	encode_open(&e, NULL, '{');
	encode_string(&e, "driver", "raw");
	char node[sizeof(disk->serial) + 8];
	snprintf(node, sizeof(node), "disk-%s", disk->serial);
	encode_string(&e, "node-name", node);
	encode_bool(&e, "read-only", disk->readonly);
	/* What the guest gives up stays as it is: a hole that appears would tell which blocks the guest no longer uses. */
	encode_string(&e, "discard", "ignore");
	encode_string(&e, "detect-zeroes", "off");
	encode_open(&e, "file", '{');
	encode_string(&e, "driver", S_ISBLK(st.st_mode) ? "host_device" : "file");
	encode_string(&e, "filename", disk->file);
	encode_bool(&e, "read-only", disk->readonly);
	encode_string(&e, "discard", "ignore");
	encode_close(&e, '}');
	encode_close(&e, '}');
	return encode_result(&e) < 0 ? error_set(err, ERROR_HOST, ENOMEM, "disk %s", disk->file) : 0;
}

int disk_device(const struct vm_disk *disk, size_t slot, struct buf *json, struct error *err)
{
	struct encode e = { .buf = json };
	char name[64];

	encode_open(&e, NULL, '{');
	encode_string(&e, "driver", "virtio-blk-pci");
	snprintf(name, sizeof(name), "disk-%s", disk->serial);
	encode_string(&e, "id", name);
	encode_string(&e, "drive", name);
	snprintf(name, sizeof(name), "slot%zu", slot);
	encode_string(&e, "bus", name);
	encode_string(&e, "serial", disk->serial);
	encode_bool(&e, "discard", false);
	encode_close(&e, '}');
	return encode_result(&e) < 0 ? error_set(err, ERROR_HOST, ENOMEM, "disk %s", disk->file) : 0;
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

static int add_device(struct qmp *qmp, const struct vm_disk *disk, size_t slot, struct error *err)
{
	struct buf json = { 0 };
	int result = disk_device(disk, slot, &json, err);

	if (result == 0)
		result = qmp_command(qmp, "device_add", buf_bytes(&json), buf_length(&json), err);
	buf_free(&json);
	return result;
}

static int remove_device(struct qmp *qmp, const char *serial, struct error *err)
{
	char json[64], device[32];

	snprintf(device, sizeof(device), "disk-%s", serial);
	int length = snprintf(json, sizeof(json), "{\"id\":\"%s\"}", device);
	int result = qmp_command(qmp, "device_del", json, (size_t)length, err);
	return result < 0 ? result : qmp_wait_deleted(qmp, device, DISK_UNPLUG_MS, err);
}

int disk_plug(const char *vm_name, const struct vm_disk *disk, struct error *err)
{
	struct vm vm;
	fd_auto lock = -1;
	struct error ignored;
	int result = open_locked(vm_name, &vm, &lock, err);

	if (result < 0)
		return result;
	if (disk_slot(&vm, disk->serial, &ignored) >= 0)
		return fail_set(err, EEXIST, "the VM %s has a disk with serial %s already", vm_name, disk->serial);
	int slot = disk_slot(&vm, "", err);
	if (slot < 0)
		return slot;
	struct qmp qmp;
	result = qmp_open(&vm, &qmp, err);
	if (result < 0)
		return result;
	result = add_node(&qmp, disk, err);
	if (result == 0) {
		/* Recorded first: a disk that is recorded and not there can be removed, the other way round it could not. */
		vm.disks[slot] = *disk;
		result = state_save(&vm, err);
		if (result == 0)
			result = add_device(&qmp, disk, (size_t)slot, err);
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

int disk_unplug(const char *vm_name, const char *serial, struct error *err)
{
	struct vm vm;
	struct qmp qmp;
	fd_auto lock = -1;
	int result = open_locked(vm_name, &vm, &lock, err);

	if (result < 0)
		return result;
	int slot = disk_slot(&vm, serial, err);
	if (slot < 0)
		return slot;
	result = qmp_open(&vm, &qmp, err);
	if (result < 0)
		return result;
	result = remove_device(&qmp, serial, err);
	/* It may have gone in an earlier attempt that was cut off. */
	if (result == 0 || result == -ENODEV)
		result = remove_node(&qmp, serial, err);
	if (result == 0 || result == -ENODEV) {
		vm.disks[slot].serial[0] = '\0';
		result = state_save(&vm, err);
	}
	qmp_close(&qmp);
	return result < 0 ? error_wrap(err, "unplug the disk %s", serial) : 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/decode.h"
#include "base/encode.h"
#include "base/text.h"
#include "qemu/bus.h"
#include "qemu/disk.h"
#include "qemu/fail.h"

int state_runtime(char *path, size_t size, struct error *err)
{
	const char *own = getenv("COFFER_RUNTIME_DIR"), *xdg = getenv("XDG_RUNTIME_DIR");
	struct stat st;
	int result;

	if (own && *own)
		result = text_format(path, size, "%s", own);
	else if (xdg && *xdg)
		result = text_format(path, size, "%s/coffer", xdg);
	else if (geteuid() == 0)
		result = text_format(path, size, "/run/coffer");
	else
		result = text_format(path, size, "/tmp/coffer-%u", (unsigned)geteuid());
	if (result < 0)
		return error_set(err, ERROR_HOST, ENAMETOOLONG, "the runtime folder");
	if (path[0] != '/')
		return fail_set(err, EINVAL, "the runtime folder %s must be an absolute path", path);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return error_set(err, ERROR_HOST, errno, "make the runtime folder %s (COFFER_RUNTIME_DIR names another)", path);
	/* In /tmp somebody else may have been first, with a folder or a link of theirs. */
	if (lstat(path, &st) < 0)
		return error_set(err, ERROR_HOST, errno, "%s", path);
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid())
		return fail_set(err, EINVAL, "%s is not a folder of ours; set COFFER_RUNTIME_DIR to one", path);
	if ((st.st_mode & 0777) != 0700 && chmod(path, 0700) < 0)
		return error_set(err, ERROR_HOST, errno, "chmod 0700 %s", path);
	return 0;
}

static int lock_file(const char *path, int flags, int milliseconds, int *lock, struct error *err)
{
	fd_auto fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
	int64_t end = process_now() + milliseconds;

	if (fd < 0)
		return error_set(err, ERROR_HOST, errno, "%s", path);
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return error_set(err, ERROR_HOST, errno, "lock %s", path);
		if (process_now() >= end)
			return fail_set(err, EBUSY, "another coffer command works on it (%s is locked)", path);
		nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
	}
	*lock = take_fd(&fd);
	return 0;
}

int state_lock_runtime(int *fd, struct error *err)
{
	char path[PATH_MAX], file[PATH_MAX];
	int result = state_runtime(path, sizeof(path), err);

	if (result < 0)
		return result;
	if (text_format(file, sizeof(file), "%s/.lock", path) < 0)
		return error_set(err, ERROR_HOST, ENAMETOOLONG, "%s", path);
	return lock_file(file, O_CREAT, 10000, fd, err);
}

static int lock_vm(const struct vm *vm, int flags, int milliseconds, int *fd, struct error *err)
{
	char path[PATH_MAX];
	struct stat locked, named;
	fd_auto lock = -1;
	int result = vm_path(vm, VM_LOCK, path, sizeof(path), err);

	if (result < 0)
		return result;
	result = lock_file(path, flags, milliseconds, &lock, err);
	if (result < 0)
		return result;
	/* Whoever held it before may have removed the folder: then this is a lock on nothing. */
	if (fstat(lock, &locked) < 0 || lstat(path, &named) < 0 || locked.st_ino != named.st_ino)
		return fail_set(err, ENOENT, "the VM %s has gone", vm->name);
	*fd = take_fd(&lock);
	return 0;
}

int state_lock(const struct vm *vm, int milliseconds, int *fd, struct error *err)
{
	return lock_vm(vm, 0, milliseconds, fd, err);
}

int state_name(struct vm *vm, const char *name, struct error *err)
{
	char runtime[PATH_MAX];
	int result = state_is_probe(name) ? 0 : decode_check_id(name, err);

	memset(vm, 0, sizeof(*vm));
	if (result < 0) {
		err->code = ERROR_HOST;
		return error_wrap(err, "'%s' cannot be a VM's name", name);
	}
	result = state_runtime(runtime, sizeof(runtime), err);
	if (result < 0)
		return result;
	snprintf(vm->name, sizeof(vm->name), "%s", name);
	if (text_format(vm->folder, sizeof(vm->folder), "%s/%s", runtime, name) < 0)
		return error_set(err, ERROR_HOST, ENAMETOOLONG, "%s", runtime);
	return 0;
}

int state_claim(struct vm *vm, int *lock, struct error *err)
{
	if (mkdir(vm->folder, 0700) < 0)
		return error_set(err, ERROR_HOST, errno, "%s", vm->folder);
	int result = lock_vm(vm, O_CREAT, 1000, lock, err);
	if (result < 0)
		(void)rmdir(vm->folder);
	return result;
}

/* The JSON's shape, before it becomes a struct vm. */
struct disk_record {
	uint64_t slot;
	const char *serial, *file, *bus;
	bool readonly;
	uint64_t scsi_id, scsi_lun;
};

struct record {
	const char *name, *accel, *kernel, *initrd, *append;
	uint64_t pid, pid_began, bridge_pid, bridge_began, cid, memory, cpus;
	int64_t started;
	struct decode_list disks;
};

static int check_bus(const char *name, struct error *err)
{
	enum vm_bus bus;

	return bus_find(name, &bus, err);
}

static const struct decode_field disk_fields[] = {
	{ .name = "slot", .kind = DECODE_UINT, .offset = offsetof(struct disk_record, slot), .max = VM_SLOTS - 1 },
	{ .name = "serial",
	  .kind = DECODE_STRING,
	  .flags = DECODE_REQUIRED | DECODE_NONZERO,
	  .offset = offsetof(struct disk_record, serial),
	  .max = VM_SERIAL_MAX },
	{ .name = "file", .kind = DECODE_STRING, .flags = DECODE_REQUIRED, .offset = offsetof(struct disk_record, file) },
	{ .name = "readonly", .kind = DECODE_BOOL, .offset = offsetof(struct disk_record, readonly) },
	{ .name = "bus",
	  .kind = DECODE_STRING,
	  .flags = DECODE_REQUIRED,
	  .offset = offsetof(struct disk_record, bus),
	  .check = check_bus },
	{ .name = "scsi_id", .kind = DECODE_UINT, .offset = offsetof(struct disk_record, scsi_id), .max = DISK_SCSI_ID_MAX },
	{ .name = "scsi_lun", .kind = DECODE_UINT, .offset = offsetof(struct disk_record, scsi_lun), .max = DISK_SCSI_LUN_MAX },
};

static const struct decode_schema disk_schema = { .fields = disk_fields,
						  .count = array_count(disk_fields),
						  .size = sizeof(struct disk_record) };

#define STATE_STRING(member, most)                                                                                                 \
	{                                                                                                                          \
		.name = #member, .kind = DECODE_STRING, .offset = offsetof(struct record, member), .flags = DECODE_REQUIRED,       \
		.max = most                                                                                                        \
	}
#define STATE_NUMBER(member, most)                                                                                                 \
	{                                                                                                                          \
		.name = #member, .kind = DECODE_UINT, .offset = offsetof(struct record, member), .flags = DECODE_REQUIRED,         \
		.max = most                                                                                                        \
	}

static const struct decode_field fields[] = {
	STATE_STRING(name, COFFER_ID_MAX),
	STATE_STRING(accel, 7),
	STATE_STRING(kernel, PATH_MAX - 1),
	STATE_STRING(initrd, PATH_MAX - 1),
	STATE_STRING(append, 1023),
	STATE_NUMBER(pid, INT32_MAX),
	STATE_NUMBER(pid_began, UINT64_MAX),
	STATE_NUMBER(bridge_pid, INT32_MAX),
	STATE_NUMBER(bridge_began, UINT64_MAX),
	STATE_NUMBER(cid, UINT32_MAX),
	STATE_NUMBER(memory, UINT64_MAX),
	STATE_NUMBER(cpus, UINT32_MAX),
	{ .name = "started", .kind = DECODE_INT, .offset = offsetof(struct record, started), .max = INT64_MAX },
	{ .name = "disks", .kind = DECODE_LIST, .offset = offsetof(struct record, disks), .max = VM_SLOTS, .schema = &disk_schema },
};

static const struct decode_schema schema = { .fields = fields, .count = array_count(fields), .size = sizeof(struct record) };

static void adopt(struct vm *vm, const struct record *record)
{
	const struct disk_record *disks = record->disks.items;
	struct error ignored;

	snprintf(vm->accel, sizeof(vm->accel), "%s", record->accel);
	snprintf(vm->kernel, sizeof(vm->kernel), "%s", record->kernel);
	snprintf(vm->initrd, sizeof(vm->initrd), "%s", record->initrd);
	snprintf(vm->append, sizeof(vm->append), "%s", record->append);
	vm->qemu = (struct process){ .pid = (pid_t)record->pid, .began = record->pid_began };
	vm->bridge = (struct process){ .pid = (pid_t)record->bridge_pid, .began = record->bridge_began };
	vm->cid = (uint32_t)record->cid;
	vm->memory = record->memory;
	vm->cpus = record->cpus;
	vm->started = record->started;
	for (size_t i = 0; i < record->disks.count; i++) {
		struct vm_disk *disk = &vm->disks[disks[i].slot];

		snprintf(disk->serial, sizeof(disk->serial), "%s", disks[i].serial);
		snprintf(disk->file, sizeof(disk->file), "%s", disks[i].file);
		disk->readonly = disks[i].readonly;
		disk->scsi_id = (unsigned)disks[i].scsi_id;
		disk->scsi_lun = (unsigned)disks[i].scsi_lun;
		if (bus_find(disks[i].bus, &disk->bus, &ignored) < 0)
			disk->bus = VM_VIRTIO_BLK; /* checked by its field */
	}
}

int state_load(struct vm *vm, const char *name, struct error *err)
{
	char path[PATH_MAX];
	auto_free char *text = malloc(COFFER_LINE_MAX);
	struct decode_memory memory = { 0 };
	json_object *json;
	struct record record;
	int result = state_name(vm, name, err);

	if (result == 0)
		result = vm_path(vm, VM_STATE, path, sizeof(path), err);
	if (result < 0)
		return result;
	long length = text ? text_read_file(path, text, COFFER_LINE_MAX) : -ENOMEM;
	if (length < 0)
		return error_set(err, ERROR_HOST, (int)-length, "%s", path);
	result = decode_parse(text, (size_t)length, &json, err);
	if (result == 0) {
		result = decode_object(json, &schema, &record, &memory, err);
		if (result == 0)
			adopt(vm, &record);
		decode_free(&memory);
		json_object_put(json);
	}
	return result < 0 ? error_wrap(err, "%s", path) : 0;
}

static void encode_vm(struct encode *e, const struct vm *vm)
{
	encode_open(e, NULL, '{');
	encode_string(e, "name", vm->name);
	encode_string(e, "accel", vm->accel);
	encode_string(e, "kernel", vm->kernel);
	encode_string(e, "initrd", vm->initrd);
	encode_string(e, "append", vm->append);
	encode_uint(e, "pid", (uint64_t)vm->qemu.pid);
	encode_uint(e, "pid_began", vm->qemu.began);
	encode_uint(e, "bridge_pid", (uint64_t)vm->bridge.pid);
	encode_uint(e, "bridge_began", vm->bridge.began);
	encode_uint(e, "cid", vm->cid);
	encode_uint(e, "memory", vm->memory);
	encode_uint(e, "cpus", vm->cpus);
	encode_int(e, "started", vm->started);
	encode_open(e, "disks", '[');
	for (size_t slot = 0; slot < VM_SLOTS; slot++) {
		if (!vm->disks[slot].serial[0])
			continue;
		encode_open(e, NULL, '{');
		encode_uint(e, "slot", slot);
		encode_string(e, "serial", vm->disks[slot].serial);
		encode_string(e, "file", vm->disks[slot].file);
		encode_bool(e, "readonly", vm->disks[slot].readonly);
		encode_string(e, "bus", bus_name(vm->disks[slot].bus));
		encode_uint(e, "scsi_id", vm->disks[slot].scsi_id);
		encode_uint(e, "scsi_lun", vm->disks[slot].scsi_lun);
		encode_close(e, '}');
	}
	encode_close(e, ']');
	encode_close(e, '}');
}

int state_save(const struct vm *vm, struct error *err)
{
	char path[PATH_MAX], fresh[PATH_MAX];
	struct buf buf = { 0 };
	struct encode e = { .buf = &buf };
	int result = vm_path(vm, VM_STATE, path, sizeof(path), err);

	if (result == 0)
		result = vm_path(vm, VM_STATE ".new", fresh, sizeof(fresh), err);
	if (result < 0)
		return result;
	encode_vm(&e, vm);
	fd_auto fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (encode_result(&e) < 0)
		result = error_set(err, ERROR_HOST, ENOMEM, "the VM's state");
	else if (fd < 0 || write(fd, buf_bytes(&buf), buf_length(&buf)) != (ssize_t)buf_length(&buf) || rename(fresh, path) < 0)
		result = error_set(err, ERROR_HOST, errno, "write %s", path);
	buf_free(&buf);
	return result;
}

int state_remove(const struct vm *vm, struct error *err)
{
	auto_dir folder = opendir(vm->folder);

	if (!folder)
		return errno == ENOENT ? 0 : error_set(err, ERROR_HOST, errno, "%s", vm->folder);
	for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (unlinkat(dirfd(folder), entry->d_name, 0) < 0 && errno != ENOENT)
			return error_set(err, ERROR_HOST, errno, "remove %s/%s", vm->folder, entry->d_name);
	}
	if (rmdir(vm->folder) < 0 && errno != ENOENT)
		return error_set(err, ERROR_HOST, errno, "remove %s", vm->folder);
	return 0;
}

int state_look(struct vm *vm, const char *name, enum state_health *health, struct error *err)
{
	struct error ignored;
	fd_auto lock = -1;
	int result = state_name(vm, name, err);

	if (result < 0)
		return result;
	*health = STATE_NONE;
	if (access(vm->folder, F_OK) < 0)
		return 0;
	bool known = state_load(vm, name, &ignored) == 0;
	if (known && vm_alive(vm)) {
		*health = STATE_RUNNING;
		return 0;
	}
	result = state_lock(vm, 0, &lock, &ignored);
	/* No lock in the folder: its maker was killed before it got to it. */
	*health = result == 0 || result == -ENOENT ? STATE_DEAD : STATE_BUSY;
	return 0;
}

int state_clean(const char *name, struct error *err)
{
	fd_auto runtime = -1;
	enum state_health health = STATE_NONE;
	struct vm vm;
	int result = state_lock_runtime(&runtime, err);

	if (result == 0)
		result = state_look(&vm, name, &health, err);
	if (result < 0 || health != STATE_DEAD)
		return result;
	return vm_destroy(&vm, err);
}

static int compare_names(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_vm_folder(const struct dirent *entry)
{
	return entry->d_name[0] != '.' || state_is_probe(entry->d_name);
}

int state_each(int (*visit)(const char *name, void *context, struct error *err), void *context, struct error *err)
{
	char runtime[PATH_MAX];
	struct dirent **entries;
	int result = state_runtime(runtime, sizeof(runtime), err);

	if (result < 0)
		return result;
	int count = scandir(runtime, &entries, is_vm_folder, compare_names);
	if (count < 0)
		return error_set(err, ERROR_HOST, errno, "%s", runtime);
	for (int i = 0; i < count; i++) {
		struct vm vm;

		/* Whatever else lies there is not ours to judge. */
		if (result == 0 && state_name(&vm, entries[i]->d_name, &(struct error){ 0 }) == 0)
			result = visit(entries[i]->d_name, context, err);
		free(entries[i]);
	}
	free(entries);
	return result;
}

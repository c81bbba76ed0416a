/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/list.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/encode.h"
#include "qemu/bus.h"
#include "qemu/commands.h"
#include "qemu/state.h"

struct listing {
	struct encode json;
	struct output_table table;
	size_t count;
};

static void encode_path(struct encode *e, const struct vm *vm, const char *key, const char *file)
{
	char path[PATH_MAX];
	struct error ignored;

	if (vm_path(vm, file, path, sizeof(path), &ignored) == 0)
		encode_string(e, key, path);
}

/* By what the agent can find it, beside its serial. */
static void encode_place(struct encode *e, const struct vm_disk *disk, unsigned slot)
{
	char place[32];

	bus_pci_path(disk, slot, place, sizeof(place));
	if (place[0])
		encode_string(e, "pci", place);
	if (disk->bus == VM_VIRTIO_SCSI) {
		snprintf(place, sizeof(place), "%u:%u", disk->scsi_id, disk->scsi_lun);
		encode_string(e, "scsi", place);
	}
}

static void encode_vm(struct encode *e, const struct vm *vm, const char *state)
{
	encode_open(e, NULL, '{');
	encode_string(e, "name", vm->name);
	encode_string(e, "state", state);
	encode_int(e, "pid", vm->qemu.pid);
	encode_string(e, "accel", vm->accel);
	encode_open(e, "vsock", '{');
	if (vm->bridge.pid)
		encode_path(e, vm, "uds", VM_VSOCK);
	else
		encode_uint(e, "cid", vm->cid);
	encode_close(e, '}');
	encode_uint(e, "memory", vm->memory);
	encode_uint(e, "cpus", vm->cpus);
	encode_int(e, "started", vm->started);
	encode_string(e, "kernel", vm->kernel);
	encode_string(e, "initrd", vm->initrd);
	encode_string(e, "append", vm->append);
	encode_path(e, vm, "console", VM_CONSOLE);
	encode_path(e, vm, "qmp", VM_QMP_SOCKET);
	if (vm->bridge.pid)
		encode_int(e, "bridge_pid", vm->bridge.pid);
	encode_open(e, "disks", '[');
	for (unsigned slot = 0; slot < VM_SLOTS; slot++) {
		const struct vm_disk *disk = &vm->disks[slot];

		if (!disk->serial[0])
			continue;
		encode_open(e, NULL, '{');
		encode_string(e, "serial", disk->serial);
		encode_string(e, "file", disk->file);
		encode_bool(e, "readonly", disk->readonly);
		encode_string(e, "bus", bus_name(disk->bus));
		encode_place(e, disk, slot);
		encode_close(e, '}');
	}
	encode_close(e, ']');
	encode_close(e, '}');
}

int list_print_json(const struct vm *vm, struct error *err)
{
	struct buf buf = { 0 };
	struct encode e = { .buf = &buf };

	encode_vm(&e, vm, "running");
	if (encode_result(&e) < 0) {
		buf_free(&buf);
		return error_set(err, ERROR_HOST, ENOMEM, "the list");
	}
	output_buf(&buf);
	buf_free(&buf);
	return 0;
}

static void add_row(struct output_table *table, const struct vm *vm, const char *state)
{
	char memory[32];
	int64_t up = vm->started ? time(NULL) - vm->started : 0;

	output_size(vm->memory, memory, sizeof(memory));
	output_cell(table, "%s", vm->name);
	output_cell(table, "%s", state);
	output_cell(table, "%d", (int)vm->qemu.pid);
	output_cell(table, "%s", vm->accel);
	output_cell(table, "%" PRIu64, vm->cpus);
	output_cell(table, "%s", memory);
	output_cell(table, "%lld:%02lld:%02lld", (long long)up / 3600, (long long)up / 60 % 60, (long long)up % 60);
	if (vm->bridge.pid)
		output_cell(table, "%s/%s", vm->folder, VM_VSOCK);
	else
		output_cell(table, "cid %u", vm->cid);
}

static int visit(const char *name, void *context, struct error *err)
{
	struct listing *listing = context;
	enum state_health health;
	struct vm vm;
	int result = state_look(&vm, name, &health, err);

	if (result < 0 || health == STATE_NONE)
		return result;
	if (health == STATE_DEAD)
		return state_clean(name, err);
	if (state_is_probe(name))
		return 0;
	const char *state = health == STATE_RUNNING ? "running" : "busy";
	encode_vm(&listing->json, &vm, state);
	add_row(&listing->table, &vm, state);
	listing->count++;
	return 0;
}

int list_run(const struct options *options, struct error *err)
{
	static const char *const titles[] = { "NAME", "STATE", "PID", "ACCEL", "CPUS", "MEMORY", "UP", "VSOCK" };
	struct buf buf = { 0 };
	struct listing listing = { .json = { .buf = &buf }, .table = { .columns = 8 } };

	for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++)
		output_cell(&listing.table, "%s", titles[i]);
	encode_open(&listing.json, NULL, '[');
	int result = state_each(visit, &listing, err);
	encode_close(&listing.json, ']');
	if (result == 0 && encode_result(&listing.json) < 0)
		result = error_set(err, ERROR_HOST, ENOMEM, "the list");
	if (result == 0 && options->json)
		output_buf(&buf);
	else if (result == 0 && listing.count == 0)
		fprintf(stderr, "coffer: no VM runs; `coffer vm start NAME` starts one\n");
	else if (result == 0)
		output_print(&listing.table);
	buf_free(&listing.table.cells);
	buf_free(&buf);
	return result;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/encrypted.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "storage/format.h"
#include "storage/integrity.h"
#include "sys/modules.h"

#define SECRET __attribute__((cleanup(secret_wipe))) struct secret

static int write_node(char *node, size_t size, const char *name, struct error *err)
{
	if (text_format(node, size, "/dev/mapper/%s", name) < 0)
		return error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "mapping name");
	return 0;
}

static int describe(const struct luks_header *header, const uint8_t *area, struct encrypted_volume *volume, struct error *err)
{
	memcpy(volume->identity, header->digest, sizeof(volume->identity));
	return luks_header_sum(header, area, volume->header_sum, err);
}

static int check_identity(const struct luks_header *header, const uint8_t *identity, struct error *err)
{
	if (identity && memcmp(header->digest, identity, sizeof(header->digest)) != 0)
		return error_set(err, ERROR_HEADER, EBADMSG, "digests.0: is not that of the volume that is meant");
	return 0;
}

/* ---- creating ---- */

static int give_up_old(const struct encrypted_place *place, bool force, struct error *err)
{
	const struct blockdev *disk = place->disk;
	auto_free uint8_t *copies = malloc(LUKS_HEADER_SIZE);

	if (!copies)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "header");
	if (integrity_capacity(&integrity_lasting, disk->size) == 0)
		return error_set(err, ERROR_DEVICE, ENOSPC, "%s has %llu bytes, at least %llu are needed", disk->path,
				 (unsigned long long)disk->size, (unsigned long long)integrity_lasting.smallest);
	if (pread(disk->fd, copies, LUKS_HEADER_SIZE, 0) != (ssize_t)LUKS_HEADER_SIZE)
		return error_set(err, ERROR_DEVICE, EIO, "read the beginning of %s", disk->path);
	if (!force && luks_header_present(copies))
		return error_set(err, ERROR_DEVICE, EEXIST, "%s has a LUKS header; `force` gives up what is on the disk",
				 disk->path);
	return luks_erase(disk->fd, err);
}

/* The disk is not open any more, and the mapping has it: this descriptor is beside that. */
static int store_header(const struct blockdev *disk, const struct luks_header *header, const uint8_t *area, struct error *err)
{
	fd_auto fd = open(disk->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0)
		return error_set(err, ERROR_DEVICE, errno, "open %s", disk->path);
	if (!S_ISBLK(status.st_mode) || status.st_rdev != disk->number)
		return error_set(err, ERROR_DEVICE, ENODEV, "%s is another device now", disk->path);
	return luks_store(fd, header, area, err);
}

static int make_mapping(const struct encrypted_place *place, const struct luks_key *key, struct luks_header *header, uint8_t *area,
			uint64_t *size, struct error *err)
{
	SECRET volume_key = { 0 };
	dev_t number;
	int result = secret_random(&volume_key, LUKS_HEADER_KEY, err);

	if (result == 0)
		result = luks_begin(&volume_key, header, err);
	if (result == 0)
		result = luks_set_key(header, &volume_key, key, area, err);
	if (result < 0)
		return error_step(err, "make the key slot");
	steps_done(place->steps, "make the key slot");
	blockdev_close(place->disk);
	result = integrity_make(place->name, &integrity_lasting, place->disk, &volume_key, place->undo, size, &number, err);
	if (result < 0)
		return error_step(err, "encrypt the disk");
	steps_done(place->steps, "map");
	return 0;
}

int encrypted_create(const struct encrypted_place *place, const struct luks_key *key, bool force, struct encrypted_volume *volume,
		     struct error *err)
{
	auto_free uint8_t *area = malloc(LUKS_HEADER_AREA_SIZE);
	struct luks_header header;
	char node[160];
	int result = modules_load(integrity_modules, err);

	if (result == 0)
		result = write_node(node, sizeof(node), place->name, err);
	if (result < 0)
		return result;
	if (!area)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "key slot");
	steps_done(place->steps, "load modules");
	result = give_up_old(place, force, err);
	if (result < 0)
		return error_step(err, "look at the disk");
	result = make_mapping(place, key, &header, area, &volume->size, err);
	if (result < 0)
		return result;
	result = format_ext4(node, volume->size, place->use, place->steps, err);
	if (result < 0)
		return error_step(err, "format the volume");
	result = store_header(place->disk, &header, area, err);
	if (result == 0)
		result = describe(&header, area, volume, err);
	if (result < 0)
		return error_step(err, "write the header");
	steps_done(place->steps, "write the header");
	result = format_mount(node, place->target, true, false, place->undo, err);
	if (result < 0)
		return error_step(err, "mount the volume");
	steps_done(place->steps, "mount");
	return 0;
}

/* ---- opening ---- */

static int unlock(int disk, const struct luks_key *key, const char *header_sum, const uint8_t *identity, struct luks_header *header,
		  uint8_t *front, struct secret *volume_key, struct encrypted_volume *volume, struct error *err)
{
	int result = luks_load(disk, front, header, err);

	if (result == 0)
		result = describe(header, front + luks_header_area(header), volume, err);
	if (result == 0)
		result = check_identity(header, identity, err);
	if (result < 0)
		return error_step(err, "read the header");
	if (header_sum && strcmp(volume->header_sum, header_sum) != 0) {
		error_set(err, ERROR_HEADER, EBADMSG, "header_sha256: the header on the disk is another one, %s",
			  volume->header_sum);
		return error_step(err, "read the header");
	}
	result = luks_unlock(front, header, key, volume_key, err);
	return result < 0 ? error_step(err, "open the key slot") : 0;
}

int encrypted_open(const struct encrypted_place *place, const struct luks_key *key, const char *header_sum, const uint8_t *identity,
		   bool read_only, struct encrypted_volume *volume, struct error *err)
{
	auto_free uint8_t *front = malloc(LUKS_HEADER_DATA);
	SECRET volume_key = { 0 };
	struct luks_header header;
	char node[160];
	dev_t number;
	int result = modules_load(integrity_modules, err);

	if (result == 0)
		result = write_node(node, sizeof(node), place->name, err);
	if (result < 0)
		return result;
	if (!front)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "header");
	steps_done(place->steps, "load modules");
	result = unlock(place->disk->fd, key, header_sum, identity, &header, front, &volume_key, volume, err);
	if (result < 0)
		return result;
	steps_done(place->steps, "open the key slot");
	blockdev_close(place->disk);
	result =
		integrity_open(place->name, &integrity_lasting, place->disk, &volume_key, place->undo, &volume->size, &number, err);
	if (result < 0)
		return error_step(err, "map the disk");
	steps_done(place->steps, "map");
	result = format_mount(node, place->target, true, read_only, place->undo, err);
	if (result == 0)
		result = format_size(node, &volume->size, err);
	if (result < 0)
		return error_step(err, "mount the volume");
	steps_done(place->steps, "mount");
	return 0;
}

/* ---- changes ---- */

int encrypted_change_key(int disk, const struct luks_key *key, const struct luks_key *new_key, const uint8_t *identity,
			 struct encrypted_volume *volume, struct error *err)
{
	auto_free uint8_t *front = malloc(LUKS_HEADER_DATA);
	auto_free uint8_t *area = malloc(LUKS_HEADER_AREA_SIZE);
	SECRET volume_key = { 0 };
	struct luks_header header;

	if (!front || !area)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "header");
	int result = unlock(disk, key, NULL, identity, &header, front, &volume_key, volume, err);
	if (result < 0)
		return result;
	struct luks_header changed = header;
	changed.area = !header.area;
	result = luks_set_key(&changed, &volume_key, new_key, area, err);
	if (result < 0)
		return error_step(err, "make the key slot");
	result = luks_mend(disk, &header, err);
	if (result == 0)
		result = luks_store(disk, &changed, area, err);
	if (result == 0)
		result = describe(&changed, area, volume, err);
	return result < 0 ? error_step(err, "write the header") : 0;
}

int encrypted_grow(const char *name, const char *target, const struct blockdev *disk, const struct luks_key *key,
		   const uint8_t *identity, struct steps *steps, uint64_t *size, struct error *err)
{
	auto_free uint8_t *front = malloc(LUKS_HEADER_DATA);
	SECRET volume_key = { 0 };
	struct encrypted_volume volume;
	struct luks_header header;
	char node[160];

	if (!front)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "header");
	int result = write_node(node, sizeof(node), name, err);
	if (result == 0)
		result = unlock(disk->fd, key, NULL, identity, &header, front, &volume_key, &volume, err);
	if (result < 0)
		return result;
	steps_done(steps, "open the key slot");
	result = integrity_grow(name, &integrity_lasting, disk, &volume_key, size, err);
	if (result < 0)
		return error_step(err, "grow the mappings");
	steps_done(steps, "grow the mappings");
	result = format_grow(node, target, *size, err);
	if (result < 0)
		return error_step(err, "grow the file system");
	steps_done(steps, "grow the file system");
	return 0;
}

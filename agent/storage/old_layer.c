/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/old_layer.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/text.h"
#include "storage/integrity.h"
#include "storage/luks1.h"
#include "sys/devmapper.h"
#include "sys/modules.h"
#include "sys/mounts.h"

#define SECRET __attribute__((cleanup(secret_wipe))) struct secret

/* The key is in the keyring while the table is loaded, and not longer. */
static int map(const struct encrypted_place *place, const struct luks1_header *header, const struct secret *key, struct error *err)
{
	const struct blockdev *disk = place->disk;
	char params[256], description[160];
	int32_t serial = 0;
	dev_t number;

	if (disk->size <= LUKS1_FRONT)
		return error_set(err, ERROR_HEADER, EBADMSG, "the image ends in its header");
	if (text_format(description, sizeof(description), "coffer:%s", place->name) < 0 ||
	    text_format(params, sizeof(params), "aes-xts-%s :%u:logon:%s 0 %u:%u %u", header->plain64 ? "plain64" : "plain",
			header->key_size, description, major(disk->number), minor(disk->number), LUKS1_PAYLOAD) < 0)
		return error_set(err, ERROR_INTERNAL, EMSGSIZE, "crypt table");
	int result = undo_push(place->undo, UNDO_DM_REMOVE, place->name, err);
	if (result == 0)
		result = secret_to_keyring(key, description, &serial, err);
	if (result < 0)
		return result;
	const struct devmapper_target target = {
		.sectors = disk->size / 512 - LUKS1_PAYLOAD, .type = "crypt", .params = params, .read_only = true
	};
	result = devmapper_create(place->name, &target, ERROR_CRYPT, &number, err);
	secret_forget_key(serial);
	return result;
}

static int mount_it(const struct encrypted_place *place, struct error *err)
{
	char node[160];
	int result = undo_push(place->undo, UNDO_RMDIR, place->target, err);

	if (result == 0 && text_format(node, sizeof(node), "/dev/mapper/%s", place->name) < 0)
		result = error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "mapping name");
	if (result == 0 && mkdir(place->target, 0700) < 0)
		result = error_set(err, ERROR_MOUNT, errno, "make the directory %s", place->target);
	if (result == 0)
		result = undo_push(place->undo, UNDO_UMOUNT, place->target, err);
	if (result < 0)
		return result;
	return mounts_mount(node, place->target, "ext4", MS_RDONLY | MS_NODEV | MS_NOSUID, "noload", ERROR_MOUNT, err);
}

int old_layer_open(const struct encrypted_place *place, const struct luks_key *key, uint64_t *size, struct error *err)
{
	struct luks1_header header;
	SECRET volume_key = { 0 };
	int result = modules_load(integrity_modules, err);

	if (result < 0)
		return result;
	result = luks1_unlock(place->disk->fd, key, &header, &volume_key, err);
	if (result < 0)
		return error_step(err, "open the key slot");
	steps_done(place->steps, "open the key slot");
	blockdev_close(place->disk);
	result = map(place, &header, &volume_key, err);
	if (result < 0)
		return error_step(err, "map the image");
	*size = place->disk->size - LUKS1_FRONT;
	result = mount_it(place, err);
	return result < 0 ? error_step(err, "mount the image") : 0;
}

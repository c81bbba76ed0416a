/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SYS_DEVICE_SCSI_H
#define SYS_DEVICE_SCSI_H

#include "sys/device_tree.h"

/*
 * SCSI disks by their address.  "ID:LUN" (decimal, 0..255 and 0..16383), on channel 0 of whichever SCSI host: what virtio-scsi
 * carries, and what Kata's hosts say.  "CONTROLLER:LUN" (0..3 and 0..255) for Hyper-V: the controllers have well-known names on the
 * VMBus, each is a SCSI host, and its disks have the id 0.
 */
must_check int device_scsi_check(const char *address, struct error *err);
must_check int device_scsi_check_hyperv(const char *address, struct error *err);

/* Is this the disk at that address: 1 or 0. */
int device_scsi_matches(const struct device_tree *tree, const char *address, const struct device_disk *disk);
int device_scsi_matches_hyperv(const struct device_tree *tree, const char *address, const struct device_disk *disk);

/*
 * Asks the kernel to look for the disk at that address: not every host tells of a disk that has come.  On every SCSI host; on the
 * controller's.  May take as long as a SCSI command does: for workers.  A host that refuses is passed over.
 */
void device_scsi_rescan(const struct device_tree *tree, const char *address);
void device_scsi_rescan_hyperv(const struct device_tree *tree, const char *address);

#endif

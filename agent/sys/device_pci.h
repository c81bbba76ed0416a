/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SYS_DEVICE_PCI_H
#define SYS_DEVICE_PCI_H

#include "sys/device_tree.h"

/*
 * A disk by where it sits on PCI, as Kata's hosts say it (PciPath of kata-containers 4.1, src/agent/src/pci.rs):
 * "SS[.F]/SS[.F]/...", the slots of the bridges on the way and of the disk, two hex digits 00..1f each, with a function 0..7 where
 * it is not 0.  With three elements or more a first one of 20..ff is not a slot but the number of the root bus, which is 00
 * otherwise.  At most 8 elements.  The domain is 0000.
 */
must_check int device_pci_check(const char *path, struct error *err);

/*
 * Is this the disk of the function there: 1 or 0.  virtio-blk and NVMe disks are; a disk behind a SCSI controller is named by its
 * id and LUN.
 */
int device_pci_matches(const struct device_tree *tree, const char *path, const struct device_disk *disk);

#endif

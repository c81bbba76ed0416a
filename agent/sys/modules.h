/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SYS_MODULES_H
#define SYS_MODULES_H

#include <stdbool.h>

#include "base/error.h"

/*
 * Loads kernel modules by name, with their dependencies, through libkmod.  One that is loaded or built in is success at once.  For
 * workers. A name that begins with '?' may be absent from the initramfs.  The list ends with NULL.  ERROR_KERNEL names the module
 * that failed.
 */
must_check int modules_load(const char *const *names, struct error *err);

/*
 * Loads the drivers of the devices that are there, as their modaliases ask for them, and then those of what these drivers found.
 * A device without a driver in the initramfs is no error: whether something is missing shows when it is used.  For workers.
 */
must_check int modules_load_drivers(struct error *err);

#endif

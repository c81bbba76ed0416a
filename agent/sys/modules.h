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

#endif

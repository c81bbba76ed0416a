/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SYS_LABELS_H
#define SYS_LABELS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/*
 * SELinux, where the VM was built with a policy: /etc/coffer/selinux.policy of the initramfs, in the kernel's binary form.  Without
 * one there are no labels, and whoever asks for one is refused.
 */

#define LABELS_MAX 256u /* bytes */

/*
 * At boot: loads the policy.  No file is success.  ERROR_KERNEL when there is one and this kernel does not take it (it runs without
 * SELinux: the command line needs security=selinux): the VM must not go on without what was meant to hold it.
 */
must_check int labels_load_policy(struct error *err);
/* Is there a policy? */
bool labels_on(void);
/* Is that a label of the policy?  ERROR_UNSUPPORTED_FIELD without one, ERROR_PARAMS; the field is the caller's. */
must_check int labels_check(const char *label, const char *field, struct error *err);

/* The mount option that gives all files of a file system this label; `label` has been checked.  Room for LABELS_MAX + 16. */
void labels_mount_option(const char *label, char *option, size_t size);

/*
 * Gives a file, or a directory and all below it on its file system, the label; with `shared` its level becomes s0, so that others
 * may use it too.  By descriptors (O_PATH is enough), through the agent's own /proc.  For workers.
 */
must_check int labels_relabel(int what, const char *label, bool shared, struct error *err);

#endif

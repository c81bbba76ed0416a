/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_CONTAINERS_H
#define QEMU_CONTAINERS_H

#include "qemu/client.h"

/* The lists that the agent keeps: `what` is "containers", "rootfs", "volumes" or "scratches", `method` the one that answers it. */

/* *list (an array inside *answer) is good until *answer is put. */
must_check int containers_list(struct client *client, const char *method, const char *what, json_object **answer,
			       json_object **list, struct error *err);
/* The element with this id, or NULL. */
json_object *containers_find(json_object *list, const char *id);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICE_RESIZE_H
#define SERVICE_RESIZE_H

#include "service/encrypted.h"

/* Volumes that grow when their disk has grown. */

struct resize_request {
	const char *id;
	struct key_request key; /* or none */
};

/* Answers a struct encrypted_growth.  ERROR_UNSUPPORTED_VOLUME: volumes of this type do not grow. */
void resize_volume(struct agent *agent, struct resize_request *request, struct completion completion);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FAKE_SERVICES_H
#define FAKE_SERVICES_H

#include <stdbool.h>

#include "base/buf.h"

/* What tests/fake/services.c was asked to do, and what was sent on the connection. */
struct fake_services {
	unsigned operations; /* service calls */
	unsigned lines;      /* answers */
	struct buf sent;
	bool closed;
	bool fail; /* every operation fails */
};

extern struct fake_services fake_services;

#endif

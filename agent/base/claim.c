/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/claim.h"

#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

void claim_format(char text[CLAIM_MAX], dev_t device, dev_t disk)
{
	int length = snprintf(text, CLAIM_MAX, "%u:%u", major(device), minor(device));

	if (device != disk)
		snprintf(text + length, CLAIM_MAX - (size_t)length, "@%u:%u", major(disk), minor(disk));
}

/* Does `whole` claim the disk that `part` is a partition of? */
static bool is_disk_of(const char *whole, const char *part)
{
	const char *at = strchr(part, '@');

	return at && strcmp(at + 1, whole) == 0;
}

bool claim_conflicts(const char *a, const char *b)
{
	return strcmp(a, b) == 0 || is_disk_of(a, b) || is_disk_of(b, a);
}

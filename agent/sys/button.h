/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SYS_BUTTON_H
#define SYS_BUTTON_H

#include <stdbool.h>

/* The ACPI power button's event device, open and non-blocking; -1 when the machine has none. */
int button_open(void);
/* Reads what has come; true when the power key was pressed. */
bool button_pressed(int fd);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* What every target defines, and how it says that an invariant does not hold: libFuzzer keeps the input. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must_hold(condition)                                                                                                       \
	do {                                                                                                                       \
		if (!(condition)) {                                                                                                \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);                             \
			abort();                                                                                                   \
		}                                                                                                                  \
	} while (0)

#endif

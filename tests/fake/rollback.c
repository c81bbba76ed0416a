/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fake of sys/rollback.c: writes down what it is told to undo, backwards as the real one, and undoes nothing. */
#include "fake/rollback.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sys/rollback.h"

struct fake_rollback *fake_rollback;

void fake_rollback_reset(void)
{
	if (!fake_rollback)
		fake_rollback = mmap(NULL, sizeof(*fake_rollback), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (fake_rollback == MAP_FAILED)
		abort();
	memset(fake_rollback, 0, sizeof(*fake_rollback));
}

int rollback_run(const struct undo *undo, struct error *err)
{
	fake_rollback->runs++;
	for (size_t i = undo->count; i-- > 0;) {
		if (fake_rollback->crash)
			kill(getpid(), SIGKILL);
		if (fake_rollback->count < FAKE_ROLLBACK_MAX)
			fake_rollback->records[fake_rollback->count++] = undo->records[i];
	}
	while (fake_rollback->hang)
		pause();
	return fake_rollback->fail ? error_set(err, ERROR_TEARDOWN, fake_rollback->fail, "the fake was told to fail") : 0;
}

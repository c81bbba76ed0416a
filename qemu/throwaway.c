/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/throwaway.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "qemu/argv.h"
#include "qemu/spawn.h"

static int run_self(const char *command, const char *name, const char *option, const char *what, int interrupt, struct error *err)
{
	struct argv argv = { 0 };
	struct progress progress = { 0 };
	char self[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (length < 0)
		return error_set(err, ERROR_HOST, errno, "find the own program");
	self[length] = '\0';
	argv_add(&argv, self);
	argv_add(&argv, "vm");
	argv_add(&argv, command);
	argv_add(&argv, name);
	if (option)
		argv_add(&argv, option);
	progress_begin(&progress, "%s", what);
	int result = spawn_run(&argv, NULL, &progress, interrupt, err);
	progress_end(&progress);
	argv_free(&argv);
	return result;
}

int throwaway_start(const char *name, int interrupt, struct error *err)
{
	return run_self("start", name, NULL, "start a VM for this run", interrupt, err);
}

void throwaway_stop(const char *name, bool started)
{
	struct error why;

	/* A start that failed has cleaned up after itself, unless it was killed half-way. */
	if (run_self("stop", name, "--force", "stop the VM of this run", -1, &why) < 0 && started)
		fprintf(stderr, "coffer: the VM %s may be left: %s\n", name, why.message);
}

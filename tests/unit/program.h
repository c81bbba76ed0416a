/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef UNIT_PROGRAM_H
#define UNIT_PROGRAM_H

#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit/test.h"

/* Runs a program of the machine, which is neither heard nor told anything.  Its exit code; -1: it was killed. */
static inline int run_program(const char *const *arguments)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
		unsetenv("LD_PRELOAD");
		setenv("PATH", "/usr/sbin:/sbin:/usr/bin:/bin", 1);
		execvp(arguments[0], (char *const *)arguments);
		_exit(127);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * orphans PER_SECOND SECONDS: processes whose parent has ended before it asked for them, so that PID 1 gets them all.  Prints how
 * many there were, and the milliseconds that it took.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BATCH 100

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A hundred children that end at once, and their parent, which does not wait for them. */
static void leave_batch(void)
{
	pid_t parent = fork();

	if (parent == 0) {
		for (int i = 0; i < BATCH; i++) {
			if (vfork() == 0)
				_exit(0);
		}
		_exit(0);
	}
	if (parent < 0 || waitpid(parent, NULL, 0) != parent) {
		perror("fork");
		exit(1);
	}
}

int main(int argc, char **argv)
{
	long rate = argc > 1 ? atol(argv[1]) : 1000, seconds = argc > 2 ? atol(argv[2]) : 1;
	long began = now_ms(), made = 0;

	while (now_ms() - began < seconds * 1000) {
		leave_batch();
		made += BATCH;
		long ahead = made * 1000 / rate - (now_ms() - began);
		if (ahead > 0)
			usleep((useconds_t)ahead * 1000);
	}
	printf("%ld %ld\n", made, now_ms() - began);
	return 0;
}

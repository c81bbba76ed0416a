/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Scope-bound owners.  An unowned descriptor is -1; take() hands one on and leaves -1 behind. */

static inline void cleanup_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd); /* never retried: on Linux the descriptor is gone whatever close says */
}

static inline void cleanup_memory(void *pointer)
{
	free(*(void **)pointer);
}

static inline void cleanup_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static inline void cleanup_file(FILE **file)
{
	if (*file)
		fclose(*file);
}

#define fd_auto   __attribute__((cleanup(cleanup_fd))) int
#define auto_free __attribute__((cleanup(cleanup_memory)))
#define auto_dir  __attribute__((cleanup(cleanup_dir))) DIR *
#define auto_file __attribute__((cleanup(cleanup_file))) FILE *

static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

static inline void close_fd(int *fd)
{
	cleanup_fd(fd);
	*fd = -1;
}

#define take_pointer(p)                                                                                                            \
	({                                                                                                                         \
		__typeof__(p) taken_ = (p);                                                                                        \
		(p) = NULL;                                                                                                        \
		taken_;                                                                                                            \
	})

#define array_count(array) (sizeof(array) / sizeof((array)[0]))

#endif

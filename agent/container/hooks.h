/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONTAINER_HOOKS_H
#define CONTAINER_HOOKS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/decode.h"
#include "base/error.h"

/*
 * libcontainer's Hooks and mount commands.  All but startContainer run programs of the agent's root with the agent's rights, so
 * they are refused unless the VM's image names them: HOOKS_ALLOWED is a file of the initramfs (and so part of what is measured),
 * one absolute path a line; initramfs/build.py --hooks writes it.  startContainer runs a program of the container, as the
 * container's user and with its restrictions.
 *
 * A program gets the container's state as JSON on its standard input (both libcontainer's HookState and OCI's State keys); its
 * output, of which the first 200 bytes are shown, is part of the error when it fails.
 */

#define HOOKS_ALLOWED "/etc/coffer/hooks"

/* How long a program may run that says nothing about it, ms.  A launch must end. */
#define HOOKS_TIMEOUT_MS 10000u

struct hooks_command {
	const char *path, *dir;
	struct decode_list args, env; /* const char *; args with argv[0] */
	bool has_env;                 /* absent: the agent's environment, which is empty */
	int64_t timeout;              /* ns; 0: HOOKS_TIMEOUT_MS */
};

/* Lists of struct hooks_command. */
struct hooks {
	struct decode_list prestart, create_runtime; /* before the container's root is entered, in the agent's namespaces */
	struct decode_list create_container;         /* then, in the container's namespaces */
	struct decode_list start_container;          /* before the program is executed, in the container */
	struct decode_list poststart, poststop;      /* after it runs; after the container is removed */
};

extern const struct decode_schema hooks_schema, hooks_command_schema;

/* What a program is told. */
struct hooks_state {
	const char *id, *version, *status; /* "creating", "created", "running", "stopped" */
	const char *root;
	pid_t pid;
	const struct decode_list *labels; /* const char *: "k=v"; bundle=PATH is the bundle */
};

/* Is everything in the list allowed by the VM's image?  ERROR_UNSUPPORTED_FIELD names "KEY[N]". */
must_check int hooks_check(const struct decode_list *commands, const char *key, struct error *err);
/*
 * Runs them one after the other and waits.  `state` NULL: no standard input.  Blocks: not in PID 1.  ERROR_CONTAINER.
 */
must_check int hooks_run(const struct decode_list *commands, const char *key, const struct hooks_state *state, struct error *err);

#endif

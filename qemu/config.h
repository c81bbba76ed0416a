/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_CONFIG_H
#define QEMU_CONFIG_H

#include "base/encode.h"
#include "qemu/options.h"

/* The JSON that `run` and `exec` send: CONFIG and PROCESS of docs/PROTOCOL.md. */

/*
 * Writes the member "config": what is in the file of --config, or a configuration of our own, with the usual mounts, capabilities
 * and hidden paths of other launchers.
 */
must_check int config_write(struct encode *e, const struct options *options, const char *id, struct error *err);

/* Are arguments, variables and working folder UTF-8, which JSON needs? */
must_check int config_check_texts(const struct options *options, struct error *err);

/* Writes the member "process".  `log`: its output is kept by the agent instead of being streamed. */
must_check int config_process(struct encode *e, const struct options *options, bool log, struct error *err);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_COMMANDS_H
#define QEMU_COMMANDS_H

#include "qemu/options.h"

/* The commands: each is the `run` of a row in main.c, and is found in the file that its name begins with. */

int start_run(const struct options *options, struct error *err);
int stop_run(const struct options *options, struct error *err);
int list_run(const struct options *options, struct error *err);
int console_run(const struct options *options, struct error *err);
int plug_add(const struct options *options, struct error *err);
int plug_resize(const struct options *options, struct error *err);
int plug_remove(const struct options *options, struct error *err);
int call_run(const struct options *options, struct error *err);
int run_run(const struct options *options, struct error *err);
int exec_run(const struct options *options, struct error *err);
int ps_run(const struct options *options, struct error *err);
int kill_run(const struct options *options, struct error *err);
int logs_run(const struct options *options, struct error *err);
int pause_run(const struct options *options, struct error *err);
int pause_resume(const struct options *options, struct error *err);
int update_run(const struct options *options, struct error *err);
int stats_run(const struct options *options, struct error *err);
int events_run(const struct options *options, struct error *err);
int remove_run(const struct options *options, struct error *err);
int layer_open(const struct options *options, struct error *err);
int layer_close(const struct options *options, struct error *err);
int layer_unlock(const struct options *options, struct error *err);
int layer_lock(const struct options *options, struct error *err);
int layer_import(const struct options *options, struct error *err);
int layer_export(const struct options *options, struct error *err);
int layer_changes(const struct options *options, struct error *err);
int layer_diff(const struct options *options, struct error *err);
int layer_list(const struct options *options, struct error *err);
int layer_remove(const struct options *options, struct error *err);
int image_build(const struct options *options, struct error *err);
int image_import(const struct options *options, struct error *err);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONTAINER_VALIDATE_H
#define CONTAINER_VALIDATE_H

#include "container/config.h"

/* What no single key of a config shows to be wrong: rules between keys, and words of bits.  ERROR_PARAMS with the field. */
must_check int validate_config(const struct config *config, struct error *err);

/* A sandbox has no files: what is about them is refused. */
must_check int validate_sandbox(const struct config *config, struct error *err);

/* What depends on the VM and not on the document: hooks and mount commands that its image does not allow. */
must_check int validate_allowed(const struct config *config, struct error *err);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_STACK_H
#define QEMU_STACK_H

#include "qemu/client.h"
#include "qemu/made.h"
#include "qemu/oci_layout.h"
#include "qemu/options.h"

/*
 * `run --layers`, and `run --image oci:...`: a store on the run's scratch, the archives as layers in it, and on top of them a
 * writable layer, mounted.  The store is named as the scratch is; the layers are the tag with the number that their archive has in
 * --layers, or that they have in the image, and MADE_TOP_ENDING.
 */

/* One layer.import, with the stream.  NULL is "not given". */
struct stack_import {
	const char *id, *store, *parent, *digest, *diff_id;
	const char *what; /* for the lines that tell of it */
	bool devices, seal, verbose;
	int fd; /* the archive */
};

must_check int stack_import(const struct vm *vm, struct client *client, const struct stack_import *wanted, struct error *err);

/* Is the command line one that stack_make can do something with?  All archives are looked at before anything is made. */
must_check int stack_check(const struct options *options, struct error *err);

/*
 * `image`: NULL, or one whose layers are meant in place of --layers.  Everything is pushed to `made` before it is made.  At a
 * signal (`client` has its descriptor) it returns 0 with client->signal set, and less than everything is made.
 */
must_check int stack_make(const struct options *options, const struct oci_layout *image, const struct vm *vm, struct client *client,
			  const char *tag, struct made_list *made, struct error *err);

#endif

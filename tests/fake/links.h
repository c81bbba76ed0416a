/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FAKE_LINKS_H
#define FAKE_LINKS_H

/* What tests/fake/links.c was asked to remove last. */
struct fake_links {
	char removed[64], removed_bridge[64];
};

extern struct fake_links fake_links;

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_LUKS_H
#define STORAGE_LUKS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "storage/luks_header.h"
#include "sys/secret.h"

/*
 * The key slot of an encrypted volume, by libcryptsetup.  It works on files in memory only: what it opens is a header that
 * luks_header_write() has made, in a sealed file, and what it makes is read with luks_header_read() and written to the disk from
 * here. No device-mapper and no locks are involved, so a worker that is killed leaves nothing.
 */

#define LUKS_KEY_MAX 512u /* bytes */

/* What opens a key slot. */
struct luks_key {
	struct secret secret;
	bool raw; /* random bytes, which need no stretching; or a passphrase */
};

/*
 * Reads what stands in front of the data, LUKS_HEADER_DATA bytes, once, into `front`, and the header from that.  The disk is not
 * asked again.  ERROR_HEADER, ERROR_DEVICE.
 */
must_check int luks_load(int disk, uint8_t *front, struct luks_header *header, struct error *err);

/* The volume key, into a new secret.  ERROR_KEY: this key does not open it.  ERROR_CRYPT: the slot asks for memory that is not
 * there. */
must_check int luks_unlock(const uint8_t *front, const struct luks_header *header, const struct luks_key *key,
			   struct secret *volume_key, struct error *err);

/* A header for a new volume with this key: everything but the key slot.  */
must_check int luks_begin(const struct secret *volume_key, struct luks_header *header, struct error *err);

/*
 * Gives the header a key slot that `key` opens, in place of any other; `area` gets the LUKS_HEADER_AREA_SIZE bytes of its area.  A
 * raw key gets PBKDF2 with the least iterations.  A passphrase gets argon2id: 4 passes over a quarter of the free memory, at most
 * 128 MiB; or where that is less than 32 MiB, PBKDF2 with 1,000,000 iterations.
 */
must_check int luks_set_key(struct luks_header *header, const struct secret *volume_key, const struct luks_key *key, uint8_t *area,
			    struct error *err);

/*
 * Writes the header and its area so that the disk has a whole one at every moment, the old or the new: the area that was not in use
 * first, then one copy after the other, each flushed; then the other area is filled with random bytes.
 */
must_check int luks_store(int disk, const struct luks_header *header, const uint8_t *area, struct error *err);

/*
 * After a change that was cut short, or a torn write, the copies say different things: writes the one that does not count anew, so
 * that the next change begins with two that agree.
 */
must_check int luks_mend(int disk, const struct luks_header *header, struct error *err);

/* Overwrites both copies with zeros, flushed. */
must_check int luks_erase(int disk, struct error *err);

#endif

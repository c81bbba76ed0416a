/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_INTEGRITY_LAYOUT_H
#define STORAGE_INTEGRITY_LAYOUT_H

#include <stdint.h>

/* The ciphers of encrypted mappings and what they keep where: storage/integrity.h makes them. */

#define INTEGRITY_SECTOR   4096u                 /* bytes encrypted and authenticated as one */
#define INTEGRITY_SMALLEST (16u * 1024u * 1024u) /* bytes of a disk, for integrity_scratch */
#define INTEGRITY_LARGEST  ((uint64_t)1 << 60)   /* bytes of a disk that are counted with: far more than there are */

/*
 * Sectors of a section of the kernel's journal, which has whole ones.  With a 4096-byte block and 28 to 48 bytes of tag it has 32
 * entries of 8 sectors, and 8 sectors that describe them (calculate_journal_section_size in drivers/md/dm-integrity.c).
 */
#define INTEGRITY_SECTION 264u

/* Sectors are 512 bytes. */
struct integrity_layout {
	const char *name;           /* as a request says it */
	const char *cipher;         /* the kernel's name of the AEAD */
	const char *iv;             /* how dm-crypt makes an IV: "random" or "plain64" */
	const char *const *modules; /* for modules_load() */
	uint32_t key_size;          /* bytes, of all its keys together */
	uint32_t tag_size;          /* bytes kept for a sector: the AEAD's tag, and a random IV */
	uint32_t start;             /* sectors in front that are not dm-integrity's */
	uint32_t front;             /* sectors kept for its superblock and journal */
	uint32_t sections; /* of the journal, which makes every write happen whole or not at all; 0: mode D, no journal is used */
	uint64_t smallest; /* bytes of a disk */
};

/*
 * For data that die with the mapping: a fresh random IV for each write, mode D.  One row a cipher, the default first, and one
 * without a name at the end.
 */
extern const struct integrity_layout integrity_scratch[];
/* The row of integrity_scratch with this name; NULL: none has it. */
const struct integrity_layout *integrity_layout_find(const char *name);
/* For data that stay, behind a header of 1 MiB: what cryptsetup too would load for that header, with a journal of 8 MiB. */
extern const struct integrity_layout integrity_lasting;

/* What modules_load() is to load before, for integrity_lasting; rows of integrity_scratch have their own. */
extern const char *const integrity_modules[];

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sys/secret.h"

#include <errno.h>
#include <linux/keyctl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"

#define SECRET_PAGE 4096

int secret_new(struct secret *secret, size_t size, struct error *err)
{
	if (size > SECRET_PAGE)
		return error_set(err, ERROR_INTERNAL, EMSGSIZE, "a secret of %zu bytes", size);
	uint8_t *page = mmap(NULL, SECRET_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return error_set(err, ERROR_INTERNAL, errno, "memory for a secret");
	if (mlock(page, SECRET_PAGE) < 0 || madvise(page, SECRET_PAGE, MADV_DONTDUMP) < 0 ||
	    madvise(page, SECRET_PAGE, MADV_WIPEONFORK) < 0) {
		int errnum = errno;

		munmap(page, SECRET_PAGE);
		return error_set(err, ERROR_INTERNAL, errnum, "lock memory for a secret");
	}
	*secret = (struct secret){ .bytes = page, .size = size };
	return 0;
}

int secret_random(struct secret *secret, size_t size, struct error *err)
{
	size_t filled = 0;
	int result = secret_new(secret, size, err);

	if (result < 0)
		return result;
	while (filled < size) {
		ssize_t got = getrandom(secret->bytes + filled, size - filled, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			int errnum = errno;

			secret_wipe(secret);
			return error_set(err, ERROR_INTERNAL, errnum, "getrandom");
		}
		filled += (size_t)got;
	}
	return 0;
}

void secret_wipe(struct secret *secret)
{
	if (!secret->bytes)
		return;
	explicit_bzero(secret->bytes, SECRET_PAGE);
	munmap(secret->bytes, SECRET_PAGE);
	*secret = (struct secret){ 0 };
}

int secret_to_keyring(const struct secret *secret, const char *description, int32_t *key, struct error *err)
{
	long serial = syscall(SYS_add_key, "logon", description, secret->bytes, secret->size, KEY_SPEC_THREAD_KEYRING);

	if (serial < 0)
		return error_set(err, ERROR_CRYPT, errno, "put the key into the kernel's keyring");
	*key = (int32_t)serial;
	return 0;
}

int secret_offer(const char *description, const void *bytes, size_t size, struct error *err)
{
	if (syscall(SYS_add_key, "user", description, bytes, size, KEY_SPEC_THREAD_KEYRING) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "put %s into the kernel's keyring", description);
	return 0;
}

void secret_forget_key(int32_t key)
{
	/* Invalidated keys vanish at once; unlinking would leave that to the garbage collector. */
	if (syscall(SYS_keyctl, KEYCTL_INVALIDATE, key) < 0)
		log_warning("forget the key: %s", strerror(errno));
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sys/libraries.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

static const char *const sonames[] = {
#define LIBRARY(library, soname) [LIBRARY_##library] = soname,
#define FUNCTION(library, function)
#include "sys/libraries.def"
#undef LIBRARY
#undef FUNCTION
};

static const struct {
	enum library library;
	const char *name;
	size_t offset;
} functions[] = {
#define LIBRARY(library, soname)
#define FUNCTION(library, function) { LIBRARY_##library, #function, offsetof(struct libraries, function) },
#include "sys/libraries.def"
#undef LIBRARY
#undef FUNCTION
};

int libraries_open(struct libraries *lib, enum library library, struct error *err)
{
	void *handle = dlopen(sonames[library], RTLD_LAZY | RTLD_LOCAL);

	if (!handle)
		return error_set(err, ERROR_INTERNAL, ENOENT, "open %s: %s", sonames[library], dlerror());
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		if (functions[i].library != library)
			continue;
		void *function = dlsym(handle, functions[i].name);

		if (!function)
			return error_set(err, ERROR_INTERNAL, ENOSYS, "%s has no %s", sonames[library], functions[i].name);
		memcpy((char *)lib + functions[i].offset, &function, sizeof(function));
	}
	return 0;
}

void *libraries_data(enum library library, const char *symbol)
{
	void *handle = dlopen(sonames[library], RTLD_LAZY | RTLD_NOLOAD);

	return handle ? dlsym(handle, symbol) : NULL;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/accel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/decode.h"
#include "base/encode.h"
#include "base/text.h"
#include "qemu/boot.h"
#include "qemu/fail.h"
#include "qemu/state.h"

#define ACCEL_FILE   ".accel.json"
#define ACCEL_MEMORY (256ull << 20)

/* What the answer depends on: the host's kernel and the guest's. */
static int make_key(const struct vm *vm, char *key, size_t size, struct error *err)
{
	struct utsname host;
	struct stat st;

	if (uname(&host) < 0 || stat(vm->kernel, &st) < 0)
		return error_set(err, ERROR_HOST, errno, "%s", vm->kernel);
	if (text_format(key, size, "%s %s %lld %lld", host.release, vm->kernel, (long long)st.st_size, (long long)st.st_mtime) < 0)
		return error_set(err, ERROR_HOST, ENAMETOOLONG, "%s", vm->kernel);
	return 0;
}

static int file_path(char *path, size_t size, struct error *err)
{
	char runtime[PATH_MAX];
	int result = state_runtime(runtime, sizeof(runtime), err);

	if (result == 0 && text_format(path, size, "%s/" ACCEL_FILE, runtime) < 0)
		result = error_set(err, ERROR_HOST, ENAMETOOLONG, "%s", runtime);
	return result;
}

/* {"KEY":"tcg",...}; an unreadable file is an empty one: it is a mere memory. */
static json_object *read_answers(const char *path)
{
	char text[65536];
	struct error ignored;
	json_object *json = NULL;
	long length = text_read_file(path, text, sizeof(text));

	if (length > 0 && decode_parse(text, (size_t)length, &json, &ignored) == 0 && json_object_is_type(json, json_type_object))
		return json;
	json_object_put(json);
	return json_object_new_object();
}

static bool recall(struct vm *vm, struct error *err)
{
	char path[PATH_MAX], key[PATH_MAX + 256];
	json_object *answer;
	bool known = false;

	if (file_path(path, sizeof(path), err) < 0 || make_key(vm, key, sizeof(key), err) < 0)
		return false;
	json_object *json = read_answers(path);
	if (json_object_object_get_ex(json, key, &answer) && answer) {
		const char *accel = json_object_get_string(answer);

		known = strcmp(accel, "kvm") == 0 || strcmp(accel, "tcg") == 0;
		if (known)
			snprintf(vm->accel, sizeof(vm->accel), "%s", accel);
	}
	json_object_put(json);
	return known;
}

int accel_remember(const struct vm *vm, struct error *err)
{
	char path[PATH_MAX], fresh[PATH_MAX + 8], key[PATH_MAX + 256];
	fd_auto lock = -1;
	int result = state_lock_runtime(&lock, err);

	if (result == 0)
		result = file_path(path, sizeof(path), err);
	if (result == 0)
		result = make_key(vm, key, sizeof(key), err);
	if (result < 0)
		return result;
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	json_object *json = read_answers(path);
	/* Every kernel that was ever built leaves a line: begin anew before the file outgrows its reader. */
	if (json_object_object_length(json) >= 16) {
		json_object_put(json);
		json = json_object_new_object();
	}
	json_object_object_add(json, key, json_object_new_string(vm->accel));
	const char *text = json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN);
	fd_auto fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (!text || fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) || rename(fresh, path) < 0)
		result = error_set(err, ERROR_HOST, errno, "write %s", path);
	json_object_put(json);
	return result;
}

/* 1 when a VM boots with KVM, 0 when it does not. */
static int probe(const struct vm *vm, int interrupt, struct error *err)
{
	struct vm trial;
	struct boot_answer answer;
	struct error why;
	fd_auto lock = -1;
	char name[32];

	snprintf(name, sizeof(name), STATE_PROBE "%d", (int)getpid());
	int result = state_name(&trial, name, err);
	if (result < 0)
		return result;
	snprintf(trial.accel, sizeof(trial.accel), "kvm");
	snprintf(trial.kernel, sizeof(trial.kernel), "%s", vm->kernel);
	snprintf(trial.initrd, sizeof(trial.initrd), "%s", vm->initrd);
	trial.memory = ACCEL_MEMORY;
	trial.cpus = 1;
	fprintf(stderr, "coffer: /dev/kvm is there; a trial boot finds out whether it works (at most %d s, once)\n",
		ACCEL_PROBE_MS / 1000);
	result = boot_vm(&trial, ACCEL_PROBE_MS, interrupt, true, &answer, &why);
	if (result < 0) {
		/* boot_vm has removed everything, or says here that something would not die. */
		if (why.errnum == EINTR || access(trial.folder, F_OK) == 0) {
			*err = why;
			return error_wrap(err, "the trial boot with KVM");
		}
		return 0;
	}
	result = state_lock(&trial, 1000, &lock, err);
	if (result == 0)
		result = vm_destroy(&trial, err);
	return result < 0 ? result : 1;
}

int accel_choose(struct vm *vm, const char *wanted, int interrupt, bool *probed, struct error *err)
{
	*probed = false;
	if (wanted && strcmp(wanted, "auto") != 0) {
		if (strcmp(wanted, "tcg") != 0 && strcmp(wanted, "kvm") != 0)
			return fail_set(err, EINVAL, "--accel %s: there are auto, tcg and kvm", wanted);
		snprintf(vm->accel, sizeof(vm->accel), "%s", wanted);
		return 0;
	}
	snprintf(vm->accel, sizeof(vm->accel), "tcg");
	fd_auto kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0 || recall(vm, err))
		return 0;
	close_fd(&kvm);
	int works = probe(vm, interrupt, err);
	if (works < 0)
		return works;
	snprintf(vm->accel, sizeof(vm->accel), works ? "kvm" : "tcg");
	*probed = true;
	return 0;
}

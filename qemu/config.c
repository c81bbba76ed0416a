/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/scan.h"
#include "qemu/fail.h"
#include "qemu/file.h"
#include "qemu/terminal.h"

static const char *const namespaces[] = { "NEWPID", "NEWNS", "NEWUTS", "NEWIPC", "NEWNET" };

/* What Docker and its kin give a container by default. */
static const char *const capabilities[] = {
	"CAP_CHOWN",  "CAP_DAC_OVERRIDE", "CAP_FSETID",  "CAP_FOWNER",           "CAP_MKNOD",      "CAP_NET_RAW", "CAP_SETGID",
	"CAP_SETUID", "CAP_SETFCAP",      "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL",    "CAP_AUDIT_WRITE",
};

static const char *const masked[] = {
	"/proc/acpi",       "/proc/asound",      "/proc/kcore",       "/proc/keys", "/proc/latency_stats",
	"/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
};

static const char *const readonly[] = { "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger" };

/* Flags are mount(2)'s: 2 nosuid, 4 nodev, 8 noexec, 1 read-only, 1 << 24 strictatime. */
static const struct {
	const char *source, *destination, *device, *data;
	int64_t flags;
} mounts[] = {
	{ "proc", "/proc", "proc", "", 0 },
	{ "tmpfs", "/dev", "tmpfs", "mode=755,size=65536k", 16777218 },
	{ "devpts", "/dev/pts", "devpts", "newinstance,ptmxmode=0666,mode=0620", 10 },
	{ "shm", "/dev/shm", "tmpfs", "mode=1777,size=65536k", 14 },
	{ "mqueue", "/dev/mqueue", "mqueue", "", 14 },
	{ "sysfs", "/sys", "sysfs", "", 15 },
};

static void strings(struct encode *e, const char *key, const char *const *items, size_t count)
{
	encode_open(e, key, '[');
	for (size_t i = 0; i < count; i++)
		encode_string(e, NULL, items[i]);
	encode_close(e, ']');
}

static void write_default(struct encode *e, const struct options *options, const char *id)
{
	encode_open(e, "config", '{');
	encode_string(e, "hostname", options->hostname ? options->hostname : id);
	encode_open(e, "namespaces", '[');
	for (size_t i = 0; i < array_count(namespaces); i++) {
		encode_open(e, NULL, '{');
		encode_string(e, "type", namespaces[i]);
		encode_close(e, '}');
	}
	encode_close(e, ']');
	encode_open(e, "mounts", '[');
	for (size_t i = 0; i < array_count(mounts); i++) {
		encode_open(e, NULL, '{');
		encode_string(e, "source", mounts[i].source);
		encode_string(e, "destination", mounts[i].destination);
		encode_string(e, "device", mounts[i].device);
		encode_int(e, "flags", mounts[i].flags);
		encode_string(e, "data", mounts[i].data);
		encode_close(e, '}');
	}
	encode_close(e, ']');
	strings(e, "capabilities", capabilities, array_count(capabilities));
	strings(e, "mask_paths", masked, array_count(masked));
	strings(e, "readonly_paths", readonly, array_count(readonly));
	if (options->memory_limit) {
		encode_open(e, "cgroups", '{');
		encode_uint(e, "memory", options->memory_limit);
		encode_close(e, '}');
	}
	encode_close(e, '}');
}

int config_write(struct encode *e, const struct options *options, const char *id, struct error *err)
{
	struct buf file = { 0 };

	if (!options->config) {
		write_default(e, options, id);
		return 0;
	}
	if (options->hostname || options->memory_limit)
		return fail_set(err, EINVAL, "--hostname and --memory-limit belong into the file of --config when there is one");
	int result = file_read_json(options->config, &file, err);
	if (result == 0)
		encode_raw(e, "config", buf_bytes(&file), strlen(buf_bytes(&file)));
	buf_free(&file);
	return result;
}

/* JSON carries UTF-8 only; the encoder would put U+FFFD for other bytes, and the program would get another argument than was given.
 */
static int check_utf8(const char *text, struct error *err)
{
	struct buf quoted = { 0 };
	struct error ignored;
	int result = buf_printf(&quoted, "\"%s\"", text);

	if (result < 0)
		return error_set(err, ERROR_HOST, -result, "arguments");
	char *bytes = quoted.data + quoted.start;
	for (size_t i = 1; i + 1 < buf_length(&quoted); i++) {
		if ((unsigned char)bytes[i] < 0x20 || bytes[i] == '"' || bytes[i] == '\\')
			bytes[i] = 'x';
	}
	result = scan_json(bytes, buf_length(&quoted), &ignored);
	buf_free(&quoted);
	return result < 0 ? fail_set(err, EILSEQ, "'%s' is not UTF-8, and JSON carries nothing else", text) : 0;
}

int config_check_texts(const struct options *options, struct error *err)
{
	int result = options->cwd ? check_utf8(options->cwd, err) : 0;

	if (result == 0 && options->user)
		result = check_utf8(options->user, err);
	for (size_t i = 0; i < options->rest_count && result == 0; i++)
		result = check_utf8(options->rest[i], err);
	for (size_t i = 0; i < options->env.count && result == 0; i++)
		result = check_utf8(options->env.items[i], err);
	return result;
}

static bool is_given(const struct options *options, const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < options->env.count; i++) {
		const char *item = options->env.items[i];

		if (strncmp(item, name, length) == 0 && (item[length] == '=' || item[length] == '\0'))
			return true;
	}
	return false;
}

static void write_variable(struct encode *e, const char *name, struct buf *text)
{
	const char *value = getenv(name);

	if (value && buf_printf(text, "%s=%s", name, value) == 0)
		encode_string(e, NULL, buf_bytes(text));
	else if (value)
		e->result = -ENOMEM;
	buf_consume(text, buf_length(text));
}

static void write_env(struct encode *e, const struct options *options)
{
	struct buf text = { 0 };

	encode_open(e, "env", '[');
	for (size_t i = 0; i < options->env.count; i++) {
		if (strchr(options->env.items[i], '='))
			encode_string(e, NULL, options->env.items[i]);
		else
			write_variable(e, options->env.items[i], &text);
	}
	if (options->tty && !is_given(options, "TERM"))
		write_variable(e, "TERM", &text);
	encode_close(e, ']');
	buf_free(&text);
}

int config_process(struct encode *e, const struct options *options, bool log, struct error *err)
{
	unsigned width, height;
	int result = config_check_texts(options, err);

	if (result < 0)
		return result;
	encode_open(e, "process", '{');
	encode_open(e, "args", '[');
	for (size_t i = 0; i < options->rest_count; i++)
		encode_string(e, NULL, options->rest[i]);
	encode_close(e, ']');
	write_env(e, options);
	if (options->cwd)
		encode_string(e, "cwd", options->cwd);
	/* Names and numbers are the image's, whose files are in the VM: the agent reads them. */
	if (options->user)
		encode_string(e, "user", options->user);
	if (options->tty) {
		encode_bool(e, "terminal", true);
		if (terminal_size(&width, &height)) {
			encode_uint(e, "console_width", width);
			encode_uint(e, "console_height", height);
		}
	}
	if (log)
		encode_string(e, "stdio", "log");
	encode_close(e, '}');
	return result;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "boot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "sys/cgroups.h"
#include "sys/copy_tree.h"
#include "sys/labels.h"
#include "sys/modules.h"
#include "sys/mounts.h"
#include "sys/paths.h"

#define NEW_ROOT "/newroot"

static const struct {
	const char *type, *target;
	unsigned long flags;
	const char *data;
} early_mounts[] = {
	{ "proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL },
	{ "sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL },
	{ "devtmpfs", "/dev", MS_NOSUID, "mode=0755" },
	{ "devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5" },
	{ "tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777" },
	{ "tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=0755" },
	{ "tmpfs", "/tmp", MS_NOSUID | MS_NODEV, "mode=1777" },
};

static const struct {
	const char *target, *link;
} early_links[] = {
	{ "/proc/self/fd", "/dev/fd" },
	{ "/proc/self/fd/0", "/dev/stdin" },
	{ "/proc/self/fd/1", "/dev/stdout" },
	{ "/proc/self/fd/2", "/dev/stderr" },
};

/* What no device asks for at boot: the disks that will be plugged, and the power button's events. */
static const char *const boot_modules[] = { "virtio_blk", "?evdev", NULL };

/* ---- stage 1 ---- */

bool boot_on_initramfs(void)
{
	auto_file mounts = NULL;
	char line[1024];

	/* Before /proc there is nothing else to ask; it is moved along later. */
	if (mkdir("/proc", 0555) < 0 && errno != EEXIST)
		return false;
	if (access("/proc/self", F_OK) < 0 && mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return false;
	mounts = fopen("/proc/self/mountinfo", "re");
	while (mounts && fgets(line, sizeof(line), mounts)) {
		char where[256] = "", type[64] = "";
		const char *separator = strstr(line, " - ");

		if (separator && sscanf(line, "%*u %*u %*s %*s %255s", where) == 1 && sscanf(separator, " - %63s", type) == 1 &&
		    strcmp(where, "/") == 0)
			return strcmp(type, "rootfs") == 0;
	}
	return false;
}

int boot_switch_root(char *const *argv, struct error *err)
{
	if (mkdir(NEW_ROOT, 0755) < 0 && errno != EEXIST)
		return error_set(err, ERROR_INTERNAL, errno, "make " NEW_ROOT);
	int result = mounts_mount("tmpfs", NEW_ROOT, "tmpfs", 0, "mode=0755", ERROR_INTERNAL, err);
	if (result == 0)
		result = copy_tree("/", NEW_ROOT, err);
	if (result < 0)
		return result;
	/* The agent's own text stays mapped until execve; its file is gone. */
	fd_auto old_root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (old_root < 0 || umount2("/proc", MNT_DETACH) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "leave the initramfs");
	if (paths_remove_tree(old_root, ".", false, err) < 0)
		log_debug("emptying the initramfs: %s", err->message); /* NEW_ROOT itself is a mount point, and stays */
	if (chdir(NEW_ROOT) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
		return error_set(err, ERROR_INTERNAL, errno, "move to the new root");
	execv("/init", argv);
	return error_set(err, ERROR_INTERNAL, errno, "execute /init on the new root");
}

/* ---- stage 2 ---- */

static int mount_early(struct error *err)
{
	for (size_t i = 0; i < array_count(early_mounts); i++) {
		const char *target = early_mounts[i].target;

		/* /dev is there from the start, and what is below /sys comes from the kernel. */
		if (mkdir(target, 0755) < 0 && errno != EEXIST)
			return error_set(err, ERROR_INTERNAL, errno, "make the directory %s", target);
		if (mount(early_mounts[i].type, target, early_mounts[i].type, early_mounts[i].flags, early_mounts[i].data) < 0 &&
		    errno != EBUSY)
			return error_set(err, ERROR_INTERNAL, errno, "mount %s on %s", early_mounts[i].type, target);
	}
	for (size_t i = 0; i < array_count(early_links); i++) {
		if (symlink(early_links[i].target, early_links[i].link) < 0 && errno != EEXIST)
			return error_set(err, ERROR_INTERNAL, errno, "make the link %s", early_links[i].link);
	}
	return 0;
}

/* Before the command line is read as a whole, which reports what it does not understand to a log that is not open yet. */
static enum cgroups_version wanted_cgroups(void)
{
	enum cgroups_version version = CGROUPS_V2;
	char text[4096], *save = NULL;

	if (text_read_file("/proc/cmdline", text, sizeof(text)) < 0)
		return version;
	for (char *word = strtok_r(text, " \n", &save); word; word = strtok_r(NULL, " \n", &save)) {
		if (strcmp(word, "coffer.cgroup=v1") == 0)
			version = CGROUPS_V1;
		else if (strcmp(word, "coffer.cgroup=v2") == 0)
			version = CGROUPS_V2;
	}
	return version;
}

/* libkmod and what it links are opened in a child, so that PID 1 stays small. */
static int load_modules(struct error *err)
{
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		struct error failure;

		if (modules_load_drivers(&failure) == 0 && modules_load(boot_modules, &failure) == 0)
			_exit(0);
		log_error("%s", failure.message);
		_exit(1);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
		return error_set(err, ERROR_KERNEL, 0, "load the kernel modules");
	return 0;
}

int boot_prepare(bool modules, struct error *err)
{
	int result = mount_early(err);

	if (result == 0 && modules)
		result = load_modules(err);
	if (result == 0)
		result = cgroups_mount(wanted_cgroups(), err);
	if (result == 0 && modules)
		result = labels_load_policy(err);
	/* What the agent writes lies in /run.  Its program cannot be written to from now on, not even by who gets hold of it
	 * through /proc (CVE-2019-5736). */
	if (result == 0 && modules && mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0)
		result = error_set(err, ERROR_INTERNAL, errno, "make the root read-only");
	return result;
}

/* ---- command line ---- */

static bool set_log_level(struct agent *agent, const char *value)
{
	(void)agent;
	int level = log_level_from_name(value);

	if (level < 0)
		return false;
	log_set_level((enum log_level)level);
	return true;
}

/* Acted on when the groups were mounted. */
static bool is_cgroup_version(struct agent *agent, const char *value)
{
	(void)agent;
	return strcmp(value, "v1") == 0 || strcmp(value, "v2") == 0;
}

static bool set_plain_storage(struct agent *agent, const char *value)
{
	agent->plain_storage = strcmp(value, "allow") == 0;
	return agent->plain_storage || strcmp(value, "refuse") == 0;
}

static bool set_old_layers(struct agent *agent, const char *value)
{
	agent->old_layers = strcmp(value, "allow") == 0;
	return agent->old_layers || strcmp(value, "refuse") == 0;
}

static const struct {
	const char *key;
	bool (*set)(struct agent *agent, const char *value);
} keys[] = {
	{ "coffer.log=", set_log_level },
	{ "coffer.cgroup=", is_cgroup_version },
	{ "coffer.plain_storage=", set_plain_storage },
	{ "coffer.old_layers=", set_old_layers },
};

void boot_read_command_line(struct agent *agent)
{
	char text[4096], *save = NULL;

	if (text_read_file("/proc/cmdline", text, sizeof(text)) < 0)
		return;
	for (char *word = strtok_r(text, " \n", &save); word; word = strtok_r(NULL, " \n", &save)) {
		bool understood = strncmp(word, "coffer.", 7) != 0;

		for (size_t i = 0; i < array_count(keys); i++) {
			if (strncmp(word, keys[i].key, strlen(keys[i].key)) == 0)
				understood = keys[i].set(agent, word + strlen(keys[i].key));
		}
		if (!understood)
			log_warning("kernel command line: %s is not understood", word);
	}
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "container/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "container/environment.h"
#include "container/rootfs.h"
#include "container/sysctl.h"
#include "container/terminal.h"
#include "sys/paths.h"
#include "sys/rights.h"

#define PASSWD_MAX  (1024u * 1024u) /* bytes of /etc/passwd, and of /etc/group */
#define USUAL_UMASK 022u

/* The text of a file in the root; NULL when there is none that can be used. */
static char *read_text(int root, const char *path)
{
	struct error ignored;
	struct stat status;
	fd_auto fd = root >= 0 ? paths_open(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, &ignored) : -1;

	if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) || status.st_size > PASSWD_MAX)
		return NULL;
	char *text = calloc(1, PASSWD_MAX + 1);
	if (text && read(fd, text, PASSWD_MAX) < 0)
		text[0] = '\0';
	return text;
}

/* From here on the process has numbers, whatever the request said. */
static int find_user(const struct stage *stage, int root, struct error *err)
{
	struct config_process *process = stage->process;
	struct users_ids *ids = stage->ids;

	if (!process->user)
		return 0;
	auto_free char *passwd = read_text(root, "/etc/passwd");
	auto_free char *group = read_text(root, "/etc/group");
	int result = users_find(process->user, passwd, group, ids, err);
	if (result < 0)
		return result;
	process->uid = ids->uid;
	process->gid = ids->gid;
	process->additional_groups = (struct decode_list){ .items = ids->groups, .count = ids->group_count };
	return 0;
}

static void report(const struct stage *stage, enum stage_progress progress, const struct error *error, int master)
{
	struct stage_report message = { .progress = progress };

	if (error)
		message.error = *error;
	/* If the worker is gone there is nobody to tell, and nobody who will open the gate. */
	if (rights_send(stage->sync, &message, sizeof(message), master) < 0)
		_exit(125);
}

/* One byte, or the end of a peer that has died. */
static void wait_for_byte(int socket)
{
	char byte;
	ssize_t got;

	do
		got = recv(socket, &byte, 1, 0);
	while (got < 0 && errno == EINTR);
	if (got != 1)
		_exit(125);
}

static int join_keyring(const struct stage *stage, struct error *err)
{
	char name[80];

	if (stage->config->no_new_keyring)
		return 0;
	snprintf(name, sizeof(name), "_ses.%s", stage->id);
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "join a session keyring");
	return 0;
}

static int take_standard(const struct stage *stage, struct error *err)
{
	for (int fd = 0; fd <= 2; fd++) {
		if (dup2(stage->standard[fd], fd) < 0)
			return error_set(err, ERROR_CONTAINER, errno, "set up descriptor %d", fd);
	}
	return 0;
}

static int open_terminal(const struct stage *stage, int root, int *master, struct error *err)
{
	fd_auto slave = -1;
	int result = terminal_open(root, stage->process, master, &slave, err);

	if (result == 0 && stage->rootfs)
		result = terminal_on_console(root, slave, err);
	if (result == 0)
		result = terminal_take(slave, err);
	return result;
}

/* What takes effect at execve. */
struct exec_attribute {
	const char *path; /* in proc */
	const char *text;
	size_t length;
	const char *what, *value, *field; /* as an error says it */
};

/* Written through the agent's own /proc: the container's could be anything (CVE-2019-16884). */
static int set_attribute(const struct stage *stage, const struct exec_attribute *attribute, struct error *err)
{
	struct statfs filesystem;
	fd_auto fd = openat(stage->proc, attribute->path, O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && (fstatfs(fd, &filesystem) < 0 || filesystem.f_type != PROC_SUPER_MAGIC))
		return error_set(err, ERROR_CONTAINER, ENODEV, "/proc is not a proc");
	if (fd < 0 || write(fd, attribute->text, attribute->length) != (ssize_t)attribute->length) {
		int result = error_set(err, ERROR_CONTAINER, errno, "set the %s %.100s", attribute->what, attribute->value);

		snprintf(err->field, sizeof(err->field), "%s", attribute->field);
		return result;
	}
	return 0;
}

static int set_apparmor(const struct stage *stage, struct error *err)
{
	const char *profile = stage->process->apparmor_profile ? stage->process->apparmor_profile : stage->config->apparmor_profile;
	char text[300];

	if (!profile || !profile[0])
		return 0;
	const struct exec_attribute attribute = { .path = "self/attr/apparmor/exec",
						  .text = text,
						  .length = (size_t)snprintf(text, sizeof(text), "exec %s", profile),
						  .what = "AppArmor profile",
						  .value = profile,
						  .field = "config.apparmor_profile" };
	return set_attribute(stage, &attribute, err);
}

static int set_selinux(const struct stage *stage, struct error *err)
{
	const char *label = stage->config->process_label;

	if (!label || !label[0])
		return 0;
	const struct exec_attribute attribute = { .path = "self/attr/exec",
						  .text = label,
						  .length = strlen(label) + 1,
						  .what = "label",
						  .value = label,
						  .field = "config.process_label" };
	return set_attribute(stage, &attribute, err);
}

static int set_names(const struct config *config, struct error *err)
{
	if (config->hostname && config->hostname[0] && sethostname(config->hostname, strlen(config->hostname)) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "set the host name");
	if (config->domainname && config->domainname[0] && setdomainname(config->domainname, strlen(config->domainname)) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "set the domain name");
	return 0;
}

static struct hooks_state describe(const struct stage *stage, const char *status)
{
	char pid[16] = "";
	ssize_t length = readlinkat(stage->proc, "self", pid, sizeof(pid) - 1);

	return (struct hooks_state){
		.id = stage->id,
		.version = stage->config->version,
		.status = status,
		.root = stage->rootfs,
		.pid = length > 0 ? (pid_t)strtol(pid, NULL, 10) : 0, /* as the agent counts */
		.labels = &stage->config->labels,
	};
}

static int run_hooks(const struct stage *stage, struct error *err)
{
	const struct hooks *hooks = &stage->config->hooks;
	struct hooks_state state = describe(stage, "creating");

	if (hooks->prestart.count || hooks->create_runtime.count) {
		report(stage, STAGE_HOOKS, NULL, -1);
		wait_for_byte(stage->sync);
	}
	return hooks_run(&hooks->create_container, "Hooks.createContainer", &state, err);
}

/* Now, since the root may be read-only later. */
static int make_working_directory(const struct stage *stage, int root, struct error *err)
{
	fd_auto directory = paths_make_directory(root, stage->process->cwd ? stage->process->cwd : "/", 0755, err);

	if (directory < 0)
		snprintf(err->field, sizeof(err->field), "process.cwd");
	return directory < 0 ? directory : 0;
}

/* The new container's own surroundings. */
static int make_container(const struct stage *stage, struct rootfs *rootfs, int *master, struct error *err)
{
	const struct config *config = stage->config;
	int result = set_names(config, err);

	if (result == 0 && ((config->namespaces.create & CLONE_NEWNET) || config->networks.count || config->routes.count))
		result = network_configure(&config->networks, &config->routes, err);
	if (result == 0)
		result = sysctl_write(&config->sysctl, stage->proc, err);
	if (result == 0)
		result = rootfs_prepare(rootfs, err);
	if (result == 0)
		result = find_user(stage, rootfs->root, err);
	if (result == 0 && stage->process->terminal)
		result = open_terminal(stage, rootfs->root, master, err);
	if (result == 0)
		result = make_working_directory(stage, rootfs->root, err);
	if (result == 0)
		result = run_hooks(stage, err);
	return result == 0 ? rootfs_enter(rootfs, err) : result;
}

static int join_container(const struct stage *stage, int *master, struct error *err)
{
	fd_auto root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root < 0)
		return error_set(err, ERROR_CONTAINER, errno, "open the root");
	int result = find_user(stage, root, err);
	return result == 0 && stage->process->terminal ? open_terminal(stage, root, master, err) : result;
}

static char *read_passwd(void)
{
	fd_auto root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	return read_text(root, "/etc/passwd");
}

static int enter_directory(const char *path, struct error *err)
{
	char where[PATH_MAX];
	fd_auto root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root < 0)
		return error_set(err, ERROR_CONTAINER, errno, "open the root");
	fd_auto directory = paths_make_directory(root, path, 0755, err);
	if (directory < 0) {
		snprintf(err->field, sizeof(err->field), "process.cwd");
		return directory;
	}
	if (fchdir(directory) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "enter %s", path);
	/* A directory outside of the root would show as "(unreachable)" (CVE-2024-21626). */
	if (!getcwd(where, sizeof(where)) || where[0] != '/')
		return error_set(err, ERROR_CONTAINER, EPERM, "the working directory lies outside of the root");
	return 0;
}

static int prepare(const struct stage *stage, int *master, struct error *err)
{
	struct rootfs rootfs = { .path = stage->rootfs, .config = stage->config, .cgroup = stage->cgroup };
	int result = 0;

	if (setsid() < 0)
		return error_set(err, ERROR_CONTAINER, errno, "make a session");
	/* A root of a user namespace, which it becomes next, has no access to the agent's directories. */
	if (stage->rootfs)
		result = rootfs_open(&rootfs, err);
	if (result == 0 && !stage->rootfs)
		result = namespaces_follow(&stage->config->namespaces, stage->target, err);
	else if (result == 0 && !(stage->config->namespaces.join & CLONE_NEWUSER))
		result = namespaces_enter_cgroup(&stage->config->namespaces, err);
	if (result == 0 && ((stage->config->namespaces.create | stage->config->namespaces.join) & CLONE_NEWUSER))
		result = namespaces_become_root(err);
	if (result == 0)
		result = join_keyring(stage, err);
	if (result == 0)
		result = stage->rootfs ? make_container(stage, &rootfs, master, err) : join_container(stage, master, err);
	if (stage->rootfs)
		rootfs_close(&rootfs);
	if (result == 0)
		result = set_apparmor(stage, err);
	if (result == 0)
		result = set_selinux(stage, err);
	if (result == 0)
		result = scheduling_apply(&stage->config->scheduling, err);
	if (result == 0 && !stage->process->terminal)
		result = take_standard(stage, err);
	if (result == 0)
		result = enter_directory(stage->process->cwd ? stage->process->cwd : "/", err);
	return result;
}

static struct privileges wanted_privileges(const struct stage *stage)
{
	const struct config_process *process = stage->process;
	struct privileges privileges = {
		.capabilities = process->has_capabilities ? process->capabilities : stage->config->capabilities,
		.uid = (uint32_t)process->uid,
		.gid = (uint32_t)process->gid,
		.groups = process->additional_groups.items,
		.group_count = process->additional_groups.count,
		.no_new_privileges = process->has_no_new_privileges ? process->no_new_privileges : stage->config->no_new_privileges,
	};

	/* Without no_new_privs only CAP_SYS_ADMIN may load a filter, and it is loaded last: it need not allow what comes before. */
	if (stage->seccomp->filter && !privileges.no_new_privileges)
		privileges.held = (uint64_t)1 << CAP_SYS_ADMIN;
	return privileges;
}

static int become_user(const struct stage *stage, const struct privileges *privileges, struct error *err)
{
	const struct config_process *process = stage->process;

	umask((mode_t)(process->has_umask ? process->umask : stage->config->has_umask ? stage->config->umask : USUAL_UMASK));
	for (int fd = 0; fd <= 2 && process->uid != 0 && !process->terminal; fd++) {
		struct stat status;

		/* Or /dev/stdout could not be opened again by a process that is not root. */
		if (fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode) && fchown(fd, (uid_t)process->uid, (gid_t)-1) < 0)
			return error_set(err, ERROR_CONTAINER, errno, "give descriptor %d to the user", fd);
	}
	int result = privileges_drop(privileges, err);
	/* After the user has changed, which clears it. */
	if (result == 0 && stage->config->parent_death_signal &&
	    prctl(PR_SET_PDEATHSIG, (unsigned long)stage->config->parent_death_signal) < 0)
		result = error_set(err, ERROR_CONTAINER, errno, "set the parent's death signal");
	return result;
}

/* execvp's search, in the PATH that the process gets, with the error that says most. */
static int execute(const char *const *args, const char *const *environment)
{
	const char *path = environment_get(environment, "PATH");
	int best = ENOENT;
	char file[PATH_MAX];

	if (strchr(args[0], '/')) {
		execve(args[0], (char *const *)args, (char *const *)environment);
		return errno;
	}
	while (path) {
		size_t length = strcspn(path, ":");

		if (text_format(file, sizeof(file), "%.*s/%s", (int)length, length ? path : ".", args[0]) == 0) {
			execve(file, (char *const *)args, (char *const *)environment);
			if (errno != ENOENT && errno != ENOTDIR)
				best = errno;
		}
		path = path[length] == ':' ? path + length + 1 : NULL;
	}
	return best;
}

static const char **terminated(const struct decode_list *list, struct decode_memory *memory)
{
	const char **array = decode_alloc(memory, list->count + 1, sizeof(*array));

	if (array)
		memcpy(array, list->items, list->count * sizeof(*array));
	return array;
}

/* The gate is open: what is left of privileges goes, and the program comes. */
_Noreturn static void run_program(const struct stage *stage, const struct privileges *privileges, const char *const *args,
				  const char *const *environment)
{
	struct hooks_state state = describe(stage, "created");
	struct error err;
	int errnum = 0;
	int result = syscall_filter_load(stage->seccomp, &err);

	if (result == 0)
		result = privileges_release(privileges, &err);
	if (result == 0 && stage->rootfs)
		result = hooks_run(&stage->config->hooks.start_container, "Hooks.startContainer", &state, &err);
	if (result == 0) {
		if (stage->program >= 0)
			execveat(stage->program, "", (char *const *)args, (char *const *)environment, AT_EMPTY_PATH);
		errnum = stage->program >= 0 ? errno : execute(args, environment);
		error_set(&err, ERROR_EXEC, errnum, "execute %.200s", args[0]);
		error_step(&err, "execute the program");
	}
	send(stage->gate, &err, sizeof(err), MSG_NOSIGNAL);
	_exit(errnum == ENOENT ? 127 : 126);
}

_Noreturn void stage_run(const struct stage *stage)
{
	struct decode_memory memory = { 0 };
	struct error err = { 0 };
	int master = -1;

	close(stage->worker);
	prctl(PR_SET_DUMPABLE, 0);
	wait_for_byte(stage->sync);
	int result = prepare(stage, &master, &err);
	auto_free char *passwd = result == 0 ? read_passwd() : NULL;
	const char **environment = environment_make(stage->process, passwd, &memory);
	const char **args = terminated(&stage->process->args, &memory);
	const struct privileges privileges = wanted_privileges(stage);
	if (result == 0 && (!environment || !args))
		result = error_set(&err, ERROR_INTERNAL, ENOMEM, "arguments");
	if (result == 0)
		result = become_user(stage, &privileges, &err);
	/* Nothing of the agent's goes along. */
	if (result == 0 && close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
		result = error_set(&err, ERROR_CONTAINER, errno, "close descriptors");
	/* Changing the user made the process dumpable again. */
	prctl(PR_SET_DUMPABLE, 0);
	report(stage, result < 0 ? STAGE_FAILED : STAGE_READY, result < 0 ? &err : NULL, master);
	if (result < 0)
		_exit(125);
	close(stage->sync);
	wait_for_byte(stage->gate);
	run_program(stage, &privileges, args, environment);
}

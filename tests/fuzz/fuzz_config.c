/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/container/config.c agent/container/privileges.c agent/container/resources.c agent/container/validate.c */
/* links: agent/container/hooks.c agent/container/namespaces.c agent/container/network.c agent/container/scheduling.c */
/* links: agent/container/syscall_filter.c agent/container/sysctl.c agent/sys/links.c agent/sys/netlink.c agent/sys/libraries.c */
/* links: agent/sys/paths.c tests/fake/modules.c */
/* links: agent/container/environment.c */
/* links: agent/sys/labels.c */
/* fuzz: -max_len=16384 */
/* The container config and the process object.  The first byte says which of them the rest is. */
#include "fuzz/fuzz.h"

#include <sched.h>
#include <string.h>

#include "coffer/protocol.h"
#include "container/config.h"
#include "container/environment.h"

static void check_strings(const struct decode_list *list, size_t most)
{
	must_hold(list->count == 0 || list->items);
	for (size_t i = 0; i < list->count; i++)
		must_hold(strlen(((const char *const *)list->items)[i]) <= most);
}

static void check_capabilities(const struct privileges_capabilities *sets)
{
	must_hold((sets->effective & ~sets->permitted) == 0);
	must_hold((sets->permitted & ~sets->bounding) == 0);
	must_hold((sets->ambient & ~(sets->permitted & sets->inheritable)) == 0);
	must_hold((sets->bounding | sets->inheritable) >> 41 == 0);
}

static void check_rlimits(const struct decode_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct config_rlimit *limit = (const struct config_rlimit *)list->items + i;

		must_hold(limit->type >= 0 && limit->type < 16 && limit->soft <= limit->hard);
	}
}

#define ALL_NAMESPACES                                                                                                             \
	(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP | CLONE_NEWUSER |               \
	 0x80 /* TIME */)

static void check_config(const struct config *config)
{
	const struct namespaces *namespaces = &config->namespaces;
	must_hold((namespaces->create & CLONE_NEWNS) && !(namespaces->join & CLONE_NEWNS));
	must_hold((namespaces->create & namespaces->join) == 0);
	must_hold(((namespaces->create | namespaces->join) & ~(unsigned long)ALL_NAMESPACES) == 0);
	must_hold(!(namespaces->create & CLONE_NEWUSER) || (config->uid_mappings.count && config->gid_mappings.count));
	for (size_t i = 0; i < config->sysctl.count; i++) {
		const struct decode_pair *pair = (const struct decode_pair *)config->sysctl.items + i;

		must_hold(pair->key[0] != '/' && !strstr(pair->key, "//") && !strchr(pair->value, '\n'));
	}
	check_capabilities(&config->capabilities);
	check_rlimits(&config->rlimits);
	check_strings(&config->mask_paths, COFFER_PATH_MAX);
	check_strings(&config->readonly_paths, COFFER_PATH_MAX);
	for (size_t i = 0; i < config->mounts.count; i++) {
		const struct config_mount *mount = (const struct config_mount *)config->mounts.items + i;

		must_hold(mount->destination[0] == '/' && mount->device[0] && mount->flags >= 0 && mount->flags <= INT32_MAX);
	}
	for (size_t i = 0; i < config->devices.count; i++) {
		const struct config_device *device = (const struct config_device *)config->devices.items + i;

		must_hold(device->path[0] == '/' && strchr("bcp", (int)device->type) && device->major >= 0 && device->minor >= 0);
	}
	must_hold(config->oom_score_adj >= -1000 && config->oom_score_adj <= 1000);
	must_hold(config->cgroups.memory >= -1 && config->cgroups.pids_limit >= -1 && config->cgroups.cpu_shares <= 262144);
}

/* The environment that comes of it: each name once, all with an equals sign, the three that are always there. */
static void check_environment(const struct config_process *process, struct decode_memory *memory)
{
	const char **environment = environment_make(process, "root:x:0:0::/root:\nuser:x:1000:1000::/home/user:\n", memory);
	size_t count = 0;

	must_hold(environment);
	while (environment[count]) {
		must_hold(strchr(environment[count], '='));
		count++;
	}
	must_hold(count <= process->env.count + 3);
	must_hold(environment_get(environment, "PATH") && environment_get(environment, "HOME"));
	must_hold(!process->terminal || environment_get(environment, "TERM"));
	for (size_t i = 0; i < count && i < 64; i++) {
		char name[64];

		if ((size_t)snprintf(name, sizeof(name), "%.*s", (int)strcspn(environment[i], "="), environment[i]) <
			    sizeof(name) &&
		    name[0])
			must_hold(environment_get(environment, name) == environment[i] + strlen(name) + 1);
	}
}

static void check_process(const struct config_process *process, struct decode_memory *memory)
{
	must_hold(process->args.count >= 1 && process->args.count <= COFFER_ARGS_MAX);
	must_hold(((const char *const *)process->args.items)[0][0] != '\0');
	check_strings(&process->args, COFFER_STRING_MAX - 1);
	check_strings(&process->env, COFFER_STRING_MAX - 1);
	check_capabilities(&process->capabilities);
	check_rlimits(&process->rlimits);
	must_hold(!process->cwd || !process->cwd[0] || process->cwd[0] == '/');
	must_hold(process->uid < UINT32_MAX && process->gid < UINT32_MAX && process->umask <= 0777);
	must_hold(process->additional_groups.count <= 64);
	must_hold(process->stdio <= CONFIG_STDIO_NULL);
	check_environment(process, memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct decode_memory memory = { 0 };
	struct config_process process;
	struct config config;
	json_object *json;
	struct error err = { 0 };
	int result;

	if (size < 1 || decode_parse((const char *)data + 1, size - 1, &json, &err) < 0)
		return 0;
	if (data[0] % 2 == 0) {
		result = config_decode(json, &config, &memory, &err);
		if (result == 0)
			check_config(&config);
	} else {
		result = config_decode_process(json, &process, &memory, &err);
		if (result == 0)
			check_process(&process, &memory);
	}
	if (result < 0)
		must_hold((err.code == ERROR_PARAMS || err.code == ERROR_UNSUPPORTED_FIELD) && err.message[0] != '\0');
	json_object_put(json);
	decode_free(&memory);
	return 0;
}

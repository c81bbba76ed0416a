/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/oci_config.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "coffer/protocol.h"
#include "qemu/fail.h"
#include "qemu/oci_blob.h"

#define FIELD(type, key, kind_, member) .name = (key), .kind = (kind_), .offset = offsetof(struct type, member)
#define SCHEMA(rows, type)                                                                                                         \
	{                                                                                                                          \
		.fields = (rows), .count = array_count(rows), .size = sizeof(type)                                                 \
	}
#define TYPE_OF(member)     __typeof__(((struct oci_config *)NULL)->member)
#define BELOW(outer, inner) (offsetof(struct oci_config, outer.inner) - offsetof(struct oci_config, outer))

static int check_variable(const char *variable, struct error *err)
{
	/* Never quoted: it may be a secret. */
	return variable[0] == '=' || !strchr(variable, '=') ? error_field(err, "", "must be NAME=value") : 0;
}

static const struct decode_field digest_item = { .kind = DECODE_STRING, .flags = DECODE_REQUIRED, .check = oci_blob_check_digest };
static const struct decode_field text_item = { .kind = DECODE_STRING, .max = COFFER_STRING_MAX - 1 };
static const struct decode_field variable_item = {
	.kind = DECODE_STRING, .flags = DECODE_REQUIRED, .max = COFFER_STRING_MAX - 1, .check = check_variable
};

static const struct decode_field rootfs_fields[] = {
	{ .name = "type", .kind = DECODE_STRING, .offset = BELOW(rootfs, type) },
	{ .name = "diff_ids",
	  .kind = DECODE_LIST,
	  .offset = BELOW(rootfs, diff_ids),
	  .item = &digest_item,
	  .max = COFFER_LOWER_MAX },
};
static const struct decode_schema rootfs_schema = SCHEMA(rootfs_fields, TYPE_OF(rootfs));

static const struct decode_field run_fields[] = {
	{ .name = "User", .kind = DECODE_STRING, .offset = BELOW(run, user), .max = 256 },
	{ .name = "WorkingDir", .kind = DECODE_STRING, .offset = BELOW(run, working_dir), .check = decode_check_absolute },
	{ .name = "Env", .kind = DECODE_LIST, .offset = BELOW(run, env), .item = &variable_item, .max = OPTIONS_LIST_MAX },
	{ .name = "Entrypoint", .kind = DECODE_LIST, .offset = BELOW(run, entrypoint), .item = &text_item, .max = COFFER_ARGS_MAX },
	{ .name = "Cmd", .kind = DECODE_LIST, .offset = BELOW(run, cmd), .item = &text_item, .max = COFFER_ARGS_MAX },
};
static const struct decode_schema run_schema = SCHEMA(run_fields, TYPE_OF(run));

static const struct decode_field config_fields[] = {
	{ FIELD(oci_config, "architecture", DECODE_STRING, architecture), .flags = DECODE_REQUIRED, .max = 64 },
	{ FIELD(oci_config, "os", DECODE_STRING, os), .flags = DECODE_REQUIRED, .max = 64 },
	{ FIELD(oci_config, "rootfs", DECODE_OBJECT, rootfs), .flags = DECODE_REQUIRED, .schema = &rootfs_schema },
	{ FIELD(oci_config, "config", DECODE_OBJECT, run), .schema = &run_schema },
};
static const struct decode_schema config_schema = SCHEMA(config_fields, struct oci_config);

int oci_config_decode(json_object *json, const char *name, struct oci_config *config, struct decode_memory *memory,
		      struct error *err)
{
	int result = oci_blob_decode(json, name, &config_schema, config, memory, err);

	if (result == 0 && (!config->rootfs.type || strcmp(config->rootfs.type, "layers") != 0))
		result = fail_set(err, EINVAL, "%s: rootfs.type: must be \"layers\"", name);
	return result;
}

static const char *nonempty(const char *text)
{
	return text && text[0] ? text : NULL;
}

/* The command line's come last, and win. */
static int join_env(const struct decode_list *env, const struct options *options, struct options *own, struct error *err)
{
	if (env->count + options->env.count > OPTIONS_LIST_MAX)
		return fail_set(err, E2BIG, "the image and --env have more than %d variables together", OPTIONS_LIST_MAX);
	for (size_t i = 0; i < env->count; i++)
		own->env.items[i] = ((const char *const *)env->items)[i];
	for (size_t i = 0; i < options->env.count; i++)
		own->env.items[env->count + i] = options->env.items[i];
	own->env.count = env->count + options->env.count;
	return 0;
}

static int join_args(const struct oci_config *config, const struct options *options, struct options *own,
		     struct decode_memory *memory, struct error *err)
{
	const struct decode_list *first = &config->run.entrypoint, *then = &config->run.cmd;
	const struct decode_list given = { .items = options->rest, .count = options->rest_count };

	if (given.count > 0)
		then = &given;
	own->rest_count = first->count + then->count;
	if (own->rest_count == 0)
		return fail_set(err, EINVAL, "the image names no program (neither Entrypoint nor Cmd); put one behind `--`");
	char **rest = decode_alloc(memory, own->rest_count + 1, sizeof(*rest));
	if (!rest)
		return error_set(err, ERROR_HOST, ENOMEM, "arguments");
	if (first->count > 0)
		memcpy(rest, first->items, first->count * sizeof(*rest));
	if (then->count > 0)
		memcpy(rest + first->count, then->items, then->count * sizeof(*rest));
	own->rest = rest;
	return 0;
}

int oci_config_apply(const struct oci_config *config, const struct options *options, struct options *own,
		     struct decode_memory *memory, struct error *err)
{
	*own = *options;
	if (!own->cwd)
		own->cwd = nonempty(config->run.working_dir);
	if (!own->user)
		own->user = nonempty(config->run.user);
	int result = join_env(&config->run.env, options, own, err);
	return result < 0 ? result : join_args(config, options, own, memory, err);
}

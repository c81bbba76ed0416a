/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/rpc/layer_archives.c agent/layer/digest.c agent/sys/libraries.c */
#include "unit/test.h"

#include "rpc/layer_archives.h"
#include "rpc/layer_images.h"
#include "rpc/layers.h"
#include "rpc/results.h"
#include "service/exports.h"
#include "service/imports.h"

/* Which way the ranges of layer.import and layer.export go: on the wire both say "archive" and "tree". */

/* ---- around rpc/layer_archives.c ---- */

static struct id_range uids[2], gids[2];
static size_t uid_count, gid_count;

static void remember(const struct id_range *ranges, size_t count, struct id_range *to, size_t *to_count)
{
	assert_true(count <= 2);
	for (size_t i = 0; i < count; i++)
		to[i] = ranges[i];
	*to_count = count;
}

void imports_start(struct agent *agent, const struct imports_request *request, struct completion completion)
{
	(void)agent;
	(void)completion;
	remember(request->uids, request->uid_count, uids, &uid_count);
	remember(request->gids, request->gid_count, gids, &gid_count);
}

void exports_archive(struct agent *agent, const struct exports_request *request, struct completion completion)
{
	(void)agent;
	(void)completion;
	remember(request->uids, request->uid_count, uids, &uid_count);
	remember(request->gids, request->gid_count, gids, &gid_count);
}

void exports_changes(struct agent *agent, const struct exports_request *request, struct completion completion)
{
	exports_archive(agent, request, completion);
}

void exports_size(struct agent *agent, const char *id, struct completion completion)
{
	(void)agent;
	(void)id;
	(void)completion;
}

struct completion rpc_call_answer(struct rpc_call *call)
{
	return (struct completion){ .context = call };
}

const struct decode_schema params_key, rpc_layer_images_schema;

int rpc_layer_images_check(bool has_key, bool has_image, struct error *err)
{
	(void)has_key;
	(void)has_image;
	(void)err;
	return 0;
}

void rpc_layer_images_plan(const struct params_image *image, const struct key_request *key, struct image_plan *plan)
{
	(void)image;
	(void)key;
	(void)plan;
}

void rpc_layer_images_encode(struct encode *e, const struct image_plan *plan, const struct image_made *made)
{
	(void)e;
	(void)plan;
	(void)made;
}

void rpc_layers_encode_digest(struct encode *e, const char *key, const uint8_t digest[DIGEST_SIZE])
{
	(void)e;
	(void)key;
	(void)digest;
}

void rpc_layers_encode_facts(struct encode *e, const struct store_layer *facts)
{
	(void)e;
	(void)facts;
}

void rpc_results_steps(struct encode *e, const struct steps *steps)
{
	(void)e;
	(void)steps;
}

/* ---- tests ---- */

#define RANGES "\"uids\":[{\"archive\":1,\"tree\":20,\"count\":3},{\"archive\":400,\"tree\":5000,\"count\":60}],\"gids\":["

static void run(const char *text, const struct decode_schema *schema, void (*method)(struct rpc_call *call))
{
	struct rpc_call call = { .params = calloc(1, schema->size) };
	json_object *json;
	struct error err;

	assert_non_null(call.params);
	assert_worked(decode_parse(text, strlen(text), &json, &err), &err);
	assert_worked(decode_object(json, schema, call.params, &call.memory, &err), &err);
	method(&call);
	json_object_put(json);
	decode_free(&call.memory);
	free(call.params);
}

static void check_range(const struct id_range *range, unsigned from, unsigned to, unsigned count)
{
	assert_int_equal(range->from, from);
	assert_int_equal(range->to, to);
	assert_int_equal(range->count, count);
}

static void an_import_goes_into_the_tree(void **state)
{
	(void)state;
	run("{\"id\":\"l\",\"store\":\"s\"," RANGES "{\"count\":1,\"tree\":7,\"archive\":8}]}", &rpc_layer_archives_import_schema,
	    rpc_layer_archives_run_import);
	assert_int_equal(uid_count, 2);
	assert_int_equal(gid_count, 1);
	check_range(&uids[0], 1, 20, 3);
	check_range(&uids[1], 400, 5000, 60);
	check_range(&gids[0], 8, 7, 1);
}

static void an_export_goes_into_the_archive(void **state)
{
	(void)state;
	run("{\"id\":\"l\"," RANGES "{\"count\":1,\"tree\":7,\"archive\":8}]}", &rpc_layer_archives_export_schema,
	    rpc_layer_archives_run_export);
	assert_int_equal(uid_count, 2);
	assert_int_equal(gid_count, 1);
	check_range(&uids[0], 20, 1, 3);
	check_range(&uids[1], 5000, 400, 60);
	check_range(&gids[0], 7, 8, 1);
}

static void none_are_none(void **state)
{
	(void)state;
	run("{\"id\":\"l\",\"uids\":[]}", &rpc_layer_archives_export_schema, rpc_layer_archives_run_export);
	assert_int_equal(uid_count, 0);
	assert_int_equal(gid_count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_import_goes_into_the_tree),
		cmocka_unit_test(an_export_goes_into_the_archive),
		cmocka_unit_test(none_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "qemu/commands.h"
#include "qemu/containers.h"
#include "qemu/output.h"

#define PS_CONNECT_MS 10000

/* The arguments as one cell, cut where the screen would end anyway. */
static void add_args(struct output_table *table, json_object *process)
{
	json_object *args = client_array(process, "args");
	char text[160] = "";
	size_t used = 0;

	for (size_t i = 0; args && i < json_object_array_length(args) && used < sizeof(text) - 1; i++) {
		json_object *arg = json_object_array_get_idx(args, i);

		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", i ? " " : "", json_object_get_string(arg));
	}
	output_cell(table, "%s", text);
}

static void add_row(struct output_table *table, json_object *process, const char *prefix)
{
	int64_t code = client_number(process, "exit_code", -1);

	output_cell(table, "%s%s", prefix, client_string(process, "id"));
	output_cell(table, "%s", client_string(process, "state"));
	output_cell(table, "%" PRId64, client_number(process, "pid", 0));
	if (code >= 0)
		output_cell(table, "%" PRId64, code);
	else
		output_cell(table, "-");
	add_args(table, process);
}

static void print_table(json_object *list)
{
	struct output_table table = { .columns = 5 };

	output_cell(&table, "CONTAINER");
	output_cell(&table, "STATE");
	output_cell(&table, "PID");
	output_cell(&table, "EXIT");
	output_cell(&table, "COMMAND");
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		json_object *container = json_object_array_get_idx(list, i);
		json_object *execs = client_array(container, "execs");

		add_row(&table, container, "");
		for (size_t k = 0; execs && k < json_object_array_length(execs); k++)
			add_row(&table, json_object_array_get_idx(execs, k), "  ");
	}
	output_print(&table);
}

int ps_run(const struct options *options, struct error *err)
{
	struct vm vm;
	struct client client = CLIENT_NONE;
	json_object *answer = NULL, *list = NULL;
	int result = vm_find(options->words[0], &vm, err);

	if (result == 0)
		result = client_open(&vm, process_now() + PS_CONNECT_MS, &client, err);
	if (result == 0)
		result = containers_list(&client, "container.list", "containers", &answer, &list, err);
	client_close(&client);
	if (result < 0)
		return result;
	if (options->json)
		output_json(list);
	else if (json_object_array_length(list) == 0)
		fprintf(stderr, "coffer: no container in the VM %s; `coffer run %s ...` makes one\n", vm.name, vm.name);
	else
		print_table(list);
	json_object_put(answer);
	return 0;
}

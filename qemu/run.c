/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/decode.h"
#include "base/encode.h"
#include "base/text.h"
#include "qemu/bundle.h"
#include "qemu/commands.h"
#include "qemu/config.h"
#include "qemu/disk.h"
#include "qemu/fail.h"
#include "qemu/file.h"
#include "qemu/interrupt.h"
#include "qemu/made.h"
#include "qemu/oci_layout.h"
#include "qemu/pump.h"
#include "qemu/report.h"
#include "qemu/stack.h"
#include "qemu/step.h"
#include "qemu/terminal.h"
#include "qemu/throwaway.h"

#define RUN_CONNECT_MS   10000
#define RUN_SCRATCH_SIZE (64ull << 30)
#define RUN_NOT_FOUND    127 /* what shells and other container tools answer for such programs */
#define RUN_NOT_RUNNABLE 126

struct run {
	const struct options *options;
	struct options own;      /* those of a bundle's run: with its image; of an image's: with its config */
	struct bundle bundle;    /* of --oci */
	struct oci_layout image; /* of --image oci:... */
	struct vm vm;
	struct client client;
	struct stream stream;
	struct made_list made;
	struct progress progress;
	int interrupt;
	char tag[MADE_TAG_SIZE];
	char id[COFFER_ID_MAX + 1];
	const char *scratch; /* its file, without the size */
	char scratch_file[PATH_MAX];
	bool has_throwaway; /* the VM is this run's own */
};

/* One request of the run. */
static int call(struct run *run, const char *method, const char *what, struct encode *e, struct error *err)
{
	return step_call(&run->client, run->options->verbose, method, what, e, err);
}

static int plug(struct run *run, const char *file, bool is_readonly, const char *ending, struct error *err)
{
	struct vm_disk disk = { .readonly = is_readonly };
	int64_t began = step_clock();
	char line[256];

	if (!realpath(file, disk.file))
		return error_set(err, ERROR_HOST, errno, "%s", file);
	if (text_format(disk.serial, sizeof(disk.serial), "%s-%s", run->tag, ending) < 0)
		return error_set(err, ERROR_HOST, ENAMETOOLONG, "serial");
	int result = made_push(&run->made, MADE_DISK, disk.serial, err);
	if (result == 0)
		result = disk_plug(run->vm.name, &disk, err);
	if (result == 0 && run->options->verbose) {
		const char *slash = strrchr(file, '/');

		snprintf(line, sizeof(line), "plug %s%s", slash ? slash + 1 : file, is_readonly ? " (read-only)" : "");
		report_step(line, step_clock() - began, NULL);
	}
	return result;
}

static int make_sparse(const char *file, uint64_t size, struct error *err)
{
	fd_auto fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 && errno == EEXIST)
		return 0;
	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		return error_set(err, ERROR_HOST, errno, "make the scratch %s", file);
	return 0;
}

/* "FILE[,SIZE]": a missing FILE is made, sparse.  run->scratch becomes the file's name. */
static int prepare_scratch(struct run *run, struct error *err)
{
	char *comma = strrchr(run->options->scratch, ',');
	uint64_t size = RUN_SCRATCH_SIZE;

	if (comma) {
		int result = options_size(comma + 1, &size, err);

		if (result < 0)
			return error_wrap(err, "--scratch");
		*comma = '\0';
	}
	run->scratch = run->options->scratch;
	return make_sparse(run->scratch, size, err);
}

static int plug_all(struct run *run, struct error *err)
{
	int result = 0;
	char ending[24];

	for (size_t i = 0; i < run->options->images.count && result == 0; i++) {
		snprintf(ending, sizeof(ending), "%zu", i);
		result = plug(run, run->options->images.items[i], true, ending, err);
	}
	if (result == 0 && run->bundle.binds[0])
		result = plug(run, run->bundle.binds, true, MADE_BINDS_ENDING, err);
	return result < 0 ? result : plug(run, run->scratch, false, MADE_SCRATCH_ENDING, err);
}

/* The volume that `image build` wrote beside the image, with its source filled in. */
static int read_volume(const char *image, const char *serial, json_object **volume, struct error *err)
{
	char path[PATH_MAX], source[64];
	struct buf text = { 0 };

	if (text_format(path, sizeof(path), "%s.json", image) < 0)
		return error_set(err, ERROR_HOST, ENAMETOOLONG, "%s", image);
	int result = file_read_json(path, &text, err);
	if (result == 0)
		result = decode_parse(buf_bytes(&text), strlen(buf_bytes(&text)), volume, err);
	buf_free(&text);
	if (result < 0)
		return error_wrap(err, "the image's volume (`coffer image build` writes it)");
	if (!json_object_is_type(*volume, json_type_object)) {
		json_object_put(*volume);
		return fail_set(err, EINVAL, "%s holds no object", path);
	}
	snprintf(source, sizeof(source), "serial:%s", serial);
	json_object_object_add(*volume, "source", json_object_new_string(source));
	return 0;
}

static int attach_one(struct run *run, const char *image, const char *volume_id, struct error *err)
{
	struct buf buf = { 0 };
	struct encode e = { .buf = &buf };
	json_object *volume = NULL;
	int result = read_volume(image, volume_id, &volume, err);

	if (result < 0)
		return result;
	const char *text = json_object_to_json_string_ext(volume, JSON_C_TO_STRING_PLAIN);
	encode_open(&e, NULL, '{');
	encode_string(&e, "id", volume_id);
	encode_raw(&e, "volume", text, strlen(text));
	encode_close(&e, '}');
	json_object_put(volume);
	result = made_push(&run->made, MADE_VOLUME, volume_id, err);
	return result < 0 ? result : call(run, "volume.attach", image, &e, err);
}

static int attach_all(struct run *run, struct error *err)
{
	int result = 0;

	for (size_t i = 0; i < run->options->images.count && result == 0; i++) {
		char volume_id[COFFER_ID_MAX + 1];

		snprintf(volume_id, sizeof(volume_id), "%s-%zu", run->tag, i);
		result = attach_one(run, run->options->images.items[i], volume_id, err);
	}
	if (result == 0 && run->bundle.binds[0]) {
		char volume_id[COFFER_ID_MAX + 1];

		snprintf(volume_id, sizeof(volume_id), "%s-" MADE_BINDS_ENDING, run->tag);
		result = attach_one(run, run->bundle.binds, volume_id, err);
	}
	/* QEMU has them open; their names are not needed any more, however this run ends. */
	bundle_discard(&run->bundle);
	return result;
}

static int make_scratch(struct run *run, struct error *err)
{
	struct buf buf = { 0 };
	struct encode e = { .buf = &buf };
	char id[COFFER_ID_MAX + 1];

	snprintf(id, sizeof(id), "%s-" MADE_SCRATCH_ENDING, run->tag);
	encode_open(&e, NULL, '{');
	encode_string(&e, "id", id);
	encode_open(&e, "device", '{');
	encode_string(&e, "serial", id);
	encode_close(&e, '}');
	encode_close(&e, '}');
	int result = made_push(&run->made, MADE_SCRATCH, id, err);
	return result < 0 ? result : call(run, "scratch.create", run->scratch, &e, err);
}

static bool has_layers(const struct run *run)
{
	return run->options->layers.count || run->image.layer_count;
}

static int make_layers(struct run *run, struct error *err)
{
	const struct options *options = run->options;

	if (!has_layers(run))
		return 0;
	return stack_make(options, run->image.layer_count ? &run->image : NULL, &run->vm, &run->client, run->tag, &run->made, err);
}

static void encode_lower(struct run *run, struct encode *e)
{
	char id[COFFER_ID_MAX + 1];

	encode_open(e, "lower", '[');
	for (size_t i = 0; i < run->options->images.count; i++) {
		snprintf(id, sizeof(id), "%s-%zu", run->tag, i);
		encode_string(e, NULL, id);
	}
	encode_close(e, ']');
	snprintf(id, sizeof(id), "%s-" MADE_SCRATCH_ENDING, run->tag);
	encode_string(e, "scratch", id);
}

static int make_rootfs(struct run *run, struct error *err)
{
	struct buf buf = { 0 };
	struct encode e = { .buf = &buf };
	char top[COFFER_ID_MAX + 1];

	snprintf(top, sizeof(top), "%s-" MADE_TOP_ENDING, run->tag);
	encode_open(&e, NULL, '{');
	encode_string(&e, "id", run->tag);
	if (has_layers(run))
		encode_string(&e, "layer", top);
	else
		encode_lower(run, &e);
	encode_close(&e, '}');
	int result = made_push(&run->made, MADE_ROOTFS, run->tag, err);
	return result < 0 ? result : call(run, "rootfs.create", run->tag, &e, err);
}

static int write_spec(struct run *run, struct encode *e, struct error *err)
{
	struct buf text = { 0 };
	char binds[COFFER_ID_MAX + 1];

	snprintf(binds, sizeof(binds), "%s-" MADE_BINDS_ENDING, run->tag);
	int result = config_check_texts(run->options, err);
	if (result == 0)
		result = bundle_text(&run->bundle, binds, run->options->rest_count ? run->options->rest : NULL, &text, err);
	if (result == 0)
		encode_raw(e, "spec", buf_bytes(&text), buf_length(&text));
	if (result == 0 && run->options->detach)
		encode_string(e, "stdio", "log");
	buf_free(&text);
	return result;
}

static int make_container(struct run *run, struct error *err)
{
	struct buf buf = { 0 };
	struct encode e = { .buf = &buf };

	encode_open(&e, NULL, '{');
	encode_string(&e, "id", run->id);
	encode_string(&e, "rootfs", run->tag);
	int result = run->options->oci ? write_spec(run, &e, err) : config_write(&e, run->options, run->id, err);
	if (result == 0 && !run->options->oci)
		result = config_process(&e, run->options, run->options->detach, err);
	encode_close(&e, '}');
	if (result < 0) {
		buf_free(&buf);
		return result;
	}
	/* Not pushed when it exists already: then it is somebody else's, and undoing would remove it. */
	result = made_push(&run->made, MADE_CONTAINER, run->id, err);
	if (result == 0)
		result = call(run, "container.create", run->id, &e, err);
	if (result < 0 && err->code == ERROR_EXISTS)
		run->made.count--;
	return result;
}

/* The document may say another size than our terminal's, or none. */
static int resize(struct run *run, struct error *err)
{
	struct buf buf = { 0 };
	struct encode e = { .buf = &buf };
	unsigned width, height;

	if (!run->options->oci || !run->stream.terminal || !terminal_size(&width, &height))
		return 0;
	encode_open(&e, NULL, '{');
	encode_string(&e, "id", run->id);
	encode_uint(&e, "width", width);
	encode_uint(&e, "height", height);
	encode_close(&e, '}');
	return call(run, "container.resize", run->id, &e, err);
}

/* The stream is taken before the program runs, so that it never waits for us. */
static int start(struct run *run, struct error *err)
{
	struct buf buf = { 0 };
	struct encode e = { .buf = &buf };
	int result = run->options->detach ? 0 : stream_open(&run->vm, run->id, NULL, &run->stream, err);

	if (result == 0)
		result = resize(run, err);
	if (result < 0)
		return result;
	encode_open(&e, NULL, '{');
	encode_string(&e, "id", run->id);
	encode_close(&e, '}');
	return call(run, "container.start", run->id, &e, err);
}

static int (*const steps[])(struct run *run, struct error *err) = {
	plug_all, attach_all, make_scratch, make_layers, make_rootfs, make_container, start,
};

/* Returns the exit code, or a negative errno. */
static int work(struct run *run, struct error *err)
{
	struct pump pump = { .client = &run->client, .stream = &run->stream, .container = run->id, .interrupt = run->interrupt };
	int64_t began = step_clock();

	for (size_t i = 0; i < array_count(steps); i++) {
		int signal = run->client.signal ? run->client.signal : interrupt_wanted(run->interrupt);

		if (signal)
			return 128 + signal;
		int result = steps[i](run, err);
		if (result < 0 && err->code == ERROR_EXEC) {
			fprintf(stderr, "coffer: %s: %s\n",
				run->options->rest_count ? run->options->rest[0] : bundle_program(&run->bundle), err->message);
			return err->errnum == ENOENT ? RUN_NOT_FOUND : RUN_NOT_RUNNABLE;
		}
		if (result < 0)
			return result;
	}
	/* It runs already: the signal is now the program's. */
	pump.first_signal = run->client.signal;
	if (run->options->verbose)
		report_step("the program runs after", step_clock() - began, NULL);
	return run->options->detach ? 0 : pump_run(&pump, err);
}

static int check_bundle(struct run *run, struct error *err)
{
	const struct options *options = run->options;

	if (options->images.count || options->config || options->env.count || options->cwd || options->user || options->hostname ||
	    options->memory_limit || options->tty)
		return fail_set(
			err, EINVAL,
			"--image, --config, --env, --cwd, --user, --hostname, --memory-limit and --tty do not go with --oci: "
			"the bundle's config.json says all that");
	int result = bundle_open(options->oci, &run->bundle, err);
	if (result < 0)
		return result;
	if (options->word_count == 0 && (options->detach || options->keep))
		return fail_set(err, EINVAL, "--detach and --keep need the name of a VM that stays");
	if (run->bundle.terminal && options->detach)
		return fail_set(err, EINVAL, "--detach does not go with process.terminal of %s/config.json", options->oci);
	if (run->bundle.terminal && !isatty(STDIN_FILENO))
		return fail_set(err, ENOTTY, "%s/config.json wants a terminal (process.terminal), and standard input is none",
				options->oci);
	return 0;
}

static int check_images(const struct options *options, struct error *err)
{
	if (options->images.count == 0 || !options->scratch)
		return fail_set(err, EINVAL,
				"--image or --layers, with --scratch, or --oci is needed; `coffer run --help` tells more");
	if (options->images.count > COFFER_LOWER_MAX)
		return fail_set(err, E2BIG, "at most %d images", COFFER_LOWER_MAX);
	for (size_t i = 0; i < options->images.count; i++) {
		char path[PATH_MAX];

		if (text_format(path, sizeof(path), "%s.json", options->images.items[i]) < 0 || access(path, R_OK) < 0)
			return error_set(err, ERROR_HOST, errno, "%s.json, which `coffer image build` writes beside the image",
					 options->images.items[i]);
	}
	return 0;
}

static bool names_layout(const struct options *options)
{
	for (size_t i = 0; i < options->images.count; i++) {
		if (oci_layout_is(options->images.items[i]))
			return true;
	}
	return false;
}

/* From here on the options are those of the command line with the image's own words. */
static int check_layout(struct run *run, struct error *err)
{
	const struct options *options = run->options;

	if (options->images.count != 1 || options->layers.count || options->oci)
		return fail_set(err, EINVAL, "--image oci:FOLDER goes with no other --image, and not with --layers or --oci");
	if (!options->scratch)
		return fail_set(err, EINVAL, "--image oci:FOLDER needs --scratch, where the layers are unpacked");
	if (options->word_count == 0 && (options->detach || options->keep))
		return fail_set(err, EINVAL, "--detach and --keep need the name of a VM that stays");
	int result = oci_layout_open(options->images.items[0], NULL, &run->image, err);
	if (result == 0)
		result = oci_config_apply(&run->image.config, options, &run->own, &run->image.memory, err);
	if (result < 0)
		return result;
	run->own.images.count = 0;
	run->options = &run->own;
	return 0;
}

static int check_parts(struct run *run, struct error *err)
{
	const struct options *options = run->options;

	if (names_layout(options))
		return check_layout(run, err);
	if (options->layers.count)
		return stack_check(options, err);
	return options->oci ? check_bundle(run, err) : check_images(options, err);
}

static int check(struct run *run, struct error *err)
{
	int result = check_parts(run, err);
	const struct options *options = run->options;

	if (result < 0)
		return result;
	if (options->detach && options->tty)
		return fail_set(err, EINVAL, "--detach and --tty do not go together");
	if (options->id && decode_check_id(options->id, err) < 0)
		return error_wrap(err, "--id %s", options->id);
	result = made_tag(run->tag, err);
	snprintf(run->id, sizeof(run->id), "%s", options->id ? options->id : run->tag);
	return result < 0 || options->word_count == 0 ? result : vm_find(options->words[0], &run->vm, err);
}

/* Named as the run is. */
static int start_own(struct run *run, struct error *err)
{
	int64_t began = step_clock();

	run->has_throwaway = true;
	int result = throwaway_start(run->tag, run->interrupt, err);
	if (result == 0)
		result = vm_find(run->tag, &run->vm, err);
	if (result == 0 && run->options->verbose)
		report_step("start a VM", step_clock() - began, NULL);
	return result;
}

/* A bundle's files become images; without --scratch its scratch is a temporary file too. */
static int prepare_bundle(struct run *run, struct error *err)
{
	int64_t began = step_clock();
	int result = bundle_make(&run->bundle, run->interrupt, err);

	if (result < 0)
		return result;
	run->own = *run->options;
	run->own.images.items[0] = run->bundle.image;
	run->own.images.count = 1;
	if (!run->own.scratch) {
		if (text_format(run->scratch_file, sizeof(run->scratch_file), "%s/scratch.img", run->bundle.folder) < 0)
			return error_set(err, ERROR_HOST, ENAMETOOLONG, "%s", run->bundle.folder);
		run->own.scratch = run->scratch_file;
	}
	run->options = &run->own;
	if (run->options->verbose)
		report_step("make images of the bundle", step_clock() - began, NULL);
	return 0;
}

static int prepare(struct run *run, struct error *err)
{
	int result = check(run, err);

	if (result == 0)
		result = interrupt_open(&run->interrupt, err);
	if (result == 0 && run->options->oci)
		result = prepare_bundle(run, err);
	if (result == 0)
		result = prepare_scratch(run, err);
	if (result == 0 && run->options->word_count == 0)
		result = start_own(run, err);
	return result < 0 ? result : client_open(&run->vm, process_now() + RUN_CONNECT_MS, &run->client, err);
}

static int run_whole(struct run *run, struct error *err)
{
	struct error why;
	int result = prepare(run, err);

	if (result < 0)
		return result;
	run->client.progress = &run->progress;
	run->client.interrupt = run->interrupt;
	result = work(run, err);
	bool stays = result >= 0 && (run->options->keep || run->options->detach);
	stream_close(&run->stream);
	client_close(&run->client);
	if (result < 0 && !vm_alive(&run->vm))
		error_wrap(err, "the VM %s has ended", run->vm.name);
	if (stays)
		fprintf(stderr, "coffer: container %s stays; `coffer remove --force %s %s` removes it\n", run->id, run->vm.name,
			run->id);
	else if (!run->has_throwaway && made_undo(&run->made, &run->vm, false, &why) < 0) {
		fprintf(stderr, "coffer: not everything could be undone: %s\n", why.message);
		if (result >= 0)
			result = 125;
	}
	return result;
}

int run_run(const struct options *options, struct error *err)
{
	struct run run = {
		.options = options, .client = CLIENT_NONE, .stream = STREAM_NONE, .interrupt = -1, .image = OCI_LAYOUT_NONE
	};
	int result = run_whole(&run, err);

	bundle_close(&run.bundle);
	oci_layout_close(&run.image);
	if (run.has_throwaway)
		throwaway_stop(run.tag, run.vm.name[0] != '\0');
	close_fd(&run.interrupt);
	return result;
}

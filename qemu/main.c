/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "qemu/commands.h"

#ifndef COFFER_VERSION
#define COFFER_VERSION "0.1.0"
#endif

#define MAIN_USAGE   2   /* the command line is wrong */
#define MAIN_FAILURE 1   /* coffer could not do it */
#define MAIN_BROKEN  125 /* the same for commands whose code is otherwise the program's own in the container */

#define FLAG(option, member, text)                                                                                                 \
	{                                                                                                                          \
		.name = option, .kind = OPTIONS_FLAG, .offset = offsetof(struct options, member), .help = text                     \
	}
#define TEXT(option, member, word, text)                                                                                           \
	{                                                                                                                          \
		.name = option, .kind = OPTIONS_STRING, .offset = offsetof(struct options, member), .operand = word, .help = text  \
	}
#define MANY(option, member, word, text)                                                                                           \
	{                                                                                                                          \
		.name = option, .kind = OPTIONS_LIST, .offset = offsetof(struct options, member), .operand = word, .help = text    \
	}
#define COMMAS(option, member, word, text)                                                                                         \
	{                                                                                                                          \
		.name = option, .kind = OPTIONS_COMMAS, .offset = offsetof(struct options, member), .operand = word, .help = text  \
	}
#define NUMBER(option, type, member, low, high, word, text)                                                                        \
	{                                                                                                                          \
		.name = option, .kind = type, .offset = offsetof(struct options, member), .min = low, .max = high,                 \
		.operand = word, .help = text                                                                                      \
	}

#define TIMEOUT(text) NUMBER("timeout", OPTIONS_SECONDS, timeout, 1, 0, "SECONDS", text)
#define JSON(text)    FLAG("json", json, text)

static const struct options_row start_rows[] = {
	NUMBER("memory", OPTIONS_SIZE, memory, 64ull << 20, 1ull << 44, "SIZE", "the VM's memory (512M)"),
	NUMBER("cpus", OPTIONS_NUMBER, cpus, 1, 255, "N", "virtual processors (2)"),
	TEXT("kernel", kernel, "FILE", "Linux kernel ($COFFER_KERNEL, else vmlinuz beside coffer)"),
	TEXT("initrd", initrd, "FILE", "initramfs ($COFFER_INITRD, else initramfs.cpio.zst beside coffer)"),
	TEXT("append", append, "WORDS", "more words for the kernel's command line"),
	TEXT("accel", accel, "auto|tcg|kvm", "auto: KVM if a trial boot with it succeeds, else emulation"),
	MANY("disk", disks, "FILE[,ro][,serial=S][,bus=BUS][,scsi=ID:LUN]",
	     "a disk, or an NBD URL, on virtio-blk, virtio-scsi, nvme or nvdimm; may be given again"),
	TIMEOUT("how long the agent may take to say hello (60)"),
	JSON("print the VM as JSON"),
};

static const struct options_row stop_rows[] = {
	FLAG("force", force, "kill it at once"),
	FLAG("all", all, "every VM"),
	TIMEOUT("how long its agent may take to shut down before it is forced (20)"),
};

static const struct options_row list_rows[] = { JSON("an array of objects") };

static const struct options_row console_rows[] = { FLAG("follow", follow, "go on until the VM ends") };

static const struct options_row call_rows[] = { TIMEOUT("give up after this time (never)") };

static const struct options_row run_rows[] = {
	COMMAS("image", images, "FILE[,...]|oci:FOLDER[:REF]",
	       "images made by `coffer image build`, the top layer first; or an image of an OCI layout, run with its own config"),
	COMMAS("layers", layers, "FILE[,...]",
	       "OCI layer archives (tar, plain, gzip or zstd), the top layer first; unpacked in the VM, onto the scratch"),
	TEXT("oci", oci, "BUNDLE", "an OCI bundle: its root file system and its config.json, in place of --image and the rest"),
	TEXT("scratch", scratch, "FILE[,SIZE]", "disk for the container's writes; made when missing, sparse (64G)"),
	TEXT("config", config, "FILE", "libcontainer configuration, taken as it is, in place of the default one"),
	MANY("env", env, "NAME[=VALUE]", "a variable; without a value, coffer's own; may be given again"),
	TEXT("cwd", cwd, "PATH", "the program's working folder (/)"),
	TEXT("user", user, "USER[:GROUP]", "names, as the image has them, or numbers (0:0)"),
	TEXT("hostname", hostname, "NAME", "the container's host name (its id)"),
	NUMBER("memory-limit", OPTIONS_SIZE, memory_limit, 1ull << 20, 1ull << 44, "SIZE", "memory of the container"),
	FLAG("tty", tty, "a terminal is the program's input and output"),
	TEXT("id", id, "ID", "the container's id (a random one)"),
	FLAG("keep", keep, "leave everything in place when the program ends; `coffer remove` undoes it"),
	FLAG("detach", detach, "return once it has started; `coffer logs` shows its output, `coffer remove` ends it"),
	FLAG("verbose", verbose, "show each step with its time and the bytes that it wrote"),
};

static const struct options_row exec_rows[] = {
	MANY("env", env, "NAME[=VALUE]", "a variable; without a value, coffer's own; may be given again"),
	TEXT("cwd", cwd, "PATH", "the program's working folder (/)"),
	TEXT("user", user, "USER[:GROUP]", "names, as the image has them, or numbers (0:0)"),
	FLAG("tty", tty, "a terminal is the program's input and output"),
};

static const struct options_row ps_rows[] = { JSON("the array of docs/PROTOCOL.md's container.list") };

static const struct options_row kill_rows[] = { FLAG("all", all, "every process in the container") };

static const struct options_row logs_rows[] = { FLAG("follow", follow, "go on as more comes") };

static const struct options_row stats_rows[] = { JSON("the object of docs/PROTOCOL.md's container.stats") };

static const struct options_row events_rows[] = { JSON("one object a line") };

static const struct options_row remove_rows[] = { FLAG("force", force, "kill it if it runs") };

static const struct options_row build_rows[] = {
	TEXT("fs", fs, "erofs|squashfs|ext4", "the file system (erofs)"),
	TEXT("salt", salt, "HEX", "salt of the hash tree, for a reproducible root hash (random); - for none"),
	NUMBER("data-block", OPTIONS_NUMBER, data_block, 512, 4096, "512|4096", "bytes that one hash covers (4096)"),
	FLAG("no-superblock", no_superblock, "leave out the hash area's superblock"),
};

static const struct options_row layer_open_rows[] = {
	TEXT("scratch", scratch, "ID", "the scratch that it lies on: gone with the VM"),
	TEXT("volume", volume, "ID", "the encrypted volume that it lies on"),
	JSON("print the answer of docs/PROTOCOL.md's layer.open"),
};

static const struct options_row layer_import_rows[] = {
	TEXT("store", store, "STORE", "the store that it goes to"),
	TEXT("parent", parent, "LAYER", "the layer that it stands on"),
	TEXT("digest", digest, "sha256:HEX", "of the file as it is; another one is refused"),
	TEXT("diff-id", diff_id, "sha256:HEX", "of the archive in it; another one is refused"),
	FLAG("devices", devices, "make the device nodes that it holds, in place of refusing them"),
	FLAG("seal", seal, "keep it as an image with dm-verity, so that nobody changes it unnoticed"),
	TEXT("key-file", key_file, "FILE", "its own key, 32 to 64 bytes: it is encrypted with that, and locked"),
	TEXT("passphrase-file", passphrase_file, "FILE", "the same with a passphrase"),
	TEXT("size", size, "SIZE", "with a key: how much it may hold, in a file of the store (64m, \"1.5 GiB\")"),
	TEXT("device", device, "SERIAL", "with a key, in place of --size: it lies on all of this disk"),
	JSON("print the answer of docs/PROTOCOL.md's layer.import"),
};

static const struct options_row layer_unlock_rows[] = {
	TEXT("key-file", key_file, "FILE", "its key, 32 to 64 bytes"),
	TEXT("passphrase-file", passphrase_file, "FILE", "its passphrase"),
	TEXT("device", device, "SERIAL", "the disk that it lies on, if it does not lie in the store"),
	JSON("print the answer of docs/PROTOCOL.md's layer.unlock"),
};

static const struct options_row image_import_rows[] = {
	TEXT("store", store, "STORE", "the store that its layers go to"),
	TEXT("name", name, "LAYER", "the id of its top layer (one made of the store's name and the digests)"),
	TEXT("platform", platform, "OS/ARCH", "which of the image's platforms (linux, and this machine's)"),
	FLAG("devices", devices, "make the device nodes that its layers hold, in place of refusing them"),
	FLAG("seal", seal, "keep each layer as an image with dm-verity, so that nobody changes it unnoticed"),
	JSON("print the layers, and which of them were there already"),
	FLAG("verbose", verbose, "show each layer with its time and the bytes that it wrote"),
};

static const struct options_row layer_list_rows[] = { JSON("the array of docs/PROTOCOL.md's layer.list") };

#define ROWS(rows) rows, array_count(rows)
#define NO_ROWS    NULL, 0

static const struct options_command commands[] = {
	{ "vm start", "NAME [OPTION]...", "Start a utility VM and wait until its agent says hello.", ROWS(start_rows), 1, 1, false,
	  start_run, MAIN_FAILURE },
	{ "vm stop", "NAME | --all", "Stop a VM: by its agent, else by its power button, else by force.", ROWS(stop_rows), 0, 1,
	  false, stop_run, MAIN_FAILURE },
	{ "vm list", "[--json]", "List the VMs; clean up after those that have died.", ROWS(list_rows), 0, 0, false, list_run,
	  MAIN_FAILURE },
	{ "vm console", "NAME [--follow]", "Show what the VM wrote to its serial console.", ROWS(console_rows), 1, 1, false,
	  console_run, MAIN_FAILURE },
	{ "disk add", "NAME FILE[,ro],serial=S[,bus=BUS][,scsi=ID:LUN]",
	  "Plug a disk into a running VM, on virtio-blk, virtio-scsi or nvme. FILE may be nbd+unix:///EXPORT?socket=PATH.", NO_ROWS,
	  2, 2, false, plug_add, MAIN_FAILURE },
	{ "disk resize", "NAME SERIAL SIZE", "Change the size of a disk while the VM runs.", NO_ROWS, 3, 3, false, plug_resize,
	  MAIN_FAILURE },
	{ "disk remove", "NAME SERIAL", "Unplug a disk and wait until the guest has let go of it.", NO_ROWS, 2, 2, false,
	  plug_remove, MAIN_FAILURE },
	{ "call", "NAME METHOD [JSON|-]",
	  "Send the agent one request. The result goes to standard output, an error object to standard error.", ROWS(call_rows), 2,
	  3, false, call_run, MAIN_FAILURE },
	{ "run",
	  "NAME --image FILE[,...] --scratch FILE[,SIZE] [OPTION]... -- PROGRAM [ARGUMENT]...\n"
	  "       coffer run [NAME] --image oci:FOLDER[:REF] --scratch FILE[,SIZE] [OPTION]... [-- ARGUMENT...]\n"
	  "       coffer run NAME --layers FILE[,...] --scratch FILE[,SIZE] [OPTION]... -- PROGRAM [ARGUMENT]...\n"
	  "       coffer run [NAME] --oci BUNDLE [OPTION]... [-- PROGRAM [ARGUMENT]...]",
	  "Run a program in a new container: plug and attach its images, or import its layers, make its scratch, stream its input "
	  "and output,\n"
	  "exit with its code, and undo all of it.",
	  ROWS(run_rows), 1, 1, true, run_run, MAIN_BROKEN },
	{ "exec", "NAME CONTAINER [OPTION]... -- PROGRAM [ARGUMENT]...", "Run a further program in a running container.",
	  ROWS(exec_rows), 2, 2, true, exec_run, MAIN_BROKEN },
	{ "ps", "NAME [--json]", "List the containers of a VM and the further programs in them.", ROWS(ps_rows), 1, 1, false,
	  ps_run, MAIN_FAILURE },
	{ "kill", "NAME CONTAINER [SIGNAL] [--all]", "Send a signal, TERM if none is named, by name or number.", ROWS(kill_rows), 2,
	  3, false, kill_run, MAIN_FAILURE },
	{ "logs", "NAME [CONTAINER] [--follow]", "Show a detached container's output; with no container, the agent's log.",
	  ROWS(logs_rows), 1, 2, false, logs_run, MAIN_FAILURE },
	{ "stats", "NAME CONTAINER [--json]", "Show what a container uses of processors, memory and disks.", ROWS(stats_rows), 2, 2,
	  false, stats_run, MAIN_FAILURE },
	{ "events", "NAME [--json]", "Show what happens to containers, as it happens.", ROWS(events_rows), 1, 1, false, events_run,
	  MAIN_FAILURE },
	{ "pause", "NAME CONTAINER", "Make every process of a container stand still.", NO_ROWS, 2, 2, false, pause_run,
	  MAIN_FAILURE },
	{ "resume", "NAME CONTAINER", "Let a paused container go on.", NO_ROWS, 2, 2, false, pause_resume, MAIN_FAILURE },
	{ "update", "NAME CONTAINER JSON|-", "Change the limits of a container: the keys of `cgroups` in docs/CONFIG.md.", NO_ROWS,
	  3, 3, false, update_run, MAIN_FAILURE },
	{ "remove", "NAME CONTAINER [--force]", "Remove a container that `coffer run` made, with its disks.", ROWS(remove_rows), 2,
	  2, false, remove_run, MAIN_FAILURE },
	{ "layer open", "NAME STORE --scratch ID | --volume ID",
	  "Open a store of layers; what was left half made in it is removed.", ROWS(layer_open_rows), 2, 2, false, layer_open,
	  MAIN_FAILURE },
	{ "layer close", "NAME STORE", "Close a store; its layers stay where they are.", NO_ROWS, 2, 2, false, layer_close,
	  MAIN_FAILURE },
	{ "layer import", "NAME LAYER FILE|- --store STORE [--parent LAYER] [OPTION]...",
	  "Make a layer of an OCI layer archive: tar, plain or packed by gzip or zstd. Prints its id and diff id.",
	  ROWS(layer_import_rows), 3, 3, false, layer_import, MAIN_FAILURE },
	{ "layer unlock", "NAME LAYER --key-file FILE | --passphrase-file FILE [--device SERIAL]",
	  "Open a layer that has a key of its own.", ROWS(layer_unlock_rows), 2, 2, false, layer_unlock, MAIN_FAILURE },
	{ "layer lock", "NAME LAYER", "Close a layer that has a key of its own.", NO_ROWS, 2, 2, false, layer_lock, MAIN_FAILURE },
	{ "layer export", "NAME LAYER [FILE|-]", "Write a layer as an OCI layer archive, not packed.", NO_ROWS, 2, 3, false,
	  layer_export, MAIN_FAILURE },
	{ "layer changes", "NAME LAYER", "Show what a layer changes, a JSON object a line.", NO_ROWS, 2, 2, false, layer_changes,
	  MAIN_FAILURE },
	{ "layer diff", "NAME LAYER", "Show what a layer changes: A is added, C is changed, D is deleted.", NO_ROWS, 2, 2, false,
	  layer_diff, MAIN_FAILURE },
	{ "layer list", "NAME [--json]", "List the layers of all stores of a VM.", ROWS(layer_list_rows), 1, 1, false, layer_list,
	  MAIN_FAILURE },
	{ "layer remove", "NAME LAYER", "Remove a layer that nothing stands on.", NO_ROWS, 2, 2, false, layer_remove,
	  MAIN_FAILURE },
	{ "image build", "FOLDER|TAR OUT [OPTION]...",
	  "Make a verified image: a file system, and behind it its hash tree. OUT.json, also printed, is its Kata volume.",
	  ROWS(build_rows), 2, 2, false, image_build, MAIN_FAILURE },
	{ "image import", "NAME oci:FOLDER[:REF] --store STORE [OPTION]...",
	  "Bring the layers of an image into a store; what is there already is not sent again. Prints the top layer's id.",
	  ROWS(image_import_rows), 2, 2, false, image_import, MAIN_FAILURE },
};

static void usage(FILE *to)
{
	fprintf(to, "Usage: coffer COMMAND ...\n\nConfidential utility VMs and the containers in them.\n\nCommands:\n");
	for (size_t i = 0; i < array_count(commands); i++) {
		size_t length = strcspn(commands[i].summary, ".:");

		fprintf(to, "  %-12s %.*s\n", commands[i].name, (int)length, commands[i].summary);
	}
	fprintf(to, "\n`coffer COMMAND --help` tells more; coffer(1) tells all. --version prints the version.\n");
}

/* A command's name is one word or two; *argv moves behind it. */
static const struct options_command *find_command(char ***argv)
{
	for (size_t i = 0; i < array_count(commands); i++) {
		const char *name = commands[i].name, *space = strchr(name, ' ');
		size_t first = space ? (size_t)(space - name) : strlen(name);

		if (strlen((*argv)[0]) != first || strncmp((*argv)[0], name, first) != 0)
			continue;
		if (space && (!(*argv)[1] || strcmp((*argv)[1], space + 1) != 0))
			continue;
		*argv += space ? 2 : 1;
		return &commands[i];
	}
	return NULL;
}

/* "vm" alone, or "vm foo": the commands that begin so are shown. */
static void print_unknown(char **argv)
{
	size_t length = strlen(argv[0]);
	bool any = false;

	for (size_t i = 0; i < array_count(commands); i++) {
		if (strncmp(commands[i].name, argv[0], length) != 0 || commands[i].name[length] != ' ')
			continue;
		fprintf(stderr, "%s coffer %s %s\n", any ? "      " : "Usage:", commands[i].name, commands[i].arguments);
		any = true;
	}
	if (!any)
		fprintf(stderr, "coffer: there is no command '%s'; `coffer --help` lists them\n", argv[0]);
}

static void print_error(const struct error *err)
{
	char text[sizeof(err->message) + sizeof(err->field) + sizeof(err->step) + 8];

	error_text(err, text, sizeof(text));
	fprintf(stderr, "coffer: %s\n", text);
}

/* A descriptor that is missing would be given to the next file or socket that is opened. */
static bool open_standard(void)
{
	for (int fd = 0; fd <= 2; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY) != fd)
			return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	struct options options;
	struct error err = { 0 };

	(void)argc;
	if (!open_standard())
		return MAIN_FAILURE;
	/* Sockets and pipes whose other side has gone are errors like others. */
	signal(SIGPIPE, SIG_IGN);
	argv++;
	if (!*argv) {
		usage(stderr);
		return MAIN_USAGE;
	}
	if (strcmp(*argv, "--version") == 0) {
		printf("coffer %s\n", COFFER_VERSION);
		return 0;
	}
	if (strcmp(*argv, "--help") == 0 || strcmp(*argv, "-h") == 0 || strcmp(*argv, "help") == 0) {
		usage(stdout);
		return 0;
	}
	const struct options_command *command = find_command(&argv);
	if (!command) {
		print_unknown(argv);
		return MAIN_USAGE;
	}
	if (options_read(command, argv, &options, &err) < 0) {
		print_error(&err);
		return command->failure == MAIN_BROKEN ? MAIN_BROKEN : MAIN_USAGE;
	}
	if (options.help) {
		options_help(command);
		return 0;
	}
	int result = command->run(&options, &err);
	if (result < 0) {
		print_error(&err);
		result = command->failure;
	}
	if (fflush(stdout) != 0 && result == 0) {
		fprintf(stderr, "coffer: write to standard output: %s\n", strerror(errno));
		result = MAIN_FAILURE;
	}
	return result;
}

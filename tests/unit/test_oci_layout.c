/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: qemu/oci_layout.c qemu/oci_blob.c qemu/oci_config.c qemu/fail.c */
/* An image layout of two layers, and what becomes of it when one thing in it is changed. */
#include "unit/test.h"

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>

#include "base/sha256.h"
#include "base/text.h"
#include "qemu/oci_layout.h"

#define TYPE  "application/vnd.oci.image."
#define PLACE "linux/amd64"

/* @0 and @1 stand for the digests of the layers, @c @m @n for those of config, manifest and nested index; #... for their sizes. */
static const char config_text[] = "{\"architecture\":\"amd64\",\"os\":\"linux\",\"created\":\"1970-01-01T00:00:00Z\",\"config\":{"
				  "\"User\":\"app:staff\",\"Env\":[\"A=1\","
				  "\"B=\"],\"Entrypoint\":[\"/bin/tool\",\"-x\"],\"Cmd\":[\"one\",\"two\"],\"WorkingDir\":\"/"
				  "srv\",\"Volumes\":{\"/data\":{}},"
				  "\"StopSignal\":\"SIGQUIT\"},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"@0\",\"@1\"]},"
				  "\"history\":[{\"created_by\":\"x\"}]}";
static const char manifest_text[] =
	"{\"schemaVersion\":2,\"mediaType\":\"" TYPE "manifest.v1+json\",\"config\":{\"mediaType\":\"" TYPE "config.v1+json\","
	"\"digest\":\"@c\",\"size\":#c},\"layers\":[{\"mediaType\":\"" TYPE "layer.v1.tar\",\"digest\":\"@0\",\"size\":#0},"
	"{\"mediaType\":\"" TYPE
	"layer.v1.tar+gzip\",\"digest\":\"@1\",\"size\":#1,\"annotations\":{\"a\":\"b\"}}],\"annotations\":{}}";
#define NAMED(name)   "\"annotations\":{\"org.opencontainers.image.ref.name\":\"" name "\"}"
#define OF_MANIFEST   "\"mediaType\":\"" TYPE "manifest.v1+json\",\"digest\":\"@m\",\"size\":#m"
#define FOR(os, arch) "\"platform\":{\"os\":\"" os "\",\"architecture\":\"" arch "\",\"variant\":\"v2\"}"
#define NOWHERE       "\"digest\":\"sha256:0000000000000000000000000000000000000000000000000000000000000000\",\"size\":5"
static const char nested_text[] =
	"{\"schemaVersion\":2,\"mediaType\":\"" TYPE "index.v1+json\",\"manifests\":["
	"{\"mediaType\":\"" TYPE "manifest.v1+json\"," NOWHERE
	"," FOR("linux", "arm64") "},"
				  "{" OF_MANIFEST
				  "," FOR("linux", "amd64") "},"
							    "{\"mediaType\":\"" TYPE "manifest.v1+json\"," NOWHERE
							    "," FOR("linux", "amd64") "},"
										      "{\"mediaType\":\"" TYPE
										      "manifest.v1+json\"," NOWHERE
										      "," FOR("unknown", "unknown") "}]}";
static const char index_text[] = "{\"schemaVersion\":2,\"manifests\":[{" OF_MANIFEST "," NAMED("x") "}]}";
static const char deep_text[] =
	"{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"" TYPE "index.v1+json\",\"digest\":\"@n\",\"size\":#n}]}";
static const char layout_text[] = "{\"imageLayoutVersion\":\"1.0.0\",\"more\":1}";

enum part { PART_LAYER_0, PART_LAYER_1, PART_CONFIG, PART_MANIFEST, PART_NESTED, PART_INDEX, PART_LAYOUT, PART_COUNT };
static const char letters[] = "01cmn";

static struct {
	char folder[64];
	char texts[PART_COUNT][8192];
	char digests[PART_COUNT][80];
} t;

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *ftw)
{
	(void)status, (void)kind, (void)ftw;
	return remove(path);
}

static int tear_down(void **state)
{
	(void)state;
	return nftw(t.folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static int set_up(void **state)
{
	char path[96];

	(void)state;
	snprintf(t.folder, sizeof(t.folder), "/tmp/test_oci_layout-XXXXXX");
	if (!mkdtemp(t.folder))
		return -1;
	snprintf(path, sizeof(path), "%s/blobs", t.folder);
	if (mkdir(path, 0700) < 0)
		return -1;
	snprintf(path, sizeof(path), "%s/blobs/sha256", t.folder);
	return mkdir(path, 0700);
}

static void path_of(enum part part, char *path, size_t size)
{
	if (part == PART_INDEX || part == PART_LAYOUT)
		snprintf(path, size, "%s/%s", t.folder, part == PART_INDEX ? "index.json" : "oci-layout");
	else
		snprintf(path, size, "%s/blobs/sha256/%s", t.folder, t.digests[part] + 7);
}

/* Puts digests and sizes where they are named. */
static void fill(const char *from, char *to, size_t size)
{
	size_t used = 0;

	for (; *from; from++) {
		const char *letter = (*from == '@' || *from == '#') && from[1] ? strchr(letters, from[1]) : NULL;

		if (!letter)
			used += (size_t)snprintf(to + used, size - used, "%c", *from);
		else if (*from++ == '@')
			used += (size_t)snprintf(to + used, size - used, "%s", t.digests[letter - letters]);
		else
			used += (size_t)snprintf(to + used, size - used, "%zu", strlen(t.texts[letter - letters]));
	}
}

static void write_part(enum part part, const char *text)
{
	uint8_t bytes[SHA256_SIZE];
	struct sha256 sum;
	char path[192];

	fill(text, t.texts[part], sizeof(t.texts[part]));
	sha256_begin(&sum);
	sha256_add(&sum, t.texts[part], strlen(t.texts[part]));
	sha256_end(&sum, bytes);
	memcpy(t.digests[part], "sha256:", 7);
	text_to_hex(bytes, sizeof(bytes), t.digests[part] + 7);
	path_of(part, path, sizeof(path));
	remove(path);
	auto_file file = fopen(path, "we");
	assert_non_null(file);
	fputs(t.texts[part], file);
}

/* What is replaced in a text before it is summed up, so that everything above it fits to it. */
struct change {
	enum part part;
	const char *from, *to;
};

static void write_layout(const struct change *change, const char *index)
{
	const char *texts[PART_COUNT] = { "the lower", "the upper", config_text, manifest_text, nested_text, index, layout_text };

	for (enum part part = 0; part < PART_COUNT; part++) {
		char text[8192];
		const char *at = change && change->part == part ? strstr(texts[part], change->from) : NULL;

		if (change && change->part == part)
			check_row(at, "there is no %s", change->from);
		if (at)
			snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - texts[part]), texts[part], change->to,
				 at + strlen(change->from));
		write_part(part, at ? text : texts[part]);
	}
}

static int open_it(const char *ref, const char *platform, struct oci_layout *layout, struct error *err)
{
	char name[128];

	snprintf(name, sizeof(name), "oci:%s%s%s", t.folder, ref[0] ? ":" : "", ref);
	return oci_layout_open(name, platform, layout, err);
}

static void what_is_in_it(void **state)
{
	struct oci_layout layout;
	struct error err;

	(void)state;
	write_layout(NULL, index_text);
	assert_worked(open_it("x", PLACE, &layout, &err), &err);
	assert_int_equal(layout.layer_count, 2);
	for (size_t i = 0; i < 2; i++) {
		char text[32] = "";
		fd_auto fd = oci_layout_layer(&layout, i, &err);

		assert_true(read(fd, text, sizeof(text) - 1) > 0);
		assert_string_equal(text, i ? "the upper" : "the lower");
		assert_string_equal(layout.layers[i].digest, t.digests[i]);
		assert_string_equal(layout.layers[i].diff_id, t.digests[i]);
	}
	assert_string_equal(layout.config.run.user, "app:staff");
	assert_string_equal(layout.config.run.working_dir, "/srv");
	assert_int_equal(layout.config.run.env.count, 2);
	oci_layout_close(&layout);
}

/* Changes after which it is the same image still. */
static void what_is_accepted(void **state)
{
	static const struct {
		struct change change;
		const char *index, *ref;
	} rows[] = {
		{ { PART_INDEX, "\"manifests\"", "\"unknown\":{\"deep\":[1]},\"manifests\"" }, index_text, "" },
		{ { PART_INDEX, "\"schemaVersion\"", "\"mediaType\":\"" TYPE "index.v1+json\",\"schemaVersion\"" },
		  index_text,
		  "" },
		{ { PART_MANIFEST, "\"mediaType\":\"" TYPE "manifest.v1+json\",", "" }, index_text, "" },
		{ { PART_MANIFEST, TYPE "layer.v1.tar+gzip", TYPE "layer.v1.tar+zstd" }, index_text, "" },
		{ { PART_MANIFEST, TYPE "layer.v1.tar+gzip", TYPE "layer.nondistributable.v1.tar+gzip" }, index_text, "" },
		{ { PART_MANIFEST, TYPE "layer.v1.tar+gzip", "application/vnd.docker.image.rootfs.diff.tar.gzip" },
		  index_text,
		  "" },
		{ { PART_MANIFEST, TYPE "config.v1+json", "application/vnd.docker.container.image.v1+json" }, index_text, "" },
		{ { PART_CONFIG, "\"Entrypoint\":[\"/bin/tool\",\"-x\"]", "\"Entrypoint\":null" }, index_text, "" },
		{ { PART_CONFIG, "\"WorkingDir\":\"/srv\"", "\"WorkingDir\":\"\"" }, index_text, "" },
		/* The same image under two names is one image. */
		{ { PART_INDEX, "[{", "[{" OF_MANIFEST "," NAMED("y") "},{" }, index_text, "" },
		{ { PART_INDEX, "[{", "[{\"mediaType\":\"" TYPE "manifest.v1+json\"," NOWHERE "," NAMED("y") "},{" },
		  index_text,
		  "x" },
		{ { PART_INDEX, NAMED("x"), NAMED("reg/x:1.0") }, index_text, "reg/x:1.0" },
		/* Another platform's is another image. */
		{ { PART_INDEX, "[{", "[{\"mediaType\":\"" TYPE "manifest.v1+json\"," NOWHERE "," FOR("linux", "arm64") "},{" },
		  index_text,
		  "" },
		{ { PART_NESTED, "schemaVersion", "schemaVersion" }, deep_text, "" },
		{ { PART_NESTED, TYPE "index.v1+json", TYPE "index.v1+json" }, deep_text, "" },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		struct oci_layout layout;
		struct error err;

		write_layout(&rows[i].change, rows[i].index);
		int result = open_it(rows[i].ref, PLACE, &layout, &err);
		check_row(result == 0, "%zu: %s: %s", i, rows[i].change.to, err.message);
		check_row(layout.layer_count == 2 && strcmp(layout.layers[1].digest, t.digests[1]) == 0, "%zu", i);
		oci_layout_close(&layout);
	}
}

static void check_refused(int result, const struct error *err, const char *what, const char *file, const char *wanted)
{
	check_row(result < 0, "accepted: %s", what);
	check_row(err->code == ERROR_HOST && !err->field[0], "%s: %s: %s", what, err->field, err->message);
	check_row(strstr(err->message, file), "%s: '%s' is not in: %s", what, file, err->message);
	check_row(strstr(err->message, wanted), "%s: '%s' is not in: %s", what, wanted, err->message);
}

#define UP      "../../../../"
#define LAYER_1 "\"digest\":\"@1\",\"size\":#1"
static const char indexes_in_each_other[] = "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"" TYPE
					    "manifest.v1+json\"," NOWHERE "," NAMED("a") "},"
											 "{" OF_MANIFEST "," NAMED("b") "}]}";

static void documents_that_are_refused(void **state)
{
	static const struct {
		struct change change;
		const char *wanted, *index, *ref;
		bool elsewhere; /* it is seen at the file that is spoken of */
	} rows[] = {
		{ .change = { PART_LAYOUT, "1.0.0", "1.1.0" }, "imageLayoutVersion: '1.1.0'" },
		{ .change = { PART_LAYOUT, "\"imageLayoutVersion\"", "\"version\"" }, "imageLayoutVersion: is required" },
		{ .change = { PART_LAYOUT, "{", "[" }, "byte " },
		{ .change = { PART_INDEX, "\"schemaVersion\":2", "\"schemaVersion\":1" }, "schemaVersion: must be" },
		{ .change = { PART_INDEX, "\"schemaVersion\":2,", "" }, "schemaVersion: is required" },
		{ .change = { PART_INDEX, "\"manifests\"", "\"manifests\":[],\"manifests\"" }, "duplicate key" },
		{ .change = { PART_INDEX, "\"manifests\"", "\"layers\":[],\"manifests\"" }, "layers: belongs to a manifest" },
		{ .change = { PART_INDEX, "\"manifests\"", "\"config\":{},\"manifests\"" }, "config: belongs to a manifest" },
		{ .change = { PART_INDEX, "\"schemaVersion\"", "\"mediaType\":\"" TYPE "manifest.v1+json\",\"schemaVersion\"" },
		  "mediaType: " },
		{ .change = { PART_INDEX, "@m", "sha256:../../../etc/passwd" },
		  "manifests[0].digest: 'sha256:../../../etc/passwd'" },
		{ .change = { PART_INDEX, "@m", "sha256:ABCDEF" }, "manifests[0].digest: " },
		/* As long as a digest is, and longer behind one. */
		{ .change = { PART_INDEX, "@m", "sha256:" UP UP UP UP "../etc/passwd///" }, "manifests[0].digest: " },
		{ .change = { PART_INDEX, "@m", "@m/../x" }, "manifests[0].digest: " },
		{ .change = { PART_INDEX, "@m", "@m0" }, "manifests[0].digest: " },
		{ .change = { PART_INDEX, "sha256:", "sha512:" },
		  "manifests[0].digest: ",
		  "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"x\",\"digest\":\"sha256:\",\"size\":1}]}" },
		{ .change = { PART_INDEX, "\"size\":#m", "\"size\":-1" }, "manifests[0].size: must be" },
		{ .change = { PART_INDEX, "\"size\":#m", "\"size\":\"5\"" }, "manifests[0].size: an integer" },
		{ .change = { PART_INDEX, ",\"size\":#m", "" }, "manifests[0].size: is required" },
		{ .change = { PART_INDEX, TYPE "manifest.v1+json", "application/vnd.docker.distribution.manifest.v1+json" },
		  "mediaType: 'application" },
		{ .change = { PART_INDEX, TYPE "manifest.v1+json", TYPE "config.v1+json" }, "not the type of a manifest" },
		{ .change = { PART_INDEX, "x", "x" }, "none is named 'z'; there are: x", index_text, "z" },
		{ .change = { PART_INDEX, "[{", "[{" }, "name one, oci:FOLDER:REF: a, b", indexes_in_each_other },
		{ .change = { PART_INDEX, "{" OF_MANIFEST "," NAMED("x") "}", "" }, "none has a name" },
		{ .change = { PART_INDEX, NAMED("x"), FOR("linux", "arm64") }, "not exactly one image for linux/amd64" },
		{ .change = { PART_NESTED, "\"manifests\"", "\"layers\":[],\"manifests\"" },
		  "layers: belongs to a manifest",
		  deep_text },
		{ .change = { PART_NESTED, TYPE "index.v1+json", TYPE "manifest.v1+json" }, "mediaType: ", deep_text },
		{ .change = { PART_NESTED, "@m", "sha256:x" }, "manifests[1].digest", deep_text },
		{ .change = { PART_NESTED, "\"amd64\"", "\"ppc64le\"" }, "blobs/sha256/00000", deep_text, .elsewhere = true },
		{ .change = { PART_MANIFEST, "\"schemaVersion\":2", "\"schemaVersion\":3" }, "schemaVersion: must be" },
		{ .change = { PART_MANIFEST, "\"layers\"", "\"manifests\":[],\"layers\"" }, "manifests: belongs to an index" },
		{ .change = { PART_MANIFEST, TYPE "manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json" },
		  "mediaType: 'application/vnd.docker" },
		{ .change = { PART_MANIFEST, TYPE "config.v1+json", "application/vnd.cncf.helm.config.v1+json" },
		  "config.mediaType: 'application/vnd.cncf" },
		{ .change = { PART_MANIFEST, "layer.v1.tar\"", "layer.v1.tar+encrypted\"" }, "layers[0].mediaType: " },
		{ .change = { PART_MANIFEST, "layer.v1.tar+gzip", "layer.v1.tar+gzip+encrypted" }, "encrypted" },
		{ .change = { PART_MANIFEST, "layer.v1.tar+gzip", "layer.v1.tar+lzma" }, "layers[1].mediaType: " },
		{ .change = { PART_MANIFEST, LAYER_1, NOWHERE ",\"urls\":[\"https://example.org/x\"]" }, "layers[1].urls: " },
		{ .change = { PART_MANIFEST, LAYER_1, NOWHERE }, "blobs/sha256/00000", .elsewhere = true },
		{ .change = { PART_MANIFEST, LAYER_1, "\"digest\":\"@1\",\"size\":10" },
		  "9 bytes, and its descriptor's size is 10",
		  .elsewhere = true },
		{ .change = { PART_MANIFEST, "@1", "sha256:/../../x" }, "layers[1].digest: " },
		{ .change = { PART_MANIFEST, "\"size\":#c", "\"size\":7" }, "its descriptor's size is 7", .elsewhere = true },
		{ .change = { PART_CONFIG, "\"@0\",", "" }, "layers: 2, and the config has 1 rootfs.diff_ids", .elsewhere = true },
		{ .change = { PART_CONFIG, "\"@0\",", "\"@0\",\"@0\"," },
		  "layers: 2, and the config has 3 rootfs.diff_ids",
		  .elsewhere = true },
		{ .change = { PART_CONFIG, "@0", "md5:5" }, "rootfs.diff_ids[0]: " },
		{ .change = { PART_CONFIG, "\"layers\"", "\"squash\"" }, "rootfs.type: " },
		{ .change = { PART_CONFIG, "amd64", "arm64" }, "linux/arm64, not for linux/amd64" },
		{ .change = { PART_CONFIG, "\"A=1\"", "\"A\"" }, "config.Env[0]: must be NAME=value" },
		{ .change = { PART_CONFIG, "\"/srv\"", "\"srv\"" }, "config.WorkingDir: " },
		{ .change = { PART_CONFIG, "[\"one\",\"two\"]", "\"one two\"" }, "config.Cmd: an array" },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		struct oci_layout layout;
		struct error err;
		char file[192];

		write_layout(&rows[i].change, rows[i].index ? rows[i].index : index_text);
		path_of(rows[i].change.part, file, sizeof(file));
		int result = open_it(rows[i].ref ? rows[i].ref : "", PLACE, &layout, &err);
		oci_layout_close(&layout);
		check_refused(result, &err, rows[i].change.to, rows[i].elsewhere ? "blobs/sha256/" : file + strlen(t.folder) + 1,
			      rows[i].wanted);
	}
}

/* ---- files ---- */

static void lose(const char *path)
{
	assert_int_equal(unlink(path), 0);
}

static void lengthen(const char *path)
{
	auto_file file = fopen(path, "ae");

	assert_non_null(file);
	fputc(' ', file);
}

/* The size stays. */
static void alter(const char *path)
{
	auto_file file = fopen(path, "r+e");

	assert_non_null(file);
	fseek(file, -1, SEEK_END);
	fputc(' ', file);
}

static void empty(const char *path)
{
	assert_int_equal(truncate(path, 0), 0);
}

static void grow(const char *path)
{
	assert_int_equal(truncate(path, OCI_BLOB_JSON_MAX + 1), 0);
}

static void link_away(const char *path)
{
	char other[256];

	snprintf(other, sizeof(other), "%s-moved", path);
	assert_int_equal(rename(path, other), 0);
	assert_int_equal(symlink(strrchr(other, '/') + 1, path), 0);
}

static void make_folder(const char *path)
{
	lose(path);
	assert_int_equal(mkdir(path, 0700), 0);
}

static void make_pipe(const char *path)
{
	lose(path);
	assert_int_equal(mkfifo(path, 0600), 0);
}

static void files_that_are_refused(void **state)
{
	static const struct {
		void (*change)(const char *path);
		const char *wanted;
		unsigned parts; /* that it is tried on */
	} rows[] = {
		{ lose, "No such file", ~0u },
		{ link_away, "a symbolic link", ~0u },
		{ make_folder, "not a regular file", ~0u },
		{ make_pipe, "not a regular file", ~0u },
		{ lengthen, "its descriptor's size is", ~(1u << PART_INDEX | 1u << PART_LAYOUT) },
		{ alter, "its digest is", 1u << PART_CONFIG | 1u << PART_MANIFEST | 1u << PART_NESTED },
		{ alter, "byte ", 1u << PART_INDEX | 1u << PART_LAYOUT },
		{ empty, "empty", 1u << PART_INDEX | 1u << PART_LAYOUT },
		{ grow, "at most 4194304", 1u << PART_INDEX | 1u << PART_LAYOUT },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		for (enum part part = 0; part < PART_COUNT; part++) {
			struct oci_layout layout;
			struct error err;
			char path[192];

			if (!(rows[i].parts & 1u << part))
				continue;
			tear_down(NULL);
			set_up(NULL);
			write_layout(NULL, deep_text);
			path_of(part, path, sizeof(path));
			rows[i].change(path);
			int result = open_it("", PLACE, &layout, &err);
			oci_layout_close(&layout);
			check_refused(result, &err, rows[i].wanted, path + strlen(t.folder) + 1, rows[i].wanted);
		}
	}
}

/* A manifest that is what its descriptor says, and is too large all the same. */
static void a_manifest_that_is_too_large(void **state)
{
	const size_t size = OCI_BLOB_JSON_MAX + 1;
	char *text = malloc(size), path[192], index[512];
	uint8_t bytes[SHA256_SIZE];
	struct oci_layout layout;
	struct sha256 sum;
	struct error err;

	(void)state;
	write_layout(NULL, index_text);
	memset(text, ' ', size);
	memcpy(text, t.texts[PART_MANIFEST], strlen(t.texts[PART_MANIFEST]));
	sha256_begin(&sum);
	sha256_add(&sum, text, size);
	sha256_end(&sum, bytes);
	text_to_hex(bytes, sizeof(bytes), t.digests[PART_MANIFEST] + 7);
	path_of(PART_MANIFEST, path, sizeof(path));
	FILE *file = fopen(path, "we");
	assert_int_equal(fwrite(text, 1, size, file), size);
	fclose(file);
	free(text);
	snprintf(index, sizeof(index),
		 "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"" TYPE
		 "manifest.v1+json\",\"digest\":\"@m\",\"size\":%zu}]}",
		 size);
	write_part(PART_INDEX, index);
	int result = open_it("", PLACE, &layout, &err);
	oci_layout_close(&layout);
	check_refused(result, &err, "large", path + strlen(t.folder) + 1, "4194305 bytes, at most 4194304");
}

/* An index in an index, five times. */
static void indexes_that_are_too_deep(void **state)
{
	struct oci_layout layout;
	struct error err;

	(void)state;
	write_layout(NULL, deep_text);
	for (int i = 0; i < 4; i++) {
		char inner[512];

		fill(deep_text, inner, sizeof(inner));
		write_part(PART_NESTED, inner);
		fill(deep_text, inner, sizeof(inner));
		write_part(PART_INDEX, inner);
		int result = open_it("", PLACE, &layout, &err);
		oci_layout_close(&layout);
		if (i < 2)
			check_row(result == 0, "%d: %s", i, err.message);
		else
			check_refused(result, &err, "deep", "blobs/sha256/", "more than 4 indexes");
	}
}

static void names_and_platforms(void **state)
{
	static const char *const names[] = { "oci:", "oci::x", "oci:/tmp:", "docker:x" };
	static const char *const platforms[] = { "linux", "/amd64", "linux/", "linux/arm/v7", "" };
	struct oci_layout layout;
	struct error err;

	(void)state;
	write_layout(NULL, index_text);
	for (size_t i = 0; i < array_count(names); i++) {
		check_refused(oci_layout_open(names[i], PLACE, &layout, &err), &err, names[i], names[i], "oci:FOLDER");
		oci_layout_close(&layout);
	}
	for (size_t i = 0; i < array_count(platforms); i++) {
		check_refused(open_it("", platforms[i], &layout, &err), &err, platforms[i], "--platform", "OS/ARCHITECTURE");
		oci_layout_close(&layout);
	}
	check_refused(oci_layout_open("oci:/nonexistent", PLACE, &layout, &err), &err, "missing", "/nonexistent", "No such file");
	oci_layout_close(&layout);
}

/* ---- what is run ---- */

static void what_is_run(void **state)
{
	static const struct {
		const char *config; /* in place of the whole member */
		const char *given;  /* behind `--` */
		const char *args;   /* NULL: refused */
	} rows[] = {
		{ "\"Entrypoint\":[\"e\",\"f\"],\"Cmd\":[\"c\"]", NULL, "e f c " },
		{ "\"Entrypoint\":[\"e\",\"f\"],\"Cmd\":[\"c\"]", "g", "e f g " },
		{ "\"Entrypoint\":[\"e\"]", NULL, "e " },
		{ "\"Entrypoint\":[\"e\"]", "g", "e g " },
		{ "\"Cmd\":[\"c\",\"d\"]", NULL, "c d " },
		{ "\"Cmd\":[\"c\",\"d\"]", "g", "g " },
		{ "\"Entrypoint\":null,\"Cmd\":null", "g", "g " },
		{ "\"Entrypoint\":[],\"Cmd\":[]", NULL, NULL },
		{ "\"User\":\"\"", NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		char text[512], args[64] = "", *rest[] = { (char *)rows[i].given, NULL };
		const struct options options = { .rest = rest, .rest_count = rows[i].given != NULL };
		struct decode_memory memory = { 0 };
		struct oci_config config;
		struct options own;
		json_object *json;
		struct error err;

		snprintf(text, sizeof(text),
			 "{\"architecture\":\"a\",\"os\":\"o\",\"rootfs\":{\"type\":\"layers\"},\"config\":{%s}}", rows[i].config);
		assert_worked(decode_parse(text, strlen(text), &json, &err), &err);
		assert_worked(oci_config_decode(json, "config", &config, &memory, &err), &err);
		int result = oci_config_apply(&config, &options, &own, &memory, &err);
		check_row((result == 0) == (rows[i].args != NULL), "%s: %d", rows[i].config, result);
		for (size_t j = 0; result == 0 && own.rest[j]; j++)
			snprintf(args + strlen(args), sizeof(args) - strlen(args), "%s ", own.rest[j]);
		if (result == 0)
			check_row(strcmp(args, rows[i].args) == 0, "%s: %s", rows[i].config, args);
		decode_free(&memory);
		json_object_put(json);
	}
}

static void the_command_line_wins(void **state)
{
	const struct options silent = { 0 };
	const struct options options = { .cwd = "/c", .user = "u", .env = { .items = { "B=2" }, .count = 1 } };
	struct oci_layout layout;
	struct options own;
	struct error err;

	(void)state;
	write_layout(NULL, index_text);
	assert_worked(open_it("", PLACE, &layout, &err), &err);
	assert_worked(oci_config_apply(&layout.config, &silent, &own, &layout.memory, &err), &err);
	assert_string_equal(own.cwd, "/srv");
	assert_string_equal(own.user, "app:staff");
	assert_int_equal(own.env.count, 2);
	assert_worked(oci_config_apply(&layout.config, &options, &own, &layout.memory, &err), &err);
	assert_string_equal(own.cwd, "/c");
	assert_string_equal(own.user, "u");
	/* The agent takes the last of equal names. */
	assert_int_equal(own.env.count, 3);
	assert_string_equal(own.env.items[0], "A=1");
	assert_string_equal(own.env.items[2], "B=2");
	oci_layout_close(&layout);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_in_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_accepted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(documents_that_are_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(files_that_are_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_manifest_that_is_too_large, set_up, tear_down),
		cmocka_unit_test_setup_teardown(indexes_that_are_too_deep, set_up, tear_down),
		cmocka_unit_test_setup_teardown(names_and_platforms, set_up, tear_down),
		cmocka_unit_test(what_is_run),
		cmocka_unit_test_setup_teardown(the_command_line_wins, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

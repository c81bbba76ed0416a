/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/oci_layout.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "coffer/protocol.h"
#include "qemu/fail.h"

#define INDEX_FILE      "index.json"
#define LAYOUT_FILE     "oci-layout"
#define NESTED_MAX      4 /* indexes in each other */
#define DESCRIPTORS_MAX 1024
#define REF_NAME        "org.opencontainers.image.ref.name"

enum kind { KIND_UNKNOWN, KIND_INDEX, KIND_MANIFEST, KIND_CONFIG, KIND_LAYER };

#define OCI    "application/vnd.oci.image."
#define DOCKER "application/vnd.docker."

static const struct {
	const char *name;
	enum kind kind;
} types[] = {
	{ OCI "index.v1+json", KIND_INDEX },
	{ OCI "manifest.v1+json", KIND_MANIFEST },
	{ OCI "config.v1+json", KIND_CONFIG },
	{ OCI "layer.v1.tar", KIND_LAYER },
	{ OCI "layer.v1.tar+gzip", KIND_LAYER },
	{ OCI "layer.v1.tar+zstd", KIND_LAYER },
	{ OCI "layer.nondistributable.v1.tar", KIND_LAYER },
	{ OCI "layer.nondistributable.v1.tar+gzip", KIND_LAYER },
	{ OCI "layer.nondistributable.v1.tar+zstd", KIND_LAYER },
	{ DOCKER "distribution.manifest.list.v2+json", KIND_INDEX },
	{ DOCKER "distribution.manifest.v2+json", KIND_MANIFEST },
	{ DOCKER "container.image.v1+json", KIND_CONFIG },
	{ DOCKER "image.rootfs.diff.tar", KIND_LAYER },
	{ DOCKER "image.rootfs.diff.tar.gzip", KIND_LAYER },
	{ DOCKER "image.rootfs.diff.tar.zstd", KIND_LAYER },
	{ DOCKER "image.rootfs.foreign.diff.tar", KIND_LAYER },
	{ DOCKER "image.rootfs.foreign.diff.tar.gzip", KIND_LAYER },
};

static const char *const kind_names[] = { "", "an index", "a manifest", "a config", "a layer" };

/* What `uname` says, as images have it. */
static const struct {
	const char *machine, *architecture;
} machines[] = { { "x86_64", "amd64" }, { "aarch64", "arm64" }, { "riscv64", "riscv64" }, { "s390x", "s390x" } };

struct version {
	const char *version;
};

struct platform {
	const char *os, *architecture;
};

struct descriptor {
	const char *type, *digest;
	uint64_t size;
	struct platform platform;
	bool has_platform;
	json_object *annotations, *urls;
};

struct index {
	uint64_t version;
	const char *type;
	struct decode_list manifests;
	json_object *config, *layers;
};

struct manifest {
	uint64_t version;
	const char *type;
	struct descriptor config;
	struct decode_list layers;
	json_object *manifests;
};

#define ROW(of, key, kind_, member) .name = (key), .kind = (kind_), .offset = offsetof(struct of, member)
#define SCHEMA(rows, of)                                                                                                           \
	{                                                                                                                          \
		.fields = (rows), .count = array_count(rows), .size = sizeof(struct of)                                            \
	}

static const struct decode_field version_fields[] = {
	{ ROW(version, "imageLayoutVersion", DECODE_STRING, version), .flags = DECODE_REQUIRED, .max = 64 },
};
static const struct decode_schema version_schema = SCHEMA(version_fields, version);

static const struct decode_field platform_fields[] = {
	{ ROW(platform, "os", DECODE_STRING, os), .flags = DECODE_REQUIRED, .max = 64 },
	{ ROW(platform, "architecture", DECODE_STRING, architecture), .flags = DECODE_REQUIRED, .max = 64 },
};
static const struct decode_schema platform_schema = SCHEMA(platform_fields, platform);

static const struct decode_field descriptor_fields[] = {
	{ ROW(descriptor, "mediaType", DECODE_STRING, type), .flags = DECODE_REQUIRED, .max = 255 },
	{ ROW(descriptor, "digest", DECODE_STRING, digest), .flags = DECODE_REQUIRED, .check = oci_blob_check_digest },
	{ ROW(descriptor, "size", DECODE_UINT, size), .flags = DECODE_REQUIRED, .max = INT64_MAX },
	{ ROW(descriptor, "platform", DECODE_OBJECT, platform), .schema = &platform_schema,
	  .present = offsetof(struct descriptor, has_platform) },
	{ ROW(descriptor, "annotations", DECODE_RAW, annotations) },
	{ ROW(descriptor, "urls", DECODE_RAW, urls) },
};
static const struct decode_schema descriptor_schema = SCHEMA(descriptor_fields, descriptor);

/* What belongs to the other of the two is known, so that a document that could be read as both is refused (CVE-2021-41190). */
static const struct decode_field index_fields[] = {
	{ ROW(index, "schemaVersion", DECODE_UINT, version), .flags = DECODE_REQUIRED, .min = 2, .max = 2 },
	{ ROW(index, "mediaType", DECODE_STRING, type), .max = 255 },
	{ ROW(index, "manifests", DECODE_LIST, manifests), .flags = DECODE_REQUIRED, .schema = &descriptor_schema,
	  .max = DESCRIPTORS_MAX },
	{ ROW(index, "config", DECODE_RAW, config) },
	{ ROW(index, "layers", DECODE_RAW, layers) },
};
static const struct decode_schema index_schema = SCHEMA(index_fields, index);

static const struct decode_field manifest_fields[] = {
	{ ROW(manifest, "schemaVersion", DECODE_UINT, version), .flags = DECODE_REQUIRED, .min = 2, .max = 2 },
	{ ROW(manifest, "mediaType", DECODE_STRING, type), .max = 255 },
	{ ROW(manifest, "config", DECODE_OBJECT, config), .flags = DECODE_REQUIRED, .schema = &descriptor_schema },
	{ ROW(manifest, "layers", DECODE_LIST, layers), .flags = DECODE_REQUIRED | DECODE_NONZERO, .schema = &descriptor_schema,
	  .max = COFFER_LOWER_MAX - 1 },
	{ ROW(manifest, "manifests", DECODE_RAW, manifests) },
};
static const struct decode_schema manifest_schema = SCHEMA(manifest_fields, manifest);

struct reader {
	struct oci_layout *layout;
	char folder[PATH_MAX];
	const char *ref; /* NULL: the only image */
	char os[65], architecture[65];
	struct descriptor found; /* of the manifest, or the next index */
	json_object *documents[NESTED_MAX];
	size_t document_count;
};

static enum kind kind_of(const char *type)
{
	for (size_t i = 0; i < array_count(types); i++) {
		if (strcmp(types[i].name, type) == 0)
			return types[i].kind;
	}
	return KIND_UNKNOWN;
}

/* `where`: "layers[2]". */
static int check_kind(const char *file, const char *where, const char *type, enum kind wanted, struct error *err)
{
	static const char encrypted[] = "+encrypted";
	size_t length = strlen(type), ending = sizeof(encrypted) - 1;

	if (kind_of(type) == wanted)
		return 0;
	if (length > ending && strcmp(type + length - ending, encrypted) == 0)
		return fail_set(err, EINVAL, "%s: %s.mediaType: '%.100s': an encrypted layer cannot be unpacked", file, where,
				type);
	return fail_set(err, EINVAL, "%s: %s.mediaType: '%.100s' is not the type of %s", file, where, type, kind_names[wanted]);
}

/* A document need not name its type; one that does must be what its descriptor says. */
static int check_own_type(const char *file, const char *type, const char *wanted, struct error *err)
{
	if (!type || strcmp(type, wanted) == 0)
		return 0;
	return fail_set(err, EINVAL, "%s: mediaType: '%.100s', and its descriptor says '%.80s'", file, type, wanted);
}

/* ---- which manifest ---- */

static const char *ref_of(const struct descriptor *descriptor)
{
	json_object *name;

	if (!json_object_is_type(descriptor->annotations, json_type_object) ||
	    !json_object_object_get_ex(descriptor->annotations, REF_NAME, &name) || !json_object_is_type(name, json_type_string))
		return NULL;
	return json_object_get_string(name);
}

static bool is_for(const struct reader *reader, const struct descriptor *descriptor)
{
	return descriptor->has_platform && strcmp(descriptor->platform.os, reader->os) == 0 &&
	       strcmp(descriptor->platform.architecture, reader->architecture) == 0;
}

static bool is_named(const struct reader *reader, const struct descriptor *descriptor)
{
	const char *ref = ref_of(descriptor);

	return !reader->ref || (ref && strcmp(ref, reader->ref) == 0);
}

/* One that names the platform goes before one that names none. */
static bool fits(const struct reader *reader, const struct descriptor *descriptor, bool named, int pass)
{
	if (named && !is_named(reader, descriptor))
		return false;
	return pass == 0 ? is_for(reader, descriptor) : !descriptor->has_platform;
}

/* How many different ones fit; the first is picked. */
static size_t pick(const struct reader *reader, const struct index *index, bool named, struct descriptor *picked)
{
	const struct descriptor *items = index->manifests.items;
	size_t count = 0;

	for (int pass = 0; pass < 2 && count == 0; pass++) {
		for (size_t i = 0; i < index->manifests.count; i++) {
			if (!fits(reader, &items[i], named, pass))
				continue;
			if (count == 0)
				*picked = items[i];
			if (count == 0 || strcmp(picked->digest, items[i].digest) != 0)
				count++;
		}
	}
	return count;
}

static int tell_names(const char *file, const struct reader *reader, const struct index *index, struct error *err)
{
	const struct descriptor *items = index->manifests.items;
	char names[160] = "";
	bool any = false;

	for (size_t i = 0; i < index->manifests.count; i++) {
		const char *ref = ref_of(&items[i]);
		size_t used = strlen(names);

		any = any || is_named(reader, &items[i]);
		if (ref)
			snprintf(names + used, sizeof(names) - used, "%s%s", used ? ", " : "", ref);
	}
	if (any && reader->ref)
		return fail_set(err, ENOENT, "%s: manifests: '%.60s' is not exactly one image for %s/%s", file, reader->ref,
				reader->os, reader->architecture);
	if (reader->ref)
		return fail_set(err, ENOENT, "%s: manifests: none is named '%.60s'; there are: %s", file, reader->ref, names);
	if (names[0])
		return fail_set(err, ENOENT, "%s: manifests: not exactly one image for %s/%s; name one, oci:FOLDER:REF: %s", file,
				reader->os, reader->architecture, names);
	return fail_set(err, ENOENT, "%s: manifests: not exactly one image for %s/%s, and none has a name", file, reader->os,
			reader->architecture);
}

/* `type`: what the descriptor says of it; NULL: index.json, which has none. */
static int choose(struct reader *reader, const char *file, const char *type, json_object *json, struct error *err)
{
	struct index index = { 0 };
	int result = oci_blob_decode(json, file, &index_schema, &index, &reader->layout->memory, err);

	if (result < 0)
		return result;
	if (index.config || index.layers)
		return fail_set(err, EINVAL,
				"%s: %s: belongs to a manifest, and `manifests` to an index: it can be only one of them", file,
				index.layers ? "layers" : "config");
	result = !type && index.type ? check_kind(file, "the index", index.type, KIND_INDEX, err)
				     : check_own_type(file, index.type, type ? type : "", err);
	if (result < 0)
		return result;
	size_t count = pick(reader, &index, !type, &reader->found);
	/* Of an index within one the first is taken, as the specification has it: they differ in what is finer than a platform. */
	return count == 1 || (count > 1 && type) ? 0 : tell_names(file, reader, &index, err);
}

static int find_manifest(struct reader *reader, struct error *err)
{
	const struct descriptor *found = &reader->found;
	char file[OCI_BLOB_NAME_SIZE] = INDEX_FILE;

	for (size_t depth = 0; depth < NESTED_MAX; depth++) {
		json_object *json;
		int result = oci_blob_read(reader->layout->folder, file, depth ? found->digest : NULL, found->size, &json, err);

		if (result < 0)
			return result;
		reader->documents[reader->document_count++] = json; /* what was found points into it */
		result = choose(reader, file, depth ? found->type : NULL, json, err);
		if (result < 0)
			return result;
		if (kind_of(found->type) != KIND_INDEX)
			return check_kind(file, "manifests[]", found->type, KIND_MANIFEST, err);
		oci_blob_name(found->digest, file);
	}
	return fail_set(err, ELOOP, "%s: more than %d indexes in each other", file, NESTED_MAX);
}

/* ---- the manifest ---- */

static int check_layer(const struct oci_layout *layout, const struct descriptor *layer, size_t index, struct error *err)
{
	char name[OCI_BLOB_NAME_SIZE], where[32];
	uint64_t size = layer->size;

	snprintf(where, sizeof(where), "layers[%zu]", index);
	int result = check_kind(layout->manifest, where, layer->type, KIND_LAYER, err);
	if (result < 0)
		return result;
	oci_blob_name(layer->digest, name);
	fd_auto fd = oci_blob_open(layout->folder, name, layer->digest, &size, err);
	if (fd == -ENOENT && json_object_is_type(layer->urls, json_type_array) && json_object_array_length(layer->urls) > 0)
		return fail_set(err, ENOENT, "%s: %s.urls: the layer is not in the layout, and nothing is fetched",
				layout->manifest, where);
	return fd < 0 ? fd : 0;
}

static int take_layers(struct oci_layout *layout, const struct manifest *manifest, struct error *err)
{
	const struct descriptor *items = manifest->layers.items;
	const struct decode_list *diff_ids = &layout->config.rootfs.diff_ids;
	size_t count = manifest->layers.count;

	if (diff_ids->count != count)
		return fail_set(err, EINVAL, "%s: layers: %zu, and the config has %zu rootfs.diff_ids", layout->manifest, count,
				diff_ids->count);
	layout->layers = decode_alloc(&layout->memory, count, sizeof(*layout->layers));
	if (!layout->layers)
		return error_set(err, ERROR_HOST, ENOMEM, "%s", layout->manifest);
	for (size_t i = 0; i < count; i++) {
		int result = check_layer(layout, &items[i], i, err);

		if (result < 0)
			return result;
		layout->layers[i] = (struct oci_layer){ .digest = items[i].digest,
							.diff_id = ((const char *const *)diff_ids->items)[i],
							.size = items[i].size };
	}
	layout->layer_count = count;
	return 0;
}

static int read_config(struct reader *reader, const struct manifest *manifest, struct error *err)
{
	struct oci_layout *layout = reader->layout;
	const struct oci_config *config = &layout->config;
	char name[OCI_BLOB_NAME_SIZE];
	int result = check_kind(layout->manifest, "config", manifest->config.type, KIND_CONFIG, err);

	if (result < 0)
		return result;
	oci_blob_name(manifest->config.digest, name);
	result = oci_blob_read(layout->folder, name, manifest->config.digest, manifest->config.size, &layout->config_json, err);
	if (result == 0)
		result = oci_config_decode(layout->config_json, name, &layout->config, &layout->memory, err);
	if (result < 0)
		return result;
	if (strcmp(config->os, reader->os) != 0 || strcmp(config->architecture, reader->architecture) != 0)
		return fail_set(err, ENOEXEC, "%s: os, architecture: the image is for %s/%s, not for %s/%s", name, config->os,
				config->architecture, reader->os, reader->architecture);
	return 0;
}

static int read_manifest(struct reader *reader, struct error *err)
{
	struct oci_layout *layout = reader->layout;
	struct manifest manifest = { 0 };

	oci_blob_name(reader->found.digest, layout->manifest);
	int result = oci_blob_read(layout->folder, layout->manifest, reader->found.digest, reader->found.size,
				   &layout->manifest_json, err);
	if (result == 0)
		result =
			oci_blob_decode(layout->manifest_json, layout->manifest, &manifest_schema, &manifest, &layout->memory, err);
	if (result == 0 && manifest.manifests)
		result = fail_set(err, EINVAL,
				  "%s: manifests: belongs to an index, and `layers` to a manifest: it can be only one of them",
				  layout->manifest);
	if (result == 0)
		result = check_own_type(layout->manifest, manifest.type, reader->found.type, err);
	if (result == 0)
		result = read_config(reader, &manifest, err);
	return result < 0 ? result : take_layers(layout, &manifest, err);
}

/* ---- the whole ---- */

bool oci_layout_is(const char *name)
{
	return strncmp(name, OCI_LAYOUT_PREFIX, strlen(OCI_LAYOUT_PREFIX)) == 0;
}

/* The first colon ends the folder, as other tools have it: a REF may have colons itself. */
static int read_name(struct reader *reader, const char *name, struct error *err)
{
	const char *folder = oci_layout_is(name) ? name + strlen(OCI_LAYOUT_PREFIX) : "", *colon = strchr(folder, ':');
	size_t length = colon ? (size_t)(colon - folder) : strlen(folder);

	if (length == 0 || (colon && !colon[1]))
		return fail_set(err, EINVAL, "'%.100s': oci:FOLDER or oci:FOLDER:REF is needed", name);
	if (text_format(reader->folder, sizeof(reader->folder), "%.*s", (int)length, folder) < 0)
		return error_set(err, ERROR_HOST, ENAMETOOLONG, "%.100s", name);
	reader->ref = colon ? colon + 1 : NULL;
	return 0;
}

static int read_platform(struct reader *reader, const char *platform, struct error *err)
{
	const char *slash = platform ? strchr(platform, '/') : NULL;
	struct utsname machine;

	if (platform) {
		if (!slash || slash == platform || !slash[1] || strchr(slash + 1, '/') ||
		    text_format(reader->os, sizeof(reader->os), "%.*s", (int)(slash - platform), platform) < 0 ||
		    text_format(reader->architecture, sizeof(reader->architecture), "%s", slash + 1) < 0)
			return fail_set(err, EINVAL, "--platform %.100s: OS/ARCHITECTURE is needed, as linux/amd64", platform);
		return 0;
	}
	if (uname(&machine) < 0)
		return error_set(err, ERROR_HOST, errno, "uname");
	snprintf(reader->os, sizeof(reader->os), "linux");
	snprintf(reader->architecture, sizeof(reader->architecture), "%.64s", machine.machine);
	for (size_t i = 0; i < array_count(machines); i++) {
		if (strcmp(machines[i].machine, machine.machine) == 0)
			snprintf(reader->architecture, sizeof(reader->architecture), "%s", machines[i].architecture);
	}
	return 0;
}

static int check_version(struct oci_layout *layout, struct error *err)
{
	struct version version = { 0 };
	json_object *json;
	int result = oci_blob_read(layout->folder, LAYOUT_FILE, NULL, 0, &json, err);

	if (result == 0)
		result = oci_blob_decode(json, LAYOUT_FILE, &version_schema, &version, &layout->memory, err);
	if (result == 0 && strcmp(version.version, "1.0.0") != 0)
		result = fail_set(err, EINVAL, LAYOUT_FILE ": imageLayoutVersion: '%s', and only 1.0.0 is known", version.version);
	json_object_put(json);
	return result;
}

static int open_all(struct reader *reader, struct error *err)
{
	struct oci_layout *layout = reader->layout;

	layout->folder = open(reader->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (layout->folder < 0)
		return error_set(err, ERROR_HOST, errno, "%.100s", reader->folder);
	int result = check_version(layout, err);
	if (result == 0)
		result = find_manifest(reader, err);
	if (result == 0)
		result = read_manifest(reader, err);
	return result < 0 ? error_wrap(err, "%.100s", reader->folder) : 0;
}

int oci_layout_open(const char *name, const char *platform, struct oci_layout *layout, struct error *err)
{
	struct reader reader = { .layout = layout, .found.type = "", .found.digest = "" };

	*layout = (struct oci_layout)OCI_LAYOUT_NONE;
	int result = read_name(&reader, name, err);
	if (result == 0)
		result = read_platform(&reader, platform, err);
	if (result == 0)
		result = open_all(&reader, err);
	for (size_t i = 0; i < reader.document_count; i++)
		json_object_put(reader.documents[i]);
	return result;
}

void oci_layout_close(struct oci_layout *layout)
{
	decode_free(&layout->memory);
	json_object_put(layout->config_json);
	json_object_put(layout->manifest_json);
	close_fd(&layout->folder);
	*layout = (struct oci_layout)OCI_LAYOUT_NONE;
}

int oci_layout_layer(const struct oci_layout *layout, size_t index, struct error *err)
{
	const struct oci_layer *layer = &layout->layers[index];
	char name[OCI_BLOB_NAME_SIZE];
	uint64_t size = layer->size;

	oci_blob_name(layer->digest, name);
	return oci_blob_open(layout->folder, name, layer->digest, &size, err);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONTAINER_OCI_TABLE_H
#define CONTAINER_OCI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include "base/error.h"

/*
 * JSON into JSON, by const tables.  A row names a key of an OCI runtime spec, what it may hold, and the key that it becomes; a key
 * without a row is an error that names its path, and so is every value of the wrong type or out of range.  null counts as absent.
 */

/* What is made of a spec.  Each is an object; `cgroup` belongs to `config`. */
struct oci_table_output {
	json_object *config, *process, *cgroup;
};

/* Where a row's result goes. */
enum oci_table_place {
	OCI_HERE, /* into what is made of the object that the row belongs to */
	OCI_CONFIG,
	OCI_PROCESS,
	OCI_CGROUP,
};

enum oci_table_kind {
	OCI_BOOL,
	OCI_INT,     /* within [min, max] */
	OCI_UINT,    /* within [min, max] */
	OCI_STRING,  /* at most `max` bytes (0: a path's) */
	OCI_STRINGS, /* an array of them */
	OCI_UINTS,   /* an array of integers within [min, max] */
	OCI_TEXTS,   /* an object of strings */
	OCI_WORD,    /* one of `words`; what it stands for */
	OCI_WORDS,   /* an array of them */
	OCI_BITS,    /* an array of them; the numbers or'ed */
	OCI_OBJECT,  /* an object by `table`; without `to`, its members go where the row's place says */
	OCI_LIST,    /* an array of objects by `table` */
	OCI_OBJECTS, /* an object of objects by `table`; the keys stay */
	OCI_REFUSED, /* any value but null, false, 0, "", [] and {} is ERROR_UNSUPPORTED_FIELD, because of `why` */
	OCI_OWN      /* `finish` does it all */
};

enum { OCI_REQUIRED = 1, OCI_NONEMPTY = 2 };

#define OCI_LIST_MAX 1024 /* elements of an array; of a row without `most` */

/* A word and what it stands for: `text` if there is one, else `number`. */
struct oci_table_word {
	const char *name;
	int64_t number;
	const char *text;
	bool refused; /* known, but nothing here does it: ERROR_UNSUPPORTED_FIELD */
};

struct oci_table;

struct oci_table_row {
	const char *name;
	enum oci_table_kind kind;
	enum oci_table_place place;
	const char *to; /* NULL: checked, and then it says nothing */
	unsigned flags;
	int64_t min;
	uint64_t max;
	size_t most; /* elements; 0: OCI_LIST_MAX */
	const struct oci_table *table;
	const struct oci_table_word *words; /* ends with a row without a name */
	const char *unique;                 /* OCI_LIST: this string member may not have the same value twice */
	/* Called at last with the value and the object that the result went to. */
	int (*finish)(const struct oci_table_output *output, json_object *value, json_object *out, struct error *err);
	const char *why;
};

struct oci_table {
	const struct oci_table_row *rows;
	size_t count;
	/* After the rows: what concerns several of them. */
	int (*finish)(const struct oci_table_output *output, json_object *value, json_object *out, struct error *err);
};

/* Converts the object `value` into `out`.  On failure err->field is the path within `value`, and `out` holds a part. */
must_check int oci_table_convert(const struct oci_table_output *output, json_object *value, const struct oci_table *table,
				 json_object *out, struct error *err);

/* Takes `value`, also when it fails; NULL for `value` means that there was no memory for it. */
must_check int oci_table_put(json_object *out, const char *key, json_object *value, struct error *err);
must_check int oci_table_append(json_object *array, json_object *value, struct error *err);
must_check int oci_table_put_int(json_object *out, const char *key, int64_t value, struct error *err);
must_check int oci_table_put_text(json_object *out, const char *key, const char *value, struct error *err);

/* A member of a checked object; NULL when it is absent or null. */
json_object *oci_table_get(json_object *object, const char *key);
/* The text of a string member; "" when it is absent. */
const char *oci_table_text(json_object *object, const char *key);

/* The field "KEY[INDEX]" of an error. */
must_check int oci_table_within(struct error *err, const char *key, size_t index);

#endif

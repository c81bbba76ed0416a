/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit/tar.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define BLOCK 512u

static void must(int condition, const char *what)
{
	if (condition)
		return;
	perror(what);
	abort();
}

void tar_append(struct tar *tar, const void *bytes, size_t size)
{
	tar->bytes = realloc(tar->bytes, tar->size + size + 1);
	must(tar->bytes != NULL, "memory");
	if (size)
		memcpy(tar->bytes + tar->size, bytes, size);
	tar->size += size;
}

static void pad(struct tar *tar)
{
	static const char zero[BLOCK];

	tar_append(tar, zero, (BLOCK - tar->size % BLOCK) % BLOCK);
}

/* Octal, or base 256 (GNU) when that is too small. */
static void put_number(unsigned char *field, size_t size, uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%0*llo", (int)size - 1, (unsigned long long)value);
	if (strlen(text) < size) {
		memcpy(field, text, size);
		return;
	}
	memset(field, 0, size);
	for (size_t i = 0; i < 8 && i < size; i++)
		field[size - 1 - i] = (unsigned char)(value >> 8 * i);
	field[0] |= 0x80;
}

static void put_header(struct tar *tar, const struct tar_file *file, const char *name, char type, size_t size)
{
	unsigned char block[BLOCK] = { 0 };
	unsigned sum = 0, mode = file->mode ? file->mode & 07777 : type == '5' ? 0755 : 0644;

	memcpy(block, name, strnlen(name, 100));
	put_number(block + 100, 8, mode);
	put_number(block + 108, 8, file->uid);
	put_number(block + 116, 8, file->gid);
	put_number(block + 124, 12, size);
	if (file->declared && type != 'x')
		memcpy(block + 124, file->declared, strnlen(file->declared, 12));
	put_number(block + 136, 12, (uint64_t)file->time);
	block[156] = (unsigned char)type;
	if (file->link)
		memcpy(block + 157, file->link, strnlen(file->link, 100));
	memcpy(block + 257,
	       "ustar\0"
	       "00",
	       8);
	put_number(block + 329, 8, file->major);
	put_number(block + 337, 8, file->minor);
	memset(block + 148, ' ', 8);
	for (size_t i = 0; i < BLOCK; i++)
		sum += block[i];
	snprintf((char *)block + 148, 8, "%06o", sum);
	tar_append(tar, block, sizeof(block));
}

/* "LENGTH key=value\n", where the length counts its own digits. */
static void add_record(struct tar *records, const char *key, const void *value, size_t size)
{
	size_t rest = 1 + strlen(key) + 1 + size + 1, length = rest;
	char head[600];

	for (size_t digits = 1; length != rest + digits; digits++) {
		length = rest + digits;
		if (snprintf(NULL, 0, "%zu", length) == (int)digits)
			break;
	}
	snprintf(head, sizeof(head), "%zu %s=", length, key);
	tar_append(records, head, strlen(head));
	tar_append(records, value, size);
	tar_append(records, "\n", 1);
}

static void put_pax(struct tar *tar, const struct tar_file *file)
{
	struct tar records = { 0 };

	for (size_t i = 0; i < sizeof(file->pax) / sizeof(file->pax[0]) && file->pax[i]; i++) {
		const char *value = strchr(file->pax[i], '=');
		char key[256];

		snprintf(key, sizeof(key), "%.*s", (int)(value - file->pax[i]), file->pax[i]);
		add_record(&records, key, value + 1, strlen(value + 1));
	}
	if (file->binary_key)
		add_record(&records, file->binary_key, file->binary, file->binary_size);
	if (file->name && strlen(file->name) > 100)
		add_record(&records, "path", file->name, strlen(file->name));
	if (file->link && strlen(file->link) > 100)
		add_record(&records, "linkpath", file->link, strlen(file->link));
	if (records.size) {
		put_header(tar, &(struct tar_file){ 0 }, "pax", 'x', records.size);
		tar_append(tar, records.bytes, records.size);
		pad(tar);
	}
	tar_free(&records);
}

void tar_add(struct tar *tar, const struct tar_file *file)
{
	size_t size = file->size ? file->size : file->data ? strlen(file->data) : 0;

	put_pax(tar, file);
	put_header(tar, file, file->name, file->type ? file->type : '0', size);
	tar_append(tar, file->data, file->data ? size : 0);
	pad(tar);
}

/* One "kind name=value" of a text; the next one begins at what is returned. */
static const char *read_item(const char *text, char *kind, char name[5000], char value[5000], int *has_value)
{
	size_t length = strcspn(text, ";");
	const char *equals = memchr(text, '=', length);
	size_t name_length = (equals ? (size_t)(equals - text) : length) - 2;

	must(length >= 2 && text[1] == ' ' && length < 5000, "an item");
	*kind = text[0];
	memcpy(name, text + 2, name_length);
	name[name_length] = '\0';
	*has_value = equals != NULL;
	value[0] = '\0';
	if (equals) {
		memcpy(value, equals + 1, (size_t)(text + length - equals - 1));
		value[text + length - equals - 1] = '\0';
	}
	return text + length + (text[length] == ';');
}

void tar_add_text(struct tar *tar, const char *text)
{
	static const char kinds[] = "f0h1l2c3b4d5p6xg";
	char kind, name[5000], value[5000];
	int has_value;

	while (*text) {
		text = read_item(text, &kind, name, value, &has_value);
		const char *found = strchr(kinds, kind);
		must(found != NULL, "a kind");
		if (kind == 'x') {
			struct tar_file global = { 0 };

			put_header(tar, &global, name, 'g', 17);
			tar_append(tar, "17 comment=words\n", 17);
			pad(tar);
			continue;
		}
		struct tar_file file = { .type = found[1], .name = name, .time = 1000000000 };
		if (kind == 'l' || kind == 'h')
			file.link = value;
		else
			file.data = value;
		if (kind == 'c' || kind == 'b')
			file.data = NULL, file.major = 1, file.minor = 3;
		tar_add(tar, &file);
	}
}

void tar_end(struct tar *tar)
{
	static const char zeros[2 * BLOCK];

	tar_append(tar, zeros, sizeof(zeros));
}

void tar_free(struct tar *tar)
{
	free(tar->bytes);
	*tar = (struct tar){ 0 };
}

/* ---- trees ---- */

void tree_text_make(int directory, const char *text)
{
	char kind, name[5000], value[5000];
	int has_value, fd;

	while (text && *text) {
		text = read_item(text, &kind, name, value, &has_value);
		switch (kind) {
		case 'd':
			must(mkdirat(directory, name, 0755) == 0, name);
			break;
		case 'l':
			must(symlinkat(value, directory, name) == 0, name);
			break;
		case 'h':
			must(linkat(directory, value, directory, name, 0) == 0, name);
			break;
		case 'p':
			must(mkfifoat(directory, name, 0644) == 0, name);
			break;
		case 'w':
			must(mknodat(directory, name, S_IFCHR, 0) == 0, name);
			break;
		case 'c':
			must(mknodat(directory, name, S_IFCHR | 0600, makedev(1, 3)) == 0, name);
			break;
		default:
			fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL, 0644);
			must(fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value), name);
			close(fd);
		}
	}
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void describe(struct tar *out, int directory, const char *path, const char *name, char *full, size_t size)
{
	struct stat status;
	char value[5000] = "", line[16000], kind = '?', mark = 0;

	snprintf(full, size, "%s%s%s", path, path[0] ? "/" : "", name);
	must(fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0, name);
	switch (status.st_mode & S_IFMT) {
	case S_IFDIR: {
		int fd = openat(directory, name, O_RDONLY);

		kind = fgetxattr(fd, "trusted.overlay.opaque", &mark, 1) == 1 && mark == 'y' ? 'o' : 'd';
		close(fd);
		break;
	}
	case S_IFREG: {
		int fd = openat(directory, name, O_RDONLY);

		kind = status.st_nlink > 1 ? 'F' : status.st_size ? 'f' : 'e';
		must(fd >= 0 && read(fd, value, sizeof(value) - 1) >= 0, name);
		close(fd);
		break;
	}
	case S_IFLNK:
		kind = 'l';
		must(readlinkat(directory, name, value, sizeof(value) - 1) > 0, name);
		break;
	case S_IFIFO:
		kind = 'p';
		break;
	case S_IFBLK:
		kind = 'b';
		break;
	case S_IFCHR:
		kind = status.st_rdev ? 'c' : 'w';
		break;
	}
	snprintf(line, sizeof(line), "%s%c %s%s%s", out->size ? ";" : "", kind, full, value[0] ? "=" : "", value);
	tar_append(out, line, strlen(line));
}

static void read_directory(struct tar *out, int directory, const char *path)
{
	struct dirent **names;
	int count = scandirat(directory, ".", &names, NULL, by_name);
	char full[9000];

	must(count >= 0, "scandir");
	for (int i = 0; i < count; i++) {
		const char *name = names[i]->d_name;
		int fd;

		if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
			describe(out, directory, path, name, full, sizeof(full));
			fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
			if (fd >= 0)
				read_directory(out, fd, full);
			close(fd);
		}
		free(names[i]);
	}
	free(names);
}

char *tree_text_read(int directory)
{
	struct tar out = { 0 };

	read_directory(&out, directory, "");
	tar_append(&out, "", 1);
	return (char *)out.bytes;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/sys/device_ways.c agent/sys/device_tree.c agent/sys/device_pci.c agent/sys/device_scsi.c */
/*
 * The ways of naming a disk: their grammar, and looking for it in a tree with the layout of the kernel's sysfs, on a tmpfs in /tmp
 * with device nodes that lead nowhere.  For Hyper-V's way this is the only test: there is no such machine to be had.
 */
#include "unit/test.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "sys/device_ways.h"

static char top[] = "/tmp/coffer-test-XXXXXX";
static char sys_folder[64], dev_folder[64];
static struct device_tree tree = { sys_folder, dev_folder };
static struct error err;

/* ---- grammar ---- */

static const struct {
	const char *way, *text;
	bool good;
} texts[] = {
	{ "serial", "a", true },
	{ "serial", "image 1", true },
	{ "serial", "0123456789012345678901234567890123456789012345678901234567890123", true },
	{ "serial", "01234567890123456789012345678901234567890123456789012345678901234", false },
	{ "serial", "", false },
	{ "path", "/dev/vda", true },
	{ "path", "/dev/pmem0", true },
	{ "path", "/dev/nvme0n1", true },
	{ "path", "/dev/", false },
	{ "path", "/dev", false },
	{ "path", "vda", false },
	{ "path", "/dev/../etc/passwd", false },
	{ "path", "/dev//vda", false },
	{ "path", "/dev/dm-0", false },
	{ "path", "/dev/mapper/x", false },
	{ "path", "/dev/012345678901234567890123456789012345678901234567890123456789", false },
	{ "pci", "02", true },
	{ "pci", "02/03", true },
	{ "pci", "1f.7/1F.0", true },
	{ "pci", "02/00/01", true },
	{ "pci", "20/02", false },
	{ "pci", "20/02/03", true },
	{ "pci", "ff/02/03", true },
	{ "pci", "20.0/02/03", false },
	{ "pci", "02/20/03", false },
	{ "pci", "01/02/03/04/05/06/07/08", true },
	{ "pci", "01/02/03/04/05/06/07/08/09", false },
	{ "pci", "20", false },
	{ "pci", "00.8", false },
	{ "pci", "00.", false },
	{ "pci", "xy", false },
	{ "pci", "00.0.0", false },
	{ "pci", "00/", false },
	{ "pci", "/00", false },
	{ "pci", "00//00", false },
	{ "pci", "0", false },
	{ "pci", "2/3", false },
	{ "pci", "002", false },
	{ "pci", " 02", false },
	{ "pci", "02\n", false },
	{ "pci", "", false },
	{ "scsi", "0:0", true },
	{ "scsi", "255:16383", true },
	{ "scsi", "256:0", false },
	{ "scsi", "0:16384", false },
	{ "scsi", "00:1", false },
	{ "scsi", "0:01", false },
	{ "scsi", "0", false },
	{ "scsi", "0:", false },
	{ "scsi", ":0", false },
	{ "scsi", "0:0:0", false },
	{ "scsi", "-1:0", false },
	{ "scsi", "+1:0", false },
	{ "scsi", "1: 0", false },
	{ "scsi", "4294967296:0", false },
	{ "scsi", "", false },
	{ "hyperv", "0:0", true },
	{ "hyperv", "3:255", true },
	{ "hyperv", "4:0", false },
	{ "hyperv", "200:0", false },
	{ "hyperv", "0:256", false },
	{ "hyperv", "0", false },
	{ "hyperv", "", false },
};

static const struct device_way *find_way(const char *name)
{
	for (size_t i = 0; i < device_ways_count; i++) {
		if (strcmp(device_ways[i].name, name) == 0)
			return &device_ways[i];
	}
	fail_msg("no way %s", name);
	return NULL;
}

static struct blockdev_name name_by(const char *way, const char *text)
{
	struct blockdev_name name = { 0 };

	*(const char **)((char *)&name + find_way(way)->offset) = text;
	return name;
}

static void every_row_is_whole_and_tried(void **state)
{
	(void)state;
	for (size_t a = 0; a < device_ways_count; a++) {
		const struct device_way *way = &device_ways[a];
		unsigned good = 0, bad = 0;

		check_row(way->name && way->check && way->matches, "row %zu", a);
		for (size_t b = 0; b < a; b++) {
			check_row(strcmp(device_ways[b].name, way->name) != 0, "%s twice", way->name);
			check_row(device_ways[b].offset != way->offset, "%s: the member of %s", way->name, device_ways[b].name);
		}
		for (size_t i = 0; i < array_count(texts); i++) {
			if (strcmp(texts[i].way, way->name) == 0)
				texts[i].good ? good++ : bad++;
		}
		check_row(good > 0 && bad > 0, "%s: no row of texts[]", way->name);
	}
}

static void the_grammar_of_each(void **state)
{
	struct device_wanted wanted;
	char source[160];

	(void)state;
	for (size_t i = 0; i < array_count(texts); i++) {
		struct blockdev_name name = name_by(texts[i].way, texts[i].text);
		bool is_path = strcmp(texts[i].way, "path") == 0;

		int result = device_ways_read(&name, &wanted, &err);
		check_row((result == 0) == texts[i].good, "%s \"%s\"", texts[i].way, texts[i].text);
		if (texts[i].good)
			assert_string_equal(wanted.text, texts[i].text);
		else
			assert_failed(result, &err, ERROR_PARAMS, texts[i].way);
		/* The same as a volume's source. */
		snprintf(source, sizeof(source), "%s%s%s", is_path ? "" : texts[i].way, is_path ? "" : ":", texts[i].text);
		name = (struct blockdev_name){ .source = source };
		result = device_ways_read(&name, &wanted, &err);
		check_row((result == 0) == texts[i].good, "%s", source);
		if (texts[i].good)
			assert_ptr_equal(wanted.way, find_way(texts[i].way));
		else
			assert_failed(result, &err, ERROR_PARAMS, "source");
	}
}

#define UUID       "c12a7328-F81F-11d2-ba4b-00a0c93ec93b"
#define UUID_LOWER "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"

static void sources_with_a_partition(void **state)
{
	static const struct {
		const char *source, *way, *text; /* NULL: refused */
		unsigned partition;
		const char *partuuid;
	} rows[] = {
		{ "serial:a#1", "serial", "a", 1, "" },
		{ "/dev/vda#128", "path", "/dev/vda", 128, "" },
		{ "pci:02/03#7", "pci", "02/03", 7, "" },
		{ "scsi:0:1#2", "scsi", "0:1", 2, "" },
		{ "hyperv:3:1#2", "hyperv", "3:1", 2, "" },
		{ "serial:a#" UUID, "serial", "a", 0, UUID_LOWER },
		{ "serial:a#0", NULL, NULL, 0, NULL },
		{ "serial:a#01", NULL, NULL, 0, NULL },
		{ "serial:a#129", NULL, NULL, 0, NULL },
		{ "serial:a#1000", NULL, NULL, 0, NULL },
		{ "serial:a#", NULL, NULL, 0, NULL },
		{ "serial:a#1#2", NULL, NULL, 0, NULL },
		{ "serial:a#-1", NULL, NULL, 0, NULL },
		{ "serial:a#" UUID "0", NULL, NULL, 0, NULL },
		{ "serial:a#c12a7328-f81f-11d2-ba4b-00a0c93ec93", NULL, NULL, 0, NULL },
		{ "serial:a#c12a7328-f81f-11d2-ba4b-00a0c93ec93g", NULL, NULL, 0, NULL },
		{ "serial:a#c12a7328f81f-11d2-ba4b--00a0c93ec93b", NULL, NULL, 0, NULL },
		{ "#1", NULL, NULL, 0, NULL },
		{ "serial:#1", NULL, NULL, 0, NULL },
		{ "path:/dev/vda", NULL, NULL, 0, NULL },
		{ "partition:1", NULL, NULL, 0, NULL },
		{ "Serial:a", NULL, NULL, 0, NULL },
		{ "serial", NULL, NULL, 0, NULL },
		{ ":a", NULL, NULL, 0, NULL },
		{ "", NULL, NULL, 0, NULL },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		struct blockdev_name name = { .source = rows[i].source };
		struct device_wanted wanted;
		int result = device_ways_read(&name, &wanted, &err);

		check_row((result == 0) == (rows[i].way != NULL), "%s", rows[i].source);
		if (!rows[i].way) {
			assert_failed(result, &err, ERROR_PARAMS, "source");
			continue;
		}
		assert_string_equal(wanted.way->name, rows[i].way);
		assert_string_equal(wanted.text, rows[i].text);
		assert_int_equal(wanted.partition, rows[i].partition);
		assert_string_equal(wanted.partuuid, rows[i].partuuid);
	}
}

static void exactly_one_way_and_at_most_one_partition(void **state)
{
	struct device_wanted wanted;
	struct blockdev_name name = { 0 };

	(void)state;
	assert_failed(device_ways_read(&name, &wanted, &err), &err, ERROR_PARAMS, "");
	name = (struct blockdev_name){ .serial = "a", .hyperv = "0:1" };
	assert_failed(device_ways_read(&name, &wanted, &err), &err, ERROR_PARAMS, "");
	name = (struct blockdev_name){ .partition = 1 };
	assert_failed(device_ways_read(&name, &wanted, &err), &err, ERROR_PARAMS, "");
	name = (struct blockdev_name){ .pci = "02", .partition = 1, .partuuid = UUID };
	assert_failed(device_ways_read(&name, &wanted, &err), &err, ERROR_PARAMS, "partuuid");
	name = (struct blockdev_name){ .pci = "02", .partition = 129 };
	assert_failed(device_ways_read(&name, &wanted, &err), &err, ERROR_PARAMS, "partition");
	name = (struct blockdev_name){ .pci = "02", .partuuid = "x" };
	assert_failed(device_ways_read(&name, &wanted, &err), &err, ERROR_PARAMS, "partuuid");
	name = (struct blockdev_name){ .pci = "02", .partuuid = UUID };
	assert_worked(device_ways_read(&name, &wanted, &err), &err);
	assert_string_equal(wanted.partuuid, UUID_LOWER);
}

/* ---- the tree ---- */

static void make_folders(const char *path)
{
	char part[PATH_MAX];

	snprintf(part, sizeof(part), "%s", path);
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		assert_true(mkdir(part, 0755) == 0 || errno == EEXIST);
		*slash = '/';
	}
	assert_true(mkdir(part, 0755) == 0 || errno == EEXIST);
}

static void make_file(const char *folder, const char *name, const char *text, size_t size)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd_auto fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, size), size);
}

/* A disk below /sys/devices/FOLDER, with its link in /sys/block; `minor` 0: without a node. */
static const char *add_disk(const char *folder, unsigned minor)
{
	static char path[PATH_MAX];
	char link[PATH_MAX], text[32];
	const char *name = strrchr(folder, '/') + 1;

	snprintf(path, sizeof(path), "%s/devices/%s", sys_folder, folder);
	make_folders(path);
	int length = snprintf(text, sizeof(text), "254:%u\n", minor);
	make_file(path, "dev", text, (size_t)length);
	make_file(path, "hidden", "0\n", 2);
	snprintf(link, sizeof(link), "%s/block/%s", sys_folder, name);
	assert_int_equal(symlink(path, link), 0);
	if (minor) {
		snprintf(link, sizeof(link), "%s/%s", dev_folder, name);
		assert_int_equal(mknod(link, S_IFBLK | 0600, makedev(254, minor)), 0);
	}
	return path;
}

static void set(const char *disk, const char *file, const char *text)
{
	make_file(disk, file, text, strlen(text));
}

static int look(const char *way, const char *text, struct device_disk *disk)
{
	struct blockdev_name name = name_by(way, text);
	struct device_wanted wanted;
	char node[64];

	memset(disk, 0, sizeof(*disk));
	memset(&err, 0, sizeof(err));
	assert_worked(device_ways_read(&name, &wanted, &err), &err);
	return device_ways_look(&tree, &wanted, disk, node, sizeof(node), &err);
}

static void assert_found(const char *way, const char *text, const char *wanted)
{
	struct device_disk disk;
	int result = look(way, text, &disk);

	check_row(result == 1, "%s %s: %d %s", way, text, result, err.message);
	check_row(strcmp(disk.name, wanted) == 0, "%s %s: %s, not %s", way, text, disk.name, wanted);
}

static void assert_missing(const char *way, const char *text)
{
	struct device_disk disk;
	int result = look(way, text, &disk);

	check_row(result == 0, "%s %s: %d %s %s", way, text, result, disk.name, err.message);
}

static void assert_refused(const char *way, const char *text)
{
	struct device_disk disk;

	assert_failed(look(way, text, &disk), &err, ERROR_DEVICE, "");
}

static int make_top(void **state)
{
	(void)state;
	if (!mkdtemp(top))
		return -1;
	snprintf(sys_folder, sizeof(sys_folder), "%s/sys", top);
	snprintf(dev_folder, sizeof(dev_folder), "%s/dev", top);
	return 0;
}

static int remove_top(void **state)
{
	(void)state;
	return rmdir(top);
}

static int fresh(void **state)
{
	char path[128];

	(void)state;
	if (mount("tmpfs", top, "tmpfs", 0, "mode=0755") < 0)
		return -1;
	snprintf(path, sizeof(path), "%s/block", sys_folder);
	make_folders(path);
	make_folders(dev_folder);
	return 0;
}

static int clean(void **state)
{
	(void)state;
	return umount2(top, MNT_DETACH);
}

static void by_serial(void **state)
{
	static const char page[] = "\0\200\0\004scsi ";

	(void)state;
	set(add_disk("pci0000:00/0000:00:04.0/virtio1/block/vda", 16), "serial", "one\n");
	const char *nvme = add_disk("pci0000:00/0000:00:05.0/nvme/nvme0/nvme0n1", 32);
	char device[PATH_MAX];
	snprintf(device, sizeof(device), "%s/device", nvme);
	make_folders(device);
	set(device, "serial", "two                 \n");
	snprintf(device, sizeof(device), "%s/device",
		 add_disk("pci0000:00/0000:00:06.0/virtio2/host0/target0:0:0/0:0:0:1/block/sda", 48));
	make_folders(device);
	make_file(device, "vpd_pg80", page, sizeof(page) - 1);
	assert_found("serial", "one", "vda");
	assert_found("serial", "two", "nvme0n1");
	assert_found("serial", "scsi", "sda");
	assert_missing("serial", "on");
	assert_missing("serial", "one ");
	assert_missing("serial", "three");
	set(add_disk("pci0000:00/0000:00:07.0/virtio3/block/vdb", 64), "serial", "one\n");
	assert_refused("serial", "one");
}

static void only_whole_disks(void **state)
{
	(void)state;
	const char *part = add_disk("pci0000:00/0000:00:04.0/virtio1/block/vda/vda1", 17);
	set(part, "serial", "s\n");
	set(part, "partition", "1\n");
	assert_missing("serial", "s");
	set(add_disk("virtual/block/dm-0", 18), "serial", "s\n");
	set(add_disk("virtual/block/loop0", 19), "serial", "s\n");
	assert_missing("serial", "s");
	const char *hidden = add_disk("pci0000:00/0000:00:05.0/nvme/nvme0/nvme0c0n1", 0);
	set(hidden, "serial", "s\n");
	set(hidden, "hidden", "1\n");
	assert_missing("serial", "s");
	/* The disk that stands for several paths lies among virtual devices. */
	set(add_disk("virtual/nvme-subsystem/nvme-subsys0/nvme0n1", 32), "serial", "s\n");
	assert_found("serial", "s", "nvme0n1");
}

static void links_that_lead_elsewhere(void **state)
{
	char link[PATH_MAX], target[PATH_MAX];

	(void)state;
	snprintf(target, sizeof(target), "%s/elsewhere/vda", top);
	make_folders(target);
	set(target, "serial", "s\n");
	set(target, "dev", "254:16\n");
	snprintf(link, sizeof(link), "%s/vda", dev_folder);
	assert_int_equal(mknod(link, S_IFBLK | 0600, makedev(254, 16)), 0);
	snprintf(link, sizeof(link), "%s/block/vda", sys_folder);
	assert_int_equal(symlink(target, link), 0);
	assert_missing("serial", "s");
	assert_int_equal(unlink(link), 0);
	assert_int_equal(symlink("nowhere", link), 0);
	assert_missing("serial", "s");
	assert_int_equal(unlink(link), 0);
	/* A name that is not the device's. */
	set(add_disk("pci0000:00/0000:00:04.0/virtio1/block/vdb", 32), "serial", "t\n");
	snprintf(target, sizeof(target), "%s/devices/pci0000:00/0000:00:04.0/virtio1/block/vdb", sys_folder);
	assert_int_equal(symlink(target, link), 0);
	assert_found("serial", "t", "vdb");
}

static void the_node_must_be_the_disk_s(void **state)
{
	char node[128];
	const char *disk = add_disk("pci0000:00/0000:00:04.0/virtio1/block/vda", 0);

	(void)state;
	set(disk, "serial", "s\n");
	set(disk, "dev", "254:16\n");
	assert_missing("serial", "s"); /* devtmpfs has it not yet */
	snprintf(node, sizeof(node), "%s/vda", dev_folder);
	assert_int_equal(mknod(node, S_IFBLK | 0600, makedev(254, 32)), 0);
	assert_missing("serial", "s"); /* still another's */
	assert_int_equal(unlink(node), 0);
	assert_int_equal(mknod(node, S_IFBLK | 0600, makedev(254, 16)), 0);
	assert_found("serial", "s", "vda");
	for (int kind = 0; kind < 3; kind++) {
		assert_int_equal(unlink(node), 0);
		assert_int_equal(kind == 0   ? mknod(node, S_IFREG | 0600, 0)
				 : kind == 1 ? mknod(node, S_IFCHR | 0600, makedev(1, 3))
					     : symlink("vdb", node),
				 0);
		assert_refused("serial", "s");
	}
	set(disk, "dev", "nonsense\n");
	assert_missing("serial", "s");
}

static void by_path(void **state)
{
	char path[PATH_MAX];

	(void)state;
	add_disk("pci0000:00/0000:00:04.0/virtio1/block/vda", 16);
	add_disk("LNXSYSTM:00/LNXSYBUS:00/ACPI0012:00/ndbus0/region0/namespace0.0/block/pmem0", 32);
	add_disk("platform/a000000.virtio_mmio/virtio2/block/vdb", 48);
	assert_found("path", "/dev/vda", "vda");
	assert_found("path", "/dev/pmem0", "pmem0");
	assert_found("path", "/dev/vdb", "vdb");
	assert_missing("path", "/dev/vdc");
	snprintf(path, sizeof(path), "%s/null", dev_folder);
	assert_int_equal(mknod(path, S_IFCHR | 0600, makedev(1, 3)), 0);
	assert_refused("path", "/dev/null");
	snprintf(path, sizeof(path), "%s/link", dev_folder);
	assert_int_equal(symlink("vda", path), 0);
	assert_refused("path", "/dev/link");
	/* A partition, by its number. */
	snprintf(path, sizeof(path), "%s/dev/block/254:17", sys_folder);
	make_folders(path);
	set(path, "partition", "1\n");
	snprintf(path, sizeof(path), "%s/vda1", dev_folder);
	assert_int_equal(mknod(path, S_IFBLK | 0600, makedev(254, 17)), 0);
	assert_refused("path", "/dev/vda1");
	/* A mapping under another name. */
	add_disk("virtual/block/dm-0", 0);
	snprintf(path, sizeof(path), "%s/other", dev_folder);
	assert_int_equal(mknod(path, S_IFBLK | 0600, makedev(253, 0)), 0);
	assert_missing("path", "/dev/other");
}

static void by_pci_path(void **state)
{
	char path[PATH_MAX];

	(void)state;
	add_disk("pci0000:00/0000:00:04.0/virtio1/block/vda", 16);
	add_disk("pci0000:00/0000:00:04.1/virtio2/block/vdb", 32);
	add_disk("pci0000:00/0000:00:05.0/nvme/nvme0/nvme0n1", 48);
	/* Behind a bridge whose bus the kernel tells, */
	add_disk("pci0000:00/0000:00:02.0/0000:01:03.0/virtio3/block/vdc", 64);
	snprintf(path, sizeof(path), "%s/devices/pci0000:00/0000:00:02.0/pci_bus/0000:01", sys_folder);
	make_folders(path);
	/* behind one where the devices tell it, in two steps, */
	add_disk("pci0000:00/0000:00:06.0/0000:02:00.0/0000:03:1f.7/virtio4/block/vdd", 80);
	/* and on another root bus. */
	add_disk("pci0000:20/0000:20:02.0/0000:21:03.0/virtio5/block/vde", 96);
	assert_found("pci", "04", "vda");
	assert_found("pci", "04.0", "vda");
	assert_found("pci", "04.1", "vdb");
	assert_found("pci", "05", "nvme0n1");
	assert_found("pci", "02/03", "vdc");
	assert_found("pci", "06/00/1f.7", "vdd");
	assert_found("pci", "06/00/1F.7", "vdd");
	assert_found("pci", "20/02/03", "vde");
	assert_missing("pci", "02"); /* a bridge is no disk, whatever is behind it */
	assert_missing("pci", "06/00");
	assert_missing("pci", "03");
	assert_missing("pci", "04.2");
	assert_missing("pci", "00/02/03");
	assert_missing("pci", "21/02/03");
	/* Two buses behind one bridge: it cannot be said which is meant. */
	add_disk("pci0000:00/0000:00:06.0/0000:04:00.0/virtio6/block/vdf", 112);
	assert_missing("pci", "06/00/1f.7");
	/* A SCSI controller's disks have addresses of their own; other devices have no disks. */
	add_disk("pci0000:00/0000:00:07.0/virtio7/host0/target0:0:0/0:0:0:1/block/sda", 128);
	assert_missing("pci", "07");
	add_disk("pci0000:00/0000:00:08.0/ata1/block/sdb", 144);
	assert_missing("pci", "08");
	/* Two namespaces of one NVMe controller. */
	add_disk("pci0000:00/0000:00:05.0/nvme/nvme0/nvme0n2", 160);
	assert_refused("pci", "05");
}

static void by_scsi_address(void **state)
{
	(void)state;
	add_disk("pci0000:00/0000:00:07.0/virtio7/host0/target0:0:0/0:0:0:1/block/sda", 16);
	add_disk("pci0000:00/0000:00:07.0/virtio7/host0/target0:0:3/0:0:3:300/block/sdb", 32);
	add_disk("pci0000:00/0000:00:08.0/virtio8/host1/target1:1:4/1:1:4:0/block/sdc", 48);
	add_disk("pci0000:00/0000:00:09.0/virtio9/block/vda", 64);
	assert_found("scsi", "0:1", "sda");
	assert_found("scsi", "3:300", "sdb");
	assert_missing("scsi", "0:0");
	assert_missing("scsi", "1:0");
	assert_missing("scsi", "4:0"); /* on channel 1 */
	add_disk("pci0000:00/0000:00:08.0/virtio8/host1/target1:0:0/1:0:0:1/block/sdd", 80);
	assert_refused("scsi", "0:1"); /* on two hosts */
}

static void read_scan(const char *host, char *text, size_t size)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/class/scsi_host/%s/scan", sys_folder, host);
	fd_auto fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	ssize_t got = read(fd, text, size - 1);
	text[got > 0 ? got : 0] = '\0';
	assert_int_equal(ftruncate(fd, 0), 0);
}

static void add_host(const char *host)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/class/scsi_host/%s", sys_folder, host);
	make_folders(path);
	set(path, "scan", "");
}

static void by_hyperv_controller(void **state)
{
	static const char *const guids[] = { "df6d0690-79e5-55b6-a5ec-c1e2f77f580a", "0110f83b-de10-5172-a266-78bca56bf50a",
					     "b5d2d8d4-3a75-51bf-945b-3444dc6b8579", "305891a9-b251-5dfe-91a2-c25d9212275b" };
	char text[PATH_MAX], wanted[8], name[8];

	(void)state;
	/* The numbers of hosts say nothing of the controllers' order. */
	for (int i = 0; i < 4; i++) {
		int host = 10 - i;

		snprintf(text, sizeof(text), "%s/bus/vmbus/devices/%s/host%d", sys_folder, guids[i], host);
		make_folders(text);
		snprintf(text, sizeof(text), "LNXSYSTM:00/VMBUS:00/%s/host%d/target%d:0:0/%d:0:0:5/block/sd%c", guids[i], host,
			 host, host, 'a' + i);
		add_disk(text, 16 * (unsigned)(i + 1));
		snprintf(name, sizeof(name), "host%d", host);
		add_host(name);
	}
	for (int i = 0; i < 4; i++) {
		snprintf(text, sizeof(text), "%d:5", i);
		snprintf(wanted, sizeof(wanted), "sd%c", 'a' + i);
		assert_found("hyperv", text, wanted);
		snprintf(text, sizeof(text), "%d:0", i);
		assert_missing("hyperv", text);
	}
	/* Only the controller's own host is asked. */
	find_way("hyperv")->rescan(&tree, "1:7");
	read_scan("host9", text, sizeof(text));
	assert_string_equal(text, "0 0 7\n");
	read_scan("host10", text, sizeof(text));
	assert_string_equal(text, "");
}

static void a_hyperv_controller_that_is_not_there(void **state)
{
	char path[PATH_MAX];

	(void)state;
	assert_missing("hyperv", "0:0");
	find_way("hyperv")->rescan(&tree, "0:0");
	snprintf(path, sizeof(path), "%s/bus/vmbus/devices/df6d0690-79e5-55b6-a5ec-c1e2f77f580a/hostage", sys_folder);
	make_folders(path);
	add_disk("LNXSYSTM:00/VMBUS:00/x/host0/target0:0:0/0:0:0:0/block/sda", 16);
	assert_missing("hyperv", "0:0");
	/* Without sysfs there is nothing to wait for. */
	snprintf(path, sizeof(path), "%s/class", sys_folder);
	snprintf(sys_folder, sizeof(sys_folder), "%s/none", top);
	struct device_disk disk;
	assert_failed(look("hyperv", "0:0", &disk), &err, ERROR_INTERNAL, "");
	snprintf(sys_folder, sizeof(sys_folder), "%s/sys", top);
}

static void every_scsi_host_is_asked_to_scan(void **state)
{
	static const char *const hosts[] = { "host0", "host1", "host12" };
	char text[32];

	(void)state;
	find_way("scsi")->rescan(&tree, "3:300"); /* no hosts at all */
	for (size_t i = 0; i < array_count(hosts); i++)
		add_host(hosts[i]);
	find_way("scsi")->rescan(&tree, "3:300");
	for (size_t i = 0; i < array_count(hosts); i++) {
		read_scan(hosts[i], text, sizeof(text));
		assert_string_equal(text, "0 3 300\n");
	}
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fresh, clean)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_is_whole_and_tried),
		cmocka_unit_test(the_grammar_of_each),
		cmocka_unit_test(sources_with_a_partition),
		cmocka_unit_test(exactly_one_way_and_at_most_one_partition),
		CASE(by_serial),
		CASE(only_whole_disks),
		CASE(links_that_lead_elsewhere),
		CASE(the_node_must_be_the_disk_s),
		CASE(by_path),
		CASE(by_pci_path),
		CASE(by_scsi_address),
		CASE(by_hyperv_controller),
		CASE(a_hyperv_controller_that_is_not_there),
		CASE(every_scsi_host_is_asked_to_scan),
	};

	return cmocka_run_group_tests(tests, make_top, remove_top);
}

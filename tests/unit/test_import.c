/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/layer/import.c agent/layer/tar_reader.c agent/layer/tree.c agent/layer/tree_attributes.c agent/layer/tree_times.c */
/* links: agent/layer/tree_walk.c agent/layer/tree_whiteout.c agent/layer/sandbox.c agent/layer/digest.c agent/sys/libraries.c */
/* links: agent/sys/mounts.c agent/sys/paths.c agent/base/undo.c tests/unit/tar.c */
/* links: agent/layer/unpack.c */
/*
 * Which tree comes of which layer: OCI's image-spec, layer.md, and what moby's and containerd's tests expect
 * (pkg/archive/tar_test.go of containerd, go-archive's), by name where a row is theirs.  What overlayfs makes of a tree is looked
 * at in a mount of it.
 */
#include "unit/import.h"

#include <sys/xattr.h>

#define LONG_50 "0123456789012345678901234567890123456789abcdefghij"
#define LONG    LONG_50 LONG_50 LONG_50

struct row {
	const char *name, *lower, *archive, *tree, *merged;
};

static const struct row rows[] = {
	{ "plain files", NULL, "d a;f a/b=text;l a/c=b;h a/d=a/b;f empty;p fifo",
	  "d a;F a/b=text;l a/c=b;F a/d=text;e empty;p fifo", NULL },
	{ "names", NULL, "d ./;d ./a/;f ./a/./b=1;f /a//c=2;f ..gitme=3;f a/..d=4;f .x",
	  "f ..gitme=3;e .x;d a;f a/..d=4;f a/b=1;f a/c=2", NULL },
	{ "a long name", NULL, "f " LONG "=x;l link=" LONG "/y;h hard=" LONG, "F " LONG "=x;F hard=x;l link=" LONG "/y", NULL },
	{ "global headers are nobody's", NULL, "x pax_global_header/x;f a=1", "f a=1", NULL },
	{ "nothing at all", NULL, "", "", NULL },
	{ "implied directories", NULL, "f a/b/c=1", "d a;d a/b;f a/b/c=1", NULL },

	/* entries over entries of the same layer */
	{ "file over file", NULL, "f a=one;f a=2", "f a=2", NULL },
	{ "a file over a hard link leaves the other", NULL, "f a=one;h b=a;f b=2", "f a=one;f b=2", NULL },
	{ "file over link: not through it", NULL, "f a=one;l b=a;f b=2", "f a=one;f b=2", NULL },
	{ "link over file", NULL, "f a=one;l a=b", "l a=b", NULL },
	{ "file over directory", NULL, "f d/e/f=1;f d=2", "f d=2", NULL },
	{ "link over directory", NULL, "f d/e/f=1;l d=x;d x;f d/g=2", "l d=x;d x;f x/g=2", NULL },
	{ "directory over link", NULL, "d x;l d=x;d d;f d/f=1", "o d;f d/f=1;d x", NULL },
	{ "directory over file", NULL, "f d=1;d d;f d/f=2", "o d;f d/f=2", NULL },
	{ "directory over directory keeps what is in it", NULL, "f d/f=1;d d", "d d;f d/f=1", NULL },
	{ "fifo over file, file over fifo", NULL, "f a=1;p a;p b;f b=2", "p a;f b=2", NULL },
	{ "SymlinkOverridePath", NULL, "l foo=/;d foo;f foo/bar=1", "o foo;f foo/bar=1", NULL },
	{ "DirectoryOverrideSymlinkAndHardlink", NULL, "f a=one;h b=a;d b;f b/c=1", "f a=one;o b;f b/c=1", NULL },
	{ "hard link to itself", NULL, "f a=1;h a=a;h ./a=/a", "f a=1", NULL },

	/* links in paths */
	{ "link in a path", NULL, "d usr/lib;l lib=usr/lib;f lib/x=1", "l lib=usr/lib;d usr;d usr/lib;f usr/lib/x=1", NULL },
	{ "ThroughAbsoluteSymlink", NULL, "d run;d var;l var/run=/run;f var/run/x=1", "d run;f run/x=1;d var;l var/run=/run",
	  NULL },
	{ "through one to what is missing", NULL, "d var;l var/run=/run;f var/run/x=1", "d run;f run/x=1;d var;l var/run=/run",
	  NULL },
	{ "up and out stays in", NULL, "l up=../../../..;f up/victim/x=1", "l up=../../../..;d victim;f victim/x=1", NULL },
	{ "SymlinkBreakout", NULL, "d inner;l inner/go_up=..;l inner/go_up/escape=../victim;f inner/go_up/escape/newfile=1",
	  "l escape=../victim;d inner;l inner/go_up=..;d victim;f victim/newfile=1", NULL },
	{ "a link of links", NULL, "d a/b;l c=a;l d=c/b/../b/.;f d/x=1", "d a;d a/b;f a/b/x=1;l c=a;l d=c/b/../b/.", NULL },
	{ "dot-dot behind a link is of where it leads", NULL, "d a/b;d c;l c/d=../a/b/../x;f c/d/y=1",
	  "d a;d a/b;d a/x;f a/x/y=1;d c;l c/d=../a/b/../x", NULL },

	/* hard links */
	{ "AbsoluteHardlink", NULL, "f usr/bin/perl=1;h usr/bin/perlbug=/usr/bin/perl",
	  "d usr;d usr/bin;F usr/bin/perl=1;F usr/bin/perlbug=1", NULL },
	{ "HardlinkSourceThroughAbsoluteSymlink", NULL, "f a/f=1;l b=/a;h g=b/f", "d a;F a/f=1;l b=/a;F g=1", NULL },
	{ "HardlinkToSymlink", NULL, "l symlink1=regfile;h symlink2=symlink1;f regfile=1",
	  "f regfile=1;l symlink1=regfile;l symlink2=regfile", NULL },
	{ "to a file that is below", "d d;f d/f=text", "h d/g=d/f", "d d;F d/f=text;F d/g=text", "d d;F d/f=text;F d/g=text" },
	{ "to a link that is below", "f f=1;l s=f", "h t=s", "l s=f;l t=f", "f f=1;l s=f;l t=f" },
	{ "to what is below, through a link that is below", "d usr;f usr/f=1;l lib=usr", "h lib/g=lib/f",
	  "d usr;F usr/f=1;F usr/g=1", "l lib=usr;d usr;F usr/f=1;F usr/g=1" },

	/* whiteouts */
	{ "whiteouts", "d d;f d/a=1;f d/b=2;f e=3", "d d;f d/.wh.a;f .wh.e", "d d;w d/a;w e", "d d;f d/b=2" },
	{ "of a directory", "d d;d d/e;f d/e/f=1;f g=1", "f .wh.d", "w d", "f g=1" },
	{ "of what is not there", "f a=1", "f .wh.b;f c/.wh.d", "d c", "f a=1;d c" },
	{ "of a dot file", "f .baz=1;f baz=2", "f .wh..baz", "w .baz", "f baz=2" },
	{ "a file, then its whiteout: the layer's own file stays", "f a=1", "f a=2;f .wh.a", "f a=2", "f a=2" },
	{ "a whiteout, then the file", "f a=1", "f .wh.a;f a=2", "f a=2", "f a=2" },
	{ "a directory, then its whiteout", "d d;f d/a=1", "f d/b=2;f .wh.d", "o d;f d/b=2", "d d;f d/b=2" },
	{ "a whiteout, then the directory", "d d;f d/a=1", "f .wh.d;d d;f d/b=2", "o d;f d/b=2", "d d;f d/b=2" },
	{ "a whiteout, then what implies the directory", "d d;f d/a=1", "f .wh.d;f d/b=2", "o d;f d/b=2", "d d;f d/b=2" },
	{ "a whiteout, then a deeper directory", "d d;d d/e;f d/e/a=1", "f .wh.d;f d/e/b=2", "o d;d d/e;f d/e/b=2",
	  "d d;d d/e;f d/e/b=2" },
	{ "a whiteout twice", "f a=1", "f .wh.a;f .wh.a", "w a", "" },
	{ "opaque, before", "d d;f d/a=1", "d d;f d/.wh..wh..opq;f d/b=2", "o d;f d/b=2", "d d;f d/b=2" },
	{ "opaque, after", "d d;f d/a=1;d d/e;f d/e/x=1", "d d;f d/e/b=2;f d/.wh..wh..opq", "o d;d d/e;f d/e/b=2",
	  "d d;d d/e;f d/e/b=2" },
	{ "opaque, and a deeper one later", "d d;d d/e;f d/e/x=1", "f d/.wh..wh..opq;f d/e/b=2", "o d;d d/e;f d/e/b=2",
	  "d d;d d/e;f d/e/b=2" },
	{ "opaque, after whiteouts", "d d;f d/a=1;d d/e;f d/e/x=1;f d/e/y=1;f k=1",
	  "f d/.wh.a;f d/e/.wh.x;f d/e/z=2;f .wh.k;f d/.wh..wh..opq", "o d;d d/e;f d/e/z=2;w k", "d d;d d/e;f d/e/z=2" },
	{ "a whiteout, after whiteouts in it", "d d;f d/a=1;d d/e;f d/e/x=1;d d/f;f d/f/x=1", "f d/e/.wh.x;f d/f/.wh.x;f .wh.d",
	  "o d;d d/e;d d/f", "d d;d d/e;d d/f" },
	{ "whiteouts in what is opaque", "d d;f d/a=1;d d/e;f d/e/x=1", "f d/.wh..wh..opq;f d/.wh.a;f d/e/.wh.x", "o d;d d/e",
	  "d d;d d/e" },
	{ "whiteouts and nothing below", "d d", "d x;f x/.wh.a;f d/.wh.b;l d/c=1", "d d;l d/c=1;d x", "d d;l d/c=1;d x" },
	{ "whiteouts without a word of what is below", NULL, "f .wh.a;f d/.wh.b;f d/.wh..wh..opq;f d/.wh.c;f x/.wh..wh..opq",
	  "w a;o d;o x", NULL },
	{ "opaque at the top", "d d;f d/a=1;f e=1;f k=1", "f new=1;f k=2;f .wh..wh..opq", "w d;w e;f k=2;f new=1",
	  "f k=2;f new=1" },
	{ "opaque at the top, then what was below", "d d;f d/a=1;f e=1", "f .wh..wh..opq;f d/b=2;f e=2", "o d;f d/b=2;f e=2",
	  "d d;f d/b=2;f e=2" },
	{ "a whiteout through a link that is below", "d usr;f usr/x=1;l lib=usr", "f lib/.wh.x", "d usr;w usr/x",
	  "l lib=usr;d usr" },
	{ "WhiteoutSymlink", "f t=1;l s=t", "f .wh.s", "w s", "f t=1" },
	{ "WhiteoutDirectoryName", NULL, "f .wh.etc/somefile=1", "d .wh.etc;f .wh.etc/somefile=1", NULL },
	{ "AUFS' own files", NULL, "d .wh..wh.plnk;f .wh..wh.plnk/1.2=x;f .wh..wh.aufs;d d;f d/.wh..wh.orph", "d d", NULL },

	/* what is below */
	{ "ImpliedDirectoriesThroughLowerLayerSymlink", "d usr;d usr/lib;f usr/lib/a=1;l lib=usr/lib", "f lib/x=1",
	  "d usr;d usr/lib;f usr/lib/x=1", "l lib=usr/lib;d usr;d usr/lib;f usr/lib/a=1;f usr/lib/x=1" },
	{ "an absolute link that is below", "d run;d var;l var/run=/run", "f var/run/x=1", "d run;f run/x=1;d var",
	  "d run;f run/x=1;d var;l var/run=/run" },
	{ "a link below and one here", "d a;l b=a", "l c=b;f c/x=1", "d a;f a/x=1;l c=b", "d a;f a/x=1;l b=a;l c=b" },
	{ "a directory over a link that is below", "d usr;l lib=usr", "d lib;f lib/x=1", "d lib;f lib/x=1",
	  "d lib;f lib/x=1;d usr" },
	{ "a directory over a file that is below", "f a=1", "d a;f a/b=2", "d a;f a/b=2", "d a;f a/b=2" },
	{ "a file over a directory that is below", "d a;f a/b=1", "f a=2", "f a=2", "f a=2" },
	{ "a file, then a directory, over one that is below", "d a;f a/b=1", "f a=2;d a;f a/c=3", "o a;f a/c=3", "d a;f a/c=3" },
	{ "not below a link of this layer", "d a;f a/old=1", "l a=b;f a/x=1", "l a=b;d b;f b/x=1", "l a=b;d b;f b/x=1" },
};

static void which_tree_comes_of_which_layer(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		const struct row *row = &rows[i];

		fresh(row->lower);
		auto_free char *below = read_tree("lower");
		check_row(import_text(row->archive) == 0, "%s: %s: %s", row->name, error_wire_name(err.code), err.message);
		assert_tree(row->name, "tree", row->tree);
		assert_tree(row->name, "victim", "f hello=hello");
		assert_tree(row->name, "lower", below);
		if (!row->merged)
			continue;
		/* Overlayfs wants no trailing data of a mount's options: names are plain here. */
		check_row(mount("overlay", "merged", "overlay", 0, "lowerdir=tree:lower") == 0, "%s: mount: %s", row->name,
			  strerror(errno));
		auto_free char *got = read_tree("merged");
		assert_int_equal(umount("merged"), 0);
		check_row(strcmp(got, row->merged) == 0, "%s: overlayfs shows\n    \"%s\", not\n    \"%s\"", row->name, got,
			  row->merged);
	}
}

struct refusal {
	const char *name, *lower, *archive, *why; /* why: part of the message */
};

static const struct refusal refusals[] = {
	{ "InvalidFilenames", NULL, "f ../victim/dotdot=x", "upwards" },
	{ "InvalidFilenames, absolute", NULL, "f /../victim/slash-dotdot=x", "upwards" },
	{ "ParentTraversalContained", NULL, "d ..", "upwards" },
	{ "SymlinkParentDirectory", NULL, "l ..=x", "upwards" },
	{ "ParentRelative", NULL, "d localetc/sub;f localetc/sub/..=x", "upwards" },
	{ "a/../../b", NULL, "f a/../../b=x", "upwards" },
	{ "InvalidHardlink", NULL, "h dotdot=../victim/hello", "upwards" },
	{ "InvalidHardlink, absolute", NULL, "h slash=/../victim/hello", "upwards" },
	{ "SiblingPrefixContained", NULL, "h x=../tree-evil/secret", "upwards" },
	{ "HardlinkDirectRelative", NULL, "f etc/passwd=x;h a=../../../../../etc/passwd", "upwards" },
	{ "hard link through a link to outside", NULL, "l loophole=../victim;h x=loophole/hello", "not there" },
	{ "hard link through an absolute link to outside", NULL, "l loophole=/tmp;h x=loophole/hello", "not there" },
	{ "hard link to what comes later", NULL, "h a=b;f b=1", "not there" },
	{ "hard link to a directory", NULL, "d a;h b=a", "is a directory" },
	{ "hard link to a directory that is below", "d a", "h b=a", "is a directory" },
	{ "hard link to the top", NULL, "h b=/", "is a directory" },
	{ "hard link to what was taken away", "f a=1", "f .wh.a;h b=a", "taken away" },
	{ "hard link below what was taken away", "d d;f d/a=1", "f .wh.d;h b=d/a", "not there" },
	{ "hard link below what is opaque", "d d;f d/a=1", "f d/.wh..wh..opq;h b=d/a", "not there" },
	{ "hard link to one of AUFS' own", NULL, "f .wh..wh.plnk/1=x;h b=.wh..wh.plnk/1", "AUFS" },
	{ "hard link over what holds its target", NULL, "f d/f=1;h d=d/f", "No such file" },
	{ "below a file", NULL, "f f=1;f f/x=2", "not a directory" },
	{ "below a file that is below", "f f=1", "f f/x=2", "not a directory" },
	{ "below a fifo", NULL, "p f;f f/x=2", "not a directory" },
	{ "below a link to a file", NULL, "f f=1;l l=f;f l/x=2", "not a directory" },
	{ "a link to itself", NULL, "l a=a;f a/x=1", "links" },
	{ "links in a circle", NULL, "l a=b;l b=a/;f a/x=1", "links" },
	{ "links in a circle that is below", "l a=b;l b=a", "f a/x=1", "links" },
	{ "links that grow", NULL, "l a=a/b/a/b/a/b/a/b;f a/x=1", "links" },
	{ "whiteout of nothing", NULL, "f .wh.", "whiteout" },
	{ "WhiteoutCurrentDirectory", NULL, "f .wh..", "whiteout" },
	{ "WhiteoutRootParent", NULL, "f .wh...", "whiteout" },
	{ "whiteout of nothing, deeper", NULL, "f a/.wh.", "whiteout" },
	{ "whiteout of the parent, deeper", NULL, "f a/.wh...", "whiteout" },
	{ "the top as a file", NULL, "f .=x", "top" },
	{ "the top as a link (CVE-2021-29136)", NULL, "l .=/victim", "top" },
	{ "the top as a link, absolute", NULL, "l /=victim", "top" },
	{ "the top as a hard link", NULL, "f a=1;h /=a", "top" },
	{ "a device", NULL, "c null", "devices are not allowed" },
	{ "a block device", NULL, "b disk", "devices are not allowed" },
	{ "a link to nothing", NULL, "l a=", "nothing" },
};

static void which_layer_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_count(refusals); i++) {
		const struct refusal *row = &refusals[i];

		fresh(row->lower);
		auto_free char *below = read_tree("lower");
		check_row(import_text(row->archive) < 0, "%s: was taken", row->name);
		check_row(err.code == ERROR_LAYER, "%s: %s: %s", row->name, error_wire_name(err.code), err.message);
		check_row(strstr(err.message, row->why), "%s: %s", row->name, err.message);
		check_row(strcmp(err.step, "unpack the layer") == 0, "%s: %s", row->name, err.step);
		assert_tree(row->name, "victim", "f hello=hello");
		assert_tree(row->name, "lower", below);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(which_tree_comes_of_which_layer, clean),
		cmocka_unit_test_teardown(which_layer_is_refused, clean),
	};

	request.tree = request.lower = request.spool = -1;
	return cmocka_run_group_tests(tests, make_top, remove_top);
}

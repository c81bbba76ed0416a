# SPDX-License-Identifier: GPL-2.0-or-later
#
#   make            the agent, the host tool, the initramfs, a copy of the kernel
#   make demo       installs what is missing, then shows the whole thing at work
#   make check      installs what is missing, then every test; ends in `N passed, N failed`
#   make help       the rest
#
# V=1 shows the commands.  CC=clang works.  BUILD=DIR builds elsewhere.  KERNEL=FILE takes another kernel.
# HOOKS=DIR puts programs into the initramfs that container configs may name as hooks (docs/CONFIG.md).

BUILD  ?= build
PREFIX ?= /usr/local
ifeq ($(origin KERNEL),undefined)
KERNEL := $(shell initramfs/kernel.sh $(BUILD) 2>/dev/null)
endif
PYTHON := /usr/bin/python3

ifneq ($(filter default undefined,$(origin CC)),)
CC := gcc
endif
CLANG ?= clang

# Implicit rules and suffixes would only hide a missing rule.
MAKEFLAGS += -rR --no-print-directory
ifeq ($(MAKELEVEL)$(filter -j% --jobserver%,$(MAKEFLAGS)),0)
MAKEFLAGS += -j$(shell nproc)
endif
.DELETE_ON_ERROR:
.SECONDARY:

ifeq ($(V),1)
say = @:
Q :=
else
say = @printf '  %-9s %s\n'
Q := @
endif

# ---------------------------------------------------------------------------------------------------------- flags

WARN     := -Wall -Wextra -Werror -Wshadow -Wvla -Wmissing-prototypes -Wformat=2
BASE     := -std=gnu11 -D_GNU_SOURCE -g $(WARN) -Iagent -Iinclude
HARDEN   := -O2 -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE
HARDLINK := -pie -Wl,-z,relro -Wl,-z,now -Wl,--as-needed
SANITIZE := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
FUZZ     := -O1 -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all

# The agent links json-c alone.  libcryptsetup, libdevmapper, libblkid and the like are opened by the workers that need
# them (agent/sys/libraries.def): linked, they would cost PID 1 more memory than all the rest of it.
AGENT_LIBS := -ljson-c -lm
HOST_LIBS  := -ljson-c -lcryptsetup -lm

# ---------------------------------------------------------------------------------------------------- source lists

BASE_SRC  := $(sort $(wildcard agent/base/*.c))
AGENT_SRC := $(sort $(wildcard agent/*.c agent/*/*.c))
HOST_SRC  := $(sort $(wildcard qemu/*.c)) $(BASE_SRC)
UNIT_SRC  := $(sort $(wildcard tests/unit/test_*.c))
BENCH_SRC := $(sort $(wildcard tests/bench/*.c))
FUZZ_SRC  := $(sort $(wildcard tests/fuzz/fuzz_*.c))
C_FILES   := $(sort $(wildcard agent/*.[ch] agent/*/*.[ch] qemu/*.[ch] include/*/*.h tests/unit/*.[ch] tests/fake/*.[ch] \
	tests/fuzz/*.[ch] tests/ns/*.[ch] tests/vm/*.[ch] tests/bench/*.[ch]))
TIDY_SRC  := $(filter agent/%.c qemu/%.c,$(C_FILES))

# Each object tree is one set of flags: the agent, the agent with fault points, the host tool, and the test builds.
TREES        := agent faults host unit-gcc unit-clang fuzz
CC_agent      = $(CC)
CC_faults     = $(CC)
CC_host       = $(CC)
CC_unit-gcc   = gcc
CC_unit-clang = $(CLANG)
CC_fuzz       = $(CLANG)
FLAGS_agent      = $(BASE) $(HARDEN) $(CFLAGS)
FLAGS_faults     = $(BASE) $(HARDEN) -DCOFFER_FAULTS $(CFLAGS)
FLAGS_host       = $(BASE) $(HARDEN) -I. $(CFLAGS)
FLAGS_unit-gcc   = $(BASE) $(SANITIZE) -I. -Itests -DCOFFER_FAULTS
FLAGS_unit-clang = $(BASE) $(SANITIZE) -I. -Itests -DCOFFER_FAULTS
FLAGS_fuzz       = $(BASE) $(FUZZ) -I. -Itests

# clang's -Wformat=2 also wants the attribute on functions that take a va_list; gcc still sees to literal formats.
flags = $(FLAGS_$(1)) $(if $(findstring clang,$(CC_$(1))),-Wno-format-nonliteral)

object = $(patsubst %.c,$(BUILD)/obj/$(1)/%.o,$(2))

# ------------------------------------------------------------------------------------------------------- what to do

.PHONY: all
all: $(BUILD)/coffer-agent $(BUILD)/coffer $(BUILD)/initramfs.cpio.zst $(BUILD)/vmlinuz compile_commands.json

.PHONY: help
help:
	@sed -n 's/^##: //p' $(firstword $(MAKEFILE_LIST))

##: make                 build/coffer-agent build/coffer build/initramfs.cpio.zst build/vmlinuz compile_commands.json
##: make setup           install the packages that are missing (apt, with sudo when not root)
##: make install         into DESTDIR and PREFIX (/usr/local)
##: make clean           remove what was built; build/images, build/kernel and other downloads stay
##: make distclean       remove build/ whole
##: make format          clang-format over all C
##: make lint            format, clang-tidy, cppcheck and the checks of tests/lint
##: make test-unit       cmocka programs, gcc and clang, with ASan and UBSan
##: make test-ns         the agent in namespaces, without a VM
##: make test-vm         the agent in a VM      (TESTS='-k name' is handed to pytest)
##: make fuzz            every fuzz target for 60 s (FUZZ_SECONDS=)
##: make check           all of the above, counted: the last line is `N passed, N failed`
##: make weakened        takes out one defence after the other; the tests of its attack must fail
##: make demo            a container on a verified image and an encrypted scratch disk, step by step
##: make bench           the benchmarks of docs/BENCHMARKS.md
##: make bench-volumes    a hundred layers attached one by one, and at once
##: make bench-launch    what a container's launch costs, beside crun and runc, in one VM
##: make bench-layers    import and export of layers beside tar and umoci, and the memory they take, in one VM
##: make bench-scratch   what a scratch costs beside cryptsetup and mke2fs, by cipher, and with xfs, in one VM
##: make size            size of the initramfs and idle memory of the agent
##: make images          the root file systems that the tests and the demo boot
##: make kernel-6.12     build/6.12/: a newer kernel and an initramfs for it (unpacked, never installed)

# ---------------------------------------------------------------------------------------------------------- set-up

.PHONY: setup
setup:
	$(Q)BUILD=$(BUILD) tests/setup.sh install

# Asked once per version of the list, before the first object: a list of missing packages is a better answer than
# a compiler's 'no such file'.
$(BUILD)/.packages: tests/setup.sh
	$(Q)mkdir -p $(@D)
	$(Q)BUILD=$(BUILD) tests/setup.sh check build
	$(Q)touch $@

# ----------------------------------------------------------------------------------------------------------- objects

# Rewritten only when the words in it change, so what depends on it is made again exactly then: on other flags,
# and on a source file that came or went.
.PHONY: FORCE
define remember
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(1))' | cmp -s - $@ || printf '%s\n' '$(subst ','\'',$(1))' >$@
endef

define tree
$(BUILD)/obj/$(1)/flags: FORCE
	$$(call remember,$$(CC_$(1)) $$(call flags,$(1)))
$(BUILD)/obj/$(1)/%.o: %.c $(BUILD)/obj/$(1)/flags | $(BUILD)/.packages
	$$(say) CC '$$< ($(1))'
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$(CC_$(1)) $$(call flags,$(1)) -MMD -MP -c -o $$@ $$<
$(BUILD)/obj/$(1)/base.a: $(call object,$(1),$(BASE_SRC)) $(BUILD)/obj/$(1)/base.list
	$$(Q)rm -f $$@; ar rcs $$@ $(call object,$(1),$(BASE_SRC))
$(BUILD)/obj/$(1)/base.list: FORCE
	$$(call remember,$$(BASE_SRC))
endef
$(foreach t,$(TREES),$(eval $(call tree,$(t))))

$(BUILD)/obj/agent.list: FORCE
	$(call remember,$(AGENT_SRC) $(AGENT_LIBS) $(LDFLAGS))
$(BUILD)/obj/host.list: FORCE
	$(call remember,$(HOST_SRC) $(HOST_LIBS) $(LDFLAGS))

define link_program
	$(say) LINK $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(HARDLINK) $(LDFLAGS) -o $@ $(filter %.o,$^) $(1)
endef

$(BUILD)/coffer-agent: $(call object,agent,$(AGENT_SRC)) $(BUILD)/obj/agent.list
	$(call link_program,$(AGENT_LIBS) -ldl)
$(BUILD)/test/coffer-agent: $(call object,faults,$(AGENT_SRC)) $(BUILD)/obj/agent.list
	$(call link_program,$(AGENT_LIBS) -ldl)
$(BUILD)/coffer: $(call object,host,$(HOST_SRC)) $(BUILD)/obj/host.list
	$(call link_program,$(HOST_LIBS))

# --------------------------------------------------------------------------------------------- initramfs and kernel

ARCHIVE      := $(BUILD)/libcoffer-archive.so.1
INITRAMFS_IN := initramfs/build.py initramfs/modules.list $(wildcard agent/sys/libraries.def) $(BUILD)/pause $(ARCHIVE)

$(BUILD)/kernel.name: FORCE
	$(call remember,$(KERNEL))

# The kernel is copied, so that a VM boots what was measured even after a package upgrade.
$(BUILD)/vmlinuz: $(BUILD)/kernel.name $(KERNEL) | $(BUILD)/.packages
	$(say) KERNEL '$(KERNEL)'
	$(Q)test -n "$(KERNEL)" || initramfs/kernel.sh $(BUILD)
	$(Q)cp -f "$(KERNEL)" $@ && chmod 644 $@

# The first process of a sandbox: a program without a C library.
$(BUILD)/pause: initramfs/pause.c | $(BUILD)/.packages
	$(say) LINK $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(WARN) -Os -static -nostdlib -nostartfiles -ffreestanding -fno-stack-protector -fno-asynchronous-unwind-tables \
		-fcf-protection=none -fno-pie -no-pie -Wl,--build-id=none -Wl,-z,noexecstack -s -o $@ $<

# Debian's libarchive.so brings libxml2 and ICU, 30 MB.  Out of the static ones comes what reads a tar, gzip and zstd, 0.3 MB.
$(ARCHIVE): initramfs/archive.c initramfs/archive.map | $(BUILD)/.packages
	$(say) LINK $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE $(WARN) -O2 -fstack-protector-strong -fPIC -shared -o $@ $< \
		-Wl,-soname,$(@F) -Wl,--version-script=initramfs/archive.map -Wl,-Bsymbolic -Wl,--gc-sections -Wl,-z,defs -Wl,-z,relro -Wl,-z,now \
		$(shell sed -n 's/^\t\([a-zA-Z].*\);/-Wl,-u,\1/p' initramfs/archive.map) -l:libarchive.a -l:libz.a -l:libzstd.a

define build_initramfs
	$(say) INITRAMFS $@
	$(Q)mkdir -p $(@D)
	$(Q)$(PYTHON) initramfs/build.py --pause $(BUILD)/pause --library $(ARCHIVE) $(if $(HOOKS),--hooks $(HOOKS)) --agent $(1) --kernel "$(2)" --cache $(BUILD)/initramfs-cache $(3) --output $@
endef

$(BUILD)/initramfs.cpio.zst: $(BUILD)/coffer-agent $(BUILD)/vmlinuz $(INITRAMFS_IN) initramfs/cmdline
	$(call build_initramfs,$<,$(KERNEL),--report $(BUILD)/initramfs.txt)
	@tail -n 3 $(BUILD)/initramfs.txt
# After the other, which leaves the slow part compressed in the cache.
$(BUILD)/test/initramfs.cpio.zst: $(BUILD)/test/coffer-agent $(BUILD)/vmlinuz $(INITRAMFS_IN) | $(BUILD)/initramfs.cpio.zst
	$(call build_initramfs,$<,$(KERNEL),)

# The build that VM tests use: an agent with fault points (-DCOFFER_FAULTS).  Never installed.
.PHONY: test-agent
test-agent: $(BUILD)/test/initramfs.cpio.zst

# A second kernel, from Debian's next release, for the features that are probed at run time.
.PHONY: kernel-6.12
kernel-6.12:
	$(Q)initramfs/kernel.sh --fetch trixie $(BUILD)/6.12/root
	$(Q)$(MAKE) $(BUILD)/6.12/vmlinuz $(BUILD)/6.12/initramfs.cpio.zst $(BUILD)/6.12/test/initramfs.cpio.zst
KERNEL_612 = $(wildcard $(BUILD)/6.12/root/boot/vmlinuz-*)
$(BUILD)/6.12/vmlinuz: $(KERNEL_612)
	$(Q)cp -f $< $@ && chmod 644 $@
$(BUILD)/6.12/initramfs.cpio.zst: $(BUILD)/coffer-agent $(BUILD)/6.12/vmlinuz $(INITRAMFS_IN)
	$(call build_initramfs,$<,$(KERNEL_612),)
$(BUILD)/6.12/test/initramfs.cpio.zst: $(BUILD)/test/coffer-agent $(BUILD)/6.12/vmlinuz $(INITRAMFS_IN) | $(BUILD)/6.12/initramfs.cpio.zst
	$(call build_initramfs,$<,$(KERNEL_612),)

# ------------------------------------------------------------------------------------------ for editors and clang-tidy

TREE_OF = $(if $(filter agent/%,$(1)),agent,$(if $(filter qemu/%,$(1)),host,$(if $(filter tests/fuzz/%,$(1)),fuzz,unit-clang)))
COMPDB_SRC := $(filter %.c,$(C_FILES))
comma := ,
define compdb_entry
{ "directory": "$(CURDIR)", "file": "$(1)", "command": "$(CC_$(call TREE_OF,$(1))) $(call flags,$(call TREE_OF,$(1))) -c $(1)" }
endef

$(BUILD)/obj/compdb.list: FORCE
	$(call remember,$(CURDIR) $(CC) $(CFLAGS) $(COMPDB_SRC))
compile_commands.json: $(BUILD)/obj/compdb.list Makefile
	$(file >$@,[)
	$(foreach f,$(COMPDB_SRC),$(file >>$@,$(call compdb_entry,$(f))$(if $(filter $(f),$(lastword $(COMPDB_SRC))),,$(comma))))
	$(file >>$@,])
	@true

# ------------------------------------------------------------------------------------------------------------- tests

# A test program names what it is linked with in a comment: /* links: agent/sys/x.c tests/fake/y.c -lz */
# agent/base comes with every one, from an archive, so that a fake may stand in for a whole base file.
LINKS := $(if $(UNIT_SRC)$(FUZZ_SRC),$(shell awk '\
	match($$0, /\/\* links:.*\*\//) { s = substr($$0, RSTART + 9, RLENGTH - 11); n = split(s, w, /[ \t]+/); \
		for (i = 1; i <= n; i++) if (w[i] != "") print FILENAME "|" w[i] }' $(UNIT_SRC) $(FUZZ_SRC)))
links_of   = $(patsubst $(1)|%,%,$(filter $(1)|%,$(LINKS)))
link_src   = $(filter %.c,$(links_of))
link_flags = $(filter -%,$(links_of))

# Where a test finds what the build makes for dlopen(): DT_RPATH, as DT_RUNPATH is not looked at for a sanitizer's dlopen().
OWN_LIBRARIES = -Wl,--disable-new-dtags,-rpath,$(abspath $(BUILD))

define unit_program
$(BUILD)/unit/$(1)/$(notdir $(2:.c=)): $(call object,$(1),$(2) $(call link_src,$(2))) $(BUILD)/obj/$(1)/base.a | $(ARCHIVE)
	$$(say) LINK $$@
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$(CC_$(1)) $$(SANITIZE) -o $$@ $$(filter %.o,$$^) $$(filter %.a,$$^) $(call link_flags,$(2)) $$(OWN_LIBRARIES) -lcmocka -ljson-c -lm -ldl
endef
$(foreach t,unit-gcc unit-clang,$(foreach s,$(UNIT_SRC),$(eval $(call unit_program,$(t),$(s)))))
UNIT_PROGRAMS := $(foreach t,unit-gcc unit-clang,$(patsubst tests/unit/%.c,$(BUILD)/unit/$(t)/%,$(UNIT_SRC)))

define fuzz_program
$(BUILD)/fuzz/$(notdir $(1:.c=)): $(call object,fuzz,$(1) $(call link_src,$(1))) $(BUILD)/obj/fuzz/base.a | $(ARCHIVE)
	$$(say) LINK $$@
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$(CC_fuzz) -fsanitize=fuzzer,address,undefined -o $$@ $$(filter %.o,$$^) $$(filter %.a,$$^) \
		$(call link_flags,$(1)) $$(OWN_LIBRARIES) -ljson-c -lm -ldl
endef
$(foreach s,$(FUZZ_SRC),$(eval $(call fuzz_program,$(s))))
FUZZ_PROGRAMS := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(FUZZ_SRC))
FUZZ_SECONDS  ?= 60

# Every tier leaves build/results/TIER.json; an empty tier is a failed one (tests/tier.py).
TIER := BUILD=$(BUILD) $(PYTHON) tests/tier.py --build $(BUILD)
PASS_ON = BUILD=$(BUILD) CC=$(CC) CLANG=$(CLANG) $(if $(V),V=$(V)) $(if $(filter command line environment,$(origin KERNEL)),KERNEL=$(KERNEL))

.PHONY: test-unit test-ns test-vm fuzz lint unit-programs
unit-programs: $(UNIT_PROGRAMS)
test-unit: $(UNIT_PROGRAMS)
	$(Q)$(TIER) unit $(UNIT_PROGRAMS)
test-ns: $(BUILD)/coffer-agent $(BUILD)/test/coffer-agent
	$(Q)$(TIER) pytest ns tests/ns $(TESTS)
test-vm: all test-agent images vsock-bridge mkfs-erofs
	$(Q)$(TIER) pytest --at-once 2 vm tests/vm $(TESTS)
fuzz: $(FUZZ_PROGRAMS)
	$(Q)$(TIER) fuzz --seconds $(FUZZ_SECONDS) $(FUZZ_PROGRAMS)

.PHONY: weakened
weakened: all images vsock-bridge
	$(Q)$(PYTHON) tests/weaken/run.py $(WEAKEN)

.PHONY: vsock-bridge mkfs-erofs images
vsock-bridge:
	$(Q)BUILD=$(BUILD) tests/setup.sh bridge
mkfs-erofs:
	$(Q)BUILD=$(BUILD) tests/erofs.sh --fetch
images: $(BUILD)/images/busybox.tar $(BUILD)/images/debian-python3.tar
$(BUILD)/images/%.tar: tests/images.sh | $(BUILD)/.packages
	$(say) IMAGE $@
	$(Q)BUILD=$(BUILD) tests/images.sh $* $@

# Sub-makes, so that a failed tier does not keep the next from being counted, and so that what set-up installs is seen.
.PHONY: check demo bench bench-launch bench-layers bench-scratch bench-volumes size
check: setup
	$(Q)$(MAKE) kernel-6.12 || echo "check: without a newer kernel its tests are skipped"
	$(Q)$(TIER) check --make $(firstword $(MAKE)) $(PASS_ON)
demo: setup
	$(Q)$(MAKE) all images vsock-bridge
	$(Q)BUILD=$(BUILD) tests/demo.sh
bench:
	$(Q)$(MAKE) all images vsock-bridge
	$(Q)BUILD=$(BUILD) tests/bench/run.sh
bench-volumes: setup
	$(Q)$(MAKE) all vsock-bridge mkfs-erofs
	$(Q)BUILD=$(BUILD) PYTHONPATH=tests/vm $(PYTHON) tests/bench/volumes.py
bench-launch: setup
	$(Q)$(MAKE) all $(BUILD)/bench/launch $(BUILD)/images/busybox.tar $(BUILD)/images/debian-runtimes.tar
	$(Q)BUILD=$(BUILD) $(PYTHON) tests/bench/launch.py
bench-layers: setup
	$(Q)$(MAKE) all $(BUILD)/images/debian-layers.tar $(BUILD)/images/debian-python3.tar vsock-bridge
	$(Q)BUILD=$(BUILD) PYTHONPATH=tests/vm $(PYTHON) tests/bench/layer_rates.py
bench-scratch: setup
	$(Q)$(MAKE) all $(BUILD)/images/debian-storage.tar vsock-bridge
	$(Q)BUILD=$(BUILD) PYTHONPATH=tests/vm $(PYTHON) tests/bench/scratch.py
# Static: it runs among programs of another Debian, and is to cost little.
$(BUILD)/bench/launch: $(BENCH_SRC) $(wildcard tests/bench/*.h) | $(BUILD)/.packages
	$(say) LINK $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(BASE) -I. -O2 -static -o $@ $(BENCH_SRC)
size: $(BUILD)/initramfs.cpio.zst $(BUILD)/coffer
	@cat $(BUILD)/initramfs.txt
	$(Q)if [ -x tests/vm/size.py ]; then BUILD=$(BUILD) $(PYTHON) tests/vm/size.py; fi

# -------------------------------------------------------------------------------------------------------------- lint

TIDY_OK := $(patsubst %.c,$(BUILD)/tidy/%.ok,$(TIDY_SRC))
$(BUILD)/tidy/%.ok: %.c .clang-tidy compile_commands.json tests/lint/analyzer.h $(filter %.h,$(C_FILES)) | $(BUILD)/.packages
	$(say) TIDY $<
	$(Q)mkdir -p $(@D)
	$(Q)clang-tidy --quiet -p . $(if $(filter agent/base/error.c,$<),,--extra-arg-before=-include$(CURDIR)/tests/lint/analyzer.h) \
		$< >$(@:.ok=.txt) 2>&1 || { grep -v 'warnings generated' $(@:.ok=.txt); exit 1; }
	$(Q)touch $@

.PHONY: lint-format lint-tidy lint-cppcheck lint-state
lint-format:
	$(Q)clang-format --dry-run $(C_FILES) 2>&1 | sed -n 's/: warning: code should be .*/: make format would change this/p' | \
		awk -F: '!seen[$$1]++ { print; bad = 1 } END { exit bad }'
lint-tidy: $(TIDY_OK)
lint-cppcheck: | $(BUILD)/.packages
	$(Q)mkdir -p $(BUILD)/cppcheck
	$(Q)cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,performance,portability --inline-suppr \
		--suppressions-list=tests/lint/cppcheck.txt --cppcheck-build-dir=$(BUILD)/cppcheck -D_GNU_SOURCE -D__GNUC__ -U__cplusplus \
		-Iagent -Iinclude -I. $(filter %.c,$(filter agent/% qemu/%,$(C_FILES)))

lint-state: $(call object,agent,$(AGENT_SRC))
	$(Q)BUILD=$(BUILD) $(PYTHON) tests/lint/check_state.py

lint: compile_commands.json
	$(Q)$(TIER) lint --make $(firstword $(MAKE)) $(PASS_ON)

.PHONY: format
format:
	$(Q)clang-format -i $(C_FILES)

# Generated and committed: a reader of docs/ needs no build.
docs/ERRORS.md: include/coffer/errors.def tests/lint/errors_md.py
	$(say) DOC $@
	$(Q)$(PYTHON) tests/lint/errors_md.py --write

# ----------------------------------------------------------------------------------------------------------- install

MAN1 := $(sort $(wildcard docs/*.1))
MAN8 := $(sort $(wildcard docs/*.8))
DEST  = $(DESTDIR)$(PREFIX)

.PHONY: install clean distclean
install: $(BUILD)/coffer-agent $(BUILD)/coffer $(BUILD)/initramfs.cpio.zst
	$(say) INSTALL '$(DEST)'
	$(Q)install -d $(DEST)/bin $(DEST)/lib/coffer $(DEST)/include/coffer $(DEST)/share/man/man1 $(DEST)/share/man/man8
	$(Q)install -m 755 $(BUILD)/coffer $(DEST)/bin/
	$(Q)install -m 755 $(BUILD)/coffer-agent $(DEST)/lib/coffer/
	$(Q)install -m 644 $(BUILD)/initramfs.cpio.zst initramfs/cmdline $(DEST)/lib/coffer/
	$(Q)install -m 644 $(wildcard include/coffer/*) $(DEST)/include/coffer/
	$(if $(MAN1),$(Q)install -m 644 $(MAN1) $(DEST)/share/man/man1/)
	$(if $(MAN8),$(Q)install -m 644 $(MAN8) $(DEST)/share/man/man8/)

# What was fetched or takes minutes to make is kept: it does not depend on a source file.
clean:
	$(Q)[ ! -d $(BUILD) ] || find $(BUILD) -mindepth 1 -maxdepth 1 ! -name images ! -name kernel ! -name apt ! -name 6.12 \
		! -name vhost-device-vsock ! -name packages ! -name initramfs-cache -exec rm -rf {} +
	$(Q)rm -rf $(BUILD)/6.12/*.zst $(BUILD)/6.12/test
	$(Q)rm -f compile_commands.json
distclean: clean
	$(Q)rm -rf $(BUILD)

-include $(foreach t,$(TREES),$(wildcard $(BUILD)/obj/$(t)/*/*.d $(BUILD)/obj/$(t)/*/*/*.d))

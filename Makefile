# Makefile - the floor plan of Leat. `make test` installs what is missing, builds, and runs every test.

B       ?= build
BUG     ?= 0
SAN     ?=
MARKS   ?= 1
ifeq ($(origin CC),default)
CC      := gcc
endif
MAKEFLAGS += -s
PREFIX  ?= /usr/local

# room       may look into                                   (else the compiler refuses)
USES_broker/base    :=
USES_broker/wire    := broker/base
USES_broker/session := broker/base broker/wire
USES_broker/queue   := broker/base broker/wire
USES_storage        := broker/base
USES_broker/replica := broker/base storage
USES_broker/offline := broker/base broker/wire broker/session broker/queue storage
USES_broker/shard   := broker/base broker/wire broker/session broker/queue storage broker/replica
USES_broker/os      := broker/base
USES_broker/net     := broker/base broker/wire broker/shard broker/os
USES_storage/uring  := broker/base storage broker/os
USES_storage/plain  := broker/base storage
USES_dpdk-port      := broker/base broker/wire broker/shard client
USES_broker/admin   := $(USES_broker/shard) broker/shard broker/os broker/net dpdk-port
USES_broker/http    := $(USES_broker/admin) broker/admin
USES_broker         := broker/base broker/wire broker/session broker/queue storage broker/replica broker/shard broker/os \
                       broker/net broker/admin broker/http storage/uring dpdk-port broker/offline
USES_client         := broker/base broker/wire
USES_client/cli     := broker/base broker/wire client storage storage/plain broker/offline
USES_client/examples := client
USES_perf           := broker/base broker/wire client dpdk-port
USES_perf/micro     := broker/base broker/wire broker/queue perf

ALL_ROOMS := $(filter-out broker,$(USES_broker))
USES_tests/lib      := $(ALL_ROOMS) client
USES_tests/unit     := broker $(ALL_ROOMS) client perf tests/lib tests/sim client/cli
USES_tests/sim      := $(ALL_ROOMS) client tests/lib
USES_tests/fuzz     := $(ALL_ROOMS) client tests/lib
USES_tests/e2e      := $(ALL_ROOMS) client perf

# Examples say #include <leat.h>, as whoever has installed it does.
FLAGS_client/examples := -I client

# What a room needs beyond its neighbours. DPDK's headers are somebody else's: -isystem keeps our warnings off them.
FLAGS_dpdk-port     := -isystem /usr/include/dpdk -isystem /usr/include/$(shell uname -m)-linux-gnu/dpdk \
                       -include rte_config.h -msse4.2
FLAGS_perf/micro    := $(FLAGS_dpdk-port)

CORE_ROOMS := broker/base broker/wire broker/session broker/queue storage broker/replica broker/shard broker/offline
PORT_ROOMS := broker/os broker/net broker/admin broker/http storage/uring

PACKAGES := build-essential pkg-config liburing-dev libjemalloc-dev libck-dev libisal-dev libxxhash-dev \
            libmicrohttpd-dev libjansson-dev libinih-dev libssl-dev libcmocka-dev dpdk-dev \
            clang clang-format libclang-rt-14-dev universal-ctags gcovr python3 strace curl e2fsprogs util-linux iproute2

WARN  := -Wall -Wextra -Wconversion -Wformat=2 -Wimplicit-fallthrough -Werror
HARD  := -fstack-protector-strong -fstack-clash-protection -fcf-protection=full -ftrivial-auto-var-init=zero \
         -fno-delete-null-pointer-checks -fno-strict-aliasing
ifneq ($(findstring clang,$(CC)),)
HARD  += $(if $(shell $(CC) -dumpversion | grep '^1[0-5]'),-enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang)
endif
ifeq ($(SAN),)
HARD  += -D_FORTIFY_SOURCE=3
endif
CFLAGS  ?= -O2 -g
# The rooms call each other in small functions: the broker and the simulator are optimised as a whole (a put's round trip
# takes an eighth less), all others are linked from the same objects in the plain way.
LTO     ?= $(if $(SAN)$(findstring clang,$(CC)),,-flto=auto)
CC_ALL   = $(CC) -std=gnu11 $(CFLAGS) $(WARN) $(HARD) $(SAN) -fPIC -MMD -MP -D_GNU_SOURCE -DLEAT_BUG=$(BUG) -DLEAT_MARKS=$(MARKS) \
           $(if $(LTO),$(LTO) -ffat-lto-objects)
LDFLAGS += -pie -Wl,-z,relro,-z,now,-z,noexecstack $(SAN) -fno-lto
# A -fno-lto anywhere keeps the linker's plug-in away, whatever follows it.
WHOLE    = $(if $(LTO),$(filter-out -fno-lto,$(LDFLAGS)) $(LTO) $(CFLAGS),$(LDFLAGS))

srcs   = $(sort $(wildcard $(1)/*.c))
objs   = $(patsubst %.c,$(B)/%.o,$(1))
CORE_OBJS   := $(call objs,$(foreach r,$(CORE_ROOMS),$(call srcs,$(r))))
PORT_OBJS   := $(call objs,$(foreach r,$(PORT_ROOMS),$(call srcs,$(r))))
MAIN_OBJS   := $(call objs,$(call srcs,broker))
CLIENT_OBJS := $(call objs,$(call srcs,client) $(call srcs,broker/base) $(call srcs,broker/wire))
FAKE_DISK_OBJS := $(addprefix $(B)/tests/lib/,fake_disk.o fake_write.o fake_crash.o fake_lie.o)
TESTLIB_OBJS := $(filter-out $(FAKE_DISK_OBJS) %/log_rig.o %/damage.o,$(call objs,$(call srcs,tests/lib)))
FUZZ_BINS   := $(patsubst tests/fuzz/%.c,$(B)/%,$(wildcard tests/fuzz/fuzz_*.c)) $(B)/seeds
UNIT_BINS   := $(patsubst tests/unit/%.c,$(B)/%,$(call srcs,tests/unit))
# These run on tests/lib/fake_disk, which fills in disk.h in place of storage/uring.
FAKE_DISK_BINS := $(filter $(B)/test_journal $(B)/test_offline $(B)/test_offline_% $(B)/test_journal_% $(B)/test_recovery $(B)/test_recovery_% $(B)/test_fake_disk $(B)/test_shard $(B)/test_shard_%,$(UNIT_BINS))
E2E_BINS    := $(patsubst tests/e2e/%.c,$(B)/%,$(call srcs,tests/e2e))
EXAMPLES    := $(patsubst client/examples/%.c,$(B)/examples/%,$(call srcs,client/examples))

PROGRAMS := $(if $(wildcard broker/main.c),$(B)/leatd) $(if $(wildcard client/cli/*.c),$(B)/leat) \
            $(if $(wildcard tests/sim/*.c),$(B)/leat-sim) \
            $(if $(wildcard client/*.c),$(B)/libleat.a $(B)/libleat.so) $(EXAMPLES) $(B)/limits \
            $(B)/lease_cycle $(B)/ready_cycle $(if $(wildcard client/*.c),$(B)/leat-bench)

DPDK_OBJS   := $(call objs,$(filter-out dpdk-port/io_local.c,$(call srcs,dpdk-port)))

CORE_LIBS := -lisal -lxxhash -ljemalloc
PORT_LIBS := -luring -lmicrohttpd -linih -lpthread

# DPDK is linked statically, with no driver but those named: its shared build loads a hundred plug-ins at every start.
# (mempool_ring is compulsory; virtio and the two buses are the client's end of the local port.)
DPDK_DRIVERS := mempool_ring bus_vdev bus_pci net_virtio
DPDK_PARTS   := vhost cryptodev dmadev hash rcu ethdev net meter mbuf mempool ring pci kvargs telemetry eal
DPDK_LIBS := -Wl,--whole-archive $(DPDK_DRIVERS:%=-l:librte_%.a) -Wl,--no-whole-archive \
             -Wl,--start-group $(DPDK_PARTS:%=-l:librte_%.a) -Wl,--end-group -lnuma -lbsd -lpthread -ldl -lm

.PHONY: bench all install deps run test unit sim asan clang tsan tsan-bins cover cover-programs fuzz fuzz-programs torture soak tidy clean programs
all: programs
programs: $(B)/libleat-core.a $(PROGRAMS)

define room_rules
$(B)/$(1)/%.o: $(1)/%.c
	@mkdir -p $$(dir $$@)
	$$(CC_ALL) -iquote $(1) $(foreach u,$(USES_$(1)),-iquote $(u)) $(FLAGS_$(1)) -c $$< -o $$@
endef
$(foreach r,$(patsubst USES_%,%,$(filter USES_%,$(.VARIABLES))),$(eval $(call room_rules,$(r))))

$(B)/libleat-core.a: $(CORE_OBJS)
	@rm -f $@
	ar rcs $@ $^
$(B)/leatd: $(MAIN_OBJS) $(PORT_OBJS) $(DPDK_OBJS) $(B)/libleat-core.a
	$(CC) $(WHOLE) -o $@ $^ $(CORE_LIBS) $(PORT_LIBS) $(DPDK_LIBS)
# Who links the library meets leat_* and nothing else: all objects as one, the other symbols local.
$(B)/libleat.a: $(CLIENT_OBJS)
	@rm -f $@
	ld -r -o $(B)/libleat.o $^ && objcopy -w -R '.gnu.*lto_*' --keep-global-symbol='leat_*' $(B)/libleat.o
	ar rcs $@ $(B)/libleat.o
$(B)/libleat.so: $(CLIENT_OBJS) client/leat.map
	$(CC) -shared -Wl,-z,relro,-z,now,-z,noexecstack $(SAN) -fno-lto -Wl,-soname,libleat.so.0 -Wl,--version-script=client/leat.map -o $@ $(CLIENT_OBJS) -lisal -lxxhash
# What reads a data directory is the broker's own code, over a disk that only reads.
$(B)/leat: $(call objs,$(call srcs,client/cli) $(call srcs,storage/plain)) $(B)/libleat-dpdk.a $(B)/libleat.a $(B)/libleat-core.a
	$(CC) $(LDFLAGS) -o $@ $^ $(CORE_LIBS) -ljansson $(DPDK_LIBS)
$(B)/examples/%: $(B)/client/examples/%.o $(B)/libleat.a
	@mkdir -p $(dir $@)
	$(CC) $(LDFLAGS) -o $@ $^ -lisal -lxxhash
$(B)/leat-sim: $(call objs,$(call srcs,tests/sim)) $(call objs,$(call srcs,client)) $(B)/libleat-core.a $(FAKE_DISK_OBJS)
	$(CC) $(WHOLE) -o $@ $(filter-out %.a,$^) $(B)/libleat-core.a $(CORE_LIBS)
$(FAKE_DISK_BINS): $(B)/test_%: $(B)/tests/unit/test_%.o $(TESTLIB_OBJS) $(FAKE_DISK_OBJS) $(B)/tests/lib/log_rig.o $(B)/tests/lib/damage.o $(call objs,$(call srcs,client)) $(B)/libleat-core.a
	$(CC) $(LDFLAGS) -o $@ $(filter-out %.a,$^) $(B)/libleat-core.a -lcmocka $(CORE_LIBS)
$(filter-out $(FAKE_DISK_BINS),$(UNIT_BINS)): $(B)/test_%: $(B)/tests/unit/test_%.o $(TESTLIB_OBJS) $(PORT_OBJS) $(call objs,$(call srcs,client)) $(B)/libleat-core.a
	$(CC) $(LDFLAGS) -o $@ $(filter-out %.a,$^) $(B)/libleat-core.a -lcmocka $(CORE_LIBS) $(PORT_LIBS)

# The client's end of the local port; whoever links it adds $(DPDK_LIBS).
$(B)/libleat-dpdk.a: $(call objs,dpdk-port/client_io.c dpdk-port/eal.c dpdk-port/io_local.c broker/base/must.c)
	@rm -f $@
	ld -r -o $(B)/libleat-dpdk.o $^ && \
	    objcopy -w -R '.gnu.*lto_*' --keep-global-symbol='leat_*' --keep-global-symbol='client_io_*' $(B)/libleat-dpdk.o
	ar rcs $@ $(B)/libleat-dpdk.o
$(B)/prog_local: $(B)/tests/e2e/prog_local.o $(DPDK_OBJS) $(B)/libleat-core.a
	$(CC) $(LDFLAGS) -o $@ $(filter-out %.a,$^) $(B)/libleat-core.a $(CORE_LIBS) $(DPDK_LIBS)
$(B)/limits: $(call objs,$(filter perf/micro/limits%,$(call srcs,perf/micro))) $(B)/perf/hist.o $(B)/perf/ticks.o \
             $(B)/libleat-core.a
	$(CC) $(LDFLAGS) -o $@ $^ $(CORE_LIBS) -luring -Wl,--whole-archive -l:librte_net_vhost.a -Wl,--no-whole-archive $(DPDK_LIBS)
$(B)/lease_cycle $(B)/ready_cycle: $(B)/%: $(B)/perf/micro/%.o $(B)/libleat-core.a
	$(CC) $(LDFLAGS) -o $@ $^ $(CORE_LIBS)
$(B)/prog_history: $(B)/tests/e2e/prog_history.o $(call objs,broker/base/prng.c broker/base/must.c) $(B)/libleat-dpdk.a $(B)/libleat.a
	$(CC) $(LDFLAGS) -o $@ $^ -lisal -lxxhash $(DPDK_LIBS)
$(B)/prog_judge $(B)/prog_shutdown $(B)/prog_parked $(B)/prog_left $(B)/prog_soak: $(B)/prog_%: $(B)/tests/e2e/prog_%.o $(call objs,broker/base/prng.c broker/base/must.c) $(B)/libleat.a
	$(CC) $(LDFLAGS) -o $@ $^ -lisal -lxxhash
$(B)/prog_rot: $(B)/tests/e2e/prog_rot.o $(B)/libleat-core.a
	$(CC) $(LDFLAGS) -o $@ $^ $(CORE_LIBS)
$(B)/prog_null: $(B)/tests/e2e/prog_null.o $(B)/perf/tally.o $(DPDK_OBJS) $(B)/libleat-core.a
	$(CC) $(LDFLAGS) -o $@ $(filter-out %.a,$^) $(B)/libleat-core.a $(CORE_LIBS) $(DPDK_LIBS)
$(B)/leat-bench: $(call objs,$(call srcs,perf)) $(CLIENT_OBJS) $(B)/libleat-dpdk.a
	$(CC) $(LDFLAGS) -o $@ $^ -lisal -lxxhash $(DPDK_LIBS)
$(B)/test_hist: $(B)/perf/hist.o
$(B)/test_words: $(call objs,$(addprefix client/cli/,words.c arguments.c lines.c))
$(B)/test_damaged: $(call objs,$(addprefix client/cli/,damaged.c report.c))
$(B)/test_config: $(B)/broker/config.o
$(B)/test_bench: $(call objs,$(addprefix perf/,tally.c raw_frame.c options.c target.c))
$(B)/test_checkers $(B)/test_checkers_inside: $(B)/tests/sim/history.o $(patsubst %.c,$(B)/%.o,$(wildcard tests/sim/check_*.c))
$(B)/test_local: $(DPDK_OBJS)
$(B)/test_local: PORT_LIBS += $(DPDK_LIBS)

comma := ,
# Fuzz targets are built by clang with libFuzzer; see tests/fuzz/DESIGN.md.
FUZZ_OBJS := $(call objs,tests/fuzz/target.c tests/lib/twin.c) $(B)/libleat-core.a
# What only plays the world is not what the fuzzer shall learn about.
$(B)/tests/lib/%.o: override SAN := $(subst $(comma)fuzzer-no-link,,$(SAN))
SCRIPT_OBJS := $(B)/tests/fuzz/script.o $(call objs,$(call srcs,client))
$(B)/fuzz_client: $(SCRIPT_OBJS)
$(B)/seeds: $(SCRIPT_OBJS) $(B)/tests/lib/fake_broker.o $(B)/tests/lib/fake_backup.o
$(B)/fuzz_journal $(B)/fuzz_offline: $(FAKE_DISK_OBJS) $(B)/tests/lib/log_rig.o $(B)/tests/fuzz/directory.o
$(filter $(B)/fuzz_%,$(FUZZ_BINS)): $(B)/%: $(B)/tests/fuzz/%.o $(FUZZ_OBJS)
	$(CC) $(LDFLAGS) -fsanitize=fuzzer -Wl,--wrap=crc32c,--wrap=hash_bytes -o $@ $(filter-out %.a,$^) $(filter %.a,$^) $(CORE_LIBS)
$(B)/seeds: $(call objs,tests/fuzz/seeds.c tests/fuzz/seeds_words.c) $(FUZZ_OBJS)
	$(CC) $(LDFLAGS) -Wl,--wrap=crc32c,--wrap=hash_bytes -o $@ $(filter-out %.a,$^) $(filter %.a,$^) $(CORE_LIBS)

# Installs what is missing; quick when nothing is.
deps:
	@missing=$$(for p in $(PACKAGES); do dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || echo $$p; done); \
	if [ -n "$$missing" ]; then \
	    if [ "$$(id -u)" = 0 ]; then sudo=; elif command -v sudo >/dev/null; then sudo=sudo; \
	    else echo "make deps: needs root to install:" $$missing >&2; exit 1; fi; \
	    $$sudo apt-get update -q && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -q --no-install-recommends $$missing; \
	fi

# A broker with a durable data directory, TCP, the local port and HTTP. ARGS="--poll spin" adds options.
run: deps
	@echo "building into $(B)/"
	@$(MAKE) --no-print-directory -j$(shell nproc) programs
	@B=$(B) exec bash broker/run.sh $(ARGS)

unit: programs $(UNIT_BINS)
	@sh tests/lib/run.sh $(UNIT_BINS)

# The unit tests once more with AddressSanitizer and UndefinedBehaviorSanitizer, and once built by clang.
asan:
	@$(MAKE) --no-print-directory -j2 B=$(B)-asan SAN='-fsanitize=address,undefined -fno-sanitize-recover=all' unit
clang:
	@$(MAKE) --no-print-directory -j2 B=$(B)-clang CC=clang unit

# Lines of storage and of the queue engine that no test reaches: unit tests and the simulator, nothing that needs root.
cover:
	@$(MAKE) --no-print-directory -j2 B=$(B)-cover CFLAGS='-O1 -g -Wno-format-truncation' SAN=--coverage cover-programs
	@B=$(B)-cover bash tests/lib/cover.sh
cover-programs: $(B)/leat-sim $(UNIT_BINS)

# Whatever two threads share, once more with ThreadSanitizer (which wants addresses where it expects them: setarch -R).
TSAN_TESTS := $(B)/test_mailbox $(B)/test_http
tsan-bins: $(TSAN_TESTS)
tsan:
	@$(MAKE) --no-print-directory -j2 B=$(B)-tsan SAN='-fsanitize=thread' tsan-bins
	@TSAN_OPTIONS='halt_on_error=1 exitcode=66' setarch -R sh tests/lib/run.sh $(patsubst $(B)/%,$(B)-tsan/%,$(TSAN_TESTS))

# make fuzz [TARGET="request fact"] [SECONDS=600]: each target for so long.
fuzz:
	@$(MAKE) --no-print-directory -j2 B=$(B)-fuzz CC=clang CFLAGS='-O1 -g' \
	    SAN='-fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all' fuzz-programs
	@F=$(B)-fuzz FUZZ_TARGET='$(TARGET)' FUZZ_SECONDS=$(or $(SECONDS),60) bash tests/fuzz/fuzz.sh
fuzz-programs: $(FUZZ_BINS)

# The simulator: SEEDS=A..B for more seeds; BUG=n builds a planted bug, which must be caught.
SEEDS ?= 1..2000
sim:
ifeq ($(BUG),0)
	@$(MAKE) --no-print-directory $(B)/leat-sim
	@B=$(B) SEEDS=$(SEEDS) bash tests/sim/run_sim.sh
else
	@B=$(B) tests/sim/planted.sh $(BUG)
endif

tidy: programs $(UNIT_BINS)
	@B=$(B) bash tests/tidy/tidy.sh

test: deps
	@$(MAKE) --no-print-directory -j2 programs $(UNIT_BINS) $(E2E_BINS)
	@B=$(B) bash tests/lib/all.sh

# make install [PREFIX=/usr/local] [DESTDIR=]: programs, libraries, header, pkg-config. Needs no compiler when all is built.
VERSION := $(shell sed -n 's/^.define LEAT_VERSION "\(.*\)"/\1/p' client/leat.h)
bindir  := $(DESTDIR)$(PREFIX)/bin
libdir  := $(DESTDIR)$(PREFIX)/lib
incdir  := $(DESTDIR)$(PREFIX)/include
install: programs
	install -d $(bindir) $(libdir)/pkgconfig $(incdir)
	install -m 755 $(wildcard $(B)/leatd $(B)/leat $(B)/leat-bench) $(bindir)
	install -m 644 $(B)/libleat.a $(B)/libleat-dpdk.a $(libdir)
	install -m 755 $(B)/libleat.so $(libdir)/libleat.so.$(VERSION)
	ln -sf libleat.so.$(VERSION) $(libdir)/libleat.so.0
	ln -sf libleat.so.0 $(libdir)/libleat.so
	install -m 644 client/leat.h $(incdir)
	sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|' client/leat.pc.in > $(libdir)/pkgconfig/leat.pc
	sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|; s|@DPDK_LIBS@|$(DPDK_LIBS)|' client/leat-dpdk.pc.in \
	    > $(libdir)/pkgconfig/leat-dpdk.pc

# The goals beside the limits of this machine: make bench [GOALS="L1 T1"] [ROUNDS=5] [SECONDS=0.5] [RESULTS=1]
bench: programs
	@B=$(B) python3 perf/bench.py $(GOALS) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SECONDS),--seconds $(SECONDS)) \
	    $(if $(RESULTS),--results)

# An hour at half load, or SECONDS=60: counters, memory, descriptors and disk at the end.
soak:
	@$(MAKE) --no-print-directory -j2 programs $(E2E_BINS)
	@B=$(B) bash tests/e2e/test_soak.sh --seconds $(if $(filter command line environment,$(origin SECONDS)),$(SECONDS),3600)

# Hours of it; build/torture.txt has the results and says where to go on. TORTURE="kill job" for some of the runs.
torture:
	@$(MAKE) --no-print-directory -j2 programs $(E2E_BINS)
	@B=$(B) bash tests/e2e/torture.sh

clean:
	rm -rf $(B)

-include $(shell [ -d $(B) ] && find $(B) -path $(B)/e2e -prune -o -type f -name '*.d' -print)

/* fake_disk.h - a disk that lies, in memory: fills in disk.h for unit tests and the simulator.
 *
 * Every sector of 512 bytes has a durable content and maybe a newer one that a write left behind. A flush, or a write
 * with `durable` set, makes the newer one durable. fake_disk_crash() is a power cut: of each write that was not made
 * durable, under way or not, it keeps all, nothing, some sectors, some pages, or zeros; names that were made or removed
 * and not followed by disk_sync_directory() come or go. A flush that fails (fake_disk_fail()) marks what it should have
 * covered as clean: it can be read until the power cut, the next flush succeeds, and it is gone.
 *
 * Operations take a drawn time and complete in any order: fake_disk_step() completes what is due at `now`;
 * fake_disk_next_due() says when. disk_wait() completes the earliest one at once, whatever the time. disk_create()
 * leaves its name pending until disk_sync_directory(); disk_create_start() ends with a synced directory.
 *
 * Lies (fake_lie.c). A write can land in the wrong place of its file, a read can bring the bytes of another place or of
 * an older time, and both are called a success. The disk remembers what was right, so that a simulation can ask the
 * broker about the damage first and mend it then.
 *
 * Bytes are copied when a write or read is submitted, so that the lender may be gone when it completes; a read that
 * does complete gives what stands there then, with whatever was written meanwhile.
 *
 * Units: bytes, instants of the caller's time. Memory: pages of files are allocated when they are first written.
 * Failure: what was asked for; the same seed and the same calls give the same results. Thread: one; disks are
 * independent of each other. */
#ifndef LEAT_TESTS_FAKE_DISK_H
#define LEAT_TESTS_FAKE_DISK_H

#include "disk.h"
#include "units.h"

struct fake_disk_config {
    uint64_t seed;
    uint64_t capacity; /* of all files; 0: without limit */
    bool durable_writes;
    struct duration latency_min, latency_max; /* of an operation; 0, 0: complete at the next step */
    unsigned short_percent;                   /* of writes are short */
    unsigned spike_permille;                  /* of operations hang: they take up to spike_max instead */
    struct duration spike_max;
};

struct disk *fake_disk_open(const struct fake_disk_config *config);
void fake_disk_close(struct disk *d);

/* Time. */
void fake_disk_step(struct disk *d, struct instant now);
struct instant fake_disk_next_due(const struct disk *d);

/* fake_disk_crash: a power cut. Operations under way are forgotten, files closed, pending bytes and names decided, and
 * every fault that was asked for is off. */
void fake_disk_crash(struct disk *d);
/* fake_disk_kill: the process ends, the machine goes on: what was submitted is written, nothing is durable yet. */
void fake_disk_kill(struct disk *d);

/* fake_disk_fail: the `countdown`-th operation of this kind from now on (1: the next) ends with `result`: -errno, or a
 * number of bytes less than asked for. One per kind at a time; 0 takes it back. */
void fake_disk_fail(struct disk *d, enum disk_kind kind, uint32_t countdown, int32_t result);
/* fake_disk_create_fail: the next so many creations end with -ENOSPC. */
void fake_disk_create_fail(struct disk *d, uint32_t times);

/* Lies. fake_disk_misdirect: the `countdown`-th write from now on lands elsewhere, in its file or another; 0 takes it
 * back.
 * fake_disk_lie_reads: so many of a thousand reads bring the bytes of another place, or of an older time.
 * fake_disk_damage: what is there now is right, and is changed to `bytes`.
 * fake_disk_lies: how many pages are wrong and were not written since; fake_disk_lie: where one is. fake_disk_show:
 * makes them all right, or wrong again. fake_disk_forget_lies: as it is now, for good. */
struct fake_disk_lie {
    char name[DISK_NAME_MAX];
    uint64_t offset;
};
void fake_disk_misdirect(struct disk *d, uint32_t countdown);
void fake_disk_lie_reads(struct disk *d, unsigned permille);
bool fake_disk_damage(struct disk *d, const char *name, uint64_t offset, const void *bytes, uint32_t size);
unsigned fake_disk_lies(const struct disk *d);
struct fake_disk_lie fake_disk_lie(const struct disk *d, unsigned i);
void fake_disk_show(struct disk *d, bool right);
void fake_disk_forget_lies(struct disk *d);

/* fake_disk_resize: `capacity` as in the config. */
void fake_disk_resize(struct disk *d, uint64_t capacity);

/* Crash points. An event is a submission, a completion or a synchronous change. fake_disk_die: after `events` more, the
 * disk is dead: nothing has an effect, everything ends with -EIO, until fake_disk_crash(). */
uint64_t fake_disk_events(const struct disk *d);
void fake_disk_die(struct disk *d, uint64_t events);
bool fake_disk_dead(const struct disk *d);

/* Rot, behind the owner's back: reads and changes what is durable. peek and poke: false where there is no such file or
 * place. spoil: reads of this page fail with -EIO until it is written. */
bool fake_disk_peek(struct disk *d, const char *name, uint64_t offset, void *bytes, uint64_t size);
bool fake_disk_poke(struct disk *d, const char *name, uint64_t offset, const void *bytes, uint64_t size);
bool fake_disk_spoil(struct disk *d, const char *name, uint64_t offset);
bool fake_disk_cut(struct disk *d, const char *name, uint64_t size);
bool fake_disk_copy(struct disk *d, const char *from, const char *to);
bool fake_disk_lose(struct disk *d, const char *name);
/* fake_disk_settle: whatever was written and can be read is durable, as if everything had been flushed. */
void fake_disk_settle(struct disk *d);
bool fake_disk_rename(struct disk *d, const char *from, const char *to);
/* fake_disk_heal: the pages of this file can be read again. */
bool fake_disk_heal(struct disk *d, const char *name);
int64_t fake_disk_size_of(struct disk *d, const char *name);

/* fake_disk_clone: another disk, the same in every respect, for trying out what would be. */
struct disk *fake_disk_clone(const struct disk *d);

/* For tests: bytes of all files, operations under way, bytes read so far. */
uint64_t fake_disk_bytes(const struct disk *d);
unsigned fake_disk_under_way(const struct disk *d);
uint64_t fake_disk_bytes_read(const struct disk *d);

#endif

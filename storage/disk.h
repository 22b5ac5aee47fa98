/* disk.h - what the journal needs of a disk. storage/uring fills it in with io_uring; the simulator with a disk that
 * lies.
 *
 * A data directory holds a few preallocated files; a file is opened by name and named by a small number from then on.
 * Two kinds of call:
 * - run time: disk_submit() queues a write, read or flush; disk_reap() gives completions, in any order. Nothing blocks.
 * - start-up and shut-down (and file creation by the helper that zero-fills ahead): the calls below that say so,
 * synchronous.
 *
 * Units: bytes; offsets, sizes and memory of writes and reads are multiples of DISK_BLOCK (O_DIRECT). A flush makes
 * every write of that file that had completed before it was submitted survive a power cut (fdatasync); a write with
 * `durable` set does so itself (RWF_DSYNC). Memory: the caller lends `data` until the completion. Failure: a
 * completion's result is bytes done (may be short) or -errno. A failed flush or write is final: nothing may be assumed
 * about what is on disk, and it must not be tried again. Thread: owned by one shard. */
#ifndef LEAT_STORAGE_DISK_H
#define LEAT_STORAGE_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "units.h"

enum { DISK_BLOCK = 4096, DISK_NAME_MAX = 64 };

enum disk_kind { DISK_WRITE, DISK_READ, DISK_FLUSH };

struct disk_op {
    uint8_t kind; /* enum disk_kind */
    bool durable; /* writes: on stable storage when complete */
    uint32_t file;
    uint64_t offset;
    void *data;
    uint32_t size;
    uint64_t tag; /* comes back in the completion */
};

struct disk_done {
    uint64_t tag;
    int32_t result;
};

/* What the start-up probe found out about the device, and what it chose. */
struct disk_facts {
    bool known;                            /* the device says what it is; else the careful answers stand below */
    bool in_memory;                        /* nothing outlives a power cut */
    bool volatile_cache;                   /* writes need a flush or FUA */
    bool fua;                              /* the device can make a single write durable */
    bool durable_writes;                   /* chosen path: true RWF_DSYNC, false write + flush */
    bool hollow_flush;                     /* a flush that seems to do nothing */
    bool hollow_libc;                      /* the same of the C library's fdatasync() alone */
    struct duration write, flush, durable; /* measured: 4 KiB, a flush behind it, RWF_DSYNC; 0: not measured */
};

struct disk;

/* Queues one operation. False: the queue is full, try after a reap. */
bool disk_submit(struct disk *d, const struct disk_op *op);

/* disk_memory: memory for what is written and read most, `size` bytes, DISK_BLOCK-aligned; a disk may do better with it
 * than with any other (fewer and larger pages, pinned once). It is the disk's and lives until the disk is closed, so
 * that nothing that is under way can lose its bytes; a second call ends the first area, when nothing of it is under
 * way. Its content is undefined. NULL: no memory. Start-up only. */
void *disk_memory(struct disk *d, uint64_t size);

/* Up to `max` completions that have arrived. */
unsigned disk_reap(struct disk *d, struct disk_done *done, unsigned max);

/* Start-up and shut-down only: returns when at least one completion can be reaped (at once if nothing is under way). */
void disk_wait(struct disk *d);

struct disk_facts disk_facts(const struct disk *d);

/* Synchronous, start-up (disk_create also from the zero-fill helper): 0 or -errno; disk_open and disk_create return the
 * file's number. disk_open: -ENOENT if it is not there. disk_create: makes, preallocates and zero-fills `size` bytes
 * and syncs the file, so that later writes change no metadata; its name is sure to survive a power cut after
 * disk_sync_directory(). With the name already there, the old file is kept when its size fits, else grown. */
int disk_open(struct disk *d, const char *name);
int disk_create(struct disk *d, const char *name, uint64_t size);
int disk_remove(struct disk *d, const char *name);
/* disk_rename: in place of a file of that name, if there is one; survives a power cut when it returns. */
int disk_rename(struct disk *d, const char *from, const char *to);
int disk_sync_directory(struct disk *d);
int64_t disk_size(struct disk *d, uint32_t file);
void disk_close(struct disk *d, uint32_t file);
/* Name number `i` of the directory in no order, false past the end; a snapshot taken at i = 0. */
bool disk_list(struct disk *d, unsigned i, char name[DISK_NAME_MAX]);
/* Free bytes of the file system. */
uint64_t disk_free(struct disk *d);

/* Background creation: starts making and zero-filling the file without blocking the shard; its end comes through
 * disk_reap() with `tag` and the file's number (or -errno) as the result, when file and directory are synced. At most
 * one at a time; false: one is under way. */
bool disk_create_start(struct disk *d, const char *name, uint64_t size, uint64_t tag);

#endif

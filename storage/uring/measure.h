/* measure.h - what a commit really costs here: a few writes and flushes of a scratch file in the data directory.
 *
 * The file has no name (or, where a file system has no such files, NAME.new, removed at once), is 64 KiB of zeros that
 * are synced first, and takes up to eight rounds of: a 4 KiB write, a flush behind it, a write that is durable by
 * itself (RWF_DSYNC), one more write and fdatasync() of the C library, which something may have been put in front of.
 * All but the last go through the shard's ring, as the log's will. No round is begun after 30 ms.
 *
 * Units: medians of the rounds. Failure: `done` stays false, and `why` says so in a few words. Blocks; start-up only.
 * Thread: the ring's. */
#ifndef LEAT_STORAGE_URING_MEASURE_H
#define LEAT_STORAGE_URING_MEASURE_H

#include <stdbool.h>

#include "ring.h"
#include "units.h"

struct measured {
    bool done;
    const char *why; /* not done */
    struct duration write, flush, durable, libc_sync;
};

/* `flags`: O_DIRECT or 0. Not on a file system with less than 64 MiB left. */
struct measured measure_directory(struct ring *r, int directory, int flags);

#endif

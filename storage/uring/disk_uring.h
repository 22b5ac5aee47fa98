/* disk_uring.h - a real disk behind disk.h: a data directory, O_DIRECT, through the shard's io_uring.
 *
 * disk_uring_open makes the directory when it is missing (its parent must exist), probes the device below it
 * and measures it for some 30 ms (probe.h, measure.h, verdict.h).
 * Whoever may share the directory with another broker takes os/lockfile.h first. The ring outlives the disk.
 * disk_submit() queues in the ring: the caller's ring_submit() or ring_wait() starts it; disk_reap() reaps the ring.
 * Failure: one sentence in `error`: LEAT_NO_PERMISSION, LEAT_NO_SPACE, LEAT_NO_MEMORY, LEAT_DISK_ERROR.
 * Thread: the ring's; disk_create_start() works in a thread of its own. */
#ifndef LEAT_STORAGE_URING_DISK_URING_H
#define LEAT_STORAGE_URING_DISK_URING_H

#include "disk.h"
#include "ring.h"
#include "status.h"

enum leat_status disk_uring_open(struct disk **d, struct ring *r, const char *path, char error[256]);

/* disk_uring_close: waits for what is under way, then closes every file. */
void disk_uring_close(struct disk *d);

/* For people: how this disk is written, what it says and what it costs, in one line (verdict.h); and what they should
 * be warned of, number `i` of it, as a clause that follows the directory's name, or NULL. */
const char *disk_uring_text(const struct disk *d);
const char *disk_uring_warning(const struct disk *d, unsigned i);

#endif

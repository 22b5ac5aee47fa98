/* probe.h - what the kernel says of the device below a directory: has it a volatile cache, and does it know FUA?
 *
 * Read from /sys/dev/block/MAJOR:MINOR: the queue of the whole disk for a partition; what lies below a loop device or
 * a device mapper counts too (a cache anywhere is a cache; FUA needs all of them). Where there is no such device
 * (network and stacked file systems, tmpfs) it is not known. What it costs is measure.h's question; what follows from
 * both is verdict.h's. Failure: none. Thread: any. */
#ifndef LEAT_STORAGE_URING_PROBE_H
#define LEAT_STORAGE_URING_PROBE_H

#include <stdbool.h>

struct probed {
    bool known;          /* a block device that says what it is */
    bool volatile_cache; /* if known */
    bool fua;            /* if known */
    bool in_memory;      /* a file system that forgets everything (tmpfs), here or below a loop device */
};

struct probed probe_directory(int directory);

/* probe_block: the same from an open directory of a block device in sysfs. */
struct probed probe_block(int block);

#endif

/* probe.h - what kind of device a directory lies on: has it a volatile cache, and does it know FUA?
 *
 * Read from /sys/dev/block/MAJOR:MINOR/queue (of the whole disk, for a partition). Where there is no such device
 * (network and stacked file systems, tmpfs) the careful answer: a volatile cache without FUA, so every commit flushes.
 * Failure: none. Thread: any. */
#ifndef LEAT_STORAGE_URING_PROBE_H
#define LEAT_STORAGE_URING_PROBE_H

#include "disk.h"

struct disk_facts probe_directory(int directory);

/* probe_queue: the same from an open queue/ directory of sysfs. */
struct disk_facts probe_queue(int queue);

#endif

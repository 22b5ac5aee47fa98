/* dump.h - the facts of the log as text, one a line, in the order of the log.
 *
 * Lines that begin with "#" tell of what is no fact: where blocks are missing, where the log ends, what could not be
 * read. In JSON there are none of them; they go to `notes`.
 *
 * Units: block numbers. Memory: that of source.h, point.h, scan.h and follow.h. Failure, with a sentence: LEAT_CORRUPT
 * for a damaged directory: what is whole is told, and notes say what is not; LEAT_NO_QUEUE when no queue of the name
 * `queue` was ever met; LEAT_BAD_VALUE: no data directory; LEAT_TOO_NEW, LEAT_DISK_ERROR, LEAT_NO_MEMORY. Thread: one;
 * blocks. */
#ifndef LEAT_OFFLINE_DUMP_H
#define LEAT_OFFLINE_DUMP_H

#include <stdio.h>

#include "source.h"

struct dump_options {
    FILE *out, *notes;
    bool json, bodies;
    uint64_t from, to; /* blocks; to 0: to the end */
    const char *queue; /* only facts of a queue of this name, or NULL */
    uint16_t cell;     /* for ids */
};

enum leat_status dump_run(struct disk *d, const struct dump_options *o, char error[SOURCE_ERROR]);

#endif

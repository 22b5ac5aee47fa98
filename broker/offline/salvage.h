/* salvage.h - a data directory that a start refuses, made to start again with what can be saved, and a report of what
 * was given up. DESIGN.md of this room says which rule saves what, and why it is sound.
 *
 * New blocks go to new files; then one write of the manifest makes all of it true; then what it no longer names is put
 * aside under salvaged-START-NAME. So a salvage that is cut short is done again from the same directory, and one that
 * was done finds nothing to do.
 *
 * Units: bytes, block numbers. Memory: as a broker of that config, and 32 bytes for each put behind a hole. Failure:
 * LEAT_EMPTY: there is nothing to salvage; LEAT_CORRUPT: nothing can be; LEAT_NO_SPACE, LEAT_DISK_ERROR,
 * LEAT_BAD_VALUE (capacities too small), LEAT_TOO_NEW, LEAT_NO_MEMORY: nothing was changed that matters. One sentence.
 * Thread: one; blocks. */
#ifndef LEAT_OFFLINE_SALVAGE_H
#define LEAT_OFFLINE_SALVAGE_H

#include <stdio.h>

#include "engine.h"
#include "source.h"

struct salvage_options {
    const char *path; /* for the report */
    FILE *out;
    struct engine_capacity engine;
    uint32_t sessions;
    uint32_t block_bytes_max;
    uint16_t cell; /* for ids */
};

enum leat_status salvage_run(struct disk *d, const struct salvage_options *o, char error[SOURCE_ERROR]);

#endif

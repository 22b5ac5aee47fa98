/* rot_scan.h - manifest and blocks, read behind the broker's back as FORMAT.md says: what is on the disk, and what of
 * it is known to be durable. Units: bytes, block numbers. Memory: the caller's. Failure: manifest_good false. Thread:
 * one. */
#ifndef LEAT_SIM_ROT_SCAN_H
#define LEAT_SIM_ROT_SCAN_H

#include "fake_disk.h"
#include "manifest.h"
#include "prng.h"

enum { ROT_SCAN_BLOCKS = 64 };

struct rot_found {
    uint64_t number, offset, durable;
    uint32_t file, size;
};

struct rot_scan {
    struct disk *d;
    struct manifest m;
    bool manifest_good, copies_equal;
    struct rot_found block[ROT_SCAN_BLOCKS]; /* the newest, as a ring by number */
    struct rot_found sealed;                 /* any one before the checkpoint */
    uint32_t sealed_seen;
    uint64_t listed;  /* highest block that the manifest calls durable */
    uint64_t known;   /* highest block that anything calls durable */
    uint64_t highest; /* highest whole block */
    uint64_t limit;   /* set before a scan: whether a whole block above it has a page that the disk lied about */
    bool lied_above;
};

void rot_scan(struct rot_scan *s, struct disk *d, struct prng *prng, uint64_t limit);
/* rot_scan_block: where this whole block is, or NULL. */
/* rot_scan_known_without: what would be known if this file's blocks were gone, from segments whose first block is
 * whole: a segment that begins with a torn one is found near the missing blocks only. */
uint64_t rot_scan_known_without(const struct rot_scan *s, uint32_t file);
const struct rot_found *rot_scan_block(const struct rot_scan *s, uint64_t number);

#endif

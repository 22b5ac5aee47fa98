/* manifest.h - what the data directory is: identity, epoch, segments in log order, newest checkpoint, and the caller's
 * blob.
 *
 * Two copies of MANIFEST_BYTES stand one behind the other in one preallocated file; a new version overwrites the older
 * copy, so that a torn write leaves the other whole. The newest copy that matches its checksum counts.
 *
 * The last entries of the list are spares: recycled segments with their next incarnation already written down, in the
 * order in which the log will enter them, so that entering one needs no write here first; their first block is 0 until
 * it is known. A keep segment stands where the blocks stood whose survivors it holds; the rest about it says its own
 * directory (keep.h).
 *
 * Units: bytes, block numbers. Memory: struct manifest is about 64 KiB, its owner's. Failure: LEAT_CORRUPT if neither
 * copy is whole, LEAT_TOO_NEW for a format that this version does not know. Thread: any (pure). */
#ifndef LEAT_STORAGE_MANIFEST_H
#define LEAT_STORAGE_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>

#include "status.h"

enum { MANIFEST_BYTES = 64 * 1024, MANIFEST_SEGMENTS_MAX = 3900, MANIFEST_BLOB_MAX = 1024, MANIFEST_FORMAT = 2 };

struct manifest_segment {
    uint32_t file;        /* number in its name */
    uint32_t incarnation; /* life of the file; one more at each recycling */
    uint64_t first;       /* its first block, which is durable; 0: not known to be, or a spare */
    uint64_t keep;        /* 1: it holds no blocks, but what survives of an interval of them that begins there */
};

struct manifest {
    uint64_t sequence; /* of versions; copy sequence % 2 is the one to write */
    uint64_t cluster;
    uint64_t tail_hash;     /* hash of the checkpoint's block: `previous` of the one behind it; the root of the chain */
    uint64_t segment_bytes; /* size of each */
    uint64_t checkpoint_block; /* its position: the image holds everything up to here; 0: none */
    uint64_t checkpoint_bytes; /* on disk, in its area */
    uint64_t checkpoint_hash;  /* of its last chunk */
    uint32_t checkpoint_area;  /* 0 or 1 */
    uint32_t epoch;
    uint32_t blob_size;
    uint32_t segments;
    uint64_t proven; /* blocks up to here were durable when this was written, or more; 0: it does not say */
    uint32_t copied; /* 1: made by a backup, and no broker has opened it yet */
    uint8_t blob[MANIFEST_BLOB_MAX];
    struct manifest_segment segment[MANIFEST_SEGMENTS_MAX];
};

/* manifest_encode: one copy, MANIFEST_BYTES. */
void manifest_encode(uint8_t *out, const struct manifest *m);

/* manifest_decode: the newer whole one of two copies that stand one behind the other. *damaged counts copies that are
 * neither whole nor empty; 2, too, when the newer whole one says what cannot be: less than that is what a cut leaves of
 * the first version. */
enum leat_status manifest_decode(struct manifest *m, const uint8_t *copies, unsigned *damaged);

/* The mark of a salvage under way (FORMAT.md), and what is said of a backup that did not end. */
#define MANIFEST_SALVAGING "salvaging"
#define MANIFEST_UNFINISHED "the directory is a backup that did not end: take another one"

/* manifest_unfinished: what a backup writes in the manifest's place before it has everything. */
bool manifest_unfinished(const uint8_t *copies);

#endif

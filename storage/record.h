/* record.h - one block of the log, as bytes: sealed before the disk, opened and judged after it.
 *
 * A block is an 80-byte header and the facts, padded with zeros to a multiple of DISK_BLOCK. The header says whose it
 * is (cluster), of which life of a recycled segment (incarnation), where it stands (number), what came before it
 * (hash), and how much of the log was durable when it was written. FORMAT.md has the bytes.
 *
 * Units: bytes; sizes on disk are multiples of DISK_BLOCK. Memory: nothing is kept; opening points into the caller's
 * bytes. Failure: enum record_verdict, never a crash: disks lie, and we expect it. Thread: any (pure). */
#ifndef LEAT_STORAGE_RECORD_H
#define LEAT_STORAGE_RECORD_H

#include <stdint.h>

#include "disk.h"

enum { RECORD_HEADER = 80, RECORD_FORMAT = 1, RECORD_MAX = 4 * 1024 * 1024 };

struct record {
    uint64_t cluster;
    uint32_t incarnation; /* of the segment */
    uint32_t epoch;
    uint64_t number;
    uint64_t durable;  /* highest durable block when this one was submitted */
    uint64_t previous; /* record_hash() of the block before */
    uint32_t facts;
    uint32_t payload_size;
};

enum record_verdict {
    RECORD_OK,
    RECORD_EMPTY,     /* zeros: nothing was ever written here in this life of the segment */
    RECORD_FOREIGN,   /* a whole header of another life, directory or position: recycled bytes */
    RECORD_BROKEN,    /* a header or body that does not match its checksum */
    RECORD_CUT,       /* the expected header, and less than record_disk_size() bytes to judge its body by */
    RECORD_UNCHAINED, /* whole, but it does not follow the block that we know */
    RECORD_TOO_NEW,   /* a format that this version does not know */
};

/* record_disk_size: bytes on disk of a block with so much payload. */
uint32_t record_disk_size(uint32_t payload_size);

/* record_seal: `bytes` has record_disk_size() bytes with the payload at RECORD_HEADER; writes the header and the zero
 * padding. */
void record_seal(uint8_t *bytes, const struct record *r);

/* record_hash: of a sealed block; the next one's `previous`. */
uint64_t record_hash(const uint8_t *bytes);

/* record_open: judges the block at `bytes`; `expected` says cluster, incarnation, number and previous (previous 0: not
 * known, not compared). *r is set where the header is whole, whatever comes of it, and else left as it was. */
enum record_verdict record_open(struct record *r, const uint8_t *bytes, uint64_t available,
                                const struct record *expected);

#endif

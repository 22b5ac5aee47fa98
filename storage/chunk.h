/* chunk.h - a checkpoint on disk, as bytes: chunks of up to 64 KiB, one behind the other, each chained to the one
 * before.
 *
 * A chunk says whose it is (cluster, epoch, position of the checkpoint), its place (number), what kind of bytes it
 * carries (the caller's image first, then the journal's own index), and the hash of the chunk before; the manifest
 * names the hash of the last. So a chunk that rotted, or that an older checkpoint left in the area, is known.
 *
 * Units: bytes; a chunk is a multiple of DISK_BLOCK on disk. Memory: the caller's. Failure: false. Thread: any (pure).
 */
#ifndef LEAT_STORAGE_CHUNK_H
#define LEAT_STORAGE_CHUNK_H

#include <stdbool.h>
#include <stdint.h>

enum { CHUNK_BYTES = 64 * 1024, CHUNK_HEADER = 64, CHUNK_PAYLOAD = CHUNK_BYTES - CHUNK_HEADER, CHUNK_FORMAT = 1 };
enum chunk_kind { CHUNK_IMAGE, CHUNK_INDEX };

struct chunk_header {
    uint64_t cluster;
    uint64_t position; /* block up to which the checkpoint holds everything */
    uint32_t epoch;    /* in which it was taken */
    uint32_t kind;     /* enum chunk_kind */
    uint32_t number;   /* from 0 */
    uint32_t payload_size;
    uint64_t previous; /* chunk_hash() of the chunk before; of the first one: 0 */
};

uint32_t chunk_disk_size(uint32_t payload_size);
/* chunk_seal: the payload stands at CHUNK_HEADER; writes header and padding. */
void chunk_seal(uint8_t *bytes, const struct chunk_header *h);
uint64_t chunk_hash(const uint8_t *bytes);
/* chunk_open: whether the chunk at `bytes` is whole and the one that is expected (`kind` and `payload_size` are set).
 */
bool chunk_open(struct chunk_header *expected, const uint8_t *bytes, uint64_t available);

#endif

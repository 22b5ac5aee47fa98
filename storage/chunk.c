/* chunk.c - see chunk.h.
 *
 *   0 magic   8 u32 format   12 u32 kind   16 u64 cluster   24 u64 position   32 u32 epoch   36 u32 number
 *  40 u64 previous   48 u32 payload size   52 u32 body crc   56 u32 0   60 u32 header crc */
#include "chunk.h"

#include <string.h>

#include "byteorder.h"
#include "crc32c.h"
#include "disk.h"
#include "hash.h"
#include "must.h"

static const uint8_t magic[8] = "leat ckp";

uint32_t chunk_disk_size(uint32_t payload_size)
{
    return (uint32_t)round_up(CHUNK_HEADER + (uint64_t)payload_size, DISK_BLOCK);
}

void chunk_seal(uint8_t *bytes, const struct chunk_header *h)
{
    must(h->payload_size <= CHUNK_PAYLOAD);
    uint32_t size = chunk_disk_size(h->payload_size);
    memset(bytes + CHUNK_HEADER + h->payload_size, 0, size - CHUNK_HEADER - h->payload_size);
    memset(bytes, 0, CHUNK_HEADER);
    memcpy(bytes, magic, sizeof magic);
    le32_put(bytes + 8, CHUNK_FORMAT);
    le32_put(bytes + 12, h->kind);
    le64_put(bytes + 16, h->cluster);
    le64_put(bytes + 24, h->position);
    le32_put(bytes + 32, h->epoch);
    le32_put(bytes + 36, h->number);
    le64_put(bytes + 40, h->previous);
    le32_put(bytes + 48, h->payload_size);
    le32_put(bytes + 52, crc32c(0, bytes + CHUNK_HEADER, size - CHUNK_HEADER));
    le32_put(bytes + 60, crc32c(0, bytes, 60));
}

uint64_t chunk_hash(const uint8_t *bytes)
{
    return hash_bytes(bytes, CHUNK_HEADER);
}

bool chunk_open(struct chunk_header *e, const uint8_t *bytes, uint64_t available)
{
    if (available < DISK_BLOCK || memcmp(bytes, magic, sizeof magic) != 0 ||
        le32_get(bytes + 60) != crc32c(0, bytes, 60) || le32_get(bytes + 8) != CHUNK_FORMAT)
        return false;
    if (le64_get(bytes + 16) != e->cluster || le64_get(bytes + 24) != e->position ||
        le32_get(bytes + 36) != e->number || le64_get(bytes + 40) != e->previous)
        return false;
    e->kind = le32_get(bytes + 12);
    e->epoch = le32_get(bytes + 32);
    e->payload_size = le32_get(bytes + 48);
    if (e->payload_size > CHUNK_PAYLOAD || chunk_disk_size(e->payload_size) > available)
        return false;
    uint32_t body = chunk_disk_size(e->payload_size) - CHUNK_HEADER;
    return le32_get(bytes + 52) == crc32c(0, bytes + CHUNK_HEADER, body);
}

/* point.c - chunk by chunk; the image goes into an engine, the index into one buffer. */
#include "point.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "byteorder.h"
#include "chunk.h"
#include "image.h"
#include "mark.h"
#include "must.h"

enum { INDEX_HEADER = 24, INDEX_SEGMENT = 24, QUEUES_LIMIT = 1 << 20, SLOTS_LIMIT = 100000000, CHUNKS_LIMIT = 1 << 25 };

/* The blob is the shard's (shard.c): u32 format, then the capacities of queues, slots, ready chunks, sessions. */
enum leat_status point_capacity(const struct source *s, struct engine_capacity *capacity, uint32_t *sessions,
                                char error[SOURCE_ERROR])
{
    const uint8_t *blob = s->m.blob;
    *capacity = (struct engine_capacity){.queues = 1 << 20, .slots = 1 << 24, .ready_chunks = 1 << 22};
    *sessions = 65535;
    if (s->manifest != LEAT_OK || s->m.blob_size == 0)
        return LEAT_OK;
    if (s->m.blob_size < POINT_BLOB || le32_get(blob) != 1)
        return source_say(LEAT_TOO_NEW, error, "the manifest's capacities have format %u, known is 1", le32_get(blob));
    *capacity = (struct engine_capacity){
        .queues = le32_get(blob + 4), .slots = le32_get(blob + 8), .ready_chunks = le32_get(blob + 12)};
    *sessions = le32_get(blob + 16);
    if (capacity->queues - 1u >= QUEUES_LIMIT || capacity->slots - 1u >= SLOTS_LIMIT ||
        capacity->ready_chunks - 1u >= CHUNKS_LIMIT || *sessions - 1u >= 65535)
        return source_say(LEAT_CORRUPT, error,
                          "the manifest's capacities are impossible: %u queues, %u slots, %u chunks", capacity->queues,
                          capacity->slots, capacity->ready_chunks);
    return LEAT_OK;
}

/* -- the index -- */

bool point_index_next(const struct point *p, uint64_t *at, struct point_segment *segment)
{
    uint64_t offset = *at == 0 ? INDEX_HEADER : *at;
    if (offset + INDEX_SEGMENT > p->index_bytes)
        return false;
    const uint8_t *bytes = p->index + offset;
    *segment = (struct point_segment){.number = le32_get(bytes),
                                      .incarnation = le32_get(bytes + 4),
                                      .first = le64_get(bytes + 8),
                                      .blocks = le32_get(bytes + 16),
                                      .offsets = bytes + INDEX_SEGMENT};
    offset += INDEX_SEGMENT + 2 * (uint64_t)segment->blocks;
    if (offset > p->index_bytes)
        return false;
    *at = offset;
    return true;
}

/* Its first block begins the segment, each next one lies behind it. *end: where the last one may end at the earliest.
 */
static bool point_offsets_rise(const struct point_segment *segment, uint64_t segment_bytes, uint64_t *end)
{
    *end = 0;
    for (uint32_t i = 0; i < segment->blocks; i++) {
        uint64_t offset = le16_get(segment->offsets + 2 * i) * (uint64_t)DISK_BLOCK;
        if (i == 0 ? offset != 0 : offset < *end)
            return false;
        *end = offset + DISK_BLOCK;
    }
    return *end <= segment_bytes;
}

/* Whether it is in one piece: a header, and as many segments as that says, up to its end, and blocks where they can
 * lie. */
static bool point_index_fits(struct point *p, uint64_t segment_bytes)
{
    if (p->index_bytes < INDEX_HEADER)
        return false;
    p->position_hash = le64_get(p->index);
    p->position_tail = le64_get(p->index + 8);
    uint32_t segments = le32_get(p->index + 16);
    struct point_segment segment;
    uint64_t at = 0, end = 0;
    for (; segments > 0 && point_index_next(p, &at, &segment); segments--)
        if (!point_offsets_rise(&segment, segment_bytes, &end))
            return false;
    return segments == 0 && (at == 0 ? INDEX_HEADER : at) == p->index_bytes && end > 0 &&
           p->position_tail % DISK_BLOCK == 0 && p->position_tail >= end && p->position_tail <= segment_bytes;
}

static enum leat_status point_index_add(struct point *p, const uint8_t *bytes, uint32_t size, char error[SOURCE_ERROR])
{
    if (p->index_bytes + size > p->index_room) {
        uint64_t room = p->index_room * 2 + 1024 * 1024;
        uint8_t *more = room <= 2ull * POINT_INDEX_MAX ? realloc(p->index, room) : NULL;
        if (!more)
            return source_say(LEAT_NO_MEMORY, error, "no memory for the index of the log");
        p->index = more;
        p->index_room = room;
    }
    memcpy(p->index + p->index_bytes, bytes, size);
    p->index_bytes += size;
    return LEAT_OK;
}

/* -- chunks -- */

struct point_reading {
    struct source *s;
    struct point *p;
    struct image_load load;
    uint64_t offset, hash;
    uint32_t number;
};

static enum leat_status point_chunk(struct point_reading *r, char error[SOURCE_ERROR])
{
    const struct manifest *m = &r->s->m;
    uint64_t available, left = m->checkpoint_bytes - r->offset;
    uint64_t need = left < CHUNK_BYTES ? left : CHUNK_BYTES;
    const uint8_t *bytes = source_at(r->s, r->offset, need, &available);
    struct chunk_header h = {
        .cluster = m->cluster, .position = m->checkpoint_block, .number = r->number, .previous = r->hash};
    if (!chunk_open(&h, bytes, available < need ? available : need)) {
        r->p->bad_from = r->offset;
        r->p->bad_end = r->offset + need;
        return source_say(LEAT_CORRUPT, error, "chunk %u of the checkpoint is damaged", r->number);
    }
    r->hash = chunk_hash(bytes);
    r->number++;
    r->offset += chunk_disk_size(h.payload_size);
    if (h.kind == CHUNK_IMAGE)
        return image_load(&r->load, bytes + CHUNK_HEADER, h.payload_size, error);
    return point_index_add(r->p, bytes + CHUNK_HEADER, h.payload_size, error);
}

static enum leat_status point_chunks(struct point *p, struct source *s, const struct image_slab *more,
                                     char error[SOURCE_ERROR])
{
    const struct manifest *m = &s->m;
    struct point_reading r = {.s = s, .p = p};
    enum leat_status status = LEAT_OK;
    if (m->checkpoint_bytes > s->size || m->checkpoint_bytes % DISK_BLOCK != 0) {
        p->bad_from = s->size;
        p->bad_end = m->checkpoint_bytes;
        return source_say(LEAT_CORRUPT, error, "it has %" PRIu64 " bytes, and the checkpoint %" PRIu64, s->size,
                          m->checkpoint_bytes);
    }
    image_load_begin(&r.load, &p->engine, more, 1);
    while (status == LEAT_OK && r.offset < m->checkpoint_bytes)
        status = point_chunk(&r, error);
    if (status != LEAT_OK)
        return status;
    if (r.hash != m->checkpoint_hash) {
        p->bad_end = m->checkpoint_bytes;
        return source_say(LEAT_CORRUPT, error, "it is not the checkpoint that the manifest names");
    }
    status = image_load_end(&r.load, error);
    if (status == LEAT_OK && !session_sound(&p->sessions))
        status = source_say(LEAT_CORRUPT, error, "the checkpoint holds sessions that no log could have made");
    if (status == LEAT_OK && (!point_index_fits(p, m->segment_bytes) || p->position_hash != m->tail_hash))
        status = source_say(LEAT_CORRUPT, error, "the checkpoint's index of the log contradicts itself");
    return status;
}

enum leat_status point_load(struct point *p, struct source *s, char error[SOURCE_ERROR])
{
    struct engine_capacity capacity;
    uint32_t sessions;
    *p = (struct point){0};
    enum leat_status status = point_capacity(s, &capacity, &sessions, error);
    return status == LEAT_OK ? point_read(p, s, &capacity, sessions, error) : status;
}

enum leat_status point_read(struct point *p, struct source *s, const struct engine_capacity *capacity,
                            uint32_t sessions, char error[SOURCE_ERROR])
{
    *p = (struct point){0};
    enum leat_status status = LEAT_OK;
    if (engine_open(&p->engine, capacity, INSTANT_ZERO) != LEAT_OK ||
        session_open_table(&p->sessions, sessions) != LEAT_OK)
        status = source_say(LEAT_NO_MEMORY, error, "no memory for the capacities that the manifest names");
    if (status != LEAT_OK || s->manifest != LEAT_OK)
        return status;
    p->block = s->m.checkpoint_block;
    if (p->block == 0) {
        p->loaded = true;
        return LEAT_OK;
    }
    char name[DISK_NAME_MAX];
    snprintf(name, sizeof name, "checkpoint-%u", s->m.checkpoint_area);
    const struct image_slab more[1] = {{&p->sessions.sessions, "sessions_max"}};
    status = source_file(s, name, error);
    if (status == LEAT_OK)
        status = point_chunks(p, s, more, error);
    source_leave(s);
    p->loaded = status == LEAT_OK;
    if (!p->loaded)
        mark(offline_checkpoint_damaged);
    return status;
}

void point_close(struct point *p)
{
    engine_close(&p->engine);
    session_close_table(&p->sessions);
    free(p->index);
    *p = (struct point){0};
}

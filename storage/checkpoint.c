/* checkpoint.c - the caller's image and our index, written beside the running log.
 *
 *   IDLE --begin--> IMAGE --end--> INDEX --> WRITTEN --> FLUSHING --> SAFE --position durable--> PUBLISHING --> IDLE
 *                     \--no room for the area--> ABANDONED --end--> IDLE
 *
 * Two areas alternate: the one that the manifest names is never written. An area that is too small is grown first, by
 * the helper that makes segments, while the image gathers in chunks. A checkpoint becomes true with the version of the
 * manifest that names it; the same version takes the segments that it sets free out of the log and lists them as
 * spares. It is not published before its position is durable: until then the log could still lose what it holds. */
#include "chunk.h"

#include <stdio.h>
#include <string.h>

#include "byteorder.h"
#include "log.h"
#include "mark.h"
#include "must.h"

enum { INDEX_HEADER = 24, INDEX_SEGMENT = 24, CHECKPOINT_RETRY_MS = 1000, CHECKPOINT_TRIES = 1000 };

/* -- chunks -- */

static uint32_t checkpoint_free_chunk(const struct journal *j)
{
    uint32_t i = 0;
    while (i < LOG_CHUNKS && j->checkpoint.chunks[i].state != CHUNK_FREE)
        i++;
    return i;
}

/* Payload bytes that can be taken now. */
static uint32_t checkpoint_room(const struct journal *j)
{
    const struct checkpoint *c = &j->checkpoint;
    uint32_t room = c->filling < LOG_CHUNKS ? CHUNK_PAYLOAD - c->fill : 0;
    for (uint32_t i = 0; i < LOG_CHUNKS; i++)
        room += c->chunks[i].state == CHUNK_FREE ? CHUNK_PAYLOAD : 0;
    return room;
}

static void checkpoint_seal(struct journal *j)
{
    struct checkpoint *c = &j->checkpoint;
    if (c->filling == LOG_CHUNKS)
        return;
    struct chunk *k = &c->chunks[c->filling];
    struct chunk_header h = {.cluster = j->ledger.m.cluster,
                             .position = c->position,
                             .epoch = j->epoch,
                             .kind = c->kind,
                             .number = c->count++,
                             .payload_size = c->fill,
                             .previous = c->hash};
    chunk_seal(k->bytes, &h);
    c->hash = chunk_hash(k->bytes);
    k->offset = c->offset;
    k->size = chunk_disk_size(c->fill);
    k->done = 0;
    k->tries = 0;
    k->state = CHUNK_FULL;
    c->offset += k->size;
    must(c->offset <= c->room);
    c->filling = LOG_CHUNKS;
    c->fill = 0;
}

static void checkpoint_put(struct journal *j, const uint8_t *bytes, uint32_t size)
{
    struct checkpoint *c = &j->checkpoint;
    while (size > 0) {
        if (c->filling == LOG_CHUNKS) {
            c->filling = checkpoint_free_chunk(j);
            must(c->filling < LOG_CHUNKS);
            c->chunks[c->filling].state = CHUNK_FILLING;
        }
        uint32_t n = CHUNK_PAYLOAD - c->fill < size ? CHUNK_PAYLOAD - c->fill : size;
        memcpy(c->chunks[c->filling].bytes + CHUNK_HEADER + c->fill, bytes, n);
        c->fill += n;
        bytes += n;
        size -= n;
        if (c->fill == CHUNK_PAYLOAD)
            checkpoint_seal(j);
    }
}

/* -- the door -- */

static uint64_t checkpoint_disk_size(uint64_t payload)
{
    return payload / CHUNK_PAYLOAD * CHUNK_BYTES + chunk_disk_size((uint32_t)(payload % CHUNK_PAYLOAD));
}

static uint32_t checkpoint_blocks(const struct journal *j, uint32_t order)
{
    return order == j->checkpoint.order ? j->checkpoint.blocks : segment_at(j, order)->blocks;
}

/* Keep segments are not in it: their directories say all. */
static bool checkpoint_indexes(const struct journal *j, uint32_t order)
{
    const struct segment *s = segment_at(j, order);
    return !s->dead && !s->keep;
}

static uint64_t checkpoint_index_bytes(const struct journal *j)
{
    uint64_t bytes = INDEX_HEADER;
    for (uint32_t i = 0; i <= j->checkpoint.order; i++)
        if (checkpoint_indexes(j, i))
            bytes += INDEX_SEGMENT + 2 * (uint64_t)checkpoint_blocks(j, i);
    return bytes;
}

uint32_t checkpoint_next_area(const struct journal *j)
{
    const struct manifest *m = &j->ledger.m;
    return m->checkpoint_block > 0 ? 1 - m->checkpoint_area : 0;
}

bool journal_checkpoint_possible(const struct journal *j)
{
    const struct checkpoint *c = &j->checkpoint;
    if (c->state != CHECKPOINT_IDLE || j->error != LEAT_OK || instant_before(j->now, c->retry))
        return false;
    if (journal_appended(j) <= j->ledger.m.checkpoint_block && !j->backup.let_go)
        return false;
    if (backup_waits(j) || backup_holds_area(j, checkpoint_next_area(j)))
        return false;
    return j->open.facts == 0 || (j->flying < j->config.depth && segment_room(j, record_disk_size(j->open.payload)));
}

bool journal_checkpoint_begin(struct journal *j, uint64_t image_bytes)
{
    struct checkpoint *c = &j->checkpoint;
    must(j->life == JOURNAL_RUNNING);
    if (!journal_checkpoint_possible(j) || (j->open.facts > 0 && !flight_launch(j)))
        return false;
    c->position = j->sealed;
    c->position_hash = j->previous;
    c->position_tail = j->segments.tail;
    c->order = j->segments.log_count - 1;
    c->blocks = segment_at(j, c->order)->blocks;
    segment_mark_dead(j, c->order);
    c->area = checkpoint_next_area(j);
    c->room = checkpoint_disk_size(image_bytes) + checkpoint_disk_size(checkpoint_index_bytes(j));
    c->area_ready = c->sizes[c->area] >= c->room;
    c->bytes_at_begin = j->tail_bytes;
    c->kind = CHUNK_IMAGE;
    c->filling = LOG_CHUNKS;
    c->fill = c->count = 0;
    c->offset = c->hash = 0;
    c->state = CHECKPOINT_IMAGE;
    return true;
}

bool journal_checkpoint_write(struct journal *j, const uint8_t *bytes, uint32_t size)
{
    must(size <= JOURNAL_CHUNK);
    if (j->checkpoint.state == CHECKPOINT_ABANDONED)
        return true;
    must(j->checkpoint.state == CHECKPOINT_IMAGE);
    if (checkpoint_room(j) < size)
        return false;
    checkpoint_put(j, bytes, size);
    return true;
}

void journal_checkpoint_end(struct journal *j)
{
    struct checkpoint *c = &j->checkpoint;
    if (c->state == CHECKPOINT_ABANDONED) {
        c->state = CHECKPOINT_IDLE;
        return;
    }
    must(c->state == CHECKPOINT_IMAGE);
    checkpoint_seal(j);
    c->kind = CHUNK_INDEX;
    c->index_order = UINT32_MAX; /* the header comes first */
    c->index_block = 0;
    c->state = CHECKPOINT_INDEX;
}

bool journal_checkpoint_running(const struct journal *j)
{
    return j->checkpoint.state != CHECKPOINT_IDLE;
}

/* -- the index -- */

static void checkpoint_index_head(struct journal *j)
{
    struct checkpoint *c = &j->checkpoint;
    uint8_t head[INDEX_HEADER] = {0};
    uint32_t segments = 0;
    for (uint32_t i = 0; i <= c->order; i++)
        segments += checkpoint_indexes(j, i);
    le64_put(head, c->position_hash);
    le64_put(head + 8, c->position_tail);
    le32_put(head + 16, segments);
    checkpoint_put(j, head, sizeof head);
    c->index_order = 0;
}

static void checkpoint_index_segment(struct journal *j, const struct segment *s)
{
    uint8_t head[INDEX_SEGMENT] = {0};
    le32_put(head, s->name);
    le32_put(head + 4, s->incarnation);
    le64_put(head + 8, s->first);
    le32_put(head + 16, checkpoint_blocks(j, j->checkpoint.index_order));
    checkpoint_put(j, head, sizeof head);
}

/* The next piece of at most 512 blocks; false when all is written. */
static bool checkpoint_index_piece(struct journal *j)
{
    struct checkpoint *c = &j->checkpoint;
    while (c->index_order <= c->order && !checkpoint_indexes(j, c->index_order))
        c->index_order++;
    if (c->index_order > c->order)
        return false;
    const struct segment *s = segment_at(j, c->index_order);
    if (c->index_block == 0)
        checkpoint_index_segment(j, s);
    uint8_t piece[1024];
    uint32_t n = 0, blocks = checkpoint_blocks(j, c->index_order);
    for (; n < sizeof piece / 2 && c->index_block < blocks; n++)
        le16_put(piece + 2 * n, s->index[c->index_block++]);
    checkpoint_put(j, piece, 2 * n);
    if (c->index_block == blocks) {
        c->index_block = 0;
        c->index_order++;
    }
    return true;
}

/* About one chunk at a time. */
static unsigned checkpoint_index(struct journal *j)
{
    struct checkpoint *c = &j->checkpoint;
    unsigned n = 0;
    while (n < 64 && checkpoint_room(j) >= 1024 + INDEX_SEGMENT + INDEX_HEADER) {
        n++;
        if (c->index_order == UINT32_MAX) {
            checkpoint_index_head(j);
        } else if (!checkpoint_index_piece(j)) {
            checkpoint_seal(j);
            c->state = CHECKPOINT_WRITTEN;
            break;
        }
    }
    return n;
}

/* -- the area -- */

static void checkpoint_abandon(struct journal *j)
{
    struct checkpoint *c = &j->checkpoint;
    mark(checkpoint_abandoned);
    for (uint32_t i = 0; i < LOG_CHUNKS; i++)
        c->chunks[i].state = CHUNK_FREE;
    c->retry = instant_add(j->now, duration_ms(CHECKPOINT_RETRY_MS));
    c->state = c->state == CHECKPOINT_IMAGE ? CHECKPOINT_ABANDONED : CHECKPOINT_IDLE;
}

static unsigned checkpoint_grow(struct journal *j)
{
    struct checkpoint *c = &j->checkpoint;
    if (c->area_ready || j->segments.creating != CREATING_NOTHING)
        return 0;
    char name[DISK_NAME_MAX];
    snprintf(name, sizeof name, "checkpoint-%u", c->area);
    uint64_t size = round_up(c->room + c->room / 4, CHUNK_BYTES);
    if (!disk_create_start(j->disk, name, size, log_tag(LOG_CREATE, 0))) {
        checkpoint_abandon(j);
        return 0;
    }
    mark(checkpoint_area_grows);
    j->segments.creating = CREATING_AREA;
    return 1;
}

void checkpoint_grown(struct journal *j, int32_t result)
{
    struct checkpoint *c = &j->checkpoint;
    j->segments.creating = CREATING_NOTHING;
    if (result < 0) {
        checkpoint_abandon(j);
        return;
    }
    disk_close(j->disk, c->files[c->area]);
    c->files[c->area] = (uint32_t)result;
    c->sizes[c->area] = (uint64_t)disk_size(j->disk, (uint32_t)result);
    c->area_ready = true;
}

/* -- writing and publishing -- */

static unsigned checkpoint_submit(struct journal *j)
{
    struct checkpoint *c = &j->checkpoint;
    unsigned n = 0;
    for (uint32_t i = 0; i < LOG_CHUNKS && c->area_ready; i++) {
        struct chunk *k = &c->chunks[i];
        struct disk_op op = {.kind = DISK_WRITE,
                             .file = c->files[c->area],
                             .offset = k->offset + k->done,
                             .data = k->bytes + k->done,
                             .size = k->size - k->done,
                             .tag = log_tag(LOG_CHUNK_WRITE, i)};
        if (k->state == CHUNK_FULL && disk_submit(j->disk, &op)) {
            k->state = CHUNK_WRITING;
            n++;
        }
    }
    return n;
}

void checkpoint_completed(struct journal *j, enum log_tag kind, uint32_t index, int32_t result)
{
    struct checkpoint *c = &j->checkpoint;
    if (result < 0 || (kind == LOG_CHUNK_WRITE && result == 0)) {
        mark(checkpoint_write_failed);
        journal_fail(j, LEAT_DISK_ERROR);
        return;
    }
    if (kind == LOG_CHUNK_FLUSH) {
        must(c->state == CHECKPOINT_FLUSHING);
        c->state = CHECKPOINT_SAFE;
        return;
    }
    must(index < LOG_CHUNKS);
    struct chunk *k = &c->chunks[index];
    must(k->state == CHUNK_WRITING);
    k->done += (uint32_t)result;
    if (k->done == k->size) {
        k->state = CHUNK_FREE;
    } else if (k->tries++ == CHECKPOINT_TRIES) {
        journal_fail(j, LEAT_DISK_ERROR);
    } else {
        k->done -= k->done % DISK_BLOCK;
        k->state = CHUNK_FULL;
    }
}

static bool checkpoint_flush(struct journal *j)
{
    struct checkpoint *c = &j->checkpoint;
    for (uint32_t i = 0; i < LOG_CHUNKS; i++)
        if (c->chunks[i].state != CHUNK_FREE)
            return false;
    struct disk_op op = {.kind = DISK_FLUSH, .file = c->files[c->area], .tag = log_tag(LOG_CHUNK_FLUSH, 0)};
    if (!disk_submit(j->disk, &op))
        return false;
    c->state = CHECKPOINT_FLUSHING;
    return true;
}

static bool checkpoint_publish(struct journal *j)
{
    struct checkpoint *c = &j->checkpoint;
    struct manifest *m = &j->ledger.m;
#if LEAT_BUG != 37
    if (j->durable < c->position)
        return false;
#endif
    m->checkpoint_block = c->position;
    m->checkpoint_bytes = c->offset;
    m->checkpoint_hash = c->hash;
    m->checkpoint_area = c->area;
    m->tail_hash = c->position_hash;
    segment_recycle(j);
    c->version = ledger_change(j);
    c->state = CHECKPOINT_PUBLISHING;
    return true;
}

static bool checkpoint_done(struct journal *j)
{
    struct checkpoint *c = &j->checkpoint;
    if (j->ledger.durable < c->version)
        return false;
    j->tail_bytes -= c->bytes_at_begin;
    j->proven = c->position > j->proven ? c->position : j->proven; /* the manifest says so */
    j->counters.checkpoints++;
    j->clean.look = true;
    c->state = CHECKPOINT_IDLE;
    return true;
}

unsigned checkpoint_step(struct journal *j)
{
    struct checkpoint *c = &j->checkpoint;
    unsigned n = 0;
    if (c->state == CHECKPOINT_IDLE || c->state == CHECKPOINT_ABANDONED)
        return 0;
    n += checkpoint_grow(j);
    if (c->state == CHECKPOINT_INDEX)
        n += checkpoint_index(j);
    n += checkpoint_submit(j);
    if (c->state == CHECKPOINT_WRITTEN)
        n += checkpoint_flush(j);
    if (c->state == CHECKPOINT_SAFE)
        n += checkpoint_publish(j);
    if (c->state == CHECKPOINT_PUBLISHING)
        n += checkpoint_done(j);
    return n;
}

/* stage_draw.c - messages into answers: from memory at once, from the disk by and by.
 *
 * The log is the message store: an answer copies attributes and body from the put fact, where it lies. While the block
 * is in the hot tail that is one copy. Else a drawing reads every cold fact of one answer, several at a time over all
 * drawings, builds the whole operation in a buffer and hands it to stage_reply. A fact read back is believed after its
 * own checksums, which are seeded by its position. Who takes a backlog from front to back finds its bytes read ahead
 * (ahead.h), and waits for no disk.
 *
 * A body in a keep segment is read by itself: what lay beside it in its block does not lie there. When the cleaner
 * moves a group of messages after it was decided to read them together, they come one after the other through one
 * buffer of the shard, each to its place in the group's memory.
 *
 * The client may be gone, or the lease lost, before the bytes arrive: a drawing that was abandoned only waits for the
 * reads that are under way. */
#include "stages.h"

#include <stdlib.h>

#include "buggify.h"
#include "mark.h"

enum { DRAWS = 64, DRAW_GAP = 4096, DRAW_TOGETHER = 256 * 1024 };

/* Messages that lie near each other in one block are read together: the first of them leads, and its read covers them
 * all. So a backlog of small messages costs a read or two an answer, not one a message. */
struct draw_read {
    uint8_t *data;
    uint32_t room, skip;
    uint32_t place, size; /* what is read, in the block */
    uint16_t leader;
    bool arrived;
    bool comes; /* with a stretch that is being read ahead */
};

struct draw {
    bool live, abandoned;
    uint8_t op;
    uint16_t count, next, under_way; /* messages; next to read; reads without an end */
    uint16_t coming;                 /* reads that wait for a stretch */
    uint32_t session, place;
    uint64_t number, block;
    uint32_t memory_size, answer_size;
    uint8_t *answer;               /* room for the whole operation */
    struct draw_message *messages; /* count of them, then the reads: one buffer */
    struct draw_read *reads;
};

/* The group that comes in pieces, one at a time over all drawings. */
struct draw_piece {
    bool taken, reading;
    uint16_t draw, leader, member;
    uint32_t skip;
    uint8_t *data;
};

#define PIECE_TAG (1ull << 40)
#define PIECE_BYTES journal_fetch_bytes(FACT_PUT_FIXED + ATTRS_MAX + 8 + BODY_MAX)

enum leat_status stage_draw_open(struct shard *s)
{
    s->draws = calloc(DRAWS, sizeof *s->draws);
    ahead_open(&s->ahead, s->buffers.max, s->config.journal.segment_bytes);
    s->piece = calloc(1, sizeof *s->piece);
    if (s->piece)
        s->piece->data = aligned_alloc(DISK_BLOCK, PIECE_BYTES);
    return s->draws && s->piece && s->piece->data ? LEAT_OK : LEAT_NO_MEMORY;
}

static void stage_draw_free(struct shard *s, struct draw *d)
{
    for (unsigned i = 0; i < d->count; i++)
        buffers_give(&s->buffers, d->reads[i].data, d->reads[i].room);
    buffers_give(&s->buffers, d->answer, d->answer_size);
    buffers_give(&s->buffers, (uint8_t *)d->messages, d->memory_size);
    *d = (struct draw){0};
    s->draws_live--;
}

void stage_draw_close(struct shard *s)
{
    for (unsigned i = 0; s->draws && i < DRAWS; i++)
        if (s->draws[i].live)
            stage_draw_free(s, &s->draws[i]);
    ahead_close(&s->ahead, &s->buffers);
    free(s->draws);
    if (s->piece)
        free(s->piece->data);
    free(s->piece);
}

/* What was read ahead makes room for what somebody waits for. */
static uint8_t *stage_draw_buffer(struct shard *s, uint32_t size)
{
    uint8_t *bytes = buffers_take(&s->buffers, size);
    if (bytes || !ahead_release(&s->ahead, &s->buffers))
        return bytes;
    mark(ahead_gave_way);
    return buffers_take(&s->buffers, size);
}

unsigned stage_draw_take(struct shard *s, const struct desk_place *p, unsigned count, struct draw_message *messages)
{
    unsigned n = 0;
    for (unsigned i = 0; i < count; i++) {
        struct lease_name name;
        if (p->leases == UINT64_MAX || !leases_get(&s->leases, p->leases + i, &name))
            continue;
        const struct message *m = engine_message_at(&s->engine, name.slot);
        if (name.slot >= s->engine.slots.used || m->state != MESSAGE_LEASED || m->generation != name.generation)
            continue;
        messages[n++] = (struct draw_message){.lsn = m->lsn,
                                              .where = m->where,
                                              .slot = name.slot,
                                              .generation = name.generation,
                                              .attempts = m->attempts,
                                              .state = 0};
    }
    return n;
}

static const uint8_t *stage_draw_bytes(const struct shard *s, const struct draw_message *m)
{
    return journal_hot(s->journal, m->lsn, m->where.place8 * 8, m->where.size8 * 8);
}

/* A put fact's own size says how large its message is in an answer: both pad attributes and body to 8. */
static uint32_t stage_draw_size(const struct draw_message *m)
{
    return REPLY_MESSAGE_HEADER + m->where.size8 * 8 - FACT_PUT_FIXED;
}

uint32_t stage_draw_hot(struct shard *s, const struct draw_message *messages, unsigned n)
{
    uint32_t size = FRAME_OP_HEADER;
    bool cold = buggify(answer_in_pieces);
    for (unsigned i = 0; i < n; i++) {
        if (!stage_draw_bytes(s, &messages[i]) || cold)
            return 0;
        size += stage_draw_size(&messages[i]);
    }
    return size;
}

/* What is known of a message without its bytes: what a receipt names and, of a leased one, the lease. */
static void stage_draw_known(const struct shard *s, struct reply_message *r, const struct draw_message *m,
                             uint32_t put_epoch)
{
    struct receipt receipt = {
        .id = {.cell = s->config.cell, .shard = s->config.number, .epoch = put_epoch, .lsn = m->lsn}};
    r->attempts = m->attempts;
    r->state = m->state;
    if (m->slot == SLAB_NONE) {
        receipt_id_encode(r->receipt, &receipt.id);
        return;
    }
    const struct message *leased = engine_message_at(&s->engine, m->slot);
    receipt.slot = m->slot;
    receipt.generation = m->generation;
    receipt.epoch = leased->epoch;
    receipt.incarnation = engine_queue_at(&s->engine, leased->queue)->incarnation;
    receipt.hash = receipt_hash(&receipt, s->limits.key);
    receipt_encode(r->receipt, &receipt);
    r->lease_left = instant_since(leased->due, s->log_now);
}

/* One message from the bytes of its fact. */
static uint32_t stage_draw_message(const struct shard *s, uint8_t *out, const struct draw_message *m,
                                   const struct fact *f)
{
    struct reply_message r = {.sent_wall_ns = engine_wall(&s->engine, f->put.epoch, f->at),
                              .body_size = f->put.body_size,
                              .body_crc = f->put.body_crc,
                              .attrs_size = f->put.attrs_size,
                              .attrs = f->put.attrs,
                              .body = f->put.body};
    stage_draw_known(s, &r, m, f->put.epoch);
    return reply_add_message(out, &r);
}

uint32_t stage_draw_write(struct shard *s, uint8_t *out, uint8_t op, uint64_t number,
                          const struct draw_message *messages, unsigned n)
{
    uint32_t size = FRAME_OP_HEADER;
    for (unsigned i = 0; i < n; i++) {
        struct fact f;
        const struct draw_message *m = &messages[i];
#if LEAT_BUG == 30
        if (i < 2 && n > 1 && messages[0].where.size8 == messages[1].where.size8)
            m = &messages[!i];
#endif
        const uint8_t *bytes = stage_draw_bytes(s, m);
        must(bytes != NULL);
        must(fact_decode(&f, bytes, m->where.size8 * 8, m->lsn, false) == LEAT_OK);
        size += stage_draw_message(s, out + size, &messages[i], &f);
    }
    frame_op_encode(out, op, LEAT_OK, (uint16_t)n, size - FRAME_OP_HEADER, number);
    return size;
}

static bool stage_draw_joins(const struct draw *d, uint16_t leader, unsigned i)
{
    const struct draw_message *m = &d->messages[i];
    const struct draw_read *r = &d->reads[leader];
    uint32_t place = m->where.place8 * 8;
    return lsn_block(m->lsn) == lsn_block(d->messages[leader].lsn) && place >= r->place &&
           place <= r->place + r->size + DRAW_GAP && place + m->where.size8 * 8 - r->place <= DRAW_TOGETHER;
}

/* Who is read together with whom. */
static void stage_draw_lead(const struct shard *s, struct draw *d)
{
    uint16_t leader = 0;
    for (uint16_t i = 0; i < d->count; i++) {
        const struct message_where *w = &d->messages[i].where;
        if (i == 0 || !stage_draw_joins(d, leader, i) || journal_kept(s->journal, d->messages[i].lsn)) {
            leader = i;
            d->reads[i].place = w->place8 * 8;
            d->reads[i].size = 0;
        } else {
            mark(bodies_read_together);
        }
        struct draw_read *r = &d->reads[leader];
        uint32_t size = (w->place8 + w->size8) * 8 - r->place;
        r->size = size > r->size ? size : r->size;
        d->reads[i].leader = leader;
    }
}

/* All the memory that a drawing will need, so that whoever has started can finish. */
static bool stage_draw_memory(struct shard *s, struct draw *d)
{
    d->answer_size = FRAME_OP_HEADER;
    for (unsigned i = 0; i < d->count; i++) {
        struct draw_read *r = &d->reads[i];
        d->answer_size += stage_draw_size(&d->messages[i]);
        if (r->leader != i)
            continue;
        r->room = journal_fetch_bytes(r->size);
        r->data = stage_draw_buffer(s, r->room);
        if (!r->data)
            return false;
    }
    d->answer = stage_draw_buffer(s, d->answer_size);
    return d->answer != NULL;
}

bool stage_draw_start(struct shard *s, uint32_t session, uint64_t number, uint32_t place, uint8_t op,
                      const struct draw_message *messages, unsigned n, uint64_t block)
{
    unsigned i = 0;
    while (i < DRAWS && s->draws[i].live)
        i++;
    uint32_t size = n * (uint32_t)(sizeof *messages + sizeof(struct draw_read));
    uint8_t *memory = i < DRAWS ? stage_draw_buffer(s, size) : NULL;
    if (!memory)
        return false;
    struct draw *d = &s->draws[i];
    *d = (struct draw){.live = true,
                       .op = op,
                       .count = (uint16_t)n,
                       .session = session,
                       .place = place,
                       .number = number,
                       .block = block,
                       .memory_size = size,
                       .messages = (struct draw_message *)(void *)memory,
                       .reads = (struct draw_read *)(void *)(memory + n * sizeof *messages)};
    s->draws_live++;
    memcpy(d->messages, messages, n * sizeof *messages);
    memset(d->reads, 0, n * sizeof *d->reads);
    stage_draw_lead(s, d);
    if (!stage_draw_memory(s, d)) {
        stage_draw_free(s, d);
        return false;
    }
    desk_settle(&s->desk, place, DESK_DRAWING);
    desk_place(&s->desk, place)->drawing = i;
    mark(bodies_from_disk);
    return true;
}

void stage_draw_abandon(struct shard *s, uint32_t place)
{
    struct draw *d = &s->draws[desk_place(&s->desk, place)->drawing];
    must(d->live && d->place == place);
    d->abandoned = true;
    mark(drawing_abandoned);
}

/* The next member of the group that comes in pieces; the group is complete when there is none. */
static void stage_draw_piece(struct shard *s)
{
    struct draw_piece *p = s->piece;
    struct draw *d = &s->draws[p->draw];
    while (p->member < d->count && d->reads[p->member].leader != p->leader)
        p->member++;
    if (p->member == d->count || d->abandoned) {
        d->reads[p->leader].arrived = true;
        d->reads[p->leader].skip = 0;
        d->under_way--;
        p->taken = false;
        return;
    }
    const struct draw_message *m = &d->messages[p->member];
    p->reading =
        journal_fetch(s->journal, m->lsn, m->where.place8 * 8, m->where.size8 * 8, p->data, &p->skip, PIECE_TAG);
    s->counters.cold_reads += p->reading;
}

static void stage_draw_piece_arrived(struct shard *s, enum leat_status status)
{
    struct draw_piece *p = s->piece;
    const struct draw *d = &s->draws[p->draw];
    const struct draw_message *m = &d->messages[p->member];
    const struct draw_read *r = &d->reads[p->leader];
    uint8_t *to = r->data + (m->where.place8 * 8 - r->place);
    p->reading = false;
    if (status == LEAT_OK)
        memcpy(to, p->data + p->skip, m->where.size8 * 8);
    else
        memset(to, 0, m->where.size8 * 8); /* it may have ended; if it lives, its checksum says that this is wrong */
    p->member++;
    stage_draw_piece(s);
}

static bool stage_draw_groups(const struct draw *d, uint16_t leader)
{
    return d->reads[leader].size > d->messages[leader].where.size8 * 8;
}

/* A group whose messages have been moved comes in pieces. False: another one is at it. */
static bool stage_draw_in_pieces(struct shard *s, struct draw *d, uint16_t i)
{
    if (s->piece->taken)
        return false;
    mark(group_in_pieces);
    *s->piece = (struct draw_piece){
        .taken = true, .draw = (uint16_t)(d - s->draws), .leader = i, .member = i, .data = s->piece->data};
    d->under_way++;
    stage_draw_piece(s);
    return true;
}

/* A read of its own. False: too many are under way. */
static bool stage_draw_fetch(struct shard *s, struct draw *d, uint16_t i)
{
    const struct draw_message *m = &d->messages[i];
    struct draw_read *r = &d->reads[i];
    uint64_t tag = (uint64_t)(d - s->draws) << 16 | i;
    if (stage_draw_groups(d, i) && journal_kept(s->journal, m->lsn))
        return stage_draw_in_pieces(s, d, i);
    if (!journal_fetch(s->journal, m->lsn, r->place, r->size, r->data, &r->skip, tag))
        return false;
    d->under_way++;
    s->counters.cold_reads++;
    return true;
}

/* The bytes of a read, from what was read ahead or by a read of its own. False: not now. */
static bool stage_draw_get(struct shard *s, struct draw *d, uint16_t i)
{
    struct draw_read *r = &d->reads[i];
    uint64_t block = lsn_block(d->messages[i].lsn);
    struct journal_spot spot;
    enum ahead_state ahead = AHEAD_EMPTY;
    if (journal_spot(s->journal, block, &spot))
        ahead = ahead_get(&s->ahead, &spot, block, spot.offset + r->place, r->size, r->data, s->log_now);
    r->skip = 0;
    r->arrived = ahead == AHEAD_HERE;
    if (ahead == AHEAD_EMPTY && !stage_draw_fetch(s, d, i))
        return false;
    if (r->comes)
        d->coming--;
    r->comes = ahead == AHEAD_COMES;
    if (r->comes)
        d->coming++;
    return true;
}

/* Starts reads for the messages of one drawing; how many. */
static unsigned stage_draw_read(struct shard *s, struct draw *d)
{
    unsigned n = 0;
    for (uint16_t i = 0; i < d->next && d->coming > 0 && !d->abandoned; i++)
        if (d->reads[i].comes && !stage_draw_get(s, d, i))
            return n;
    for (; d->next < d->count && !d->abandoned; d->next++, n++) {
        const struct draw_message *m = &d->messages[d->next];
        struct draw_read *r = &d->reads[d->next];
        if (r->leader != d->next)
            continue;
        const uint8_t *hot = journal_hot(s->journal, m->lsn, r->place, r->size);
        if (hot) {
            memcpy(r->data, hot, r->size);
            r->arrived = true;
        } else if (!stage_draw_get(s, d, d->next)) {
            return n;
        }
    }
    return n;
}

static void stage_draw_arrived(struct shard *s, uint64_t tag, enum leat_status status)
{
    if (tag & AHEAD_TAG) {
        ahead_arrived(&s->ahead, tag, status);
        return;
    }
    struct draw *d = &s->draws[tag >> 16];
    must(d->live && d->under_way > 0);
    d->under_way--;
    d->reads[tag & 0xffff].arrived = status == LEAT_OK;
}

/* These bytes were wrong: if they were read ahead, nobody gets them a second time. */
static void stage_draw_wrong(struct shard *s, const struct draw_message *m)
{
    struct journal_spot spot;
    if (journal_spot(s->journal, lsn_block(m->lsn), &spot))
        ahead_forget(&s->ahead, spot.life, spot.offset + m->where.place8 * 8);
}

/* Is this message of a take still leased as it was? */
static bool stage_draw_leased(const struct shard *s, const struct draw_message *m)
{
    const struct message *now = m->slot == SLAB_NONE ? NULL : engine_message_at(&s->engine, m->slot);
    return now && now->state == MESSAGE_LEASED && now->generation == m->generation;
}

/* The put fact of message i, from what was read; false: it did not come, or it is not what was written. */
static bool stage_draw_fact(const struct draw *d, unsigned i, bool with_body, struct fact *f)
{
    const struct draw_message *m = &d->messages[i];
    const struct draw_read *r = &d->reads[d->reads[i].leader];
    const uint8_t *bytes = r->data + r->skip + (m->where.place8 * 8 - r->place);
    return r->arrived && fact_decode(f, bytes, m->where.size8 * 8, m->lsn, with_body) == LEAT_OK && f->kind == FACT_PUT;
}

/* Of a take nothing is left that can be served: its messages without attributes and bodies, so that the client can
 * finish them or give them back. All but the body of a fact has a checksum of its own; where that is wrong too, the
 * epoch of the put is not known, and its place in the id is 0. */
static uint32_t stage_draw_damaged(const struct shard *s, const struct draw *d, uint8_t *out)
{
    uint32_t size = FRAME_OP_HEADER;
    uint16_t n = 0;
    for (unsigned i = 0; i < d->count; i++) {
        struct reply_message r = {0};
        struct fact f;
        if (!stage_draw_leased(s, &d->messages[i]))
            continue;
        bool known = stage_draw_fact(d, i, false, &f);
        if (known)
            r.sent_wall_ns = engine_wall(&s->engine, f.put.epoch, f.at);
        else
            mark(rotten_id);
        stage_draw_known(s, &r, &d->messages[i], known ? f.put.epoch : 0);
        size += reply_add_message(out + size, &r);
        n++;
    }
    frame_op_encode(out, d->op, LEAT_CORRUPT, n, size - FRAME_OP_HEADER, d->number);
    return size;
}

/* All bytes are here: builds the operation. A message that has ended meanwhile is left out, and so is one whose bytes
 * are wrong: they are never served, and its neighbours are. Only when nothing else is left, the answer is `corrupt`. */
static uint32_t stage_draw_build(struct shard *s, const struct draw *d, uint8_t *out)
{
    uint32_t size = FRAME_OP_HEADER;
    uint16_t n = 0, corrupt = 0;
    for (unsigned i = 0; i < d->count; i++) {
        const struct draw_message *m = &d->messages[i];
        struct fact f;
        if (m->slot != SLAB_NONE && !stage_draw_leased(s, m))
            continue;
        if (!stage_draw_fact(d, i, true, &f)) {
            stage_draw_wrong(s, m);
            if (m->slot != SLAB_NONE) /* a peeked one may be gone, and its segment written anew */
                corrupt++;
            continue;
        }
        size += stage_draw_message(s, out + size, m, &f);
        n++;
    }
    if (corrupt > 0)
        mark(rotten_body_left_out);
    s->counters.corrupt_bodies += corrupt;
    if (d->op == OP_TAKE && n == 0)
        return corrupt > 0 ? stage_draw_damaged(s, d, out) : reply_status(out, d->op, d->number, LEAT_LEASE_LOST);
    if (d->op == OP_TAKE)
        s->counters.delivered += n;
    frame_op_encode(out, d->op, LEAT_OK, n, size - FRAME_OP_HEADER, d->number);
    return size;
}

/* The drawing is complete: its answer waits in the place from now on. */
static void stage_draw_finish(struct shard *s, struct draw *d)
{
    struct desk_place *p = desk_place(&s->desk, d->place);
    p->bytes = d->answer;
    p->bytes_room = d->answer_size;
    p->bytes_size = stage_draw_build(s, d, p->bytes);
    p->bytes_sent = 0;
    d->answer = NULL;
    struct session *session = session_write(&s->sessions, d->session);
    must(session != NULL);
    uint64_t number = d->number, block = d->block;
    desk_settle(&s->desk, d->place, DESK_IDLE);
    stage_draw_free(s, d);
    stage_reply_ready(s, session, number, block);
}

unsigned stage_draw_step(struct shard *s)
{
    unsigned n = 0;
    uint64_t tag;
    enum leat_status status;
    if (s->draws_live == 0 && s->ahead.flying == 0) {
        ahead_idle(&s->ahead, &s->buffers, s->log_now);
        return 0;
    }
    bool served = true; /* all reads that somebody waits for have begun */
    while (journal_fetched(s->journal, &tag, &status)) {
        if (tag == PIECE_TAG)
            stage_draw_piece_arrived(s, status);
        else
            stage_draw_arrived(s, tag, status);
        n++;
    }
    if (s->piece->taken && !s->piece->reading)
        stage_draw_piece(s);
    for (unsigned i = 0; i < DRAWS && s->draws_live > 0; i++) {
        struct draw *d = &s->draws[i];
        if (!d->live)
            continue;
        n += stage_draw_read(s, d);
        served = served && (d->abandoned || d->next == d->count);
        if (d->abandoned && d->under_way == 0)
            stage_draw_free(s, d);
        else if (!d->abandoned && d->next == d->count && d->under_way == 0 && d->coming == 0)
            stage_draw_finish(s, d), n++;
    }
    if (served)
        n += ahead_step(&s->ahead, s->journal, &s->buffers);
    return n;
}

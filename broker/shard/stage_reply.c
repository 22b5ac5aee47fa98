/* stage_reply.c - answers leave: when their block is durable, and when the port has room.
 *
 * An answer is written straight into the port's memory from what the session has kept, or from the log for a take; only
 * what is larger than a frame, or was read from the disk, lies in a buffer of its own first and leaves in fragments. An
 * answer that finds no room waits in SENDING, and the others go past it. An answer whose client has gone is given up:
 * it stays kept, and the client asks for it when it is back. */
#include "stages.h"

#include "hash.h"
#include "mark.h"

enum { REPLY_TRIES = 64 };
#define REPLY_PATIENCE_NS 10000000000ull

static void stage_reply_free(struct shard *s, struct desk_place *p)
{
    buffers_give(&s->buffers, p->bytes, p->bytes_room);
    p->bytes = NULL;
}

void stage_reply_drop(struct shard *s, uint32_t index)
{
    struct desk_place *p = desk_place(&s->desk, index);
    if (p->state == DESK_DRAWING)
        stage_draw_abandon(s, index);
    else if (p->state == DESK_BACKUP)
        stage_backup_abandon(s, index);
    desk_settle(&s->desk, index, DESK_IDLE);
    stage_reply_free(s, p);
}

/* Room for one frame with an operation of `size` bytes; stage_reply_send() sends it. */
static uint8_t *stage_reply_frame(struct shard *s, uint8_t transport, uint32_t peer, uint32_t handle, uint32_t size)
{
    struct transport *t = s->transports[transport];
    uint8_t *frame = t->ops->reserve(t, peer, FRAME_HEADER + size);
    if (!frame)
        return NULL;
    frame_begin(frame, (uint8_t)(FRAME_REPLY | t->frame_flags), handle);
    return frame;
}

static void stage_reply_commit(struct shard *s, uint8_t transport, uint32_t peer, uint8_t *frame, uint32_t size)
{
    struct transport *t = s->transports[transport];
    frame_end(frame, FRAME_HEADER + size);
    t->ops->commit(t, peer, FRAME_HEADER + size);
}

bool stage_reply_small(struct shard *s, uint8_t transport, uint32_t peer, uint32_t handle, const uint8_t *op,
                       uint32_t size)
{
    uint8_t *frame = stage_reply_frame(s, transport, peer, handle, size);
    if (!frame)
        return false;
    memcpy(frame + FRAME_HEADER, op, size);
    stage_reply_commit(s, transport, peer, frame, size);
    return true;
}

void stage_reply_status(struct shard *s, uint8_t transport, uint32_t peer, uint32_t handle, uint8_t op, uint64_t number,
                        enum leat_status status)
{
    uint8_t bytes[FRAME_OP_HEADER];
    reply_status(bytes, op, number, status);
    stage_reply_small(s, transport, peer, handle, bytes, sizeof bytes);
}

/* An answer that is asked for again may have become another one: what was only read is read anew, and a take whose
 * leases a crash took is given others. Pieces of two such answers must not be put together. A take that is drawn again
 * with the same leases differs in the time that they have left alone, and its pieces do fit: the mark is of the
 * receipts. */
static uint16_t stage_reply_mark(const struct desk_place *p)
{
    if (p->bytes[0] != OP_TAKE)
        return (uint16_t)hash_bytes(p->bytes, p->bytes_size);
    struct frame_op op;
    struct reply_message m;
    uint64_t hash = 0;
    must(frame_op_decode(&op, p->bytes, p->bytes_size) == LEAT_OK);
    for (uint32_t offset = 0; reply_next_message(&op, &offset, &m);)
        hash = hash * 31 + hash_bytes(m.receipt, RECEIPT_BYTES);
    return (uint16_t)(hash >> 16);
}

/* One more piece of an operation that is larger than a frame. */
static bool stage_reply_piece(struct shard *s, const struct desk_session *ds, uint32_t handle, struct desk_place *p)
{
    uint32_t most = (ds->frame_max - FRAME_HEADER - FRAME_FRAGMENT_HEADER) & ~7u;
    uint32_t left = p->bytes_size - p->bytes_sent, size = left < most ? left : most;
    uint8_t *frame = stage_reply_frame(s, ds->transport, ds->peer, handle, FRAME_FRAGMENT_HEADER + size);
    if (!frame)
        return false;
    frame[3] |= FRAME_FRAGMENT;
    if (p->bytes_sent == 0)
        p->answer = stage_reply_mark(p);
    frame_fragment_encode(frame + FRAME_HEADER, p->number, p->bytes_sent, p->bytes_size);
    frame_fragment_mark(frame + FRAME_HEADER, p->answer);
    memcpy(frame + FRAME_HEADER + FRAME_FRAGMENT_HEADER, p->bytes + p->bytes_sent, size);
    stage_reply_commit(s, ds->transport, ds->peer, frame, FRAME_FRAGMENT_HEADER + size);
    p->bytes_sent += size;
    return true;
}

static bool stage_reply_bytes(struct shard *s, const struct desk_session *ds, uint32_t handle, struct desk_place *p)
{
    if (p->bytes_size + FRAME_HEADER <= ds->frame_max) {
        if (!stage_reply_small(s, ds->transport, ds->peer, handle, p->bytes, p->bytes_size))
            return false;
    } else {
        mark(reply_in_fragments);
        while (p->bytes_sent < p->bytes_size)
            if (!stage_reply_piece(s, ds, handle, p))
                return false;
    }
    stage_reply_free(s, p);
    return true;
}

static bool stage_reply_runs(struct shard *s, const struct desk_session *ds, uint32_t handle,
                             const struct session_slot *kept)
{
    struct reply_run runs[RUNS_MAX];
    memcpy(runs, kept->runs, sizeof runs);
#if LEAT_BUG == 29
    if (kept->runs_count > 1) {
        runs[0].count--;
        runs[1].count++;
    }
#endif
    uint32_t size = FRAME_OP_HEADER + kept->runs_count * (uint32_t)REPLY_RUN_BYTES;
    uint8_t *frame = stage_reply_frame(s, ds->transport, ds->peer, handle, size);
    if (!frame)
        return false;
    reply_runs(frame + FRAME_HEADER, kept->op, kept->number, runs, kept->runs_count);
    stage_reply_commit(s, ds->transport, ds->peer, frame, size);
    return true;
}

/* The queue that was created, if it is still there. */
static bool stage_reply_created(struct shard *s, const struct desk_session *ds, uint32_t handle,
                                const struct session_slot *kept)
{
    uint8_t op[REPLY_FIXED_MAX];
    struct queue_ref ref = {(uint32_t)(kept->runs[0].lsn.n - 1), kept->runs[0].epoch};
    uint32_t size;
    if (engine_queue(&s->engine, ref)) {
        struct reply_stat stat;
        engine_stat(&s->engine, ref.number, s->log_now, &stat);
        size = reply_stat(op, OP_QUEUE_CREATE, kept->number, &stat);
    } else {
        size = reply_status(op, OP_QUEUE_CREATE, kept->number, LEAT_NO_QUEUE);
    }
    return stage_reply_small(s, ds->transport, ds->peer, handle, op, size);
}

static bool stage_reply_take(struct shard *s, const struct desk_session *ds, uint32_t handle, uint32_t index,
                             const struct session_slot *kept)
{
    struct desk_place *p = desk_place(&s->desk, index);
    uint16_t leased = kept->runs_count > 0 ? kept->runs[0].count : 0;
    unsigned n = stage_draw_take(s, p, leased, s->messages);
    if (n == 0) {
        mark(lease_lost);
        uint8_t op[FRAME_OP_HEADER];
        reply_status(op, OP_TAKE, kept->number, LEAT_LEASE_LOST);
        return stage_reply_small(s, ds->transport, ds->peer, handle, op, sizeof op);
    }
    uint32_t size = stage_draw_hot(s, s->messages, n);
    if (size == 0)
        return stage_draw_start(s, handle, kept->number, index, OP_TAKE, s->messages, n, 0);
    if (size + FRAME_HEADER <= ds->frame_max) {
        uint8_t *frame = stage_reply_frame(s, ds->transport, ds->peer, handle, size);
        if (!frame)
            return false;
        stage_draw_write(s, frame + FRAME_HEADER, OP_TAKE, kept->number, s->messages, n);
        stage_reply_commit(s, ds->transport, ds->peer, frame, size);
    } else {
        p->bytes = buffers_take(&s->buffers, size);
        if (!p->bytes)
            return false;
        p->bytes_size = p->bytes_room = size;
        p->bytes_sent = 0;
        stage_draw_write(s, p->bytes, OP_TAKE, kept->number, s->messages, n);
        s->counters.delivered += n;
        return stage_reply_bytes(s, ds, handle, p);
    }
    s->counters.delivered += n;
    return true;
}

static bool stage_reply_write(struct shard *s, const struct session *session, uint32_t index)
{
    struct desk_place *p = desk_place(&s->desk, index);
    const struct desk_session *ds = desk_session(&s->desk, session->handle);
    if (p->bytes)
        return stage_reply_bytes(s, ds, session->handle, p);
    const struct session_slot *kept = session_kept(session, p->number);
    if (kept->status != LEAT_OK || kept->op == OP_QUEUE_DROP) { /* a status says it all */
        uint8_t op[FRAME_OP_HEADER];
        reply_status(op, kept->op, kept->number, kept->status);
        return stage_reply_small(s, ds->transport, ds->peer, session->handle, op, sizeof op);
    }
    switch (kept->op) {
    case OP_TAKE:
        return stage_reply_take(s, ds, session->handle, index, kept);
    case OP_QUEUE_CREATE:
        return stage_reply_created(s, ds, session->handle, kept);
    default:
        return stage_reply_runs(s, ds, session->handle, kept);
    }
}

/* A client that does not read while its answers hold memory: when that runs short, it loses its connection, and the
 * answers wait for it where they are kept. */
static void stage_reply_stuck(struct shard *s, struct desk_session *ds, const struct desk_place *p)
{
    if (ds->stuck.ns == 0)
        ds->stuck = s->log_now;
    if (!p->bytes || s->buffers.used < s->buffers.max / 2 ||
        instant_since(s->log_now, ds->stuck).ns < REPLY_PATIENCE_NS)
        return;
    mark(stuck_reader_hung_up);
    s->transports[ds->transport]->ops->hang_up(s->transports[ds->transport], ds->peer);
    ds->stuck = s->log_now;
}

/* Tries to send the answer of a place that is ready. False: it waits for room. */
static bool stage_reply_try(struct shard *s, const struct session *session, uint32_t index)
{
    struct desk_place *p = desk_place(&s->desk, index);
    if (!desk_session(&s->desk, session->handle)->attached) {
        stage_reply_drop(s, index);
        return true;
    }
    if (stage_reply_write(s, session, index)) {
        desk_session(&s->desk, session->handle)->stuck = INSTANT_ZERO;
        if (p->state != DESK_DRAWING)
            desk_settle(&s->desk, index, DESK_IDLE);
        return true;
    }
    desk_settle(&s->desk, index, DESK_SENDING);
    desk_list_add(&s->desk, &s->desk.sending, index);
    mark(reply_without_room);
    stage_reply_stuck(s, desk_session(&s->desk, session->handle), p);
    return false;
}

void stage_reply_ready(struct shard *s, struct session *session, uint64_t number, uint64_t block)
{
    uint32_t index = desk_index(&s->desk, session->handle, number, session->window);
    struct desk_place *p = desk_place(&s->desk, index);
    if (p->number == number && p->state != DESK_IDLE)
        return; /* it waits already */
    if (p->number != number)
        p->leases = UINT64_MAX; /* answered before a restart, and the log behind the image does not tell with what */
    p->number = number;
    uint64_t durable = replica_watermarks(s->replica).durable;
#if LEAT_BUG == 1
    block = 0;
#elif LEAT_BUG == 35
    durable++;
#endif
    if (block <= durable) {
        stage_reply_try(s, session, index);
        return;
    }
    must(block - s->released < DESK_HELD_LISTS);
    p->block = block;
    desk_settle(&s->desk, index, DESK_HELD);
    desk_list_add(&s->desk, &s->desk.held[block % DESK_HELD_LISTS], index);
}

static const struct session *stage_reply_session(const struct shard *s, uint32_t index)
{
    return slab_at(&s->sessions.sessions, index / s->desk.window_max);
}

static uint32_t stage_reply_room(const struct shard *s)
{
    uint32_t room = 0;
    for (unsigned i = 0; i < s->transport_count; i++)
        room += s->transports[i]->room;
    return room;
}

bool stage_reply_stand(const struct shard *s)
{
    return s->desk.sending_count == 0 ||
           (s->sending_tried >= s->desk.sending_count && s->sending_room == stage_reply_room(s));
}

/* Some of those that found no room, in turn. */
static unsigned stage_reply_again(struct shard *s)
{
    unsigned n = 0;
    uint32_t room = stage_reply_room(s);
    if (s->sending_room != room)
        s->sending_tried = 0;
    s->sending_room = room;
    uint32_t tries = s->desk.sending_count < REPLY_TRIES ? s->desk.sending_count : REPLY_TRIES;
    for (; tries > 0 && s->desk.sending.first != 0; tries--, s->sending_tried++) {
        uint32_t index = desk_list_first(&s->desk.sending);
        desk_settle(&s->desk, index, DESK_IDLE);
        n += stage_reply_try(s, stage_reply_session(s, index), index);
    }
    return n;
}

unsigned stage_reply_release(struct shard *s)
{
    unsigned n = 0;
    uint64_t durable = replica_watermarks(s->replica).durable;
#if LEAT_BUG == 35
    durable++;
#endif
    while (s->released < durable) {
        struct desk_list *list = &s->desk.held[++s->released % DESK_HELD_LISTS];
        while (list->first != 0) {
            uint32_t index = desk_list_first(list);
            must(desk_place(&s->desk, index)->block <= s->released);
            desk_settle(&s->desk, index, DESK_IDLE);
            n += stage_reply_try(s, stage_reply_session(s, index), index);
        }
    }
    n += stage_reply_again(s);
    stage_session_release(s);
    return n;
}

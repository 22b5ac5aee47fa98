/* stage_take.c - who gets the next message: takes as they come, and those that wait in a queue's line.
 *
 * A take that finds nothing and may wait is parked: its client is told so once, and its place joins the line of the
 * queue. When messages become ready the queue is `wanted`, and the same iteration serves its line, oldest wait first.
 * A parked take belongs to its session: while the client is away it stands in no line, so that no message is leased to
 * nobody; when the client is back, it joins again.
 *
 * An answer holds as many messages as fit in REPLY_MAX, but always one; the rest stays ready. */
#include "stages.h"

#include "mark.h"

/* The next message's size in an answer, and the block that must be durable before anybody may see it. */
static void stage_take_next(const struct shard *s, const struct queue *q, uint32_t *size, uint64_t *block)
{
    struct lsn lsn;
    struct message_where where;
    uint8_t durability;
    uint64_t moved = 0;
    if (q->ready.heap != SLAB_NONE) {
        const struct message *m = engine_message_at(&s->engine, q->ready.heap);
        lsn = m->lsn;
        where = m->where;
        durability = m->durability;
        moved = q->moved_block;
    } else {
        struct ready_entry entry;
        must(ready_first(&q->ready, &s->engine.chunks, &entry));
        lsn = entry.lsn;
        where = entry.where;
        durability = entry.durability;
    }
    *size = REPLY_MESSAGE_HEADER + where.size8 * 8;
    *block = durability != CLASS_DISK ? 0 : lsn_block(lsn) > moved ? lsn_block(lsn) : moved;
}

struct stage_lease {
    struct session *session;
    uint64_t number;
    struct queue_ref queue;
    struct duration lease;
    uint32_t bytes; /* of the answer so far */
    uint16_t entry;
};

/* Leases one more message for this take. LEAT_EMPTY: there is none. LEAT_TOO_LARGE: it does not fit in this answer. */
static enum leat_status stage_take_lease(struct shard *s, struct stage_lease *l)
{
    struct fact f;
    enum leat_status status = plan_take(&s->engine, &s->limits, l->queue, l->lease, s->log_now, &f);
    if (status != LEAT_OK)
        return status;
    uint32_t size;
    uint64_t block;
    stage_take_next(s, engine_queue(&s->engine, l->queue), &size, &block);
    if (l->entry > 0 && l->bytes + size > REPLY_MAX) {
        mark(take_cut);
        return LEAT_TOO_LARGE;
    }
    f.session = l->session->handle;
    f.number = l->number;
    f.entry = l->entry;
    status = stage_request_log(s, &f, JOURNAL_TAKE, false);
    if (status != LEAT_OK)
        return status;
    uint64_t position = leases_add(&s->leases, f.leased.slot, f.leased.generation);
    if (l->entry == 0)
        desk_place(&s->desk, desk_index(&s->desk, l->session->handle, l->number, l->session->window))->leases =
            position;
    session_note(l->session, l->number, OP_TAKE, l->entry, LEAT_OK, 0, LSN_NONE, block);
    l->bytes += size;
    l->entry++;
    return LEAT_OK;
}

void stage_take_want(struct shard *s, uint32_t queue)
{
    if (s->is_wanted[queue] || desk_line(&s->desk, queue)->first == 0)
        return;
    s->is_wanted[queue] = 1;
    s->wanted[s->wanted_count++] = queue;
}

static void stage_take_finish(struct shard *s, struct session *session, uint64_t number, enum leat_status status)
{
    session_finish(session, number, status);
    uint64_t reveals = session_kept(session, number)->reveals;
    stage_reply_ready(s, session, number, status == LEAT_NO_QUEUE ? s->waited : reveals); /* it may tell of a drop */
}

static void stage_take_tell_parked(struct shard *s, const struct session *session, uint64_t number)
{
    const struct desk_session *ds = desk_session(&s->desk, session->handle);
    if (ds->attached)
        stage_reply_status(s, ds->transport, ds->peer, session->handle, OP_TAKE, number, LEAT_PARKED);
}

static void stage_take_park(struct shard *s, struct session *session, const struct request *r)
{
    uint32_t index = desk_index(&s->desk, session->handle, r->number, session->window);
    struct desk_place *p = desk_place(&s->desk, index);
    desk_settle(&s->desk, index, DESK_PARKED);
    p->max = r->max;
    p->queue = r->queue;
    p->lease = r->time;
    p->until = instant_add(s->log_now, r->wait);
    wheel_arm(&s->desk.wheel, index, p->until);
    if (desk_session(&s->desk, session->handle)->attached)
        desk_list_add(&s->desk, desk_line(&s->desk, r->queue.number), index);
    stage_take_tell_parked(s, session, r->number);
    mark(take_parked);
}

bool stage_take_run(struct shard *s)
{
    struct stage_batch *b = &s->batch;
    struct session *session = session_write(&s->sessions, b->session);
    struct stage_lease l = {session, b->r.number, b->r.queue, b->r.time, b->offset, b->entry};
    enum leat_status status = LEAT_OK;
    if (b->r.wait.ns > s->config.wait_max.ns)
        status = LEAT_BAD_VALUE;
    else if (b->entry > 0 && b->offset == 0)
        mark(take_found_its_leases); /* leased before a crash: that is the answer */
    else
        while (status == LEAT_OK && l.entry < b->r.max)
            status = stage_take_lease(s, &l);
    b->entry = l.entry;
    b->offset = l.bytes;
    if (status == LEAT_OVERLOADED && l.entry == 0)
        return false;
    b->running = false;
    buffers_give(&s->buffers, b->owned, b->owned_size);
    b->owned = NULL;
    if (status == LEAT_EMPTY && l.entry == 0 && b->r.wait.ns > 0 && !s->stopping) {
        stage_take_park(s, session, &b->r);
        return true;
    }
    if (l.entry > 0)
        status = LEAT_OK;
    s->counters.refused += status != LEAT_OK && status != LEAT_EMPTY;
    stage_take_finish(s, session, b->r.number, status);
    return true;
}

/* The session whose request stands in this place. */
static struct session *stage_take_session(struct shard *s, uint32_t index)
{
    return slab_write(&s->sessions.sessions, index / s->desk.window_max);
}

/* Serves the first of a line. False: the log has no room now. */
static bool stage_take_serve(struct shard *s, uint32_t index)
{
    struct desk_place *p = desk_place(&s->desk, index);
    struct session *session = stage_take_session(s, index);
#if LEAT_BUG != 33
    must(session->live);
    must(session_kept(session, p->number)->answered == 0);
#endif
    struct stage_lease l = {session, p->number, p->queue, p->lease, 0, 0};
    enum leat_status status = LEAT_OK;
    while (status == LEAT_OK && l.entry < p->max)
        status = stage_take_lease(s, &l);
    if (l.entry == 0 && status == LEAT_OVERLOADED)
        return false;
    if (l.entry == 0 && status == LEAT_EMPTY)
        return true;
    desk_settle(&s->desk, index, DESK_IDLE);
    mark(parked_take_served);
    stage_take_finish(s, session, p->number, l.entry > 0 ? LEAT_OK : status);
    return true;
}

unsigned stage_take_match(struct shard *s)
{
    unsigned n = 0;
    while (s->wanted_count > 0) {
#if LEAT_BUG == 34
        uint32_t *some = &s->wanted[((uintptr_t)s->scratch >> 12) % s->wanted_count], last = s->wanted_count - 1;
        uint32_t swap = *some;
        *some = s->wanted[last], s->wanted[last] = swap;
#endif
        uint32_t queue = s->wanted[s->wanted_count - 1];
        const struct desk_list *line = desk_line(&s->desk, queue);
        const struct queue *q = engine_queue_at(&s->engine, queue);
        while (line->first != 0 && q->state == QUEUE_LIVE && q->counters.ready > 0) {
            if (!stage_take_serve(s, desk_list_first(line)))
                return n;
            n++;
        }
        s->is_wanted[queue] = 0;
        s->wanted_count--;
    }
    return n;
}

void stage_take_timeout(struct shard *s, uint32_t index)
{
    struct desk_place *p = desk_place(&s->desk, index);
    if (p->state != DESK_PARKED)
        return;
    if (p->until.ns > s->log_now.ns) {
        wheel_arm(&s->desk.wheel, index, p->until);
        return;
    }
    desk_settle(&s->desk, index, DESK_IDLE);
    mark(parked_take_timed_out);
    stage_take_finish(s, stage_take_session(s, index), p->number, LEAT_EMPTY);
}

void stage_take_no_queue(struct shard *s, uint32_t queue)
{
    const struct desk_list *line = desk_line(&s->desk, queue);
    while (line->first != 0) {
        uint32_t index = desk_list_first(line);
        desk_settle(&s->desk, index, DESK_IDLE);
        mark(parked_take_lost_its_queue);
        stage_take_finish(s, stage_take_session(s, index), desk_place(&s->desk, index)->number, LEAT_NO_QUEUE);
    }
}

void stage_take_away(struct shard *s, struct session *session)
{
    for (uint32_t i = 0; i < session->window; i++) {
        uint32_t index = desk_index(&s->desk, session->handle, i, session->window);
        if (desk_place(&s->desk, index)->state == DESK_PARKED)
            desk_list_remove(&s->desk, index);
    }
}

/* The session's parked takes join their lines again, in the order of their numbers. */
void stage_take_resumed(struct shard *s, struct session *session)
{
    uint64_t newest = session->next;
    for (uint64_t number = newest > session->window ? newest - session->window : 1; number < newest; number++) {
        uint32_t index = desk_index(&s->desk, session->handle, number, session->window);
        struct desk_place *p = desk_place(&s->desk, index);
        if (p->state != DESK_PARKED || p->number != number || p->list)
            continue;
        if (!engine_queue(&s->engine, p->queue)) {
            desk_settle(&s->desk, index, DESK_IDLE);
            stage_take_finish(s, session, number, LEAT_NO_QUEUE);
            continue;
        }
        desk_list_add(&s->desk, desk_line(&s->desk, p->queue.number), index);
        stage_take_want(s, p->queue.number);
        mark(parked_take_resumed);
    }
}

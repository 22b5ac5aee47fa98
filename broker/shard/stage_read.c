/* stage_read.c - stat, list, peek and backups: nothing is logged, nothing changes. The answer tells of the state as it
 * is now, so it waits until all that others wait for is durable; nobody sees what could still vanish. */
#include "stages.h"

#include "mark.h"
#include "peek.h"

/* The whole operation in scratch waits in the request's place. */
static enum leat_status stage_read_keep(struct shard *s, struct desk_place *p, uint32_t size)
{
    p->bytes = buffers_take(&s->buffers, size);
    if (!p->bytes)
        return LEAT_OVERLOADED;
    memcpy(p->bytes, s->scratch, size);
    p->bytes_size = p->bytes_room = size;
    p->bytes_sent = 0;
    return LEAT_OK;
}

static void stage_read_stat_of(const struct shard *s, uint32_t number, struct reply_stat *stat)
{
    engine_stat(&s->engine, number, s->log_now, stat);
    stat->parked = desk_line(&s->desk, number)->count;
}

static enum leat_status stage_read_stat(struct shard *s, const struct request *r, struct desk_place *p)
{
    uint32_t number = engine_find(&s->engine, &r->name);
    if (number == SLAB_NONE)
        return LEAT_NO_QUEUE;
    struct reply_stat stat;
    stage_read_stat_of(s, number, &stat);
    return stage_read_keep(s, p, reply_stat(s->scratch, OP_QUEUE_STAT, r->number, &stat));
}

static int stage_read_order(const struct shard *s, uint32_t a, uint32_t b)
{
    const struct name *x = &engine_queue_at(&s->engine, a)->name, *y = &engine_queue_at(&s->engine, b)->name;
    int c = memcmp(x->text, y->text, x->size < y->size ? x->size : y->size);
    return c != 0 ? c : (int)x->size - (int)y->size;
}

/* Keeps the `max` first names in `list`, in order. */
static void stage_read_insert(const struct shard *s, uint32_t *list, unsigned *n, unsigned max, uint32_t number)
{
    if (*n == max && stage_read_order(s, list[*n - 1], number) <= 0)
        return;
    unsigned low = 0, high = *n == max ? --*n : *n;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (stage_read_order(s, list[middle], number) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    memmove(list + low + 1, list + low, (*n - low) * sizeof *list);
    list[low] = number;
    (*n)++;
}

static bool stage_read_after(const struct shard *s, uint32_t number, const struct name *after)
{
    const struct name *name = &engine_queue_at(&s->engine, number)->name;
    int c = memcmp(name->text, after->text, name->size < after->size ? name->size : after->size);
    return c != 0 ? c > 0 : name->size > after->size;
}

static enum leat_status stage_read_list(struct shard *s, const struct request *r, struct desk_place *p)
{
    uint32_t list[BATCH_MAX];
    unsigned n = 0;
    for (uint32_t i = 0; i < s->engine.queues.used; i++)
        if (engine_queue_at(&s->engine, i)->state == QUEUE_LIVE && stage_read_after(s, i, &r->name))
            stage_read_insert(s, list, &n, r->max, i);
    s->in.looks += s->engine.queues.used;
    uint32_t size = FRAME_OP_HEADER;
    for (unsigned i = 0; i < n; i++) {
        struct reply_stat stat;
        stage_read_stat_of(s, list[i], &stat);
        size += reply_add_stat(s->scratch + size, &stat);
    }
    frame_op_encode(s->scratch, OP_QUEUE_LIST, LEAT_OK, (uint16_t)n, size - FRAME_OP_HEADER, r->number);
    return stage_read_keep(s, p, size);
}

/* Looks at messages; those whose bodies are cold make the answer wait for the disk. */
static enum leat_status stage_read_peek(struct shard *s, struct session *session, const struct request *r,
                                        uint32_t index, bool *drawing)
{
    if (!engine_queue(&s->engine, r->queue))
        return LEAT_NO_QUEUE;
    struct peek_message seen[BATCH_MAX];
    struct draw_message *messages = s->messages;
    unsigned n = 0, found = peek_queue(&s->engine, r->queue.number, seen, r->max);
    s->in.looks += found;
    for (uint32_t bytes = 0; n < found; n++) {
        bytes += REPLY_MESSAGE_HEADER + seen[n].where.size8 * 8;
        if (n > 0 && bytes > REPLY_MAX)
            break;
        messages[n] = (struct draw_message){.lsn = seen[n].lsn,
                                            .where = seen[n].where,
                                            .slot = SLAB_NONE,
                                            .attempts = seen[n].attempts,
                                            .state = seen[n].state};
    }
    if (stage_draw_hot(s, messages, n) == 0) {
        *drawing = true;
        return stage_draw_start(s, session->handle, r->number, index, OP_PEEK, messages, n, s->waited)
                   ? LEAT_OK
                   : LEAT_OVERLOADED;
    }
    uint32_t size = stage_draw_write(s, s->scratch, OP_PEEK, r->number, messages, n);
    return stage_read_keep(s, desk_place(&s->desk, index), size);
}

/* `later`: the answer waits for the disk. */
static enum leat_status stage_read_answer(struct shard *s, struct session *session, const struct request *r,
                                          uint32_t index, bool first, bool *later)
{
    struct desk_place *p = desk_place(&s->desk, index);
    switch (r->op) {
    case OP_PEEK:
        return stage_read_peek(s, session, r, index, later);
    case OP_QUEUE_STAT:
        return stage_read_stat(s, r, p);
    case OP_QUEUE_LIST:
        return stage_read_list(s, r, p);
    default:
        *later = r->op != OP_BACKUP_END;
        return stage_backup_ask(s, session, r, index, first);
    }
}

void stage_read_run(struct shard *s, struct session *session, const struct request *r, bool first)
{
    uint32_t index = desk_index(&s->desk, session->handle, r->number, session->window);
    struct desk_place *p = desk_place(&s->desk, index);
    if (!first && p->number == r->number && p->state != DESK_IDLE)
        return; /* the first answer is still on its way */
    if (first)
        session_begin(session, r->number, r->op);
    stage_reply_drop(s, index);
    p->number = r->number;
    p->again = p->again && !first;
    p->op = r->op;
    s->counters.requests[r->op & 63]++;
    bool later = false;
    enum leat_status status = stage_read_answer(s, session, r, index, first, &later);
    if (first)
        session_finish(session, r->number, status);
    if (status != LEAT_OK) {
        s->counters.refused++;
        reply_status(s->scratch, r->op, r->number, status);
        if (!first && stage_read_keep(s, p, FRAME_OP_HEADER) != LEAT_OK)
            return;
    }
    if (!later || status != LEAT_OK)
        stage_reply_ready(s, session, r->number, s->waited);
}

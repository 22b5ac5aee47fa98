/* fake_broker.c - requests executed on arrays. */
#include "fake_broker.h"

#include <stdlib.h>
#include <string.h>

#include "crc32c.h"
#include "frame.h"
#include "must.h"

enum { OUT_ROOM = 32 << 20, BIG = 2 << 20 };

void fake_broker_open(struct fake_broker *b)
{
    memset(b, 0, sizeof *b);
    b->window = WINDOW_MAX;
    b->frame_max = FRAME_MAX;
    b->out_room = OUT_ROOM;
    b->out = malloc(OUT_ROOM);
    b->assembling = malloc(REQUEST_MAX);
    b->executed = calloc(FAKE_NUMBERS, 1);
    must(b->out && b->assembling && b->executed);
    must(session_open_table(&b->sessions, 16) == LEAT_OK);
}

static void forget_replies(struct fake_broker *b)
{
    for (unsigned i = 0; i < WINDOW_MAX; i++) {
        free(b->kept[i].bytes);
        b->kept[i].bytes = NULL;
    }
}

void fake_broker_close(struct fake_broker *b)
{
    forget_replies(b);
    for (unsigned q = 0; q < FAKE_QUEUES; q++) {
        for (unsigned i = 0; i < b->queues[q].count; i++)
            free(b->queues[q].messages[i].body);
        free(b->queues[q].messages);
    }
    free(b->out);
    free(b->assembling);
    free(b->executed);
    session_close_table(&b->sessions);
}

void fake_broker_say(struct fake_broker *b, const void *frame, size_t size)
{
    must(b->out_size + size <= b->out_room);
    memcpy(b->out + b->out_size, frame, size);
    b->out_size += size;
}

void fake_broker_sent(struct fake_broker *b, size_t size)
{
    must(size <= b->out_size);
    memmove(b->out, b->out + size, b->out_size - size);
    b->out_size -= size;
}

/* One operation leaves: in a frame, or in pieces. */
static void answer(struct fake_broker *b, const uint8_t *op, uint32_t size)
{
    if (b->mute)
        return;
    uint8_t frame[FRAME_MAX];
    if (size <= b->frame_max - FRAME_HEADER) {
        frame_begin(frame, FRAME_REPLY, b->session);
        memcpy(frame + FRAME_HEADER, op, size);
        frame_end(frame, FRAME_HEADER + size);
        fake_broker_say(b, frame, FRAME_HEADER + size);
        return;
    }
    struct frame_op head;
    must(frame_op_decode(&head, op, size) == LEAT_OK);
    uint32_t room = (b->frame_max - FRAME_HEADER - FRAME_FRAGMENT_HEADER) & ~7u;
    for (uint32_t at = 0; at < size; at += room) {
        uint32_t n = size - at < room ? size - at : room;
        frame_begin(frame, FRAME_REPLY | FRAME_FRAGMENT, b->session);
        frame_fragment_encode(frame + FRAME_HEADER, head.number, at, size);
        memcpy(frame + FRAME_HEADER + FRAME_FRAGMENT_HEADER, op + at, n);
        frame_end(frame, FRAME_HEADER + FRAME_FRAGMENT_HEADER + n);
        fake_broker_say(b, frame, FRAME_HEADER + FRAME_FRAGMENT_HEADER + n);
    }
}

static void answer_status(struct fake_broker *b, uint8_t op, uint64_t number, enum leat_status status)
{
    uint8_t bytes[FRAME_OP_HEADER];
    answer(b, bytes, reply_status(bytes, op, number, status));
}

/* Kept, to be said again, and said. */
static void finish(struct fake_broker *b, struct session *s, uint64_t number, const uint8_t *op, uint32_t size)
{
    session_finish(s, number, LEAT_OK);
    unsigned i = (unsigned)(number % s->window);
    free(b->kept[i].bytes);
    b->kept[i].bytes = malloc(size);
    must(b->kept[i].bytes != NULL);
    memcpy(b->kept[i].bytes, op, size);
    b->kept[i].size = size;
    answer(b, op, size);
}

struct fake_queue *fake_broker_queue(struct fake_broker *b, const char *name)
{
    struct name wanted;
    must(name_set(&wanted, name, strlen(name)));
    for (unsigned i = 0; i < FAKE_QUEUES; i++)
        if (b->queues[i].live && name_equal(&b->queues[i].name, &wanted))
            return &b->queues[i];
    for (unsigned i = 0; i < FAKE_QUEUES; i++) {
        struct fake_queue *q = &b->queues[i];
        if (q->live)
            continue;
        q->live = true;
        q->name = wanted;
        q->ref = (struct queue_ref){i, ++b->incarnations};
        if (!q->messages)
            q->messages = calloc(FAKE_MESSAGES, sizeof *q->messages);
        must(q->messages != NULL);
        return q;
    }
    must(false); /* there is none free */
    return NULL;
}

void fake_broker_remake(struct fake_broker *b, const char *name)
{
    fake_broker_queue(b, name)->ref.incarnation = ++b->incarnations;
}

static struct fake_queue *find(struct fake_broker *b, const struct request *r)
{
    for (unsigned i = 0; i < FAKE_QUEUES; i++) {
        struct fake_queue *q = &b->queues[i];
        bool named = r->name.size ? name_equal(&q->name, &r->name)
                                  : q->ref.number == r->queue.number && q->ref.incarnation == r->queue.incarnation;
        if (q->live && named)
            return q;
    }
    return NULL;
}

static void stat_of(const struct fake_queue *q, struct reply_stat *stat)
{
    *stat = (struct reply_stat){.queue = q->ref, .name = q->name};
    for (unsigned i = 0; i < q->count; i++) {
        stat->ready += !q->messages[i].leased && !q->messages[i].acked;
        stat->leased += q->messages[i].leased;
    }
    stat->puts = q->count;
}

static uint32_t take(bool rotten, struct fake_queue *q, const struct request *r, uint8_t *out)
{
    uint32_t size = FRAME_OP_HEADER;
    uint16_t n = 0;
    for (unsigned i = 0; i < q->count && n < r->max; i++) {
        struct fake_message *m = &q->messages[i];
        if (m->leased || m->acked || size + m->size + 200 > REPLY_MAX + 65536)
            continue;
        struct receipt receipt = {.id = {.epoch = 1, .lsn = {i + 1}}, .slot = i, .generation = m->attempts + 1};
        struct reply_message out_message = {.attempts = m->attempts + 1,
                                            .body = m->body,
                                            .body_size = m->size,
                                            .body_crc = crc32c(0, m->body, m->size)};
        if (rotten) {
            out_message = (struct reply_message){.attempts = m->attempts + 1};
            receipt.id.epoch = n % 2 ? 0 : 1;
        }
        receipt_encode(out_message.receipt, &receipt);
        size += reply_add_message(out + size, &out_message);
        n++;
        if (r->op == OP_TAKE) {
            m->leased = true;
            m->attempts++;
        }
    }
    enum leat_status status = n == 0 && r->op == OP_TAKE ? LEAT_EMPTY : rotten ? LEAT_CORRUPT : LEAT_OK;
    frame_op_encode(out, r->op, (uint8_t)status, n, size - FRAME_OP_HEADER, r->number);
    return size;
}

static enum leat_status find_leased(struct fake_queue *q, const uint8_t *bytes, struct fake_message **found)
{
    struct receipt receipt;
    if (!receipt_decode(&receipt, bytes) || receipt.slot >= q->count)
        return LEAT_BAD_RECEIPT;
    struct fake_message *m = &q->messages[receipt.slot];
    if (!m->leased || m->attempts != receipt.generation)
        return LEAT_STALE_RECEIPT;
    *found = m;
    return LEAT_OK;
}

/* Entries one by one, like the real one: as far as four runs and the knob go. */
static void batch(struct fake_broker *b, struct session *s, struct fake_queue *q, const struct request *r)
{
    uint32_t offset = 0;
    for (uint16_t i = 0; i < r->count && (b->cut == 0 || i < b->cut); i++) {
        enum leat_status status = LEAT_OK;
        struct lsn lsn = LSN_NONE;
        struct request_put_entry put;
        const uint8_t *receipt;
        struct fake_message *leased = NULL;
        if (r->op == OP_PUT) {
            must(request_next_put(r, &offset, &put));
            must(q->count < FAKE_MESSAGES);
            must(crc32c(0, put.body, put.body_size) == put.body_crc);
            lsn.n = b->lsn + 1;
        } else {
            must(request_next_receipt(r, &offset, &receipt));
            status = find_leased(q, receipt, &leased);
        }
        if (!session_fits(s, r->number, status, lsn.n ? 1 : 0, lsn))
            break;
        session_note(s, r->number, r->op, i, status, lsn.n ? 1 : 0, lsn, 0);
        if (r->op != OP_PUT) {
            if (status == LEAT_OK) {
                leased->leased = r->op == OP_EXTEND;
                leased->acked = r->op == OP_ACK;
            }
            continue;
        }
        b->lsn++;
        struct fake_message *m = &q->messages[q->count++];
        *m = (struct fake_message){.body = malloc(put.body_size + 1), .size = put.body_size};
        must(m->body != NULL);
        if (put.body_size)
            memcpy(m->body, put.body, put.body_size);
    }
    const struct session_slot *slot = session_kept(s, r->number);
    uint8_t out[REPLY_FIXED_MAX];
    finish(b, s, r->number, out, reply_runs(out, r->op, r->number, slot->runs, slot->runs_count));
}

static void fill_parked(struct fake_broker *b, struct session *s)
{
    struct request r = {.op = OP_TAKE, .number = b->parked, .queue = b->parked_queue, .max = b->parked_max};
    struct fake_queue *q = find(b, &r);
    if (b->parked == 0 || !q)
        return;
    uint8_t *out = malloc(BIG);
    must(out != NULL);
    uint32_t size = take(b->rotten, q, &r, out);
    if (size > FRAME_OP_HEADER) {
        b->parked = 0;
        finish(b, s, r.number, out, size);
    }
    free(out);
}

static void queue_operation(struct fake_broker *b, struct session *s, const struct request *r)
{
    struct fake_queue *q = find(b, r);
    uint8_t *out = malloc(BIG);
    must(out != NULL);
    uint32_t size = reply_status(out, r->op, r->number, b->refuse != LEAT_OK ? b->refuse : LEAT_NO_QUEUE);
    struct reply_stat stat;
    if (b->refuse != LEAT_OK) {
        q = NULL;
    } else if (fake_backup_asked(r->op)) {
        size = fake_backup_answer(b->lie, r, out);
    } else if (r->op == OP_QUEUE_CREATE) {
        char name[NAME_MAX_BYTES + 1] = "";
        memcpy(name, r->name.text, r->name.size);
        stat_of(fake_broker_queue(b, name), &stat);
        size = reply_stat(out, r->op, r->number, &stat);
    } else if (r->op == OP_QUEUE_LIST) {
        size = FRAME_OP_HEADER;
        for (unsigned i = 0; i < FAKE_QUEUES; i++)
            if (b->queues[i].live) {
                stat_of(&b->queues[i], &stat);
                size += reply_add_stat(out + size, &stat);
            }
        frame_op_encode(out, r->op, LEAT_OK, 0, size - FRAME_OP_HEADER, r->number);
    } else if (q && r->op == OP_QUEUE_STAT) {
        stat_of(q, &stat);
        size = reply_stat(out, r->op, r->number, &stat);
    } else if (q && r->op == OP_QUEUE_DROP) {
        q->live = false;
        size = reply_status(out, r->op, r->number, LEAT_OK);
    } else if (q) {
        size = take(b->rotten && r->op == OP_TAKE, q, r, out);
        if (size == FRAME_OP_HEADER && r->op == OP_TAKE && r->wait.ns) {
            b->parked = r->number;
            b->parked_max = r->max;
            b->parked_queue = r->queue;
            answer_status(b, OP_TAKE, r->number, LEAT_PARKED);
            free(out);
            return;
        }
    }
    finish(b, s, r->number, out, size);
    free(out);
}

static void execute(struct fake_broker *b, struct session *s, const struct request *r)
{
    must(r->number < FAKE_NUMBERS);
    b->executed[r->number]++;
    session_begin(s, r->number, r->op);
    if (b->refuse_next) {
        b->refuse_next--;
        uint8_t out[FRAME_OP_HEADER];
        finish(b, s, r->number, out, reply_status(out, r->op, r->number, LEAT_OVERLOADED));
        return;
    }
    struct fake_queue *q = find(b, r);
    bool entries = r->op == OP_PUT || r->op == OP_ACK || r->op == OP_NACK || r->op == OP_EXTEND;
    if (entries && q && b->refuse == LEAT_OK)
        batch(b, s, q, r);
    else
        queue_operation(b, s, r);
    fill_parked(b, s);
}

static void hello(struct fake_broker *b, const struct request *r)
{
    const struct request_hello *h = &r->hello;
    b->hellos++;
    struct session *s = h->session ? session_write(&b->sessions, h->session) : session_write(&b->sessions, b->session);
    if (!h->session && s && s->secret != h->secret)
        s = NULL;
    enum leat_status status = b->refuse_hello;
    if (status == LEAT_OK && h->session)
        status =
            s && s->secret == h->secret && session_resume(s, h->oldest, h->answered) ? LEAT_OK : LEAT_SESSION_EXPIRED;
    if (status != LEAT_OK) {
        answer_status(b, OP_HELLO, r->number, status);
        return;
    }
    if (!s) {
        forget_replies(b);
        memset(b->executed, 0, FAKE_NUMBERS);
        b->parked = 0;
        uint16_t window = b->window < h->window ? b->window : h->window;
        s = session_open(&b->sessions, session_next_handle(&b->sessions, 1), window, h->secret);
    }
    b->session = s->handle;
    struct reply_hello reply = {.version = 1,
                                .window = s->window,
                                .session = s->handle,
                                .secret = s->secret,
                                .next = s->next,
                                .epoch = 1,
                                .shards = 1,
                                .body_max = BODY_MAX,
                                .batch_max = BATCH_MAX,
                                .frame_max = b->frame_max};
    uint8_t out[REPLY_FIXED_MAX];
    answer(b, out, reply_hello(out, r->number, &reply));
}

static void request(struct fake_broker *b, uint32_t session, const struct frame_op *op)
{
    struct request r;
    must(request_decode(&r, op) == LEAT_OK);
    struct session *s = session_write(&b->sessions, session);
    if (r.op == OP_HELLO) {
        hello(b, &r);
    } else if (!s) {
        answer_status(b, r.op, r.number, LEAT_NO_SESSION);
    } else if (r.op == OP_PING || r.op == OP_BYE) {
        b->pings += r.op == OP_PING;
        b->byes += r.op == OP_BYE;
        answer_status(b, r.op, r.number, LEAT_OK);
    } else {
        switch (session_arrive(s, r.number)) {
        case SESSION_EXECUTE:
        case SESSION_CONTINUE:
            execute(b, s, &r);
            break;
        case SESSION_REPEAT:
            b->repeats++;
            answer(b, b->kept[r.number % s->window].bytes, b->kept[r.number % s->window].size);
            break;
        case SESSION_GAP: {
            b->gaps++;
            uint8_t out[FRAME_OP_HEADER];
            answer(b, out, reply_gap(out, s->next));
            break;
        }
        default:
            break;
        }
    }
}

static void piece(struct fake_broker *b, const struct frame *f)
{
    struct frame_fragment p;
    must(frame_fragment_decode(&p, f) == LEAT_OK);
    b->pieces_in++;
    if (p.offset == 0)
        b->assembled = 0;
    if (p.offset != b->assembled)
        return;
    memcpy(b->assembling + p.offset, p.piece, p.piece_size);
    b->assembled += p.piece_size;
    struct frame_op op;
    if (b->assembled == p.total && frame_op_decode(&op, b->assembling, p.total) == LEAT_OK)
        request(b, f->session, &op);
}

void fake_broker_input(struct fake_broker *b, const uint8_t *frames, size_t size)
{
    while (size) {
        int32_t whole = frame_size(frames, size);
        must(whole > 0);
        must((size_t)whole <= size);
        struct frame f;
        must(frame_decode(&f, frames, (size_t)whole) == LEAT_OK);
        uint32_t offset = 0;
        struct frame_op op;
        enum leat_status status;
        if (f.flags & FRAME_FRAGMENT)
            piece(b, &f);
        else
            while (frame_next_op(&f, &offset, &op, &status))
                request(b, f.session, &op);
        frames += whole;
        size -= (size_t)whole;
    }
}

void fake_broker_restart(struct fake_broker *b)
{
    session_restarted(&b->sessions);
    b->out_size = 0;
}

void fake_broker_forget(struct fake_broker *b)
{
    struct session *s = session_write(&b->sessions, b->session);
    if (s)
        session_end(&b->sessions, b->session);
    b->out_size = 0;
}

/* raw.c - one session's window, by hand. See raw.h.
 *
 *     number    1 ........ answered ..... | out, some answered | next ...
 *                                           ^ at most `depth` of them; slot = number modulo the session's window
 *
 * A number may leave when its slot is free and fewer than `depth` are under way; numbers leave in order.
 *
 * A batch may be cut by the broker (its log block was full): the answer covers the first entries only, and the others
 * were not executed. They leave again, under a new number, before anything new: `rest` is the stack of them. */
#include "raw.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "must.h"
#include "pace.h"
#include "raw_frame.h"

enum { PATIENCE_NS = 20000000, END_NS = 2000000000, FLUSH_FRAMES = 8 };

struct raw_slot {
    bool out;
    uint64_t number, start;
    uint64_t first; /* number of the first body */
    struct raw_frame frame;
};

struct raw_rest {
    uint64_t first, start;
    uint32_t count;
};

struct raw {
    const struct options *o;
    struct lane *lane;
    struct load_result *result;
    struct raw_slot slot[WINDOW_MAX];
    struct raw_rest rest[WINDOW_MAX];
    unsigned rests;
    struct queue_ref queue;
    uint32_t session;
    unsigned window, under_way;
    uint64_t next;    /* request number */
    uint64_t message; /* number of the next body */
    uint64_t heard;   /* when something came last */
    bool counting;
    uint8_t *memory;
};

/* How many entries went well, from the first on; the status of the one that did not, if there is one. */
static uint32_t entries_done(const struct frame_op *op, enum leat_status *status)
{
    struct reply_run run = {.status = 0};
    uint32_t at = 0, done = 0;
    *status = (enum leat_status)op->status;
    while (*status == LEAT_OK && reply_next_run(op, &at, &run)) {
        *status = (enum leat_status)run.status;
        done += *status == LEAT_OK ? run.count : 0;
    }
    return done;
}

static void answered(struct raw *w, const struct frame_op *op, uint64_t now)
{
    struct raw_slot *s = &w->slot[op->number % w->window];
    enum leat_status status;
    if (op->op != OP_PUT || !s->out || s->number != op->number)
        return; /* an answer to a repetition */
    uint32_t done = entries_done(op, &status);
    must(done <= s->frame.count);
    s->out = false;
    w->under_way--;
    w->result->acknowledged += done;
    if (status != LEAT_OK) {
        w->result->failed[(uint8_t)status]++;
        return;
    }
    if (done < s->frame.count)
        w->rest[w->rests++] = (struct raw_rest){s->first + done, s->start, s->frame.count - done};
    if (!w->counting)
        return;
    w->result->messages += done;
    if (done < s->frame.count)
        return;
    w->result->requests++;
    hist_record(&w->result->latency, now - s->start);
}

static bool frame_seen(struct raw *w, const uint8_t *bytes, uint32_t size, uint64_t now)
{
    for (uint32_t at = 0; at < size;) {
        struct frame f;
        struct frame_op op;
        enum leat_status status = LEAT_OK;
        int32_t n = frame_size(bytes + at, size - at);
        if (n <= 0 || (uint32_t)n > size - at || frame_decode(&f, bytes + at, (size_t)n) != LEAT_OK)
            return false;
        for (uint32_t walk = 0; frame_next_op(&f, &walk, &op, &status);)
            answered(w, &op, now);
        at += (uint32_t)n;
    }
    return true;
}

static void send_slot(struct raw *w, const struct raw_slot *s)
{
    while (!link_send(w->lane->link, s->frame.bytes, s->frame.size))
        link_flush(w->lane->link);
}

/* In the order of their numbers. */
static void send_again(struct raw *w, uint64_t now)
{
    for (uint64_t n = w->next > w->window ? w->next - w->window : 1; n < w->next; n++) {
        const struct raw_slot *s = &w->slot[n % w->window];
        if (!s->out || s->number != n)
            continue;
        send_slot(w, s);
        w->result->retries++;
    }
    w->heard = now;
}

static void start(struct raw *w, uint64_t due)
{
    struct raw_slot *s = &w->slot[w->next % w->window];
    struct raw_rest part = {w->message, due, w->o->batch};
    if (w->rests > 0)
        part = w->rest[--w->rests];
    else
        w->message += part.count;
    if (part.count != s->frame.count) {
        s->frame.count = part.count;
        raw_frame_make(&s->frame, w->session, w->queue, w->o->durability);
    }
    s->out = true;
    s->number = w->next++;
    s->start = part.start;
    s->first = part.first;
    raw_frame_stamp(&s->frame, s->number, s->first);
    w->under_way++;
    send_slot(w, s);
}

/* One look at what came; how many packets that were, or LINK_ENDED. Over a stream a reply may be cut: what is left of
 * it is kept by the caller, so streams are not served here. */
static int look(struct raw *w, uint64_t *now)
{
    struct client_io_bytes *in = w->lane->in;
    int n = link_receive(w->lane->link, in);
    *now = lane_now().ns;
    if (n <= 0) {
        if (w->under_way > 0 && *now - w->heard > PATIENCE_NS)
            send_again(w, *now);
        return n;
    }
    w->heard = *now;
    for (int i = 0; i < n; i++)
        if (!frame_seen(w, in[i].data, in[i].size, *now))
            n = LINK_ENDED;
    link_done(w->lane->link, in, n);
    return n;
}

static bool room(const struct raw *w)
{
    return w->under_way < w->o->depth && !w->slot[w->next % w->window].out;
}

static bool more_wanted(const struct raw *w)
{
    return room(w) && (w->o->messages == 0 || w->message + w->o->batch <= w->o->messages);
}

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void measure(struct raw *w)
{
    const struct options *o = w->o;
    uint64_t now = lane_now().ns, due, last = w->heard = now;
    uint64_t from = now + (uint64_t)(o->warm_seconds * 1e9), end = from + (uint64_t)(o->seconds * 1e9);
    struct pace pace = pace_start(now, o->rate > 0 ? o->rate : 1);
    double cpu = cpu_seconds();
    for (bool over = false; !over && (w->under_way > 0 || o->rate > 0 || more_wanted(w));) {
        over = now >= end; /* one turn more: what was due until the end */
        if (look(w, &now) > 0)
            last = now;
        if (!w->counting && now >= from) {
            w->counting = true;
            from = now;
            cpu = cpu_seconds();
        }
        while (w->rests > 0 && room(w))
            start(w, now);
        unsigned burst = 0;
        for (due = now; more_wanted(w) && (o->rate <= 0 || pace_take(&pace, now < end ? now : end - 1, &due));) {
            start(w, due);
            if (++burst % FLUSH_FRAMES == 0)
                link_flush(w->lane->link); /* the broker works on these while the next are written */
        }
        link_flush(w->lane->link);
    }
    w->counting = false;
    w->result->seconds = (double)((now < end ? last : now) - from) / 1e9;
    w->result->cpu_seconds = cpu_seconds() - cpu;
    w->result->missed = o->rate > 0 ? pace_missed(&pace, end) : 0;
}

/* Waits for the last answers, and says goodbye. */
static bool finish(struct raw *w)
{
    _Alignas(8) uint8_t bye[FRAME_HEADER + FRAME_OP_HEADER];
    uint64_t now = lane_now().ns, end = now + END_NS;
    while (w->under_way + w->rests > 0 && now < end) {
        look(w, &now);
        while (w->rests > 0 && room(w))
            start(w, now);
        link_flush(w->lane->link);
    }
    frame_begin(bye, 0, w->session);
    frame_op_encode(bye + FRAME_HEADER, OP_BYE, 0, 0, 0, w->next);
    frame_end(bye, sizeof bye);
    link_send(w->lane->link, bye, sizeof bye);
    link_flush(w->lane->link);
    return w->under_way + w->rests == 0;
}

static bool frames_make(struct raw *w)
{
    const struct options *o = w->o;
    uint32_t room = raw_frame_room(o->batch, o->size, link_datagram_max(w->lane->link));
    w->memory = room ? aligned_alloc(64, (size_t)WINDOW_MAX * ((room + 63) / 64 * 64)) : NULL;
    for (unsigned i = 0; i < WINDOW_MAX && w->memory; i++) {
        w->slot[i].frame = (struct raw_frame){
            .bytes = w->memory + (size_t)i * ((room + 63) / 64 * 64), .count = o->batch, .body_size = o->size};
        raw_frame_make(&w->slot[i].frame, w->session, w->queue, o->durability);
    }
    return w->memory != NULL;
}

bool raw_run(const struct options *o, struct lane *lane, struct queue_ref queue, struct load_result *result, char *why,
             size_t why_size)
{
    const struct reply_hello *hello = client_hello(lane->client);
    struct client_counters counters;
    client_count(lane->client, &counters);
    must(hello && client_pending(lane->client) == 0);
    struct raw *w = calloc(1, sizeof *w);
    if (w)
        *w = (struct raw){.o = o,
                          .lane = lane,
                          .result = result,
                          .session = hello->session,
                          .queue = queue,
                          .window = hello->window < WINDOW_MAX ? hello->window : WINDOW_MAX,
                          .next = counters.requests + 1};
    if (!w || !frames_make(w)) {
        snprintf(why, why_size, "a request of %u bodies of %u B does not fit one datagram", o->batch, o->size);
        free(w);
        return false;
    }
    measure(w);
    bool good = finish(w);
    if (!good)
        snprintf(why, why_size, "the broker left %u requests unanswered", w->under_way);
    free(w->memory);
    free(w);
    return good;
}

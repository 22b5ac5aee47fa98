/* client.c - the life of a call, and of the connection that it travels on.
 *
 * Calls are in one list at a time: free, queued (waiting for a request number), out (in the window), done (waiting for
 * client_result). A connection that ends moves nothing: what is out stays out, and the next connection resumes the
 * session and sends it again. Only when the session itself has gone are calls sorted into those that may be sent again
 * and those whose outcome is unknown (client_expire). */
#include "client_state.h"

#include <stdlib.h>
#include <string.h>

#include "mark.h"
#include "must.h"

enum { MAGIC = 0x1ea7c11e };
static const size_t BUDGET = 64u << 20;

/* Lists. */
static void append(struct client *c, struct client_list *list, struct call *call)
{
    uint16_t index = (uint16_t)(call - c->calls);
    call->next = LIST_END;
    if (list->head == LIST_END)
        list->head = index;
    else
        c->calls[list->tail].next = index;
    list->tail = index;
}

static struct call *take_first(struct client *c, struct client_list *list)
{
    if (list->head == LIST_END)
        return NULL;
    struct call *call = &c->calls[list->head];
    list->head = call->next;
    return call;
}

static void set_free(struct client *c, struct call *call)
{
    call->state = CALL_FREE;
    append(c, &c->free, call);
    c->free_count++;
}

struct client *client_open(const struct client_config *config)
{
    must(config->window >= WINDOW_MIN && config->window <= WINDOW_MAX);
    must(!config->datagrams || (config->datagram_max >= DATAGRAM_MIN && config->datagram_max <= FRAME_MAX));
    struct client *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->magic = MAGIC;
    c->config = *config;
    c->memory.budget = config->budget ? config->budget : BUDGET;
    c->secrets = prng_seed(config->seed, 1);
    c->jitter = prng_seed(config->seed, 2);
    c->nonce = prng_next(&c->secrets);
    c->due = INSTANT_NEVER;
    c->free = c->queued = c->done = (struct client_list){LIST_END, LIST_END};
    c->shown = LIST_END;
    c->frame_max = config->datagrams ? config->datagram_max : FRAME_MAX;
    window_reset(&c->window, config->window);
    c->calls_count = config->window + 1u; /* one whose result is being looked at */
    for (unsigned i = 0; i < c->calls_count; i++)
        set_free(c, &c->calls[i]);
    return c;
}

void client_close(struct client *c)
{
    if (!c)
        return;
    must(c->magic == MAGIC);
    for (unsigned i = 0; i < c->calls_count; i++) {
        call_release(&c->calls[i].request, &c->memory);
        call_release(&c->calls[i].reply, &c->memory);
    }
    must(c->memory.held == 0);
    c->magic = 0;
    free(c);
}

/* The connection. */
struct duration client_backoff(struct client *c, unsigned failures)
{
    if (failures == 0)
        return (struct duration){0};
    uint64_t ms = failures < 8 ? 5ull << failures : 1000; /* 10, 20, 40 ... 640, 1000 */
    uint64_t ns = ms * 1000000;
    return (struct duration){ns * 3 / 4 + prng_below(&c->jitter, ns / 4 + 1)};
}

bool client_wants_connection(const struct client *c, struct instant now)
{
    return c->link == LINK_DOWN && !client_finished(c) && !instant_before(now, c->connect_due);
}

void client_say_hello(struct client *c)
{
    c->hello_now = true;
    c->hello_failed = false;
    c->hello_tries = 0;
    c->hello_number++;
}

void client_connected(struct client *c, struct instant now)
{
    must(c->magic == MAGIC);
    must(c->link == LINK_DOWN);
    c->link = LINK_HELLO;
    c->broken = false;
    c->partial_size = 0;
    c->piece_number = 0;
    c->quiet = now;
    c->waiting = c->ping_now = false;
    c->pings = 0;
    client_say_hello(c);
}

void client_disconnected(struct client *c, struct instant now)
{
    must(c->magic == MAGIC);
    if (c->link != LINK_DOWN)
        c->counters.breaks++;
    c->link = LINK_DOWN;
    c->broken = false;
    c->partial_size = 0;
    c->connect_due = instant_add(now, client_backoff(c, c->failures));
    c->failures++;
    c->due = c->connect_due;
    if (c->bye_sent)
        c->bye_answered = true; /* whether it arrived or not: the session ends by itself */
}

bool client_broken(const struct client *c)
{
    return c->broken;
}

bool client_ready(const struct client *c)
{
    return c->link == LINK_READY;
}

enum leat_status client_refusal(const struct client *c)
{
    return c->refusal;
}

const struct reply_hello *client_hello(const struct client *c)
{
    return c->told ? &c->hello : NULL;
}

/* Calls. */
static void trim(struct client *c)
{
    for (unsigned i = 0; i < c->calls_count; i++) {
        if (c->calls[i].state != CALL_FREE)
            continue;
        call_release(&c->calls[i].request, &c->memory);
        call_release(&c->calls[i].reply, &c->memory);
    }
}

bool client_reserve(struct client *c, struct call_buffer *b, size_t size)
{
    if (call_reserve(b, &c->memory, size))
        return true;
    mark(client_budget_used_up);
    trim(c);
    return call_reserve(b, &c->memory, size);
}

enum leat_status client_submit(struct client *c, const struct client_op *op, uint64_t user)
{
    must(c->magic == MAGIC);
    if (c->closing)
        return LEAT_CLOSED;
    uint32_t size;
    enum leat_status status =
        call_check(op, c->told ? c->hello.body_max : BODY_MAX, c->told ? c->hello.batch_max : BATCH_MAX, &size);
    if (status != LEAT_OK)
        return status;
    if (client_room(c) == 0)
        return LEAT_OVERLOADED;
    struct call *call = take_first(c, &c->free);
    size_t runs = call_is_batch(op->request.op) ? op->count * sizeof(struct reply_run) : 0;
    call->state = CALL_QUEUED; /* its buffers are in use: trim() passes by */
    if (!client_reserve(c, &call->request, size) || !client_reserve(c, &call->reply, runs)) {
        call->state = CALL_FREE;
        append(c, &c->free, call);
        return LEAT_OVERLOADED;
    }
    c->free_count--;
    c->pending++;
    call_encode(call, op);
    call->user = user;
    call->order = ++c->order;
    append(c, &c->queued, call);
    client_pump(c);
    return LEAT_OK;
}

unsigned client_room(const struct client *c)
{
    unsigned in_use = c->calls_count - c->free_count - (c->shown != LIST_END);
    return c->config.window > in_use ? c->config.window - in_use : 0;
}

unsigned client_pending(const struct client *c)
{
    return c->pending;
}

void client_pump(struct client *c)
{
    while (c->link == LINK_READY && c->queued.head != LIST_END && !window_full(&c->window)) {
        struct call *call = take_first(c, &c->queued);
        struct queue_ref queue;
        if (call->by_name && refs_find(&c->refs, &call->name, &queue))
            call_set_queue(call, queue);
        else
            call->looking_up = call->by_name;
        call->state = CALL_OUT;
        call_set_number(call, window_take(&c->window, (uint16_t)(call - c->calls)));
        c->counters.requests++;
    }
}

void client_requeue(struct client *c, struct call *call)
{
    if (call->forgotten) {
        client_finish(c, call);
        return;
    }
    call->state = CALL_QUEUED;
    call->looking_up = false;
    uint16_t index = (uint16_t)(call - c->calls), before = LIST_END, at = c->queued.head;
    while (at != LIST_END && c->calls[at].order < call->order) {
        before = at;
        at = c->calls[at].next;
    }
    if (at == LIST_END) {
        append(c, &c->queued, call);
        return;
    }
    call->next = at;
    if (before == LIST_END)
        c->queued.head = index;
    else
        c->calls[before].next = index;
}

void client_finish(struct client *c, struct call *call)
{
    must(call->state == CALL_OUT || call->state == CALL_QUEUED);
    c->pending--;
    if (call->forgotten) {
        set_free(c, call);
        return;
    }
    call->state = CALL_DONE;
    append(c, &c->done, call);
}

/* Whether a call that may have been executed does no harm if it is executed again (see client.h). */
static bool may_repeat(const struct call *call)
{
    return call->looking_up || (call->op != OP_PUT && call->op != OP_QUEUE_CREATE && call->op != OP_QUEUE_DROP);
}

void client_expire(struct client *c)
{
    mark(client_session_expired);
    c->counters.expired++;
    c->session_open = false;
    c->nonce = prng_next(&c->secrets);
    for (uint64_t n = c->window.oldest; n < c->window.next; n++) {
        struct window_slot *slot = window_find(&c->window, n);
        if (!slot)
            continue;
        struct call *call = client_call_of(c, slot);
        call->pieces.total = 0;
        if (call->forgotten) {
            client_finish(c, call);
        } else if (slot->sends == 0) {
            client_requeue(c, call);
        } else if (may_repeat(call)) {
            call->repeated |= !call->looking_up;
            client_requeue(c, call);
        } else {
            call_refuse(call, LEAT_UNKNOWN_OUTCOME);
            client_finish(c, call);
        }
    }
    window_reset(&c->window, c->window.size);
    c->piece_number = 0;
}

/* Results. */
bool client_result(struct client *c, struct client_result *r)
{
    must(c->magic == MAGIC);
    if (c->shown != LIST_END) {
        set_free(c, &c->calls[c->shown]);
        c->shown = LIST_END;
    }
    struct call *call = take_first(c, &c->done);
    if (!call)
        return false;
    c->shown = (uint16_t)(call - c->calls);
    memset(r, 0, sizeof *r);
    r->user = call->user;
    r->op = call->op;
    r->status = call->status;
    if (call_is_batch(call->op)) {
        r->count = call->entries;
        r->runs = (const struct reply_run *)(const void *)call->reply.bytes;
        r->runs_count = call->runs_count;
    } else if (call->reply_size) {
        r->count = call->reply_count;
        must(frame_op_decode(&r->reply, call->reply.bytes, call->reply_size) == LEAT_OK);
    }
    return true;
}

bool client_has_result(const struct client *c)
{
    return c->done.head != LIST_END;
}

enum leat_status client_result_entry(const struct client *c, const struct client_result *r, unsigned i,
                                     struct message_id *id)
{
    must(i < r->count);
    memset(id, 0, sizeof *id);
    const struct reply_run *run = r->runs;
    for (; i >= run->count; run++)
        i -= run->count;
    if (r->op == OP_PUT && run->status == LEAT_OK)
        *id = (struct message_id){
            .cell = c->hello.cell, .shard = c->hello.shard, .epoch = run->epoch, .lsn = {run->lsn.n + i}};
    return run->status;
}

static void unlink_queued(struct client *c, const struct call *call)
{
    uint16_t index = (uint16_t)(call - c->calls), before = LIST_END, at = c->queued.head;
    while (at != index) {
        must(at != LIST_END);
        before = at;
        at = c->calls[at].next;
    }
    if (before == LIST_END)
        c->queued.head = call->next;
    else
        c->calls[before].next = call->next;
    if (c->queued.tail == index)
        c->queued.tail = before;
}

bool client_was_sent(const struct client *c, uint64_t user)
{
    for (unsigned i = 0; i < c->calls_count; i++) {
        const struct call *call = &c->calls[i];
        if (call->user != user || (call->state != CALL_QUEUED && call->state != CALL_OUT) || call->forgotten)
            continue;
        const struct window_slot *slot = &c->window.slots[call->number % c->window.size];
        bool left = call->state == CALL_OUT && !call->looking_up && slot->sends > 0;
        return left || call->covered > 0 || call->repeated;
    }
    return false;
}

bool client_forget(struct client *c, uint64_t user)
{
    for (unsigned i = 0; i < c->calls_count; i++) {
        struct call *call = &c->calls[i];
        if (call->user != user || (call->state != CALL_QUEUED && call->state != CALL_OUT) || call->forgotten)
            continue;
        call->forgotten = true;
        if (call->state == CALL_QUEUED) {
            unlink_queued(c, call);
            client_finish(c, call);
        }
        return true;
    }
    return false;
}

struct instant client_next_due(const struct client *c)
{
    return client_finished(c) ? INSTANT_NEVER : c->due;
}

void client_bye(struct client *c)
{
    c->closing = true;
}

bool client_finished(const struct client *c)
{
    return c->closing && c->pending == 0 && (c->bye_answered || !c->session_open || c->link == LINK_DOWN);
}

void client_count(const struct client *c, struct client_counters *counters)
{
    *counters = c->counters;
    counters->held_bytes = c->memory.held;
}

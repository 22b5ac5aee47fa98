/* load_step.c - what each step asks, and what follows its answer. See load.h for the cycles. */
#include "load_step.h"

#include <stdlib.h>
#include <string.h>

enum { BATCH_BYTES = REQUEST_MAX, PARKED_MAX = 32, TAKE_WAIT_S = 5 };

static bool consumer(const struct load *l, unsigned lane)
{
    return l->o->workload == WORKLOAD_DELIVERY && lane == 1;
}

bool load_step_open(struct load *l, const struct options *o, struct load_result *result)
{
    l->o = o;
    l->result = result;
    l->bodies = malloc(BATCH_BYTES);
    l->entry = calloc(BATCH_MAX, sizeof *l->entry);
    l->born = calloc(LOAD_BORN, sizeof *l->born);
    l->receipts = calloc((size_t)OPTIONS_LANES_MAX * LOAD_SLOTS * BATCH_MAX, RECEIPT_BYTES);
    l->refs = calloc(o->queues, sizeof *l->refs);
    l->tallying = o->workload == WORKLOAD_DRAIN && o->messages > 0;
    if (!l->refs || !l->bodies || !l->entry || !l->born || !l->receipts ||
        (l->tallying && !tally_open(&result->tally, o->messages))) {
        load_step_close(l);
        return false;
    }
    for (unsigned i = 0; i < OPTIONS_LANES_MAX; i++)
        for (unsigned s = 0; s < LOAD_SLOTS; s++)
            l->slot[i][s].receipts = l->receipts + ((size_t)i * LOAD_SLOTS + s) * BATCH_MAX;
    load_step_shape(l);
    return true;
}

void load_step_close(struct load *l)
{
    if (l->tallying)
        tally_close(&l->result->tally);
    free(l->refs);
    free(l->bodies);
    free(l->entry);
    free(l->born);
    free(l->receipts);
}

void load_step_shape(struct load *l)
{
    const struct options *o = l->o;
    must((uint64_t)o->batch * o->size <= BATCH_BYTES);
    for (uint32_t k = 0; k < o->batch; k++) {
        uint8_t *body = l->bodies + (size_t)k * o->size;
        tally_write(body, o->size, k);
        l->entry[k] = (struct request_put_entry){
            .body = body, .body_size = o->size, .durability = (uint8_t)o->durability, .delay = {UINT64_MAX}};
    }
    for (unsigned i = 0; i < OPTIONS_LANES_MAX; i++) {
        l->free_count[i] = o->depth;
        for (unsigned s = 0; s < o->depth; s++)
            l->free_slot[i][s] = (uint8_t)(o->depth - 1 - s);
    }
}

static void give_back(struct load *l, unsigned lane, unsigned slot)
{
    l->slot[lane][slot].step = STEP_FREE;
    if (!consumer(l, lane))
        l->free_slot[lane][l->free_count[lane]++] = (uint8_t)slot;
}

static void submit(struct load *l, unsigned lane, unsigned slot, enum load_step step)
{
    static const uint8_t op[] = {[STEP_PUT] = OP_PUT, [STEP_TAKE] = OP_TAKE, [STEP_ACK] = OP_ACK};
    struct load_slot *s = &l->slot[lane][slot];
    struct client_op ask = {.request = {.op = op[step], .name = l->queue}};
    if (step == STEP_PUT) {
        for (uint32_t k = 0; k < s->count; k++) {
            l->born[l->number % LOAD_BORN] = s->start;
            tally_stamp(l->bodies + (size_t)k * l->o->size, l->o->size, l->number++);
        }
        if (l->o->queues > 1) {
            ask.request.name.size = 0;
            ask.request.queue = l->refs[l->turn++ % l->o->queues];
        }
        ask.puts = l->entry;
        ask.count = s->count;
    } else if (step == STEP_TAKE) {
        ask.request.max = (uint16_t)l->o->batch;
        if (l->o->workload == WORKLOAD_LIVES || l->o->workload == WORKLOAD_DELIVERY)
            ask.request.wait = duration_s(TAKE_WAIT_S);
    } else {
        ask.receipts = (const uint8_t(*)[RECEIPT_BYTES])s->receipts;
        ask.count = s->count;
    }
    s->step = (uint8_t)step;
    enum leat_status status = client_submit(l->lane[lane].client, &ask, slot);
    if (status == LEAT_OK)
        return;
    l->result->failed[(uint8_t)status]++;
    give_back(l, lane, slot);
}

bool load_step_wanted(const struct load *l)
{
    const struct options *o = l->o;
    if (o->workload == WORKLOAD_TAKE || o->workload == WORKLOAD_DRAIN)
        return true;
    if (o->messages > 0 && l->number >= o->messages)
        return false;
    return o->workload != WORKLOAD_DELIVERY || o->rate > 0 || l->number - l->delivered < (uint64_t)o->depth * o->batch;
}

void load_step_start(struct load *l, unsigned lane, uint64_t due)
{
    const struct options *o = l->o;
    unsigned slot = l->free_slot[lane][--l->free_count[lane]];
    struct load_slot *s = &l->slot[lane][slot];
    bool takes = o->workload == WORKLOAD_TAKE || o->workload == WORKLOAD_DRAIN;
    uint64_t left = o->messages > 0 && !takes ? o->messages - l->number : o->batch;
    s->start = due;
    s->count = (uint16_t)(left < o->batch ? left : o->batch);
    submit(l, lane, slot, takes ? STEP_TAKE : STEP_PUT);
}

void load_step_park(struct load *l)
{
    if (l->o->workload != WORKLOAD_DELIVERY)
        return;
    unsigned takes = l->o->depth < PARKED_MAX - 1 ? l->o->depth + 1 : PARKED_MAX;
    for (unsigned slot = 0; slot < takes; slot++)
        submit(l, 1, slot, STEP_TAKE);
}

/* Keeps the receipts of what came, and looks at the numbers. */
static void keep_taken(struct load *l, struct load_slot *s, const struct client_result *r, struct instant now)
{
    struct reply_message m;
    uint32_t offset = 0;
    uint64_t number;
    s->count = 0;
    while (reply_next_message(&r->reply, &offset, &m)) {
        must(s->count < BATCH_MAX);
        memcpy(s->receipts[s->count++], m.receipt, RECEIPT_BYTES);
        if (l->tallying)
            tally_see(&l->result->tally, m.body, m.body_size);
        if (l->o->workload != WORKLOAD_DELIVERY || !tally_read(m.body, m.body_size, &number))
            continue;
        l->delivered++;
        if (!l->counting)
            continue;
        hist_record(&l->result->latency, now.ns - l->born[number % LOAD_BORN]);
        l->result->messages++;
    }
}

static void cycle_end(struct load *l, unsigned lane, unsigned slot, struct instant now)
{
    const struct load_slot *s = &l->slot[lane][slot];
    l->last_ns = now.ns;
    if (l->counting && !consumer(l, lane)) {
        l->result->requests++;
        if (l->o->workload != WORKLOAD_DELIVERY) {
            l->result->messages += s->count;
            hist_record(&l->result->latency, now.ns - s->start);
        }
    }
    give_back(l, lane, slot);
}

/* A step did not go well: an empty queue ends a run of takes, a parked take that found nothing is parked again. */
static void step_failed(struct load *l, unsigned lane, unsigned slot, enum leat_status status)
{
    bool takes = l->o->workload == WORKLOAD_TAKE || l->o->workload == WORKLOAD_DRAIN;
    if (consumer(l, lane) && status == LEAT_EMPTY && !l->stopping) {
        submit(l, lane, slot, STEP_TAKE);
        return;
    }
    if (takes && status == LEAT_EMPTY)
        l->stopping = true;
    else if (status != LEAT_EMPTY || !consumer(l, lane))
        l->result->failed[(uint8_t)status]++;
    give_back(l, lane, slot);
}

void load_step_result(struct load *l, unsigned lane, const struct client_result *r, struct instant now)
{
    unsigned slot = (unsigned)r->user;
    must(slot < LOAD_SLOTS);
    struct load_slot *s = &l->slot[lane][slot];
    must(s->step != STEP_FREE);
    if (r->status != LEAT_OK) {
        step_failed(l, lane, slot, r->status);
        return;
    }
    switch (s->step) {
    case STEP_PUT:
        l->result->acknowledged += s->count;
        if (l->o->workload == WORKLOAD_LIVES)
            submit(l, lane, slot, STEP_TAKE);
        else
            cycle_end(l, lane, slot, now);
        return;
    case STEP_TAKE:
        keep_taken(l, s, r, now);
        if (s->count > 0)
            submit(l, lane, slot, STEP_ACK);
        else
            step_failed(l, lane, slot, LEAT_EMPTY);
        return;
    default:
        if (consumer(l, lane) && !(l->stopping && !load_step_busy(l)))
            submit(l, lane, slot, STEP_TAKE);
        else
            cycle_end(l, lane, slot, now);
    }
}

bool load_step_parked(const struct load *l, unsigned lane)
{
    return consumer(l, lane);
}

bool load_step_busy(const struct load *l)
{
    if (l->o->workload == WORKLOAD_DELIVERY && l->delivered < l->result->acknowledged)
        return true;
    for (unsigned i = 0; i < l->sources; i++)
        if (l->free_count[i] < l->o->depth)
            return true;
    return false;
}

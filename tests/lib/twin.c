/* twin.c - see twin.h. */
#include "twin.h"

#include <stdlib.h>
#include <string.h>

#include "crc32c.h"

void twin_open(struct twin *t, uint32_t queues, uint32_t slots, uint32_t chunks)
{
    memset(t, 0, sizeof *t);
    struct engine_capacity capacity = {queues, slots, chunks};
    t->now = (struct instant){1000000000};
    t->pack = 1;
    t->limits = (struct plan_limits){.body_max = 1000,
                                     .lease_min = duration_ms(1),
                                     .lease_max = duration_s(43200),
                                     .delay_max = duration_s(86400),
                                     .epoch = 1,
                                     .key = "twin"};
    must(engine_open(&t->leader, &capacity, t->now) == LEAT_OK);
    must(engine_open(&t->follower, &capacity, t->now) == LEAT_OK);
}

static void check_slab(const struct slab *a, const struct slab *b)
{
    must(a->used == b->used && a->taken == b->taken && a->free == b->free);
    must(memcmp(a->items, b->items, (size_t)a->used * a->item_bytes) == 0);
}

void twin_check(const struct twin *t)
{
    check_slab(&t->leader.queues, &t->follower.queues);
    check_slab(&t->leader.slots, &t->follower.slots);
    check_slab(&t->leader.chunks, &t->follower.chunks);
    for (uint32_t i = 0; i < t->leader.queues.used; i++) {
        const struct queue *q = engine_queue_at(&t->leader, i);
        if (q->state == QUEUE_FREE)
            continue;
        struct queue_counters counted = engine_recount(&t->leader, i);
        must(memcmp(&counted, &q->counters, sizeof counted) == 0);
    }
}

void twin_close(struct twin *t)
{
    twin_check(t);
    engine_close(&t->leader);
    engine_close(&t->follower);
}

void twin_apply(struct twin *t, struct fact *f)
{
    f->at = t->now;
    bool begins = t->block == 0 || t->index + 1 >= t->pack;
    t->block += begins;
    t->index = begins ? 0 : t->index + 1;
    t->place = begins ? 64 : t->place;
    f->lsn = lsn_make(t->block, t->index);
    f->place = t->place;
    t->place += fact_size(f);
    uint8_t *bytes = malloc(fact_size(f));
    fact_encode(bytes, f);
    struct fact copy;
    must(fact_decode(&copy, bytes, fact_size(f), f->lsn, true) == LEAT_OK);
    copy.place = f->place;
    struct apply_effect effect;
    apply_fact(&t->leader, f, &t->effect);
    apply_fact(&t->follower, &copy, &effect);
    must(effect.gone_count == t->effect.gone_count);
    free(bytes);
}

struct queue_ref twin_create(struct twin *t, const char *name, const struct queue_attributes *a)
{
    struct request r = {.op = OP_QUEUE_CREATE, .attributes = *a};
    struct fact f;
    must(name_set(&r.name, name, strlen(name)));
    must(plan_queue_create(&t->leader, &t->limits, &r, &f) == LEAT_OK);
    must(f.kind == FACT_QUEUE_CREATED);
    twin_apply(t, &f);
    return (struct queue_ref){f.queue.number, f.queue.incarnation};
}

struct lsn twin_put(struct twin *t, struct queue_ref q, struct duration delay, enum leat_status *status)
{
    struct request_put_entry entry = {.delay = delay, .body = (const uint8_t *)"body", .body_size = 4};
    entry.body_crc = crc32c(0, entry.body, entry.body_size);
    struct fact f;
    *status = plan_put(&t->leader, &t->limits, q, &entry, t->now, &f);
    if (*status != LEAT_OK)
        return LSN_NONE;
    twin_apply(t, &f);
    return f.lsn;
}

enum leat_status twin_take(struct twin *t, struct queue_ref q, struct duration lease, uint8_t receipt[RECEIPT_BYTES])
{
    struct fact f;
    enum leat_status status = plan_take(&t->leader, &t->limits, q, lease, t->now, &f);
    if (status != LEAT_OK)
        return status;
    twin_apply(t, &f);
    struct receipt r = {.id = {.epoch = 1, .lsn = f.leased.message},
                        .slot = f.leased.slot,
                        .generation = f.leased.generation,
                        .epoch = f.leased.epoch,
                        .incarnation = q.incarnation};
    r.hash = receipt_hash(&r, t->limits.key);
    receipt_encode(receipt, &r);
    return LEAT_OK;
}

enum leat_status twin_finish(struct twin *t, uint8_t op, struct queue_ref q, const uint8_t receipt[RECEIPT_BYTES],
                             struct duration time)
{
    struct fact f;
    enum leat_status status = plan_finish(&t->leader, &t->limits, op, q, receipt, time, t->now, &f);
    if (status != LEAT_OK)
        return status;
    f.session = 1; /* somebody asked for it */
    twin_apply(t, &f);
    return LEAT_OK;
}

void twin_pass(struct twin *t, struct duration d)
{
    t->now = instant_add(t->now, d);
    struct fact f;
    struct instant again;
    do {
        for (uint32_t slot; (slot = wheel_fire(&t->leader.wheel, t->now)) != SLAB_NONE;) {
            if (plan_due(&t->leader, slot, t->now, &f, &again))
                twin_apply(t, &f);
            wheel_arm(&t->leader.wheel, slot, again);
        }
    } while (engine_next_due(&t->leader).ns <= t->now.ns);
    for (uint32_t i = 0; i < t->leader.queues.used; i++)
        while (plan_reap(&t->leader, i, &f))
            twin_apply(t, &f);
}

struct lsn twin_lsn(const uint8_t receipt[RECEIPT_BYTES])
{
    struct receipt r;
    must(receipt_decode(&r, receipt));
    return r.id.lsn;
}

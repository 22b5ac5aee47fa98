/* plan.c - see plan.h. A receipt is believed only after its keyed hash; a slot number from outside is compared with the
 * slab before it is used. */
#include "plan.h"

#include <string.h>

#include "apply.h"
#include "crc32c.h"
#include "mark.h"

/* All of a fact but its own part, which the caller sets as a whole: a fact is 256 bytes, and most of them are never
 * looked at. */
static void begin(struct fact *f, uint8_t kind, struct instant at)
{
    f->kind = kind;
    f->entry = 0;
    f->session = 0;
    f->number = 0;
    f->at = at;
    f->lsn = LSN_NONE;
    f->place = 0;
}

static bool same_attributes(const struct queue_attributes *a, const struct queue_attributes *b)
{
    return a->lease.ns == b->lease.ns && a->delay.ns == b->delay.ns && a->max_attempts == b->max_attempts &&
           a->body_max == b->body_max && a->durability == b->durability && name_equal(&a->dead_letter, &b->dead_letter);
}

enum leat_status plan_queue_create(const struct engine *e, const struct plan_limits *l, const struct request *r,
                                   struct fact *f)
{
    struct queue_attributes wanted = r->attributes;
    if (wanted.lease.ns == 0)
        wanted.lease = duration_s(30);
    if (wanted.durability == CLASS_DEFAULT)
        wanted.durability = l->durability == CLASS_DEFAULT ? CLASS_DISK : l->durability;
    if (wanted.lease.ns < l->lease_min.ns || wanted.lease.ns > l->lease_max.ns || wanted.delay.ns > l->delay_max.ns ||
        wanted.body_max > l->body_max || wanted.max_attempts > MESSAGE_ATTEMPTS_MAX)
        return LEAT_BAD_VALUE;
    begin(f, 0, INSTANT_ZERO);
    uint32_t number = engine_find(e, &r->name);
    if (number != SLAB_NONE)
        return same_attributes(&engine_queue_at(e, number)->attributes, &wanted) ? LEAT_OK : LEAT_QUEUE_EXISTS;
    uint32_t dead_letter = SLAB_NONE;
    if (wanted.dead_letter.size > 0) {
        dead_letter = engine_find(e, &wanted.dead_letter);
        if (dead_letter == SLAB_NONE)
            return LEAT_NO_QUEUE;
    }
    number = slab_next(&e->queues);
    if (number == SLAB_NONE)
        return LEAT_QUEUES_FULL;
    f->kind = FACT_QUEUE_CREATED;
    f->queue = (struct fact_queue){.number = number,
                                   .incarnation = e->incarnations + 1,
                                   .dead_letter = dead_letter,
                                   .name = r->name,
                                   .attributes = wanted};
    return LEAT_OK;
}

enum leat_status plan_queue_drop(const struct engine *e, const struct request *r, struct fact *f)
{
    uint32_t number = engine_find(e, &r->name);
    if (number == SLAB_NONE)
        return LEAT_NO_QUEUE;
    if (engine_queue_at(e, number)->sources > 0)
        return LEAT_QUEUE_IN_USE;
    begin(f, FACT_QUEUE_DROPPED, INSTANT_ZERO);
    f->queue = (struct fact_queue){.number = number};
    return LEAT_OK;
}

enum leat_status plan_put(const struct engine *e, const struct plan_limits *l, struct queue_ref ref,
                          const struct request_put_entry *entry, struct instant now, struct fact *f)
{
    const struct queue *q = engine_queue(e, ref);
    if (!q)
        return LEAT_NO_QUEUE;
    uint32_t body_max = q->attributes.body_max ? q->attributes.body_max : l->body_max;
    if (entry->body_size > body_max || entry->body_size > l->body_max)
        return LEAT_TOO_LARGE;
    if (crc32c(0, entry->body, entry->body_size) != entry->body_crc)
        return LEAT_BAD_CHECKSUM;
    struct duration delay = entry->delay.ns == UINT64_MAX ? q->attributes.delay : entry->delay;
    if (delay.ns > l->delay_max.ns)
        return LEAT_BAD_VALUE;
    uint32_t slot = delay.ns > 0 ? slab_next(&e->slots) : SLAB_NONE;
    if (delay.ns > 0 && slot == SLAB_NONE)
        return LEAT_LEASES_FULL;
    if (delay.ns == 0 && !ready_has_room(&q->ready, &e->chunks))
        return LEAT_READY_FULL;
    begin(f, FACT_PUT, now);
    f->put = (struct fact_put){.queue = ref.number,
                               .slot = slot,
                               .due = delay.ns > 0 ? instant_add(now, delay) : INSTANT_ZERO,
                               .body_size = entry->body_size,
                               .body_crc = entry->body_crc,
                               .attrs_size = entry->attrs_size,
                               .durability =
                                   entry->durability == CLASS_DEFAULT ? q->attributes.durability : entry->durability,
                               .epoch = l->epoch,
                               .attrs = entry->attrs,
                               .body = entry->body};
    return LEAT_OK;
}

enum leat_status plan_take(const struct engine *e, const struct plan_limits *l, struct queue_ref ref,
                           struct duration lease, struct instant now, struct fact *f)
{
    const struct queue *q = engine_queue(e, ref);
    if (!q)
        return LEAT_NO_QUEUE;
    if (lease.ns == 0) { /* the bounds may have changed since the queue was made */
        lease = q->attributes.lease;
        lease.ns = lease.ns < l->lease_min.ns   ? l->lease_min.ns
                   : lease.ns > l->lease_max.ns ? l->lease_max.ns
                                                : lease.ns;
    }
    if (lease.ns < l->lease_min.ns || lease.ns > l->lease_max.ns)
        return LEAT_BAD_VALUE;
    struct ready_entry entry;
    uint32_t slot = q->ready.heap;
    if (slot != SLAB_NONE) {
        entry.lsn = engine_message_at(e, slot)->lsn;
    } else {
        if (!ready_first(&q->ready, &e->chunks, &entry))
            return LEAT_EMPTY;
        slot = slab_next(&e->slots);
        if (slot == SLAB_NONE)
            return LEAT_LEASES_FULL;
    }
    begin(f, FACT_LEASED, now);
    bool fresh = slot == e->slots.used;
    f->leased = (struct fact_leased){.queue = ref.number,
                                     .slot = slot,
                                     .generation = fresh ? 1 : engine_message_at(e, slot)->generation + 1,
                                     .epoch = l->epoch,
                                     .message = entry.lsn,
                                     .deadline = instant_add(now, lease)};
    return LEAT_OK;
}

/* The message that a receipt speaks of, if the receipt may still act. */
static enum leat_status resolve(const struct engine *e, const struct plan_limits *l, struct queue_ref ref,
                                const uint8_t bytes[RECEIPT_BYTES], struct receipt *receipt,
                                const struct message **found)
{
    if (!receipt_open(receipt, bytes, l->key))
        return LEAT_BAD_RECEIPT;
    if (receipt->slot >= e->slots.used || receipt->incarnation != ref.incarnation)
        return LEAT_STALE_RECEIPT;
    const struct message *m = engine_message_at(e, receipt->slot);
    *found = m;
#if LEAT_BUG == 21
    return m->state == MESSAGE_LEASED ? LEAT_OK : LEAT_STALE_RECEIPT;
#endif
    bool same = m->generation == receipt->generation && m->epoch == receipt->epoch && m->lsn.n == receipt->id.lsn.n;
    if (!same || m->queue != ref.number || (m->state != MESSAGE_LEASED && m->state != MESSAGE_READY)) {
        mark(stale_receipt);
        return LEAT_STALE_RECEIPT;
    }
    return LEAT_OK;
}

bool plan_lost(const struct engine *e, const struct plan_limits *l, const uint8_t bytes[RECEIPT_BYTES])
{
    struct receipt receipt;
    if (!receipt_open(&receipt, bytes, l->key) || receipt.epoch >= l->epoch)
        return false;
    return receipt.slot >= e->slots.used || receipt.generation > engine_message_at(e, receipt.slot)->generation;
}

static void plan_spent(const struct engine *e, const struct message *m, struct fact *f)
{
    const struct queue *q = engine_queue_at(e, m->queue);
    f->kind = FACT_MOVED;
    f->slot.target = q->dead_letter;
}

static bool spent(const struct engine *e, const struct message *m)
{
    uint32_t max = engine_queue_at(e, m->queue)->attributes.max_attempts;
#if LEAT_BUG == 23
    max = 0;
#endif
    return max != 0 && m->attempts >= max;
}

enum leat_status plan_finish(const struct engine *e, const struct plan_limits *l, uint8_t op, struct queue_ref ref,
                             const uint8_t bytes[RECEIPT_BYTES], struct duration time, struct instant now,
                             struct fact *f)
{
#if LEAT_BUG != 31
    if (!engine_queue(e, ref))
        return LEAT_NO_QUEUE;
#endif
    struct receipt receipt;
    const struct message *m;
    enum leat_status status = resolve(e, l, ref, bytes, &receipt, &m);
    if (status != LEAT_OK)
        return status;
    begin(f, FACT_ACKED, now);
    f->slot = (struct fact_slot){.slot = receipt.slot, .generation = m->generation};
    if (op == OP_ACK)
        return LEAT_OK;
    if (m->state != MESSAGE_LEASED || m->due.ns <= now.ns) {
        mark(expired_receipt);
        return LEAT_STALE_RECEIPT;
    }
    if (op == OP_EXTEND) {
        if (time.ns < l->lease_min.ns || time.ns > l->lease_max.ns)
            return LEAT_BAD_VALUE;
        f->kind = FACT_EXTENDED;
        f->slot.due = instant_add(now, time);
        return LEAT_OK;
    }
    if (time.ns > l->delay_max.ns)
        return LEAT_BAD_VALUE;
    f->kind = FACT_RETURNED;
    f->slot.due = time.ns > 0 ? instant_add(now, time) : INSTANT_ZERO;
#if LEAT_BUG == 28
    f->slot.due = time.ns > 0 ? instant_add(m->since, time) : INSTANT_ZERO;
#endif
    if (spent(e, m))
        plan_spent(e, m, f);
    return LEAT_OK;
}

void plan_ahead(const struct engine *e, const uint8_t *const receipts[], uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t slot = receipt_slot(receipts[i]);
        if (slot >= e->slots.used)
            continue;
        __builtin_prefetch(engine_message_at(e, slot), 1);
        wheel_prefetch(&e->wheel, slot);
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t slot = receipt_slot(receipts[i]);
        if (slot >= e->slots.used)
            continue;
        const struct message *m = engine_message_at(e, slot);
        if (m->previous < e->slots.used)
            __builtin_prefetch(engine_message_at(e, m->previous), 1);
        if (m->next < e->slots.used)
            __builtin_prefetch(engine_message_at(e, m->next), 1);
    }
}

bool plan_due(const struct engine *e, uint32_t slot, struct instant now, struct fact *f, struct instant *again)
{
    *again = INSTANT_NEVER;
    uint32_t ahead = wheel_ahead(&e->wheel);
    if (ahead != SLAB_NONE)
        __builtin_prefetch(engine_message_at(e, ahead), 1);
    const struct message *m = engine_message_at(e, slot);
    if (slot >= e->slots.used || (m->state != MESSAGE_LEASED && m->state != MESSAGE_DELAYED))
        return false;
    if (m->due.ns > now.ns) {
        mark(fired_before_due);
        *again = m->due;
        return false;
    }
#if LEAT_BUG != 31
    if (engine_queue_at(e, m->queue)->state != QUEUE_LIVE)
        return false;
#endif
    begin(f, m->state == MESSAGE_LEASED ? FACT_EXPIRED : FACT_RIPENED, now);
    f->slot = (struct fact_slot){.slot = slot, .generation = m->generation};
    if (m->state == MESSAGE_LEASED && spent(e, m))
        plan_spent(e, m, f);
    return true;
}

bool plan_reap(const struct engine *e, uint32_t number, struct fact *f)
{
    if (number >= e->queues.used || engine_queue_at(e, number)->state != QUEUE_DROPPED)
        return false;
    const struct queue_counters *c = &engine_queue_at(e, number)->counters;
    uint64_t left = c->ready + c->leased + c->delayed + c->dead;
    begin(f, FACT_REAPED, INSTANT_ZERO);
    f->queue = (struct fact_queue){.number = number};
    f->queue.count = left < APPLY_REAP_MAX ? (uint32_t)left : APPLY_REAP_MAX;
    return true;
}

/* oracle.c - see oracle.h. Every question is a walk over all messages. */
#include "oracle.h"

#include <string.h>

#include "frame.h"
#include "must.h"

#define EACH(o, m) (struct oracle_message *m = (o)->messages; m < (o)->messages + ORACLE_MESSAGES; m++)
#define EACH_CONST(o, m) (const struct oracle_message *m = (o)->messages; m < (o)->messages + ORACLE_MESSAGES; m++)

static struct oracle_message *find(struct oracle *o, struct lsn lsn)
{
    for
        EACH(o, m)
    if (m->place != ORACLE_NOWHERE && m->lsn.n == lsn.n)
        return m;
    return NULL;
}

/* A message waits for its first delivery in a compact form; all others use one of the places called leases_max. */
static uint32_t slots_used(const struct oracle *o)
{
    uint32_t n = 0;
    for
        EACH_CONST(o, m)
    n += m->place > ORACLE_READY || (m->place == ORACLE_READY && m->came_back);
    return n;
}

static void go(struct oracle *o, struct oracle_message *m, enum oracle_place place)
{
    m->place = place;
    m->entered = ++o->clock;
    if (place == ORACLE_NOWHERE)
        memset(m, 0, sizeof *m);
}

enum leat_status oracle_create(struct oracle *o, int q, uint32_t max_attempts, struct duration lease, int dead_letter)
{
    struct oracle_queue *queue = &o->queues[q];
    if (queue->live)
        return queue->max_attempts == max_attempts && queue->lease.ns == lease.ns && queue->dead_letter == dead_letter
                   ? LEAT_OK
                   : LEAT_QUEUE_EXISTS;
    if (dead_letter != ORACLE_NONE && !o->queues[dead_letter].live)
        return LEAT_NO_QUEUE;
    must(!queue->dropped);
    uint32_t in_use = 0;
    for (int i = 0; i < ORACLE_QUEUES; i++)
        in_use += o->queues[i].live || o->queues[i].dropped;
    if (in_use == o->queues_max)
        return LEAT_QUEUES_FULL;
    *queue =
        (struct oracle_queue){.live = true, .dead_letter = dead_letter, .max_attempts = max_attempts, .lease = lease};
    return LEAT_OK;
}

enum leat_status oracle_drop(struct oracle *o, int q)
{
    if (!o->queues[q].live)
        return LEAT_NO_QUEUE;
    for (int i = 0; i < ORACLE_QUEUES; i++)
        if (o->queues[i].live && o->queues[i].dead_letter == q)
            return LEAT_QUEUE_IN_USE;
    o->queues[q].live = false;
    for
        EACH_CONST(o, m)
    o->queues[q].dropped |= m->place != ORACLE_NOWHERE && m->queue == q;
    return LEAT_OK;
}

enum leat_status oracle_put(struct oracle *o, int q, struct duration delay, struct instant now, struct lsn lsn)
{
    if (!o->queues[q].live)
        return LEAT_NO_QUEUE;
    if (delay.ns > o->delay_max.ns)
        return LEAT_BAD_VALUE;
    if (delay.ns > 0 && slots_used(o) == o->slots_max)
        return LEAT_LEASES_FULL;
    struct oracle_message *m = o->messages;
    while (m->place != ORACLE_NOWHERE)
        must(++m < o->messages + ORACLE_MESSAGES);
    *m = (struct oracle_message){.queue = q, .lsn = lsn, .sent = now, .since = now, .due = instant_add(now, delay)};
    go(o, m, delay.ns > 0 ? ORACLE_DELAYED : ORACLE_READY);
    o->queues[q].puts++;
    return LEAT_OK;
}

static bool goes_before(const struct oracle_message *a, const struct oracle_message *b)
{
    if (a->came_back != b->came_back)
        return a->came_back;
    return a->came_back ? a->lsn.n < b->lsn.n : a->entered < b->entered;
}

enum leat_status oracle_take(struct oracle *o, int q, struct duration lease, struct instant now, int *m,
                             uint64_t *number)
{
    if (!o->queues[q].live)
        return LEAT_NO_QUEUE;
    if (lease.ns == 0)
        lease = o->queues[q].lease;
    if (lease.ns < o->lease_min.ns || lease.ns > o->lease_max.ns)
        return LEAT_BAD_VALUE;
    struct oracle_message *first = NULL;
    for
        EACH(o, c)
    if (c->place == ORACLE_READY && c->queue == q && (!first || goes_before(c, first)))
        first = c;
    if (!first)
        return LEAT_EMPTY;
    if (!first->came_back && slots_used(o) == o->slots_max)
        return LEAT_LEASES_FULL;
    go(o, first, ORACLE_LEASED);
    first->attempts++;
    first->since = now;
    first->due = instant_add(now, lease);
    first->lease = ++o->leases;
    o->queues[q].takes++;
    *m = (int)(first - o->messages);
    *number = first->lease;
    return LEAT_OK;
}

/* An attempt has failed, at `now`; true if it was the last one. */
static bool spent(struct oracle *o, struct oracle_message *m)
{
    struct oracle_queue *queue = &o->queues[m->queue];
    if (queue->max_attempts == 0 || m->attempts < queue->max_attempts)
        return false;
    queue->dead_letters++;
    m->lease = 0;
    if (queue->dead_letter == ORACLE_NONE) {
        go(o, m, ORACLE_DEAD);
        return true;
    }
    m->queue = queue->dead_letter;
    m->attempts = 0;
    m->came_back = true;
    o->queues[m->queue].puts++;
    go(o, m, ORACLE_READY);
    return true;
}

static void nack(struct oracle *o, struct oracle_message *m, struct duration delay, struct instant now)
{
    o->queues[m->queue].nacks++;
    if (spent(o, m))
        return;
    m->lease = 0;
    m->came_back = true;
    m->since = now;
    m->due = instant_add(now, delay);
    go(o, m, delay.ns > 0 ? ORACLE_DELAYED : ORACLE_READY);
}

enum leat_status oracle_finish(struct oracle *o, uint8_t op, int q, struct lsn lsn, uint64_t lease,
                               struct duration time, struct instant now)
{
    if (!o->queues[q].live)
        return LEAT_NO_QUEUE;
    struct oracle_message *m = find(o, lsn);
    if (!m || m->queue != q || m->lease != lease || lease == 0)
        return LEAT_STALE_RECEIPT;
    if (op == OP_ACK) {
        o->queues[q].acks++;
        go(o, m, ORACLE_NOWHERE);
        return LEAT_OK;
    }
    if (m->place != ORACLE_LEASED || now.ns >= m->due.ns)
        return LEAT_STALE_RECEIPT;
    if (op == OP_EXTEND ? time.ns < o->lease_min.ns || time.ns > o->lease_max.ns : time.ns > o->delay_max.ns)
        return LEAT_BAD_VALUE;
    if (op == OP_EXTEND)
        m->due = instant_add(now, time);
    else
        nack(o, m, time, now);
    return LEAT_OK;
}

bool oracle_due(struct oracle *o, uint8_t kind, struct lsn lsn, struct instant now)
{
    struct oracle_message *m = find(o, lsn);
    if (!m || now.ns < m->due.ns || !o->queues[m->queue].live)
        return false;
    if (m->place == ORACLE_DELAYED) {
        go(o, m, ORACLE_READY);
        return kind == FACT_RIPENED;
    }
    if (m->place != ORACLE_LEASED)
        return false;
    o->queues[m->queue].expiries++;
    if (spent(o, m))
        return kind == FACT_MOVED;
    m->came_back = true;
    go(o, m, ORACLE_READY); /* its receipt may still ack */
    return kind == FACT_EXPIRED;
}

bool oracle_overdue(const struct oracle *o, struct instant now)
{
    for
        EACH_CONST(o, m)
    if ((m->place == ORACLE_LEASED || m->place == ORACLE_DELAYED) && o->queues[m->queue].live &&
        m->due.ns + 1000000 <= now.ns)
        return true;
    return false;
}

void oracle_reaped(struct oracle *o)
{
    for
        EACH(o, m)
    if (m->place != ORACLE_NOWHERE && o->queues[m->queue].dropped)
        go(o, m, ORACLE_NOWHERE);
    for (int q = 0; q < ORACLE_QUEUES; q++)
        o->queues[q].dropped = false;
}

void oracle_restart(struct oracle *o, struct instant newest, struct instant now)
{
    for
        EACH(o, m)
        {
            if (m->place != ORACLE_LEASED)
                continue;
            uint64_t full = m->due.ns - m->since.ns, usual = o->queues[m->queue].lease.ns;
            uint64_t left = instant_since(m->due, newest).ns;
            if (full > usual)
                full = left > usual ? left : usual;
            m->due = instant_add(now, (struct duration){full});
            m->since = now;
        }
}

void oracle_stat(const struct oracle *o, int q, struct instant now, struct reply_stat *stat)
{
    const struct oracle_queue *queue = &o->queues[q];
    const struct oracle_message *fresh = NULL, *back = NULL, *leased = NULL, *delayed = NULL;
    memset(stat, 0, sizeof *stat);
    for
        EACH_CONST(o, m)
        {
            if (m->queue != q)
                continue;
            stat->ready += m->place == ORACLE_READY;
            stat->leased += m->place == ORACLE_LEASED;
            stat->delayed += m->place == ORACLE_DELAYED;
            stat->dead += m->place == ORACLE_DEAD;
            if (m->place == ORACLE_READY && !m->came_back && (!fresh || goes_before(m, fresh)))
                fresh = m;
            if (m->place == ORACLE_READY && m->came_back && (!back || goes_before(m, back)))
                back = m;
            if (m->place == ORACLE_LEASED && (!leased || m->since.ns < leased->since.ns))
                leased = m;
            if (m->place == ORACLE_DELAYED && (!delayed || m->entered < delayed->entered))
                delayed = m;
        }
    struct duration a = fresh ? instant_since(now, fresh->sent) : (struct duration){0};
    struct duration b = back ? instant_since(now, back->sent) : (struct duration){0};
    stat->oldest_ready = a.ns > b.ns ? a : b;
    if (leased)
        stat->oldest_leased = instant_since(now, leased->since);
    if (delayed)
        stat->oldest_delayed = instant_since(now, delayed->since);
    stat->puts = queue->puts;
    stat->takes = queue->takes;
    stat->acks = queue->acks;
    stat->nacks = queue->nacks;
    stat->expiries = queue->expiries;
    stat->dead_letters = queue->dead_letters;
}

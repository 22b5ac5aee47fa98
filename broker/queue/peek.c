/* peek.c - see peek.h. The heap of returned messages is walked best first: a node's children are candidates once the
 * node has been given out; the candidates are kept in order, and no more than may still be asked for. */
#include "peek.h"

#include <string.h>

enum { PEEK_CANDIDATES = 1024 };

struct peek {
    const struct engine *e;
    struct peek_message *out;
    unsigned count, max;
};

static void peek_slot(struct peek *p, uint32_t slot)
{
    const struct message *m = engine_message_at(p->e, slot);
    p->out[p->count++] = (struct peek_message){m->lsn, m->where, m->attempts, m->state, m->durability};
}

/* Puts `slot` into the ordered candidates; the last falls out when there are more than `room`. */
static void peek_candidate(const struct engine *e, uint32_t *list, unsigned *n, unsigned room, uint32_t slot)
{
    unsigned at = *n;
    while (at > 0 && engine_message_at(e, list[at - 1])->lsn.n > engine_message_at(e, slot)->lsn.n)
        at--;
    if (at >= room)
        return;
    if (*n == room)
        (*n)--;
    memmove(list + at + 1, list + at, (*n - at) * sizeof *list);
    list[at] = slot;
    (*n)++;
}

static void peek_heap(struct peek *p, uint32_t root)
{
    uint32_t list[PEEK_CANDIDATES];
    unsigned n = 0;
    if (root != SLAB_NONE)
        list[n++] = root;
    while (n > 0 && p->count < p->max) {
        uint32_t slot = list[0];
        memmove(list, list + 1, --n * sizeof *list);
        peek_slot(p, slot);
        unsigned room = p->max - p->count < PEEK_CANDIDATES ? p->max - p->count : PEEK_CANDIDATES;
        uint32_t child = engine_message_at(p->e, slot)->child;
        for (; room > 0 && child != SLAB_NONE; child = engine_message_at(p->e, child)->next)
            peek_candidate(p->e, list, &n, room, child);
    }
}

static void peek_list(struct peek *p, const struct queue_list *list)
{
    for (uint32_t slot = list->head; slot != SLAB_NONE && p->count < p->max; slot = engine_message_at(p->e, slot)->next)
        peek_slot(p, slot);
}

unsigned peek_queue(const struct engine *e, uint32_t queue, struct peek_message *messages, unsigned max)
{
    const struct queue *q = engine_queue_at(e, queue);
    struct peek p = {e, messages, 0, max};
    peek_heap(&p, q->ready.heap);
    struct ready_walk walk = {0};
    struct ready_entry entry;
    while (p.count < max && ready_next(&q->ready, &e->chunks, &walk, &entry))
        messages[p.count++] = (struct peek_message){entry.lsn, entry.where, 0, MESSAGE_READY, entry.durability};
    peek_list(&p, &q->delayed);
    peek_list(&p, &q->leased);
    peek_list(&p, &q->dead);
    return p.count;
}

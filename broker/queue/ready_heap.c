/* ready_heap.c - messages that came back, lowest position first: a pairing heap through their slots. `previous` of a
 * first child is its parent, of another one the sibling before it.
 *
 * Many come back at once when leases run out, and none is taken meanwhile. In a plain pairing heap they would all
 * become children of one root, and the next take would join a million in one step. Therefore a newcomer is joined with
 * its sibling of the same rank, and so on, as one is added to a binary number (the binomial queue of Vuillemin): the
 * root has some twenty children, whatever came. */
#include "mark.h"
#include "ready.h"

static const struct message *message_at(const struct slab *slots, uint32_t slot)
{
    return slab_at(slots, slot);
}

static struct message *message_write(struct slab *slots, uint32_t slot)
{
    return slab_write(slots, slot);
}

/* Joins two heaps (roots without siblings); the lower position becomes the root. */
static uint32_t meld(struct slab *slots, uint32_t a, uint32_t b)
{
    if (a == SLAB_NONE || b == SLAB_NONE)
        return a == SLAB_NONE ? b : a;
    if (message_at(slots, b)->lsn.n < message_at(slots, a)->lsn.n) {
        uint32_t swap = a;
        a = b;
        b = swap;
    }
    struct message *root = message_write(slots, a), *child = message_write(slots, b);
    child->next = root->child;
    child->previous = a;
    if (root->rank <= child->rank)
        root->rank = child->rank + 1;
    if (child->next != SLAB_NONE)
        message_write(slots, child->next)->previous = b;
    root->child = b;
    return a;
}

/* Joins a list of siblings into one heap: pairs from left to right, then all from right to left. */
static uint32_t meld_siblings(struct slab *slots, uint32_t first)
{
    uint32_t pairs = SLAB_NONE; /* a stack through `next` */
    while (first != SLAB_NONE) {
        uint32_t second = message_at(slots, first)->next;
        uint32_t rest = second == SLAB_NONE ? SLAB_NONE : message_at(slots, second)->next;
        message_write(slots, first)->next = SLAB_NONE;
        if (second != SLAB_NONE)
            message_write(slots, second)->next = SLAB_NONE;
        uint32_t pair = meld(slots, first, second);
        message_write(slots, pair)->next = pairs;
        pairs = pair;
        first = rest;
    }
    uint32_t heap = SLAB_NONE;
    while (pairs != SLAB_NONE) {
        uint32_t next = message_at(slots, pairs)->next;
        message_write(slots, pairs)->next = SLAB_NONE;
        heap = meld(slots, heap, pairs);
        pairs = next;
    }
    if (heap != SLAB_NONE)
        message_write(slots, heap)->previous = SLAB_NONE;
    return heap;
}

/* While the first two children have the same rank, they become one. */
static void carry(struct slab *slots, uint32_t parent)
{
    for (;;) {
        uint32_t first = message_at(slots, parent)->child;
        uint32_t second = first == SLAB_NONE ? SLAB_NONE : message_at(slots, first)->next;
        if (second == SLAB_NONE || message_at(slots, first)->rank != message_at(slots, second)->rank)
            return;
        mark(ready_heap_carried);
        uint32_t rest = message_at(slots, second)->next;
        message_write(slots, first)->next = message_write(slots, second)->next = SLAB_NONE;
        uint32_t one = meld(slots, first, second);
        message_write(slots, one)->previous = parent;
        message_write(slots, one)->next = rest;
        message_write(slots, parent)->child = one;
        if (rest != SLAB_NONE)
            message_write(slots, rest)->previous = one;
    }
}

void ready_heap_add(struct ready *r, struct slab *slots, uint32_t slot)
{
    struct message *m = message_write(slots, slot);
    m->next = m->previous = SLAB_NONE;
    m->child = SLAB_NONE;
    m->rank = 0;
    r->heap = meld(slots, r->heap, slot);
    carry(slots, r->heap);
}

void ready_heap_remove(struct ready *r, struct slab *slots, uint32_t slot)
{
    struct message *m = message_write(slots, slot);
    uint32_t below = meld_siblings(slots, m->child);
    m->child = SLAB_NONE;
    if (slot == r->heap) {
        r->heap = below;
        return;
    }
    mark(ready_heap_removed_inside);
    struct message *before = message_write(slots, m->previous);
    if (before->child == slot)
        before->child = m->next;
    else
        before->next = m->next;
    if (m->next != SLAB_NONE)
        message_write(slots, m->next)->previous = m->previous;
    r->heap = meld(slots, r->heap, below);
}

/* From the last sibling back to the first and up to their parent, which must be older than all of them; SLAB_NONE from
 * the root. */
static uint32_t climb(const struct slab *slots, uint32_t slot, bool *sound)
{
    uint64_t oldest = message_at(slots, slot)->lsn.n;
    uint32_t up = message_at(slots, slot)->previous;
    while (up != SLAB_NONE && message_at(slots, up)->child != slot) {
        slot = up;
        up = message_at(slots, slot)->previous;
        if (message_at(slots, slot)->lsn.n < oldest)
            oldest = message_at(slots, slot)->lsn.n;
    }
    if (up != SLAB_NONE && message_at(slots, up)->lsn.n >= oldest)
        *sound = false;
    return up;
}

/* Down to the first child, else on to the next sibling, else up until there is one. Going up follows only links that
 * were looked at on the way down. */
bool ready_heap_sound(const struct ready *r, const struct slab *slots, uint32_t queue, uint64_t max, uint64_t *count,
                      uint64_t *bytes)
{
    uint32_t before = SLAB_NONE;
    bool sound = true;
    *count = 0;
    for (uint32_t at = r->heap; at != SLAB_NONE && sound;) {
        if (at >= slots->used || ++*count > max || *count > slots->used)
            return false;
        const struct message *m = message_at(slots, at);
        if (m->state != MESSAGE_READY || m->queue != queue || m->previous != before)
            return false;
        *bytes += 8ull * m->where.size8;
        before = at;
        if (m->child != SLAB_NONE) {
            at = m->child;
            continue;
        }
        while (before != SLAB_NONE && message_at(slots, before)->next == SLAB_NONE && sound)
            before = climb(slots, before, &sound);
        at = before == SLAB_NONE ? SLAB_NONE : message_at(slots, before)->next;
        if (before == r->heap)
            return false; /* the root has no sibling */
    }
    return sound;
}

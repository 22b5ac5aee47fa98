/* window.c - slots as bits: finding the lowest number to send is two instructions, whatever the window. */
#include "window.h"

#include <stddef.h>

#include "must.h"

enum { RETRY_FACTOR = 10 };
static const struct duration RETRY_FIRST = {20 * 1000 * 1000}; /* before anything was measured */
static const struct duration RETRY_MIN = {1000 * 1000};
static const struct duration RETRY_MAX = {1000 * 1000 * 1000};

void window_reset(struct window *w, uint16_t size)
{
    must(size >= 1 && size <= WINDOW_MAX);
    w->size = size;
    w->oldest = w->next = 1;
    w->open = w->to_send = 0;
}

static unsigned index_of(const struct window *w, uint64_t number)
{
    return (unsigned)(number % w->size);
}

static uint64_t bit_of(const struct window *w, const struct window_slot *slot)
{
    return 1ull << (slot - w->slots);
}

/* The lowest number among the slots of a mask, which are all within one window from `oldest`. */
static struct window_slot *lowest(struct window *w, uint64_t mask)
{
    if (mask == 0)
        return NULL;
    uint64_t not_wrapped = mask & ~0ull << index_of(w, w->oldest);
    return &w->slots[__builtin_ctzll(not_wrapped ? not_wrapped : mask)];
}

bool window_full(const struct window *w)
{
    return w->next - w->oldest >= w->size;
}

uint64_t window_take(struct window *w, uint16_t call)
{
    must(!window_full(w));
    struct window_slot *slot = &w->slots[index_of(w, w->next)];
    *slot = (struct window_slot){.number = w->next++, .call = call, .due = INSTANT_NEVER};
    w->open |= bit_of(w, slot);
    w->to_send |= bit_of(w, slot);
    return slot->number;
}

struct window_slot *window_find(struct window *w, uint64_t number)
{
    struct window_slot *slot = &w->slots[index_of(w, number)];
    return slot->number == number && (w->open & bit_of(w, slot)) ? slot : NULL;
}

static void measure(struct window *w, const struct window_slot *slot, struct instant now)
{
    if (slot->sends != 1 || slot->parked)
        return; /* whose answer is it? */
    uint64_t sample = instant_since(now, slot->sent).ns;
    if (w->smoothed.ns == 0) {
        w->smoothed.ns = sample + 1;
        w->variation.ns = sample / 2;
        return;
    }
    uint64_t error = sample > w->smoothed.ns ? sample - w->smoothed.ns : w->smoothed.ns - sample;
    w->variation.ns = (3 * w->variation.ns + error) / 4;
    w->smoothed.ns = (7 * w->smoothed.ns + sample) / 8 + 1;
}

void window_answered(struct window *w, struct window_slot *slot, struct instant now)
{
    must(w->open & bit_of(w, slot));
    measure(w, slot, now);
    w->open &= ~bit_of(w, slot);
    w->to_send &= ~bit_of(w, slot);
    while (w->oldest < w->next && !(w->open & 1ull << index_of(w, w->oldest)))
        w->oldest++;
}

void window_parked(struct window *w, struct window_slot *slot, struct instant now, struct instant due)
{
    measure(w, slot, now);
    slot->parked = true;
    slot->due = due;
}

void window_resend(struct window *w, struct window_slot *slot)
{
    w->to_send |= bit_of(w, slot);
}

void window_resend_from(struct window *w, uint64_t number)
{
    for (uint64_t n = number > w->oldest ? number : w->oldest; n < w->next; n++) {
        struct window_slot *slot = window_find(w, n);
        if (!slot)
            continue;
        slot->parked = false;
        window_resend(w, slot);
    }
}

struct window_slot *window_first_to_send(struct window *w)
{
    return lowest(w, w->to_send);
}

struct duration window_retry_after(const struct window *w)
{
    if (w->smoothed.ns == 0)
        return RETRY_FIRST;
    uint64_t wide = w->smoothed.ns + 4 * w->variation.ns, far = RETRY_FACTOR * w->smoothed.ns;
    uint64_t ns = wide > far ? wide : far;
    if (ns < RETRY_MIN.ns)
        return RETRY_MIN;
    return ns > RETRY_MAX.ns ? RETRY_MAX : (struct duration){ns};
}

void window_sent(struct window *w, struct window_slot *slot, struct instant now, struct duration patience)
{
    w->to_send &= ~bit_of(w, slot);
    if (patience.ns == 0) {
        unsigned doubling = slot->sends < 10 ? slot->sends : 10;
        patience.ns = window_retry_after(w).ns << doubling;
        if (patience.ns > RETRY_MAX.ns)
            patience = RETRY_MAX;
    }
    if (slot->sends < UINT16_MAX)
        slot->sends++;
    slot->sent = now;
    slot->due = instant_add(now, patience);
}

struct window_slot *window_first_overdue(struct window *w, struct instant now)
{
    uint64_t late = 0;
    for (uint64_t waiting = w->open & ~w->to_send; waiting; waiting &= waiting - 1) {
        unsigned i = (unsigned)__builtin_ctzll(waiting);
        if (!instant_before(now, w->slots[i].due))
            late |= 1ull << i;
    }
    return lowest(w, late);
}

struct instant window_next_due(const struct window *w)
{
    struct instant due = INSTANT_NEVER;
    for (uint64_t waiting = w->open & ~w->to_send; waiting; waiting &= waiting - 1)
        due = instant_min(due, w->slots[__builtin_ctzll(waiting)].due);
    return due;
}

uint64_t window_answers(const struct window *w)
{
    uint64_t bits = 0;
    for (uint64_t number = w->oldest; number < w->next; number++)
        if (!(w->open >> number % w->size & 1))
            bits |= 1ull << (number - w->oldest);
    return bits;
}

/* ahead.c - see ahead.h. A few dozen stretches are looked through one by one: that is once per read, not per message.
 */
#include "ahead.h"

#include <string.h>

#include "mark.h"
#include "must.h"

enum { AHEAD_IDLE_MS = 1000, AHEAD_FRESH = 64 };

void ahead_open(struct ahead *a, uint64_t buffer_max, uint64_t segment_bytes)
{
    uint64_t size = segment_bytes / 8 / DISK_BLOCK * DISK_BLOCK;
    a->size = size > AHEAD_STRETCH ? AHEAD_STRETCH : size < DISK_BLOCK ? DISK_BLOCK : (uint32_t)size;
    uint64_t count = buffer_max / 8 / a->size;
    a->count = count > AHEAD_STRETCHES ? AHEAD_STRETCHES : (uint32_t)count;
}

static void empty(struct ahead_stretch *s, struct buffers *b, uint32_t size)
{
    buffers_give(b, s->data, size);
    *s = (struct ahead_stretch){0};
}

void ahead_close(struct ahead *a, struct buffers *b)
{
    for (uint32_t i = 0; i < a->count; i++)
        empty(&a->stretches[i], b, a->size);
}

bool ahead_release(struct ahead *a, struct buffers *b)
{
    bool any = false;
    for (uint32_t i = 0; i < a->count; i++) {
        struct ahead_stretch *s = &a->stretches[i];
        if (!s->data || s->state == AHEAD_COMES)
            continue;
        empty(s, b, a->size);
        any = true;
    }
    return any;
}

void ahead_idle(struct ahead *a, struct buffers *b, struct instant now)
{
    if (a->last.ns != 0 && instant_since(now, a->last).ns > duration_ms(AHEAD_IDLE_MS).ns && a->flying == 0) {
        ahead_release(a, b);
        a->last = INSTANT_ZERO;
    }
}

static struct ahead_stretch *find(struct ahead *a, uint64_t life, uint64_t index)
{
    for (uint32_t i = 0; i < a->count; i++) {
        struct ahead_stretch *s = &a->stretches[i];
#if LEAT_BUG == 41
        if (s->name.index == index && s->name.life >> 32 == life >> 32 && s->state != AHEAD_EMPTY)
            return s; /* whatever was in that file before it was written anew */
#endif
        if (s->name.index == index && s->name.life == life && s->state != AHEAD_EMPTY)
            return s;
    }
    return NULL;
}

static void hint(struct ahead *a, uint64_t block, uint64_t index)
{
    for (uint32_t i = 0; i < a->hinted; i++)
        if (a->hints[i].block == block && a->hints[i].index == index)
            return;
    if (a->hinted < AHEAD_HINTS)
        a->hints[a->hinted++] = (struct ahead_hint){block, index};
}

/* Nothing is here. Was there a miss just before this one? */
static void missed(struct ahead *a, uint64_t life, uint64_t block, uint64_t index)
{
    for (uint32_t i = 0; i < AHEAD_MISSES; i++) {
        struct ahead_name *m = &a->misses[i];
        if (m->life != life || (m->index != index && m->index + 1 != index))
            continue;
        m->index = index;
        hint(a, block, index);
        mark(reading_on);
        return;
    }
    a->misses[a->missed++ % AHEAD_MISSES] = (struct ahead_name){life, index};
}

/* The part of one stretch that is asked for. */
static uint32_t part(const struct ahead *a, uint64_t offset, uint32_t size)
{
    uint64_t left = a->size - offset % a->size;
    return size < left ? size : (uint32_t)left;
}

enum ahead_state ahead_get(struct ahead *a, const struct journal_spot *spot, uint64_t block, uint64_t offset,
                           uint32_t size, uint8_t *out, struct instant now)
{
    enum ahead_state worst = AHEAD_HERE;
    uint64_t end = offset + size;
    a->last = now;
    for (uint64_t at = offset; at < end && worst != AHEAD_EMPTY; at += part(a, at, (uint32_t)(end - at))) {
        const struct ahead_stretch *s = find(a, spot->life, at / a->size);
        if (!s || at % a->size + part(a, at, (uint32_t)(end - at)) > s->size)
            worst = AHEAD_EMPTY;
        else if (s->state == AHEAD_COMES)
            worst = AHEAD_COMES;
    }
    if (worst == AHEAD_COMES && offset / a->size != (end - 1) / a->size)
        worst = AHEAD_EMPTY; /* who waits for two may wait for ever: one goes while the other comes */
    if (worst == AHEAD_EMPTY) {
        missed(a, spot->life, block, (end - 1) / a->size);
        return worst;
    }
    hint(a, block, (end - 1) / a->size + 1);
    for (uint64_t at = offset; at < end && worst == AHEAD_HERE;) {
        struct ahead_stretch *s = find(a, spot->life, at / a->size);
        uint32_t n = part(a, at, (uint32_t)(end - at));
        memcpy(out + (at - offset), s->data + at % a->size, n);
        s->used = ++a->tick;
        at += n;
    }
    struct ahead_stretch *passed = find(a, spot->life, offset / a->size - 1);
    if (passed && worst == AHEAD_HERE)
        passed->used = 0;
    a->hits += worst == AHEAD_HERE;
    return worst;
}

/* The one that is missed least: an empty one, one that was passed, the one longest unused; NULL if all are new. */
static struct ahead_stretch *victim(struct ahead *a)
{
    struct ahead_stretch *best = NULL;
    for (uint32_t i = 0; i < a->count; i++) {
        struct ahead_stretch *s = &a->stretches[i];
        if (s->state == AHEAD_EMPTY)
            return s;
        if (s->state == AHEAD_HERE && (!best || s->used < best->used))
            best = s;
    }
    if (best && best->used != 0 && best->used + AHEAD_FRESH > a->tick)
        return NULL;
    return best;
}

static bool start(struct ahead *a, struct journal *j, struct buffers *b, const struct journal_spot *spot,
                  uint64_t index)
{
    uint64_t offset = index * a->size;
    uint64_t size = spot->bytes - offset < a->size ? spot->bytes - offset : a->size;
    if (offset + size > spot->end)
        return false; /* still being written: that is in memory anyway */
    struct ahead_stretch *s = victim(a);
    if (!s)
        return false;
    if (!s->data)
        s->data = buffers_take(b, a->size);
    if (!s->data)
        return false;
    s->state = AHEAD_EMPTY;
    uint64_t tag = AHEAD_TAG | (uint64_t)(s - a->stretches);
    if (!journal_fetch_spot(j, spot, offset, (uint32_t)size, s->data, tag))
        return false;
    s->name = (struct ahead_name){spot->life, index};
    s->size = (uint32_t)size;
    s->state = AHEAD_COMES;
    s->used = ++a->tick;
    a->flying++;
    a->reads++;
    mark(stretch_read_ahead);
    return true;
}

unsigned ahead_step(struct ahead *a, struct journal *j, struct buffers *b)
{
    unsigned n = 0;
    for (; a->hinted > 0; a->hinted--) {
        struct ahead_hint h = a->hints[a->hinted - 1];
        struct journal_spot spot;
        bool on = a->count >= 2 && journal_spot(j, h.block, &spot);
        for (uint64_t ahead = 0; on && ahead < AHEAD_BYTES && a->flying < AHEAD_FLYING; ahead += a->size, h.index++) {
            if (h.index * a->size >= spot.bytes) {
                h.index = 0;
                on = journal_spot(j, spot.next, &spot);
            }
            if (on && !find(a, spot.life, h.index)) {
                on = start(a, j, b, &spot, h.index);
                n += on;
            }
        }
    }
    return n;
}

void ahead_arrived(struct ahead *a, uint64_t tag, enum leat_status status)
{
    uint64_t slot = tag & ~AHEAD_TAG;
    must(slot < a->count && a->flying > 0);
    struct ahead_stretch *s = &a->stretches[slot];
    must(s->state == AHEAD_COMES);
    s->state = status == LEAT_OK ? AHEAD_HERE : AHEAD_EMPTY;
    a->flying--;
}

void ahead_forget(struct ahead *a, uint64_t life, uint64_t offset)
{
    struct ahead_stretch *s = find(a, life, offset / a->size);
    if (s && s->state == AHEAD_HERE)
        s->state = AHEAD_EMPTY;
}

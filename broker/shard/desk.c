/* desk.c - lists of places and chains of connections. */
#include "desk.h"

#include <string.h>

#include "must.h"

enum leat_status desk_open(struct desk *d, uint32_t sessions, uint32_t window, uint32_t queues, struct instant start)
{
    memset(d, 0, sizeof *d);
    d->sessions_max = sessions;
    d->window_max = window;
    enum leat_status status = slab_open(&d->sessions, sessions, sizeof(struct desk_session));
    if (status == LEAT_OK)
        status = slab_open(&d->places, sessions * window, sizeof(struct desk_place));
    if (status == LEAT_OK)
        status = slab_open(&d->lines, queues, sizeof(struct desk_list));
    if (status == LEAT_OK)
        status = wheel_open(&d->wheel, sessions * window + sessions, start);
    if (status != LEAT_OK) {
        desk_close(d);
        return status;
    }
    d->hello_head = d->hello_tail = DESK_NONE;
    memset(d->peers, 0xff, sizeof d->peers);
    return LEAT_OK;
}

void desk_close(struct desk *d)
{
    slab_close(&d->sessions);
    slab_close(&d->places);
    slab_close(&d->lines);
    wheel_close(&d->wheel);
}

void desk_list_add(struct desk *d, struct desk_list *list, uint32_t index)
{
    struct desk_place *p = desk_place(d, index);
    must(p->list == NULL);
    p->list = list;
    p->next = 0;
    p->previous = list->last;
    if (list->last == 0)
        list->first = index + 1;
    else
        desk_place(d, list->last - 1)->next = index + 1;
    list->last = index + 1;
    list->count++;
}

void desk_list_remove(struct desk *d, uint32_t index)
{
    struct desk_place *p = desk_place(d, index);
    if (!p->list)
        return;
    if (p->previous == 0)
        p->list->first = p->next;
    else
        desk_place(d, p->previous - 1)->next = p->next;
    if (p->next == 0)
        p->list->last = p->previous;
    else
        desk_place(d, p->next - 1)->previous = p->previous;
    p->list->count--;
    p->list = NULL;
}

static uint32_t *desk_count(struct desk *d, uint8_t state)
{
    switch (state) {
    case DESK_HELD:
        return &d->held_count;
    case DESK_SENDING:
        return &d->sending_count;
    case DESK_PARKED:
        return &d->parked_count;
    default:
        return NULL;
    }
}

void desk_settle(struct desk *d, uint32_t index, enum desk_state state)
{
    struct desk_place *p = desk_place(d, index);
    desk_list_remove(d, index);
    uint32_t *before = desk_count(d, p->state), *after = desk_count(d, (uint8_t)state);
    if (before) {
        must(*before > 0);
        (*before)--;
    }
    if (after)
        (*after)++;
    p->state = (uint8_t)state;
}

static uint32_t *desk_chain(const struct desk *d, uint8_t transport, uint32_t peer)
{
    uint32_t mixed = (peer ^ (uint32_t)transport << 27) * 0x9e3779b1u;
    return (uint32_t *)(uintptr_t)&d->peers[mixed >> 20];
}
_Static_assert(DESK_PEER_CHAINS == 1 << 12, "the upper 12 bits of the mixed peer name a chain");

void desk_attach(struct desk *d, uint32_t handle, uint8_t transport, uint32_t peer, uint32_t frame_max)
{
    struct desk_session *s = desk_session(d, handle);
    must(!s->attached);
    s->attached = true;
    s->transport = transport;
    s->peer = peer;
    s->frame_max = frame_max;
    s->stuck = INSTANT_ZERO;
    uint32_t *chain = desk_chain(d, transport, peer);
    s->peer_next = *chain;
    *chain = handle;
}

void desk_detach(struct desk *d, uint32_t handle, struct instant now)
{
    struct desk_session *s = desk_session(d, handle);
    s->heard = now;
    if (!s->attached)
        return;
    uint32_t *link = desk_chain(d, s->transport, s->peer);
    while (*link != handle) {
        must(*link != DESK_NONE);
        link = &desk_session(d, *link)->peer_next;
    }
    *link = s->peer_next;
    s->attached = false;
}

uint32_t desk_attached(const struct desk *d, uint8_t transport, uint32_t peer)
{
    uint32_t handle = *desk_chain(d, transport, peer);
    while (handle != DESK_NONE) {
        const struct desk_session *s = desk_session(d, handle);
        if (s->peer == peer && s->transport == transport)
            return handle;
        handle = s->peer_next;
    }
    return DESK_NONE;
}

bool desk_crowded(const struct desk *d, uint8_t transport, uint32_t peer)
{
    unsigned n = 0;
    for (uint32_t handle = *desk_chain(d, transport, peer); handle != DESK_NONE;) {
        const struct desk_session *s = desk_session(d, handle);
        n += s->peer == peer && s->transport == transport;
        handle = s->peer_next;
    }
    return n >= DESK_PEER_SESSIONS;
}

struct desk_assemblies desk_assemblies(const struct desk *d, uint8_t transport, uint32_t peer)
{
    struct desk_assemblies held = {.oldest = DESK_NONE};
    struct instant begun = INSTANT_NEVER;
    for (uint32_t handle = *desk_chain(d, transport, peer); handle != DESK_NONE;) {
        const struct desk_session *s = desk_session(d, handle);
        if (s->assembly && s->peer == peer && s->transport == transport) {
            held.bytes += s->assembly_total;
            held.count++;
            if (instant_before(s->assembly_begun, begun)) {
                begun = s->assembly_begun;
                held.oldest = handle;
            }
        }
        handle = s->peer_next;
    }
    return held;
}

void desk_hello_hold(struct desk *d, uint32_t handle)
{
    struct desk_session *s = desk_session(d, handle);
    if (s->hello_held)
        return;
    s->hello_held = true;
    s->hello_next = DESK_NONE;
    if (d->hello_tail == DESK_NONE)
        d->hello_head = handle;
    else
        desk_session(d, d->hello_tail)->hello_next = handle;
    d->hello_tail = handle;
}

uint32_t desk_hello_first(const struct desk *d)
{
    return d->hello_head;
}

void desk_hello_pop(struct desk *d)
{
    must(d->hello_head != DESK_NONE);
    struct desk_session *s = desk_session(d, d->hello_head);
    s->hello_held = false;
    d->hello_head = s->hello_next;
    if (d->hello_head == DESK_NONE)
        d->hello_tail = DESK_NONE;
}

void desk_hello_drop(struct desk *d, uint32_t handle)
{
    if (!desk_session(d, handle)->hello_held)
        return;
    uint32_t before = DESK_NONE, at = d->hello_head;
    while (at != handle) {
        must(at != DESK_NONE);
        before = at;
        at = desk_session(d, at)->hello_next;
    }
    uint32_t next = desk_session(d, handle)->hello_next;
    if (before == DESK_NONE)
        d->hello_head = next;
    else
        desk_session(d, before)->hello_next = next;
    if (next == DESK_NONE)
        d->hello_tail = before;
    desk_session(d, handle)->hello_held = false;
}

void desk_hello_note(struct desk *d, uint64_t nonce, uint8_t transport, uint32_t peer, uint32_t handle)
{
    d->hellos[d->hello_at++ % DESK_HELLOS] = (struct desk_hello){nonce, peer, handle, transport};
}

uint32_t desk_hello_seen(const struct desk *d, uint64_t nonce, uint8_t transport, uint32_t peer)
{
    for (unsigned i = 0; i < DESK_HELLOS; i++) {
        const struct desk_hello *h = &d->hellos[i];
        if (h->handle != 0 && h->nonce == nonce && h->peer == peer && h->transport == transport)
            return h->handle;
    }
    return 0;
}

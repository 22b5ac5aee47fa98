/* actor.c - the loop around the client core, as client.h wants it. */
#include "actor.h"

#include <string.h>

#include "must.h"
#include "world.h"

static uint64_t out[FRAME_MAX / 8];

static void birth(struct actor *a)
{
    struct client_config config = {.window = a->manners.window, .seed = prng_next(&a->prng), .budget = ACTOR_BUDGET};
    if (a->manners.link != LINK_STREAM) {
        config.datagrams = true;
        config.checksums = a->manners.link == LINK_UDP;
        config.datagram_max = a->w->draw.datagram_max < FRAME_MAX ? a->w->draw.datagram_max / 8 * 8 : FRAME_MAX - 8;
    }
    a->client = client_open(&config);
    must(a->client != NULL);
    a->lives++;
    a->connecting = false;
    a->born = a->think_until = a->w->now;
}

void actor_open(struct actor *a, struct world *w, uint32_t number, const struct draw_actor *manners)
{
    memset(a, 0, sizeof *a);
    a->w = w;
    a->number = number;
    a->manners = *manners;
    a->prng = prng_seed(w->draw.seed, STREAM_ACTOR + number);
    a->wake_at = UINT64_MAX;
    birth(a);
}

void actor_close(struct actor *a)
{
    if (a->client)
        client_close(a->client);
    a->client = NULL;
    a->born = UINT64_MAX;
}

static struct instant now_of(const struct actor *a)
{
    return (struct instant){a->w->now};
}

static void hang_up(struct actor *a)
{
    net_hang_up(&a->w->net, a->number);
    client_disconnected(a->client, now_of(a));
}

static void connect_if_wanted(struct actor *a)
{
    if (client_broken(a->client))
        hang_up(a);
    if (a->connecting || !client_wants_connection(a->client, now_of(a)))
        return;
    a->connecting = true;
    net_connect(&a->w->net, a->number, a->manners.link);
}

static void plan_to_wake(struct actor *a)
{
    uint64_t due = a->connecting ? UINT64_MAX : client_next_due(a->client).ns;
    uint64_t work = actor_work_due(a);
    uint64_t at = due < work ? due : work;
    if (at <= a->w->now)
        at = a->w->now + 1000;
    if (at == UINT64_MAX || (a->wake_at <= at && a->wake_at > a->w->now))
        return;
    a->wake_at = at;
    agenda_add(&a->w->agenda, at, ENTRY_ACTOR, a->number, 0, NULL);
}

void actor_run(struct actor *a)
{
    if (!a->client) {
        if (a->w->now < a->born)
            return;
        birth(a);
    }
    client_tick(a->client, now_of(a));
    connect_if_wanted(a);
    struct client_result r;
    while (client_result(a->client, &r))
        actor_work_result(a, &r);
    for (unsigned i = 0; i < 4 && actor_work(a); i++)
        ;
    if (!a->client) /* it chose to go */
        return;
    while (client_result(a->client, &r))
        actor_work_result(a, &r);
    for (size_t n;
         a->w->net.link[a->number].up && (n = client_output(a->client, (uint8_t *)out, sizeof out, now_of(a)));)
        net_send(&a->w->net, a->number, (const uint8_t *)out, (uint32_t)n);
    connect_if_wanted(a);
    plan_to_wake(a);
}

static void read_bytes(struct actor *a, const uint8_t *bytes, uint32_t size)
{
    if (size > 0 && client_input(a->client, bytes, size, now_of(a)) != LEAT_OK && a->w->net.link[a->number].up) {
        must(a->manners.link == LINK_STREAM);
        history_fail(&a->w->history, "client %u could not follow its stream", a->number);
        hang_up(a);
    }
}

void actor_read(struct actor *a, const struct packet *p)
{
    if (!a->client)
        return;
    const uint8_t *bytes = (const uint8_t *)p->bytes;
    uint32_t first = p->size; /* streams come in pieces of any size */
    if (a->manners.link == LINK_STREAM && prng_chance(&a->prng, 20))
        first = (uint32_t)prng_below(&a->prng, p->size + 1ul);
    read_bytes(a, bytes, first);
    read_bytes(a, bytes + first, p->size - first);
    actor_run(a);
}

void actor_link(struct actor *a, enum link_change what)
{
    if (!a->client) {
        net_hang_up(&a->w->net, a->number);
        return;
    }
    if (what == LINK_OPENED) {
        a->connecting = false;
        client_connected(a->client, now_of(a));
    } else if (what == LINK_REFUSED || what == LINK_BROKEN) {
        a->connecting = false;
        client_disconnected(a->client, now_of(a));
    }
    actor_run(a);
}

/* The outcome of everything under way is unknown. */
static void lose_calls(struct actor *a)
{
    struct history *h = &a->w->history;
    for (unsigned i = 0; i < ACTOR_CALLS; i++) {
        struct call *c = &a->call[i];
        for (uint16_t k = 0; c->open && k < c->count; k++) {
            if (c->op == OP_PUT)
                history_put_done(h, c->first + k, OUTCOME_UNKNOWN, LEAT_UNKNOWN_OUTCOME, NULL, world_stamp(a->w));
            else if (c->op == OP_ACK || c->op == OP_NACK || c->op == OP_EXTEND)
                history_finish_done(h, c->first + k, OUTCOME_UNKNOWN, LEAT_UNKNOWN_OUTCOME, world_stamp(a->w));
        }
        if (c->open && (c->op == OP_QUEUE_CREATE || c->op == OP_QUEUE_DROP)) {
            a->w->queue[c->queue].asked = false;
            if (c->op == OP_QUEUE_DROP)
                a->w->queue[c->queue].number = HISTORY_NONE;
        }
        a->w->calls -= c->open;
        c->open = false;
    }
}

void actor_die(struct actor *a, bool remembers, uint64_t reborn_at)
{
    if (!a->client)
        return;
    world_trace(a->w, "c%u dies%s", a->number, remembers ? ", but its receipts are known" : "");
    net_hang_up(&a->w->net, a->number);
    client_close(a->client);
    a->client = NULL;
    lose_calls(a);
    if (!remembers)
        a->held_count = 0;
    a->born = reborn_at;
    agenda_add(&a->w->agenda, reborn_at, ENTRY_ACTOR, a->number, 0, NULL);
}

bool actor_is_full(const struct actor *a)
{
    struct client_counters c;
    client_count(a->client, &c);
    return c.held_bytes + 3 * REPLY_MAX > ACTOR_BUDGET;
}

bool actor_idle(const struct actor *a)
{
    return a->client && a->held_count == 0 && client_pending(a->client) == 0;
}

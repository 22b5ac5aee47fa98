/* world.c - one event after the other, in three phases; see world.h. */
#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_broker.h"
#include "hash.h"
#include "mark.h"
#include "must.h"
#include "wire_trace.h"

enum { EVENTS_MAX = 1000000, HASHED_BYTES = 240 /* of each packet */ };
#define HEAL_BIRTH_NS 400000000ull
#define REST_NS 25000000000ull                /* longer than takes wait */
#define LIVENESS_BOUND 300000000000ull        /* five minutes: longer than any hold, wait, retry and timeout of ours */
#define DRAIN_BOUND (400 * 86400000000000ull) /* delays of a month, in rounds */

struct stamp world_stamp(const struct world *w)
{
    return (struct stamp){w->now, broker_log(&w->broker)};
}

void world_trace(const struct world *w, const char *format, ...)
{
    if (!w->trace)
        return;
    va_list args;
    va_start(args, format);
    printf("%12.6f  ", (double)w->now / 1e9);
    vprintf(format, args);
    printf("\n");
    va_end(args);
}

void world_note(struct world *w, uint64_t a, uint64_t b)
{
    w->hash = (w->hash ^ a) * 0x9e3779b97f4a7c15ull;
    w->hash = ((w->hash ^ w->hash >> 29) + b) * 0xbf58476d1ce4e5b9ull;
}

void world_status(struct world *w, uint32_t actor, uint8_t op, uint32_t queue, enum leat_status status)
{
    static const enum leat_status never[] = {LEAT_BAD_FRAME,   LEAT_BAD_VERSION,  LEAT_BAD_OP,
                                             LEAT_BAD_REQUEST, LEAT_BAD_CHECKSUM, LEAT_BAD_RECEIPT,
                                             LEAT_CORRUPT,     LEAT_DISK_ERROR,   LEAT_NO_MEMORY};
    (void)queue;
    /* a body that cannot be read, or that has rotted, is not served, and the client is told so */
    if (status == LEAT_CORRUPT && w->rotten && (op == OP_TAKE || op == OP_PEEK))
        return;
    if (status == LEAT_NO_MEMORY && (op == OP_TAKE || op == OP_PEEK) && actor < w->draw.actors &&
        actor_is_full(&w->actor[actor])) /* the answers under way are more than its budget */
        return;
    if ((status == LEAT_CORRUPT || status == LEAT_DISK_ERROR) && w->rotten && op == OP_BACKUP_READ)
        return;
    for (unsigned i = 0; i < sizeof never / sizeof never[0]; i++)
        if (status == never[i])
            history_fail(&w->history, "c%u asked for %s and was told %s", actor, frame_op_name(op),
                         status_name(status));
}

void world_open(struct world *w)
{
    memset(w, 0, sizeof *w);
    history_open(&w->history);
}

void world_close(struct world *w)
{
    history_close(&w->history);
    agenda_close(&w->agenda);
}

static void begin(struct world *w, const struct world_options *o)
{
    history_reset(&w->history);
    w->agenda.count = 0;
    w->agenda.made = 0;
    w->now = 1000;
    w->hash = 0;
    w->operations = w->next_crash = w->calls = 0;
    w->trace = o->trace;
    w->wire = o->wire;
    w->rotten = false;
    w->cut = o->cut;
    w->replies = w->recoveries = 0;
    w->phase = PHASE_SAFETY;
    memset(&w->stats, 0, sizeof w->stats);
    memset(w->kinds, 0, sizeof w->kinds);
    draw_seed(&w->draw, o->seed, o->operations, o->allowed, o->forced);
    w->history.files_refused = draw_has(&w->draw, FAULT_FULL) || draw_has(&w->draw, FAULT_NO_SPACE);
    net_open(&w->net, &w->agenda, &w->draw);
    w->net.now = w->now;
    broker_open(&w->broker, w);
    strike_open(&w->strike, w, &o->strikes);
    for (unsigned i = 0; i < DRAW_QUEUES_MAX; i++)
        w->queue[i] = (struct known_queue){.number = HISTORY_NONE};
    for (unsigned i = 0; i < w->draw.actors; i++) {
        actor_open(&w->actor[i], w, i, &w->draw.actor[i]);
        agenda_add(&w->agenda, w->now + i, ENTRY_ACTOR, i, 0, NULL);
    }
    if (w->draw.copies)
        copyist_open(&w->copyist, w);
}

static void end(struct world *w)
{
    struct entry e;
    while (agenda_next(&w->agenda, &e))
        if (e.kind == ENTRY_PACKET)
            free(e.what);
    for (unsigned i = 0; i < w->draw.actors; i++)
        actor_close(&w->actor[i]);
    drain_close(&w->drain);
    copyist_close(&w->copyist);
    broker_close(&w->broker);
    net_close(&w->net);
}

static struct actor *actor_of(struct world *w, uint32_t number)
{
    return number == DRAIN_LINK ? &w->drain.actor : number == COPY_LINK ? &w->copyist.actor : &w->actor[number];
}

static void read_packets(struct world *w, uint32_t link, struct packet *p)
{
    for (; p; p = net_backlog(&w->net, link)) {
        actor_read(actor_of(w, link), p);
        free(p);
    }
}

static void packet(struct world *w, struct packet *p)
{
    uint32_t head = p->size < HASHED_BYTES ? p->size : HASHED_BYTES;
    world_note(w, (uint64_t)p->peer << 32 | p->size << 1 | p->to_client, hash_bytes(p->bytes, head));
    uint32_t link = p->link;
    struct reply_hello hello;
    w->replies += p->to_client;
    if (wire_trace_hello(p, &hello))
        history_session(&w->history, &(struct seen_session){hello.session, hello.secret}, world_stamp(w));
    if (w->wire)
        wire_trace_print(w->now, p);
    read_packets(w, link, net_arrive(&w->net, p));
}

static void link_changes(struct world *w, uint32_t link, uint32_t detail)
{
    int what = net_changed(&w->net, link, detail);
    if (what == LINK_FLOWS)
        read_packets(w, link, net_backlog(&w->net, link));
    else if (what >= 0)
        actor_link(actor_of(w, link), (enum link_change)what);
}

static void event(struct world *w, const struct entry *e)
{
    must(e->at >= w->now);
    w->now = w->net.now = e->at;
    w->stats.events++;
    w->kinds[e->kind]++;
    world_note(w, e->at, (uint64_t)e->kind << 32 | e->number);
    switch (e->kind) {
    case ENTRY_PACKET:
        packet(w, e->what);
        break;
    case ENTRY_ACTOR:
        if (actor_of(w, e->number)->w)
            actor_run(actor_of(w, e->number));
        break;
    case ENTRY_BROKER:
        if (e->at == w->broker.wake_at)
            broker_run(&w->broker);
        break;
    default:
        link_changes(w, e->number, e->detail);
    }
    if (w->net.woken && broker_up(&w->broker))
        broker_wake(&w->broker, w->now);
    w->net.woken = false;
}

/* The one crash of an exhaustive run. */
static void cut(struct world *w)
{
    struct world_cut c = w->cut;
    bool io = c.io > 0 && fake_disk_events(w->broker.disk) >= c.io, reply = c.reply > 0 && w->replies >= c.reply;
    if (!broker_up(&w->broker) || (!io && !reply))
        return;
    w->cut.io = w->cut.reply = 0;
    w->broker.tried = true;
    broker_end(&w->broker, c.power ? END_POWER : END_CRASH, w->now + 1000000);
}

/* ---- phases ---- */

/* The end of all faults: the broker runs, nobody asks for more. */
static void heal(struct world *w)
{
    world_trace(w, "-- faults are off");
    w->phase = PHASE_LIVENESS;
    w->deadline = w->now + LIVENESS_BOUND;
    strike_last(&w->strike);
    w->net.faults = false;
    strike_heal(&w->strike);
    for (unsigned i = 0; i < w->draw.actors; i++) {
        w->actor[i].quiet = true;
        if (!w->actor[i].client) /* it comes once more, maybe with the place of its own old session */
            w->actor[i].born = w->now + HEAL_BIRTH_NS;
        net_clog(&w->net, i, 0);
        agenda_add(&w->agenda, w->actor[i].client ? w->now : w->actor[i].born, ENTRY_ACTOR, i, 0, NULL);
    }
}

/* False: it has yet to. `may_go`: it has no work of its own left. */
static bool said_goodbye(struct world *w, struct actor *a, bool may_go)
{
    if (!a->client)
        return a->born == UINT64_MAX;
    if (client_finished(a->client)) {
        net_hang_up(&w->net, a->number);
        actor_close(a);
        return true;
    }
    if (!a->leaving && may_go && actor_idle(a) && client_ready(a->client)) {
        a->leaving = true;
        client_bye(a->client);
        agenda_add(&w->agenda, w->now, ENTRY_ACTOR, a->number, 0, NULL);
    }
    return false;
}

static bool all_said_goodbye(struct world *w)
{
    unsigned left = w->draw.copies && !said_goodbye(w, &w->copyist.actor, copyist_over(&w->copyist));
    for (unsigned i = 0; i < w->draw.actors; i++)
        left += !said_goodbye(w, &w->actor[i], true);
    return left == 0;
}

static void late(struct world *w)
{
    for (unsigned i = 0; i < w->draw.actors; i++) {
        const struct actor *a = &w->actor[i];
        for (unsigned k = 0; a->client && k < ACTOR_CALLS; k++)
            if (a->call[k].open)
                return history_fail(&w->history, "L5: c%u waits for the answer to a %s since %.6f s", i,
                                    frame_op_name(a->call[k].op), (double)a->call[k].asked.world / 1e9);
    }
    for (unsigned i = 0; i < w->draw.actors; i++)
        if (w->actor[i].client)
            return history_fail(&w->history, "L5: c%u does not get away: %u calls, %u messages in its hands, %s", i,
                                client_pending(w->actor[i].client), w->actor[i].held_count,
                                client_ready(w->actor[i].client) ? "connected" : "not connected");
    if (w->draw.copies && w->copyist.actor.client)
        return history_fail(&w->history, "L5: the backup does not end: file %u of %u, %u whole, %u lost",
                            w->copyist.file, w->copyist.backup.files, w->copyist.whole, w->copyist.lost);
    history_fail(&w->history, "L5: draining does not end");
}

/* Nobody is there any more; sessions and waits of clients that died must end without harm. */
static void rest(struct world *w)
{
    world_trace(w, "-- resting");
    w->phase = PHASE_REST;
    w->rest_until = w->now + REST_NS;
    actor_die(&w->drain.actor, false, w->rest_until);
}

/* What comes after this event; true when the run is over. */
static bool phase_ends(struct world *w)
{
    switch (w->phase) {
    case PHASE_SAFETY:
        if (w->operations >= w->draw.operations && strike_idle(&w->strike))
            heal(w);
        return false;
    case PHASE_LIVENESS:
        if (!all_said_goodbye(w))
            return false;
        world_trace(w, "-- draining");
        w->disk_events = fake_disk_events(w->broker.disk);
        w->phase = PHASE_DRAIN;
        w->deadline = w->now + DRAIN_BOUND;
        drain_open(&w->drain, w);
        return false;
    case PHASE_DRAIN:
        if (drain_over(&w->drain))
            rest(w);
        return false;
    default:
        return w->now >= w->rest_until;
    }
}

static void final_checks(struct world *w)
{
    struct history *h = &w->history;
    const struct engine *e = shard_engine(w->broker.shard);
    check_drained(h, e);
    if (!h->failed)
        history_end(h, world_stamp(w));
    w->stats.unknown = h->unknown;
    w->stats.operations = w->operations;
}

bool world_run(struct world *w, const struct world_options *o)
{
    begin(w, o);
    struct history *h = &w->history;
    struct entry e;
    bool over = false;
    while (!over && !h->failed && agenda_next(&w->agenda, &e)) {
        event(w, &e);
        cut(w);
        strike_dice(&w->strike);
        if (o->struck)
            *o->struck = w->strike.struck;
        over = phase_ends(w);
        if (w->phase != PHASE_SAFETY && w->now > w->deadline)
            late(w);
        if (w->stats.events > EVENTS_MAX)
            history_fail(h, "L5: %u events and no end: %u packets, actors ran %u times, the broker %u times",
                         EVENTS_MAX, w->kinds[ENTRY_PACKET], w->kinds[ENTRY_ACTOR], w->kinds[ENTRY_BROKER]);
    }
    if (!over && !h->failed)
        history_fail(h, "L5: nothing more happens");
    if (!h->failed)
        final_checks(w);
    end(w);
    return !h->failed;
}

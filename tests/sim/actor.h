/* actor.h - a client program of the simulation around the real client core: puts, takes, finishes what it took (or does
 * not), dies and comes again.
 *
 * An actor runs when its core has something to do, when bytes came, and when it has thought long enough. All that it
 * does and sees goes into the history. Units: world nanoseconds. Memory: its core's. Failure: history_fail().
 * Thread: one. */
#ifndef LEAT_SIM_ACTOR_H
#define LEAT_SIM_ACTOR_H

#include "client.h"
#include "draw.h"
#include "history.h"
#include "net.h"

struct world;

enum { ACTOR_CALLS = WINDOW_MAX, ACTOR_HELD = 128, ACTOR_ADMIN = 0, ACTOR_BUDGET = 16 << 20 };

enum intent { INTEND_ACK, INTEND_NACK, INTEND_EXTEND, INTEND_ACK_TWICE };

/* A message in an actor's hands. */
struct held {
    uint32_t lease, queue; /* of the history */
    uint64_t act_at;
    uint8_t intent;
};

struct call {
    bool open;
    uint8_t op;
    uint16_t count;
    uint32_t queue; /* of the history; queue operations: of the draw */
    uint32_t first; /* put or finish of the history; takes: a number of their own */
    struct stamp asked;
    struct duration length;
};

struct actor {
    struct world *w;
    uint32_t number; /* and that of its link */
    struct draw_actor manners;
    struct prng prng;
    struct client *client; /* NULL: it is dead */
    uint64_t wake_at, think_until, born;
    bool connecting, quiet, leaving; /* quiet: no new work but finishing */
    unsigned lives;
    struct call call[ACTOR_CALLS];
    struct held held[ACTOR_HELD];
    unsigned held_count;
};

void actor_open(struct actor *a, struct world *w, uint32_t number, const struct draw_actor *manners);
void actor_close(struct actor *a);
/* actor_run: whatever is due. */
void actor_run(struct actor *a);
void actor_read(struct actor *a, const struct packet *p);
void actor_link(struct actor *a, enum link_change what);
/* actor_die: its calls end with unknown outcomes; it is born again later. `remembers`: with the receipts it had. */
void actor_die(struct actor *a, bool remembers, uint64_t reborn_at);
/* actor_is_full: what its core holds leaves no room for one more answer. */
bool actor_is_full(const struct actor *a);
/* actor_idle: nothing is under way, nothing is in its hands. */
bool actor_idle(const struct actor *a);

/* actor_work.c: what to ask next, and what to make of an answer. actor_work: asks one thing; false: nothing to ask
 * now. actor_work_due: when there will be something to ask. */
bool actor_work(struct actor *a);
/* actor_take: asks for up to `max` messages of this queue of the history. */
bool actor_take(struct actor *a, uint32_t queue, uint16_t max);
uint64_t actor_work_due(const struct actor *a);
/* actor_ask: submits, and remembers the call; false when the core did not take it. */
bool actor_ask(struct actor *a, const struct client_op *op, const struct call *c);
void actor_work_result(struct actor *a, const struct client_result *r);

#endif

/* world.h - one run: the broker, its clients, their net, virtual time, and what goes wrong.
 *
 * Phases: SAFETY (clients work, faults strike), then LIVENESS (faults end; every call must end, in bounded time), then
 * DRAIN (one client takes and acks all that is left, as often as leases and delays end), REST (nobody is there, and
 * time passes), then the broker must be empty and the history whole.
 *
 * Units: world nanoseconds. Memory: one world is used for all seeds of a process. Failure: world_run() is false and
 * history.text says why. Thread: one. */
#ifndef LEAT_SIM_WORLD_H
#define LEAT_SIM_WORLD_H

#include "actor.h"
#include "agenda.h"
#include "broker.h"
#include "copyist.h"
#include "drain.h"
#include "draw.h"
#include "history.h"
#include "net.h"
#include "rot.h"
#include "strike.h"

enum phase { PHASE_SAFETY, PHASE_LIVENESS, PHASE_DRAIN, PHASE_REST };

/* A queue of the draw, as far as its clients know it. */
struct known_queue {
    uint32_t number; /* in the history, HISTORY_NONE: not made (any more) */
    bool asked;      /* its creation is under way */
};

/* One crash at an exact place: of the exhaustive runs (exhaust.h). */
struct world_cut {
    uint64_t io, reply; /* after so many events of the disk, or packets that clients have got; 0: not by this */
    bool power;         /* cut; else the process dies */
};

struct world_stats {
    uint64_t events, operations, overlaps, unknown, crashes, torn_crashes, restarts, deliveries;
};

struct world {
    struct draw draw;
    struct agenda agenda;
    struct net net;
    struct broker broker;
    struct history history;
    struct actor actor[DRAW_ACTORS_MAX];
    struct drain drain;
    struct copyist copyist;
    struct strike strike;
    struct rot_memory old;
    struct known_queue queue[DRAW_QUEUES_MAX];
    enum phase phase;
    uint64_t now, hash, deadline, rest_until;
    uint32_t operations, next_crash, calls; /* calls: open now */
    uint32_t kinds[4];                      /* events by enum entry_kind */
    bool trace, wire;
    struct world_cut cut;
    uint64_t disk_events;         /* when the clients had gone */
    uint64_t replies, recoveries; /* packets that clients have got; recoveries that were tried after the cut */
    bool rotten;                  /* the disk has lied, or rotted, or could not read */
    struct world_stats stats;
};

void world_open(struct world *w);
void world_close(struct world *w);

struct world_options {
    uint64_t seed;
    uint32_t operations;      /* 0: as drawn */
    uint32_t allowed, forced; /* faults */
    struct strike_set strikes;
    struct world_cut cut;
    uint64_t *struck; /* counts them as they come, also for a run that does not come to its end; or NULL */
    bool trace, wire; /* print what happens; every packet, too */
};
/* world_run: a whole seed; w->hash and w->stats tell of it. */
bool world_run(struct world *w, const struct world_options *o);

struct stamp world_stamp(const struct world *w);
/* world_trace: a line for people, with --trace. */
void world_trace(const struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* world_status: what a client was told; some things a well-behaved one must never hear. */
void world_status(struct world *w, uint32_t actor, uint8_t op, uint32_t queue, enum leat_status status);
/* world_note: goes into the hash of the run. */
void world_note(struct world *w, uint64_t a, uint64_t b);

#endif

/* shard.h - one shard of a broker: the loop that takes requests from ports, decides, logs, and answers.
 *
 * Life: shard_open() recovers everything from the disk and opens a new epoch; shard_attach() gives it its ports; then
 * shard_step() for ever, each one iteration: drain the ports, step the log, let time pass, decide, release what has
 * become safe. When a step did nothing, the caller may sleep: shard_arm(), sleep until woken or until shard_next_due(),
 * shard_disarm(). shard_stop() refuses new work and ends with a checkpoint; shard_stopped() says when.
 *
 * A shard never reads a clock, a random number or a socket: the caller brings them (struct shard_start, `now`), and so
 * it runs in the simulator as it is.
 *
 * Units: struct instant of CLOCK_BOOTTIME in every `now`. Memory: reserved at open by budget.h's sum, touched as used.
 * Failure: shard_open() says one sentence. Later, shard_error() turns non-OK when the disk has failed: nothing is
 * acknowledged after that, and the process should end. Thread: one. */
#ifndef LEAT_SHARD_SHARD_H
#define LEAT_SHARD_SHARD_H

#include <stdbool.h>
#include <stdint.h>

#include "disk.h"
#include "engine.h"
#include "journal.h"
#include "mailbox.h"
#include "reply.h"
#include "transport.h"

struct shard;

enum { SHARD_TRANSPORTS_MAX = 8, SHARD_MAILBOXES_MAX = 8 };

struct shard_config {
    uint16_t cell;
    uint8_t number, count;         /* this shard, of so many */
    struct engine_capacity engine; /* queues_max, leases_max, ready_max / RUNS_LEAST */
    uint32_t sessions;             /* sessions_max */
    uint16_t window;               /* most request slots of a session */
    uint32_t body_max;             /* bytes */
    uint8_t durability;            /* of queues that name no class: CLASS_DISK or CLASS_MEMORY */
    struct duration session_timeout, lease_min, lease_max, delay_max, wait_max;
    uint64_t buffer_max;       /* bytes for what is put together or waits: large requests and replies, cold bodies */
    uint64_t checkpoint_bytes; /* of log behind a checkpoint before the next is cut; 0: a segment */
    struct journal_config journal;
};

/* stage_clean_memory: bytes of the cleaner's list of survivors, for the budget. */
uint64_t stage_clean_memory(const struct journal_config *c);

/* shard_defaults: what DESIGN.md promises. */
void shard_defaults(struct shard_config *c);

/* What the world looks like at the start. */
struct shard_start {
    struct instant boot; /* CLOCK_BOOTTIME */
    uint64_t wall_ns;    /* UNIX time */
    uint8_t boot_id[16];
    uint8_t entropy[32]; /* random; secrets are drawn from it */
};

/* shard_open: LEAT_CORRUPT, LEAT_TOO_NEW, LEAT_DISK_ERROR, LEAT_NO_SPACE, LEAT_NO_MEMORY, LEAT_BAD_VALUE (a capacity
 * smaller than the data directory's, a config that does not add up). `error` gets one sentence. */
enum leat_status shard_open(struct shard **s, const struct shard_config *c, struct disk *d,
                            const struct shard_start *start, char error[256]);
/* shard_close: at any moment; without shard_stop() before it is like a crash of the process. */
void shard_close(struct shard *s);

void shard_attach(struct shard *s, struct transport *t);
void shard_attach_mailbox(struct shard *s, struct mailbox *m);

/* One iteration; how many things happened (0: idle). `now` never goes back. */
unsigned shard_step(struct shard *s, struct instant now);
/* Whether somebody waits for the disk: the log has no room, or answers are held. */
bool shard_waits(const struct shard *s);
/* When shard_step() has something to do by itself, or INSTANT_NEVER. */
struct instant shard_next_due(const struct shard *s);
/* Before sleeping: false: something is here already. */
bool shard_arm(struct shard *s);
void shard_disarm(struct shard *s);

/* shard_stop: new requests are answered `stopping`, what is under way is finished, the log is flushed and a checkpoint
 * published. */
void shard_stop(struct shard *s);
bool shard_stopped(const struct shard *s);
enum leat_status shard_error(const struct shard *s);

/* Counters for the operator; journal's included. */
struct shard_counters {
    uint64_t steps, packets, frames, bad_frames;
    uint64_t requests[64];                         /* executed, by operation code */
    uint64_t refused;                              /* requests and entries that were answered with an error */
    uint64_t repeated;                             /* answered again from what was kept */
    uint64_t gaps, old;                            /* requests out of order: asked for again, dropped */
    uint64_t stalls;                               /* times that the log had no room and the ports were left waiting */
    uint64_t delivered;                            /* messages */
    uint64_t cold_reads;                           /* of bodies from a segment, that an answer waited for */
    uint64_t ahead_reads, ahead_hits;              /* stretches read before anybody asked; reads that they saved */
    uint64_t corrupt_bodies;                       /* left out of answers: their bytes were wrong */
    uint64_t sessions, parked, held;               /* now */
    uint64_t assemblies_evicted;                   /* requests in fragments, begun, that had to make room for another */
    uint64_t assemblies_refused;                   /* that found no room to begin in */
    uint64_t buffer_bytes;                         /* now, of buffer_max */
    uint64_t queues, ready, leased, delayed, dead; /* now, all queues */
    uint64_t durable, appended;                    /* block numbers */
    uint64_t replayed_facts;                       /* at the start */
    uint64_t leases_lost;                          /* receipts of leases that a crash took */
    uint32_t epoch;
    struct journal_counters journal;
};
void shard_count(const struct shard *s, struct shard_counters *c);

/* For checkers: the engine, read only, and log time. */
const struct engine *shard_engine(const struct shard *s);
struct instant shard_log_time(const struct shard *s, struct instant now);

#endif

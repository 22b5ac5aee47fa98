/* broker.h - the machine with the broker's disk and clocks, and the broker's process on it: the real shard.
 *
 * The process runs in iterations of draw.step_ns and sleeps when one did nothing, until it is woken by a packet, a
 * finished disk operation, or its own next due instant. It ends by a crash, a power cut, a disk error, or in order.
 *
 * Log time is computed here a second time, from the same clocks and independently of the shard, and compared at every
 * start (P6).
 *
 * Units: world nanoseconds. Memory: as small as the draw says. Failure: history_fail(). Thread: one. */
#ifndef LEAT_SIM_BROKER_H
#define LEAT_SIM_BROKER_H

#include "check_broker.h"
#include "draw.h"
#include "fake_disk.h"
#include "prng.h"
#include "shard.h"

struct world;

enum broker_end { END_CRASH, END_POWER, END_STOP, END_DISK };

struct broker {
    struct world *w;
    struct disk *disk;
    struct shard *shard; /* NULL: it does not run */
    struct prng prng, starts;
    uint64_t wake_at; /* entry of the agenda that counts; UINT64_MAX: none */
    uint64_t paused_until;
    unsigned refusals; /* starts, one after the other, that came to nothing */
    bool stopping;
    bool settled;               /* after a power cut: what is on the disk is all durable */
    bool failing, flush_failed; /* an operation of the disk was told to fail */
    bool unsure;                /* reads may bring anything: the broker may call something corrupt */
    bool tried;                 /* the next recovery is first tried with a crash at each of its steps */
    bool reboots;               /* the next start is of a new machine life */
    uint64_t looks;             /* of the cleaner, that were seen */

    uint64_t machine_start, boot_origin; /* boot clock = boot_origin + world - machine_start */
    uint64_t wall_offset;
    uint8_t boot_id[16];

    /* Log time by our own arithmetic. */
    bool opened_before;
    struct seen_start last; /* if there was one */
    uint64_t log_at_end;    /* the latest that the process that ended can have known */
};

void broker_open(struct broker *b, struct world *w);
void broker_close(struct broker *b);
bool broker_up(const struct broker *b);
/* broker_run: an entry of the agenda said so: an iteration, or a start. */
void broker_run(struct broker *b);
void broker_wake(struct broker *b, uint64_t at);
void broker_end(struct broker *b, enum broker_end how, uint64_t start_at);
void broker_stop(struct broker *b); /* in order: ends by itself, soon */
void broker_pause(struct broker *b, uint64_t until);
void broker_step_wall(struct broker *b, int64_t ns);
/* broker_fail_disk: the `countdown`-th write or flush from now on ends with -EIO. */
void broker_fail_disk(struct broker *b, enum disk_kind kind, uint32_t countdown);

/* broker_log: log time now, or as far as it was known when the process ended. */
uint64_t broker_log(const struct broker *b);
/* broker_lease_start: log time at which the lease of this receipt began, or 0 if the broker does not know it (any
 * more). */
uint64_t broker_lease_start(const struct broker *b, const uint8_t *receipt);
/* broker_writes_in_flight: the disk has writes that are not safe yet. */
bool broker_writes_in_flight(const struct broker *b);

#endif

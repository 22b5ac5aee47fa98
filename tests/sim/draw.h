/* draw.h - everything that a seed decides before it runs: sizes, clients, queues, and which kinds of fault there are.
 *
 * Each part has a stream of its own, so that a new draw in one does not shift the others of old seeds. Units: as named.
 * Failure: none. Thread: one. */
#ifndef LEAT_SIM_DRAW_H
#define LEAT_SIM_DRAW_H

#include "name.h"
#include "prng.h"
#include "shard.h"

enum fault {
#define FAULT(NAME, name, percent, help) FAULT_##NAME,
#include "fault_table.h"
#undef FAULT
    FAULTS
};

/* One stream of random numbers per subsystem. */
enum stream {
    STREAM_DRAW_BROKER,
    STREAM_DRAW_FAULTS,
    STREAM_DRAW_NET,
    STREAM_DRAW_DISK,
    STREAM_DRAW_QUEUES,
    STREAM_DRAW_ACTORS,
    STREAM_NET,
    STREAM_DISK,
    STREAM_BROKER,
    STREAM_FAULTS,
    STREAM_STARTS,
    STREAM_ACTOR, /* + its number */
    STREAM_DRAW_COPYIST = 100,
    STREAM_DRAW_LOG,
    STREAM_STRIKE = 1000, /* + its number */
};

enum { DRAW_ACTORS_MAX = 8, DRAW_QUEUES_MAX = 64, DRAW_CRASHES_MAX = 6 };

enum link_kind { LINK_STREAM, LINK_UDP, LINK_LOCAL };

struct draw_queue {
    struct name name;
    struct queue_attributes attributes;
};

/* How a client behaves. Percents of its turns or of its messages. */
struct draw_actor {
    uint8_t link; /* enum link_kind */
    uint16_t window;
    uint32_t think_us;
    uint8_t puts, takes, looks; /* weights */
    uint16_t put_batch, take_batch, finish_batch;
    uint32_t hold_us; /* works on a message for so long */
    uint8_t nack, extend, forget, twice, late;
    uint8_t delayed, memory, over; /* puts with a delay, of class memory, and larger than allowed */
    uint8_t waits;                 /* takes that park */
};

struct draw {
    uint64_t seed;
    uint32_t faults; /* bits of enum fault */
    uint32_t operations;
    unsigned crashes;
    uint32_t crash_at[DRAW_CRASHES_MAX]; /* after so many operations, rising */
    struct shard_config broker;
    struct draw_queue queue[DRAW_QUEUES_MAX];
    unsigned queues;
    bool drops;   /* queues are dropped and made anew */
    bool by_name; /* clients name queues and let the core find the number */
    struct draw_actor actor[DRAW_ACTORS_MAX];
    unsigned actors;
    bool copies; /* backups are taken */
    struct draw_actor copyist;
    uint32_t copy_piece;            /* bytes of a read */
    uint32_t step_ns;               /* one iteration of the broker */
    uint32_t net_us, net_jitter_us; /* one way */
    uint32_t datagram_max;
    uint32_t link_bytes; /* what a transport queues for one client */
    uint8_t loss, repeat, reorder, corrupt, replay, lag;
    uint32_t disk_us, disk_jitter_us, disk_spike_permille, disk_spike_ms;
    uint32_t net_tail; /* percent: how often a packet's jitter doubles, again and again */
    int32_t drift_ppm; /* of the boot clock */
    uint32_t buggify;  /* percent */
    uint32_t lies;     /* permille of reads */
    bool disk_volatile, disk_durable_writes;
    uint64_t body_max;
    uint64_t tight; /* segments of disk_max with the fault of that name */
};

/* draw_seed: `operations` 0: as drawn; faults: only those bits can be on (and `forced` ones are). */
void draw_seed(struct draw *d, uint64_t seed, uint32_t operations, uint32_t allowed, uint32_t forced);

static inline bool draw_has(const struct draw *d, enum fault f)
{
    return d->faults >> f & 1;
}

const char *draw_fault_name(unsigned fault);
/* draw_faults: "all", "none" or names with commas between; false if one is unknown. */
bool draw_faults(const char *text, uint32_t *bits);
/* draw_fault_list: the names of a set, with commas between. */
void draw_fault_list(uint32_t bits, char *out, unsigned size);

#endif

/* follow.h - reading the log without being a broker: what the numbers in facts mean.
 *
 * A fact names queues by number and messages by the slot that they lie in. follow_fact() remembers, fact by fact, which
 * queue has which name and which message is in which slot, as far as what was read says; a checkpoint tells all of it
 * at once (follow_point). Nothing is decided and nothing can be wrong here: a fact that names what is not known is
 * about LSN_NONE.
 *
 * A slot's generation never goes back, so that a fact about (slot, generation) is about the message that a lease put
 * there under that generation, whatever was not read in between. `strict`: only such facts are believed; else the slot
 * of a delayed put is taken to be that put's until another comes.
 *
 * Units: log time, numbers of queues and slots. Memory: 40 bytes a slot and 104 a queue of the capacity, touched as
 * they are named. Failure: LEAT_NO_MEMORY. Thread: one. */
#ifndef LEAT_OFFLINE_FOLLOW_H
#define LEAT_OFFLINE_FOLLOW_H

#include "fact.h"
#include "point.h"

struct follow_slot {
    struct lsn message; /* or LSN_NONE */
    uint32_t generation;
    uint32_t queue;
    uint32_t known; /* 0: nothing was read about this slot */
    uint32_t sure;  /* the generation is that of the message */
    uint64_t zero[2];
};

struct follow_queue {
    uint32_t state; /* 0: nothing is known; 1: it exists; 2: it was dropped */
    uint32_t incarnation;
    uint32_t dead_letter;
    struct name name;
};

struct follow_wall {
    struct instant at;
    uint64_t wall_ns;
};
enum { FOLLOW_WALLS = 256 };

struct follow {
    bool strict;
    struct slab slots, queues;
    struct follow_wall walls[FOLLOW_WALLS];
    uint32_t walls_count;
};

enum leat_status follow_open(struct follow *f, const struct engine_capacity *capacity);
void follow_close(struct follow *f);

/* follow_names: what a checkpoint says about queues and clocks, for facts before it. follow_point: everything, for
 * facts behind it. */
void follow_names(struct follow *f, const struct engine *e);
void follow_point(struct follow *f, const struct engine *e);

/* follow_fact: the message that the fact is about, before it becomes true; and then it is. *queue: number of its queue,
 * or SLAB_NONE. */
struct lsn follow_fact(struct follow *f, const struct fact *fact, uint32_t *queue);

/* follow_name: of a queue, or "#NUMBER" in a buffer that lives until the next call but three. */
const char *follow_name(const struct follow *f, uint32_t number);

/* follow_wall: UNIX time of an instant, in nanoseconds; 0: nobody knows. */
uint64_t follow_wall(const struct follow *f, struct instant at);

#endif

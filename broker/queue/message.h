/* message.h - the two shapes of a message in memory.
 *
 * Most ready messages were never delivered: a few bits to a few bytes each, in order, in chunks (runs.h). A message
 * that is leased, delayed, dead, or back from a lease has a slot of 64 bytes, one cache line, whose index and
 * generation stand in the receipt.
 *
 * Memory: no pointers and no padding, so that slabs of these are checkpointed as they are. Thread: owned by one shard.
 */
#ifndef LEAT_QUEUE_MESSAGE_H
#define LEAT_QUEUE_MESSAGE_H

#include "must.h"
#include "units.h"

enum message_state {
    MESSAGE_FREE = 0,
    MESSAGE_READY = 1, /* back from a lease or moved here: delivered before the chunks */
    MESSAGE_LEASED = 2,
    MESSAGE_DELAYED = 3,
    MESSAGE_DEAD = 4,
};

enum { MESSAGE_ATTEMPTS_MAX = UINT16_MAX }; /* a queue cannot ask for more */

/* Where a message's put fact lies and how large it is: place and size in units of 8 bytes. */
struct message_where {
    uint32_t place8;
    uint32_t size8;
};

/* The put fact of one message, as the log knows it. */
struct message_body {
    struct lsn lsn;
    struct message_where where;
};

struct message {
    uint32_t next;     /* of its list, or sibling in the heap; the slab's free list uses it too */
    uint32_t previous; /* of its list; in the heap: the sibling before, or the parent of a first child */
    struct lsn lsn;
    struct message_where where;
    struct instant sent;
    struct instant due; /* leased: deadline; delayed: when it becomes ready */
    union {
        struct instant since; /* leased, delayed: since when */
        struct {
            uint32_t child; /* in the heap: first child */
            uint32_t rank;  /* one more than the highest of its children; 0 without any */
        };
    };
    uint32_t queue;
    uint32_t generation; /* one more at every lease of this slot; a receipt with another one is stale */
    uint32_t epoch;      /* of the newest lease */
    uint16_t attempts;
    uint8_t state;
    uint8_t durability;
};
MUST_BE_SIZE(struct message, 64);

#endif

/* peek.h - looking at the messages of a queue without touching them.
 *
 * In the order in which they would be delivered: those that came back, then those never delivered; behind them the
 * delayed, the leased and the dead, each in the order of their list. Units: messages. Cost: O(messages looked at) and a
 * small heap for those that came back. Thread: owned by one shard. */
#ifndef LEAT_QUEUE_PEEK_H
#define LEAT_QUEUE_PEEK_H

#include "engine.h"

struct peek_message {
    struct lsn lsn;
    struct message_where where;
    uint16_t attempts;
    uint8_t state; /* enum message_state */
    uint8_t durability;
};

/* peek_queue: up to `max` messages; how many. */
unsigned peek_queue(const struct engine *e, uint32_t queue, struct peek_message *messages, unsigned max);

#endif

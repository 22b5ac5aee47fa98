/* damaged.h - messages whose bytes the broker's disk has lost: each is named once, on standard error.
 *
 * They have receipts like others, but nobody can have their bodies. Who takes again and again gets them again and
 * again: whenever their lease has ended.
 *
 * Units: messages. Memory: 16 bytes for each, DAMAGED_MAX of them at most; of those beyond it is said once that there
 * are more. Failure: without memory, as beyond the most. Thread: any; a lock inside. */
#ifndef LEAT_CLI_DAMAGED_H
#define LEAT_CLI_DAMAGED_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "leat.h"

enum { DAMAGED_MAX = 16384, DAMAGED_NAME_BYTES = 16 };

struct damaged {
    pthread_mutex_t lock;
    unsigned char (*names)[DAMAGED_NAME_BYTES];
    size_t count, room;
    bool full; /* there were more */
};

void damaged_open(struct damaged *d);
void damaged_close(struct damaged *d);

/* damaged_say: names one message of a take that ended with LEAT_CORRUPT, and its receipt. */
void damaged_say(const char *queue, const struct leat_message *m);
/* damaged_tell: the same for each that is not known yet; how many of them are new. */
size_t damaged_tell(struct damaged *d, const char *queue, const struct leat_message *messages, size_t count);
/* damaged_count: how many are known; *full: there are more. */
size_t damaged_count(struct damaged *d, bool *full);

#endif

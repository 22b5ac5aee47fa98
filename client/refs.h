/* refs.h - which number a queue's name has: a small cache that forgets. A wrong entry costs one more question, since
 * the incarnation in it no longer fits. Units: none. Memory: fixed. Failure: none. Thread: one. */
#ifndef LEAT_CLIENT_REFS_H
#define LEAT_CLIENT_REFS_H

#include <stdbool.h>
#include <stdint.h>

#include "name.h"
#include "request.h"

enum { REFS_SETS = 64, REFS_WAYS = 4 };

struct refs {
    struct {
        struct name name; /* size 0: free */
        struct queue_ref queue;
    } entries[REFS_SETS][REFS_WAYS];
};

bool refs_find(const struct refs *r, const struct name *name, struct queue_ref *queue);
void refs_put(struct refs *r, const struct name *name, struct queue_ref queue);
void refs_drop(struct refs *r, const struct name *name);

#endif

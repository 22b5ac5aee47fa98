/* thread.h - a thread beside the shards, for the few jobs that must block.
 * It starts with every signal blocked and off the shards' cores. What it shares with its starter is theirs to order:
 * thread_start() and thread_join() are both full barriers. Failure: false when the system has no room for one more.
 * Thread: start and join from one thread. */
#ifndef LEAT_OS_THREAD_H
#define LEAT_OS_THREAD_H

#include <stdbool.h>
#include <stdint.h>

struct thread {
    uint64_t id;
    void (*run)(void *context);
    void *context;
    char name[16];
};

/* `t` is lent until thread_join(); `name` (at most 15 characters) is what ps and top show. */
bool thread_start(struct thread *t, void (*run)(void *context), void *context, const char *name);
void thread_join(struct thread *t);

#endif

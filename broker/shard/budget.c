/* budget.c - the sum. Sizes come from the rooms themselves wherever they say them. */
#include "budget.h"

#include <stdio.h>

#include "desk.h"
#include "must.h"
#include "session.h"

enum {
    WHEEL_NODE_BYTES = 24, /* wheel.h: per slot, the table of levels with it */
    NAME_CELL_BYTES = 8,   /* names.h: per queue, in a table that is a power of two and at most half full */
};

void budget_add(struct budget *b, const char *what, uint64_t bytes)
{
    must(b->count < BUDGET_TERMS);
    b->terms[b->count].what = what;
    b->terms[b->count++].bytes = bytes;
}

void budget_shard(struct budget *b, const struct shard_config *c)
{
    enum { AND_ITS_IMAGE = 2 }; /* slab.h: while a checkpoint is read, what changes is put aside */
    const struct engine_capacity *e = &c->engine;
    uint64_t places = (uint64_t)c->sessions * c->window;
    /* A queue; its place in the table of names, its line of parked takes, its entry among the wanted. */
    budget_add(b, "queues (queues_max)",
               (uint64_t)e->queues * (sizeof(struct queue) * AND_ITS_IMAGE + 4 * NAME_CELL_BYTES +
                                      sizeof(struct desk_list) + sizeof(uint32_t) + 1));
    /* A leased, delayed, returned or dead message: its slot, and its entry in the wheel. */
    budget_add(b, "leases (leases_max)",
               (uint64_t)e->slots * (sizeof(struct message) * AND_ITS_IMAGE + WHEEL_NODE_BYTES));
    /* Ready messages: 61 to a kilobyte if no two are neighbours and each is a whole step (runs.h). */
    budget_add(b, "ready messages (ready_max)", (uint64_t)e->ready_chunks * RUNS_BYTES * AND_ITS_IMAGE);
    /* A session keeps its last answers, whatever its window; the desk knows where its client is. */
    budget_add(b, "sessions (sessions_max)",
               (uint64_t)c->sessions *
                   (sizeof(struct session) * AND_ITS_IMAGE + sizeof(struct desk_session) + WHEEL_NODE_BYTES));
    /* A place for every request that can be unanswered. */
    budget_add(b, "requests (sessions_max * window)", places * (sizeof(struct desk_place) + WHEEL_NODE_BYTES));
    /* The newest blocks; those in flight and the open one are among them. */
    budget_add(b, "log (hot_max)", journal_memory(&c->journal));
    /* Who lives in the segments that are cleaned, 16 bytes a message. */
    budget_add(b, "cleaner (segment_size)", stage_clean_memory(&c->journal));
    /* Large requests while they arrive, large answers, bodies on their way from the disk. */
    budget_add(b, "buffers (buffer_max)", c->buffer_max);
    /* What does not depend on any option: the ring of lease names, one whole answer, pieces of checkpoints. */
    budget_add(b, "fixed parts of the shard", 24u << 20);
}

uint64_t budget_total(const struct budget *b)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < b->count; i++)
        sum += b->terms[i].bytes;
    return sum;
}

static double megabytes(uint64_t bytes)
{
    return (double)bytes / (1024 * 1024);
}

bool budget_fits(const struct budget *b, uint64_t memory_max, char error[BUDGET_SENTENCE])
{
    uint64_t total = budget_total(b);
    if (total <= memory_max)
        return true;
    int used = snprintf(error, BUDGET_SENTENCE,
                        "memory_max is %.0fM, but all limits together may need %.0fM:", megabytes(memory_max),
                        megabytes(total));
    for (unsigned i = 0; i < b->count && used < BUDGET_SENTENCE; i++)
        used += snprintf(error + used, BUDGET_SENTENCE - (size_t)used, "%s %.1fM %s", i ? " +" : "",
                         megabytes(b->terms[i].bytes), b->terms[i].what);
    return false;
}

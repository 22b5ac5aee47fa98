/* budget.c - the sum. Sizes come from the rooms themselves wherever they say them. */
#include "budget.h"

#include <stdio.h>

#include "must.h"
#include "session.h"

enum {
    WHEEL_NODE_BYTES = 16, /* wheel.h: per slot */
    NAME_CELL_BYTES = 8,   /* names.h: per queue, in a table that is a power of two and at most half full */
};

uint32_t budget_chunks(uint64_t ready_max, uint64_t queues)
{
    uint64_t chunks = (ready_max + READY_CHUNK_ENTRIES - 1) / READY_CHUNK_ENTRIES + 2 * queues;
    return chunks < SLAB_NONE ? (uint32_t)chunks : SLAB_NONE - 1;
}

void budget_add(struct budget *b, const char *what, uint64_t bytes)
{
    must(b->count < BUDGET_TERMS);
    b->terms[b->count].what = what;
    b->terms[b->count++].bytes = bytes;
}

void budget_shard(struct budget *b, const struct shard_config *c)
{
    const struct engine_capacity *e = &c->engine;
    /* A queue, and its place in the table of names. */
    budget_add(b, "queues (queues_max)", (uint64_t)e->queues * (sizeof(struct queue) + 4 * NAME_CELL_BYTES));
    /* A leased, delayed, returned or dead message: its slot, and its entry in the wheel. */
    budget_add(b, "leases (leases_max)", (uint64_t)e->slots * (sizeof(struct message) + WHEEL_NODE_BYTES));
    /* Ready messages, 62 to a kilobyte. */
    budget_add(b, "ready messages (ready_max)", (uint64_t)e->ready_chunks * READY_CHUNK_BYTES);
    /* A session keeps its last answers, whatever its window. */
    budget_add(b, "sessions (sessions_max)", (uint64_t)c->sessions * sizeof(struct session));
    /* The newest blocks; those in flight and the open one are among them. */
    budget_add(b, "newest log (hot_max)", c->journal.hot_bytes);
    /* Large requests while they arrive, large answers, bodies on their way from the disk. */
    budget_add(b, "buffers (buffer_max)", c->buffer_max);
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

/* ready_cycle.c - what a ready message costs while it waits: nanoseconds to go in and out, and bytes.
 *
 * Shapes: `neighbours` (one queue, blocks of 340 messages), `turns` (1000 queues in turn, the same blocks), `alone` (a
 * message a block), `worst` (no two alike). One line of JSON per shape. Usage: ready_cycle [MESSAGES] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "must.h"
#include "ready.h"

enum { QUEUES = 1000, BLOCK = 340, SIZE8 = 24 };

enum shape { NEIGHBOURS, TURNS, ALONE, WORST, SHAPES };
static const char *const names[SHAPES] = {"neighbours", "turns", "alone", "worst"};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* The n-th message: a million a second. */
static struct ready_entry nth(enum shape shape, uint64_t n)
{
    uint64_t block = 1 + (shape == ALONE ? n : n / BLOCK);
    uint32_t index = shape == ALONE ? 0 : (uint32_t)(n % BLOCK);
    struct ready_entry e = {.lsn = lsn_make(block, index), .where = {10 + index * SIZE8, SIZE8}, .durability = 1};
    e.sent.ns = 1000000000 + n * 1000;
    if (shape == WORST) {
        e.durability = n % 2;
        e.where.size8 = (uint32_t)(n * 7919 % 4000);
    }
    return e;
}

int main(int argc, char **argv)
{
    uint64_t messages = argc > 1 ? strtoull(argv[1], NULL, 10) : 10000000;
    static struct ready queues[QUEUES];
    for (enum shape shape = 0; shape < SHAPES; shape++) {
        struct slab chunks;
        uint32_t used = shape == TURNS ? QUEUES : 1;
        uint64_t wrong = 0;
        must(slab_open(&chunks, (uint32_t)(messages / 50 + 2 * QUEUES), RUNS_BYTES) == LEAT_OK);
        for (uint32_t q = 0; q < used; q++)
            ready_init(&queues[q]);
        uint64_t start = now_ns();
        for (uint64_t n = 0; n < messages; n++) {
            struct ready_entry e = nth(shape, n);
            ready_push(&queues[n % used], &chunks, &e);
        }
        uint64_t pushed = now_ns();
        double bytes = (double)chunks.used * RUNS_BYTES / (double)messages;
        for (uint64_t n = 0; n < messages; n++) {
            struct ready_entry e;
            must(ready_first(&queues[n % used], &chunks, &e));
            ready_pop(&queues[n % used], &chunks);
            wrong += e.lsn.n != nth(shape, n).lsn.n;
        }
        uint64_t popped = now_ns();
        must(wrong == 0);
        printf("{\"name\":\"%s\",\"messages\":%llu,\"push_ns\":%.2f,\"pop_ns\":%.2f,\"bytes\":%.3f}\n", names[shape],
               (unsigned long long)messages, (double)(pushed - start) / (double)messages,
               (double)(popped - pushed) / (double)messages, bytes);
        slab_close(&chunks);
    }
    return 0;
}

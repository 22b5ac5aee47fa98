/* limits_cpu.c - what cores and memory allow: crossing (S), copying (C), loading (D), and how often a core is away (J).
 *
 * S: two rings of 64-byte cells between two processes, one writer and one reader each. A cell carries its own sequence
 *   number, so a message is one cache line that moves to the other core, and the answer is another: nothing that
 *   carries a message between two cores can be faster. The rings have 64 cells, as a window of requests would.
 * C: memcpy between two areas of 64 MiB, larger than the caches of one core; bytes copied, counted once.
 * D: a chase through 256 MiB: each cache line names the next one, in one random circle through all of them, so that no
 *   load can start before the last has ended. The areas of C and D ask for huge pages (madvise).
 * J: one core reads its counter without pause; a gap is the time between two reads. p99.99 is of *instants*: an event
 *   that comes at a random moment has a chance of 1 in 10 000 to fall into a gap as long as this or longer. (By number
 *   of reads it would say nothing: a hundred million short ones hide every interruption.) */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "limits_pair.h"

enum { CELLS = 64, LINE = 64, COPY_BYTES = 64 << 20, CHASE_BYTES = 256 << 20, CHASE_STEPS = 1 << 14 };

struct cell {
    _Alignas(LINE) _Atomic uint64_t sequence;
    uint8_t payload[LINE - sizeof(uint64_t)];
};
struct ring {
    struct cell cell[CELLS];
};

_Static_assert(2 * sizeof(struct ring) <= LIMITS_ROOM, "both rings are on the board");

static struct ring *ring_of(struct limits_board *b, unsigned which)
{
    return (struct ring *)b->room + which;
}

bool limits_cpu_cross_answer(const struct limits_setup *s, struct limits_board *b, char *why)
{
    struct ring *in = ring_of(b, 0), *out = ring_of(b, 1);
    (void)s, (void)why;
    atomic_store(&b->ready, 1);
    for (uint64_t i = 1;; i++) {
        struct cell *from = &in->cell[i % CELLS], *to = &out->cell[i % CELLS];
        while (atomic_load_explicit(&from->sequence, memory_order_acquire) != i)
            ticks_relax();
        memcpy(to->payload, from->payload, sizeof to->payload);
        atomic_store_explicit(&to->sequence, i, memory_order_release);
    }
}

bool limits_cpu_cross(const struct limits_setup *s, struct limits_board *b, char *why)
{
    struct ring *out = ring_of(b, 0), *in = ring_of(b, 1);
    if (!limits_pair_wait(b))
        return limits_pair_fail(why, "the other process did not start");
    uint64_t warm = ticks_now() + ticks_of(s->seconds / 10), end = warm + ticks_of(s->seconds);
    uint64_t patience = ticks_of(LIMITS_REPLY_NS / 1e9), then = ticks_now();
    for (uint64_t i = 1; then < end; i++) {
        struct cell *to = &out->cell[i % CELLS], *from = &in->cell[i % CELLS];
        memset(to->payload, (int)i, sizeof to->payload);
        atomic_store_explicit(&to->sequence, i, memory_order_release);
        for (uint32_t spins = 0; atomic_load_explicit(&from->sequence, memory_order_acquire) != i; spins++) {
            if (spins % 65536 == 65535 && ticks_now() - then > patience)
                return limits_pair_fail(why, "the other process fell silent");
            ticks_relax();
        }
        uint64_t now = ticks_now();
        if (then >= warm)
            hist_record(&b->hist, now - then);
        then = ticks_now();
    }
    limits_pair_percentiles(b);
    return true;
}

/* Pages that are there: huge ones, if the kernel gives them to those who ask. */
static void *area_open(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    madvise(p, size, MADV_HUGEPAGE);
    memset(p, 1, size);
    return p;
}

bool limits_cpu_copy(const struct limits_setup *s, struct limits_board *b, char *why)
{
    char *from = area_open(COPY_BYTES), *to = area_open(COPY_BYTES);
    if (!from || !to)
        return limits_pair_fail(why, "no memory for two areas of 64 MiB");
    uint64_t start = ticks_now(), end = start + ticks_of(s->seconds), now = start, copies = 0;
    for (; now < end; copies++) {
        memcpy(to, from, COPY_BYTES);
        __asm__ volatile("" ::"r"(to) : "memory");
        now = ticks_now();
    }
    b->value[0] = (double)copies * COPY_BYTES / ((double)(now - start) * ticks_ns()); /* bytes/ns = GB/s */
    return true;
}

/* One circle through all lines (Sattolo's shuffle), written into the lines themselves. */
static void chase_lay(uint32_t *line, uint32_t lines)
{
    enum { WORDS = LINE / sizeof(uint32_t) };
    uint64_t x = 88172645463325252ull;
    for (uint32_t i = 0; i < lines; i++)
        line[(size_t)i * WORDS] = i;
    for (uint32_t i = lines - 1; i > 0; i--) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        uint32_t j = (uint32_t)(((x >> 32) * i) >> 32);
        uint32_t kept = line[(size_t)i * WORDS];
        line[(size_t)i * WORDS] = line[(size_t)j * WORDS];
        line[(size_t)j * WORDS] = kept;
    }
}

bool limits_cpu_load(const struct limits_setup *s, struct limits_board *b, char *why)
{
    enum { WORDS = LINE / sizeof(uint32_t) };
    uint32_t *line = area_open(CHASE_BYTES), at = 0;
    if (!line)
        return limits_pair_fail(why, "no memory for an area of 256 MiB");
    chase_lay(line, CHASE_BYTES / LINE);
    uint64_t start = ticks_now(), end = start + ticks_of(s->seconds), now = start, steps = 0;
    for (; now < end; steps += CHASE_STEPS) {
        for (uint32_t i = 0; i < CHASE_STEPS; i++)
            at = line[(size_t)at * WORDS];
        __asm__ volatile("" ::"r"(at));
        now = ticks_now();
    }
    b->value[0] = (double)(now - start) * ticks_ns() / (double)steps;
    return true;
}

bool limits_cpu_gap(const struct limits_setup *s, struct limits_board *b, char *why)
{
    (void)why;
    uint64_t then = ticks_now(), end = then + ticks_of(s->seconds), gap;
    then = ticks_now();
    for (uint64_t now; then < end; then = now) {
        now = ticks_now();
        gap = now - then;
        hist_record_many(&b->hist, gap, gap);
    }
    b->value[0] = (double)hist_at(&b->hist, HIST_P9999) * ticks_ns();
    b->value[1] = (double)hist_at(&b->hist, HIST_MAX) * ticks_ns();
    return true;
}

bool limits_cpu_spin(const struct limits_setup *s, struct limits_board *b, char *why)
{
    (void)s, (void)b, (void)why;
    for (;;)
        ticks_relax();
}

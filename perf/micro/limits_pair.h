/* limits_pair.h - what every limit has in common: two processes, a board between them, a clock.
 *
 * A limit is measured by one or two *ends*. Each end runs in a process of its own, pinned to one core: the parent never
 * touches DPDK, sockets or disks, so each round starts afresh, and whatever hangs is killed when its time is over.
 * End 0 measures: it fills in board->value and returns true. End 1 answers it and never returns, unless it fails.
 * An end that fails writes one sentence into `why` and returns false.
 *
 * Units: nanoseconds, unless a limit's row in limits.c says otherwise.
 * Thread: one per process; the board is shared by both. */
#ifndef LEAT_PERF_LIMITS_PAIR_H
#define LEAT_PERF_LIMITS_PAIR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hist.h"
#include "ticks.h"

enum { LIMITS_VALUES = 4, LIMITS_WHY = 200, LIMITS_PATH = 160, LIMITS_ROOM = 65536 };

/* How long an end waits for its partner before it gives up, and how long one reply may take. */
#define LIMITS_START_NS 10000000000ull
#define LIMITS_REPLY_NS 1000000000ull

struct limits_setup {
    double seconds;            /* to measure, per round */
    unsigned cpu[2];           /* of the two ends; equal where the machine has one core */
    bool huge;                 /* DPDK's memory in huge pages */
    bool driver;               /* M, P: the vhost end through the net_vhost driver */
    bool busy;                 /* a spinning process on cpu[1] where a limit has one end only */
    char scratch[LIMITS_PATH]; /* a folder of this run on the disk to be measured; removed at the end */
};

struct limits_board {
    double value[LIMITS_VALUES];
    _Atomic uint32_t ready; /* set by end 1 when it can answer; its meaning is the limit's */
    char why[2][LIMITS_WHY];
    _Alignas(64) uint8_t room[LIMITS_ROOM]; /* zero at the start of each round; for the limit to use */
    struct hist hist;
};

typedef bool limits_end(const struct limits_setup *s, struct limits_board *b, char *why);

/* Runs the ends (the second may be NULL) for one round, within `timeout_ms`. Kills what is left. False: see `why`. */
bool limits_pair_run(const struct limits_setup *s, struct limits_board *b, limits_end *const end[2], int timeout_ms,
                     char *why);

/* Waits until end 1 has said that it is ready; answers what it said, or 0 when time is up. */
uint32_t limits_pair_wait(struct limits_board *b);

/* Writes the sentence and answers false, so that an end can `return limits_pair_fail(...)`. */
bool limits_pair_fail(char *why, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Fills value[0..2] with p50, p99 and p99.9 of the board's histogram of ticks. */
void limits_pair_percentiles(struct limits_board *b);

/* The ends. What each limit is: the table in limits.c. How it is measured: the file. */
limits_end limits_vhost_echo, limits_vhost_rate, limits_vhost_answer;
limits_end limits_cpu_cross, limits_cpu_cross_answer, limits_cpu_copy, limits_cpu_load, limits_cpu_gap, limits_cpu_spin;
limits_end limits_disk_write, limits_disk_flush, limits_disk_stream;
limits_end limits_tcp_spin, limits_tcp_block, limits_tcp_spin_answer, limits_tcp_block_answer;

#endif

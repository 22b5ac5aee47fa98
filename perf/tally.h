/* tally.h - numbered bodies, and whether each number came exactly once.
 *
 * A body carries its number twice, the second time mixed with its size, and a pattern drawn from the number behind
 * that: a body that was cut, swapped or made up does not pass.
 *
 * Units: bytes; numbers count from 0. Memory: a bit per number, reserved by tally_open(). Failure: NULL without memory.
 * Thread: one. */
#ifndef LEAT_PERF_TALLY_H
#define LEAT_PERF_TALLY_H

#include <stdbool.h>
#include <stdint.h>

enum { TALLY_BODY_MIN = 16 };

/* tally_write: a whole body; `size` is at least TALLY_BODY_MIN. */
void tally_write(uint8_t *body, uint32_t size, uint64_t number);

/* tally_stamp: only the numbers, in a body that tally_write() has made once: for senders in a hurry. */
void tally_stamp(uint8_t *body, uint32_t size, uint64_t number);

/* tally_read: false if the body is none of ours. The pattern is not looked at. */
bool tally_read(const uint8_t *body, uint32_t size, uint64_t *number);

struct tally {
    uint64_t expected;                 /* numbers 0..expected-1 should come */
    uint64_t found, repeated, foreign; /* distinct ones; seen before; not ours, or too large a number */
    uint64_t *bits;
};

bool tally_open(struct tally *t, uint64_t expected);
void tally_close(struct tally *t);
void tally_see(struct tally *t, const uint8_t *body, uint32_t size);

#endif

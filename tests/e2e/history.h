/* history.h - what prog_history writes down and prog_judge reads: one line an event, in the order in which the clients
 * saw them. n numbers the messages from 1.
 *
 *   p N OUTCOME [ID]     a put was answered, or nobody knows: ok (then with its id), fail, unknown
 *   d N ID ATTEMPT       delivered, and the body was N's, byte for byte
 *   w ID                 delivered with a body that nobody put
 *   c COUNT              a take of so many ended with `corrupt`: the broker's disk has lost their bytes, or is gone
 *   a N OUTCOME          an ack of the newest receipt was answered: ok, stale, fail, unknown
 *   x N OUTCOME          an ack of a receipt that had a newer one by then
 *   drained              the queue is empty: everything that was left has been delivered above
 *
 * A body is a function of its number: 8 bytes N, then as many bytes as N says, drawn from N.
 *
 * Units: bytes. Memory: the caller's. Thread: any (pure). */
#ifndef LEAT_TESTS_E2E_HISTORY_H
#define LEAT_TESTS_E2E_HISTORY_H

#include <stdbool.h>
#include <string.h>

#include "byteorder.h"
#include "prng.h"

enum { HISTORY_BODY_MAX = 4096 };

static inline uint32_t history_body(uint8_t body[HISTORY_BODY_MAX], uint64_t n)
{
    struct prng p = prng_seed(n, 1);
    uint32_t size = 8 + (uint32_t)(prng_chance(&p, 5) ? prng_below(&p, HISTORY_BODY_MAX - 16) : prng_below(&p, 200));
    uint8_t word[8];
    le64_put(body, n);
    for (uint32_t at = 8; at < size; at += 8) {
        le64_put(word, prng_next(&p));
        memcpy(body + at, word, size - at < 8 ? size - at : 8);
    }
    return size;
}

/* Whose body this is, or 0 if nobody's. */
static inline uint64_t history_whose(const uint8_t *body, size_t size)
{
    uint8_t right[HISTORY_BODY_MAX];
    uint64_t n = size >= 8 ? le64_get(body) : 0;
    return n != 0 && history_body(right, n) == size && memcmp(right, body, size) == 0 ? n : 0;
}

#endif

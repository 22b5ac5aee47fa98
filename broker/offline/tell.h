/* tell.h - a fact as text: one line of tabs and key=value, or one JSON object; and in words, for explain.
 *
 *   LSN <tab> UTC time <tab> eEPOCH <tab> FACT <tab> key=value ...
 *   {"lsn":"12.3","at":NANOSECONDS,"time":"...","epoch":2,"fact":"put","queue":"jobs",...}
 *
 * Units: as the keys say: bytes, nanoseconds of log time in "at", UTC in times. Memory: none kept. Failure: seen by
 * ferror(). Thread: one. */
#ifndef LEAT_OFFLINE_TELL_H
#define LEAT_OFFLINE_TELL_H

#include <stdio.h>

#include "follow.h"

enum { TELL_TIME = 40, TELL_WORDS = 512 };

struct tell {
    FILE *out;
    bool json, bodies;
    const struct follow *follow;
};

/* What stands around a fact. */
struct tell_place {
    uint32_t epoch;     /* of the block */
    uint32_t queue;     /* the fact's, or SLAB_NONE */
    struct lsn message; /* the fact's, or LSN_NONE */
    uint16_t cell;      /* for ids */
};

void tell_fact(const struct tell *t, const struct fact *f, const struct tell_place *place);

/* tell_words: what happened to the message, as a sentence. */
void tell_words(char out[TELL_WORDS], const struct follow *f, const struct fact *fact, uint32_t queue);

/* tell_time: an instant as UTC, "2026-01-31T12:00:00.123456Z", or as "+12.3s" of log time when no clock is known;
 * "never". */
void tell_time(char out[TELL_TIME], const struct follow *f, struct instant at);

/* tell_id: the id of a message. */
void tell_id(char *out, uint16_t cell, uint32_t epoch, struct lsn lsn);

#endif

/* window.h - request numbers of one session: which are under way, which must be sent (again), and when to worry.
 *
 *   take --> to send --> sent --answer--> free, and the window moves on
 *               ^          |
 *               +--retry---+   (the broker missed it, the connection was lost, or no answer came in time)
 *
 * Number n lives in slot n % size and may be taken when n - size has been answered; the broker holds one kept answer
 * per slot (broker/session), so the two ends agree without a word.
 *
 * Round trips are measured on requests that were sent once and not parked; a retry comes after ten smoothed round trips
 * (1 ms to 1 s), then twice as late each time: on one machine a reply is late because the broker works, not because the
 * ring lost it. Source: Jacobson/Karels, Karn; the factor is eRPC's experience.
 *
 * Units: struct instant. Memory: fixed. Failure: none. Thread: one. */
#ifndef LEAT_CLIENT_WINDOW_H
#define LEAT_CLIENT_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "limits.h"
#include "units.h"

struct window_slot {
    uint64_t number;
    uint16_t call;       /* who asked */
    uint16_t sends;      /* times that it was sent, in all connections */
    bool parked;         /* the broker has said that the answer will take its time */
    struct instant sent; /* last */
    struct instant due;  /* when to do something about the missing answer */
};

struct window {
    uint16_t size;
    uint64_t oldest;  /* unanswered number, = next if none */
    uint64_t next;    /* to be given */
    uint64_t open;    /* bit per slot: not answered */
    uint64_t to_send; /* bit per slot: to be sent now */
    struct duration smoothed, variation;
    struct window_slot slots[WINDOW_MAX];
};

/* window_reset: as a new session sees it; the measured round trip stays. */
void window_reset(struct window *w, uint16_t size);

/* window_full: no number can be taken now. window_take: the next number, to be sent for `call`. */
bool window_full(const struct window *w);
uint64_t window_take(struct window *w, uint16_t call);

/* window_find: the slot of an unanswered number, or NULL. */
struct window_slot *window_find(struct window *w, uint64_t number);
void window_answered(struct window *w, struct window_slot *slot, struct instant now);
void window_parked(struct window *w, struct window_slot *slot, struct instant now, struct instant due);

/* window_answers: bit i: the number oldest + i has been given and answered. */
uint64_t window_answers(const struct window *w);

/* window_resend_from: everything unanswered from `number` on is to be sent again. window_resend: this one. */
void window_resend_from(struct window *w, uint64_t number);
void window_resend(struct window *w, struct window_slot *slot);

/* window_first_to_send: the lowest number that is to be sent, or NULL. window_sent: it has left; `patience` is how long
 * to wait for its answer, or 0 for the measured time. */
struct window_slot *window_first_to_send(struct window *w);
void window_sent(struct window *w, struct window_slot *slot, struct instant now, struct duration patience);

/* window_first_overdue: an unanswered slot, not to be sent already, whose due is not after `now`, in the order of
 * numbers; NULL if there is none. window_next_due: the earliest due of those slots, or INSTANT_NEVER. */
struct window_slot *window_first_overdue(struct window *w, struct instant now);
struct instant window_next_due(const struct window *w);

/* window_retry_after: how long an answer is waited for now. */
struct duration window_retry_after(const struct window *w);

#endif

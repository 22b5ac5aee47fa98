/* blocking.h - what waiting calls have in common: a deadline, a reason for being late, a pause before the next try.
 * Units: struct instant. Memory: none. Failure: enum leat_status. Thread: the handle's. */
#ifndef LEAT_CLIENT_BLOCKING_H
#define LEAT_CLIENT_BLOCKING_H

#include "loop.h"

/* When a call that starts now is over. */
struct instant blocking_deadline(const struct leat *l);
/* Why nothing came in time: timed out if it was sent, else unreachable, or what the broker answered to hello. */
enum leat_status blocking_late(struct leat *l, bool sent, const char *queue);
/* Submits, waits, and shows the result while it lives, if it is LEAT_OK. */
typedef enum leat_status blocking_look(const struct client_result *r, void *user);
enum leat_status blocking_ask(struct leat *l, const struct client_op *op, blocking_look *look, void *user);
/* Whether this answer is worth another try, and the user wants that. */
bool blocking_may_ask_again(const struct leat *l, enum leat_status status);
/* Turns the loop between two tries: 10 ms, doubling to 1 s. False: the time would be over before the next. */
bool blocking_pause(struct leat *l, unsigned tries, struct instant deadline);

#endif

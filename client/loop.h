/* loop.h - one turn of a handle: connect, send, sleep, receive, call back.
 *
 * Units: struct instant of CLOCK_BOOTTIME. Memory: the handle's. Failure: a connection that ends is made anew by later
 * turns; the reason stays in leat->trouble. Thread: the handle's. */
#ifndef LEAT_CLIENT_LOOP_H
#define LEAT_CLIENT_LOOP_H

#include "leat_state.h"

struct instant loop_now(void);

/* loop_turn: sleeps until `until` at the latest, when there is nothing to do. IO_SIGNAL: a signal woke it. */
enum io_wake loop_turn(struct leat *l, struct instant until);

#endif

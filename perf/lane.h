/* lane.h - a client core and its link: a session that a load generator drives by hand.
 *
 * One turn is lane_in(), then the caller's results and submits, then lane_out(). The lane connects and reconnects by
 * itself, as the core wants it.
 *
 * Units: nanoseconds of lane_now(). Failure: a lane that cannot connect keeps trying; lane_why() tells the last
 * sentence. Thread: one. */
#ifndef LEAT_PERF_LANE_H
#define LEAT_PERF_LANE_H

#include "client.h"
#include "link.h"
#include "ticks.h"

struct lane {
    struct client *client;
    struct link *link;
    bool connected;
    size_t held, held_max; /* bytes of out[] that the link had no room for; room for one output */
    uint8_t *out;
    struct client_io_bytes in[LINK_BURST];
    char why[256];
};

struct lane_options {
    struct target target;
    const char *eal;
    uint16_t window;
    uint64_t seed;
};

/* Nanoseconds since some moment of this process; never goes back. */
struct instant lane_now(void);

bool lane_open(struct lane *lane, const struct lane_options *o);
void lane_close(struct lane *lane);

/* Connects if it must, takes what came; how many pieces that was. */
int lane_in(struct lane *lane);
/* Sends all that is to be sent, and lets the core's timers run. */
void lane_out(struct lane *lane, struct instant now);
/* Sleeps until something comes, at most `ms`. */
void lane_wait(struct lane *lane, unsigned ms);

/* Waits for the session: false after `seconds`, see lane->why. */
bool lane_ready(struct lane *lane, double seconds);

/* One call, from submit to its result, while nothing else is under way; LEAT_TIMED_OUT after 10 s. */
enum leat_status lane_call(struct lane *lane, const struct client_op *op, struct client_result *r);

#endif

/* script.h - a client who asks the same things in the same order, so that a broker's recorded answers fit him again.
 * Units: struct instant. Memory: the client's. Failure: must(). Thread: one. */
#ifndef LEAT_TESTS_FUZZ_SCRIPT_H
#define LEAT_TESTS_FUZZ_SCRIPT_H

#include "client.h"

struct script {
    struct client *client;
    struct instant now;
    uint64_t submitted, answered; /* calls */
    bool linked;
};

enum { SCRIPT_CALLS = 16, SCRIPT_BUDGET = 8 << 20, SCRIPT_DATAGRAM = 1472 };

/* script_open: a client that has asked nothing. script_close: every call was answered once at most. */
void script_open(struct script *s, bool datagrams);
void script_close(struct script *s);

/* script_turn: connects, asks what comes next, reads results and looks at all they say. */
void script_turn(struct script *s);

/* script_say: what the client has to send now, 0 when nothing. */
size_t script_say(struct script *s, uint8_t out[FRAME_MAX]);
/* script_hear: bytes from a broker. False: the client has hung up. */
bool script_hear(struct script *s, const uint8_t *bytes, size_t size);

#endif

/* rig.h - a client and a fake broker joined by a wire that a test can cut, chop and make lossy. Time is data.
 *
 * Units: struct instant. Memory: the client's and the broker's. Failure: must(), or a failed test. Thread: one. */
#ifndef LEAT_TESTS_RIG_H
#define LEAT_TESTS_RIG_H

#include "client.h"
#include "fake_broker.h"
#include "prng.h"

struct rig {
    struct client *client;
    struct fake_broker broker;
    struct instant now;
    bool datagrams;
    bool up;        /* the broker can be reached */
    bool linked;    /* a connection stands */
    bool hold;      /* what the broker says stays behind broker.out */
    size_t chop;    /* most bytes of one client_input() on streams; 0: all */
    unsigned lossy; /* datagrams: percent lost, and as many repeated, per direction */
    struct prng prng;
    enum leat_status stream; /* what client_input() said last */
};

void rig_open(struct rig *r, uint16_t window, bool datagrams, uint64_t seed);
void rig_close(struct rig *r);
/* One exchange: connect if wanted, everything the client has to say, everything the broker answers. False: nothing
 * moved. */
bool rig_step(struct rig *r);
/* Steps, letting time pass to the next due instant when nothing moves, until `pending` calls at most have no result, or
 * `limit` of time has passed: then false. */
bool rig_run(struct rig *r, unsigned pending, struct duration limit);
/* The connection ends. */
void rig_cut(struct rig *r);

/* Until every call has a result: a minute at most. */
void rig_finish(struct rig *r);

/* The next result is this call's; there is none. */
struct client_result rig_expect(struct rig *r, uint64_t user);
void rig_expect_status(struct rig *r, uint64_t user, enum leat_status status);
void rig_expect_none(struct rig *r);
struct client_counters rig_counters(const struct rig *r);

/* Calls with user = tag. */
enum leat_status rig_put(struct rig *r, const char *queue, const char *body, uint64_t tag);
enum leat_status rig_put_many(struct rig *r, const char *queue, unsigned count, uint32_t size, uint64_t tag);
enum leat_status rig_take(struct rig *r, const char *queue, uint16_t max, struct duration wait, uint64_t tag);
enum leat_status rig_receipts(struct rig *r, uint8_t op, const char *queue, const uint8_t (*receipts)[RECEIPT_BYTES],
                              uint16_t count, uint64_t tag);
enum leat_status rig_queue(struct rig *r, uint8_t op, const char *queue, uint64_t tag);

#endif

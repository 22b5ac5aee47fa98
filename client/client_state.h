/* client_state.h - what the files of the core share: the state of a client. Nobody else includes it.
 *
 *   client.c         the life of a call and of a connection
 *   client_input.c   what the broker said
 *   client_output.c  what we say
 *   client_tick.c    when we say it again
 *
 * Units: bytes, struct instant. Memory: one block, beside the buffers of calls. Thread: one. */
#ifndef LEAT_CLIENT_STATE_H
#define LEAT_CLIENT_STATE_H

#include "call.h"
#include "client.h"
#include "prng.h"
#include "refs.h"
#include "window.h"

enum client_link {
    LINK_DOWN,  /* no connection */
    LINK_HELLO, /* connected, hello is not answered */
    LINK_READY, /* the session is open */
};

/* Calls in a row, linked by index. */
struct client_list {
    uint16_t head, tail;
};
enum {
    LIST_END = UINT16_MAX,
    CALLS_MAX = WINDOW_MAX + 1,
    PARKED_ASK_S = 5,    /* datagrams: a parked take is asked for again so often, since its answer may get lost */
    PARKED_GRACE_S = 30, /* streams: so long after its wait the answer must have come */
};

struct client {
    uint32_t magic;
    struct client_config config;
    struct prng secrets, jitter;

    /* the connection */
    enum client_link link;
    bool broken;
    unsigned failures; /* attempts and connections in a row without an answer */
    struct instant connect_due;
    struct instant quiet; /* since when nothing was heard, counted while something is waited for */
    bool waiting;         /* something is waited for */
    bool ping_now;
    unsigned pings; /* without an answer */

    /* hello */
    bool hello_now;    /* to be sent */
    bool hello_failed; /* answered with no: wait for hello_due */
    unsigned hello_tries;
    uint64_t hello_number, nonce;
    struct instant hello_sent, hello_due;
    enum leat_status refusal;

    /* the session */
    bool session_open;
    bool told; /* `hello` is set */
    uint32_t session;
    uint64_t secret;
    struct reply_hello hello;
    uint32_t frame_max;
    bool closing, bye_now, bye_sent, bye_answered;
    struct instant bye_due;

    /* calls */
    struct window window;
    unsigned calls_count, pending, free_count;
    uint64_t order;
    struct call calls[CALLS_MAX];
    struct client_list free, queued, done;
    uint16_t shown; /* the call of the last client_result() */
    struct call_memory memory;
    struct refs refs;

    /* output */
    struct instant due;    /* never later than the earliest timer */
    uint64_t piece_number; /* request that leaves in pieces */
    uint32_t piece_offset; /* of its next piece */

    struct client_counters counters;
    uint32_t partial_size;
    uint8_t partial[FRAME_MAX]; /* streams: a frame that has not come whole */
};

static inline struct call *client_call_of(struct client *c, const struct window_slot *slot)
{
    return &c->calls[slot->call];
}

/* Shared steps (client.c). */
/* client_pump: queued calls get numbers, as far as the window allows. */
void client_pump(struct client *c);
/* client_finish: the call has its outcome. client_requeue: it waits for a number again, in the order of submission. */
void client_finish(struct client *c, struct call *call);
void client_requeue(struct client *c, struct call *call);
/* client_reserve: room in a call's buffer, at the cost of buffers that wait for use. */
bool client_reserve(struct client *c, struct call_buffer *b, size_t size);
/* client_expire: the broker has forgotten the session. */
void client_expire(struct client *c);
/* client_say_hello: a new hello is due now. */
void client_say_hello(struct client *c);
/* client_backoff: how long to wait after so many failures. */
struct duration client_backoff(struct client *c, unsigned failures);

#endif

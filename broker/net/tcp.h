/* tcp.h - what the files of the TCP transport share: the table of connections. Not for other rooms: they include
 * tcp_uring.h.
 *
 * A slot is taken by accept and free again when its requests in the ring have ended, no list names it and the packet
 * that says "gone" has been received; so a completion or a list entry never meets another connection than its own. A
 * peer number is generation << 16 | slot; free slots are used in turn, which keeps a number from coming back soon.
 * Thread: the ring's. */
#ifndef LEAT_NET_TCP_H
#define LEAT_NET_TCP_H

#include <stdbool.h>
#include <stdint.h>

#include "chunks.h"
#include "frame.h"
#include "ring.h"
#include "tcp_listen.h"
#include "tcp_uring.h"
#include "transport.h"
#include "units.h"

enum tcp_tag { TCP_ACCEPT = 1, TCP_RECV, TCP_WRITABLE, TCP_RESUME };

enum tcp_state { TCP_FREE, TCP_OPEN, TCP_ENDING };

/* Connections in order of their last progress, so that the first is the most stuck. */
enum tcp_order { TCP_PARTIAL, TCP_BLOCKED, TCP_ORDERS };

enum { TCP_NONE = -1 };

struct tcp_link {
    int32_t previous, next;
    bool linked;
    struct instant since; /* of the last progress */
};

struct tcp_connection {
    int fd; /* -1 once closed */
    uint16_t generation;
    uint8_t state;
    bool receiving; /* its requests in the ring */
    bool polling;
    bool starved; /* it is named in these lists */
    bool dirty;
    bool deaf; /* the shard has hung up: what is still queued of it is thrown away */
    bool told; /* "gone" has been received */

    uint8_t head[FRAME_HEADER]; /* the start of a frame whose size is not known yet */
    uint8_t *in;                /* then the frame itself: a chunk of at least in_need bytes */
    uint32_t in_have, in_need;

    uint8_t *out; /* a chunk, while there is something to send: [out_head, out_tail) */
    uint32_t out_capacity, out_head, out_tail;

    struct tcp_link links[TCP_ORDERS];
};

/* A first-in, first-out list of slots; each is in it at most once. */
struct tcp_fifo {
    uint32_t *slots;
    uint32_t head, count;
};

struct tcp {
    struct transport transport;
    struct ring *ring;
    uint8_t owner;
    bool closing;
    bool accept_paused;
    uint32_t listeners_idle; /* a bit per listener whose accept has ended */
    struct ring_timer resume_timer;
    struct tcp_listen listeners;
    struct tcp_counters counters;

    struct tcp_connection *connections;
    uint32_t connections_max;
    struct tcp_fifo free, starved, dirty;
    struct {
        int32_t first, last;
    } orders[TCP_ORDERS];

    struct ring_buffers *buffers;
    uint32_t buffers_free;
    struct chunks *chunks;
    uint8_t *scratch; /* replies to peers that have gone are written here */

    struct transport_packet *packets; /* received, not yet asked for */
    uint32_t packets_max, packets_head, packets_count;
};

static inline uint64_t tcp_tag(enum tcp_tag kind, uint32_t slot)
{
    return (uint64_t)kind << 32 | slot;
}
static inline uint32_t tcp_slot(const struct tcp *t, const struct tcp_connection *c)
{
    return (uint32_t)(c - t->connections);
}
static inline uint32_t tcp_peer(const struct tcp *t, const struct tcp_connection *c)
{
    return (uint32_t)c->generation << 16 | tcp_slot(t, c);
}

/* tcp_uring.c: the table. tcp_uring_end: this connection is over; `error` counts it as a reset. What was committed is
 * tried once more, "gone" is queued. tcp_uring_release: frees the slot if nothing holds it any longer. tcp_uring_touch:
 * progress; tcp_uring_untouch: no longer waiting. */
void tcp_uring_end(struct tcp *t, struct tcp_connection *c, bool error);
void tcp_uring_release(struct tcp *t, struct tcp_connection *c);
void tcp_uring_touch(struct tcp *t, struct tcp_connection *c, enum tcp_order order);
void tcp_uring_untouch(struct tcp *t, struct tcp_connection *c, enum tcp_order order);
bool tcp_uring_evict(struct tcp *t, const struct tcp_connection *c, struct duration least);
void tcp_uring_push(struct tcp *t, struct tcp_fifo *f, struct tcp_connection *c);
struct tcp_connection *tcp_uring_pop(struct tcp *t, struct tcp_fifo *f);

/* tcp_input.c: from received bytes to packets. */
void tcp_input_start(struct tcp *t, struct tcp_connection *c);
void tcp_input_completed(struct tcp *t, struct tcp_connection *c, const struct ring_completion *done);
void tcp_input_drop(struct tcp *t, struct tcp_connection *c);
void tcp_input_gone(struct tcp *t, struct tcp_connection *c);
void tcp_input_feed_starved(struct tcp *t);
unsigned tcp_input_take(struct tcp *t, struct transport_packet *packets, unsigned max);
void tcp_input_done(struct tcp *t, const struct transport_packet *packet);

/* tcp_output.c: from frames to sends. */
uint8_t *tcp_output_reserve(struct tcp *t, struct tcp_connection *c, uint32_t size);
void tcp_output_commit(struct tcp *t, struct tcp_connection *c, uint32_t size);
void tcp_output_flush(struct tcp *t);
void tcp_output_writable(struct tcp *t, struct tcp_connection *c);
void tcp_output_last(struct tcp *t, struct tcp_connection *c);

#endif

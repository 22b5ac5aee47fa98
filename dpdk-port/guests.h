/* guests.h - who is connected to the local port: a table of places that vhost's event thread and the polling thread
 * share.
 *
 * A client's life in its place, and who makes each step:
 *
 *     FREE --event--> NEW --poller--> LIVE --event--> GONE --poller--> FREE (next generation)
 *                      +----------------event---------^
 *
 * The event thread must not return from "the device is gone" while the poller is using it: vhost unmaps the memory
 * next. So the poller wraps every use in a pass, guests_enter() ... guests_leave(): an odd number in `pass` while it is
 * inside. The event thread first marks the place GONE, then waits for the pass that may have begun before (of some
 * microseconds) to end. A poller that sleeps or has stopped is in no pass: nobody ever waits for it.
 *
 * Units: a place is an index below GUESTS_MAX; a peer number is place | generation << 10.
 * Memory: the table is allocated once. Descriptors in a place are our own duplicates; the event thread opens and closes
 * them. Failure: a client without a free place is turned away (vhost drops the connection). Thread: functions ending in
 * _xcore run on vhost's event thread; the rest on the polling thread. */
#ifndef LEAT_DPDK_PORT_GUESTS_H
#define LEAT_DPDK_PORT_GUESTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "packet.h"

struct rte_mbuf;
struct rte_vhost_device_ops;

enum {
    GUESTS_MAX = 1024, /* as many devices as librte_vhost can hold */
    GUEST_QUEUE = 32,  /* packets that wait for one client */
    GUEST_FROM = 1,    /* the vring that a client sends by */
    GUEST_TO = 0,      /* and the one it receives by */
    GUEST_PLACE_BITS = 10,
};

enum guest_state { GUEST_FREE, GUEST_NEW, GUEST_LIVE, GUEST_GONE };

struct guest {
    /* shared */
    _Atomic int state;
    int vid; /* vhost's number of the device, set before NEW */

    /* the event thread's, but for reading inside a pass */
    int kick[2];    /* duplicates of the eventfds by which the client wakes us; -1 where there is none */
    int connection; /* duplicate of its socket, or -1 */

    /* the polling thread's */
    uint32_t generation;
    bool told;      /* the shard knows this peer: it will be told of its end */
    bool hung_up;   /* the shard wants no more of it */
    bool dirty;     /* stands in the list of those with output */
    bool hot;       /* has sent something lately */
    uint16_t at;    /* index in the list of hot or cold ones */
    uint16_t quiet; /* passes without a packet */
    uint8_t address[PACKET_ADDRESS];
    uint32_t queued;                     /* packets in the queue; the last one is still being filled */
    struct rte_mbuf *queue[GUEST_QUEUE]; /* oldest first */
};

struct guests {
    struct guest place[GUESTS_MAX];
    _Atomic uint64_t pass;   /* odd while the poller is inside */
    _Atomic uint32_t events; /* arrivals and departures so far: look at the table when it has moved */
    int epoll;               /* readable when a client kicks, arrives or leaves */
    int bell;                /* eventfd in it, for arrivals and departures */
    char path[108];          /* of the socket: vhost names devices by it */
};

/* guests_open: registers a table for the socket `path`. NULL when descriptors or memory are short, or too many ports
 * are open. */
struct guests *guests_open(const char *path);

/* guests_close: after vhost has been told to drop the socket. */
void guests_close(struct guests *g);

/* guests_ops: the callbacks for rte_vhost_driver_callback_register. */
const struct rte_vhost_device_ops *guests_ops(void);

static inline void guests_enter(struct guests *g)
{
    atomic_store_explicit(&g->pass, atomic_load_explicit(&g->pass, memory_order_relaxed) + 1, memory_order_seq_cst);
}
static inline void guests_leave(struct guests *g)
{
    atomic_store_explicit(&g->pass, atomic_load_explicit(&g->pass, memory_order_relaxed) + 1, memory_order_release);
}

/* guest_here: whether the device may be used in this pass. */
static inline bool guest_here(struct guest *g)
{
    return atomic_load_explicit(&g->state, memory_order_seq_cst) == GUEST_LIVE && !g->hung_up;
}

static inline uint32_t guest_peer(const struct guests *g, const struct guest *guest)
{
    return (uint32_t)(guest - g->place) | guest->generation << GUEST_PLACE_BITS;
}

/* guests_find: the client that a peer number names, or NULL if it has gone. */
struct guest *guests_find(struct guests *g, uint32_t peer);

/* guests_cut: closes the connection of a client; its departure is reported as always. Inside a pass. */
void guests_cut(struct guest *guest);

/* guests_drain: takes what has made the wake descriptor readable. Returns whether there was something. */
bool guests_drain(struct guests *g);

#endif

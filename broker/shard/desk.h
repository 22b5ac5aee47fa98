/* desk.h - what only the leader remembers, and only until it stops: who is connected, which answers wait, who waits for
 * a message.
 *
 * The desk has a place for every request that can be unanswered: (session, number modulo window). A place is in at most
 * one list at a time:
 *
 *   HELD     the answer exists and waits until the log is safe up to a block; lists by block
 *   SENDING  the answer may leave and waits for room in the port
 *   PARKED   a take waits for a message, in its queue's line; in no list while its client is away
 *   DRAWING  bodies are being read from the disk
 *   BACKUP   a backup begins, or a piece of it is being read
 *
 * Everybody names a place by index and request number, never by pointer: a place that was given up says so itself.
 * Connections are found by (transport, peer) through a small hash of chains.
 *
 * Units: indices; struct instant of log time. Memory: reserved at desk_open() for all sessions, touched as used;
 * `bytes` of a place is the shard's (buffers.h). Failure: LEAT_NO_MEMORY at open, nothing later. Thread: owned by one
 * shard. */
#ifndef LEAT_SHARD_DESK_H
#define LEAT_SHARD_DESK_H

#include <stdbool.h>
#include <stdint.h>

#include "limits.h"
#include "request.h"
#include "slab.h"
#include "units.h"
#include "wheel.h"

enum {
    DESK_NONE = 0xffffffff,
    DESK_HELD_LISTS = 16,
    DESK_PEER_CHAINS = 4096,
    DESK_HELLOS = 64,
    DESK_PEER_SESSIONS = 64
};

enum desk_state { DESK_IDLE, DESK_HELD, DESK_SENDING, DESK_PARKED, DESK_DRAWING, DESK_BACKUP };

/* All zero is an empty list. */
struct desk_list {
    uint32_t first, last; /* places + 1; 0: none */
    uint32_t count, zero;
};

struct desk_place {
    uint64_t number; /* of the request */
    uint64_t block;  /* HELD: until this is durable */
    uint64_t leases; /* takes: where the first of its leases stands in the ring of leases.h */
    struct desk_list *list;
    uint32_t next, previous; /* places + 1 */
    uint8_t state;           /* enum desk_state */
    uint8_t op;
    uint16_t max; /* PARKED: messages wanted */
    struct queue_ref queue;
    struct duration lease;
    struct instant until;
    uint8_t *bytes; /* a whole operation that waits or is on its way, or NULL */
    uint32_t bytes_size, bytes_room, bytes_sent;
    uint16_t answer;  /* mark of its pieces */
    uint32_t drawing; /* DRAWING, BACKUP: number of the drawing, of the read */
    bool again;       /* the answer has left before, as far as we know */
};

struct desk_session {
    uint32_t peer;
    uint8_t transport;
    bool attached;
    bool hello_held;     /* the answer to hello waits for the session to be durable */
    uint32_t peer_next;  /* of its chain */
    uint32_t hello_next; /* of the list of held hellos */
    uint32_t frame_max;  /* largest frame that the client can take */
    uint64_t opened;     /* block of the fact that opened it; 0: long ago */
    uint64_t hello_number;
    struct instant heard; /* when the client went away */
    uint8_t *assembly;    /* a request that comes in fragments */
    uint64_t assembly_number;
    uint32_t assembly_total, assembly_have;
    struct instant assembly_begun; /* its first piece */
    struct instant stuck;          /* since when an answer of this client finds no room; 0: it reads */
};

/* A hello that opened a session, remembered for a while, so that a repeated one finds it. */
struct desk_hello {
    uint64_t nonce;
    uint32_t peer;
    uint32_t handle;
    uint8_t transport;
};

/* What a peer holds in requests that are not whole yet. */
struct desk_assemblies {
    uint64_t bytes;
    uint32_t count;
    uint32_t oldest; /* handle of the session whose first piece came first, or DESK_NONE */
};

struct desk {
    uint32_t sessions_max, window_max;
    struct slab sessions, places, lines; /* desk_session; desk_place; desk_list by queue number */
    struct wheel wheel;                  /* places: end of a wait; behind them sessions: end of silence */
    struct desk_list held[DESK_HELD_LISTS];
    struct desk_list sending;
    uint32_t held_count, sending_count, parked_count;
    uint32_t hello_head, hello_tail;
    uint32_t peers[DESK_PEER_CHAINS];
    struct desk_hello hellos[DESK_HELLOS];
    uint32_t hello_at;
};

enum leat_status desk_open(struct desk *d, uint32_t sessions, uint32_t window, uint32_t queues, struct instant start);
void desk_close(struct desk *d);

static inline struct desk_session *desk_session(const struct desk *d, uint32_t handle)
{
    return (struct desk_session *)(uintptr_t)(d->sessions.items + (uint64_t)(handle & 0xffff) * d->sessions.item_bytes);
}
static inline uint32_t desk_index(const struct desk *d, uint32_t handle, uint64_t number, uint16_t window)
{
    return (handle & 0xffff) * d->window_max + (uint32_t)(number & (window - 1u));
}
static inline struct desk_place *desk_place(const struct desk *d, uint32_t index)
{
    return (struct desk_place *)(uintptr_t)(d->places.items + (uint64_t)index * d->places.item_bytes);
}
static inline struct desk_list *desk_line(const struct desk *d, uint32_t queue)
{
    return (struct desk_list *)(uintptr_t)(d->lines.items + (uint64_t)queue * d->lines.item_bytes);
}

static inline uint32_t desk_list_first(const struct desk_list *list)
{
    return list->first - 1; /* 0 gives DESK_NONE */
}

/* desk_list_add: the place is in no list. desk_list_remove: out of whatever list it is in, if any. */
void desk_list_add(struct desk *d, struct desk_list *list, uint32_t index);
void desk_list_remove(struct desk *d, uint32_t index);

/* desk_settle: the place changes its state (and leaves its list); the counts follow. */
void desk_settle(struct desk *d, uint32_t index, enum desk_state state);

/* Connections. desk_attach: from now on the session answers to this peer. desk_attached: the first session of a peer,
 * or DESK_NONE; detach it to see the next. */
void desk_attach(struct desk *d, uint32_t handle, uint8_t transport, uint32_t peer, uint32_t frame_max);
void desk_detach(struct desk *d, uint32_t handle, struct instant now);
uint32_t desk_attached(const struct desk *d, uint8_t transport, uint32_t peer);
/* desk_crowded: this peer has as many sessions as one connection may have, DESK_PEER_SESSIONS. */
bool desk_crowded(const struct desk *d, uint8_t transport, uint32_t peer);
struct desk_assemblies desk_assemblies(const struct desk *d, uint8_t transport, uint32_t peer);

/* Hellos whose answer waits, in order of their blocks. */
void desk_hello_hold(struct desk *d, uint32_t handle);
uint32_t desk_hello_first(const struct desk *d);
void desk_hello_pop(struct desk *d);
void desk_hello_drop(struct desk *d, uint32_t handle); /* if it is among them */

/* desk_hello_note: this hello opened this session. desk_hello_seen: the session of a repeated one, or 0. */
void desk_hello_note(struct desk *d, uint64_t nonce, uint8_t transport, uint32_t peer, uint32_t handle);
uint32_t desk_hello_seen(const struct desk *d, uint64_t nonce, uint8_t transport, uint32_t peer);

#endif

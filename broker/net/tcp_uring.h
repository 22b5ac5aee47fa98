/* tcp_uring.h - frames over kernel TCP, by io_uring: a transport (shard/transport.h) for any number of connections.
 *
 * Reading: one multishot accept per address, one multishot receive per connection, into a pool of buffers that all
 * share. Whole frames are handed out where they lie; a frame that arrives in pieces is put together in memory of its
 * own. Bytes that the shard has not taken hold their buffers: when it stops draining, reading stops by itself and the
 * peers' TCP windows close. Writing: what was committed for a connection leaves with one send() at flush(); what the
 * socket does not take waits for it.
 *
 * A stream that is not frames is dropped. When memory for unfinished frames or unsent replies runs out, the connection
 * that has made no progress for longest is dropped, never a live one. Units: bytes. Memory: all reserved at open
 * (tcp_config), touched as used; an idle connection costs its table entry. Failure: at open one sentence in `error`;
 * later in the counters. Thread: the ring's. The ring outlives the transport. */
#ifndef LEAT_NET_TCP_URING_H
#define LEAT_NET_TCP_URING_H

#include <stdint.h>

#include "ring.h"
#include "status.h"
#include "transport.h"

enum { TCP_CONNECTIONS_MAX = 65536, TCP_OUT_MAX = 256 * 1024 };

struct tcp_config {
    const char *address;   /* HOST:PORT; port 0: any free one */
    uint32_t connections;  /* at most TCP_CONNECTIONS_MAX; 0: 16384 */
    uint32_t buffers;      /* of the receive pool, a power of 2; 0: 512 */
    uint32_t buffer_bytes; /* of one, a multiple of 4096; 0: 16 KiB */
    uint32_t other_files;  /* descriptors that must stay free for others: fewer connections then */
    uint64_t memory;       /* for unfinished frames and unsent replies; 0: 256 MiB */
};

struct tcp_counters {
    uint64_t connections;   /* now */
    uint64_t accepted;      /* since the start */
    uint64_t refused;       /* the table was full: closed at once */
    uint64_t accept_pauses; /* out of descriptors: accepting went on 100 ms later */
    uint64_t closed;
    uint64_t resets;      /* of the closed, those that ended in an error */
    uint64_t bad_streams; /* not frames */
    uint64_t evicted;     /* dropped for memory */
    uint64_t starved;     /* times that a receive stopped for want of a buffer */
    uint64_t out_full;    /* reserve() without room */
    uint64_t sends;
    uint64_t blocked_sends; /* the socket did not take everything */
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint64_t memory_used; /* now */
};

/* LEAT_ADDRESS_IN_USE, LEAT_NO_PERMISSION, LEAT_BAD_VALUE (address), LEAT_NO_MEMORY. */
enum leat_status tcp_uring_open(struct transport **t, struct ring *r, const struct tcp_config *config, char error[256]);
void tcp_uring_close(struct transport *t);

/* The bound port. How many connections there may be: as configured, or as many as descriptors allow. */
uint16_t tcp_uring_port(const struct transport *t);
uint32_t tcp_uring_connections_max(const struct transport *t);
struct tcp_counters tcp_uring_counters(const struct transport *t);

#endif

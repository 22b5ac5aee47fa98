/* transport.h - how a shard meets its clients: bursts of packets in, frames out. Ports (floor 5) and the simulator fill
 * it in.
 *
 * A packet is one or more whole frames of one peer, in the order of arrival. A peer is a TCP connection, a local device
 * or a UDP address; the transport names it by a number that it does not reuse soon (slot and generation). A peer that
 * has gone is told by a packet with size 0, after its last data. Sending to a peer that has gone is harmless.
 *
 * Memory: packet bytes belong to the transport and stay valid until done(); the shard decodes in place and never writes
 * to them. Hostile peers may change shared memory at any time: a transport whose buffers a peer can still write must
 * copy first. Failure: reserve() gives NULL when there is no room for this peer now; the shard keeps the reply and asks
 * again later, at the latest when `room` has changed. A transport bounds what it queues for one peer. Thread: every
 * function is called on the shard's thread, and none of them blocks. */
#ifndef LEAT_SHARD_TRANSPORT_H
#define LEAT_SHARD_TRANSPORT_H

#include <stdbool.h>
#include <stdint.h>

enum { TRANSPORT_BURST = 32 };

struct transport_packet {
    const uint8_t *data; /* whole frames, back to back, 8-byte aligned; NULL when the peer has gone */
    uint32_t size;
    uint32_t peer;
    void *buffer; /* the transport's own */
};

struct transport;

struct transport_ops {
    const char *name; /* "tcp", "local", "udp": as in metrics and messages */

    /* Up to `max` packets that are here now; 0 if none. */
    unsigned (*receive)(struct transport *t, struct transport_packet *packets, unsigned max);

    /* Gives the bytes of received packets back. */
    void (*done)(struct transport *t, const struct transport_packet *packets, unsigned n);

    /* Room for one frame of exactly `size` bytes (at most frame_max) to `peer`, 8-byte aligned, or NULL. Filled by the
     * shard before the next call into this transport; commit() sends it, or lets it share a datagram or a stream write
     * with its neighbours. */
    uint8_t *(*reserve)(struct transport *t, uint32_t peer, uint32_t size);
    void (*commit)(struct transport *t, uint32_t peer, uint32_t size);

    /* Everything committed leaves now. */
    void (*flush)(struct transport *t);

    /* Drops a peer that cannot be followed any more; a packet of size 0 comes for it too. */
    void (*hang_up)(struct transport *t, uint32_t peer);

    /* Before sleeping: ask to be woken through the thread's ring for the next packet. False: something is here already,
     * do not sleep. disarm() takes the wish back after waking. */
    bool (*arm)(struct transport *t);
    void (*disarm)(struct transport *t);
};

/* The head of every transport; a port embeds it as its first member. */
struct transport {
    const struct transport_ops *ops;
    uint32_t
        frame_max; /* the largest frame that one reserve() can carry: FRAME_MAX on streams, a datagram's payload else */
    uint32_t room; /* one more whenever somebody for whom reserve() had no room may have some now */
    uint8_t frame_flags; /* FRAME_CRC where frames need their own checksum */
    bool datagrams;      /* frames may be lost, repeated and reordered */
};

#endif

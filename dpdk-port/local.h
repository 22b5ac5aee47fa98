/* local.h - the local port, broker side: datagrams of frames over shared memory, with any number of clients on one
 * socket.
 *
 * A transport (broker/shard/transport.h) made of librte_vhost: each client is a virtio device of its own, copied from
 * and to by the polling thread itself, without a system call while both sides are awake. Good for processes and virtual
 * machines of this machine. Not for other machines: see broker/net.
 *
 * Units: frames of at most PACKET_FRAMES_MAX bytes. Memory: about 15 MiB of buffers per port, touched as used, plus
 * what vhost needs per client (165 KiB of DPDK's heap, 9 descriptors). A client may hold GUEST_QUEUE packets of output,
 * fewer when buffers are scarce. Failure: a client that dies, lies about its ring or never reads hurts nobody else; its
 * end is a packet of size 0. What remains of trust is listed in DESIGN.md. Thread: open, the transport and close on the
 * shard's thread; local_count() on any. eal_start() comes first. */
#ifndef LEAT_DPDK_PORT_LOCAL_H
#define LEAT_DPDK_PORT_LOCAL_H

#include <stddef.h>
#include <stdint.h>

#include "status.h"
#include "transport.h"

struct local_port;

struct local_counters {
    uint64_t packets_in, bytes_in;   /* whole packets, header included */
    uint64_t packets_out, bytes_out; /* as above */
    uint64_t dropped;                /* packets that were not ours: no header, no whole frame */
    uint64_t refused;                /* reserve() answered NULL: the client's ring or queue was full */
    uint64_t joined, left;           /* clients since the start */
    uint64_t wakes;                  /* times that a sleep ended with something for this port */
};

/* local_open: serves the socket `path` (mode 0660). NULL, a status and a sentence when that cannot be: LEAT_BAD_VALUE
 * (path too long), LEAT_NO_PERMISSION, LEAT_ADDRESS_IN_USE, LEAT_NO_MEMORY. */
struct local_port *local_open(const char *path, enum leat_status *status, char *why, size_t why_size);

/* local_close: disconnects every client and removes the socket. No packet may be outstanding. */
void local_close(struct local_port *p);

struct transport *local_transport(struct local_port *p);

/* local_wake_fd: one descriptor that polls readable when, after arm(), a client sends, makes room, comes or goes. Only
 * disarm() drains it. */
int local_wake_fd(const struct local_port *p);

/* local_count: the counters of now. */
void local_count(const struct local_port *p, struct local_counters *out);

#endif

/* client_io.h - the client's end of the local port: frames in, frames out, over shared memory with the broker on this
 * machine.
 *
 * It moves bytes and knows nothing of what they say. The usual life:
 *
 *     io = client_io_open("/run/leat.sock", ...);
 *     loop: client_io_send(io, frames, size) ... client_io_flush(io);
 *           n = client_io_receive(io, in, 32); use them; client_io_done(io, in, n);
 *           nothing to do? client_io_wait(io, timeout_ms);
 *           no answer for too long? client_io_reopen(io) until it succeeds;
 *     client_io_close(io);
 *
 * Datagrams: frames arrive whole or not at all; the ring may lose, a dead broker loses all. Nothing tells that the
 * broker has died, so the layer above times out.
 *
 * Units: bytes; frames are multiples of 8. Memory: about 4 MiB per handle, from DPDK. Failure: NULL or false with a
 * sentence; DPDK is started on first use unless the program has done that itself. SIGPIPE is ignored from then on if
 * the program had not chosen what to do with it. Thread: a handle belongs to one thread at a time; open, reopen and
 * close are made one after the other by the library. At most 31 handles per process. */
#ifndef LEAT_CLIENT_IO_H
#define LEAT_CLIENT_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CLIENT_IO_FRAMES_MAX = 8960 /* bytes of frames in one datagram */ };

struct client_io;

struct client_io_bytes {
    const uint8_t *data; /* whole frames, 8-byte aligned */
    uint32_t size;
    void *buffer; /* the library's own */
};

struct client_io_options {
    const char *path;      /* of the broker's socket */
    const char *eal;       /* arguments for DPDK, or NULL; used by the first open of a process */
    unsigned memory_mb;    /* for all handles of the process; 0: 256 MB of address space, touched as used */
    unsigned ring_packets; /* ring size, a power of two up to 1024; 0: 256 */
};

/* client_io_open: connects. NULL with a sentence in `why`: DPDK does not start, nobody listens, no permission, too many
 * handles. */
struct client_io *client_io_open(const struct client_io_options *o, char *why, size_t why_size);

/* client_io_reopen: drops the connection and whatever was under way, and connects anew. False when nobody listens: try
 * again later. */
bool client_io_reopen(struct client_io *io, char *why, size_t why_size);

void client_io_close(struct client_io *io);

/* client_io_send: queues whole frames, at most CLIENT_IO_FRAMES_MAX bytes; small ones share a datagram until flush.
 * False: no room now (flush, receive, try again), or not connected. */
bool client_io_send(struct client_io *io, const void *frames, uint32_t size);

/* client_io_flush: everything queued leaves now, as far as the ring has room; false when something is left. */
bool client_io_flush(struct client_io *io);

/* client_io_receive: up to `max` datagrams that are here; 0 when none. Their bytes stay valid until done(). */
unsigned client_io_receive(struct client_io *io, struct client_io_bytes *in, unsigned max);
void client_io_done(struct client_io *io, const struct client_io_bytes *in, unsigned n);

/* client_io_wait: sleeps until a datagram is here or `timeout_ms` has passed; true when one may be here. Burns no CPU.
 */
bool client_io_wait(struct client_io *io, unsigned timeout_ms);

/* client_io_wake_fd: for a poll loop of one's own: readable when a datagram may be here, after client_io_arm() has
 * answered true (false: something is here already). -1 when there is none; it changes with every reopen.
 * client_io_disarm() ends the wish. */
int client_io_wake_fd(const struct client_io *io);
bool client_io_arm(struct client_io *io);
void client_io_disarm(struct client_io *io);

#endif

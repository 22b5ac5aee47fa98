/* tcp_output.c - from frames to sends.
 *
 * Frames for a connection gather in one chunk, which grows up to TCP_OUT_MAX while the socket is slow; flush() gives
 * each connection's to the kernel by one send(MSG_DONTWAIT). Measured on loopback against a send through the ring: the
 * same 9 us per round trip within the noise, half the entries, and no memory that the kernel still reads from: a chunk
 * can move, grow and go at any time. What the socket does not take stays, and the ring says when there is room;
 * meanwhile new frames queue behind, until reserve() says no. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "mark.h"
#include "must.h"
#include "tcp.h"

enum { STUCK_S = 1 }; /* a connection that took nothing for so long may be dropped when memory is short */

static void tcp_output_free(struct tcp *t, struct tcp_connection *c)
{
    if (c->out) {
        chunks_give(t->chunks, c->out);
        t->transport.room++;
    }
    c->out = NULL;
    c->out_head = c->out_tail = c->out_capacity = 0;
    tcp_uring_untouch(t, c, TCP_BLOCKED);
}

/* A chunk, at the cost of the most stuck connection if it has been so for long. */
static uint8_t *tcp_output_chunk(struct tcp *t, const struct tcp_connection *c, uint32_t need, uint32_t *capacity)
{
    uint8_t *chunk;
    while (!(chunk = chunks_take(t->chunks, need, capacity)))
        if (!tcp_uring_evict(t, c, duration_s(STUCK_S)))
            return NULL;
    return chunk;
}

/* Makes room for `size` more bytes at out_tail: by moving to the front, or to a larger chunk. */
static bool tcp_output_room(struct tcp *t, struct tcp_connection *c, uint32_t size)
{
    uint32_t pending = c->out_tail - c->out_head;
    if (c->out_tail + size <= c->out_capacity)
        return true;
    if (pending + size > TCP_OUT_MAX)
        return false;
    if (pending + size > c->out_capacity) {
        uint32_t capacity;
        uint8_t *larger = tcp_output_chunk(t, c, pending + size, &capacity);
        if (!larger)
            return false;
        if (c->out) {
            memcpy(larger, c->out + c->out_head, pending);
            chunks_give(t->chunks, c->out);
        }
        c->out = larger;
        c->out_capacity = capacity;
    } else {
        memmove(c->out, c->out + c->out_head, pending);
    }
    c->out_head = 0;
    c->out_tail = pending;
    return true;
}

uint8_t *tcp_output_reserve(struct tcp *t, struct tcp_connection *c, uint32_t size)
{
    if (!tcp_output_room(t, c, size)) {
        t->counters.out_full++;
        return NULL;
    }
    return c->out + c->out_tail;
}

void tcp_output_commit(struct tcp *t, struct tcp_connection *c, uint32_t size)
{
    must(size <= c->out_capacity - c->out_tail);
    c->out_tail += size;
    if (!c->dirty && !c->polling) {
        c->dirty = true;
        tcp_uring_push(t, &t->dirty, c);
    }
}

/* One send; false when the connection is broken. */
static bool tcp_output_send(struct tcp *t, struct tcp_connection *c)
{
    uint32_t pending = c->out_tail - c->out_head;
    ssize_t n = send(c->fd, c->out + c->out_head, pending, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR && errno != ENOBUFS && errno != ENOMEM)
        return false;
    uint32_t sent = n > 0 ? (uint32_t)n : 0;
    t->counters.sends++;
    t->counters.bytes_out += sent;
    c->out_head += sent;
    if (sent == pending) {
        tcp_output_free(t, c);
        return true;
    }
    t->transport.room += sent > 0;
    mark(tcp_send_blocked);
    t->counters.blocked_sends++;
    if (sent > 0 || !c->links[TCP_BLOCKED].linked)
        tcp_uring_touch(t, c, TCP_BLOCKED);
    c->polling = true;
    ring_poll(t->ring, t->owner, tcp_tag(TCP_WRITABLE, tcp_slot(t, c)), c->fd, POLLOUT);
    return true;
}

void tcp_output_flush(struct tcp *t)
{
    while (t->dirty.count > 0) {
        struct tcp_connection *c = tcp_uring_pop(t, &t->dirty);
        c->dirty = false;
        if (c->state == TCP_OPEN && c->out_tail > c->out_head && !tcp_output_send(t, c))
            tcp_uring_end(t, c, true);
        tcp_uring_release(t, c);
    }
}

void tcp_output_writable(struct tcp *t, struct tcp_connection *c)
{
    c->polling = false;
    if (c->state == TCP_OPEN && c->out_tail > c->out_head && !tcp_output_send(t, c))
        tcp_uring_end(t, c, true);
    tcp_uring_release(t, c);
}

void tcp_output_last(struct tcp *t, struct tcp_connection *c)
{
    if (c->out_tail > c->out_head) {
        ssize_t n = send(c->fd, c->out + c->out_head, c->out_tail - c->out_head, MSG_DONTWAIT | MSG_NOSIGNAL);
        t->counters.bytes_out += n > 0 ? (uint64_t)n : 0;
    }
    tcp_output_free(t, c);
}

/* tcp_input.c - from received bytes to packets.
 *
 *   buffer of the pool:  | end of frame 1 | frame 2 | frame 3 | start of frame 4 |
 *                          |                \_ packet in place _/    |
 *                          +-> joins its start in a chunk: a packet   +-> a chunk, and waits
 *
 * A frame is copied only when it arrived in pieces. A buffer goes back to the pool when the last packet made from it is
 * done; when the pool is empty the kernel ends the receive, and the connection waits in line (`starved`) until buffers
 * are back. So what is received but not taken is at most the pool plus one unfinished frame per connection.
 *
 * transport_packet.buffer says what to give back: the number of the pool buffer plus 1, and whether the data is a
 * chunk. */
#include <errno.h>
#include <string.h>

#include "must.h"
#include "tcp.h"

enum { HOLDS_BUFFER = 0xffff, HOLDS_CHUNK = 1 << 16, HOLDS_SHIFT = 1 };

static struct transport_packet *tcp_input_queue(struct tcp *t, struct tcp_connection *c, const uint8_t *data,
                                                uint32_t size)
{
    must(t->packets_count < t->packets_max);
    struct transport_packet *p = &t->packets[(t->packets_head + t->packets_count++) % t->packets_max];
    *p = (struct transport_packet){.data = data, .size = size, .peer = tcp_peer(t, c)};
    return p;
}

static void tcp_input_give(struct tcp *t, uint16_t buffer)
{
    ring_buffers_give(t->buffers, buffer);
    t->buffers_free++;
}

void tcp_input_start(struct tcp *t, struct tcp_connection *c)
{
    must(!c->receiving);
    c->receiving = true;
    ring_recv_multishot(t->ring, t->owner, tcp_tag(TCP_RECV, tcp_slot(t, c)), c->fd, t->buffers);
}

/* -- unfinished frames -- */

void tcp_input_drop(struct tcp *t, struct tcp_connection *c)
{
    if (c->in)
        chunks_give(t->chunks, c->in);
    c->in = NULL;
    c->in_have = 0;
    tcp_uring_untouch(t, c, TCP_PARTIAL);
}

/* A chunk for a frame of `size` bytes, at others' cost if need be; false: none of them has any. */
static bool tcp_input_chunk(struct tcp *t, struct tcp_connection *c, uint32_t size)
{
    uint32_t capacity;
    while (!(c->in = chunks_take(t->chunks, size, &capacity))) {
        if (!tcp_uring_evict(t, c, duration_ms(0))) {
            t->counters.evicted++;
            return false;
        }
    }
    c->in_need = size;
    return true;
}

/* Keeps the start of a frame for later. False: the stream is over. */
static bool tcp_input_keep(struct tcp *t, struct tcp_connection *c, const uint8_t *bytes, uint32_t size)
{
    must(c->in_have == 0);
    uint8_t *to = c->head;
    if (size >= FRAME_HEADER) {
        if (!tcp_input_chunk(t, c, (uint32_t)frame_size(bytes, size)))
            return false;
        to = c->in;
        tcp_uring_touch(t, c, TCP_PARTIAL);
    }
    memcpy(to, bytes, size);
    c->in_have = size;
    return true;
}

/* Goes on with an unfinished frame; how many bytes it took, or -1 when the stream is over. Finished: c->in_have ==
 * c->in_need. */
static int32_t tcp_input_continue(struct tcp *t, struct tcp_connection *c, const uint8_t *bytes, uint32_t size)
{
    uint32_t took = 0;
    if (!c->in) {
        took = FRAME_HEADER - c->in_have < size ? FRAME_HEADER - c->in_have : size;
        memcpy(c->head + c->in_have, bytes, took);
        c->in_have += took;
        if (c->in_have == FRAME_HEADER) {
            int32_t whole = frame_size(c->head, FRAME_HEADER);
            if (whole < 0 || !tcp_input_chunk(t, c, (uint32_t)whole)) {
                t->counters.bad_streams += whole < 0;
                return -1;
            }
            memcpy(c->in, c->head, FRAME_HEADER);
        }
    }
    if (c->in) {
        uint32_t more = c->in_need - c->in_have < size - took ? c->in_need - c->in_have : size - took;
        memcpy(c->in + c->in_have, bytes + took, more);
        c->in_have += more;
        took += more;
        tcp_uring_touch(t, c, TCP_PARTIAL);
    }
    return (int32_t)took;
}

/* -- one arrival -- */

/* How many bytes of whole frames lie at `bytes`; *bad when what follows can be no frame. */
static uint32_t tcp_input_whole(const uint8_t *bytes, uint32_t size, bool *bad)
{
    uint32_t whole = 0;
    for (;;) {
        int32_t next = frame_size(bytes + whole, size - whole);
        *bad = next < 0;
        if (next <= 0 || (uint32_t)next > size - whole)
            return whole;
        whole += (uint32_t)next;
    }
}

static void tcp_input_bytes(struct tcp *t, struct tcp_connection *c, uint16_t buffer, uint32_t size)
{
    uint8_t *bytes = ring_buffers_at(t->buffers, buffer);
    struct transport_packet *holder = NULL;
    bool bad = false;
    if (c->in_have > 0) {
        int32_t took = tcp_input_continue(t, c, bytes, size);
        bad = took < 0;
        bytes += bad ? 0 : took;
        size -= bad ? size : (uint32_t)took;
        if (!bad && c->in && c->in_have == c->in_need) {
            holder = tcp_input_queue(t, c, c->in, c->in_need);
            holder->buffer = (void *)(uintptr_t)HOLDS_CHUNK;
            c->in = NULL;
            tcp_input_drop(t, c);
        }
    }
    if (size > 0) {
        if ((uintptr_t)bytes % 8 != 0)
            bytes = memmove(bytes - (uintptr_t)bytes % 8, bytes, size);
        uint32_t whole = tcp_input_whole(bytes, size, &bad);
        t->counters.bad_streams += bad;
        if (whole > 0)
            holder = tcp_input_queue(t, c, bytes, whole);
        if (!bad && whole < size)
            bad = !tcp_input_keep(t, c, bytes + whole, size - whole);
    }
    if (holder)
        holder->buffer = (void *)((uintptr_t)holder->buffer | (buffer + HOLDS_SHIFT));
    else
        tcp_input_give(t, buffer);
    if (bad)
        tcp_uring_end(t, c, true);
}

void tcp_input_completed(struct tcp *t, struct tcp_connection *c, const struct ring_completion *done)
{
    c->receiving = done->more;
    if (done->has_buffer) {
        must(t->buffers_free > 0);
        t->buffers_free--;
        if (c->state == TCP_OPEN && done->result > 0) {
            t->counters.bytes_in += (uint64_t)done->result;
            tcp_input_bytes(t, c, done->buffer, (uint32_t)done->result);
        } else {
            tcp_input_give(t, done->buffer);
        }
    }
    if (c->state == TCP_OPEN && !c->receiving) {
        if (done->result > 0 || done->result == -ENOBUFS) {
            t->counters.starved += done->result < 0;
            c->starved = true;
            tcp_uring_push(t, &t->starved, c);
        } else {
            tcp_uring_end(t, c, done->result < 0);
        }
    }
    tcp_uring_release(t, c);
}

void tcp_input_feed_starved(struct tcp *t)
{
    for (uint32_t room = t->buffers_free; t->starved.count > 0 && room > 0;) {
        struct tcp_connection *c = tcp_uring_pop(t, &t->starved);
        c->starved = false;
        if (c->state == TCP_OPEN) {
            tcp_input_start(t, c);
            room--;
        }
        tcp_uring_release(t, c);
    }
}

/* -- to the shard -- */

void tcp_input_gone(struct tcp *t, struct tcp_connection *c)
{
    tcp_input_queue(t, c, NULL, 0);
}

unsigned tcp_input_take(struct tcp *t, struct transport_packet *packets, unsigned max)
{
    unsigned n = 0;
    while (n < max && t->packets_count > 0) {
        struct transport_packet p = t->packets[t->packets_head];
        t->packets_head = (t->packets_head + 1) % t->packets_max;
        t->packets_count--;
        struct tcp_connection *c = &t->connections[p.peer & 0xffff];
        if (p.size == 0) {
            c->told = true;
            tcp_uring_release(t, c);
        } else if (c->deaf) {
            tcp_input_done(t, &p);
            continue;
        }
        packets[n++] = p;
    }
    return n;
}

void tcp_input_done(struct tcp *t, const struct transport_packet *packet)
{
    uintptr_t holds = (uintptr_t)packet->buffer;
    if (holds & HOLDS_CHUNK)
        chunks_give(t->chunks, (uint8_t *)(uintptr_t)packet->data);
    if (holds & HOLDS_BUFFER)
        tcp_input_give(t, (uint16_t)((holds & HOLDS_BUFFER) - HOLDS_SHIFT));
}

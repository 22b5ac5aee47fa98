/* tcp_uring.c - the TCP transport: accepting, the life of a connection, and the door that the shard knocks at.
 *
 *            accept              end of stream, error, not frames,
 *   FREE ------------> OPEN ---- hang_up(), evicted --------------> ENDING ----> FREE
 *                                 shutdown(), "gone" queued          its requests have completed: close();
 *                                                                    and "gone" was received, no list names it
 *
 * shutdown() makes the requests in the ring complete by themselves, so nothing needs to be cancelled but at
 * tcp_uring_close().
 *
 * Out of descriptors: the kernel leaves new connections in its backlog and ends the multishot accept; a timer starts it
 * again. */
#include "tcp_uring.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "limits.h"
#include "mark.h"
#include "must.h"
#include "tcp.h"

enum { CONNECTIONS = 16384, BUFFERS = 512, BUFFER_BYTES = 16 * 1024, RESUME_MS = 100, OTHER_FILES = 512 };
#define MEMORY (UINT64_C(256) * 1024 * 1024)

_Static_assert((int)TCP_OUT_MAX >= 2 * FRAME_MAX && (int)TCP_OUT_MAX <= (int)CHUNK_LARGE,
               "two frames always fit an empty connection");

/* -- lists -- */

void tcp_uring_push(struct tcp *t, struct tcp_fifo *f, struct tcp_connection *c)
{
    must(f->count < t->connections_max);
    f->slots[(f->head + f->count++) % t->connections_max] = tcp_slot(t, c);
}

struct tcp_connection *tcp_uring_pop(struct tcp *t, struct tcp_fifo *f)
{
    must(f->count > 0);
    uint32_t slot = f->slots[f->head];
    f->head = (f->head + 1) % t->connections_max;
    f->count--;
    return &t->connections[slot];
}

void tcp_uring_untouch(struct tcp *t, struct tcp_connection *c, enum tcp_order order)
{
    struct tcp_link *l = &c->links[order];
    if (!l->linked)
        return;
    if (l->previous == TCP_NONE)
        t->orders[order].first = l->next;
    else
        t->connections[l->previous].links[order].next = l->next;
    if (l->next == TCP_NONE)
        t->orders[order].last = l->previous;
    else
        t->connections[l->next].links[order].previous = l->previous;
    l->linked = false;
}

void tcp_uring_touch(struct tcp *t, struct tcp_connection *c, enum tcp_order order)
{
    int32_t slot = (int32_t)tcp_slot(t, c);
    struct instant now = clock_now();
    if (t->orders[order].last == slot) {
        c->links[order].since = now;
        return;
    }
    tcp_uring_untouch(t, c, order);
    int32_t last = t->orders[order].last;
    c->links[order] = (struct tcp_link){.previous = last, .next = TCP_NONE, .linked = true, .since = now};
    if (last == TCP_NONE)
        t->orders[order].first = slot;
    else
        t->connections[last].links[order].next = slot;
    t->orders[order].last = slot;
}

/* -- the life of a connection -- */

static void tcp_begin(struct tcp *t, int fd)
{
    if (t->free.count == 0) {
        mark(tcp_table_full);
        t->counters.refused++;
        close(fd);
        return;
    }
    struct tcp_connection *c = tcp_uring_pop(t, &t->free);
    must(c->state == TCP_FREE);
    *c = (struct tcp_connection){.fd = fd, .generation = c->generation, .state = TCP_OPEN};
    t->counters.accepted++;
    t->counters.connections++;
    tcp_input_start(t, c);
}

void tcp_uring_end(struct tcp *t, struct tcp_connection *c, bool error)
{
    if (c->state != TCP_OPEN)
        return;
    c->state = TCP_ENDING;
    t->counters.closed++;
    t->counters.resets += error;
    t->counters.connections--;
    tcp_output_last(t, c);
    tcp_input_drop(t, c);
    shutdown(c->fd, SHUT_RDWR);
    tcp_input_gone(t, c);
}

void tcp_uring_release(struct tcp *t, struct tcp_connection *c)
{
    if (c->state != TCP_ENDING || c->receiving || c->polling)
        return;
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    if (!c->told || c->starved || c->dirty)
        return;
    c->state = TCP_FREE;
    c->generation++;
    tcp_uring_push(t, &t->free, c);
}

bool tcp_uring_evict(struct tcp *t, const struct tcp_connection *c, struct duration least)
{
    struct tcp_connection *victim = NULL;
    struct instant since = INSTANT_NEVER;
    for (unsigned order = 0; order < TCP_ORDERS; order++) {
        int32_t first = t->orders[order].first;
        if (first != TCP_NONE && instant_before(t->connections[first].links[order].since, since)) {
            victim = &t->connections[first];
            since = victim->links[order].since;
        }
    }
    if (!victim || victim == c || instant_since(clock_now(), since).ns < least.ns)
        return false;
    mark(tcp_evicted);
    t->counters.evicted++;
    victim->deaf = true;
    tcp_uring_end(t, victim, true);
    tcp_uring_release(t, victim);
    return true;
}

/* -- accepting -- */

static void tcp_accept(struct tcp *t, uint32_t listener)
{
    ring_accept_multishot(t->ring, t->owner, tcp_tag(TCP_ACCEPT, listener), t->listeners.fds[listener]);
}

static void tcp_accept_pause(struct tcp *t)
{
    mark(tcp_accept_paused);
    t->counters.accept_pauses++;
    if (!t->accept_paused)
        ring_timer(t->ring, t->owner, tcp_tag(TCP_RESUME, 0), &t->resume_timer, duration_ms(RESUME_MS));
    t->accept_paused = true;
}

static void tcp_accepted(struct tcp *t, uint32_t listener, const struct ring_completion *c)
{
    if (c->result >= 0)
        tcp_begin(t, c->result);
    if (c->more)
        return;
    if (c->result >= 0 || c->result == -ECONNABORTED || c->result == -EINTR) {
        tcp_accept(t, listener);
        return;
    }
    t->listeners_idle |= 1u << listener;
    tcp_accept_pause(t);
}

static void tcp_accept_resume(struct tcp *t)
{
    t->accept_paused = false;
    for (uint32_t i = 0; i < t->listeners.count; i++)
        if (t->listeners_idle & 1u << i)
            tcp_accept(t, i);
    t->listeners_idle = 0;
}

static void tcp_completed(void *context, const struct ring_completion *c)
{
    struct tcp *t = context;
    uint32_t index = (uint32_t)c->tag;
    if (t->closing) {
        if (c->tag >> 32 == TCP_ACCEPT && c->result >= 0)
            close(c->result);
        return;
    }
    switch ((enum tcp_tag)(c->tag >> 32)) {
    case TCP_ACCEPT:
        tcp_accepted(t, index, c);
        break;
    case TCP_RECV:
        must(index < t->connections_max);
        tcp_input_completed(t, &t->connections[index], c);
        break;
    case TCP_WRITABLE:
        must(index < t->connections_max);
        tcp_output_writable(t, &t->connections[index]);
        break;
    case TCP_RESUME:
        tcp_accept_resume(t);
        break;
    }
}

/* -- the transport -- */

static struct tcp_connection *tcp_find(struct tcp *t, uint32_t peer)
{
    uint32_t slot = peer & 0xffff;
    if (slot >= t->connections_max)
        return NULL;
    struct tcp_connection *c = &t->connections[slot];
    return c->state == TCP_OPEN && c->generation == peer >> 16 ? c : NULL;
}

static unsigned tcp_receive(struct transport *transport, struct transport_packet *packets, unsigned max)
{
    struct tcp *t = (struct tcp *)transport;
    ring_reap(t->ring);
    if (t->starved.count > 0)
        tcp_input_feed_starved(t);
    return tcp_input_take(t, packets, max);
}

static void tcp_done(struct transport *transport, const struct transport_packet *packets, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        tcp_input_done((struct tcp *)transport, &packets[i]);
}

static uint8_t *tcp_reserve(struct transport *transport, uint32_t peer, uint32_t size)
{
    struct tcp *t = (struct tcp *)transport;
    must(size <= FRAME_MAX);
    struct tcp_connection *c = tcp_find(t, peer);
    return c ? tcp_output_reserve(t, c, size) : t->scratch;
}

static void tcp_commit(struct transport *transport, uint32_t peer, uint32_t size)
{
    struct tcp_connection *c = tcp_find((struct tcp *)transport, peer);
    if (c)
        tcp_output_commit((struct tcp *)transport, c, size);
}

static void tcp_flush(struct transport *transport)
{
    struct tcp *t = (struct tcp *)transport;
    tcp_output_flush(t);
    if (t->starved.count > 0)
        tcp_input_feed_starved(t);
    ring_submit(t->ring);
}

static void tcp_hang_up(struct transport *transport, uint32_t peer)
{
    struct tcp *t = (struct tcp *)transport;
    struct tcp_connection *c = tcp_find(t, peer);
    if (!c)
        return;
    c->deaf = true;
    tcp_uring_end(t, c, false);
    tcp_uring_release(t, c);
}

/* Every receive and accept is in the ring already, which wakes the sleeper by itself. */
static bool tcp_arm(struct transport *transport)
{
    struct tcp *t = (struct tcp *)transport;
    tcp_flush(transport);
    return t->packets_count == 0 && !ring_ready(t->ring);
}

static void tcp_disarm(struct transport *transport)
{
    (void)transport;
}

static const struct transport_ops tcp_ops = {
    .name = "tcp",
    .receive = tcp_receive,
    .done = tcp_done,
    .reserve = tcp_reserve,
    .commit = tcp_commit,
    .flush = tcp_flush,
    .hang_up = tcp_hang_up,
    .arm = tcp_arm,
    .disarm = tcp_disarm,
};

/* -- opening and closing -- */

/* As many descriptors as the connections need, as far as the hard limit lets us; where it does not, fewer connections:
 * the log must never be without one. */
static uint32_t tcp_raise_files(uint32_t connections, uint32_t others)
{
    struct rlimit files;
    rlim_t need = connections + others;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur >= need)
        return connections;
    struct rlimit raised = {.rlim_cur = files.rlim_max < need ? files.rlim_max : need, .rlim_max = files.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
        files = raised;
    if (files.rlim_cur >= need)
        return connections;
    mark(tcp_few_files);
    return files.rlim_cur > 2 * others ? (uint32_t)files.rlim_cur - others : (uint32_t)files.rlim_cur / 2 + 1;
}

static void tcp_free(struct tcp *t)
{
    if (t->buffers)
        ring_buffers_close(t->ring, t->buffers);
    if (t->chunks)
        chunks_close(t->chunks);
    free(t->scratch);
    free(t->packets);
    free(t->dirty.slots);
    free(t->starved.slots);
    free(t->free.slots);
    free(t->connections);
    tcp_listen_close(&t->listeners);
    free(t);
}

static bool tcp_allocate(struct tcp *t, const struct tcp_config *config)
{
    uint32_t max = config->connections ? config->connections : CONNECTIONS;
    max = tcp_raise_files(max, config->other_files ? config->other_files : OTHER_FILES);
    uint32_t buffers = config->buffers ? config->buffers : BUFFERS;
    must(max <= TCP_CONNECTIONS_MAX);
    t->connections_max = max;
    t->connections = calloc(max, sizeof *t->connections);
    t->free.slots = calloc(max, sizeof *t->free.slots);
    t->starved.slots = calloc(max, sizeof *t->starved.slots);
    t->dirty.slots = calloc(max, sizeof *t->dirty.slots);
    t->packets_max = 2 * buffers + max; /* a buffer makes at most two packets, a connection one "gone" */
    t->packets = calloc(t->packets_max, sizeof *t->packets);
    t->scratch = aligned_alloc(4096, FRAME_MAX);
    t->chunks = chunks_open(config->memory ? config->memory : MEMORY);
    t->buffers = ring_buffers_open(t->ring, buffers, config->buffer_bytes ? config->buffer_bytes : BUFFER_BYTES);
    t->buffers_free = buffers;
    if (!t->connections || !t->free.slots || !t->starved.slots || !t->dirty.slots || !t->packets || !t->scratch)
        return false;
    for (uint32_t i = 0; i < max; i++) {
        t->connections[i].fd = -1;
        t->connections[i].generation = 1;
        tcp_uring_push(t, &t->free, &t->connections[i]);
    }
    for (unsigned i = 0; i < TCP_ORDERS; i++)
        t->orders[i].first = t->orders[i].last = TCP_NONE;
    return t->chunks && t->buffers;
}

enum leat_status tcp_uring_open(struct transport **out, struct ring *r, const struct tcp_config *config,
                                char error[256])
{
    struct tcp *t = calloc(1, sizeof *t);
    if (!t) {
        snprintf(error, 256, "cannot listen on %s: out of memory", config->address);
        return LEAT_NO_MEMORY;
    }
    t->transport = (struct transport){.ops = &tcp_ops, .frame_max = FRAME_MAX};
    t->ring = r;
    enum leat_status status = tcp_listen_open(&t->listeners, config->address, error);
    if (status != LEAT_OK) {
        free(t);
        return status;
    }
    if (!tcp_allocate(t, config)) {
        snprintf(error, 256, "cannot listen on %s: out of memory for connections", config->address);
        tcp_free(t);
        return LEAT_NO_MEMORY;
    }
    t->owner = ring_owner(r, tcp_completed, t);
    for (uint32_t i = 0; i < t->listeners.count; i++)
        tcp_accept(t, i);
    *out = &t->transport;
    return LEAT_OK;
}

void tcp_uring_close(struct transport *transport)
{
    struct tcp *t = (struct tcp *)transport;
    tcp_output_flush(t);
    t->closing = true;
    for (uint32_t i = 0; i < t->listeners.count; i++)
        ring_cancel(t->ring, t->owner, tcp_tag(TCP_ACCEPT, i));
    if (t->accept_paused)
        ring_cancel(t->ring, t->owner, tcp_tag(TCP_RESUME, 0));
    for (uint32_t i = 0; i < t->connections_max; i++)
        if (t->connections[i].fd >= 0)
            shutdown(t->connections[i].fd, SHUT_RDWR);
    ring_owner_gone(t->ring, t->owner);
    for (uint32_t i = 0; i < t->connections_max; i++)
        if (t->connections[i].fd >= 0)
            close(t->connections[i].fd);
    tcp_free(t);
}

uint32_t tcp_uring_connections_max(const struct transport *transport)
{
    return ((const struct tcp *)transport)->connections_max;
}

uint16_t tcp_uring_port(const struct transport *t)
{
    return ((const struct tcp *)t)->listeners.port;
}

struct tcp_counters tcp_uring_counters(const struct transport *transport)
{
    const struct tcp *t = (const struct tcp *)transport;
    struct tcp_counters counters = t->counters;
    counters.memory_used = chunks_used(t->chunks);
    return counters;
}

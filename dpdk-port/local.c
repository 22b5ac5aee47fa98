/* local.c - the broker's end of the local port, on the shard's thread. Who is connected is guests.c's; here packets
 * move.
 *
 * In: each pass visits the *hot* clients (those that sent something lately) and a few of the cold ones in turn, so that
 * a thousand silent clients cost a pass no more than eight. vhost copies packets out of the client's memory into
 * buffers of ours: what is checked here cannot be changed any more. Malformed tails are cut off; what is no packet of
 * ours is dropped and counted.
 *
 * Out: frames for one client gather in the last packet of its queue while an iteration lasts; flush() hands the queue
 * to vhost, which copies it into the client's ring at once, so that output buffers come back at once and live on a
 * stack of our own. A ring that is full leaves packets in the queue; a queue that is full refuses. How much one client
 * may queue shrinks with the free buffers (1/8 of them): a hundred clients that never read cannot starve one that does.
 *
 * Asleep: arm() asks the clients to kick, then looks once more; the kick descriptors are in one epoll. While we are
 * awake clients are told not to kick, and they tell us the same, so that nobody makes a system call. */
#include "local.h"

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <rte_mbuf.h>
#include <rte_vhost.h>

#include "address.h"
#include "eal.h"
#include "frame.h"
#include "guests.h"
#include "mark.h"
#include "must.h"
#include "packet.h"

enum {
    BUFFERS_IN = 512,    /* received and not yet given back: sixteen bursts */
    BUFFERS_OUT = 1024,  /* the output of all clients together */
    BUFFERS_CACHE = 64,  /* of the polling thread, inside BUFFERS_IN */
    COLD_PER_PASS = 8,   /* cold clients looked at in one pass */
    QUIET_PASSES = 4096, /* a hot client that sent nothing for so many passes is cold */
    SHARE = 8,           /* a client may queue 1/SHARE of the free buffers */
};

struct list {
    uint16_t place[GUESTS_MAX];
    uint32_t count, next;
};

struct local_port {
    struct transport transport; /* first: the shard knows us by it */
    struct guests *guests;
    int lock;
    bool armed, joined_eal, driver;
    uint32_t events; /* arrivals and departures seen */
    struct list hot, cold;
    struct rte_mempool *pool_in, *pool_out;
    struct rte_mbuf *spare[BUFFERS_OUT]; /* empty output buffers */
    uint32_t spares;
    uint16_t dirty[GUESTS_MAX]; /* clients with output */
    uint32_t dirties;
    uint32_t reserved; /* size of the reserve() that waits for its commit() */
    struct local_counters count;
    uint8_t scratch[PACKET_MAX] __attribute__((aligned(64))); /* where frames for those who have gone are written */
};

static const uint8_t our_address[PACKET_ADDRESS] = {0x02, 'l', 'e', 'a', 't', 0};

static void count_add(uint64_t *counter, uint64_t n)
{
    __atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static struct local_port *port_of(struct transport *t)
{
    return (struct local_port *)t;
}

static void list_add(struct list *l, struct guests *g, struct guest *guest)
{
    must(l->count < GUESTS_MAX);
    guest->at = (uint16_t)l->count;
    l->place[l->count++] = (uint16_t)(guest - g->place);
}

static void list_remove(struct list *l, struct guests *g, struct guest *guest)
{
    must(guest->at < l->count && &g->place[l->place[guest->at]] == guest);
    uint16_t last = l->place[--l->count];
    l->place[guest->at] = last;
    g->place[last].at = guest->at;
}

static struct list *list_of(struct local_port *p, const struct guest *guest)
{
    return guest->hot ? &p->hot : &p->cold;
}

static void warm(struct local_port *p, struct guest *guest, bool hot)
{
    list_remove(list_of(p, guest), p->guests, guest);
    guest->hot = hot;
    guest->quiet = 0;
    list_add(list_of(p, guest), p->guests, guest);
}

static void spare_give(struct local_port *p, struct rte_mbuf **m, uint32_t n)
{
    must(p->spares + n <= BUFFERS_OUT);
    memcpy(p->spare + p->spares, m, n * sizeof *m);
    p->spares += n;
}

/* Takes a new client in: NEW -> LIVE. False when it has gone meanwhile. */
static bool guest_join(struct local_port *p, struct guest *guest)
{
    int expected = GUEST_NEW;
    guest->hot = true;
    guest->quiet = 0;
    guest->told = true;
    guest->hung_up = false;
    memset(guest->address, 0xff, sizeof guest->address);
    if (!atomic_compare_exchange_strong(&guest->state, &expected, GUEST_LIVE)) {
        guest->told = false;
        return false;
    }
    list_add(&p->hot, p->guests, guest);
    guests_enter(p->guests);
    if (guest_here(guest)) {
        rte_vhost_enable_guest_notification(guest->vid, GUEST_FROM, 0);
        rte_vhost_enable_guest_notification(guest->vid, GUEST_TO, 0);
    }
    guests_leave(p->guests);
    count_add(&p->count.joined, 1);
    return true;
}

/* Forgets a client: GONE -> FREE, with the next generation. */
static void guest_part(struct local_port *p, struct guest *guest)
{
    if (guest->told) {
        list_remove(list_of(p, guest), p->guests, guest);
        count_add(&p->count.left, 1);
    }
    spare_give(p, guest->queue, guest->queued);
    guest->queued = 0;
    p->transport.room++;
    guest->told = false;
    guest->hung_up = false;
    guest->generation = (guest->generation + 1) & (UINT32_MAX >> GUEST_PLACE_BITS);
    atomic_store(&guest->state, GUEST_FREE);
}

/* Looks through the table after arrivals and departures; tells of the latter. What does not fit waits for the next
 * call. */
static unsigned meet(struct local_port *p, struct transport_packet *packets, unsigned max)
{
    uint32_t events = atomic_load(&p->guests->events);
    unsigned n = 0;
    if (events == p->events)
        return 0;
    for (int i = 0; i < GUESTS_MAX; i++) {
        struct guest *guest = &p->guests->place[i];
        int state = atomic_load(&guest->state);
        if (state == GUEST_NEW && !guest_join(p, guest))
            state = GUEST_GONE;
        if (state != GUEST_GONE)
            continue;
        if (guest->told && n == max)
            return n;
        if (guest->told)
            packets[n++] = (struct transport_packet){.peer = guest_peer(p->guests, guest)};
        guest_part(p, guest);
    }
    p->events = events;
    return n;
}

/* How many of the bytes are whole frames. */
static uint32_t whole_frames(const uint8_t *bytes, uint32_t size)
{
    uint32_t at = 0;
    while (at < size) {
        int32_t n = frame_size(bytes + at, size - at);
        if (n <= 0 || (uint32_t)n > size - at)
            break;
        at += (uint32_t)n;
    }
    return at;
}

/* Turns buffers of one client into packets; those that are none of ours go back. */
static unsigned accept_packets(struct local_port *p, struct guest *guest, struct rte_mbuf **m, unsigned n,
                               struct transport_packet *packets)
{
    unsigned good = 0;
    uint64_t bytes = 0;
    for (unsigned i = 0; i < n; i++) {
        uint8_t *packet = rte_pktmbuf_mtod(m[i], uint8_t *);
        uint32_t size = m[i]->nb_segs == 1 ? m[i]->data_len : 0;
        bytes += m[i]->pkt_len;
        size = whole_frames(packet + PACKET_HEADER, packet_frames(packet, size));
        if (size == 0) {
            mark(local_stranger_dropped);
            rte_pktmbuf_free(m[i]);
            count_add(&p->count.dropped, 1);
            continue;
        }
        memcpy(guest->address, packet + PACKET_ADDRESS, PACKET_ADDRESS);
        packets[good++] = (struct transport_packet){
            .data = packet + PACKET_HEADER, .size = size, .peer = guest_peer(p->guests, guest), .buffer = m[i]};
    }
    count_add(&p->count.packets_in, n);
    count_add(&p->count.bytes_in, bytes);
    return good;
}

/* Visits up to `visits` clients of a list, from where the last pass stopped. Inside a pass. */
static unsigned visit(struct local_port *p, struct list *l, unsigned visits, struct transport_packet *packets,
                      unsigned max)
{
    struct rte_mbuf *m[TRANSPORT_BURST];
    unsigned n = 0;
    if (visits > l->count)
        visits = l->count;
    for (; visits > 0 && n < max; visits--) {
        if (l->next >= l->count)
            l->next = 0;
        struct guest *guest = &p->guests->place[l->place[l->next++]];
        if (!guest_here(guest))
            continue;
        unsigned want = max - n < TRANSPORT_BURST ? max - n : TRANSPORT_BURST;
        unsigned got = rte_vhost_dequeue_burst(guest->vid, GUEST_FROM, p->pool_in, m, (uint16_t)want);
        if (got > 0) {
            n += accept_packets(p, guest, m, got, packets + n);
            guest->quiet = 0;
            if (!guest->hot)
                warm(p, guest, true);
        } else if (guest->hot && ++guest->quiet >= QUIET_PASSES && p->hot.count > COLD_PER_PASS) {
            mark(local_guest_cooled);
            warm(p, guest, false);
        }
    }
    return n;
}

static unsigned local_receive(struct transport *t, struct transport_packet *packets, unsigned max)
{
    struct local_port *p = port_of(t);
    unsigned n = meet(p, packets, max);
    if (p->hot.count + p->cold.count == 0)
        return n;
    guests_enter(p->guests);
    n += visit(p, &p->cold, COLD_PER_PASS, packets + n, max - n); /* first: busy ones must not starve them */
    n += visit(p, &p->hot, p->hot.count, packets + n, max - n);
    guests_leave(p->guests);
    return n;
}

static void local_done(struct transport *t, const struct transport_packet *packets, unsigned n)
{
    struct rte_mbuf *m[TRANSPORT_BURST];
    unsigned held = 0;
    (void)t;
    for (unsigned i = 0; i < n; i++) {
        if (packets[i].buffer)
            m[held++] = packets[i].buffer;
        if (held == TRANSPORT_BURST || i + 1 == n) {
            rte_pktmbuf_free_bulk(m, held);
            held = 0;
        }
    }
}

/* Hands a client's queue to its ring, as far as there is room. Inside a pass. */
static void push(struct local_port *p, struct guest *guest)
{
    uint64_t bytes = 0;
    if (guest->queued == 0 || !guest_here(guest))
        return;
    uint32_t sent = rte_vhost_enqueue_burst(guest->vid, GUEST_TO, guest->queue, (uint16_t)guest->queued);
    for (uint32_t i = 0; i < sent; i++)
        bytes += guest->queue[i]->pkt_len;
    spare_give(p, guest->queue, sent);
    guest->queued -= sent;
    p->transport.room += sent > 0;
    memmove(guest->queue, guest->queue + sent, guest->queued * sizeof guest->queue[0]);
    count_add(&p->count.packets_out, sent);
    count_add(&p->count.bytes_out, bytes);
}

static void local_flush(struct transport *t)
{
    struct local_port *p = port_of(t);
    uint32_t kept = 0;
    if (p->dirties == 0)
        return;
    guests_enter(p->guests);
    for (uint32_t i = 0; i < p->dirties; i++) {
        struct guest *guest = &p->guests->place[p->dirty[i]];
        push(p, guest);
        if (guest->queued > 0)
            p->dirty[kept++] = p->dirty[i];
        else
            guest->dirty = false;
    }
    guests_leave(p->guests);
    p->dirties = kept;
}

/* An empty packet at the end of the client's queue, or NULL. */
static struct rte_mbuf *packet_start(struct local_port *p, struct guest *guest)
{
    uint32_t share = 1 + p->spares / SHARE;
    if (guest->queued >= (share < GUEST_QUEUE ? share : GUEST_QUEUE) || p->spares == 0) {
        guests_enter(p->guests);
        push(p, guest);
        guests_leave(p->guests);
        if (guest->queued >= (share < GUEST_QUEUE ? share : GUEST_QUEUE) || p->spares == 0)
            return NULL;
    }
    struct rte_mbuf *m = p->spare[--p->spares];
    m->data_len = PACKET_HEADER;
    m->pkt_len = PACKET_HEADER;
    packet_begin(rte_pktmbuf_mtod(m, uint8_t *), guest->address, our_address);
    guest->queue[guest->queued++] = m;
    if (!guest->dirty) {
        guest->dirty = true;
        p->dirty[p->dirties++] = (uint16_t)(guest - p->guests->place);
    }
    return m;
}

static uint8_t *local_reserve(struct transport *t, uint32_t peer, uint32_t size)
{
    struct local_port *p = port_of(t);
    struct guest *guest = guests_find(p->guests, peer);
    must(size <= PACKET_FRAMES_MAX && size % 8 == 0);
    p->reserved = size;
    if (!guest)
        return p->scratch;
    struct rte_mbuf *m = guest->queued > 0 ? guest->queue[guest->queued - 1] : NULL;
    if (!m || m->data_len + size > PACKET_MAX)
        m = packet_start(p, guest);
    if (!m) {
        mark(local_guest_full);
        count_add(&p->count.refused, 1);
        return NULL;
    }
    return rte_pktmbuf_mtod_offset(m, uint8_t *, m->data_len);
}

static void local_commit(struct transport *t, uint32_t peer, uint32_t size)
{
    struct local_port *p = port_of(t);
    struct guest *guest = guests_find(p->guests, peer);
    must(size <= p->reserved);
    p->reserved = 0;
    if (!guest || guest->queued == 0)
        return;
    struct rte_mbuf *m = guest->queue[guest->queued - 1];
    m->data_len = (uint16_t)(m->data_len + size);
    m->pkt_len = m->data_len;
}

static void local_hang_up(struct transport *t, uint32_t peer)
{
    struct local_port *p = port_of(t);
    struct guest *guest = guests_find(p->guests, peer);
    if (!guest)
        return;
    mark(local_hang_up);
    guest->hung_up = true;
    spare_give(p, guest->queue, guest->queued);
    guest->queued = 0;
    p->transport.room++;
    guests_enter(p->guests);
    if (atomic_load(&guest->state) == GUEST_LIVE)
        guests_cut(guest);
    guests_leave(p->guests);
}

/* Asks every client for kicks, or for silence. Answers whether one has something for us already. Inside a pass. */
static bool notify(struct local_port *p, struct list *l, bool on)
{
    bool found = false;
    for (uint32_t i = 0; i < l->count; i++) {
        struct guest *guest = &p->guests->place[l->place[i]];
        if (!guest_here(guest))
            continue;
        rte_vhost_enable_guest_notification(guest->vid, GUEST_FROM, on);
        rte_vhost_enable_guest_notification(guest->vid, GUEST_TO, on && guest->queued > 0);
        atomic_thread_fence(memory_order_seq_cst);
        if (!on)
            continue;
        found = found || rte_vhost_rx_queue_count(guest->vid, GUEST_FROM) > 0;
        uint32_t queued = guest->queued;
        push(p, guest);
        found = found || guest->queued < queued;
    }
    return found;
}

static void local_disarm(struct transport *t)
{
    struct local_port *p = port_of(t);
    if (!p->armed)
        return;
    p->armed = false;
    if (guests_drain(p->guests))
        count_add(&p->count.wakes, 1);
    guests_enter(p->guests);
    notify(p, &p->hot, false);
    notify(p, &p->cold, false);
    guests_leave(p->guests);
}

static bool local_arm(struct transport *t)
{
    struct local_port *p = port_of(t);
    if (p->armed)
        return true;
    p->armed = true;
    guests_drain(p->guests);
    guests_enter(p->guests);
    bool found = notify(p, &p->hot, true);
    found = notify(p, &p->cold, true) || found;
    guests_leave(p->guests);
    if (found || atomic_load(&p->guests->events) != p->events) {
        mark(local_arm_found_something);
        local_disarm(t);
        return false;
    }
    return true;
}

static const struct transport_ops local_ops = {
    .name = "local",
    .receive = local_receive,
    .done = local_done,
    .reserve = local_reserve,
    .commit = local_commit,
    .flush = local_flush,
    .hang_up = local_hang_up,
    .arm = local_arm,
    .disarm = local_disarm,
};

static bool buffers_open(struct local_port *p)
{
    static _Atomic unsigned number;
    char name[32];
    unsigned id = atomic_fetch_add(&number, 1);
    uint16_t room = (uint16_t)RTE_ALIGN_CEIL(RTE_PKTMBUF_HEADROOM + PACKET_MAX, 64);
    snprintf(name, sizeof name, "leat-in-%u", id);
    p->pool_in = rte_pktmbuf_pool_create(name, BUFFERS_IN, BUFFERS_CACHE, 0, room, SOCKET_ID_ANY);
    snprintf(name, sizeof name, "leat-out-%u", id);
    p->pool_out = rte_pktmbuf_pool_create(name, BUFFERS_OUT, 0, 0, room, SOCKET_ID_ANY);
    if (!p->pool_in || !p->pool_out || rte_pktmbuf_alloc_bulk(p->pool_out, p->spare, BUFFERS_OUT))
        return false;
    p->spares = BUFFERS_OUT;
    return true;
}

/* Registers the socket with vhost and starts to listen. Nothing of checksums and segmentation is offered: every packet
 * is one plain buffer. Nor are packed rings: rte_vhost_rx_queue_count(), by which arm() looks, reads split ones only.
 */
static bool driver_start(struct local_port *p)
{
    static const unsigned unwanted_bits[] = {
        VIRTIO_NET_F_CSUM,           VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_TSO6,
        VIRTIO_NET_F_GUEST_ECN,      VIRTIO_NET_F_GUEST_UFO,  VIRTIO_NET_F_HOST_TSO4,  VIRTIO_NET_F_HOST_TSO6,
        VIRTIO_NET_F_HOST_ECN,       VIRTIO_NET_F_HOST_UFO,   VIRTIO_NET_F_CTRL_VQ,    VIRTIO_NET_F_CTRL_RX,
        VIRTIO_NET_F_GUEST_ANNOUNCE, VIRTIO_NET_F_MQ,         VIRTIO_F_RING_PACKED,
    };
    uint64_t unwanted = 0;
    for (size_t i = 0; i < sizeof unwanted_bits / sizeof unwanted_bits[0]; i++)
        unwanted |= 1ull << unwanted_bits[i];
    const char *path = p->guests->path;
    uint64_t flags = RTE_VHOST_USER_LINEARBUF_SUPPORT | RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS;
    if (rte_vhost_driver_register(path, flags))
        return false;
    p->driver = true;
    if (rte_vhost_driver_disable_features(path, unwanted) || rte_vhost_driver_callback_register(path, guests_ops()))
        return false;
    mode_t before = umask(0117);
    int failed = rte_vhost_driver_start(path);
    umask(before);
    return !failed;
}

struct local_port *local_open(const char *path, enum leat_status *status, char *why, size_t why_size)
{
    int lock;
    *status = address_claim(path, &lock, why, why_size);
    if (*status != LEAT_OK)
        return NULL;
    struct local_port *p = aligned_alloc(64, sizeof *p);
    if (!p)
        goto err0;
    memset(p, 0, sizeof *p);
    p->transport = (struct transport){.ops = &local_ops, .frame_max = PACKET_FRAMES_MAX, .datagrams = true};
    p->lock = lock;
    p->joined_eal = eal_thread_join();
    p->guests = guests_open(path);
    if (!p->guests || !buffers_open(p))
        goto err1;
    if (!driver_start(p)) {
        *status = LEAT_NO_PERMISSION;
        snprintf(why, why_size, "cannot listen on %s: %s", path, eal_last_error());
        local_close(p);
        return NULL;
    }
    return p;
err1:
    if (p->guests)
        lock = -1; /* local_close() knows the path and lets go of it */
    local_close(p);
err0:
    if (lock >= 0)
        address_release(path, lock);
    *status = LEAT_NO_MEMORY;
    snprintf(why, why_size, "no memory for the local port at %s: %s", path, eal_last_error());
    return NULL;
}

void local_close(struct local_port *p)
{
    if (p->driver)
        rte_vhost_driver_unregister(p->guests->path);
    if (p->guests) {
        for (int i = 0; i < GUESTS_MAX; i++)
            spare_give(p, p->guests->place[i].queue, p->guests->place[i].queued);
        address_release(p->guests->path, p->lock);
        guests_close(p->guests);
    }
    rte_mempool_free(p->pool_in);
    rte_mempool_free(p->pool_out);
    if (p->joined_eal)
        eal_thread_leave();
    free(p);
}

struct transport *local_transport(struct local_port *p)
{
    return &p->transport;
}

int local_wake_fd(const struct local_port *p)
{
    return p->guests->epoll;
}

void local_count(const struct local_port *p, struct local_counters *out)
{
    const uint64_t *from = (const uint64_t *)&p->count;
    uint64_t *to = (uint64_t *)out;
    for (size_t i = 0; i < sizeof *out / sizeof *to; i++)
        to[i] = __atomic_load_n(from + i, __ATOMIC_RELAXED);
}

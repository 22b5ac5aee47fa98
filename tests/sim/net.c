/* net.c - see net.h. The broker's side, the client's side, then what goes wrong. */
#include "net.h"

#include <stdlib.h>
#include <string.h>

#include "frame.h"
#include "limits.h"
#include "mark.h"
#include "must.h"

enum { SPARE_BYTES = FRAME_MAX, UDP_NS = 20000 /* a network is never as fast as shared memory */ };

static uint64_t nobody[SPARE_BYTES / 8]; /* answers to peers that have gone are written here */

static struct packet *packet_new(uint32_t link, uint32_t peer, bool to_client, uint32_t size)
{
    struct packet *p = malloc(sizeof *p + size);
    must(p != NULL);
    *p = (struct packet){.link = link, .peer = peer, .to_client = to_client, .size = size};
    return p;
}

/* ---- the broker's side: transport.h ---- */

static struct port *port_of(struct transport *t)
{
    return (struct port *)t;
}

static struct link *link_of(struct port *port, uint32_t peer)
{
    struct link *l = &port->net->link[(peer & 0xff) - 1];
    return (peer & 0xff) != 0 && (peer & 0xff) <= NET_LINKS && l->peer == peer && l->up && !l->cut ? l : NULL;
}

static unsigned port_receive(struct transport *t, struct transport_packet *packets, unsigned max)
{
    struct port *port = port_of(t);
    unsigned n = 0;
    for (; n < max && port->inbox; n++) {
        struct packet *p = port->inbox;
        port->inbox = p->next;
        if (!port->inbox)
            port->inbox_end = &port->inbox;
        const uint8_t *data = p->size ? (const uint8_t *)p->bytes : NULL;
        packets[n] = (struct transport_packet){.data = data, .size = p->size, .peer = p->peer, .buffer = p};
    }
    return n;
}

static void port_done(struct transport *t, const struct transport_packet *packets, unsigned n)
{
    (void)t;
    for (unsigned i = 0; i < n; i++)
        free(packets[i].buffer);
}

static uint64_t arrival(struct net *n, struct link *l, uint64_t *last);

static struct packet *suffer(struct net *n, struct packet *p);

static void throw_away(struct net *n, struct packet *p)
{
    if (p && p->counted)
        n->link[p->link].unread -= p->size;
    free(p);
}

/* What the broker has written for one client leaves. */
static void send_out(struct net *n, struct link *l)
{
    struct packet *p = l->out;
    l->out = NULL;
    if (l->kind == LINK_UDP)
        p = suffer(n, p);
    if (p)
        agenda_add(n->agenda, arrival(n, l, &l->last_in), ENTRY_PACKET, 0, 0, p);
}

static uint8_t *port_reserve(struct transport *t, uint32_t peer, uint32_t size)
{
    struct port *port = port_of(t);
    struct net *n = port->net;
    must(size <= t->frame_max && size % 8 == 0);
    struct link *l = link_of(port, peer);
    if (!l)
        return (uint8_t *)nobody;
    if (l->unread > 0 && l->unread + size > n->draw->link_bytes) {
        mark(sim_no_room_for_peer);
        l->refused = true;
        return NULL;
    }
    if (l->out && l->out->size + size > l->out_room)
        send_out(n, l);
    if (!l->out) {
        l->out_room = t->datagrams ? t->frame_max : 2 * FRAME_MAX;
        l->out = packet_new((peer & 0xff) - 1, peer, true, l->out_room);
        l->out->size = 0;
        l->out->counted = true;
    }
    return (uint8_t *)l->out->bytes + l->out->size;
}

static void port_commit(struct transport *t, uint32_t peer, uint32_t size)
{
    struct link *l = link_of(port_of(t), peer);
    if (!l)
        return;
    l->out->size += size;
    l->unread += size;
}

static void port_flush(struct transport *t)
{
    struct net *n = port_of(t)->net;
    for (unsigned i = 0; i < NET_LINKS; i++)
        if (n->link[i].out && &n->port[n->link[i].kind].transport == t)
            send_out(n, &n->link[i]);
}

static void inbox_add(struct net *n, uint8_t kind, struct packet *p)
{
    p->next = NULL;
    *n->port[kind].inbox_end = p;
    n->port[kind].inbox_end = &p->next;
    n->woken = true;
}

static void port_hang_up(struct transport *t, uint32_t peer)
{
    struct port *port = port_of(t);
    struct link *l = link_of(port, peer);
    mark(sim_broker_hung_up);
    if (l && l->kind != LINK_UDP)
        net_cut(port->net, (peer & 0xff) - 1);
    else
        inbox_add(port->net, (uint8_t)(port - port->net->port), packet_new((peer & 0xff) - 1, peer, false, 0));
}

static bool port_arm(struct transport *t)
{
    return port_of(t)->inbox == NULL;
}

static void port_disarm(struct transport *t)
{
    (void)t;
}

static const struct transport_ops ops[3] = {
    [LINK_STREAM] = {"tcp", port_receive, port_done, port_reserve, port_commit, port_flush, port_hang_up, port_arm,
                     port_disarm},
    [LINK_UDP] = {"udp", port_receive, port_done, port_reserve, port_commit, port_flush, port_hang_up, port_arm,
                  port_disarm},
    [LINK_LOCAL] = {"local", port_receive, port_done, port_reserve, port_commit, port_flush, port_hang_up, port_arm,
                    port_disarm},
};

void net_open(struct net *n, struct agenda *agenda, const struct draw *draw)
{
    memset(n, 0, sizeof *n);
    n->agenda = agenda;
    n->draw = draw;
    n->prng = prng_seed(draw->seed, STREAM_NET);
    n->faults = true;
    for (unsigned i = 0; i < 3; i++) {
        bool datagrams = i != LINK_STREAM;
        uint32_t frame_max = datagrams && draw->datagram_max < FRAME_MAX ? draw->datagram_max / 8 * 8 : FRAME_MAX - 8;
        n->port[i].transport = (struct transport){.ops = &ops[i],
                                                  .frame_max = frame_max,
                                                  .frame_flags = i == LINK_UDP ? FRAME_CRC : 0,
                                                  .datagrams = datagrams};
        n->port[i].net = n;
        n->port[i].inbox_end = &n->port[i].inbox;
    }
}

struct transport *net_transport(struct net *n, unsigned kind)
{
    return &n->port[kind].transport;
}

/* ---- time ---- */

static uint64_t latency(struct net *n)
{
    const struct draw *d = n->draw;
    uint64_t jitter = d->net_jitter_us * 1000ull;
    for (unsigned i = 0; i < 10 && d->net_tail > 0 && n->faults && prng_chance(&n->prng, d->net_tail); i++)
        jitter *= 2;
    return d->net_us * 1000ull + prng_below(&n->prng, jitter + 1);
}

/* Does this link pass nothing in that direction now? Streams wait until it does. */
static bool deaf(const struct net *n, const struct link *l, bool to_broker)
{
    return n->faults && n->now < l->deaf[to_broker];
}

static uint64_t lag(struct net *n)
{
    if (!n->faults || !draw_has(n->draw, FAULT_LAG) || !prng_chance(&n->prng, n->draw->lag))
        return 0;
    mark(sim_lag);
    return prng_below(&n->prng, prng_chance(&n->prng, 10) ? 3000000000 : 30000000);
}

/* When a packet sent now arrives: in order, but for datagrams that overtake. */
static uint64_t arrival(struct net *n, struct link *l, uint64_t *last)
{
    uint64_t late = lag(n), at = n->now + latency(n) + late;
    bool to_broker = last == &l->last_out;
    if (deaf(n, l, to_broker) && at < l->deaf[to_broker])
        at = l->deaf[to_broker];
    if (l->kind == LINK_UDP)
        at += UDP_NS;
    if (l->kind == LINK_UDP && late > 0)
        return at;
    bool order = l->kind != LINK_UDP || !n->faults || !draw_has(n->draw, FAULT_REORDER);
    if (!order && prng_chance(&n->prng, n->draw->reorder))
        return at + prng_below(&n->prng, 3 * (n->draw->net_us + n->draw->net_jitter_us + 10) * 1000ull);
    if (at < *last)
        at = *last;
    *last = at;
    return at;
}

/* ---- the client's side ---- */

static void change_later(struct net *n, uint32_t link, uint64_t at, enum link_change what, uint32_t peer)
{
    agenda_add(n->agenda, at, ENTRY_LINK, link, (uint32_t)what | peer << 8, NULL);
}

void net_connect(struct net *n, uint32_t link, uint8_t kind)
{
    struct link *l = &n->link[link];
    must(!l->up);
    uint32_t generation = (l->peer >> 8) + 1;
    *l = (struct link){.kind = kind, .peer = (link + 1) | generation << 8};
    l->backlog_end = &l->backlog;
    bool found = kind == LINK_UDP || n->broker_up;
    uint64_t at = kind == LINK_UDP ? n->now : n->now + latency(n);
    change_later(n, link, at, found ? LINK_OPENED : LINK_REFUSED, generation);
}

static void drop_backlog(struct link *l)
{
    while (l->backlog) {
        struct packet *p = l->backlog;
        l->backlog = p->next;
        free(p);
    }
    l->backlog_end = &l->backlog;
    free(l->out);
    l->out = NULL;
}

/* The broker hears that a peer has gone: at once on streams, after some silence on datagrams. */
static void tell_gone(struct net *n, uint32_t link, uint32_t peer, uint8_t kind)
{
    uint64_t wait = kind == LINK_UDP ? 100000000 + prng_below(&n->prng, 3000000000) : latency(n);
    struct packet *p = packet_new(link, peer, false, 0);
    agenda_add(n->agenda, n->now + wait, ENTRY_PACKET, kind, 0, p);
}

int net_changed(struct net *n, uint32_t link, uint32_t detail)
{
    struct link *l = &n->link[link];
    enum link_change what = (enum link_change)(detail & 0xff);
    if (detail >> 8 != (l->peer >> 8 & 0xffffff))
        return -1; /* of an older connection */
    switch (what) {
    case LINK_OPENED:
        if (l->kind != LINK_UDP && !n->broker_up)
            return LINK_REFUSED;
        l->up = true;
        return LINK_OPENED;
    case LINK_BROKEN:
        if (!l->up)
            return -1;
        l->up = false;
        drop_backlog(l);
        return LINK_BROKEN;
    case LINK_FLOWS:
        l->clogged = false;
        return LINK_FLOWS;
    default:
        return (int)what;
    }
}

void net_hang_up(struct net *n, uint32_t link)
{
    struct link *l = &n->link[link];
    if (!l->up)
        return;
    l->up = false;
    drop_backlog(l);
    tell_gone(n, link, l->peer, l->kind);
}

static void remember(struct net *n, const struct packet *p)
{
    struct packet **place = &n->old[prng_below(&n->prng, NET_OLD)];
    free(*place);
    *place = packet_new(p->link, p->peer, false, p->size);
    memcpy((*place)->bytes, p->bytes, p->size);
}

static void send_again(struct net *n, const struct packet *p, uint32_t peer, uint64_t at)
{
    struct packet *copy = packet_new(p->link, peer, p->to_client, p->size);
    memcpy(copy->bytes, p->bytes, p->size);
    agenda_add(n->agenda, at, ENTRY_PACKET, LINK_UDP, 0, copy);
}

static void corrupt(struct net *n, struct packet *p)
{
    mark(sim_corrupted);
    n->corrupted++;
    for (unsigned i = 0; i <= prng_below(&n->prng, 3); i++)
        ((uint8_t *)p->bytes)[prng_below(&n->prng, p->size)] ^= (uint8_t)(1 + prng_below(&n->prng, 255));
}

/* A datagram meets the faults of the net; NULL: it is lost. */
static struct packet *suffer(struct net *n, struct packet *p)
{
    const struct draw *d = n->draw;
    if (!n->faults)
        return p;
    if (deaf(n, &n->link[p->link], !p->to_client)) {
        throw_away(n, p);
        return NULL;
    }
    if (draw_has(d, FAULT_REPLAY) && !p->to_client) {
        if (prng_chance(&n->prng, 10))
            remember(n, p);
        const struct packet *old = n->old[prng_below(&n->prng, NET_OLD)];
        if (old && prng_chance(&n->prng, d->replay)) {
            mark(sim_replayed);
            n->replayed++;
            uint32_t peer = prng_chance(&n->prng, 50) ? old->peer : n->link[old->link].peer;
            send_again(n, old, peer, n->now + latency(n));
        }
    }
    if (draw_has(d, FAULT_LOSS) && prng_chance(&n->prng, d->loss)) {
        n->lost++;
        throw_away(n, p);
        return NULL;
    }
    if (draw_has(d, FAULT_REPEAT) && prng_chance(&n->prng, d->repeat)) {
        n->repeated++;
        send_again(n, p, p->peer, n->now + latency(n));
    }
    if (draw_has(d, FAULT_CORRUPT) && prng_chance(&n->prng, d->corrupt))
        corrupt(n, p);
    return p;
}

void net_send(struct net *n, uint32_t link, const uint8_t *bytes, uint32_t size)
{
    struct link *l = &n->link[link];
    must(l->up);
    struct packet *p = packet_new(link, l->peer, false, size);
    memcpy(p->bytes, bytes, size);
    n->packets++;
    if (l->kind == LINK_UDP)
        p = suffer(n, p);
    if (p)
        agenda_add(n->agenda, arrival(n, l, &l->last_out), ENTRY_PACKET, l->kind, 0, p);
}

/* ---- arrivals ---- */

struct packet *net_arrive(struct net *n, struct packet *p)
{
    struct link *l = &n->link[p->link];
    if (p->to_client) {
        if (!l->up || l->peer != p->peer) {
            free(p);
            return NULL;
        }
        p->next = NULL;
        *l->backlog_end = p;
        l->backlog_end = &p->next;
        return l->clogged ? NULL : net_backlog(n, p->link);
    }
    uint8_t kind = l->kind;
    bool current = l->up && !l->cut && l->peer == p->peer;
    if (!n->broker_up || (p->size > 0 && !current && kind != LINK_UDP)) {
        free(p);
        return NULL;
    }
    if (p->size > 0 && !current) /* a replayed datagram makes a peer that nobody answers for */
        tell_gone(n, p->link, p->peer, kind);
    inbox_add(n, kind, p);
    return NULL;
}

struct packet *net_backlog(struct net *n, uint32_t link)
{
    struct link *l = &n->link[link];
    struct packet *p = l->backlog;
    if (!p || l->clogged)
        return NULL;
    l->backlog = p->next;
    if (!l->backlog)
        l->backlog_end = &l->backlog;
    if (p->counted)
        l->unread -= p->size;
    if (l->refused) {
        l->refused = false;
        n->woken = true;
    }
    return p;
}

/* ---- what happens to connections ---- */

void net_cut(struct net *n, uint32_t link)
{
    struct link *l = &n->link[link];
    if (!l->up || l->cut || l->kind == LINK_UDP)
        return;
    mark(sim_connection_cut);
    l->cut = true;
    tell_gone(n, link, l->peer, l->kind);
    change_later(n, link, n->now + latency(n), LINK_BROKEN, l->peer >> 8);
}

void net_clog(struct net *n, uint32_t link, uint64_t duration_ns)
{
    struct link *l = &n->link[link];
    if (!l->up)
        return;
    mark(sim_client_does_not_read);
    l->clogged = true;
    change_later(n, link, n->now + duration_ns, LINK_FLOWS, l->peer >> 8);
}

void net_deafen(struct net *n, uint32_t link, bool to_broker, uint64_t duration_ns)
{
    mark(sim_one_way);
    n->link[link].deaf[to_broker] = n->now + duration_ns;
}

static void drop_inbox(struct port *port)
{
    while (port->inbox) {
        struct packet *p = port->inbox;
        port->inbox = p->next;
        free(p);
    }
    port->inbox_end = &port->inbox;
}

void net_broker_gone(struct net *n)
{
    n->broker_up = false;
    for (unsigned i = 0; i < 3; i++)
        drop_inbox(&n->port[i]);
    for (unsigned i = 0; i < NET_LINKS; i++) {
        struct link *l = &n->link[i];
        throw_away(n, l->out);
        l->out = NULL;
        if (l->up && l->kind != LINK_UDP)
            change_later(n, i, n->now + latency(n), LINK_BROKEN, l->peer >> 8);
    }
}

void net_broker_back(struct net *n)
{
    n->broker_up = true;
    n->woken = false;
}

void net_close(struct net *n)
{
    for (unsigned i = 0; i < 3; i++)
        drop_inbox(&n->port[i]);
    for (unsigned i = 0; i < NET_LINKS; i++)
        drop_backlog(&n->link[i]);
    for (unsigned i = 0; i < NET_OLD; i++)
        free(n->old[i]);
}

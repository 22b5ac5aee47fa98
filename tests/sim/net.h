/* net.h - the network between clients and broker: three transports (streams, datagrams with checksums, local datagrams
 * without) that fill in transport.h, and the packets under way.
 *
 * A link is what one client is connected by; connecting again gives it a new generation, and its old packets find
 * nobody, except those that a replay brings back. Streams and local links keep order and end when either side ends;
 * datagrams are lost, repeated, overtaken, changed and replayed as the draw says.
 *
 * Units: world nanoseconds, bytes. Memory: a packet is freed when it has been handed over. Failure: none. Thread: one.
 */
#ifndef LEAT_SIM_NET_H
#define LEAT_SIM_NET_H

#include "agenda.h"
#include "draw.h"
#include "transport.h"

enum { NET_LINKS = DRAW_ACTORS_MAX + 2, NET_OLD = 8 };

struct packet {
    struct packet *next;
    uint32_t link, peer;     /* peer: of the time when it was sent */
    bool to_client, counted; /* counted: in its link's unread */
    uint32_t size;           /* 0 to the broker: this peer has gone */
    uint64_t bytes[];
};

enum link_change { LINK_OPENED, LINK_REFUSED, LINK_BROKEN, LINK_FORGOTTEN, LINK_FLOWS };

struct link {
    uint8_t kind;
    bool up;          /* the client's side */
    bool cut;         /* nothing passes to the broker any more */
    bool refused;     /* the broker was told that there is no room */
    bool clogged;     /* the client does not read */
    uint32_t peer;    /* index + 1 | generation << 8 */
    uint64_t deaf[2]; /* nothing passes to the client [0], to the broker [1], until then */
    uint32_t unread;
    uint64_t last_in, last_out; /* arrivals, for order */
    struct packet *out;         /* being filled by the broker */
    uint32_t out_room;
    struct packet *backlog, **backlog_end;
};

struct port {
    struct transport transport; /* first */
    struct net *net;
    struct packet *inbox, **inbox_end;
};

struct net {
    struct agenda *agenda;
    const struct draw *draw;
    struct prng prng;
    uint64_t now;
    bool faults; /* off: nothing goes wrong any more */
    bool broker_up;
    bool woken;          /* something came that the broker should see */
    struct port port[3]; /* by enum link_kind */
    struct link link[NET_LINKS];
    struct packet *old[NET_OLD]; /* datagrams to replay */
    uint64_t packets, lost, repeated, corrupted, replayed;
};

void net_open(struct net *n, struct agenda *agenda, const struct draw *draw);
void net_close(struct net *n);
struct transport *net_transport(struct net *n, unsigned kind);

/* The client's side. The answer to net_connect() comes as ENTRY_LINK; net_changed() then says what it means for the
 * client now: LINK_OPENED, LINK_REFUSED or LINK_BROKEN, or -1 for nothing. */
void net_connect(struct net *n, uint32_t link, uint8_t kind);
int net_changed(struct net *n, uint32_t link, uint32_t detail);
void net_hang_up(struct net *n, uint32_t link);
void net_send(struct net *n, uint32_t link, const uint8_t *bytes, uint32_t size);

/* net_arrive: a packet's time has come: to the broker it goes into an inbox; to a client it is returned, to be read
 * and freed, unless nobody reads it. net_backlog: the next packet that a clogged client reads after all. */
struct packet *net_arrive(struct net *n, struct packet *p);
struct packet *net_backlog(struct net *n, uint32_t link);

/* What happens to connections. */
void net_cut(struct net *n, uint32_t link);
void net_clog(struct net *n, uint32_t link, uint64_t duration_ns);
/* net_deafen: packets pass in the other direction only, for a while. Datagrams are lost, streams wait. */
void net_deafen(struct net *n, uint32_t link, bool to_broker, uint64_t duration_ns);
void net_broker_gone(struct net *n);
void net_broker_back(struct net *n);

#endif

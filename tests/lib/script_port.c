/* script_port.c - see script_port.h. */
#include "script_port.h"

#include <stdlib.h>
#include <string.h>

#include "limits.h"
#include "must.h"

enum { PACKETS = 256, ANSWERS = 4096, PEERS = 64 };

struct script_frame {
    uint32_t peer, size;
    uint8_t *bytes;
};

struct script_port {
    struct transport transport;
    struct transport_packet packets[PACKETS];
    unsigned packet_count;
    void *given[PACKETS]; /* buffers that the shard has now */
    unsigned given_count;
    struct script_frame answers[ANSWERS];
    unsigned answer_count;
    uint8_t *reserved, *popped;
    uint32_t room;
    bool hung_up[PEERS];
};

static struct script_port *script_port_of(struct transport *t)
{
    return (struct script_port *)(void *)t;
}

static unsigned script_port_receive(struct transport *t, struct transport_packet *packets, unsigned max)
{
    struct script_port *p = script_port_of(t);
    unsigned n = p->packet_count < max ? p->packet_count : max;
    memcpy(packets, p->packets, n * sizeof *packets);
    for (unsigned i = 0; i < n; i++)
        p->given[p->given_count++] = packets[i].buffer;
    p->packet_count -= n;
    memmove(p->packets, p->packets + n, p->packet_count * sizeof *packets);
    return n;
}

static void script_port_done(struct transport *t, const struct transport_packet *packets, unsigned n)
{
    struct script_port *p = script_port_of(t);
    must(n == p->given_count);
    for (unsigned i = 0; i < n; i++)
        free(packets[i].buffer);
    p->given_count = 0;
}

static uint8_t *script_port_reserve(struct transport *t, uint32_t peer, uint32_t size)
{
    struct script_port *p = script_port_of(t);
    must(peer < PEERS && size <= t->frame_max);
    must(p->reserved == NULL);
    if (p->room == 0)
        return NULL;
    p->reserved = aligned_alloc(8, (size + 7) & ~7u);
    return p->reserved;
}

static void script_port_commit(struct transport *t, uint32_t peer, uint32_t size)
{
    struct script_port *p = script_port_of(t);
    must(p->reserved != NULL);
    must(p->answer_count < ANSWERS);
    p->room--;
    p->answers[p->answer_count++] = (struct script_frame){peer, size, p->reserved};
    p->reserved = NULL;
}

static void script_port_flush(struct transport *t)
{
    must(script_port_of(t)->reserved == NULL);
}

static void script_port_hang_up(struct transport *t, uint32_t peer)
{
    script_port_of(t)->hung_up[peer] = true;
}

static bool script_port_arm(struct transport *t)
{
    return script_port_of(t)->packet_count == 0;
}

static const struct transport_ops script_port_ops = {
    .name = "script",
    .receive = script_port_receive,
    .done = script_port_done,
    .reserve = script_port_reserve,
    .commit = script_port_commit,
    .flush = script_port_flush,
    .hang_up = script_port_hang_up,
    .arm = script_port_arm,
    .disarm = script_port_flush,
};

struct script_port *script_port_open(uint32_t frame_max, bool datagrams)
{
    struct script_port *p = calloc(1, sizeof *p);
    must(p != NULL);
    p->transport = (struct transport){.ops = &script_port_ops, .frame_max = frame_max, .datagrams = datagrams};
    p->room = UINT32_MAX;
    return p;
}

void script_port_close(struct script_port *p)
{
    for (unsigned i = 0; i < p->given_count; i++)
        free(p->given[i]);
    for (unsigned i = 0; i < p->packet_count; i++)
        free(p->packets[i].buffer);
    for (unsigned i = 0; i < p->answer_count; i++)
        free(p->answers[i].bytes);
    free(p->reserved);
    free(p->popped);
    free(p);
}

struct transport *script_port_transport(struct script_port *p)
{
    return &p->transport;
}

void script_port_push(struct script_port *p, uint32_t peer, const void *bytes, uint32_t size)
{
    must(p->packet_count < PACKETS);
    uint8_t *copy = NULL;
    if (size > 0) {
        copy = aligned_alloc(8, (size + 7) & ~7u);
        memcpy(copy, bytes, size);
    }
    p->packets[p->packet_count++] = (struct transport_packet){copy, size, peer, copy};
}

bool script_port_pop(struct script_port *p, uint32_t peer, struct frame *frame)
{
    unsigned i = 0;
    while (i < p->answer_count && p->answers[i].peer != peer)
        i++;
    if (i == p->answer_count)
        return false;
    free(p->popped);
    p->popped = p->answers[i].bytes;
    must(frame_decode(frame, p->popped, p->answers[i].size) == LEAT_OK);
    memmove(p->answers + i, p->answers + i + 1, (--p->answer_count - i) * sizeof *p->answers);
    return true;
}

void script_port_set_room(struct script_port *p, uint32_t frames)
{
    p->room = frames;
    p->transport.room++;
}

bool script_port_hung_up(const struct script_port *p, uint32_t peer)
{
    return p->hung_up[peer];
}

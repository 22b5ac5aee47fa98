/* lane.c - turns of one session. See lane.h. */
#include "lane.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALL_SECONDS = 10 };

struct instant lane_now(void)
{
    static uint64_t base, last;
    static double ns;
    if (ns == 0) {
        ns = ticks_ns();
        base = ticks_now();
    }
    /* A second is far above the largest difference between the counters of two cores. */
    uint64_t now = 1000000000 + (uint64_t)((double)(int64_t)(ticks_now() - base) * ns);
    last = now > last ? now : last;
    return (struct instant){last};
}

bool lane_open(struct lane *lane, const struct lane_options *o)
{
    memset(lane, 0, sizeof *lane);
    lane->link = link_open(&o->target, o->eal, lane->why, sizeof lane->why);
    if (!lane->link)
        return false;
    uint32_t datagram = link_datagram_max(lane->link);
    struct client_config c = {
        .window = o->window, .datagrams = datagram > 0, .datagram_max = datagram, .seed = o->seed};
    lane->held_max = FRAME_MAX;
    lane->out = aligned_alloc(64, lane->held_max);
    lane->client = client_open(&c);
    if (lane->out && lane->client)
        return true;
    snprintf(lane->why, sizeof lane->why, "no memory for a client");
    lane_close(lane);
    return false;
}

void lane_close(struct lane *lane)
{
    if (lane->client)
        client_close(lane->client);
    if (lane->link)
        link_close(lane->link);
    free(lane->out);
    *lane = (struct lane){.client = NULL};
}

static void hang_up(struct lane *lane)
{
    lane->connected = false;
    lane->held = 0;
    client_disconnected(lane->client, lane_now());
}

static void connect_if_wanted(struct lane *lane)
{
    struct instant now = lane_now();
    if (!client_wants_connection(lane->client, now))
        return;
    lane->connected = link_connect(lane->link, lane->why, sizeof lane->why);
    if (lane->connected)
        client_connected(lane->client, lane_now());
    else
        client_disconnected(lane->client, lane_now());
}

int lane_in(struct lane *lane)
{
    struct client_io_bytes *in = lane->in; /* not on the stack: the compiler would clear it each time */
    if (!lane->connected) {
        connect_if_wanted(lane);
        return 0;
    }
    int n = link_receive(lane->link, in);
    if (n == 0)
        return 0;
    struct instant now = lane_now();
    enum leat_status status = n == LINK_ENDED ? LEAT_CLOSED : LEAT_OK;
    for (int i = 0; i < n && status == LEAT_OK; i++)
        status = client_input(lane->client, in[i].data, in[i].size, now);
    link_done(lane->link, in, n);
    if (status != LEAT_OK)
        hang_up(lane);
    return n > 0 ? n : 0;
}

void lane_out(struct lane *lane, struct instant now)
{
    if (!instant_before(now, client_next_due(lane->client)))
        client_tick(lane->client, now);
    if (!lane->connected)
        return;
    if (client_broken(lane->client)) {
        hang_up(lane);
        return;
    }
    for (;;) {
        if (lane->held == 0)
            lane->held = client_output(lane->client, lane->out, lane->held_max, now);
        if (lane->held == 0 || !link_send(lane->link, lane->out, lane->held))
            break;
        lane->held = 0;
    }
    link_flush(lane->link); /* also what the link itself has kept from an earlier turn */
}

void lane_wait(struct lane *lane, unsigned ms)
{
    if (lane->connected)
        link_wait(lane->link, ms);
}

bool lane_ready(struct lane *lane, double seconds)
{
    uint64_t end = lane_now().ns + (uint64_t)(seconds * 1e9);
    while (!client_ready(lane->client)) {
        struct instant now = lane_now();
        if (now.ns > end) {
            if (lane->why[0] == 0)
                snprintf(lane->why, sizeof lane->why, "no answer to hello: %s",
                         status_text((client_refusal(lane->client) ? client_refusal(lane->client) : LEAT_TIMED_OUT)));
            return false;
        }
        lane_in(lane);
        lane_out(lane, now);
    }
    return true;
}

enum leat_status lane_call(struct lane *lane, const struct client_op *op, struct client_result *r)
{
    uint64_t end = lane_now().ns + CALL_SECONDS * 1000000000ull;
    enum leat_status status = client_submit(lane->client, op, UINT64_MAX);
    if (status != LEAT_OK)
        return status;
    while (!client_result(lane->client, r) || r->user != UINT64_MAX) {
        struct instant now = lane_now();
        if (now.ns > end)
            return LEAT_TIMED_OUT;
        lane_out(lane, now);
        lane_in(lane);
    }
    return r->status;
}

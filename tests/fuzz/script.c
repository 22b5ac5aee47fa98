/* script.c - see script.h. */
#include "script.h"

#include <string.h>

#include "crc32c.h"
#include "must.h"

static const uint8_t ops[SCRIPT_CALLS] = {
    OP_QUEUE_CREATE, OP_PUT,  OP_QUEUE_STAT, OP_TAKE, OP_PEEK, OP_QUEUE_LIST, OP_PUT,        OP_TAKE,
    OP_ACK,          OP_NACK, OP_EXTEND,     OP_PUT,  OP_TAKE, OP_PEEK,       OP_QUEUE_STAT, OP_QUEUE_DROP};

void script_open(struct script *s, bool datagrams)
{
    struct client_config config = {.window = 8, .datagrams = datagrams, .seed = 5, .budget = SCRIPT_BUDGET};
    config.datagram_max = datagrams ? SCRIPT_DATAGRAM : 0;
    memset(s, 0, sizeof *s);
    s->client = client_open(&config);
    s->now = (struct instant){1000000000};
    must(s->client != NULL);
}

static bool submit(struct script *s, uint64_t i)
{
    static uint8_t body[3000];
    static const uint8_t receipts[2][RECEIPT_BYTES] = {{1}, {2}};
    struct request_put_entry puts[3] = {{.body = body, .body_size = 5}, {.body = body, .body_size = 0}, {.body = body}};
    struct client_op op = {.request = {.op = ops[i], .max = 10}, .puts = puts, .receipts = receipts};
    puts[2].body_size = i == 6 ? sizeof body : 300; /* one that travels in pieces, both ways, in datagrams */
    op.count = ops[i] == OP_PUT ? 3 : ops[i] == OP_ACK || ops[i] == OP_NACK || ops[i] == OP_EXTEND ? 2 : 0;
    must(name_set(&op.request.name, "jobs", 4));
    return client_submit(s->client, &op, i) == LEAT_OK;
}

/* Everything that a user may look at, and whether it is what the header promises. */
static void look(const struct client *c, const struct client_result *r)
{
    uint32_t offset = 0, runs = 0, parts = 0;
    struct reply_message m;
    struct reply_stat stat;
    struct message_id id;
    switch (r->op) {
    case OP_PUT:
    case OP_ACK:
    case OP_NACK:
    case OP_EXTEND:
        for (unsigned i = 0; i < r->runs_count; i++)
            runs += r->runs[i].count;
        must(runs == r->count && r->count == (r->op == OP_PUT ? 3 : 2));
        for (unsigned i = 0; i < r->count; i++)
            must(r->status != LEAT_OK || client_result_entry(c, r, i, &id) == LEAT_OK);
        return;
    case OP_TAKE:
    case OP_PEEK:
        while (r->status == LEAT_OK && reply_next_message(&r->reply, &offset, &m)) {
            must(crc32c(0, m.body, m.body_size) == m.body_crc);
            parts++;
        }
        while (r->status == LEAT_CORRUPT && reply_next_message(&r->reply, &offset, &m))
            must(m.attrs_size == 0 && m.body_size == 0);
        break;
    case OP_QUEUE_DROP:
        return;
    default:
        while (r->status == LEAT_OK && reply_next_stat(&r->reply, &offset, &stat))
            parts++;
    }
    must(r->status != LEAT_OK || (parts == r->count && offset == r->reply.body_size));
}

void script_turn(struct script *s)
{
    struct client_result r;
    struct client_counters counters;
    s->now.ns += 1000;
    while (client_result(s->client, &r)) {
        must(r.user < s->submitted && r.user < SCRIPT_CALLS && r.op == ops[r.user]);
        must((s->answered >> r.user & 1) == 0);
        s->answered |= 1ull << r.user;
        look(s->client, &r);
    }
    while (s->submitted < SCRIPT_CALLS && submit(s, s->submitted))
        s->submitted++;
    client_count(s->client, &counters);
    must(counters.held_bytes <= SCRIPT_BUDGET);
    must(client_pending(s->client) + (unsigned)__builtin_popcountll(s->answered) == s->submitted);
    if (!s->linked && client_wants_connection(s->client, s->now)) {
        client_connected(s->client, s->now);
        s->linked = true;
    }
}

static void hang_up(struct script *s)
{
    client_disconnected(s->client, s->now);
    s->linked = false;
    s->now.ns += duration_s(2).ns; /* the longest back-off */
}

size_t script_say(struct script *s, uint8_t out[FRAME_MAX])
{
    if (!s->linked)
        return 0;
    client_tick(s->client, s->now);
    if (client_broken(s->client)) {
        hang_up(s);
        return 0;
    }
    return client_output(s->client, out, FRAME_MAX, s->now);
}

bool script_hear(struct script *s, const uint8_t *bytes, size_t size)
{
    if (!s->linked)
        return false;
    if (client_input(s->client, bytes, size, s->now) == LEAT_OK && !client_broken(s->client))
        return true;
    hang_up(s);
    return false;
}

void script_close(struct script *s)
{
    client_close(s->client);
}

/* rig.c - the wire between them. */
#include "rig.h"

#include "must.h"
#include "test.h"

enum { DATAGRAM = 1472 };

void rig_open(struct rig *r, uint16_t window, bool datagrams, uint64_t seed)
{
    memset(r, 0, sizeof *r);
    struct client_config config = {
        .window = window, .datagrams = datagrams, .datagram_max = datagrams ? DATAGRAM : 0, .seed = seed};
    r->client = client_open(&config);
    must(r->client != NULL);
    fake_broker_open(&r->broker);
    r->datagrams = datagrams;
    if (datagrams)
        r->broker.frame_max = DATAGRAM;
    r->up = true;
    r->now = (struct instant){1000000000};
    r->prng = prng_seed(seed, 9);
}

void rig_close(struct rig *r)
{
    client_close(r->client);
    fake_broker_close(&r->broker);
}

void rig_cut(struct rig *r)
{
    if (r->linked)
        client_disconnected(r->client, r->now);
    r->linked = false;
    r->broker.out_size = 0;
}

static void to_broker(struct rig *r, const uint8_t *bytes, size_t size)
{
    if (r->lossy && prng_chance(&r->prng, r->lossy))
        return;
    fake_broker_input(&r->broker, bytes, size);
    if (r->lossy && prng_chance(&r->prng, r->lossy))
        fake_broker_input(&r->broker, bytes, size);
}

/* One piece of what the broker has said; false when there is nothing more. */
static bool to_client(struct rig *r)
{
    size_t size = r->broker.out_size;
    if (size == 0 || !r->linked)
        return false;
    if (r->datagrams)
        size = (size_t)frame_size(r->broker.out, size);
    else if (r->chop && size > r->chop)
        size = 1 + prng_below(&r->prng, r->chop);
    uint8_t *bytes = malloc(size); /* of its own, so that a sanitizer sees the edges */
    must(bytes != NULL);
    memcpy(bytes, r->broker.out, size);
    fake_broker_sent(&r->broker, size);
    unsigned times = 1;
    if (r->lossy)
        times = prng_chance(&r->prng, r->lossy) ? 0 : prng_chance(&r->prng, r->lossy) ? 2 : 1;
    for (unsigned i = 0; i < times && r->linked; i++) {
        r->stream = client_input(r->client, bytes, size, r->now);
        if (r->stream != LEAT_OK)
            rig_cut(r);
    }
    free(bytes);
    return true;
}

bool rig_step(struct rig *r)
{
    static uint8_t out[FRAME_MAX] __attribute__((aligned(8)));
    size_t size;
    bool moved = false;
    r->now.ns += 1000;
    if (!r->linked && client_wants_connection(r->client, r->now)) {
        moved = r->linked = r->up;
        if (r->up)
            client_connected(r->client, r->now);
        else
            client_disconnected(r->client, r->now);
    }
    if (!r->linked)
        return moved;
    client_tick(r->client, r->now);
    if (client_broken(r->client)) {
        rig_cut(r);
        return true;
    }
    while ((size = client_output(r->client, out, sizeof out, r->now)) > 0) {
        moved = true;
        if (r->up)
            to_broker(r, out, size);
    }
    while (!r->hold && to_client(r))
        moved = true;
    return moved;
}

bool rig_run(struct rig *r, unsigned pending, struct duration limit)
{
    struct instant end = instant_add(r->now, limit);
    for (;;) {
        bool moved = rig_step(r);
        if (client_pending(r->client) <= pending)
            return true;
        if (!instant_before(r->now, end))
            return false;
        struct instant due = instant_min(client_next_due(r->client), end);
        if (!moved)
            r->now = instant_max(r->now, due);
    }
}

void rig_finish(struct rig *r)
{
    assert_true(rig_run(r, 0, duration_s(60)));
}

struct client_result rig_expect(struct rig *r, uint64_t user)
{
    struct client_result result;
    assert_true(client_result(r->client, &result));
    assert_int_equal(result.user, user);
    return result;
}

void rig_expect_status(struct rig *r, uint64_t user, enum leat_status status)
{
    assert_int_equal(rig_expect(r, user).status, status);
}

void rig_expect_none(struct rig *r)
{
    struct client_result result;
    assert_false(client_result(r->client, &result));
}

struct client_counters rig_counters(const struct rig *r)
{
    struct client_counters counters;
    client_count(r->client, &counters);
    return counters;
}

static void set_name(struct client_op *op, const char *queue)
{
    op->request.name.size = (uint8_t)strlen(queue); /* unchecked: tests pass bad ones too */
    must(strlen(queue) <= NAME_MAX_BYTES);
    memcpy(op->request.name.text, queue, strlen(queue));
}

enum leat_status rig_put(struct rig *r, const char *queue, const char *body, uint64_t tag)
{
    struct request_put_entry put = {.body = (const uint8_t *)body, .body_size = (uint32_t)strlen(body)};
    struct client_op op = {.request = {.op = OP_PUT}, .count = 1, .puts = &put};
    set_name(&op, queue);
    return client_submit(r->client, &op, tag);
}

enum leat_status rig_put_many(struct rig *r, const char *queue, unsigned count, uint32_t size, uint64_t tag)
{
    struct request_put_entry *puts = calloc(count + 1, sizeof *puts);
    uint8_t *bytes = malloc((size_t)count * size + 1);
    must(puts && bytes);
    for (unsigned i = 0; i < count; i++) {
        memset(bytes + (size_t)i * size, (int)i, size);
        if (size >= 4)
            memcpy(bytes + (size_t)i * size, &i, 4);
        puts[i] = (struct request_put_entry){.body = bytes + (size_t)i * size, .body_size = size};
    }
    struct client_op op = {.request = {.op = OP_PUT}, .count = (uint16_t)count, .puts = puts};
    set_name(&op, queue);
    enum leat_status status = client_submit(r->client, &op, tag);
    free(puts);
    free(bytes);
    return status;
}

enum leat_status rig_take(struct rig *r, const char *queue, uint16_t max, struct duration wait, uint64_t tag)
{
    struct client_op op = {.request = {.op = OP_TAKE, .max = max, .wait = wait}};
    set_name(&op, queue);
    return client_submit(r->client, &op, tag);
}

enum leat_status rig_receipts(struct rig *r, uint8_t code, const char *queue, const uint8_t (*receipts)[RECEIPT_BYTES],
                              uint16_t count, uint64_t tag)
{
    struct client_op op = {.request = {.op = code}, .count = count, .receipts = receipts};
    set_name(&op, queue);
    return client_submit(r->client, &op, tag);
}

enum leat_status rig_queue(struct rig *r, uint8_t code, const char *queue, uint64_t tag)
{
    struct client_op op = {.request = {.op = code, .max = 100}};
    set_name(&op, queue);
    return client_submit(r->client, &op, tag);
}

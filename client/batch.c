/* batch.c - batches of any size: the calls of leat.h with many entries.
 *
 * A batch goes out in parts of one request each, as many at once as the window allows; every entry gets its outcome.
 * With retry_refused, entries that were refused for now are put together and go out again, until the deadline. */
#include <stdlib.h>
#include <string.h>

#include "blocking.h"
#include "pipeline.h"

/* Parts are a quarter of the largest request, so that several are under way. */
enum { PART_BYTES = REQUEST_MAX / 4 };

struct batch;

/* One request of a batch under way. */
struct part {
    struct batch *batch;
    size_t from, count; /* entries */
    uint64_t waiter;
    bool used;
};

struct batch {
    struct leat *l;
    const char *queue;
    uint8_t op;
    uint64_t time_ns;
    const struct leat_put_entry *puts;
    const struct leat_receipt *receipts;
    size_t count, sent; /* entries; the next to be sent */
    struct leat_outcome *outcomes;
    enum leat_status status; /* of the first entry that failed */
    size_t first_failed;
    struct part parts[WINDOW_MAX];
};

static void set_outcome(struct batch *b, size_t i, const struct leat_outcome *outcome)
{
    if (b->outcomes)
        b->outcomes[i] = *outcome;
    if (outcome->status != LEAT_OK && i <= b->first_failed) {
        b->first_failed = i;
        b->status = outcome->status;
    }
}

static void part_done(struct leat *l, struct leat_result *r, void *user)
{
    (void)l;
    struct part *p = user;
    for (size_t i = 0; i < p->count; i++) {
        struct leat_outcome outcome;
        leat_result_outcome(r, i, &outcome);
        set_outcome(p->batch, p->from + i, &outcome);
    }
    p->used = false;
}

/* Whether the core will refuse this entry: it must not take others with it. */
static bool is_refused(const struct batch *b, size_t i)
{
    const struct reply_hello *hello = client_hello(b->l->core);
    return b->op == OP_PUT && (b->puts[i].body_size > (hello ? hello->body_max : BODY_MAX) ||
                               (unsigned)b->puts[i].durability > LEAT_CLASS_DISK);
}

/* How many entries from `from` on fit one request. */
static size_t part_size(const struct batch *b, size_t from)
{
    size_t n = 0, bytes = REQUEST_FIXED_MAX;
    const struct reply_hello *hello = client_hello(b->l->core);
    size_t most = hello && hello->batch_max < LEAT_BATCH_MAX ? hello->batch_max : LEAT_BATCH_MAX;
    while (from + n < b->count && n < most) {
        if (is_refused(b, from + n))
            return n ? n : 1;
        bytes += b->op == OP_PUT ? request_put_size((uint32_t)b->puts[from + n].body_size, 0) : RECEIPT_BYTES;
        if (n > 0 && bytes > PART_BYTES)
            break;
        n++;
    }
    return n ? n : 1;
}

static enum leat_status submit_part(struct batch *b)
{
    struct part *p = b->parts;
    while (p < b->parts + WINDOW_MAX && p->used)
        p++;
    if (p == b->parts + WINDOW_MAX)
        return LEAT_OVERLOADED;
    *p = (struct part){.batch = b, .from = b->sent, .count = part_size(b, b->sent)};
    enum leat_status status = b->op == OP_PUT
                                  ? pipeline_put(b->l, b->queue, b->puts + p->from, p->count, part_done, p, &p->waiter)
                                  : pipeline_receipts(b->l, b->op, b->queue, b->receipts + p->from, p->count,
                                                      b->time_ns, part_done, p, &p->waiter);
    if (status == LEAT_OK) {
        p->used = true;
        b->sent += p->count;
    }
    return status;
}

static bool under_way(const struct batch *b)
{
    for (unsigned i = 0; i < WINDOW_MAX; i++)
        if (b->parts[i].used)
            return true;
    return false;
}

/* The time is over: what is under way, and what was not sent, gets its status. */
static void give_up(struct batch *b)
{
    struct leat_outcome outcome = {.status = LEAT_OK};
    for (unsigned i = 0; i < WINDOW_MAX; i++) {
        struct part *p = &b->parts[i];
        if (!p->used)
            continue;
        outcome.status = blocking_late(b->l, pipeline_forget(b->l, p->waiter), b->queue);
        for (size_t k = 0; k < p->count; k++)
            set_outcome(b, p->from + k, &outcome);
        p->used = false;
    }
    outcome.status = blocking_late(b->l, false, b->queue);
    for (; b->sent < b->count; b->sent++)
        set_outcome(b, b->sent, &outcome);
}

/* What can never be sent: the part's first entry gets the status, and the batch goes on behind it. */
static void refuse_one(struct batch *b, enum leat_status status)
{
    struct leat_outcome outcome = {.status = status};
    set_outcome(b, b->sent++, &outcome);
}

/* Once through all entries. */
static void run(struct batch *b, struct instant deadline)
{
    while (b->sent < b->count || under_way(b)) {
        enum leat_status status = LEAT_OK;
        while (b->sent < b->count && status == LEAT_OK)
            status = submit_part(b);
        if (status != LEAT_OK && status != LEAT_OVERLOADED) {
            refuse_one(b, status);
            continue;
        }
        loop_turn(b->l, deadline);
        if (!instant_before(loop_now(), deadline) && (b->sent < b->count || under_way(b)))
            give_up(b);
    }
}

/* The entries that are worth another try, as a batch of their own; 0 if there are none. `index` says where each was. */
static size_t gather(const struct batch *all, struct leat_put_entry *puts, struct leat_receipt *receipts, size_t *index)
{
    size_t n = 0;
    for (size_t i = 0; i < all->count; i++) {
        if (!blocking_may_ask_again(all->l, all->outcomes[i].status))
            continue;
        if (all->puts)
            puts[n] = all->puts[i];
        else
            receipts[n] = all->receipts[i];
        index[n++] = i;
    }
    return n;
}

/* Asks again for what was refused for now. */
static void run_again(struct batch *all, struct instant deadline)
{
    size_t entry = all->puts ? sizeof *all->puts : sizeof *all->receipts;
    void *entries = malloc(all->count * entry);
    size_t *index = malloc(all->count * sizeof *index), n;
    struct leat_outcome *outcomes = malloc(all->count * sizeof *outcomes);
    for (unsigned tries = 0; entries && index && outcomes; tries++) {
        n = gather(all, entries, entries, index);
        if (n == 0 || !blocking_pause(all->l, tries, deadline))
            break;
        struct batch again = *all;
        again.puts = all->puts ? entries : NULL;
        again.receipts = all->puts ? NULL : entries;
        again.count = n;
        again.sent = 0;
        again.outcomes = outcomes;
        again.first_failed = n;
        again.status = LEAT_OK;
        run(&again, deadline);
        for (size_t i = 0; i < n; i++)
            all->outcomes[index[i]] = outcomes[i];
    }
    free(entries);
    free(index);
    free(outcomes);
}

static enum leat_status batch_call(struct batch *b)
{
    struct instant deadline = blocking_deadline(b->l);
    struct leat_outcome *mine = NULL;
    if (b->count == 0)
        return LEAT_OK;
    if (b->l->options.retry_refused && !b->outcomes) {
        b->outcomes = mine = malloc(b->count * sizeof *mine);
        if (!mine)
            return pipeline_fail(b->l, LEAT_NO_MEMORY, b->queue);
    }
    b->first_failed = b->count;
    run(b, deadline);
    if (b->l->options.retry_refused && b->status != LEAT_OK) {
        run_again(b, deadline);
        b->status = LEAT_OK;
        for (size_t i = b->count; i-- > 0;)
            if (b->outcomes[i].status != LEAT_OK)
                b->status = b->outcomes[i].status;
    }
    free(mine);
    if (b->status == LEAT_UNREACHABLE)
        return b->status; /* its sentence is there */
    return pipeline_fail(b->l, b->status, b->queue);
}

enum leat_status leat_put_batch(struct leat *l, const char *queue, const struct leat_put_entry *entries, size_t count,
                                struct leat_outcome *outcomes)
{
    struct batch b = {.l = l, .queue = queue, .op = OP_PUT, .puts = entries, .count = count, .outcomes = outcomes};
    return batch_call(&b);
}

static enum leat_status receipts_call(struct leat *l, uint8_t op, const char *queue,
                                      const struct leat_receipt *receipts, size_t count, uint64_t time_ns,
                                      struct leat_outcome *outcomes)
{
    struct batch b = {.l = l,
                      .queue = queue,
                      .op = op,
                      .time_ns = time_ns,
                      .receipts = receipts,
                      .count = count,
                      .outcomes = outcomes};
    return batch_call(&b);
}

enum leat_status leat_ack(struct leat *l, const char *queue, const struct leat_receipt *receipts, size_t count,
                          struct leat_outcome *outcomes)
{
    return receipts_call(l, OP_ACK, queue, receipts, count, 0, outcomes);
}

enum leat_status leat_nack(struct leat *l, const char *queue, const struct leat_receipt *receipts, size_t count,
                           uint64_t delay_ns, struct leat_outcome *outcomes)
{
    return receipts_call(l, OP_NACK, queue, receipts, count, delay_ns, outcomes);
}

enum leat_status leat_extend(struct leat *l, const char *queue, const struct leat_receipt *receipts, size_t count,
                             uint64_t lease_ns, struct leat_outcome *outcomes)
{
    return receipts_call(l, OP_EXTEND, queue, receipts, count, lease_ns, outcomes);
}

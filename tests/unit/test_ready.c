/* test_ready.c - order of delivery, against a plain sorted array. */
#include <stdlib.h>

#include "mark.h"
#include "prng.h"
#include "ready.h"
#include "test.h"

#define MS_MAX (UINT64_MAX / 1000000)

static void assert_same(const struct ready_entry *a, const struct ready_entry *b)
{
    assert_true(a->lsn.n == b->lsn.n);
    assert_int_equal(a->where.place8, b->where.place8);
    assert_int_equal(a->where.size8, b->where.size8);
    assert_true(a->sent.ns == b->sent.ns);
    assert_int_equal(a->durability, b->durability);
}

static struct ready_entry entry(uint64_t block, uint32_t index, uint32_t place8, uint32_t size8, uint64_t ms, uint8_t d)
{
    return (struct ready_entry){lsn_make(block, index), {place8, size8}, {ms * 1000000}, d};
}

static struct ready_entry neighbour(const struct ready_entry *e)
{
    return entry(lsn_block(e->lsn), lsn_index(e->lsn) + 1, e->where.place8 + e->where.size8, e->where.size8,
                 e->sent.ns / 1000000, e->durability);
}

/* A number near an edge that some field of a step may have. */
static uint64_t edge(struct prng *p, uint64_t max)
{
    uint64_t n = 1ull << prng_below(p, 48);
    n = prng_chance(p, 40) ? prng_below(p, 8) : n + prng_below(p, 3) - 1;
    return n < max ? n : max;
}

static uint64_t moved(struct prng *p, uint64_t from, uint64_t max)
{
    uint64_t by = edge(p, max);
    if (prng_chance(p, 30))
        return by < from ? from - by : 0;
    return by < max - from ? from + by : max;
}

/* As much of a distance in time as a step keeps: its 19 highest bits. */
static uint64_t kept_time(uint64_t from, uint64_t to)
{
    uint64_t by = to > from ? to - from : from - to;
    unsigned lost = 0;
    while (by >> lost >> 19)
        lost++;
    by = by >> lost << lost;
    return to > from ? from + by : from - by;
}

/* Some message that may come behind `e`, of every kind that there is. */
static struct ready_entry follower(struct prng *p, const struct ready_entry *e)
{
    uint64_t block = lsn_block(e->lsn), ms = e->sent.ns / 1000000;
    uint32_t index = lsn_index(e->lsn), place = e->where.place8, size = e->where.size8;
    if (place + 2 * size <= RUNS_PLACE8_MAX && index < 65535 && prng_chance(p, 70))
        return neighbour(e);
    if (prng_chance(p, 50)) { /* many queues take turns */
        uint32_t further = 1 + (uint32_t)prng_below(p, 60);
        block = block > RUNS_BLOCK_MAX - 8 ? 1 : block + prng_below(p, 8);
        ms = ms > MS_MAX - 5 ? ms : ms + prng_below(p, 5);
        return entry(block, further, 10 + further * 24, 24, ms, e->durability);
    }
    block = prng_chance(p, 50) ? moved(p, block, RUNS_BLOCK_MAX) : block;
    block = block ? block : 1;
    index = prng_chance(p, 50) ? (uint32_t)moved(p, index, 65535) : index;
    place = prng_chance(p, 50) ? (uint32_t)moved(p, place, RUNS_PLACE8_MAX) : place;
    size = prng_chance(p, 50) ? (uint32_t)moved(p, size, RUNS_SIZE8_MAX) : size;
    ms = prng_chance(p, 50) ? moved(p, ms, MS_MAX) : ms;
    ms = kept_time(e->sent.ns / 1000000, ms);
    return entry(block, index, place, size, ms, (uint8_t)(prng_chance(p, 10) ? prng_below(p, 4) : e->durability));
}

static void assert_sound(const struct ready *r, const struct slab *chunks, uint64_t count, uint64_t bytes)
{
    uint8_t seen[64] = {0};
    uint64_t found = 0, found_bytes = 0;
    assert_true(ready_sound(r, chunks, count, &found, &found_bytes, seen));
    assert_true(found == count && found_bytes == bytes);
    if (count > 0)
        assert_false(ready_sound(r, chunks, count - 1, &found, &found_bytes, memset(seen, 0, sizeof seen)));
}

static void assert_walks_like(const struct ready *r, const struct slab *chunks, const struct ready_entry *model,
                              uint64_t head, uint64_t tail)
{
    struct ready_walk each = {0}, runs = {0};
    struct ready_entry e;
    uint64_t bytes = 0;
    for (uint64_t i = head; i < tail; i++) {
        assert_true(ready_next(r, chunks, &each, &e));
        assert_same(&e, &model[i]);
        bytes += 8ull * e.where.size8;
    }
    assert_false(ready_next(r, chunks, &each, &e));
    uint32_t count;
    for (uint64_t i = head; i < tail; i += count) {
        assert_true(ready_next_run(r, chunks, &runs, &e, &count));
        assert_true(count > 0 && i + count <= tail);
        assert_same(&e, &model[i]);
    }
    assert_false(ready_next_run(r, chunks, &runs, &e, &count));
    assert_sound(r, chunks, tail - head, bytes);
}

TEST(ready, entries_of_any_kind_come_out_as_they_went_in_and_free_their_chunks)
{
    enum { N = 6000, CHUNKS = 40 };
    static struct ready_entry model[N];
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct slab chunks;
        struct ready r;
        struct prng prng = prng_seed(seed, 0);
        assert_int_equal(slab_open(&chunks, CHUNKS, RUNS_BYTES), LEAT_OK);
        ready_init(&r);
        model[0] = entry(1 + edge(&prng, RUNS_BLOCK_MAX - 1), 0, 10, 24, edge(&prng, MS_MAX), 1);
        for (unsigned i = 1; i < N; i++)
            model[i] = follower(&prng, &model[i - 1]);
        uint64_t head = 0, tail = 0;
        unsigned bias = 80;
        while (head < N) {
            if (prng_chance(&prng, 1))
                bias = 20 + (unsigned)prng_below(&prng, 70);
            if (tail < N && (head == tail || prng_chance(&prng, bias)) && ready_has_room(&r, &chunks)) {
                ready_push(&r, &chunks, &model[tail++]);
                continue;
            }
            struct ready_entry e;
            assert_true(ready_first(&r, &chunks, &e));
            assert_same(&e, &model[head]);
            ready_pop(&r, &chunks);
            head++;
            if (head % 500 == 0)
                assert_walks_like(&r, &chunks, model, head, tail);
        }
        assert_int_equal(chunks.taken, 0);
        slab_close(&chunks);
    }
    assert_true(mark_count("ready_chunk_follows") > 0);
}

/* Every pair of extremes of every field, behind each other. */
TEST(ready, no_distance_is_too_far)
{
    static const uint64_t blocks[] = {
        1, 2, 6, 7, 8, 63, 64, 8191, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, RUNS_BLOCK_MAX};
    static const uint64_t times[] = {0, 1, 2, 3, 4, 64, (1 << 20) - 1, 1 << 20, (1 << 20) + 2, 1ull << 43, MS_MAX / 2};
    static const uint32_t indices[] = {0, 1, 63, 64, 65, 65535};
    static const struct message_where wheres[] = {
        {10, 24}, {0, 0}, {RUNS_PLACE8_MAX, 0}, {RUNS_PLACE8_MAX, RUNS_SIZE8_MAX}, {34, 24}, {11, 25}};
    static struct ready_entry all[12 * 11 * 6 * 6];
    unsigned n = 0;
    for (unsigned i = 0; i < 12 * 11 * 6 * 6; i++)
        all[n++] = (struct ready_entry){lsn_make(blocks[i % 12], indices[i / 12 % 6]),
                                        wheres[i / 72 % 6],
                                        {times[i / 432] * 1000000},
                                        (uint8_t)(i / 7 % 4 == 0)};
    for (unsigned stride = 1; stride < n; stride = stride * 3 + 1)
        for (unsigned i = 0; i < n; i++) {
            const struct ready_entry *a = &all[i], *b = &all[(i + stride) % n];
            struct runs r = {0};
            struct ready_entry e;
            runs_begin(&r, a);
            assert_true(runs_push(&r, b));
            assert_in_range(r.end, 1, RUNS_STEP_MAX);
            assert_true(runs_sound(&r));
            assert_true(runs_pop(&r));
            runs_first(&r, &e);
            int64_t by = (int64_t)(b->sent.ns - a->sent.ns), lost = (int64_t)(b->sent.ns - e.sent.ns);
            assert_true(llabs(lost) <= llabs(by) >> 18);
            e.sent = b->sent;
            assert_same(&e, b);
            assert_false(runs_pop(&r));
        }
}

TEST(ready, a_full_slab_is_known_before_a_push_and_holds_what_the_budget_counts_on)
{
    struct slab chunks;
    struct ready r;
    assert_int_equal(slab_open(&chunks, 2, RUNS_BYTES), LEAT_OK);
    ready_init(&r);
    unsigned n = 0;
    for (; ready_has_room(&r, &chunks); n++) { /* the most expensive ones */
        struct ready_entry e = entry(1 + n, n * 7919 % 60000, n * 71, n * 37, n, n % 2);
        ready_push(&r, &chunks, &e);
    }
    assert_int_equal(n, 2 * RUNS_LEAST);
    slab_close(&chunks);
}

TEST(ready, neighbours_take_a_byte_for_a_hundred_and_turns_of_queues_three_each)
{
    struct runs r = {0};
    struct ready_entry e = entry(1, 0, 10, 24, 5, 1);
    unsigned n = 0, blocks = 0;
    runs_begin(&r, &e);
    for (; runs_push(&r, &e); n++) {
        blocks += n % 341 == 340;
        e = n % 341 < 340 ? neighbour(&e) : entry(1 + blocks, 0, 10, 24, 5 + blocks, 1);
    }
    assert_true(n > 340 * 100);
    runs_begin(&r, &e);
    for (n = 0; runs_push(&r, &e); n++)
        e = entry(2 + n * 1000 / 341, n * 1000 % 341, 10 + n * 1000 % 341 * 24, 24, 5 + n, 1);
    assert_in_range(n, RUNS_STEPS / 3 - 8, RUNS_STEPS);
}

TEST(ready, a_queue_that_is_never_deep_stays_in_its_chunk)
{
    struct slab chunks;
    struct ready r;
    struct ready_entry e = entry(1, 0, 10, 24, 5, 1), got;
    assert_int_equal(slab_open(&chunks, 2, RUNS_BYTES), LEAT_OK);
    ready_init(&r);
    ready_push(&r, &chunks, &e);
    for (unsigned n = 0; n < 100000; n++) {
        e = entry(2 + n, n % 9, 10, 24 + n % 5, 5 + n, n % 4);
        ready_push(&r, &chunks, &e);
        ready_pop(&r, &chunks);
        assert_true(ready_first(&r, &chunks, &got));
        assert_same(&got, &e);
    }
    assert_int_equal(chunks.used, 1);
    slab_close(&chunks);
}

static void assert_in_bounds(const struct ready_entry *e, uint32_t count)
{
    assert_true(lsn_block(e->lsn) <= RUNS_BLOCK_MAX && e->where.size8 <= RUNS_SIZE8_MAX && e->durability <= 3);
    assert_true(e->where.place8 + (count - 1) * (uint64_t)e->where.size8 <= RUNS_PLACE8_MAX);
}

/* A chunk from a damaged image is either refused, or every walk, push and pop stays inside of it. */
TEST(ready, a_damaged_chunk_is_refused_or_harmless)
{
    struct prng prng = prng_seed(9, 0);
    unsigned refused = 0, believed = 0;
    for (unsigned n = 0; n < 200000; n++) {
        struct runs *r = calloc(1, sizeof *r); /* by itself, for the sanitizer */
        struct ready_entry e = entry(1 + edge(&prng, 1 << 30), 5, 10, 24, edge(&prng, 1 << 30), 1);
        runs_begin(r, &e);
        for (uint64_t k = prng_below(&prng, 100); k > 0; k--) {
            e = follower(&prng, &e);
            if (!runs_push(r, &e))
                break;
        }
        for (uint64_t k = prng_below(&prng, 20); k > 0; k--)
            if (!runs_pop(r))
                runs_begin(r, &e);
        assert_true(runs_sound(r));
        uint32_t reach = prng_chance(&prng, 50) ? 64 : 64u + r->end;
        for (uint64_t k = 1 + prng_below(&prng, 2); k > 0; k--)
            ((uint8_t *)r)[prng_below(&prng, reach)] ^= (uint8_t)(1u << prng_below(&prng, 8));
        if (runs_sound(r)) {
            struct runs_walk w;
            uint32_t count;
            believed++;
            runs_walk_begin(r, &w, &e, &count);
            do
                assert_in_bounds(&e, count);
            while (runs_walk_next(r, &w, &e, &count));
            e = follower(&prng, &e);
            runs_push(r, &e);
            while (runs_pop(r))
                ;
        } else {
            refused++;
        }
        free(r);
    }
    assert_true(refused > 50000 && believed > 100);
}

TEST(ready, returned_messages_come_by_position_whatever_is_taken_from_the_middle)
{
    enum { N = 300 };
    struct slab slots;
    struct ready r;
    struct prng prng = prng_seed(3, 0);
    bool in[N] = {false};
    assert_int_equal(slab_open(&slots, N, sizeof(struct message)), LEAT_OK);
    ready_init(&r);
    for (uint32_t i = 0; i < N; i++)
        ((struct message *)slab_write(&slots, slab_take(&slots)))->lsn = lsn_make(1 + (i * 7919u) % N, 0);
    for (int step = 0; step < 100000; step++) {
        uint32_t slot = (uint32_t)prng_below(&prng, N);
        if (in[slot])
            ready_heap_remove(&r, &slots, slot);
        else
            ready_heap_add(&r, &slots, slot);
        in[slot] = !in[slot];
        uint64_t lowest = UINT64_MAX;
        for (uint32_t i = 0; i < N; i++)
            if (in[i] && ((const struct message *)slab_at(&slots, i))->lsn.n < lowest)
                lowest = ((const struct message *)slab_at(&slots, i))->lsn.n;
        assert_true(r.heap == SLAB_NONE ? lowest == UINT64_MAX
                                        : ((const struct message *)slab_at(&slots, r.heap))->lsn.n == lowest);
    }
    assert_true(mark_count("ready_heap_removed_inside") > 0);
    slab_close(&slots);
}

/* The most children that a message of the heap has. */
static uint32_t widest(const struct slab *slots)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < slots->used; i++) {
        uint32_t n = 0;
        for (uint32_t c = ((const struct message *)slab_at(slots, i))->child; c != SLAB_NONE; n++)
            c = ((const struct message *)slab_at(slots, c))->next;
        most = n > most ? n : most;
    }
    return most;
}

TEST(ready, a_take_joins_few_however_many_came_back_at_once)
{
    enum { N = 1 << 16 };
    for (unsigned order = 0; order < 3; order++) {
        struct slab slots;
        struct ready r;
        assert_int_equal(slab_open(&slots, N, sizeof(struct message)), LEAT_OK);
        ready_init(&r);
        for (uint32_t i = 0; i < N; i++) {
            uint32_t slot = slab_take(&slots);
            uint64_t position = order == 0 ? i : order == 1 ? N - i : (i * 7919u) % N;
            ((struct message *)slab_write(&slots, slot))->lsn = lsn_make(1 + position, 0);
            ready_heap_add(&r, &slots, slot);
        }
        assert_true(widest(&slots) <= 17);
        uint64_t before = 0;
        for (uint32_t i = 0; i < N; i++) {
            const struct message *m = slab_at(&slots, r.heap);
            assert_true(m->lsn.n > before);
            before = m->lsn.n;
            ready_heap_remove(&r, &slots, r.heap);
            if (i % 8192 == 0)
                assert_true(widest(&slots) <= 64);
        }
        assert_int_equal(r.heap, SLAB_NONE);
        slab_close(&slots);
    }
}

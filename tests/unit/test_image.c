/* test_image.c - an image is the engine at the cut, whatever happens meanwhile; a wrong one is refused with a sentence.
 */
#include <time.h>

#include "crc32c.h"
#include "image.h"
#include "mark.h"
#include "prng.h"
#include "session.h"
#include "sound.h"
#include "test.h"
#include "twin.h"

enum { QUEUES = 8, SLOTS = 600, CHUNKS = 200, RECEIPTS = 64, IMAGE_MAX = 1 << 20 };

static const struct queue_attributes plain = {.durability = CLASS_DISK};

struct life {
    struct twin t;
    struct prng prng;
    struct queue_ref dead, queues[3];
    struct {
        struct queue_ref queue;
        uint8_t bytes[RECEIPT_BYTES];
    } receipts[RECEIPTS];
};

static void begin(struct life *l, uint64_t seed)
{
    static const char *names[] = {"a", "b", "c"};
    l->prng = prng_seed(seed, 0);
    twin_open(&l->t, QUEUES, SLOTS, CHUNKS);
    l->t.pack = 1 + (uint32_t)(seed * 7 % 64);
    l->dead = twin_create(&l->t, "dead", &plain);
    for (int i = 0; i < 3; i++) {
        struct queue_attributes a = {.max_attempts = i == 0 ? 0 : 3, .durability = CLASS_DISK};
        if (i == 2)
            name_set(&a.dead_letter, "dead", 4);
        l->queues[i] = twin_create(&l->t, names[i], &a);
    }
}

static void drop_and_create(struct life *l)
{
    struct request drop = {.op = OP_QUEUE_DROP};
    struct fact f;
    name_set(&drop.name, "b", 1);
    if (plan_queue_drop(&l->t.leader, &drop, &f) == LEAT_OK)
        twin_apply(&l->t, &f);
    l->queues[1] = twin_create(&l->t, "b", &plain);
}

static void step(struct life *l)
{
    struct queue_ref q = prng_chance(&l->prng, 5) ? l->dead : l->queues[prng_below(&l->prng, 3)];
    uint64_t k = prng_below(&l->prng, RECEIPTS);
    struct duration time = duration_ms(1 + prng_below(&l->prng, 500));
    enum leat_status s;
    switch (prng_below(&l->prng, 8)) {
    case 0:
    case 1:
        twin_put(&l->t, q, prng_chance(&l->prng, 30) ? time : (struct duration){0}, &s);
        return;
    case 2:
    case 3:
        if (twin_take(&l->t, q, time, l->receipts[k].bytes) == LEAT_OK)
            l->receipts[k].queue = q;
        return;
    case 4:
        twin_finish(&l->t, OP_ACK, l->receipts[k].queue, l->receipts[k].bytes, time);
        return;
    case 5:
        twin_finish(&l->t, OP_NACK, l->receipts[k].queue, l->receipts[k].bytes, time);
        return;
    case 6:
        if (prng_chance(&l->prng, 2))
            drop_and_create(l);
        return;
    default:
        twin_pass(&l->t, duration_ms(prng_below(&l->prng, 20)));
    }
}

static uint32_t whole_image(struct engine *e, uint8_t *out)
{
    struct image i;
    image_begin(&i, e, NULL, 0);
    must(image_bytes(&i) <= IMAGE_MAX);
    uint32_t size = image_next(&i, out, IMAGE_MAX);
    must(size == image_bytes(&i));
    must(image_next(&i, out, IMAGE_MAX) == 0);
    image_end(&i);
    return size;
}

/* Opens an engine and loads it, in pieces of at most `piece` bytes. */
static enum leat_status load(struct engine *e, const uint8_t *bytes, uint32_t size, uint32_t piece, char *error)
{
    struct engine_capacity capacity = {QUEUES, SLOTS, CHUNKS};
    struct image_load l;
    must(engine_open(e, &capacity, INSTANT_ZERO) == LEAT_OK);
    image_load_begin(&l, e, NULL, 0);
    for (uint32_t at = 0; at < size; at += piece)
        if (image_load(&l, bytes + at, size - at < piece ? size - at : piece, error) != LEAT_OK)
            break;
    return image_load_end(&l, error);
}

static void assert_equal_slabs(const struct slab *a, const struct slab *b)
{
    assert_true(a->used == b->used && a->taken == b->taken && a->free == b->free);
    assert_memory_equal(a->items, b->items, (size_t)a->used * a->item_bytes);
}

TEST(image, read_in_pieces_while_facts_go_on_is_the_engine_at_the_cut)
{
    static struct life l;
    static uint8_t at_cut[IMAGE_MAX], read[IMAGE_MAX];
    char error[IMAGE_ERROR];
    for (uint64_t seed = 0; seed < 20; seed++) {
        begin(&l, seed);
        for (unsigned n = 0; n < 3000; n++)
            step(&l);
        uint32_t size = whole_image(&l.t.leader, at_cut), at = 0;
        assert_int_equal(whole_image(&l.t.follower, read), size);
        assert_memory_equal(read, at_cut, size);
        struct image i;
        image_begin(&i, &l.t.leader, NULL, 0);
        uint32_t piece = 1 + (uint32_t)prng_below(&l.prng, 5000);
        for (uint32_t n; (n = image_next(&i, read + at, piece)) > 0; at += n)
            for (int k = 0; k < 30; k++)
                step(&l);
        image_end(&i);
        assert_int_equal(at, size);
        assert_memory_equal(read, at_cut, size);
        struct engine third;
        assert_int_equal(load(&third, read, size, piece, error), LEAT_OK);
        assert_int_equal(whole_image(&third, read), size);
        assert_memory_equal(read, at_cut, size);
        engine_close(&third);
        twin_close(&l.t);
    }
    assert_true(mark_count("slab_page_put_aside") > 0);
    assert_true(mark_count("image_loaded") > 0);
}

TEST(image, a_loaded_engine_goes_on_like_the_one_it_was)
{
    static struct life l;
    static uint8_t bytes[IMAGE_MAX];
    char error[IMAGE_ERROR];
    for (uint64_t seed = 0; seed < 20; seed++) {
        begin(&l, seed);
        for (unsigned n = 0; n < 2000; n++)
            step(&l);
        uint32_t size = whole_image(&l.t.leader, bytes);
        struct engine third;
        assert_int_equal(load(&third, bytes, size, 4096, error), LEAT_OK);
        assert_equal_slabs(&third.queues, &l.t.leader.queues);
        assert_equal_slabs(&third.slots, &l.t.leader.slots);
        assert_equal_slabs(&third.chunks, &l.t.leader.chunks);
        assert_true(third.latest.ns == l.t.leader.latest.ns);
        assert_int_equal(third.incarnations, l.t.leader.incarnations);
        engine_close(&l.t.leader); /* the loaded one decides from now on: wheel and names, too */
        l.t.leader = third;
        for (unsigned n = 0; n < 2000; n++)
            step(&l);
        twin_close(&l.t);
    }
}

TEST(image, a_walk_meets_every_message_once)
{
    static struct life l;
    begin(&l, 5);
    for (unsigned n = 0; n < 5000; n++)
        step(&l);
    uint64_t counted = 0, met = 0;
    for (uint32_t q = 0; q < l.t.leader.queues.used; q++) {
        const struct queue_counters *c = &engine_queue_at(&l.t.leader, q)->counters;
        counted += c->ready + c->leased + c->delayed + c->dead;
    }
    static struct lsn seen[SLOTS + CHUNKS * RUNS_LEAST];
    struct engine_walk w = {0};
    for (struct message_body body; engine_walk(&l.t.leader, &w, &body); met++)
        seen[met] = body.lsn;
    assert_true(counted > 50);
    assert_int_equal(met, counted);
    struct engine_walk runs = {0};
    struct message_body first;
    uint32_t count;
    for (uint64_t at = 0; engine_walk_run(&l.t.leader, &runs, &first, &count); at += count)
        assert_true(at + count <= met && first.lsn.n == seen[at].n &&
                    first.lsn.n + count - 1 == seen[at + count - 1].n);
    for (uint64_t i = 0; i < met; i++)
        for (uint64_t k = 0; k < i; k++)
            assert_true(seen[i].n != seen[k].n);
    twin_close(&l.t);
}

/* Who stood in the old part of the log when the sweep began, and still does when it has ended, was met. */
TEST(image, a_sweep_meets_whoever_lives_all_the_time_however_they_move)
{
    static struct life l;
    static struct lsn before[SLOTS + CHUNKS * RUNS_LEAST], met[4 * SLOTS + 4 * CHUNKS * RUNS_LEAST];
    struct message_body body, out[4 * 16];
    for (uint64_t seed = 20; seed < 60; seed++) {
        begin(&l, seed);
        for (unsigned n = 0; n < 2000; n++)
            step(&l);
        const struct engine *e = &l.t.leader;
        uint32_t old = 0, count = 0, n;
        struct engine_walk w = {0};
        struct engine_sweep s = {.first = 1};
        while (engine_walk(e, &w, &body)) {
            before[old++] = body.lsn;
            s.last = lsn_block(body.lsn) > s.last ? lsn_block(body.lsn) : s.last;
        }
        while (engine_sweep(e, &s, 16, out, &n)) {
            for (uint32_t i = 0; i < n; i++)
                met[count++] = out[i].lsn;
            step(&l);
            step(&l);
        }
        w = (struct engine_walk){0};
        uint32_t left = 0;
        while (engine_walk(e, &w, &body)) {
            bool was = false, is = false;
            for (uint32_t i = 0; i < old; i++)
                was |= before[i].n == body.lsn.n;
            for (uint32_t i = 0; i < count; i++)
                is |= met[i].n == body.lsn.n;
            left += was;
            if (was && !is)
                fail_msg("seed %llu: block %llu was not met", (unsigned long long)seed,
                         (unsigned long long)lsn_block(body.lsn));
        }
        assert_true(left > 20);
        twin_close(&l.t);
    }
    assert_true(mark_count("sweep_of_a_chunk_goes_on") > 0);
}

TEST(image, what_is_cut_too_long_damaged_or_too_new_is_refused)
{
    static struct life l;
    static uint8_t bytes[IMAGE_MAX];
    struct engine e;
    char error[IMAGE_ERROR];
    begin(&l, 1);
    for (unsigned n = 0; n < 500; n++)
        step(&l);
    uint32_t size = whole_image(&l.t.leader, bytes);
    for (uint32_t cut = 0; cut < size; cut += 1 + cut / 50) {
        assert_int_equal(load(&e, bytes, cut, 997, error), LEAT_CORRUPT);
        engine_close(&e);
    }
    assert_int_equal(load(&e, bytes, size + 8, 997, error), LEAT_CORRUPT);
    assert_string_equal(error, "the checkpoint goes on behind its end");
    engine_close(&e);
    for (uint32_t at = 0; at < size; at += 1 + at / 30) {
        bytes[at] ^= 0x10;
        assert_int_not_equal(load(&e, bytes, size, 65536, error), LEAT_OK);
        engine_close(&e);
        bytes[at] ^= 0x10;
    }
    bytes[8]++;
    assert_int_equal(load(&e, bytes, size, 65536, error), LEAT_TOO_NEW);
    assert_string_equal(error, "the checkpoint has format 3, this version reads 2");
    engine_close(&e);
    twin_close(&l.t);
}

TEST(image, one_that_needs_more_room_than_there_is_names_the_limit)
{
    static struct life l;
    static uint8_t bytes[IMAGE_MAX];
    struct engine e;
    char error[IMAGE_ERROR];
    begin(&l, 1);
    for (unsigned n = 0; n < 500; n++)
        step(&l);
    uint32_t size = whole_image(&l.t.leader, bytes);
    struct engine_capacity small = {QUEUES, l.t.leader.slots.used - 1, CHUNKS};
    struct image_load load_small;
    assert_int_equal(engine_open(&e, &small, INSTANT_ZERO), LEAT_OK);
    image_load_begin(&load_small, &e, NULL, 0);
    assert_int_equal(image_load(&load_small, bytes, size, error), LEAT_BAD_VALUE);
    assert_int_equal(image_load_end(&load_small, error), LEAT_BAD_VALUE);
    assert_non_null(strstr(error, "leases_max"));
    engine_close(&e);
    twin_close(&l.t);
}

/* Images with good checksums whose contents no facts could have made. */
TEST(image, one_that_contradicts_itself_is_refused_and_never_followed)
{
    static struct life l;
    static uint8_t bytes[IMAGE_MAX];
    char error[IMAGE_ERROR];
    begin(&l, 2);
    for (unsigned n = 0; n < 4000; n++)
        step(&l);
    struct engine *e = &l.t.leader;
    unsigned refused = 0;
    for (unsigned n = 0; n < 4000; n++) {
        struct slab *slabs[] = {&e->queues, &e->slots, &e->chunks};
        struct slab *s = slabs[prng_below(&l.prng, 3)];
        uint8_t *item = slab_write(s, (uint32_t)prng_below(&l.prng, s->used));
        uint32_t *word = (uint32_t *)(void *)(item + 4 * prng_below(&l.prng, s->item_bytes < 64 ? 4 : 16)), was = *word;
        *word = prng_chance(&l.prng, 50) ? (uint32_t)prng_below(&l.prng, s->used) : (uint32_t)prng_next(&l.prng);
        uint32_t size = whole_image(e, bytes);
        struct engine third;
        enum leat_status status = load(&third, bytes, size, 65536, error);
        assert_true(status == LEAT_OK || status == LEAT_CORRUPT);
        refused += status == LEAT_CORRUPT;
        if (status == LEAT_OK) /* an instant or a counter may be any number; whatever was loaded can be walked */
            for (uint32_t q = 0; q < third.queues.used; q++)
                engine_recount(&third, q);
        engine_close(&third);
        *word = was;
    }
    assert_true(refused > 500);
    twin_close(&l.t);
}

static void assert_refused_after(struct life *l, void *at, uint64_t value, uint32_t size, const char *why)
{
    static uint8_t bytes[IMAGE_MAX];
    char error[IMAGE_ERROR] = "";
    uint64_t was = 0;
    struct engine e;
    memcpy(&was, at, size);
    memcpy(at, &value, size);
    uint32_t whole = whole_image(&l->t.leader, bytes);
    assert_int_equal(load(&e, bytes, whole, 65536, error), LEAT_CORRUPT);
    if (!strstr(error, why))
        fail_msg("%s instead of: %s", error, why);
    engine_close(&e);
    memcpy(at, &was, size);
}

/* Each found by the fuzzer: loaded, and a broken promise or an endless walk later. */
TEST(image, one_whose_counters_links_or_free_lists_lie_is_refused)
{
    static struct life l;
    begin(&l, 4);
    for (unsigned n = 0; n < 4000; n++)
        step(&l);
    struct engine *e = &l.t.leader;
    struct queue *q = slab_write(&e->queues, l.queues[0].number), *dead = slab_write(&e->queues, l.dead.number);
    assert_true(q->leased.head != SLAB_NONE && q->delayed.head != SLAB_NONE && q->ready.head != SLAB_NONE);
    struct message *delayed = slab_write(&e->slots, q->delayed.head);
    assert_refused_after(&l, &q->counters.bytes, q->counters.bytes + 8, 8, "as many ready messages or bytes");
    assert_refused_after(&l, &dead->sources, dead->sources + 1, 4, "counts other queues");
    assert_refused_after(&l, &delayed->lsn, UINT64_MAX, 8, "no place that exists");
    assert_refused_after(&l, &dead->ready.head, q->ready.head, 4, "chunks of ready messages");
    assert_true(e->slots.free != SLAB_NONE);
    assert_refused_after(&l, &e->slots.free, q->leased.head, 4, "free items");
    twin_close(&l.t);
}

TEST(image, a_heap_that_goes_round_in_circles_is_refused_however_many_messages_it_claims)
{
    static struct life l;
    uint8_t receipts[3][RECEIPT_BYTES];
    begin(&l, 5);
    enum leat_status s;
    for (int i = 0; i < 3; i++)
        twin_put(&l.t, l.queues[0], (struct duration){0}, &s);
    for (int i = 0; i < 3; i++)
        assert_int_equal(twin_take(&l.t, l.queues[0], duration_s(1), receipts[i]), LEAT_OK);
    for (int i = 3; i-- > 0;) /* the oldest last: each is the only child of the one before */
        assert_int_equal(twin_finish(&l.t, OP_NACK, l.queues[0], receipts[i], (struct duration){0}), LEAT_OK);
    struct engine *e = &l.t.leader;
    struct queue *q = slab_write(&e->queues, l.queues[0].number);
    const struct message *root = slab_at(&e->slots, q->ready.heap);
    struct message *child = slab_write(&e->slots, root->child);
    uint64_t ready = q->counters.ready;
    q->counters.ready = UINT64_MAX / 2;
    assert_refused_after(&l, &child->next, child->child, 4, "heap of returned messages");
    q->counters.ready = ready;
    twin_close(&l.t);
}

TEST(image, sessions_stand_in_it_and_are_found_again)
{
    static struct life l;
    static uint8_t bytes[IMAGE_MAX];
    char error[IMAGE_ERROR];
    struct session_table sessions, again;
    begin(&l, 3);
    assert_int_equal(session_open_table(&sessions, 16), LEAT_OK);
    assert_int_equal(session_open_table(&again, 16), LEAT_OK);
    uint32_t first = session_open(&sessions, session_next_handle(&sessions, 1), 8, 77)->handle;
    uint32_t second = session_open(&sessions, session_next_handle(&sessions, 1), 64, 78)->handle;
    session_end(&sessions, first);
    struct image i;
    struct image_slab more = {&sessions.sessions, "sessions_max"};
    image_begin(&i, &l.t.leader, &more, 1);
    struct session *s = session_write(&sessions, second);
    session_begin(s, 1, OP_PUT); /* after the cut */
    session_note(s, 1, OP_PUT, 0, LEAT_OK, 1, lsn_make(5, 0), 5);
    uint32_t size = image_next(&i, bytes, IMAGE_MAX);
    image_end(&i);
    struct engine e;
    struct engine_capacity capacity = {QUEUES, SLOTS, CHUNKS};
    struct image_load loading;
    assert_int_equal(engine_open(&e, &capacity, INSTANT_ZERO), LEAT_OK);
    more.slab = &again.sessions;
    image_load_begin(&loading, &e, &more, 1);
    assert_int_equal(image_load(&loading, bytes, size, error), LEAT_OK);
    assert_int_equal(image_load_end(&loading, error), LEAT_OK);
    assert_true(session_sound(&again));
    assert_null(session_find(&again, first));
    assert_true(session_find(&again, second)->secret == 78);
    assert_int_equal(session_done(session_find(&again, second), 1), 0);
    assert_int_equal(session_done(session_find(&sessions, second), 1), 1);
    assert_true(session_open(&again, session_next_handle(&again, 1), 8, 1)->handle != first);
    session_write(&again, second)->window = 0;
    assert_false(session_sound(&again));
    engine_close(&e);
    session_close_table(&sessions);
    session_close_table(&again);
    twin_close(&l.t);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

TEST(image, the_cut_of_a_million_slots_copies_nothing)
{
    struct engine e;
    struct engine_capacity capacity = {QUEUES, 1000000, CHUNKS};
    assert_int_equal(engine_open(&e, &capacity, INSTANT_ZERO), LEAT_OK);
    for (uint32_t n = 0; n < capacity.slots; n++)
        memset(slab_write(&e.slots, slab_take(&e.slots)), 0, sizeof(struct message));
    uint64_t best = UINT64_MAX, aside = mark_count("slab_page_put_aside");
    for (int n = 0; n < 50; n++) {
        struct image i;
        uint64_t start = now_ns();
        image_begin(&i, &e, NULL, 0);
        uint64_t took = now_ns() - start;
        best = took < best ? took : best;
        assert_int_equal(mark_count("slab_page_put_aside"), aside);
        slab_write(&e.slots, 500000);
        slab_write(&e.slots, 500001); /* of the same page */
        assert_int_equal(mark_count("slab_page_put_aside"), ++aside);
        image_end(&i);
    }
    print_message("cut of 1e6 slots: %llu ns\n", (unsigned long long)best);
    assert_true(best < 200000); /* copying 64 MB takes ten milliseconds */
    engine_close(&e);
}

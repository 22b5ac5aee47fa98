/* fuzz_image.c - a checkpoint made by another hand: loaded in pieces, and when it is accepted, lived in.
 *
 * The custom mutator seals header and items, so that what is seen is not the checksum but sound_check(): whatever it
 * lets through must carry on like an engine that facts have made. Held against it: counters equal a recount, the image
 * of the loaded engine loads again and gives the same image, and every message can be leased and finished, every delay
 * and lease can end and every queue can be dropped without a broken promise in apply.c. */
#include <stdlib.h>
#include <string.h>

#include "apply.h"
#include "byteorder.h"
#include "crc32c.h"
#include "image.h"
#include "must.h"
#include "plan.h"
#include "prng.h"
#include "seeds.h"
#include "target.h"

enum { IMAGE_MAX = 1 << 20, HEADER_CRC = IMAGE_HEADER - 8 };

static const struct plan_limits limits = {.body_max = 1000,
                                          .lease_min = {1000000},
                                          .lease_max = {43200000000000},
                                          .delay_max = {86400000000000},
                                          .epoch = 1 << 20,
                                          .key = "fuzz"};

static bool load(struct engine *e, const uint8_t *bytes, size_t size)
{
    static const struct engine_capacity capacity = {SEEDS_QUEUES, SEEDS_SLOTS, SEEDS_CHUNKS};
    char error[IMAGE_ERROR] = "";
    struct image_load l;
    must(engine_open(e, &capacity, INSTANT_ZERO) == LEAT_OK);
    image_load_begin(&l, e, NULL, 0);
    uint32_t piece = 97 + (uint32_t)(size ? bytes[size / 2] : 0) * 16;
    for (size_t at = 0; at < size; at += piece) {
        uint32_t n = size - at < piece ? (uint32_t)(size - at) : piece;
        uint8_t *exact = target_copy(bytes + at, n);
        enum leat_status status = image_load(&l, exact, n, error);
        target_free(exact);
        if (status != LEAT_OK)
            break;
    }
    enum leat_status status = image_load_end(&l, error);
    must((status == LEAT_OK) == (error[0] == 0));
    must(memchr(error, 0, sizeof error) != NULL);
    return status == LEAT_OK;
}

static uint32_t save(struct engine *e, uint8_t *out)
{
    struct image i;
    image_begin(&i, e, NULL, 0);
    uint32_t size = image_next(&i, out, IMAGE_MAX);
    must(size == image_bytes(&i));
    image_end(&i);
    return size;
}

static void check_counters(const struct engine *e)
{
    uint64_t all = 0, walked = 0;
    for (uint32_t i = 0; i < e->queues.used; i++) {
        const struct queue *q = engine_queue_at(e, i);
        if (q->state == QUEUE_FREE)
            continue;
        struct queue_counters counted = engine_recount(e, i);
        must(counted.ready == q->counters.ready && counted.leased == q->counters.leased);
        must(counted.delayed == q->counters.delayed && counted.dead == q->counters.dead);
        all += counted.ready + counted.leased + counted.delayed + counted.dead;
        struct reply_stat stat;
        engine_stat(e, i, e->latest, &stat);
    }
    struct engine_walk w = {0};
    for (struct message_body body; engine_walk(e, &w, &body);)
        walked++;
    must(walked == all);
}

static void apply(struct engine *e, struct fact *f, struct instant now, uint64_t *block)
{
    struct apply_effect effect;
    f->at = now;
    f->lsn = lsn_make(++*block, 0);
    f->place = 80;
    apply_fact(e, f, &effect);
}

static void pass_time(struct engine *e, struct instant now, uint64_t *block)
{
    struct fact f;
    struct instant again;
    for (uint32_t slot; (slot = wheel_fire(&e->wheel, now)) != SLAB_NONE;) {
        if (plan_due(e, slot, now, &f, &again))
            apply(e, &f, now, block);
        wheel_arm(&e->wheel, slot, again);
    }
    for (uint32_t i = 0; i < e->queues.used; i++)
        while (plan_reap(e, i, &f))
            apply(e, &f, now, block);
}

/* Leases and finishes what is there, in all ways; at last time passes beyond every lease. */
static void work(struct engine *e, struct instant *now, uint64_t *block)
{
    for (uint32_t i = 0; i < e->queues.used; i++) {
        const struct queue *q = engine_queue_at(e, i);
        struct queue_ref ref = {i, q->incarnation};
        struct fact f;
        static const uint8_t finish[4] = {OP_ACK, OP_NACK, OP_EXTEND, OP_PING};
        for (unsigned n = 0; n < 12 && q->state == QUEUE_LIVE; n++) {
            if (plan_take(e, &limits, ref, duration_ms(5), *now, &f) != LEAT_OK)
                break;
            struct receipt r = {.id = {.epoch = 1, .lsn = f.leased.message},
                                .slot = f.leased.slot,
                                .generation = f.leased.generation,
                                .epoch = f.leased.epoch,
                                .incarnation = q->incarnation};
            r.hash = receipt_hash(&r, limits.key);
            uint8_t bytes[RECEIPT_BYTES];
            receipt_encode(bytes, &r);
            apply(e, &f, *now, block);
            uint8_t op = finish[n % 4];
            if (op != OP_PING && plan_finish(e, &limits, op, ref, bytes, duration_ms(3), *now, &f) == LEAT_OK)
                apply(e, &f, *now, block);
        }
    }
    *now = instant_add(*now, duration_ms(10));
    pass_time(e, *now, block);
}

static void drop_all(struct engine *e, struct instant now, uint64_t *block)
{
    for (unsigned round = 0; round < SEEDS_QUEUES; round++)
        for (uint32_t i = 0; i < e->queues.used; i++) {
            struct request r = {.op = OP_QUEUE_DROP, .name = engine_queue_at(e, i)->name};
            struct fact f;
            if (engine_queue_at(e, i)->state == QUEUE_LIVE && plan_queue_drop(e, &r, &f) == LEAT_OK)
                apply(e, &f, now, block);
        }
    pass_time(e, now, block);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t first[IMAGE_MAX], second[IMAGE_MAX];
    struct engine e, twin;
    if (load(&e, data, size)) {
        check_counters(&e);
        uint32_t bytes = save(&e, first);
        must(bytes == size);
        must(load(&twin, first, bytes));
        must(save(&twin, second) == bytes);
        must(memcmp(first, second, bytes) == 0);
        engine_close(&twin);
        struct instant now = e.latest;
        uint64_t block = 1ull << 40;
        for (unsigned n = 0; n < 3 && now.ns < UINT64_MAX / 2; n++)
            work(&e, &now, &block);
        check_counters(&e);
        drop_all(&e, now, &block);
        check_counters(&e);
    }
    engine_close(&e);
    return 0;
}

/* One link or counter of an item becomes a small number or another one's value. */
static void change_item(uint8_t *data, size_t size, unsigned seed)
{
    struct prng prng = prng_seed(seed, 0);
    uint64_t words = (size - IMAGE_HEADER - IMAGE_TRAILER) / 4;
    for (uint64_t n = 1 + prng_below(&prng, 3); n > 0 && words > 0; n--) {
        uint8_t *items = data + IMAGE_HEADER, *word = items + 4 * prng_below(&prng, words);
        uint32_t other = le32_get(items + 4 * prng_below(&prng, words));
        le32_put(word, prng_chance(&prng, 50) ? (uint32_t)prng_below(&prng, 16) - 1 : other);
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    if (seed % 2 == 0 || size < IMAGE_HEADER + IMAGE_TRAILER)
        size = LLVMFuzzerMutate(data, size, max_size);
    else
        change_item(data, size, seed);
    if (size < IMAGE_HEADER + IMAGE_TRAILER || seed % 16 == 0)
        return size;
    uint64_t items = size - IMAGE_HEADER - IMAGE_TRAILER;
    le64_put(data + 16, size);
    le32_put(data + HEADER_CRC, crc32c(0, data, HEADER_CRC));
    le32_put(data + size - IMAGE_TRAILER, crc32c(0, data + IMAGE_HEADER, items));
    return size;
}

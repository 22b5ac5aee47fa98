/* log_rig.c - see log_rig.h. */
#include "log_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "byteorder.h"
#include "must.h"

struct journal_config log_rig_config(void)
{
    return (struct journal_config){.segment_bytes = 64 * 1024,
                                   .block_bytes_max = 16 * 1024,
                                   .depth = 8,
                                   .hot_bytes = 256 * 1024,
                                   .disk_max = 16 * 64 * 1024,
                                   .ack_reserve = 1024,
                                   .entropy = 5};
}

struct log_rig *log_rig_make(const struct fake_disk_config *disk, const struct journal_config *config)
{
    struct log_rig *r = calloc(1, sizeof *r);
    must(r);
    r->config = *config;
    r->disk = fake_disk_open(disk);
    r->prng = prng_seed(disk->seed, 3);
    r->image_bytes = 100;
    return r;
}

void log_rig_free(struct log_rig *r)
{
    if (r->journal)
        journal_close(r->journal);
    fake_disk_close(r->disk);
    free(r);
}

/* -- facts -- */

uint32_t log_rig_size(uint64_t fact)
{
    return 24 + (uint32_t)(fact * 2654435761u % 97) * 8 + (fact % 16 == 0 ? 4096 : 0);
}

static void rig_fill(const struct log_rig *r, uint8_t *bytes, uint64_t fact)
{
    uint32_t size = log_rig_size(fact);
    le64_put(bytes, fact);
    le64_put(bytes + 8, size);
    le64_put(bytes + 16, r->wrote[fact]);
    for (uint32_t i = 24; i < size; i += 8)
        le64_put(bytes + i, fact * 1000003 + i);
}

bool log_rig_is(const struct log_rig *r, const uint8_t *bytes, uint64_t fact)
{
    uint32_t size = log_rig_size(fact);
    bool same = le64_get(bytes) == fact && le64_get(bytes + 8) == size && le64_get(bytes + 16) == r->wrote[fact];
    for (uint32_t i = 24; i < size && same; i += 8)
        same = le64_get(bytes + i) == fact * 1000003 + i;
    return same;
}

enum { SHORT_LIFE = 8, LONG_LIFE = 200, LONG_EVERY = 13 };

bool log_rig_lives(uint64_t fact, uint64_t newest)
{
    return fact <= newest && newest - fact < (fact % LONG_EVERY == 0 ? LONG_LIFE : SHORT_LIFE);
}

/* Mortal bodies: `fact` is applied. */
static void rig_apply(struct log_rig *r, uint64_t fact)
{
    if (!r->mortal)
        return;
    journal_pin(r->journal, lsn_block(r->lsn[fact]), log_rig_size(fact));
    r->pinned[fact] = true;
    const uint64_t ages[2] = {SHORT_LIFE, LONG_LIFE};
    for (unsigned i = 0; i < 2; i++)
        if (fact > ages[i] && r->pinned[fact - ages[i]] && !log_rig_lives(fact - ages[i], fact))
            log_rig_unpin(r, fact - ages[i]);
}

/* -- opening -- */

/* The image: newest fact, then one bit for each body that lives, then padding to image_bytes. */
static uint64_t rig_image_size(const struct log_rig *r)
{
    return 8 + RIG_FACTS_MAX / 8 + r->image_bytes;
}

static enum leat_status rig_load_image(struct log_rig *r)
{
    uint64_t room = rig_image_size(r), have = 0;
    uint8_t *image = calloc(1, room + 512);
    enum leat_status status;
    must(image);
    for (uint32_t n; (n = journal_replay_image(r->journal, image + have, 512, &status, r->error)) > 0; have += n)
        must(have + n <= room);
    r->replayed_from = le64_get(image);
    memset(r->pinned, 0, sizeof r->pinned);
    for (uint64_t i = 1; i <= r->replayed_from && status == LEAT_OK; i++)
        if (image[8 + i / 8] >> i % 8 & 1) {
            r->pinned[i] = true;
            journal_pin(r->journal, lsn_block(r->lsn[i]), log_rig_size(i));
        }
    for (uint64_t i = 8 + RIG_FACTS_MAX / 8; i < have; i++)
        must(image[i] == (uint8_t)(i * 31));
    r->replayed = r->replayed_from;
    free(image);
    return status;
}

static enum leat_status rig_load_blocks(struct log_rig *r)
{
    struct journal_block b = {0};
    enum leat_status status;
    while (journal_replay_block(r->journal, &b, &status, r->error)) {
        uint32_t place = b.payload_place;
        for (uint32_t i = 0; i < b.facts; i++) {
            uint64_t fact = ++r->replayed;
            const uint8_t *p = b.payload + (place - b.payload_place);
            if (fact > r->appended || !log_rig_is(r, p, fact)) {
                snprintf(r->error, sizeof r->error, "fact %llu came back wrong", (unsigned long long)fact);
                return LEAT_UNKNOWN_OUTCOME;
            }
            r->lsn[fact] = lsn_make(b.number, i);
            r->place[fact] = place;
            rig_apply(r, fact);
            place += log_rig_size(fact);
        }
        must(place == b.payload_place + b.payload_size);
    }
    return status;
}

enum leat_status log_rig_open(struct log_rig *r)
{
    must(!r->journal);
    enum leat_status status = journal_open(&r->journal, r->disk, &r->config, r->error);
    if (status != LEAT_OK) {
        r->journal = NULL;
        return status;
    }
    status = rig_load_image(r);
    if (status == LEAT_OK)
        status = rig_load_blocks(r);
    if (status == LEAT_OK && r->replayed < r->durable) {
        snprintf(r->error, sizeof r->error, "fact %llu was durable, only %llu came back",
                 (unsigned long long)r->durable, (unsigned long long)r->replayed);
        status = LEAT_UNKNOWN_OUTCOME;
    }
    if (status == LEAT_OK) { /* what one recovery has found, no more and no less, the next one finds (S3) */
        r->appended = r->durable = r->replayed;
        status = journal_start(r->journal, r->error);
    }
    if (status == LEAT_OK && journal_epoch(r->journal) <= r->epoch) {
        snprintf(r->error, sizeof r->error, "epoch %u comes twice", r->epoch);
        status = LEAT_UNKNOWN_OUTCOME;
    }
    if (status != LEAT_OK)
        return status;
    r->epoch = journal_epoch(r->journal);
    return LEAT_OK;
}

bool log_rig_opens(struct log_rig *r, uint64_t facts)
{
    if (log_rig_open(r) != LEAT_OK)
        return false;
    if (r->replayed != facts)
        snprintf(r->error, sizeof r->error, "%llu facts, not %llu", (unsigned long long)r->replayed,
                 (unsigned long long)facts);
    return r->replayed == facts;
}

void log_rig_end(struct log_rig *r, bool power_cut)
{
    if (r->journal)
        journal_close(r->journal);
    r->journal = NULL;
    if (power_cut)
        fake_disk_crash(r->disk);
    else
        fake_disk_kill(r->disk);
}

/* -- running -- */

bool log_rig_append(struct log_rig *r, enum journal_purpose purpose, bool waited, bool pin)
{
    uint64_t fact = r->appended + 1;
    uint32_t size = log_rig_size(fact), place;
    struct lsn lsn;
    must(fact < RIG_FACTS_MAX);
    uint8_t *p = journal_reserve(r->journal, purpose, size, 0, &lsn, &place);
    if (!p)
        return false;
    r->wrote[fact] = r->epoch;
    rig_fill(r, p, fact);
    r->lsn[fact] = lsn;
    r->place[fact] = place;
    journal_commit(r->journal, size, waited, (struct instant){r->now});
    r->appended = fact;
    r->pinned[fact] = pin;
    if (pin)
        journal_pin(r->journal, lsn_block(lsn), size);
    rig_apply(r, fact);
    return true;
}

void log_rig_unpin(struct log_rig *r, uint64_t fact)
{
    must(r->pinned[fact]);
    r->pinned[fact] = false;
    journal_unpin(r->journal, lsn_block(r->lsn[fact]), log_rig_size(fact));
}

static void rig_note_durable(struct log_rig *r)
{
    uint64_t block = journal_durable(r->journal);
    while (r->durable < r->appended && lsn_block(r->lsn[r->durable + 1]) <= block)
        r->durable++;
}

/* Everything that lives in the interval, as of now. */
static void rig_list(struct log_rig *r, uint64_t first, uint64_t last)
{
    uint32_t n = 0;
    for (uint64_t i = 1; i <= r->appended; i++)
        if (r->pinned[i] && lsn_block(r->lsn[i]) >= first && lsn_block(r->lsn[i]) <= last)
            r->survivors[n++] = (struct journal_survivor){r->lsn[i], r->place[i] / 8, log_rig_size(i) / 8};
    journal_clean_list(r->journal, r->survivors, n);
}

static uint64_t rig_fact_at(const struct log_rig *r, struct lsn lsn)
{
    for (uint64_t i = 1; i <= r->appended; i++)
        if (r->lsn[i].n == lsn.n)
            return i;
    must(false);
    return 0;
}

static unsigned rig_clean(struct log_rig *r)
{
    uint64_t first, last;
    struct journal_survivor fact;
    const uint8_t *bytes;
    unsigned n = 0;
    if (journal_clean_begin(r->journal, RIG_FACTS_MAX, &first, &last)) {
        rig_list(r, first, last);
        n++;
    }
    while ((bytes = journal_clean_next(r->journal, &fact)) != NULL) {
        uint64_t i = rig_fact_at(r, fact.lsn);
        if (r->wrong == RIG_FIRST_ASKED)
            r->wrong = i;
        journal_clean_judge(r->journal, log_rig_is(r, bytes, i) && i != r->wrong);
        n++;
    }
    return n;
}

unsigned log_rig_step(struct log_rig *r, struct duration d)
{
    r->now += d.ns;
    fake_disk_step(r->disk, (struct instant){r->now});
    unsigned n = journal_step(r->journal, (struct instant){r->now});
    if (r->cleans && journal_error(r->journal) == LEAT_OK)
        n += rig_clean(r);
    rig_note_durable(r);
    return n;
}

/* Time goes to the next thing that can happen; false: nothing ever will. */
static bool rig_pass(struct log_rig *r)
{
    struct instant next = instant_min(fake_disk_next_due(r->disk), journal_next_due(r->journal));
    if (next.ns == UINT64_MAX)
        return false;
    log_rig_step(r, (struct duration){next.ns > r->now ? next.ns - r->now : 0});
    return true;
}

bool log_rig_settle(struct log_rig *r)
{
    log_rig_step(r, (struct duration){0});
    for (unsigned i = 0; journal_durable(r->journal) < journal_appended(r->journal) || r->durable < r->appended; i++)
        if (journal_error(r->journal) != LEAT_OK || i > 100000 || !rig_pass(r))
            return false;
    return true;
}

static bool rig_check_body(struct log_rig *r, uint64_t fact, uint8_t *data)
{
    const uint8_t *hot = journal_hot(r->journal, r->lsn[fact], r->place[fact], log_rig_size(fact));
    if (hot)
        return log_rig_is(r, hot, fact);
    uint32_t skip;
    uint64_t tag;
    enum leat_status status;
    if (!journal_fetch(r->journal, r->lsn[fact], r->place[fact], log_rig_size(fact), data, &skip, fact))
        return false;
    while (!journal_fetched(r->journal, &tag, &status))
        if (log_rig_step(r, (struct duration){0}) == 0 && !rig_pass(r))
            return false;
    return tag == fact && status == LEAT_OK && log_rig_is(r, data + skip, fact);
}

bool log_rig_check_bodies(struct log_rig *r)
{
    uint8_t *data = aligned_alloc(DISK_BLOCK, 4 * DISK_BLOCK);
    bool all = true;
    must(data);
    for (uint64_t i = 1; i <= r->appended && all; i++)
        if (r->pinned[i] && !rig_check_body(r, i, data)) {
            snprintf(r->error, sizeof r->error, "body %llu of %llu cannot be read", (unsigned long long)i,
                     (unsigned long long)r->appended);
            all = false;
        }
    free(data);
    return all;
}

/* -- checkpoints -- */

bool log_rig_begin(struct log_rig *r)
{
    if (!journal_checkpoint_begin(r->journal, rig_image_size(r)))
        return false;
    r->cut = r->appended;
    return true;
}

bool log_rig_feed(struct log_rig *r)
{
    uint64_t size = rig_image_size(r);
    uint8_t *image = calloc(1, size);
    must(image);
    le64_put(image, r->cut);
    for (uint64_t i = 1; i <= r->cut; i++)
        image[8 + i / 8] |= (uint8_t)(r->pinned[i] << i % 8);
    for (uint64_t i = 8 + RIG_FACTS_MAX / 8; i < size; i++)
        image[i] = (uint8_t)(i * 31);
    bool going = true;
    for (uint64_t at = 0; at < size && going;) {
        uint32_t n = size - at < 5000 ? (uint32_t)(size - at) : 5000;
        if (journal_checkpoint_write(r->journal, image + at, n))
            at += n;
        else
            going = log_rig_step(r, (struct duration){0}) > 0 || rig_pass(r);
        going = going && journal_error(r->journal) == LEAT_OK;
    }
    if (going)
        journal_checkpoint_end(r->journal);
    free(image);
    return going;
}

bool log_rig_checkpoint(struct log_rig *r)
{
    uint64_t before = journal_counters(r->journal).checkpoints;
    for (unsigned i = 0; !log_rig_begin(r); i++)
        if (i > 100 || (log_rig_step(r, (struct duration){0}) == 0 && !rig_pass(r)))
            return false;
    if (!log_rig_feed(r))
        return false;
    while (journal_checkpoint_running(r->journal))
        if (journal_error(r->journal) != LEAT_OK || (log_rig_step(r, (struct duration){0}) == 0 && !rig_pass(r)))
            return false;
    return journal_counters(r->journal).checkpoints == before + 1;
}

/* salvage_base.c - where the state begins.
 *
 * In this order: the checkpoint that the manifest names, if it is whole; the other area's, if its index matches the
 * segments that there are (no segment died between the two); block 1, if the log still begins there; nothing, and then
 * every whole put is behind the hole.
 *
 * Without a whole manifest one is made from what segments and checkpoints say of themselves: a segment's life and first
 * block stand in its first block, a checkpoint's position in its chunks. The receipts' key and the capacities stood in
 * the manifest alone. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "byteorder.h"
#include "chunk.h"
#include "crc32c.h"
#include "fits.h"
#include "hash.h"
#include "keep.h"
#include "mark.h"
#include "must.h"
#include "salvage_state.h"

/* -- a manifest made anew -- */

/* Its directory is written first: one that was given up lists survivors that have not come. */
static bool base_keep_whole(struct source *source, const struct salvage_found *f)
{
    char why[SOURCE_ERROR];
    struct scan_segment keep = {.number = f->segment.file,
                                .incarnation = f->segment.incarnation,
                                .listed_first = f->segment.first,
                                .keep = true};
    struct scan alone = {.source = source, .segments = &keep, .segments_count = 1};
    bool read = scan_keep(&alone, 0, NULL, NULL, why) == LEAT_OK;
    free(alone.kept);
    return read && keep.kept > 0 && keep.kept_bad == 0 && !keep.kept_broken;
}

/* What the first page of a segment says, if it is the head of a block or of a keep segment's directory. */
static bool base_head(struct source *source, const char *name, struct salvage_found *f, uint64_t *cluster,
                      uint32_t *epoch, char error[SOURCE_ERROR])
{
    uint64_t available;
    if (source_file(source, name, error) != LEAT_OK || source->size < DISK_BLOCK)
        return false;
    const uint8_t *p = source_at(source, 0, DISK_BLOCK, &available);
    struct keep_page keep = {.cluster = le64_get(p + 16), .first = le64_get(p + 24), .incarnation = le32_get(p + 12)};
    *cluster = keep.cluster;
    *epoch = 0;
    *f = (struct salvage_found){.segment = {.file = source_segment_number(name),
                                            .incarnation = keep.incarnation,
                                            .first = keep.first & INT64_MAX}};
    if (keep_open(&keep, p)) {
        f->segment.keep = true;
        f->last = keep.last;
        return f->segment.first > 0;
    }
    if (memcmp(p, "leat blk", 8) != 0 || le32_get(p + 76) != crc32c(0, p, 76) || le32_get(p + 8) != RECORD_FORMAT)
        return false;
    *epoch = le32_get(p + 48);
    return f->segment.first > 0;
}

static int base_segment_order(const void *a, const void *b)
{
    const struct manifest_segment *x = a, *y = b;
    return x->first < y->first ? -1 : x->first > y->first;
}

static void base_take(struct salvage *s, struct manifest_segment segment)
{
    struct manifest *m = &s->source.m;
    if (m->segments < MANIFEST_SEGMENTS_MAX)
        m->segment[m->segments++] = segment;
}

/* Log segments that begin behind a block, by their own word; then the list in order. */
static void base_take_later(struct salvage *s, uint64_t block)
{
    struct manifest *m = &s->source.m;
    for (uint32_t i = 0; i < s->found_count; i++)
        if (!s->found[i].segment.keep && s->found[i].segment.first > block)
            base_take(s, s->found[i].segment);
    qsort(m->segment, m->segments, sizeof m->segment[0], base_segment_order);
}

/* Segments that hold blocks or survivors of one directory, by their first block. */
static void base_segments(struct salvage *s, char error[SOURCE_ERROR])
{
    struct manifest *m = &s->source.m;
    char name[DISK_NAME_MAX];
    memset(m, 0, sizeof *m);
    m->segment_bytes = DISK_BLOCK;
    m->copied = 1; /* it may have been a backup: ids leap (recover.c) */
    s->found = calloc(MANIFEST_SEGMENTS_MAX, sizeof *s->found);
    s->no_memory |= !s->found;
    for (unsigned i = 0; s->found && disk_list(s->disk, i, name); i++) {
        struct salvage_found f;
        uint64_t cluster;
        uint32_t epoch;
        if (source_segment_number(name) == 0)
            continue;
        bool head = base_head(&s->source, name, &f, &cluster, &epoch, error);
        if (s->source.size > m->segment_bytes && s->source.size <= 1ull << 28)
            m->segment_bytes = s->source.size;
        if (!head || s->found_count == MANIFEST_SEGMENTS_MAX || (m->cluster != 0 && cluster != m->cluster))
            continue;
        m->cluster = cluster;
        m->epoch = epoch > m->epoch ? epoch : m->epoch;
        s->found[s->found_count++] = f;
    }
    source_leave(&s->source);
    for (uint32_t i = 0; i < s->found_count; i++)
        s->found[i].whole = s->found[i].segment.keep && base_keep_whole(&s->source, &s->found[i]);
    m->tail_hash = hash_bytes(&m->cluster, sizeof m->cluster) | 1;
    base_take_later(s, 0);
}

/* -- checkpoints by their own word -- */

/* Follows the chunks of an area: how far they go, and the hash of the last. */
static bool base_chunks(struct source *source, uint32_t area, struct manifest *m, char error[SOURCE_ERROR])
{
    char name[DISK_NAME_MAX];
    uint64_t available, offset = 0, hash = 0;
    snprintf(name, sizeof name, "checkpoint-%u", area);
    if (source_file(source, name, error) != LEAT_OK || source->size < DISK_BLOCK)
        return false;
    const uint8_t *p = source_at(source, 0, DISK_BLOCK, &available);
    uint64_t position = le64_get(p + 24);
    for (uint32_t number = 0; offset < source->size; number++) {
        p = source_at(source, offset, CHUNK_BYTES, &available);
        struct chunk_header h = {.cluster = m->cluster, .position = position, .number = number, .previous = hash};
        if (!chunk_open(&h, p, available))
            break;
        hash = chunk_hash(p);
        offset += chunk_disk_size(h.payload_size);
        m->epoch = h.epoch > m->epoch ? h.epoch : m->epoch;
    }
    source_leave(source);
    if (offset == 0 || position == 0)
        return false;
    m->checkpoint_area = area;
    m->checkpoint_block = position;
    m->checkpoint_bytes = offset;
    m->checkpoint_hash = hash;
    return true;
}

/* Its image is whole; the index says the hash of its block, which a manifest would know. */
static bool base_load(struct salvage *s, uint32_t area, char error[SOURCE_ERROR])
{
    struct manifest *m = &s->source.m;
    point_close(&s->point);
    if (!base_chunks(&s->source, area, m, error))
        return false;
    enum leat_status status = point_read(&s->point, &s->source, &s->o->engine, s->o->sessions, error);
    if (status == LEAT_CORRUPT && s->point.position_hash != 0 && s->point.position_hash != m->tail_hash) {
        m->tail_hash = s->point.position_hash;
        point_close(&s->point);
        status = point_read(&s->point, &s->source, &s->o->engine, s->o->sessions, error);
    }
    return status == LEAT_OK;
}

static enum leat_status base_scan(struct salvage *s, char error[SOURCE_ERROR])
{
    enum leat_status status = scan_open(&s->scan, &s->source, error);
    for (uint32_t i = 0; i < s->scan.segments_count && status == LEAT_OK; i++)
        status = scan_read(&s->scan, i, NULL, NULL, error);
    return status;
}

static const struct salvage_found *base_found(const struct salvage *s, uint32_t number)
{
    for (uint32_t i = 0; i < s->found_count; i++)
        if (s->found[i].segment.file == number)
            return &s->found[i];
    return NULL;
}

static bool base_stands(const struct salvage *s, const struct point_segment *p)
{
    const struct salvage_found *f = base_found(s, p->number);
    return f && !f->segment.keep && f->segment.incarnation == p->incarnation && f->segment.first == p->first;
}

/* The wider one is the newer one, but it may have been given up. */
static bool base_better(const struct salvage_found *a, const struct salvage_found *b)
{
    return a->whole != b->whole ? a->whole : a->last - a->segment.first > b->last - b->segment.first;
}

/* The best keep segment that stands for a block. */
static const struct salvage_found *base_keep_over(const struct salvage *s, uint64_t block)
{
    const struct salvage_found *best = NULL;
    for (uint32_t i = 0; i < s->found_count; i++) {
        const struct salvage_found *f = &s->found[i];
        bool over = f->segment.keep && f->segment.first <= block && block <= f->last;
        if (over && (!best || base_better(f, best)))
            best = f;
    }
    return best;
}

/* All that it was made from still stands, every block of it: spares that nobody has written to yet, or it was never
 * true. */
static bool base_keep_is_spare(const struct salvage *s, const struct salvage_found *keep)
{
    struct point_segment p;
    uint64_t at = 0, next = keep->segment.first;
    while (point_index_next(&s->point, &at, &p))
        if (p.first == next && next <= keep->last && base_stands(s, &p))
            next = p.first + p.blocks;
    return next == keep->last + 1;
}

/* A segment of the index is where the index says, unless its file says otherwise, or survivors are kept in its place:
 * then the cleaner has had it. */
static bool base_intact(const struct salvage *s, const struct point_segment *p)
{
    const struct salvage_found *keep = base_keep_over(s, p->first);
    if (keep && keep->whole && !base_keep_is_spare(s, keep))
        return false;
    return base_stands(s, p) || !base_found(s, p->number); /* no head at all: damaged */
}

/* Keep segments, the better first, that stand for nothing that is on the list yet. */
static void base_take_keeps(struct salvage *s)
{
    struct manifest *m = &s->source.m;
    for (;;) {
        struct salvage_found *best = NULL;
        for (uint32_t i = 0; i < s->found_count; i++) {
            struct salvage_found *f = &s->found[i];
            bool aside = f->last < s->point.block || f->segment.first > s->point.block;
            bool free = f->segment.keep && !f->taken && aside;
            for (uint32_t k = 0; free && k < m->segments; k++)
                free = m->segment[k].first < f->segment.first || m->segment[k].first > f->last;
            if (free && (!best || base_better(f, best)))
                best = f;
        }
        if (!best)
            return;
        best->taken = true;
        for (uint32_t i = 0; i < s->found_count; i++) /* whatever it overlaps with is older */
            if (s->found[i].segment.keep && s->found[i].segment.first <= best->last &&
                s->found[i].last >= best->segment.first)
                s->found[i].taken = true;
        base_take(s, best->segment);
    }
}

/* The segments are read again, with another base in mind. A list made anew follows the index as far as that goes; only
 * segments behind its position are believed by their own word, since spares still hold blocks of an earlier life. */
static enum leat_status base_list(struct salvage *s, char error[SOURCE_ERROR])
{
    struct manifest *m = &s->source.m;
    struct point_segment p;
    uint64_t at = 0;
    if (s->manifest_made) {
        m->segments = 0;
        for (uint32_t i = 0; i < s->found_count; i++)
            s->found[i].taken = false;
        while (point_index_next(&s->point, &at, &p))
            if (base_intact(s, &p))
                base_take(s,
                          (struct manifest_segment){.file = p.number, .incarnation = p.incarnation, .first = p.first});
        base_take_keeps(s);
        base_take_later(s, s->point.block);
    }
    scan_close(&s->scan);
    return base_scan(s, error);
}

/* -- judging a base -- */

static void base_judge(struct salvage *s)
{
    judge_close(&s->judge);
    judge_log(&s->judge, &s->scan, &s->point);
}

static bool base_matches(const struct salvage *s)
{
    for (uint32_t i = 0; i < s->judge.count; i++)
        if (s->judge.gaps[i].what == JUDGE_LIST)
            return false;
    return true;
}

/* Either area, the newer one first: only if it is whole and nothing that it needs is gone. */
static bool base_other(struct salvage *s, char error[SOURCE_ERROR])
{
    struct manifest *m = &s->source.m;
    uint64_t position[2] = {0, 0};
    for (uint32_t area = 0; area < 2; area++)
        position[area] = base_chunks(&s->source, area, m, error) ? m->checkpoint_block : 0;
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t newer = position[1] > position[0], area = i == 0 ? newer : 1 - newer;
        if (!base_load(s, area, error) || base_list(s, error) != LEAT_OK)
            continue;
        base_judge(s);
        if (!base_matches(s))
            continue;
        snprintf(s->base, sizeof s->base, "checkpoint-%u, up to block %" PRIu64, area, m->checkpoint_block);
        mark(salvage_other_checkpoint);
        return true;
    }
    return false;
}

/* From block 1, or from nothing at all. */
static enum leat_status base_nothing(struct salvage *s, char error[SOURCE_ERROR])
{
    struct manifest *m = &s->source.m;
    point_close(&s->point);
    m->checkpoint_block = m->checkpoint_bytes = m->checkpoint_hash = 0;
    m->checkpoint_area = 0;
    m->tail_hash = hash_bytes(&m->cluster, sizeof m->cluster) | 1;
    enum leat_status status = point_read(&s->point, &s->source, &s->o->engine, s->o->sessions, error);
    if (status == LEAT_OK)
        status = base_list(s, error);
    if (status != LEAT_OK)
        return status;
    base_judge(s);
    if (m->segments > 0 && m->segment[0].first == 1 && !m->segment[0].keep) {
        snprintf(s->base, sizeof s->base, "the first block of the log");
        return LEAT_OK;
    }
    s->judge.rotten = true;
    s->judge.next = 1;
    s->judge.previous = m->tail_hash;
    s->judge.segment = 0;
    s->judge.offset = 0;
    snprintf(s->base, sizeof s->base, "nothing: what is left of the log begins behind its first block");
    mark(salvage_from_nothing);
    return LEAT_OK;
}

enum leat_status salvage_base_find(struct salvage *s, char error[SOURCE_ERROR])
{
    struct source *source = &s->source;
    char why[SOURCE_ERROR] = "";
    s->area_named = source->m.checkpoint_area;
    if (source->manifest == LEAT_TOO_NEW)
        return source_say(LEAT_TOO_NEW, error, "the manifest was written by a newer version of Leat");
    if (source->unfinished)
        return source_say(LEAT_CORRUPT, error, MANIFEST_UNFINISHED);
    if (source->manifest != LEAT_OK) {
        base_segments(s, error);
        if (source->m.segments == 0)
            return source_say(LEAT_CORRUPT, error, "neither the manifest nor any segment can be read");
        source->manifest = LEAT_OK;
        s->manifest_made = s->base_changed = true;
        mark(salvage_manifest_made);
    }
    enum leat_status status = base_scan(s, error);
    if (status != LEAT_OK)
        return status;
    if (!s->manifest_made) {
        status = point_read(&s->point, source, &s->o->engine, s->o->sessions, why);
        if (status == LEAT_BAD_VALUE || status == LEAT_NO_MEMORY || status == LEAT_DISK_ERROR || status == LEAT_TOO_NEW)
            return source_say(status, error, "%s", why);
        if (status == LEAT_OK) {
            base_judge(s);
            snprintf(s->base, sizeof s->base, "the checkpoint, up to block %" PRIu64, source->m.checkpoint_block);
            if (base_matches(s))
                return LEAT_OK;
        }
    }
    s->base_changed = true;
    return base_other(s, why) ? LEAT_OK : base_nothing(s, error);
}

/* -- the prefix -- */

static void base_fact(struct salvage *s, const struct fact *f)
{
    struct apply_effect effect;
    struct session_table *t = &s->point.sessions;
    s->now = instant_max(s->now, f->at);
    if (f->kind == FACT_EPOCH) {
        s->clock = *f;
        s->known_clock = true;
    }
    if (f->kind == FACT_SESSION_OPENED)
        session_open(t, f->client.handle, f->client.window, f->client.secret);
    else if (f->kind == FACT_SESSION_ENDED)
        session_end(t, f->client.handle);
    else if (f->kind != FACT_REFUSED)
        apply_fact(s->engine, f, &effect);
}

struct base_replay {
    struct salvage *s;
    char *error;
    enum leat_status status;
};

static void base_block(void *context, const struct scan_block *b)
{
    struct base_replay *r = context;
    struct salvage *s = r->s;
    uint32_t at = 0;
    if (b->r.number <= s->point.block || b->r.number >= s->judge.next || r->status != LEAT_OK)
        return;
    s->count.prefix_blocks++;
    for (uint32_t i = 0; i < b->r.facts; i++) {
        struct fact f;
        r->status = fact_decode(&f, b->payload + at, b->r.payload_size - at, lsn_make(b->r.number, i), false);
        if (r->status != LEAT_OK) {
            source_say(r->status, r->error, "fact %u of block %" PRIu64 " is not one: no disk does that", i,
                       b->r.number);
            return;
        }
        f.place = RECORD_HEADER + at;
        if (!fits_fact(s->engine, &s->point.sessions, &f)) {
            r->status = source_say(LEAT_CORRUPT, r->error,
                                   "fact %u of block %" PRIu64 " contradicts those before it: no disk does that", i,
                                   b->r.number);
            return;
        }
        base_fact(s, &f);
        at += fact_size(&f);
    }
}

enum leat_status salvage_base_replay(struct salvage *s, char error[SOURCE_ERROR])
{
    struct base_replay r = {.s = s, .error = error};
    s->engine = &s->point.engine;
    s->now = s->engine->latest;
    for (uint32_t i = 0; i < s->scan.runs_count && r.status == LEAT_OK; i++) {
        const struct scan_run *run = &s->scan.runs[i];
        if (!run->taken || scan_last(run) <= s->point.block || run->first >= s->judge.next)
            continue;
        enum leat_status status = scan_again(&s->scan, run->segment, run->from, run->end, base_block, &r, error);
        r.status = r.status == LEAT_OK ? status : r.status;
    }
    return r.status;
}

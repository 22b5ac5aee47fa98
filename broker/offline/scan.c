/* scan.c - page by page where nothing whole stands, block by block where it does. */
#include "scan.h"

#include <stdlib.h>
#include <string.h>

#include "byteorder.h"
#include "fact.h"
#include "keep.h"
#include "must.h"

enum leat_status scan_open(struct scan *s, struct source *source, char error[SOURCE_ERROR])
{
    *s = (struct scan){.source = source};
    uint32_t n = source->manifest == LEAT_OK ? source->m.segments : 0;
    s->segments = calloc(n + 1u, sizeof *s->segments);
    if (!s->segments)
        return source_say(LEAT_NO_MEMORY, error, "no memory for the list of segments");
    for (uint32_t i = 0; i < n; i++) {
        const struct manifest_segment *m = &source->m.segment[i];
        s->segments[i] = (struct scan_segment){
            .number = m->file, .incarnation = m->incarnation, .listed_first = m->first, .size = -1, .keep = m->keep};
        s->segments[i].kept_last = i + 1 < n && m[1].first > m->first ? m[1].first - 1 : m->first;
    }
    s->segments_count = n;
    return LEAT_OK;
}

void scan_close(struct scan *s)
{
    free(s->segments);
    free(s->runs);
    free(s->kept);
    *s = (struct scan){0};
}

/* The whole block at `offset`, whatever its number; RECORD_OK and *b set, or what stands there instead. */
static enum record_verdict scan_look(struct source *s, const struct scan_segment *segment, uint64_t offset,
                                     struct scan_block *b)
{
    uint64_t available, need = DISK_BLOCK;
    for (;;) {
        const uint8_t *bytes = source_at(s, offset, need, &available);
        if (available < DISK_BLOCK)
            return RECORD_BROKEN;
        struct record expected = {
            .cluster = s->m.cluster, .incarnation = segment->incarnation, .number = le64_get(bytes + 24)};
        enum record_verdict verdict = record_open(&b->r, bytes, available, &expected);
        if (verdict == RECORD_OK && b->r.durable >= b->r.number)
            return RECORD_BROKEN; /* no broker writes that: it would prove blocks that came later */
        b->kept = false;
        b->index = 0;
        b->segment = segment;
        b->offset = offset;
        b->bytes = bytes;
        b->payload = bytes + RECORD_HEADER;
        if (verdict != RECORD_CUT) {
            b->size = verdict == RECORD_OK ? record_disk_size(b->r.payload_size) : DISK_BLOCK;
            return verdict;
        }
        need = record_disk_size(b->r.payload_size);
        if (need > s->size - offset)
            return RECORD_BROKEN;
    }
}

static struct scan_run *scan_new_run(struct scan *s)
{
    if (s->runs_count == s->runs_room) {
        uint32_t room = s->runs_room ? s->runs_room * 2 : 64;
        struct scan_run *more = room <= SCAN_RUNS * 2 ? realloc(s->runs, room * sizeof *more) : NULL;
        if (!more) {
            s->too_many = true;
            return NULL;
        }
        s->runs = more;
        s->runs_room = room;
    }
    return &s->runs[s->runs_count++];
}

/* Joins the run that ends here, or begins another. */
static void scan_note(struct scan *s, uint32_t i, const struct scan_block *b)
{
    struct scan_segment *segment = &s->segments[i];
    struct scan_run *last = segment->runs > 0 ? &s->runs[s->runs_count - 1] : NULL;
    bool behind = b->r.number == s->source->m.checkpoint_block + 1; /* a start reads from here: a run of its own */
    bool joins = last && !behind && last->end == b->offset && b->r.number == last->first + last->count &&
                 b->r.previous == last->hash;
    if (!joins) {
        last = scan_new_run(s);
        if (!last)
            return;
        *last = (struct scan_run){
            .segment = i, .size = b->size, .from = b->offset, .first = b->r.number, .previous = b->r.previous};
        segment->runs++;
    }
    last->count++;
    last->end = b->offset + b->size;
    last->hash = record_hash(b->bytes);
    last->epoch = b->r.epoch;
    last->durable = b->r.durable > last->durable ? b->r.durable : last->durable;
    s->blocks++;
    s->blocks_bytes += b->size;
}

static enum leat_status scan_file(struct scan *s, uint32_t i, char error[SOURCE_ERROR])
{
    char name[DISK_NAME_MAX];
    source_segment_name(name, s->segments[i].number);
    return source_file(s->source, name, error);
}

enum leat_status scan_read(struct scan *s, uint32_t i, scan_visit *visit, void *context, char error[SOURCE_ERROR])
{
    must(i < s->segments_count);
    struct scan_segment *segment = &s->segments[i];
    struct source *source = s->source;
    segment->runs_from = s->runs_count;
    if (segment->keep)
        return scan_keep(s, i, visit, context, error);
    enum leat_status status = scan_file(s, i, error);
    if (status != LEAT_OK)
        return status == LEAT_CORRUPT ? LEAT_OK : status;
    segment->size = disk_size(source->disk, (uint32_t)source->file);
    if (source->size > source->m.segment_bytes)
        source->size = source->m.segment_bytes; /* what stands behind is never looked at */
    for (uint64_t offset = 0; offset < source->size && status == LEAT_OK;) {
        struct scan_block b = {0};
        enum record_verdict verdict = scan_look(source, segment, offset, &b);
        if (offset == 0)
            segment->newer =
                verdict == RECORD_FOREIGN && b.r.cluster == source->m.cluster && b.r.incarnation > segment->incarnation;
        if (verdict == RECORD_TOO_NEW)
            status = source_say(LEAT_TOO_NEW, error, "log-%08u, byte %llu: a block of a newer version of Leat",
                                segment->number, (unsigned long long)offset);
        if (verdict == RECORD_OK) {
            scan_note(s, i, &b);
            if (visit)
                visit(context, &b);
        }
        offset += verdict == RECORD_OK ? b.size : DISK_BLOCK;
    }
    segment->bad_from = source->bad_from;
    segment->bad_end = source->bad_end;
    segment->bad_last = source->bad_last;
    source_leave(source);
    return status;
}

/* -- keep segments -- */

static void scan_kept_bad(struct scan_segment *g, uint64_t from, uint64_t end)
{
    if (g->kept_bad++ == 0) {
        g->kept_from = from;
        g->kept_end = end;
    }
}

static void scan_kept_fact(struct scan *s, struct scan_segment *g, const struct keep_entry *e, scan_visit *visit,
                           void *context)
{
    uint64_t offset = e->offset8 * 8ull, size = e->size8 * 8ull, page = offset / DISK_BLOCK * DISK_BLOCK, available;
    struct fact f;
    bool inside = size >= FACT_HEADER && size <= RECORD_MAX && offset >= DISK_BLOCK && offset + size <= s->source->size;
    const uint8_t *bytes =
        inside ? source_at(s->source, page, offset - page + size, &available) + (offset - page) : NULL;
    if (!bytes || lsn_block(e->lsn) < g->listed_first || lsn_block(e->lsn) > g->kept_last ||
        fact_decode(&f, bytes, (uint32_t)size, e->lsn, true) != LEAT_OK || f.kind != FACT_PUT ||
        fact_size(&f) != size) {
        scan_kept_bad(g, offset, offset + size);
        return;
    }
    g->kept++;
    if (s->kept_count == s->kept_room) {
        uint64_t room = s->kept_room ? s->kept_room * 2 : 1024;
        uint64_t *more = realloc(s->kept, room * sizeof *more);
        s->too_many |= !more;
        if (!more)
            return;
        s->kept = more;
        s->kept_room = room;
    }
    s->kept[s->kept_count++] = e->lsn.n;
    struct scan_block b = {.segment = g,
                           .offset = offset - RECORD_HEADER,
                           .size = (uint32_t)size,
                           .r = {.number = lsn_block(e->lsn), .facts = 1, .payload_size = (uint32_t)size},
                           .bytes = bytes,
                           .payload = bytes,
                           .kept = true,
                           .index = lsn_index(e->lsn)};
    if (visit)
        visit(context, &b);
}

/* The directory, all of it at once: facts are read between its pages else. Any whole page says how many there are;
 * NULL: there is none. */
static uint8_t *scan_directory(struct scan *s, struct scan_segment *g, uint32_t *pages)
{
    uint64_t available;
    uint64_t blocks = s->source->size / DISK_BLOCK;
    uint64_t most = s->source->m.segment_bytes / DISK_BLOCK * sizeof(uint16_t) / sizeof(struct lsn); /* kept.c */
    struct keep_page p = {.cluster = s->source->m.cluster, .first = g->listed_first, .incarnation = g->incarnation};
    bool found = false;
    most = blocks < most ? blocks : most;
    for (; p.number < most && !found; p.number += !found)
        found = keep_open(&p, source_at(s->source, p.number * (uint64_t)DISK_BLOCK, DISK_BLOCK, &available));
    if (!found || p.pages > most)
        return NULL;
    uint8_t *directory = malloc(p.pages * (size_t)DISK_BLOCK);
    for (uint32_t i = 0; i < p.pages && directory; i++)
        memcpy(directory + i * (size_t)DISK_BLOCK,
               source_at(s->source, i * (uint64_t)DISK_BLOCK, DISK_BLOCK, &available), DISK_BLOCK);
    *pages = p.pages;
    g->kept_last = p.last;
    return directory;
}

enum leat_status scan_keep(struct scan *s, uint32_t i, scan_visit *visit, void *context, char error[SOURCE_ERROR])
{
    struct scan_segment *g = &s->segments[i];
    uint32_t pages = 0;
    enum leat_status status = scan_file(s, i, error);
    g->kept_broken = status == LEAT_CORRUPT;
    if (status != LEAT_OK)
        return status == LEAT_CORRUPT ? LEAT_OK : status;
    g->size = disk_size(s->source->disk, (uint32_t)s->source->file);
    g->kept = g->kept_bad = 0;
    uint8_t *directory = scan_directory(s, g, &pages);
    g->kept_broken = !directory;
    if (!directory)
        scan_kept_bad(g, 0, DISK_BLOCK);
    for (uint32_t k = 0; k < pages && directory; k++) {
        const uint8_t *page = directory + k * (size_t)DISK_BLOCK;
        struct keep_page p = {.cluster = s->source->m.cluster,
                              .first = g->listed_first,
                              .last = g->kept_last,
                              .incarnation = g->incarnation,
                              .number = k,
                              .pages = pages};
        bool whole = keep_open(&p, page);
        g->kept_broken |= !whole;
        if (!whole)
            scan_kept_bad(g, k * (uint64_t)DISK_BLOCK, (k + 1) * (uint64_t)DISK_BLOCK);
        for (uint32_t n = 0; whole && n < p.entries; n++) {
            struct keep_entry e = keep_get(page, n);
            scan_kept_fact(s, g, &e, visit, context);
        }
    }
    free(directory);
    g->bad_from = s->source->bad_from;
    g->bad_end = s->source->bad_end;
    g->bad_last = s->source->bad_last;
    source_leave(s->source);
    return LEAT_OK;
}

bool scan_headless(const struct scan *s, uint32_t i)
{
    const struct scan_segment *g = &s->segments[i];
    const struct scan_run *first = g->runs > 0 ? &s->runs[g->runs_from] : NULL;
    return !g->keep && g->listed_first > 0 && (!first || first->from != 0 || first->first != g->listed_first);
}

enum leat_status scan_again(struct scan *s, uint32_t i, uint64_t from, uint64_t end, scan_visit *visit, void *context,
                            char error[SOURCE_ERROR])
{
    enum leat_status status = scan_file(s, i, error);
    for (uint64_t offset = from; offset < end && status == LEAT_OK;) {
        struct scan_block b;
        if (offset >= s->source->size || scan_look(s->source, &s->segments[i], offset, &b) != RECORD_OK) {
            status = source_say(LEAT_DISK_ERROR, error, "log-%08u changes while it is read", s->segments[i].number);
            break;
        }
        visit(context, &b);
        offset += b.size;
    }
    source_leave(s->source);
    return status;
}

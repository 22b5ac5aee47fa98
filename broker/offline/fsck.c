/* fsck.c - manifest, checkpoint, segments in the order of the log, then what else lies there. */
#include "fsck.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "byteorder.h"
#include "fact.h"
#include "judge.h"
#include "mark.h"

enum { FSCK_STRANGERS = 20, FSCK_FACTS_TOLD = 200 };

struct fsck {
    const struct fsck_options *o;
    struct source source;
    struct point point;
    struct scan scan;
    struct judge judge;
    struct report report;
    struct point_segment index; /* of the segment that is read now */
    bool indexed;
    uint64_t facts, facts_bad;
    uint64_t total; /* bytes to read */
};

static void fsck_progress(void *context, uint64_t done)
{
    struct fsck *f = context;
    if (f->o->progress)
        f->o->progress(f->o->progress_context, done, f->total);
}

/* ": a directory", for what is no file. */
static const char *fsck_kind(enum source_kind kind)
{
    static const char *const kinds[] = {"", "", ": a directory", ": a symbolic link", ": neither file nor directory"};
    return kinds[kind];
}

/* -- manifest and checkpoint -- */

static void fsck_manifest(struct fsck *f)
{
    const struct source *s = &f->source;
    if (s->unfinished) {
        report_found(&f->report, REPORT_CORRUPT, "manifest", 0, 0, "unfinished", MANIFEST_UNFINISHED);
        return;
    }
    if (s->manifest_kind > SOURCE_FILE) {
        report_found(&f->report, REPORT_CORRUPT, "manifest", 0, 0, "manifest", "it is no file%s",
                     fsck_kind(s->manifest_kind));
        return;
    }
    for (unsigned i = 0; i < 2; i++)
        if (s->copies[i] == SOURCE_DAMAGED)
            report_found(&f->report, s->manifest == LEAT_CORRUPT ? REPORT_CORRUPT : REPORT_NOTE, "manifest",
                         i * (uint64_t)MANIFEST_BYTES, (i + 1) * (uint64_t)MANIFEST_BYTES, "copy",
                         "this copy is not whole%s",
                         s->manifest == LEAT_CORRUPT ? "" : ": cut while it was written, or rot; the other one serves");
    if (s->manifest_bytes >= 0 && s->manifest_bytes < 2 * MANIFEST_BYTES)
        report_found(&f->report, REPORT_CORRUPT, "manifest", 0, 0, "cut", "it has %" PRId64 " bytes of %d",
                     s->manifest_bytes, 2 * MANIFEST_BYTES);
    if (s->manifest == LEAT_TOO_NEW)
        report_found(&f->report, REPORT_CORRUPT, "manifest", 0, 0, "too_new", "written by a newer version of Leat");
    else if (s->manifest == LEAT_CORRUPT)
        report_found(&f->report, REPORT_CORRUPT, "manifest", 0, 0, "manifest", "%s",
                     s->manifest_kind == SOURCE_NOTHING                             ? "it is missing"
                     : s->copies[0] == SOURCE_EMPTY && s->copies[1] == SOURCE_EMPTY ? "both copies are empty"
                     : s->copies[0] == SOURCE_WHOLE || s->copies[1] == SOURCE_WHOLE ? "what it says is impossible"
                                                                                    : "neither copy is whole");
    else
        report_line(&f->report, "manifest: version %" PRIu64 ", start %u, %u segments of %" PRIu64 " KiB",
                    s->m.sequence, s->m.epoch, s->m.segments, s->m.segment_bytes >> 10);
}

static enum leat_status fsck_checkpoint(struct fsck *f, char error[SOURCE_ERROR])
{
    char name[DISK_NAME_MAX], sentence[SOURCE_ERROR] = "";
    enum leat_status status = point_load(&f->point, &f->source, sentence);
    snprintf(name, sizeof name, "checkpoint-%u", f->source.m.checkpoint_area);
    if (status == LEAT_CORRUPT || status == LEAT_TOO_NEW || status == LEAT_BAD_VALUE) {
        report_found(&f->report, REPORT_CORRUPT, name, f->point.bad_from, f->point.bad_end,
                     status == LEAT_TOO_NEW ? "too_new" : "checkpoint", "%s", sentence);
        return LEAT_OK;
    }
    if (status != LEAT_OK)
        return source_say(status, error, "%s", sentence);
    if (f->point.block > 0)
        report_line(&f->report, "%s: up to block %" PRIu64 ", %" PRIu64 " KiB", name, f->point.block,
                    f->source.m.checkpoint_bytes >> 10);
    return LEAT_OK;
}

/* -- blocks -- */

static void fsck_bad_block(struct fsck *f, const struct scan_block *b, uint64_t from, const char *what,
                           const char *sentence)
{
    char name[DISK_NAME_MAX];
    if (++f->facts_bad > FSCK_FACTS_TOLD)
        return;
    source_segment_name(name, b->segment->number);
    report_found(&f->report, REPORT_CORRUPT, name, b->offset + from, b->offset + b->size, what, "block %" PRIu64 ": %s",
                 b->r.number, sentence);
}

static void fsck_facts(struct fsck *f, const struct scan_block *b)
{
    uint32_t at = 0;
    char sentence[96];
    for (uint32_t i = 0; i < b->r.facts; i++) {
        struct fact fact;
        enum leat_status status =
            fact_decode(&fact, b->payload + at, b->r.payload_size - at, lsn_make(b->r.number, i), true);
        if (status != LEAT_OK) {
            snprintf(sentence, sizeof sentence, "fact %u of it %s", i,
                     status == LEAT_TOO_NEW ? "is of a newer version" : "does not match its checksum");
            fsck_bad_block(f, b, RECORD_HEADER + at, "fact", sentence);
            return;
        }
        f->facts++;
        at += fact_size(&fact);
    }
    if (at != b->r.payload_size)
        fsck_bad_block(f, b, RECORD_HEADER + at, "fact", "bytes are left behind its facts");
}

static void fsck_block(void *context, const struct scan_block *b)
{
    struct fsck *f = context;
    const struct manifest *m = &f->source.m;
    if (b->kept) {
        f->facts++;
        return;
    }
    uint64_t k = b->r.number - f->index.first;
    if (f->indexed && b->r.number >= f->index.first && k < f->index.blocks &&
        le16_get(f->index.offsets + 2 * k) * (uint64_t)DISK_BLOCK != b->offset)
        fsck_bad_block(f, b, 0, "index", "the checkpoint's index says that it begins elsewhere");
    if (b->r.epoch > m->epoch)
        fsck_bad_block(f, b, 0, "epoch", "it is of a later start than the manifest knows of: the manifest is old");
    if (b->r.number == m->checkpoint_block && record_hash(b->bytes) != m->tail_hash)
        fsck_bad_block(f, b, 0, "position", "it is not the block that the checkpoint was taken at");
    fsck_facts(f, b);
}

static void fsck_find_index(struct fsck *f, const struct scan_segment *g)
{
    uint64_t at = 0;
    f->indexed = false;
    while (f->point.loaded && !f->indexed && point_index_next(&f->point, &at, &f->index))
        f->indexed = f->index.number == g->number && f->index.incarnation == g->incarnation;
}

static void fsck_say_segment(struct fsck *f, const struct scan_segment *g)
{
    if (g->size < 0)
        return;
    if (g->keep) {
        report_line(&f->report, "log-%08u: %" PRIu64 " kept messages of blocks %" PRIu64 "..%" PRIu64, g->number,
                    g->kept, g->listed_first, g->kept_last);
        return;
    }
    if (g->runs == 0) {
        report_line(&f->report, "log-%08u: %s", g->number, g->listed_first > 0 ? "no whole block" : "spare");
        return;
    }
    const struct scan_run *first = &f->scan.runs[g->runs_from], *last = first + g->runs - 1;
    report_line(&f->report, "log-%08u: blocks %" PRIu64 "..%" PRIu64 ", %" PRIu64 " KiB", g->number, first->first,
                scan_last(last), last->end >> 10);
}

static enum leat_status fsck_segments(struct fsck *f, char error[SOURCE_ERROR])
{
    enum leat_status status = scan_open(&f->scan, &f->source, error);
    for (uint32_t i = 0; i < f->scan.segments_count && status == LEAT_OK; i++) {
        fsck_find_index(f, &f->scan.segments[i]);
        status = scan_read(&f->scan, i, fsck_block, f, error);
        if (status == LEAT_TOO_NEW) {
            report_found(&f->report, REPORT_CORRUPT, "log", 0, 0, "too_new", "%s", error);
            status = LEAT_OK;
        }
        fsck_say_segment(f, &f->scan.segments[i]);
    }
    return status;
}

/* -- what it means -- */

static void fsck_gap(struct fsck *f, const struct judge_gap *g)
{
    static const char *const kinds[] = {"damaged", "chain", "missing", "cut", "unreadable",
                                        "extra",   "list",  "newer",   "kept"};
    char name[DISK_NAME_MAX], blocks[80] = "";
    source_segment_name(name, g->segment < f->scan.segments_count ? f->scan.segments[g->segment].number : 0);
    if (g->first > 0 && g->last > g->first)
        snprintf(blocks, sizeof blocks, "blocks %" PRIu64 "..%" PRIu64 " are ", g->first, g->last);
    else if (g->first > 0)
        snprintf(blocks, sizeof blocks, "block %" PRIu64 "%s ", g->first, g->last ? " is" : " and what follows are");
    if (g->what == JUDGE_MISSING || g->what == JUDGE_CUT)
        report_found(&f->report, REPORT_CORRUPT, name, g->from, g->end, kinds[g->what], "the file is %s",
                     judge_words(g->what));
    else
        report_found(&f->report, REPORT_CORRUPT, name, g->from, g->end, kinds[g->what], "%s%s", blocks,
                     judge_words(g->what));
}

/* Whether the page where the log ends calls itself the next block. */
static bool fsck_begun(struct fsck *f)
{
    char name[DISK_NAME_MAX], error[SOURCE_ERROR];
    const struct judge *j = &f->judge;
    uint64_t available = 0;
    bool begun = false;
    if (j->segment >= f->scan.segments_count || f->scan.segments[j->segment].size < 0)
        return false;
    source_segment_name(name, f->scan.segments[j->segment].number);
    if (source_file(&f->source, name, error) == LEAT_OK && j->offset < f->source.size) {
        const uint8_t *p = source_at(&f->source, j->offset, DISK_BLOCK, &available);
        begun = available >= DISK_BLOCK && memcmp(p, "leat blk", 8) == 0 && le64_get(p + 24) == j->next &&
                le32_get(p + 12) == f->scan.segments[j->segment].incarnation;
    }
    source_leave(&f->source);
    return begun;
}

static void fsck_judge(struct fsck *f)
{
    char name[DISK_NAME_MAX];
    struct judge *j = &f->judge;
    judge_log(j, &f->scan, &f->point);
    for (uint32_t i = 0; i < j->count; i++)
        fsck_gap(f, &j->gaps[i]);
    if (j->more || f->scan.too_many || f->facts_bad > FSCK_FACTS_TOLD)
        report_found(&f->report, REPORT_CORRUPT, "log", 0, 0, "more", "there is more damage than is told here");
    if (j->rotten || f->scan.segments_count == 0)
        return;
    source_segment_name(name, f->scan.segments[j->segment].number);
    if (j->torn || fsck_begun(f)) {
        mark(offline_torn_tail);
        report_found(&f->report, REPORT_NOTE, name, j->offset, j->offset + DISK_BLOCK, "torn",
                     "the tail is torn: block %" PRIu64 " was begun and never acknowledged; a start drops it%s",
                     j->next, j->dropped ? " and what was in flight with it" : "");
    }
}

/* -- other files -- */

static void fsck_unlisted(struct fsck *f, const char *name)
{
    if (source_blank(&f->source, name))
        report_found(&f->report, REPORT_NOTE, name, 0, 0, "empty",
                     "an empty segment that the manifest does not list: made ahead, or given back; a start removes it");
    else
        report_found(&f->report, REPORT_CORRUPT, name, 0, 0, "unlisted", "it holds blocks, but the manifest %s",
                     f->source.manifest == LEAT_OK ? "does not list it" : "is missing or damaged");
}

static bool fsck_belongs(const struct fsck *f, const char *name, enum source_kind kind)
{
    static const char *const names[] = {"manifest", "lock", "checkpoint-0", "checkpoint-1", "leat.sock.lock"};
    if (strcmp(name, "leat.sock") == 0)
        return kind == SOURCE_OTHER; /* the local port's, when a broker was killed */
    if (kind != SOURCE_FILE)
        return false;
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    uint32_t number = source_segment_number(name);
    for (uint32_t i = 0; i < f->scan.segments_count && number > 0; i++)
        if (f->scan.segments[i].number == number)
            return true;
    return false;
}

static bool fsck_ends(const char *name, const char *end)
{
    size_t size = strlen(name), tail = strlen(end);
    return size >= tail && strcmp(name + size - tail, end) == 0;
}

static void fsck_stranger(struct fsck *f, const char *name, enum source_kind kind)
{
    if (fsck_ends(name, ".new") && kind != SOURCE_DIRECTORY)
        report_found(&f->report, REPORT_NOTE, name, 0, 0, "unfinished",
                     "a file that was being made; a start removes it");
    else if (strcmp(name, MANIFEST_SALVAGING) == 0 && kind == SOURCE_FILE)
        report_found(&f->report, REPORT_NOTE, name, 0, 0, "salvaging",
                     "a salvage was cut short: leatd --salvage begins it again");
    else if (strncmp(name, "salvaged-", 9) == 0 && kind == SOURCE_FILE)
        report_found(&f->report, REPORT_NOTE, name, 0, 0, "salvaged", "put aside by leatd --salvage");
    else
        report_found(&f->report, REPORT_NOTE, name, 0, 0, "stranger", "not leatd's%s", fsck_kind(kind));
}

static void fsck_files(struct fsck *f)
{
    char name[DISK_NAME_MAX];
    uint64_t strangers = 0;
    for (unsigned i = 0; disk_list(f->source.disk, i, name); i++) {
        enum source_kind kind = source_kind(f->source.disk, name);
        if (fsck_belongs(f, name, kind))
            continue;
        if (source_segment_number(name) > 0 && kind == SOURCE_FILE)
            fsck_unlisted(f, name);
        else if (strangers++ < FSCK_STRANGERS)
            fsck_stranger(f, name, kind);
    }
    if (strangers > FSCK_STRANGERS)
        report_found(&f->report, REPORT_NOTE, "...", 0, 0, "stranger", "%" PRIu64 " more are not leatd's",
                     strangers - FSCK_STRANGERS);
}

static void fsck_areas(struct fsck *f)
{
    for (unsigned i = 0; i < 2 && f->source.manifest == LEAT_OK; i++) {
        char name[DISK_NAME_MAX], error[SOURCE_ERROR];
        snprintf(name, sizeof name, "checkpoint-%u", i);
        bool told = f->point.block > 0 && i == f->source.m.checkpoint_area;
        if (!told && source_file(&f->source, name, error) != LEAT_OK)
            report_found(&f->report, REPORT_CORRUPT, name, 0, 0, "missing", "the file is missing");
        source_leave(&f->source);
    }
}

/* -- all of it -- */

static void fsck_count(struct fsck *f, bool sound)
{
    report_number(&f->report, "epoch", f->source.m.epoch);
    report_number(&f->report, "segments", f->scan.segments_count);
    report_number(&f->report, "blocks", f->scan.blocks);
    report_number(&f->report, "facts", f->facts);
    report_number(&f->report, "checkpoint", f->point.block);
    report_number(&f->report, "next_block", f->judge.next);
    report_number(&f->report, "bytes_read", f->source.bytes_read);
    report_end(&f->report, sound);
    if (f->report.corrupt > 0)
        report_line(&f->report, "%s: corrupt in %" PRIu64 " places; nothing was changed", f->o->path,
                    f->report.corrupt);
    else
        report_line(&f->report, "%s: sound: %" PRIu64 " blocks with %" PRIu64 " facts, %" PRIu64 " KiB read",
                    f->o->path, f->scan.blocks, f->facts, f->source.bytes_read >> 10);
}

static enum leat_status fsck_all(struct fsck *f, char error[SOURCE_ERROR])
{
    const struct manifest *m = &f->source.m;
    f->total = 2 * MANIFEST_BYTES;
    if (f->source.manifest == LEAT_OK)
        f->total += m->checkpoint_bytes + m->segments * m->segment_bytes;
    report_begin(&f->report, f->o->path);
    fsck_manifest(f);
    enum leat_status status = fsck_checkpoint(f, error);
    if (status == LEAT_OK)
        status = fsck_segments(f, error);
    if (status != LEAT_OK)
        return status;
    if (f->source.manifest == LEAT_OK)
        fsck_judge(f);
    fsck_areas(f);
    fsck_files(f);
    bool sound = f->report.corrupt == 0;
    error[0] = 0;
    fsck_count(f, sound);
    if (f->source.manifest == LEAT_TOO_NEW)
        return LEAT_TOO_NEW;
    return sound ? LEAT_OK : LEAT_CORRUPT;
}

static void fsck_say_unborn(struct fsck *f)
{
    report_begin(&f->report, f->o->path);
    report_found(&f->report, REPORT_NOTE, "manifest", 0, 0, "unborn",
                 "the directory was never used: its making was cut short; a start makes it anew");
    fsck_files(f);
    report_end(&f->report, true);
    report_line(&f->report, "%s: sound: nothing was ever written", f->o->path);
}

enum leat_status fsck_run(struct disk *d, const struct fsck_options *o, char error[SOURCE_ERROR])
{
    static struct fsck f; /* its manifest is large */
    memset(&f, 0, sizeof f);
    f.o = o;
    f.report = (struct report){.out = o->out, .json = o->json};
    error[0] = 0;
    enum leat_status status = source_open(&f.source, d, error);
    if (status != LEAT_OK)
        return status;
    f.source.progress = fsck_progress;
    f.source.progress_context = &f;
    status = source_ours(&f.source, error);
    if (status == LEAT_OK && source_unborn(&f.source))
        fsck_say_unborn(&f);
    else if (status == LEAT_OK)
        status = fsck_all(&f, error);
    judge_close(&f.judge);
    scan_close(&f.scan);
    point_close(&f.point);
    source_close(&f.source);
    return status;
}

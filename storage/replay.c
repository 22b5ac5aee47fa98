/* replay.c - from the newest checkpoint to the end of the log, and what the end means.
 *
 * A block follows when it is whole, of this life of its segment, has the next number and names the hash of the block
 * before; it lies behind that block, or at the start of the next segment if it had no room there (one that had was led
 * astray by the disk, and others may stand behind its own place). Where none follows, the log ends, or something broke:
 *
 *   W: blocks <= W are known to have been durable: every block says so of those before it, the manifest of the first
 *      blocks of segments and of the checkpoint's position.
 *
 * A missing block <= W is rot, and we stop and say where. A missing block > W was never acknowledged: a torn tail.
 * Whole blocks behind it are looked for, since they may know a higher W; if they do not, they were in flight together
 * with the missing one, and are dropped. journal_start() writes zeros over them. How far to look: behind a durable
 * block that has rotted, all but the last of those in flight may be torn, and that one says that it was durable.
 * The start of each segment behind is looked at as well, however far: where a whole segment was exchanged, nothing else
 * may speak of its blocks. A block that was in flight and is dropped unseen does no harm, because its hash chain leads
 * nowhere. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "byteorder.h"
#include "image.h"
#include "log.h"
#include "mark.h"
#include "must.h"
#include "recover.h"
#include "window.h"

enum { REPLAY_WINDOW = 16 * 1024 * 1024, REPLAY_GLANCE = 256 * 1024 };

struct replay {
    struct window window;
    struct window next; /* starts of segments behind the log's last: a look there costs a page, and no place */
    struct image image;
    uint64_t known; /* W */
    uint32_t largest;
    bool unreadable; /* behind the end of the log: not for us to guess */
    uint64_t unreadable_at;
    uint32_t unreadable_name;
    uint32_t astray; /* size of a block that stands at the start of the next segment and had room here, or 0 */
    bool ended;
    bool twice; /* planted bug 9 */
    enum leat_status verdict;
};

/* -- opening -- */

static uint64_t max64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Whether a segment begins with the block that the manifest says, or, if the log has not come to it, with no block of a
 * later life than the manifest knows. Segments before the checkpoint are not read further than that: here a file that
 * was exchanged, or a manifest that is old, is found. */
static enum leat_status replay_check_head(struct journal *j, uint32_t order, char error[256])
{
    const struct segment *s = segment_at(j, order);
    if (s->keep)
        return LEAT_OK; /* its directory has been checked */
    struct record found = {0},
                  expected = {.cluster = j->ledger.m.cluster, .incarnation = s->incarnation, .number = s->first};
    uint64_t unreadable = recover_read(j, s->file, 0, j->replay->window.bytes, DISK_BLOCK);
    enum record_verdict verdict = record_open(&found, j->replay->window.bytes, DISK_BLOCK, &expected);
    if (order < j->segments.log_count && verdict != RECORD_OK && verdict != RECORD_CUT) {
        mark(segment_head_refused);
        if (verdict == RECORD_TOO_NEW)
            return recover_say(LEAT_TOO_NEW, error, "block %" PRIu64 " was written by a newer version of Leat",
                               s->first);
        return recover_say(LEAT_CORRUPT, error,
                           "log-%08u, bytes 0..%d%s: block %" PRIu64 " is damaged or missing, and it was durable",
                           s->name, DISK_BLOCK - 1, unreadable == 0 ? " cannot be read" : "", s->first);
    }
    if (found.cluster == expected.cluster && found.incarnation > s->incarnation) {
        mark(manifest_old);
        return recover_say(LEAT_CORRUPT, error,
                           "log-%08u, bytes 0..%d: block %" PRIu64
                           " is of life %u of this file, the manifest knows only %u: it is old",
                           s->name, DISK_BLOCK - 1, found.number, found.incarnation, s->incarnation);
    }
    return LEAT_OK;
}

/* Whoever made these files, with cp for instance, need not have synced them: what is read is durable from here on. */
static enum leat_status replay_sync(struct journal *j, char error[256])
{
    enum leat_status status = LEAT_OK;
    for (uint32_t i = 0; i < j->segments.total && status == LEAT_OK; i++) {
        char name[DISK_NAME_MAX];
        segment_name(name, segment_at(j, i)->name);
        status = recover_sync_file(j, name, segment_at(j, i)->file, error);
    }
    for (uint32_t area = 0; area < 2 && status == LEAT_OK; area++)
        status = recover_sync_file(j, "checkpoint", j->checkpoint.files[area], error);
    return status;
}

enum leat_status replay_open(struct journal *j, char error[256])
{
    const struct manifest *m = &j->ledger.m;
    struct segments *t = &j->segments;
    struct replay *r = j->replay = calloc(1, sizeof *r);
    uint64_t capacity = t->bytes < REPLAY_WINDOW ? max64(t->bytes, 128 * 1024) : REPLAY_WINDOW;
    if (!r || !window_open(&r->window, capacity) ||
        !window_open(&r->next, t->bytes < RECORD_MAX ? t->bytes : RECORD_MAX))
        return recover_say(LEAT_NO_MEMORY, error, "no memory for reading the log");
    r->next.piece_max = DISK_BLOCK;
    r->known = max64(m->checkpoint_block, m->proven);
    r->largest = j->block_max;
    r->image.done = m->checkpoint_block == 0;
    j->counters.replayed_image = m->checkpoint_block ? m->checkpoint_bytes : 0;
    j->previous = m->tail_hash;
    for (uint32_t i = 0; i < t->total; i++) {
        uint64_t first = segment_at(j, i)->first;
        if (first > 0 && first <= m->checkpoint_block)
            t->log_count = i + 1;
        r->known = max64(r->known, first);
    }
    if (m->checkpoint_block > 0 && t->log_count == 0)
        return recover_say(LEAT_CORRUPT, error, "the manifest lists no segment for block %" PRIu64,
                           m->checkpoint_block);
    enum leat_status synced = replay_sync(j, error);
    if (synced != LEAT_OK)
        return synced;
    enum leat_status kept = kept_load(j, &r->window, error);
    if (kept != LEAT_OK)
        return kept;
    for (uint32_t i = 0; i < t->total; i++) {
        enum leat_status status = replay_check_head(j, i, error);
        if (status != LEAT_OK)
            return status;
    }
    return LEAT_OK;
}

void replay_close(struct journal *j)
{
    if (!j->replay)
        return;
    window_close(&j->replay->window);
    window_close(&j->replay->next);
    free(j->replay->image.index);
    free(j->replay);
    j->replay = NULL;
}

uint32_t journal_replay_image(struct journal *j, uint8_t *bytes, uint32_t max, enum leat_status *status,
                              char error[256])
{
    must(j->life == JOURNAL_REPLAYING);
    uint32_t n = image_read(j, &j->replay->image, &j->replay->window, bytes, max, status, error);
    j->durable = j->last_full = j->sealed;
    return n;
}

/* -- blocks -- */

static struct window *replay_window(struct journal *j, uint32_t order, uint64_t offset)
{
    return order >= j->segments.log_count && offset == 0 ? &j->replay->next : &j->replay->window;
}

/* Judges what lies at `offset` of a segment; reads a page, and the rest of a block that says it is the expected one. */
static enum record_verdict replay_look(struct journal *j, uint32_t order, uint64_t offset, struct record *expected,
                                       struct record *found, const uint8_t **bytes)
{
    const struct segment *s = segment_at(j, order);
    struct window *w = replay_window(j, order, offset);
    uint64_t available, need = DISK_BLOCK;
    expected->incarnation = s->incarnation;
    expected->cluster = j->ledger.m.cluster;
    for (;;) {
        *bytes = window_get(j, w, s->file, j->segments.bytes, offset, need, &available);
        if (w->unreadable != RECOVER_WHOLE && !j->replay->unreadable) {
            j->replay->unreadable = true;
            j->replay->unreadable_at = w->unreadable;
            j->replay->unreadable_name = s->name;
        }
        enum record_verdict verdict = record_open(found, *bytes, available, expected);
        if (verdict != RECORD_CUT)
            return verdict;
        need = record_disk_size(found->payload_size);
        if (need > j->segments.bytes - offset)
            return RECORD_BROKEN;
    }
}

/* The next block of the log, or what stands in its place. */
static enum record_verdict replay_next(struct journal *j, struct record *found, const uint8_t **bytes)
{
    struct segments *t = &j->segments;
    struct record expected = {.number = j->sealed + 1, .previous = j->previous};
    enum record_verdict here = RECORD_EMPTY, there;
    if (t->log_count > 0 && t->tail < t->bytes) {
        here = replay_look(j, t->log_count - 1, t->tail, &expected, found, bytes);
        if (here == RECORD_OK || here == RECORD_TOO_NEW)
            return here;
    }
    if (t->log_count == t->total)
        return here;
    uint64_t first = segment_at(j, t->log_count)->first;
    if (first != 0 && first != expected.number)
        return here;
    there = replay_look(j, t->log_count, 0, &expected, found, bytes);
    if (there == RECORD_OK && first == 0 && t->log_count > 0 &&
        record_disk_size(found->payload_size) <= t->bytes - t->tail) {
        j->replay->astray = record_disk_size(found->payload_size);
        return RECORD_BROKEN;
    }
    if (there == RECORD_OK)
        segment_enter(j, expected.number);
    return there == RECORD_OK || t->log_count == 0 || t->tail == t->bytes ? there : here;
}

static void replay_take(struct journal *j, const struct record *found, const uint8_t *bytes)
{
    uint32_t size = record_disk_size(found->payload_size);
    segment_note(j, found->number, size);
    j->sealed = j->durable = found->number;
    j->previous = record_hash(bytes);
    j->tail_bytes += size;
    j->counters.replayed_bytes += size;
    if (found->facts > 0)
        j->last_full = found->number;
    j->replay->known = max64(j->replay->known, found->durable);
    if (size > j->replay->largest)
        j->replay->largest = size;
}

/* -- the end -- */

/* Where the log ends, and what was found behind it. */
struct tear {
    uint64_t block; /* the missing one */
    uint32_t order; /* where it should begin */
    uint64_t offset;
    uint64_t end;     /* where it ends at the latest, in the same segment; 0: with that */
    uint64_t next;    /* where the first whole block of the next segment stands; UINT64_MAX: there is none */
    uint64_t highest; /* number of a whole block behind it, or 0 */
    bool torn;        /* it had been begun */
};

/* A whole block of this life behind the missing one? Its size, else 0. */
static uint32_t replay_behind(struct journal *j, struct tear *tear, uint32_t order, uint64_t offset)
{
    uint64_t available;
    struct segment *s = segment_at(j, order);
    const uint8_t *bytes =
        window_get(j, replay_window(j, order, offset), s->file, j->segments.bytes, offset, DISK_BLOCK, &available);
    struct record expected = {.number = le64_get(bytes + 24)}, found;
    if (expected.number <= tear->block)
        return 0;
    if (replay_look(j, order, offset, &expected, &found, &bytes) != RECORD_OK)
        return 0;
    mark(block_behind_tear);
    j->replay->known = max64(j->replay->known, found.durable);
    tear->highest = max64(tear->highest, found.number);
    if (order == tear->order && offset > tear->offset && tear->end == 0)
        tear->end = offset;
    if (order == tear->order + 1 && tear->next == UINT64_MAX)
        tear->next = offset;
    return record_disk_size(found.payload_size);
}

static void replay_wipe(struct journal *j, uint32_t order, uint64_t from, uint64_t end)
{
    struct segment *s = segment_at(j, order);
    if (s->wipe_end == 0)
        s->wipe = from;
    if (end > s->wipe_end)
        s->wipe_end = end;
}

/* From where the log ends, as far as blocks in flight could reach, and the first page of each segment however far: a
 * page in the next segment that calls itself the missing block must not hide those that stand where they belong. */
static void replay_search(struct journal *j, struct tear *tear)
{
    const struct segments *t = &j->segments;
    uint64_t reach = (LOG_DEPTH_MAX + 1) * (uint64_t)j->replay->largest, looked = 0;
    uint32_t order = t->log_count > 0 ? t->log_count - 1 : 0;
    uint64_t offset = t->log_count > 0 ? t->tail : 0;
    j->replay->window.piece_max = REPLAY_GLANCE;
    for (; order < t->total; order++, offset = 0) {
        uint64_t from = offset;
        while (offset < j->segments.bytes && (looked <= reach || offset == 0)) {
            uint32_t size = replay_behind(j, tear, order, offset);
            if (size > 0)
                replay_wipe(j, order, from, offset + size);
            offset += size > 0 ? size : DISK_BLOCK;
            looked = size > 0 ? 0 : looked + DISK_BLOCK;
        }
    }
}

/* Where the missing block ends, if its header is whole, or 0: for the sentence. */
static uint64_t replay_claimed_end(struct journal *j, const struct tear *tear)
{
    if (tear->order >= j->segments.total || tear->offset == j->segments.bytes)
        return 0;
    struct record expected = {.number = tear->block}, found = {0};
    const uint8_t *bytes;
    replay_look(j, tear->order, tear->offset, &expected, &found, &bytes);
    uint64_t end = tear->offset + record_disk_size(found.payload_size);
    bool whole = found.number == tear->block && found.incarnation == expected.incarnation;
    return whole && end <= j->segments.bytes ? end : 0;
}

/* The page at `offset` of a segment, or NULL where there is none. */
static const uint8_t *replay_page(struct journal *j, uint32_t order, uint64_t offset)
{
    uint64_t available;
    if (order >= j->segments.total || offset == j->segments.bytes)
        return NULL;
    return window_get(j, replay_window(j, order, offset), segment_at(j, order)->file, j->segments.bytes, offset,
                      DISK_BLOCK, &available);
}

/* Whether what stands there calls itself the missing block: for the sentence and the counter, no more. */
static bool replay_claims(struct journal *j, uint32_t order, uint64_t offset)
{
    const uint8_t *bytes = replay_page(j, order, offset);
    return bytes && memcmp(bytes, "leat blk", 8) == 0 && le32_get(bytes + 12) == segment_at(j, order)->incarnation &&
           le64_get(bytes + 24) == j->sealed + 1;
}

/* Behind the last block, or at the start of the next segment. */
static struct tear replay_tear(struct journal *j)
{
    const struct segments *t = &j->segments;
    struct tear tear = {.block = j->sealed + 1, .order = t->log_count, .offset = 0, .next = UINT64_MAX};
    bool here = t->log_count > 0 && t->tail < t->bytes;
    bool next = t->log_count < t->total && segment_at(j, t->log_count)->first == tear.block;
    if (here && !next) {
        tear.torn = replay_claims(j, t->log_count - 1, t->tail);
        next = !tear.torn && replay_claims(j, t->log_count, 0);
    }
    if (here && !next) {
        tear.order = t->log_count - 1;
        tear.offset = t->tail;
    }
    tear.torn = tear.torn || replay_claims(j, tear.order, tear.offset);
    tear.end = replay_claimed_end(j, &tear);
    return tear;
}

/* Where nothing begins behind the last block, but the next segment does not begin with a block either, that is where it
 * was. */
static enum leat_status replay_rotten(struct journal *j, const struct tear *tear, char error[256])
{
    bool here = tear->torn || tear->end != 0 || tear->next == 0 || tear->next == UINT64_MAX;
    uint32_t order = here ? tear->order : tear->order + 1;
    uint64_t end = !here ? tear->next : tear->end ? tear->end : j->segments.bytes;
    char name[DISK_NAME_MAX] = "(no segment)";
    if (order < j->segments.total)
        segment_name(name, segment_at(j, order)->name);
    mark(rot_refused);
    return recover_say(LEAT_CORRUPT, error,
                       "%s, bytes %" PRIu64 "..%" PRIu64 ": block %" PRIu64
                       " is damaged or missing, and blocks up to %" PRIu64 " were durable",
                       name, here ? tear->offset : 0, end - 1, tear->block, j->replay->known);
}

/* A whole block of another data directory stands where the log would go on: somebody has exchanged the file. */
static bool replay_stranger(struct journal *j, uint32_t order, uint64_t offset)
{
    const uint8_t *bytes = replay_page(j, order, offset);
    if (!bytes)
        return false;
    struct record found,
        theirs = {.cluster = le64_get(bytes + 16), .incarnation = le32_get(bytes + 12), .number = le64_get(bytes + 24)};
    enum record_verdict verdict = record_open(&found, bytes, DISK_BLOCK, &theirs);
    return theirs.cluster != j->ledger.m.cluster && (verdict == RECORD_OK || verdict == RECORD_CUT);
}

/* The next block is whole, and not where the log has put it: no crash does that, but a disk that writes to the wrong
 * place. What stood there is gone, and others may stand behind the block's own place. */
static enum leat_status replay_astray(struct journal *j, char error[256])
{
    const struct segments *t = &j->segments;
    mark(block_astray);
    return recover_say(LEAT_CORRUPT, error,
                       "log-%08u, bytes %" PRIu64 "..%" PRIu64 ": block %" PRIu64
                       " is damaged or missing, for the disk has written it to the start of log-%08u",
                       segment_at(j, t->log_count - 1)->name, t->tail, t->tail + j->replay->astray - 1, j->sealed + 1,
                       segment_at(j, t->log_count)->name);
}

/* No block follows: LEAT_OK at the end of the log, torn or not; LEAT_CORRUPT and the exact range for rot. */
static enum leat_status replay_end(struct journal *j, enum record_verdict verdict, char error[256])
{
    if (j->replay->astray > 0)
        return replay_astray(j, error);
    struct tear tear = replay_tear(j);
    replay_search(j, &tear);
    uint64_t known = j->replay->known;
    if (tear.torn || (verdict != RECORD_EMPTY && verdict != RECORD_FOREIGN))
        replay_wipe(j, tear.order, tear.offset, tear.offset + DISK_BLOCK);
    if (j->replay->unreadable) {
        mark(unreadable_refused);
        return recover_say(LEAT_CORRUPT, error, "log-%08u, bytes %" PRIu64 "..%" PRIu64 " cannot be read",
                           j->replay->unreadable_name, j->replay->unreadable_at,
                           j->replay->unreadable_at + DISK_BLOCK - 1);
    }
    bool here = replay_stranger(j, tear.order, tear.offset);
    if (here || replay_stranger(j, j->segments.log_count, 0)) {
        mark(stranger_refused);
        return recover_say(LEAT_CORRUPT, error,
                           "log-%08u: block %" PRIu64
                           " is damaged or missing, and one of another data directory is there",
                           segment_at(j, here ? tear.order : j->segments.log_count)->name, tear.block);
    }
#if LEAT_BUG == 5
    known = tear.highest = 0;
#endif
    if (known >= tear.block || tear.highest > known + LOG_DEPTH_MAX)
        return replay_rotten(j, &tear, error);
    if (tear.torn || tear.highest > 0) {
        mark(torn_tail);
        j->counters.torn_tails++;
    }
    return LEAT_OK;
}

static enum leat_status replay_stop(struct journal *j, enum record_verdict verdict, char error[256])
{
    struct replay *r = j->replay;
    r->ended = true;
    if (verdict == RECORD_TOO_NEW)
        r->verdict =
            recover_say(LEAT_TOO_NEW, error, "block %" PRIu64 " was written by a newer version of Leat", j->sealed + 1);
    else
        r->verdict = replay_end(j, verdict, error);
    return r->verdict;
}

bool journal_replay_block(struct journal *j, struct journal_block *block, enum leat_status *status, char error[256])
{
    struct replay *r = j->replay;
    must(j->life == JOURNAL_REPLAYING);
    must(r->image.done);
    struct record found;
    const uint8_t *bytes;
    *status = LEAT_OK;
#if LEAT_BUG == 9
    if (block->number != 0 && block->number % 8 == 0 && (r->twice = !r->twice))
        return true; /* it is still what the caller holds */
#endif
    do {
        if (r->ended)
            return false;
        enum record_verdict verdict = replay_next(j, &found, &bytes);
        if (verdict != RECORD_OK) {
            *status = replay_stop(j, verdict, error);
            return false;
        }
        if (found.epoch > j->ledger.m.epoch) {
            r->ended = true;
            *status = r->verdict = recover_say(
                LEAT_CORRUPT, error, "block %" PRIu64 " is of epoch %u, the manifest knows only %u: it is old",
                found.number, found.epoch, j->ledger.m.epoch);
            return false;
        }
        replay_take(j, &found, bytes);
    } while (found.facts == 0);
    *block = (struct journal_block){.number = found.number,
                                    .epoch = found.epoch,
                                    .facts = found.facts,
                                    .payload = bytes + RECORD_HEADER,
                                    .payload_size = found.payload_size,
                                    .payload_place = RECORD_HEADER};
    return true;
}

/* -- and on -- */

/* Zeros over what was dropped: it can never come back. */
static bool replay_erase(struct journal *j)
{
    struct window *w = &j->replay->window;
    uint64_t zeros = 0;
    for (uint32_t i = 0; i < j->segments.total; i++)
        zeros = max64(zeros, segment_at(j, i)->wipe_end - segment_at(j, i)->wipe);
    if (zeros > RECORD_MAX)
        zeros = RECORD_MAX;
    if (zeros > w->capacity)
        zeros = w->capacity;
    memset(w->bytes, 0, zeros);
    for (uint32_t i = 0; i < j->segments.total; i++) {
        struct segment *s = segment_at(j, i);
        if (s->wipe_end == 0)
            continue;
        for (uint64_t at = s->wipe; at < s->wipe_end; at += zeros) {
            uint64_t piece = s->wipe_end - at < zeros ? s->wipe_end - at : zeros;
            if (!recover_write(j, s->file, at, w->bytes, piece))
                return false;
        }
        s->wipe = s->wipe_end = 0;
    }
    return true;
}

enum leat_status journal_start(struct journal *j, char error[256])
{
    struct replay *r = j->replay;
    must(j->life == JOURNAL_REPLAYING);
    must(r->ended);
    must(r->verdict == LEAT_OK);
    if (!replay_erase(j))
        return recover_say(LEAT_DISK_ERROR, error, "cannot write zeros behind the end of the log");
    if (!recover_tidy(j))
        return recover_say(LEAT_DISK_ERROR, error, "cannot sync the data directory");
    j->proven = r->known;
    j->ledger.m.epoch = j->epoch;
    j->ledger.m.copied = 0;
#if LEAT_BUG == 38
    ledger_change(j);
#else
    if (ledger_write_now(j) != LEAT_OK)
        return recover_say(LEAT_DISK_ERROR, error, "cannot write the manifest");
#endif
    replay_close(j);
    j->life = JOURNAL_RUNNING;
    j->clean.look = true;
    for (uint32_t i = 0; i + 1 < j->segments.log_count; i++)
        j->segments.emptied += segment_at(j, i)->pins == 0;
    hot_step(j);
    segment_afford(j);
    return LEAT_OK;
}

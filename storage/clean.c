/* clean.c - the cleaner: survivors of sparse old segments move together, so that the rest can be used again.
 *
 * A message that waits for a month, or that nobody acknowledges, lives in a segment in which all others have long gone.
 * The cleaner looks for a run of items that stand side by side in the order, wholly before the newest checkpoint, whose
 * live bodies and their directory fit into one segment; writes them into a borrowed spare; and lets that take the place
 * of the run, as a keep segment. Keep segments are items like the others and are cleaned again when they are sparse.
 *
 *   choose a run -> the caller lists who lives -> directory -> (read -> judge -> write)* -> flush -> publish
 *
 * One operation of the disk is under way at a time, so that the log and takes do not suffer; reads are paced besides,
 * unless space is short.
 *
 * How much disk: old segments are cleaned when they are more than twice what lives in them, directory entries included,
 * and a few; then two neighbours fit into one, for if none did, each two would hold more than one. So disk is at most
 * twice what lives and a constant, for those few, the segments behind the checkpoint, and spares. How much work: the
 * run is taken that frees most for each byte to be copied; those that are nearly full stay, and sparse ones gather in
 * between, until many go into one. A run frees at least one segment and copies at most one, so no more is ever copied
 * than the log has written. When space is short, whatever fits together is put together.
 *
 * When is it safe? The list is complete at some moment; whoever is not on it had ended by then. The keep segment is
 * published when it is on stable storage and when all facts of that moment are proven to be: then a restart knows of
 * those ends, whatever older image it begins with. The manifest makes the change: before that version the old
 * arrangement counts, and its segments are not written before that version is durable. A checkpoint on its way names
 * segments by their places in the order, so that publishing waits for it.
 *
 * What can go wrong: a read that fails, or a fact that the caller finds wrong. Wrong bytes are never copied: the run is
 * given up, the segment that they came from is left alone from now on. A failed write or flush is the disk's end. */
#include <string.h>

#include "byteorder.h"
#include "log.h"
#include "mark.h"
#include "must.h"

enum {
    CLEAN_ITEMS = 64,            /* that hold anything, in a run, so that choosing one is quick */
    CLEAN_GAP = 16 * 1024,       /* facts so near each other are read together */
    CLEAN_NS_PER_KIB = 8 * 1024, /* the pace of reads: 128 MB/s */
    CLEAN_TRIES = 1000,
};

/* -- which run -- */

/* `held`: also what a backup has yet to read. */
static bool clean_may(const struct journal *j, uint32_t order, bool held)
{
    const struct segment *s = segment_at(j, order);
    return order + 1 < j->segments.log_count && segment_last(s) < j->ledger.m.checkpoint_block && !s->rotten &&
           (held || !s->held);
}

struct clean_run {
    uint32_t from, end; /* items */
    uint32_t lives;     /* of them, those that hold anything */
    uint64_t pins, live;
};

static void clean_count(const struct journal *j, struct clean_run *r, uint32_t order, int sign)
{
    const struct segment *s = segment_at(j, order);
    r->lives += (uint32_t)(sign * (s->pins > 0));
    r->pins += (uint64_t)sign * s->pins;
    r->live += (uint64_t)sign * s->live;
}

static bool clean_fits(const struct journal *j, const struct clean_run *r, uint32_t most)
{
    return r->pins <= most && keep_pages(r->pins) <= kept_pages_max(j) &&
           keep_bytes(r->pins, r->live) <= j->segments.bytes;
}

/* Does it free more for each byte that is copied? */
static bool clean_better(const struct clean_run *r, const struct clean_run *best)
{
    return r->lives >= 2 && (best->lives < 2 || (r->lives - 1) * best->live > (best->lives - 1) * r->live);
}

/* Of all runs that fit, the best. False: there is none. */
static bool clean_choose(const struct journal *j, uint32_t most, bool held, struct clean_run *best)
{
    struct clean_run r = {0};
    *best = r;
    for (r.end = 0; r.end < j->segments.log_count;) {
        if (!clean_may(j, r.end, held)) {
            r = (struct clean_run){.from = r.end + 1, .end = r.end + 1};
            continue;
        }
        clean_count(j, &r, r.end++, 1);
        while (r.from < r.end && (!clean_fits(j, &r, most) || r.lives > CLEAN_ITEMS))
            clean_count(j, &r, r.from++, -1);
        for (struct clean_run part = r; part.from < part.end; clean_count(j, &part, part.from++, -1))
            if (clean_better(&part, best))
                *best = part;
    }
    return best->lives >= 2;
}

/* Is it worth while? More segments than the promise allows; or space is short, and every one counts. */
static bool clean_needed(const struct journal *j, bool held)
{
    struct clean_run all = {0};
    for (; all.end + 1 < j->segments.log_count; all.end++)
        if (clean_may(j, all.end, held))
            clean_count(j, &all, all.end, 1);
    uint64_t explained = 2 * (all.live + all.pins * KEEP_ENTRY) / j->segments.bytes;
    return journal_short(j) || all.lives > explained + 1 + j->config.clean_above;
}

static bool clean_find(const struct journal *j, uint32_t most, bool held, struct clean_run *best)
{
    return clean_needed(j, held) && clean_choose(j, most, held, best);
}

/* -- the door -- */

bool journal_clean_begin(struct journal *j, uint32_t most, uint64_t *first, uint64_t *last)
{
    struct clean *c = &j->clean;
    struct clean_run run;
    must(j->life == JOURNAL_RUNNING);
    if (!c->look || c->state != CLEAN_IDLE || j->error != LEAT_OK)
        return false;
    if (backup_waits(j))
        return false; /* it lets nobody begin before it */
    if (j->segments.lend && !segment_lends(j))
        return false; /* a spare is being made for us */
    if (!clean_find(j, most, false, &run)) {
        bool hidden = clean_find(j, most, true, &run);
        j->backup.in_the_way |= hidden;
        j->counters.clean_looks += !hidden;
        c->look = j->segments.lend = false;
        return false;
    }
    if (segment_borrow(j) == SEGMENT_NONE)
        return false;
    const struct segment *head = segment_at(j, run.from), *tail = segment_at(j, run.end - 1);
    *c = (struct clean){.state = CLEAN_LISTING,
                        .look = true,
                        .first = head->first,
                        .last = segment_last(tail),
                        .window = c->window,
                        .page = c->page,
                        .out = c->out,
                        .window_owner = SEGMENT_NONE,
                        .page_owner = SEGMENT_NONE,
                        .paced = j->now};
    *first = c->first;
    *last = c->last;
    mark(clean_begun);
    return true;
}

static struct segment *clean_keep(const struct journal *j)
{
    must(j->segments.borrowed != SEGMENT_NONE);
    return &j->segments.pool[j->segments.borrowed];
}

void journal_clean_list(struct journal *j, const struct journal_survivor *list, uint32_t count)
{
    struct clean *c = &j->clean;
    must(c->state == CLEAN_LISTING);
    if (count == 0) {
        mark(clean_nobody_left);
        journal_clean_give_up(j);
        return;
    }
    struct segment *keep = clean_keep(j);
    must(keep_pages(count) <= kept_pages_max(j));
    c->position = j->open.facts > 0 ? j->open.number : j->last_full;
    c->list = list;
    c->count = count;
    c->pages = keep_pages(count);
    c->offset8 = c->pages * (uint64_t)DISK_BLOCK / 8;
    keep->keep = true;
    keep->first = c->first;
    keep->last = c->last;
    keep->pages = c->pages;
    c->state = CLEAN_DIRECTORY;
}

bool journal_clean_running(const struct journal *j)
{
    return j->clean.state != CLEAN_IDLE;
}

uint32_t journal_clean_most(const struct journal_config *c, uint32_t least)
{
    return (uint32_t)(c->segment_bytes / (least + KEEP_ENTRY));
}

static void clean_end(struct journal *j)
{
    must(j->clean.op == CLEAN_NOTHING);
    j->clean.state = CLEAN_IDLE;
    j->clean.given_up = false;
    j->clean.list = NULL;
}

/* The operation under way must end before anything else can happen to the segment. */
void journal_clean_give_up(struct journal *j)
{
    struct clean *c = &j->clean;
    if (c->state == CLEAN_IDLE || c->state == CLEAN_PUBLISHING || c->given_up)
        return;
    c->given_up = true;
    c->look = false; /* not before the next checkpoint */
    if (c->op == CLEAN_NOTHING) {
        segment_give_back(j);
        clean_end(j);
    }
}

static void clean_spoiled(struct journal *j, uint16_t owner)
{
    mark(clean_given_up);
    j->counters.cleanings_given_up++;
    j->segments.pool[owner].rotten = true;
    journal_clean_give_up(j);
    j->clean.look = true;
}

/* -- where survivors are -- */

enum clean_place { CLEAN_FOUND, CLEAN_NEEDS_PAGE, CLEAN_NOWHERE };

/* Where survivor `i` lies: slot of its segment, and offset in its file. CLEAN_NEEDS_PAGE: the directory's page says it,
 * and is not the one in memory. */
static enum clean_place clean_where(const struct journal *j, uint32_t i, uint16_t *owner, uint64_t *offset)
{
    const struct clean *c = &j->clean;
    const struct journal_survivor *f = &c->list[i];
    uint64_t block = lsn_block(f->lsn);
    uint32_t order = segment_find(j, block);
    must(order != SEGMENT_NONE);
    *owner = j->segments.order[order];
    const struct segment *s = &j->segments.pool[*owner];
    must(block >= c->first && block <= c->last && block <= segment_last(s));
    if (!s->keep) {
        *offset = s->index[block - s->first] * (uint64_t)DISK_BLOCK + f->place8 * 8ull;
        return *offset + f->size8 * 8ull <= j->segments.bytes ? CLEAN_FOUND : CLEAN_NOWHERE;
    }
    if (c->page_owner != *owner || c->page_number != kept_page(s, f->lsn))
        return CLEAN_NEEDS_PAGE;
    struct keep_entry entry;
    if (!keep_find(c->page, c->page_entries, f->lsn, &entry) || entry.size8 != f->size8)
        return CLEAN_NOWHERE;
    *offset = entry.offset8 * 8ull;
    return *offset + f->size8 * 8ull <= j->segments.bytes ? CLEAN_FOUND : CLEAN_NOWHERE;
}

/* -- operations -- */

static unsigned clean_submit(struct journal *j, enum clean_op kind, const struct disk_op *op)
{
    struct disk_op tagged = *op;
    tagged.tag = log_tag(LOG_CLEAN, 0);
    if (!disk_submit(j->disk, &tagged))
        return 0;
    j->clean.op = (uint8_t)kind;
    j->clean.op_size = op->size;
    return 1;
}

static unsigned clean_write(struct journal *j)
{
    struct clean *c = &j->clean;
    struct disk_op op = {.kind = DISK_WRITE,
                         .file = clean_keep(j)->file,
                         .offset = c->out_at + c->out_done,
                         .data = c->out + c->out_done,
                         .size = c->out_goal - c->out_done};
    return clean_submit(j, CLEAN_WRITE, &op);
}

static unsigned clean_read_page(struct journal *j, uint16_t owner)
{
    struct clean *c = &j->clean;
    const struct segment *s = &j->segments.pool[owner];
    c->page_owner = owner;
    c->page_number = kept_page(s, c->list[c->read].lsn);
    struct disk_op op = {.kind = DISK_READ,
                         .file = s->file,
                         .offset = c->page_number * (uint64_t)DISK_BLOCK,
                         .data = c->page,
                         .size = DISK_BLOCK};
    unsigned n = clean_submit(j, CLEAN_PAGE, &op);
    if (n == 0)
        c->page_owner = SEGMENT_NONE;
    return n;
}

/* The next survivor, and those behind it that are near enough to come with the same read. */
static unsigned clean_read(struct journal *j)
{
    struct clean *c = &j->clean;
    uint16_t owner, other;
    uint64_t offset, next;
    enum clean_place place = clean_where(j, c->read, &owner, &offset);
    if (place == CLEAN_NEEDS_PAGE)
        return clean_read_page(j, owner);
    uint64_t at = offset / DISK_BLOCK * DISK_BLOCK, end = offset + c->list[c->read].size8 * 8ull;
    if (place == CLEAN_NOWHERE || end - at > LOG_CLEAN_BYTES(j->config.block_bytes_max) - DISK_BLOCK) {
        clean_spoiled(j, owner);
        return 1;
    }
    uint32_t i = c->read + 1;
    for (; i < c->count && clean_where(j, i, &other, &next) == CLEAN_FOUND && other == owner; i++) {
        uint64_t ends = next + c->list[i].size8 * 8ull;
        if (next < end || next - end > CLEAN_GAP || ends - at > LOG_CLEAN_PIECE)
            break;
        end = ends;
    }
    struct disk_op op = {.kind = DISK_READ, .file = j->segments.pool[owner].file, .offset = at, .data = c->window};
    op.size = (uint32_t)(round_up(end, DISK_BLOCK) - at);
    if (!clean_submit(j, CLEAN_READ, &op))
        return 0;
    c->window_at = at;
    c->window_owner = owner;
    c->read = i;
    c->paced = instant_add(j->now, (struct duration){op.size / 1024 * (uint64_t)CLEAN_NS_PER_KIB});
    return 1;
}

/* -- what was written is out of the way -- */

static void clean_wrote(struct journal *j, int32_t result)
{
    struct clean *c = &j->clean;
    if (result <= 0 || c->tries++ == CLEAN_TRIES) {
        mark(clean_write_failed);
        journal_fail(j, LEAT_DISK_ERROR);
        return;
    }
    c->out_done += (uint32_t)result;
    if (c->out_done < c->out_goal) {
        c->out_done -= c->out_done % DISK_BLOCK;
        return;
    }
    must(c->out_done == c->out_goal);
    c->out_at += c->out_goal;
    c->out_used = c->out_used > c->out_goal ? c->out_used - c->out_goal : 0;
    memmove(c->out, c->out + c->out_goal, c->out_used);
    c->out_done = c->out_goal = 0;
    c->tries = 0;
}

static void clean_has_read(struct journal *j, enum clean_op kind, int32_t result)
{
    struct clean *c = &j->clean;
    uint16_t owner = kind == CLEAN_PAGE ? c->page_owner : c->window_owner;
    bool right = result == (int32_t)c->op_size;
    if (right && kind == CLEAN_PAGE)
        right = kept_open(j, &j->segments.pool[owner], c->page_number, c->page, &c->page_entries);
    if (!right)
        clean_spoiled(j, owner);
}

void clean_completed(struct journal *j, int32_t result)
{
    struct clean *c = &j->clean;
    enum clean_op kind = (enum clean_op)c->op;
    must(kind != CLEAN_NOTHING);
    c->op = CLEAN_NOTHING;
    if (kind == CLEAN_WRITE) {
        clean_wrote(j, result);
    } else if (kind == CLEAN_FLUSH) {
        if (result < 0)
            journal_fail(j, LEAT_DISK_ERROR);
        c->state = CLEAN_SAFE;
    } else if (!c->given_up) {
        clean_has_read(j, kind, result);
    }
    if (c->given_up && c->state != CLEAN_IDLE) {
        segment_give_back(j);
        clean_end(j);
    }
}

/* -- the directory -- */

static void clean_fill_page(struct journal *j, uint8_t *page)
{
    struct clean *c = &j->clean;
    struct segment *keep = clean_keep(j);
    uint32_t number = c->listed / KEEP_ENTRIES, entries = 0;
    kept_set_fence(keep, number, c->list[c->listed].lsn);
    for (; entries < KEEP_ENTRIES && c->listed < c->count; entries++, c->listed++) {
        const struct journal_survivor *f = &c->list[c->listed];
        must(c->listed == 0 || f[-1].lsn.n < f->lsn.n);
        keep_put(page, entries, &(struct keep_entry){f->lsn, (uint32_t)c->offset8, f->size8});
        c->offset8 += f->size8;
        must(c->offset8 * 8 <= j->segments.bytes);
    }
    struct keep_page p = {.cluster = j->ledger.m.cluster,
                          .first = c->first,
                          .last = c->last,
                          .incarnation = keep->incarnation,
                          .number = number,
                          .pages = c->pages,
                          .entries = entries};
    keep_seal(page, &p);
}

static unsigned clean_directory(struct journal *j)
{
    struct clean *c = &j->clean;
    if (c->out_goal > 0)
        return clean_write(j);
    if (c->listed == c->count) {
        c->state = CLEAN_COPYING;
        return 1;
    }
    for (; c->out_used < LOG_CLEAN_PIECE && c->listed < c->count; c->out_used += DISK_BLOCK)
        clean_fill_page(j, c->out + c->out_used);
    c->out_goal = c->out_used;
    return clean_write(j) + 1;
}

/* -- the bodies -- */

const uint8_t *journal_clean_next(struct journal *j, struct journal_survivor *fact)
{
    const struct clean *c = &j->clean;
    if (c->state != CLEAN_COPYING || c->op != CLEAN_NOTHING || c->judged == c->read || c->out_used >= LOG_CLEAN_PIECE)
        return NULL;
    uint16_t owner;
    uint64_t offset;
    must(clean_where(j, c->judged, &owner, &offset) == CLEAN_FOUND && owner == c->window_owner);
    *fact = c->list[c->judged];
    return c->window + (offset - c->window_at);
}

void journal_clean_judge(struct journal *j, bool right)
{
    struct clean *c = &j->clean;
    struct journal_survivor fact;
    const uint8_t *bytes = journal_clean_next(j, &fact);
    must(bytes != NULL);
    if (!right) {
        clean_spoiled(j, c->window_owner);
        return;
    }
    uint32_t size = fact.size8 * 8;
    memcpy(c->out + c->out_used, bytes, size);
    c->out_used += size;
    c->copied += size;
    c->judged++;
}

/* Whole pages, or all that is left. */
static unsigned clean_copy(struct journal *j)
{
    struct clean *c = &j->clean;
    bool all = c->judged == c->count;
    if (c->out_goal == 0 && all && c->out_used == 0) {
        must(c->out_at <= j->segments.bytes);
#if LEAT_BUG == 50
        c->state = CLEAN_SAFE;
        return 1;
#endif
        struct disk_op op = {.kind = DISK_FLUSH, .file = clean_keep(j)->file};
        unsigned n = clean_submit(j, CLEAN_FLUSH, &op);
        if (n > 0)
            c->state = CLEAN_FLUSHING;
        return n;
    }
    if (c->out_goal == 0 && all) {
        c->out_goal = (uint32_t)round_up(c->out_used, DISK_BLOCK);
        memset(c->out + c->out_used, 0, c->out_goal - c->out_used);
    } else if (c->out_goal == 0 && c->out_used >= LOG_CLEAN_PIECE) {
        c->out_goal = c->out_used / DISK_BLOCK * DISK_BLOCK;
    }
    if (c->out_goal > 0)
        return clean_write(j);
    if (c->judged < c->read || (instant_before(j->now, c->paced) && !journal_short(j)))
        return 0; /* the caller's turn, or too early */
    return clean_read(j);
}

/* -- publishing -- */

static unsigned clean_publish(struct journal *j)
{
    struct clean *c = &j->clean;
#if LEAT_BUG != 51
    if (j->proven < c->position)
        return 0;
#endif
    if (journal_checkpoint_running(j))
        return 0;
    c->version = segment_replace(j, c->first, c->last);
    c->state = CLEAN_PUBLISHING;
    mark(clean_published);
    return 1;
}

static unsigned clean_done(struct journal *j)
{
    struct clean *c = &j->clean;
    if (j->ledger.durable < c->version)
        return 0;
    j->counters.cleanings++;
    j->counters.cleaned_bytes += c->copied;
    clean_end(j);
    return 1;
}

unsigned clean_step(struct journal *j)
{
    if (j->clean.op != CLEAN_NOTHING)
        return 0;
    switch (j->clean.state) {
    case CLEAN_DIRECTORY:
        return clean_directory(j);
    case CLEAN_COPYING:
        return clean_copy(j);
    case CLEAN_SAFE:
        return clean_publish(j);
    case CLEAN_PUBLISHING:
        return clean_done(j);
    default:
        return 0;
    }
}

/* Everything else is begun by a completion or by the caller. */
struct instant clean_next_due(const struct journal *j)
{
    const struct clean *c = &j->clean;
    bool reads = c->state == CLEAN_COPYING && c->op == CLEAN_NOTHING && c->judged == c->read && c->read < c->count;
    return reads ? instant_max(c->paced, j->now) : INSTANT_NEVER;
}

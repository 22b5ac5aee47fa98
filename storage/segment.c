/* segment.c - the files that hold the log, in the order of the log.
 *
 *   made ahead --> SPARE --enter--> CURRENT --next entered--> SEALED --nobody lives in it, checkpoint behind it-->
 * SPARE |                                          |
 *                   +--borrowed by the cleaner--> KEEP         +--its survivors are in a keep segment--> SPARE
 *
 * A spare is listed in the manifest with its next incarnation before the log may enter it, so entering needs no wait. A
 * recycled segment keeps its old bytes: incarnation and hash chain tell them from new ones.
 *
 * Of the dead, the newest history_bytes stay in the log for those who read it (leat explain); they go with the next
 * checkpoint when space is short.
 *
 * Which segments can go is decided when a checkpoint begins (those without a live body, wholly before its position) and
 * done when it is published: a body that an ack freed later may still be named by that image, and the ack itself may be
 * lost in a crash. What the cleaner has replaced goes at once (clean.c says why that is safe); a read that is under way
 * holds it until it has ended.
 *
 * What has become a spare counts as free when the manifest says so. A crash before that brings the old arrangement
 * back; what had been let in on credit would then stand where acks go round and starts have their room, and neither
 * these nor the cleaner would find any, for ever.
 *
 * Space: with T = disk_max / segment bytes, puts are refused when fewer than T/4 segments (2 to 8) are free or may
 * still be made, takes below T/8 (1 to 4); below T/16 (1 or 2) leases and delays that end wait unlogged; acks go on
 * until no segment has room. A block that the open block may become always has a place (segment_room() at each
 * reserve), so that a checkpoint can always begin. Two spares are made ahead, because others may fill the disk. No body
 * lies in the last two segments, so acks can go round in them for ever: while the one is filled, a checkpoint frees the
 * other. With one, the log would stand in it when it is full. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "mark.h"
#include "must.h"

enum { SEGMENT_RETRY_MS = 100, SEGMENT_TOTAL = 4, SEGMENT_FEW = 2, SEGMENT_SHORT = 16, SEGMENT_AHEAD = 2 };

struct segment *segment_at(const struct journal *j, uint32_t order)
{
    must(order < j->segments.total);
    return &j->segments.pool[j->segments.order[order]];
}

void segment_name(char name[DISK_NAME_MAX], uint32_t number)
{
    snprintf(name, DISK_NAME_MAX, "log-%08u", number);
}

uint64_t segment_last(const struct segment *s)
{
    return s->keep ? s->last : s->first + s->blocks - 1;
}

uint32_t segment_count(const struct journal *j)
{
    return j->segments.total + (j->segments.borrowed != SEGMENT_NONE);
}

/* -- how much is free -- */

static uint32_t segment_max(const struct journal *j)
{
    return j->segments.max;
}

static uint32_t segment_makeable(const struct journal *j)
{
    uint32_t max = segment_max(j), count = segment_count(j), room = max > count ? max - count : 0;
    return j->segments.full ? 0 : room < j->segments.affordable ? room : j->segments.affordable;
}

/* Spares that the manifest on the disk still calls something else. New files are not of them: after a crash they can be
 * made again. */
static uint32_t segment_on_credit(const struct journal *j)
{
    uint32_t n = 0;
    for (unsigned i = 0; i < 2; i++)
        n += j->segments.credit[i].version > j->ledger.durable ? j->segments.credit[i].spares : 0;
    return n;
}

/* One spare more that is one from this version on. At most two versions are not durable: one is written, one is next.
 */
static void segment_give_credit(struct journal *j, uint64_t version)
{
    struct credit *c = &j->segments.credit[version % 2];
    if (c->version != version)
        *c = (struct credit){.version = version};
    c->spares++;
}

uint32_t segment_free(const struct journal *j)
{
    uint32_t spares = j->segments.total - j->segments.log_count, credit = segment_on_credit(j);
    must(credit <= spares);
    return spares - credit + segment_makeable(j);
}

static uint32_t segment_mark_of_puts(const struct journal *j)
{
    uint32_t quarter = segment_max(j) / 4;
    return quarter < 2 ? 2 : quarter > 8 ? 8 : quarter;
}

/* -- the log's end -- */

static uint64_t segment_left(const struct journal *j)
{
    return j->segments.log_count > 0 ? j->segments.bytes - j->segments.tail : 0;
}

static bool segment_next_usable(const struct journal *j)
{
    const struct segments *t = &j->segments;
    if (t->log_count == t->total)
        return false;
    const struct segment *s = segment_at(j, t->log_count);
    return s->ready <= j->ledger.durable && s->reads == 0;
}

bool segment_room(const struct journal *j, uint32_t size)
{
    return segment_left(j) >= size || segment_next_usable(j);
}

void segment_enter(struct journal *j, uint64_t number)
{
    struct segment *s = segment_at(j, j->segments.log_count++);
    must(s->first == 0 || s->first == number);
    must(s->blocks == 0 && !s->keep);
    s->first = number;
    j->segments.tail = 0;
}

void segment_note(struct journal *j, uint64_t number, uint32_t size)
{
    struct segments *t = &j->segments;
    struct segment *s = segment_at(j, t->log_count - 1);
    must(number == s->first + s->blocks);
    s->index[s->blocks++] = (uint16_t)(t->tail / DISK_BLOCK);
    t->tail += size;
    must(t->tail <= t->bytes);
}

struct segment *segment_place(struct journal *j, uint64_t number, uint32_t size, uint64_t *offset)
{
    if (segment_left(j) < size) { /* and only then: recovery believes no other */
        must(segment_next_usable(j));
        segment_enter(j, number);
        mark(segment_entered);
    }
    *offset = j->segments.tail;
    segment_note(j, number, size);
    return segment_at(j, j->segments.log_count - 1);
}

uint32_t segment_find(const struct journal *j, uint64_t block)
{
    const struct segments *t = &j->segments;
    uint32_t low = 0, high = t->log_count; /* the last with first <= block is in [low - 1, high - 1] */
    if (high > 0 && segment_at(j, high - 1)->first <= block)
        return high - 1;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (segment_at(j, middle)->first <= block)
            low = middle + 1;
        else
            high = middle;
    }
    return low == 0 ? SEGMENT_NONE : low - 1;
}

/* -- live bodies -- */

bool journal_holds(const struct journal *j, uint64_t block)
{
    uint32_t order = segment_find(j, block);
    return order != SEGMENT_NONE && block <= segment_last(segment_at(j, order));
}

void journal_pin_many(struct journal *j, uint64_t block, uint64_t bodies, uint64_t bytes)
{
    if (block == j->open.number) {
        j->open.pins += bodies;
        j->open.live += bytes;
        return;
    }
    uint32_t order = segment_find(j, block);
    must(order != SEGMENT_NONE);
    struct segment *s = segment_at(j, order);
    s->pins += bodies;
    s->live += bytes;
}

void journal_pin(struct journal *j, uint64_t block, uint32_t bytes)
{
    journal_pin_many(j, block, 1, bytes);
}

void journal_unpin(struct journal *j, uint64_t block, uint32_t bytes)
{
    if (block == j->open.number) {
        must(j->open.pins > 0 && j->open.live >= bytes);
        j->open.pins--;
        j->open.live -= bytes;
        return;
    }
    uint32_t order = segment_find(j, block);
    must(order != SEGMENT_NONE);
    struct segment *s = segment_at(j, order);
    must(s->pins > 0 && s->live >= bytes);
    s->pins--;
    s->live -= bytes;
    j->segments.emptied += s->pins == 0 && order + 1 < j->segments.log_count;
}

bool journal_hoards(const struct journal *j)
{
    return j->backup.let_go || j->segments.emptied > SEGMENT_TOTAL + j->segments.log_count / 4;
}

/* The cleaner reads from it: its bytes stay until that has ended. */
static bool segment_is_cleaned(const struct journal *j, const struct segment *s)
{
    return j->clean.state != CLEAN_IDLE && s->first >= j->clean.first && segment_last(s) <= j->clean.last;
}

/* The newest of the dead stay, as history, while there is space for them. */
void segment_mark_dead(struct journal *j, uint32_t before)
{
    uint64_t history = journal_short(j) ? 0 : j->config.history_bytes / j->segments.bytes;
    j->segments.emptied = 0;
    j->backup.let_go = false;
    for (uint32_t i = j->segments.log_count; i-- > 0;) {
        struct segment *s = segment_at(j, i);
        s->dead = i < before && s->pins == 0 && !s->held && !segment_is_cleaned(j, s);
        j->backup.in_the_way |= i < before && s->pins == 0 && s->held;
        if (s->dead && !s->keep && history > 0) {
            mark(segment_kept_as_history);
            s->dead = false;
            history--;
        }
    }
}

/* Nothing of it is needed; a read may still be under way. */
static void segment_renew(struct journal *j, struct segment *s)
{
    *s = (struct segment){.name = s->name,
                          .incarnation = s->incarnation + 1,
                          .file = s->file,
                          .index = s->index,
                          .reads = s->reads,
                          .ready = ledger_change(j)};
    segment_give_credit(j, s->ready);
}

/* From the log to the end of the spares. */
static void segment_retire(struct journal *j, uint32_t order)
{
    struct segments *t = &j->segments;
    uint16_t slot = t->order[order];
    must(order + 1 < t->log_count);
    must(!t->pool[slot].held);
    memmove(t->order + order, t->order + order + 1, (t->total - order - 1) * sizeof t->order[0]);
    t->order[t->total - 1] = slot;
    t->log_count--;
    segment_renew(j, &t->pool[slot]);
    mark(segment_recycled);
}

void segment_recycle(struct journal *j)
{
    for (uint32_t i = 0; i < j->segments.log_count;) {
        const struct segment *s = segment_at(j, i);
        must(!s->dead || s->pins == 0);
        if (s->dead)
            segment_retire(j, i);
        else
            i++;
    }
}

/* -- what the file system has -- */

/* How many the file system has room for; asked when a file has been made, and ten times a second while it is short. */
void segment_afford(struct journal *j)
{
    uint64_t room = disk_free(j->disk) / j->segments.bytes;
    j->segments.affordable = room < MANIFEST_SEGMENTS_MAX ? (uint32_t)room : MANIFEST_SEGMENTS_MAX;
    j->segments.retry = instant_add(j->now, duration_ms(SEGMENT_RETRY_MS));
}

static bool segment_short(const struct journal *j)
{
    return j->segments.affordable < SEGMENT_SHORT && segment_count(j) + j->segments.affordable < segment_max(j);
}

bool segment_coming(const struct journal *j)
{
    return j->segments.log_count < j->segments.total || j->segments.borrowed != SEGMENT_NONE || segment_makeable(j) > 0;
}

bool journal_short(const struct journal *j)
{
    return segment_free(j) <= segment_mark_of_puts(j);
}

bool segment_dying(const struct journal *j)
{
    for (uint32_t i = 0; i + 1 < j->segments.log_count; i++)
        if (segment_at(j, i)->pins == 0)
            return true;
    return false;
}

bool segment_refuses(const struct journal *j, enum journal_purpose purpose)
{
    uint32_t max = segment_max(j), free = segment_free(j);
    if (purpose == JOURNAL_PUT && free > 0 && segment_left(j) < j->block_max)
        free--; /* its block may yet grow, and its body lie in the next one */
    uint32_t put = segment_mark_of_puts(j);
    uint32_t take = max / 8 < 1 ? 1 : max / 8 > 4 ? 4 : max / 8;
    uint32_t time = (take + 1) / 2;
#if LEAT_BUG == 32
    return false;
#endif
    switch (purpose) {
    case JOURNAL_PUT:
        return free < put;
    case JOURNAL_TAKE:
        return free < take;
    case JOURNAL_TIME:
        return free < time;
    case JOURNAL_ACK:
    case JOURNAL_START:
        return false;
    }
    return false;
}

/* -- the cleaner's -- */

/* The last spare, as long as the log has those that it wants; when no more can be made, any. */
bool segment_lends(const struct journal *j)
{
    const struct segments *t = &j->segments;
    uint32_t spares = t->total - t->log_count;
    if (spares == 0 || (spares <= SEGMENT_AHEAD && segment_makeable(j) > 0))
        return false;
    /* what was promised a place, and the starts to come, keep it */
    uint64_t promised = record_disk_size(j->open.payload) + LOG_START_BYTES;
    if (spares == 1 && segment_left(j) < promised)
        return false;
    const struct segment *s = segment_at(j, t->total - 1);
    return s->ready <= j->ledger.durable && s->reads == 0;
}

uint32_t segment_borrow(struct journal *j)
{
    struct segments *t = &j->segments;
    must(t->borrowed == SEGMENT_NONE);
    t->lend = !segment_lends(j);
    if (t->lend)
        return SEGMENT_NONE;
    return t->borrowed = t->order[--t->total];
}

void segment_give_back(struct journal *j)
{
    struct segments *t = &j->segments;
    must(t->borrowed != SEGMENT_NONE);
    segment_renew(j, &t->pool[t->borrowed]);
    t->order[t->total++] = t->borrowed;
    t->borrowed = SEGMENT_NONE;
}

uint64_t segment_replace(struct journal *j, uint64_t first, uint64_t last)
{
    struct segments *t = &j->segments;
    struct segment *keep = &t->pool[t->borrowed];
    uint32_t at = 0;
    must(t->borrowed != SEGMENT_NONE && keep->keep);
    while (segment_at(j, at)->first < first)
        at++;
    keep->pins = keep->live = 0;
    while (segment_at(j, at)->first <= last) {
        const struct segment *s = segment_at(j, at);
        must(segment_last(s) <= last);
        keep->pins += s->pins;
        keep->live += s->live;
        segment_retire(j, at);
#if LEAT_BUG == 53
        segment_at(j, t->total - 1)->ready = 0; /* and it is the next to be written */
        uint16_t slot = t->order[t->total - 1];
        t->order[t->total - 1] = t->order[t->log_count];
        t->order[t->log_count] = slot;
#endif
        j->counters.cleaned_segments++;
    }
    memmove(t->order + at + 1, t->order + at, (t->total - at) * sizeof t->order[0]);
    t->order[at] = t->borrowed;
    t->borrowed = SEGMENT_NONE;
    t->total++;
    t->log_count++;
    keep->first = first;
    keep->last = last;
    return ledger_change(j);
}

/* -- making them ahead, and giving back too many -- */

uint32_t segment_add(struct journal *j, uint32_t name, uint32_t incarnation, uint32_t file)
{
    struct segments *t = &j->segments;
    must(t->unused_count > 0);
    uint16_t slot = t->unused[--t->unused_count];
    t->pool[slot] = (struct segment){
        .name = name, .incarnation = incarnation, .file = file, .index = t->indices + slot * (t->bytes / DISK_BLOCK)};
    t->order[t->total++] = slot;
    if (name >= t->next_name)
        t->next_name = name + 1;
    return slot;
}

static bool segment_wanted(const struct journal *j)
{
    const struct segments *t = &j->segments;
    bool few = t->total - t->log_count < (t->lend ? SEGMENT_AHEAD + 1 : SEGMENT_AHEAD);
    few |= t->full; /* only another try tells whether it still is */
    return t->creating == CREATING_NOTHING && few && segment_count(j) < segment_max(j) && t->affordable > 0;
}

static unsigned segment_make(struct journal *j)
{
    struct segments *t = &j->segments;
    bool due = !instant_before(j->now, t->retry);
    if (due && (t->full || segment_short(j)))
        segment_afford(j);
    if (!segment_wanted(j) || (t->full && !due))
        return 0;
    char name[DISK_NAME_MAX];
    segment_name(name, t->next_name);
    if (!disk_create_start(j->disk, name, t->bytes, log_tag(LOG_CREATE, 0))) {
        segment_created(j, -EAGAIN);
        return 0;
    }
    t->creating = CREATING_SEGMENT;
    return 1;
}

void segment_created(struct journal *j, int32_t result)
{
    struct segments *t = &j->segments;
    t->creating = CREATING_NOTHING;
    segment_afford(j);
    t->full = result < 0;
    if (t->full) {
        mark(segment_not_made);
        return;
    }
    uint32_t slot = segment_add(j, t->next_name, 1, (uint32_t)result);
    t->pool[slot].ready = ledger_change(j);
}

/* The last spare goes when there are more than the log needs (of a backlog one more stays, which its next segment would
 * only make again): its head is erased first, so that a crash in between leaves a file which is known to hold nothing.
 */
static unsigned segment_trim(struct journal *j)
{
    struct segments *t = &j->segments;
    if (t->trim == TRIM_LISTED && j->ledger.durable > t->trim_version) { /* neither copy lists it */
        char name[DISK_NAME_MAX];
        segment_name(name, t->pool[t->trim_slot].name);
        disk_close(j->disk, t->pool[t->trim_slot].file);
        disk_remove(j->disk, name);
        t->unused[t->unused_count++] = t->trim_slot;
        t->trim = TRIM_NOTHING;
        mark(segment_given_back);
        return 1;
    }
    uint32_t spare = t->total - t->log_count, kept = SEGMENT_AHEAD + (t->log_count > SEGMENT_FEW);
    if (t->trim != TRIM_NOTHING || segment_count(j) <= SEGMENT_TOTAL || spare <= kept)
        return 0;
    struct segment *s = segment_at(j, t->total - 1);
    if (s->ready > j->ledger.durable || s->reads > 0)
        return 0;
    struct disk_op op = {.kind = DISK_WRITE, .file = s->file, .data = t->zeros, .size = DISK_BLOCK};
    op.tag = log_tag(LOG_ERASE, 0);
    if (!disk_submit(j->disk, &op))
        return 0;
    s->ready = UINT64_MAX; /* the log does not enter it */
    t->trim_slot = t->order[t->total - 1];
    t->trim = TRIM_ERASING;
    return 1;
}

void segment_erased(struct journal *j, enum log_tag kind, int32_t result)
{
    struct segments *t = &j->segments;
    if (kind == LOG_ERASE) {
        struct disk_op op = {
            .kind = DISK_FLUSH, .file = t->pool[t->trim_slot].file, .tag = log_tag(LOG_ERASE_FLUSH, 0)};
        must(t->trim == TRIM_ERASING);
        if (result == DISK_BLOCK && disk_submit(j->disk, &op))
            t->trim = TRIM_FLUSHING;
        else
            journal_fail(j, LEAT_DISK_ERROR);
        return;
    }
    must(t->trim == TRIM_FLUSHING);
    if (result < 0) {
        journal_fail(j, LEAT_DISK_ERROR);
        return;
    }
    uint32_t i = t->log_count;
    while (t->order[i] != t->trim_slot)
        i++;
    memmove(t->order + i, t->order + i + 1, (t->total - i - 1) * sizeof t->order[0]);
    t->total--;
    t->trim = TRIM_LISTED;
    t->trim_version = ledger_change(j);
    for (; i < t->total; i++) /* until then a restart would look for their blocks in the one that is gone */
        if (segment_at(j, i)->ready < t->trim_version)
            segment_at(j, i)->ready = t->trim_version;
}

unsigned segment_step(struct journal *j)
{
    return segment_make(j) + segment_trim(j);
}

struct instant segment_next_due(const struct journal *j)
{
    if (segment_wanted(j) && !j->segments.full)
        return j->now;
    return segment_wanted(j) || segment_short(j) ? instant_max(j->segments.retry, j->now) : INSTANT_NEVER;
}

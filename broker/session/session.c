/* session.c - windows and kept answers. */
#include "session.h"

#include <string.h>

#include "mark.h"
#include "must.h"

enum leat_status session_open_table(struct session_table *t, uint32_t capacity)
{
    must(capacity < 1u << 16);
    enum leat_status status = slab_open(&t->sessions, capacity, sizeof(struct session));
    if (status == LEAT_OK)
        status = slab_image_open(&t->sessions);
    if (status != LEAT_OK)
        slab_close(&t->sessions);
    return status;
}

void session_close_table(struct session_table *t)
{
    slab_close(&t->sessions);
}

static const struct session *at(const struct session_table *t, uint32_t index)
{
    return slab_at(&t->sessions, index);
}

static struct session *write_at(struct session_table *t, uint32_t index)
{
    return slab_write(&t->sessions, index);
}

/* A count of 1 to 1023, so that a handle is never 0, and behind it the end of the epoch: a crash may take away that a
 * session was opened, and with it the count, while packets that name it are still under way. */
enum { EPOCH_BITS = 6, COUNT_MAX = 0xffff >> EPOCH_BITS };

static uint32_t next_generation(uint32_t generation, uint32_t epoch)
{
#if LEAT_BUG == 62
    epoch = 0;
#endif
    uint32_t count = (generation >> EPOCH_BITS) % COUNT_MAX + 1;
    return count << EPOCH_BITS | (epoch & ((1u << EPOCH_BITS) - 1));
}

uint32_t session_next_handle(const struct session_table *t, uint32_t epoch)
{
    uint32_t index = slab_next(&t->sessions);
    if (index == SLAB_NONE)
        return 0;
    return index | next_generation(at(t, index)->generation, epoch) << 16;
}

bool session_may_open(const struct session_table *t, uint32_t handle)
{
    uint32_t index = slab_next(&t->sessions), generation = handle >> 16;
    return index != SLAB_NONE && (handle & 0xffff) == index && generation != 0 &&
           generation != at(t, index)->generation;
}

struct session *session_open(struct session_table *t, uint32_t handle, uint16_t window, uint64_t secret)
{
    must(window >= WINDOW_MIN && window <= WINDOW_MAX);
    must((window & (window - 1)) == 0);
    must(session_may_open(t, handle));
    struct session *s = write_at(t, slab_take(&t->sessions));
    memset(s, 0, sizeof *s);
    s->handle = handle;
    s->generation = handle >> 16;
    s->secret = secret;
    s->window = window;
    s->live = 1;
    s->next = 1;
    return s;
}

const struct session *session_find(const struct session_table *t, uint32_t handle)
{
    uint32_t index = handle & 0xffff;
    if (index >= t->sessions.used)
        return NULL;
    const struct session *s = at(t, index);
    return s->live && s->handle == handle ? s : NULL;
}

struct session *session_write(struct session_table *t, uint32_t handle)
{
    return session_find(t, handle) ? write_at(t, handle & 0xffff) : NULL;
}

void session_end(struct session_table *t, uint32_t handle)
{
    struct session *s = session_write(t, handle);
    must(s != NULL);
    s->live = 0;
    slab_give(&t->sessions, handle & 0xffff);
}

bool session_sound(const struct session_table *t)
{
    for (uint32_t i = 0; i < t->sessions.used; i++) {
        const struct session *s = at(t, i);
        if (!s->live)
            continue;
        if ((s->handle & 0xffff) != i || s->handle >> 16 != s->generation || s->generation > 0xffff)
            return false;
        if (s->window < WINDOW_MIN || s->window > WINDOW_MAX || (s->window & (s->window - 1)) != 0)
            return false;
        for (unsigned k = 0; k < WINDOW_MAX; k++)
            if (s->slots[k].runs_count > RUNS_MAX)
                return false;
    }
    return true;
}

void session_restarted(struct session_table *t)
{
    for (uint32_t i = 0; i < t->sessions.used; i++)
        write_at(t, i)->next = 0;
}

static const struct session_slot *slot_of(const struct session *s, uint64_t number)
{
    return &s->slots[number & (s->window - 1u)];
}

static struct session_slot *slot_write(struct session *s, uint64_t number)
{
    return &s->slots[number & (s->window - 1u)];
}

/* After a restart, requests behind `next` may have been answered already: they are repeated, and the next to execute
 * lies behind them. */
static void skip_answered(struct session *s)
{
    while (slot_of(s, s->next)->number == s->next && slot_of(s, s->next)->answered)
        s->next++;
}

/* What the client has the answer of does not come again, so nobody need remember what it was. */
static void note_answered(struct session *s, uint64_t number)
{
    struct session_slot *slot = slot_write(s, number);
    if (number < s->next || slot->number > number)
        return;
    if (slot->number < number)
        memset(slot, 0, sizeof *slot);
    slot->number = number;
    slot->answered = 1;
}

bool session_resume(struct session *s, uint64_t oldest, uint64_t answered)
{
    if (oldest == 0 || oldest > UINT64_MAX - WINDOW_MAX)
        return false;
    for (unsigned i = 0; i < s->window; i++)
        if (s->slots[i].number >= oldest + s->window)
            return false; /* it could not have sent that one without the answers it says it lacks */
    if (s->next == 0)
        mark(session_resumed_after_restart);
    /* After a restart next is 0: all that is unanswered from `oldest` on comes again, and each slot knows what it has
     * seen. Else next lies behind all of it already, unless a late hello of another day was believed before. */
    if (s->next < oldest)
        s->next = oldest;
    for (unsigned i = 0; i < s->window; i++)
        if (answered >> i & 1)
            note_answered(s, oldest + i);
    skip_answered(s);
    return true;
}

enum session_verdict session_arrive(const struct session *s, uint64_t number)
{
    const struct session_slot *slot = slot_of(s, number);
    if (number == 0 || number < slot->number)
        return SESSION_OLD;
    if (s->next == 0 || number > s->next) {
        mark(session_gap);
        return SESSION_GAP;
    }
    if (number > slot->number)
        return number == s->next ? SESSION_EXECUTE : SESSION_OLD;
    if (slot->answered)
        return SESSION_REPEAT;
    return number == s->next ? SESSION_CONTINUE : SESSION_WAIT;
}

uint16_t session_done(const struct session *s, uint64_t number)
{
    const struct session_slot *slot = slot_of(s, number);
    return slot->number == number ? slot->done : 0;
}

static void start_slot(struct session *s, uint64_t number, uint8_t op)
{
    struct session_slot *slot = slot_write(s, number);
    must(number > slot->number);
    memset(slot, 0, sizeof *slot);
    slot->number = number;
    slot->op = op;
}

void session_begin(struct session *s, uint64_t number, uint8_t op)
{
    must(number == s->next);
    if (slot_of(s, number)->number != number)
        start_slot(s, number, op);
    else
        mark(session_batch_continued);
    slot_write(s, number)->op = op; /* replay does not know it where the first entries were refused */
    s->next = number + 1;
    skip_answered(s);
}

/* Whether an entry with this outcome makes the last run longer. */
static bool extends(const struct session_slot *slot, enum leat_status status, uint32_t epoch, struct lsn lsn)
{
    if (slot->runs_count == 0)
        return false;
    const struct reply_run *last = &slot->runs[slot->runs_count - 1];
    if (last->status != status || last->epoch != epoch)
        return false;
    return lsn.n == 0 ? last->lsn.n == 0 : last->lsn.n != 0 && lsn.n == last->lsn.n + last->count;
}

bool session_fits(const struct session *s, uint64_t number, enum leat_status status, uint32_t epoch, struct lsn lsn)
{
    const struct session_slot *slot = slot_of(s, number);
    return slot->runs_count < RUNS_MAX || extends(slot, status, epoch, lsn);
}

void session_note(struct session *s, uint64_t number, uint8_t op, uint16_t entry, enum leat_status status,
                  uint32_t epoch, struct lsn lsn, uint64_t block)
{
    struct session_slot *slot = slot_write(s, number);
    if (slot->number != number)
        start_slot(s, number, op); /* replay: nobody began it here */
    must(entry == slot->done);
    must(!slot->answered);
    slot->done++;
    if (block > slot->reveals)
        slot->reveals = block;
    if (extends(slot, status, epoch, lsn)) {
        slot->runs[slot->runs_count - 1].count++;
        return;
    }
    must(slot->runs_count < RUNS_MAX);
    slot->runs[slot->runs_count++] = (struct reply_run){(uint16_t)status, 1, epoch, lsn};
}

void session_finish(struct session *s, uint64_t number, enum leat_status status)
{
    struct session_slot *slot = slot_write(s, number);
    must(slot->number == number);
    must(!slot->answered);
    slot->answered = 1;
    slot->status = (uint8_t)status;
}

const struct session_slot *session_kept(const struct session *s, uint64_t number)
{
    const struct session_slot *slot = slot_of(s, number);
    must(slot->number == number);
    return slot;
}

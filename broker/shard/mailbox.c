/* mailbox.c - two rings of letters and, for each end, a bell that is rung only when that end sleeps.
 *
 *     other thread                                          shard
 *     post ------------------> [requests] ----------------> receive
 *     collect <--------------- [answers]  <---------------- answer
 *
 * No end ever waits for the other: a ring operation is a few loads and stores. The one question between the ends is
 * whether to wake a sleeper, and it is decided by one word per end, `armed`, that both ends change by exchange only:
 *
 *     sender:   put the letter in the ring, then take `armed` away; if it was there, ring
 *     sleeper:  set `armed`, then look into the ring once more; if a letter is there, do not sleep
 *
 * Whichever exchange comes second sees what was done before the first, so either the sleeper sees the letter or the
 * sender sees the sleeper; a bell is rung at most once per sleep.
 *
 * At most MAILBOX_LETTERS are under way, both rings together, so the answer to a letter always finds room. */
#include "mailbox.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <ck_ring.h>

#include "must.h"

/* Concurrency Kit orders its loads and stores in assembly, where ThreadSanitizer does not look. We tell it the one
 * promise of a ring: who sees that a letter is there sees what was written before it was put in. (That a place is
 * emptied before it is used again needs no promise: 64 letters later, at least one has made the whole round trip.) */
#if defined(__SANITIZE_THREAD__)
#define MAILBOX_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define MAILBOX_TSAN 1
#endif
#endif
#ifdef MAILBOX_TSAN
#include <sanitizer/tsan_interface.h>
#define before_putting(ring) __tsan_release(ring)
#define after_seeing(ring) __tsan_acquire(ring)
#else
#define before_putting(ring) ((void)0)
#define after_seeing(ring) ((void)0)
#endif

enum { MAILBOX_MAGIC = 0x4c4d424f, RING_PLACES = 64 };
_Static_assert(MAILBOX_LETTERS == RING_PLACES - 1, "a ck_ring keeps one place empty");

/* One direction; `armed`, bell and context are those of the end that takes letters out. */
struct way {
    struct ck_ring ring;
    ck_ring_buffer_t places[RING_PLACES];
    _Alignas(64) atomic_bool armed;
    mailbox_bell *bell;
    void *context;
};

struct mailbox {
    struct way requests, answers;
    _Alignas(64) unsigned under_way; /* the other thread's */
    uint32_t magic;
};

enum leat_status mailbox_open(struct mailbox **out, mailbox_bell *shard_bell, void *shard_context,
                              mailbox_bell *other_bell, void *other_context)
{
    struct mailbox *m = aligned_alloc(_Alignof(struct mailbox), sizeof *m);
    if (!m)
        return LEAT_NO_MEMORY;
    memset(m, 0, sizeof *m);
    ck_ring_init(&m->requests.ring, RING_PLACES);
    ck_ring_init(&m->answers.ring, RING_PLACES);
    m->requests.bell = shard_bell;
    m->requests.context = shard_context;
    m->answers.bell = other_bell;
    m->answers.context = other_context;
    m->magic = MAILBOX_MAGIC;
    *out = m;
    return LEAT_OK;
}

void mailbox_close(struct mailbox *m)
{
    must(m->magic == MAILBOX_MAGIC);
    m->magic = 0;
    free(m);
}

static void way_put(struct way *w, struct letter *l)
{
    void **place = ck_ring_enqueue_reserve_spsc(&w->ring, w->places);
    must(place != NULL);
    *place = l;
    before_putting(&w->ring);
    ck_ring_enqueue_commit_spsc(&w->ring);
    if (atomic_exchange(&w->armed, false) && w->bell)
        w->bell(w->context);
}

static struct letter *way_take(struct way *w)
{
    if (ck_ring_size(&w->ring) == 0)
        return NULL;
    after_seeing(&w->ring);
    void *l;
    bool taken = ck_ring_dequeue_spsc(&w->ring, w->places, &l);
    must(taken);
    return l;
}

static bool way_arm(struct way *w)
{
    atomic_exchange(&w->armed, true);
    return ck_ring_size(&w->ring) == 0;
}

static void way_disarm(struct way *w)
{
    atomic_store(&w->armed, false);
}

bool mailbox_post_xcore(struct mailbox *m, struct letter *l)
{
    must(m->magic == MAILBOX_MAGIC);
    if (m->under_way == MAILBOX_LETTERS)
        return false;
    m->under_way++;
    way_put(&m->requests, l);
    return true;
}

struct letter *mailbox_collect_xcore(struct mailbox *m)
{
    struct letter *l = way_take(&m->answers);
    if (l)
        m->under_way--;
    return l;
}

bool mailbox_arm_xcore(struct mailbox *m)
{
    return way_arm(&m->answers);
}

void mailbox_disarm_xcore(struct mailbox *m)
{
    way_disarm(&m->answers);
}

struct letter *mailbox_receive(struct mailbox *m)
{
    return way_take(&m->requests);
}

void mailbox_answer(struct mailbox *m, struct letter *l)
{
    must(m->magic == MAILBOX_MAGIC);
    way_put(&m->answers, l);
}

bool mailbox_arm(struct mailbox *m)
{
    return way_arm(&m->requests);
}

void mailbox_disarm(struct mailbox *m)
{
    way_disarm(&m->requests);
}

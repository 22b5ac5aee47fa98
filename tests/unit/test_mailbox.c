/* test_mailbox.c - letters between two threads: none lost, none twice, no sleeper forgotten.
 *
 * The last tests run a real second thread; `make tsan` runs this file under ThreadSanitizer as well. Sleepers sleep in
 * poll() on an eventfd with no time-out: a bell that is not rung hangs the test, and the runner's time limit fails it.
 */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "mailbox.h"
#include "shard.h"
#include "test.h"

static void count_ring(void *context)
{
    ++*(unsigned *)context;
}

TEST(mailbox, a_letter_goes_there_and_comes_back_answered)
{
    struct mailbox *m;
    assert_int_equal(mailbox_open(&m, NULL, NULL, NULL, NULL), LEAT_OK);
    struct letter l = {.kind = LETTER_QUEUES, .from = 5};
    assert_null(mailbox_receive(m));
    assert_true(mailbox_post_xcore(m, &l));
    assert_null(mailbox_collect_xcore(m));
    struct letter *there = mailbox_receive(m);
    assert_ptr_equal(there, &l);
    assert_null(mailbox_receive(m));
    there->count = 9;
    mailbox_answer(m, there);
    assert_ptr_equal(mailbox_collect_xcore(m), &l);
    assert_int_equal(l.count, 9);
    assert_null(mailbox_collect_xcore(m));
    mailbox_close(m);
}

TEST(mailbox, letters_keep_their_order_and_the_64th_is_refused_until_one_has_come_back)
{
    struct mailbox *m;
    assert_int_equal(mailbox_open(&m, NULL, NULL, NULL, NULL), LEAT_OK);
    struct letter l[MAILBOX_LETTERS + 1] = {0};
    for (unsigned round = 0; round < 5; round++) {
        for (unsigned i = 0; i < MAILBOX_LETTERS; i++)
            assert_true(mailbox_post_xcore(m, &l[i]));
        assert_false(mailbox_post_xcore(m, &l[MAILBOX_LETTERS]));
        for (unsigned i = 0; i < MAILBOX_LETTERS; i++) {
            assert_ptr_equal(mailbox_receive(m), &l[i]);
            assert_false(mailbox_post_xcore(m, &l[MAILBOX_LETTERS])); /* received is still under way */
        }
        for (unsigned i = 0; i < MAILBOX_LETTERS; i++)
            mailbox_answer(m, &l[i]);
        for (unsigned i = 0; i < MAILBOX_LETTERS; i++)
            assert_ptr_equal(mailbox_collect_xcore(m), &l[i]);
    }
    mailbox_close(m);
}

TEST(mailbox, a_bell_rings_for_a_sleeper_only_and_once)
{
    unsigned shard_rings = 0, other_rings = 0;
    struct mailbox *m;
    assert_int_equal(mailbox_open(&m, count_ring, &shard_rings, count_ring, &other_rings), LEAT_OK);
    struct letter a = {0}, b = {0};
    assert_true(mailbox_post_xcore(m, &a)); /* nobody sleeps */
    assert_int_equal(shard_rings, 0);
    assert_false(mailbox_arm(m)); /* a letter is here: do not sleep */
    mailbox_disarm(m);
    assert_ptr_equal(mailbox_receive(m), &a);
    assert_true(mailbox_arm(m));
    assert_true(mailbox_post_xcore(m, &b));
    assert_int_equal(shard_rings, 1);
    mailbox_answer(m, &a);
    assert_int_equal(other_rings, 0);
    assert_ptr_equal(mailbox_collect_xcore(m), &a);
    assert_true(mailbox_post_xcore(m, &a)); /* the sleeper was woken already */
    assert_int_equal(shard_rings, 1);
    assert_true(mailbox_arm_xcore(m));
    mailbox_answer(m, mailbox_receive(m));
    mailbox_answer(m, mailbox_receive(m));
    assert_int_equal(other_rings, 1);
    assert_false(mailbox_arm_xcore(m));
    mailbox_disarm_xcore(m);
    mailbox_close(m);
}

/* Two threads: a shard that adds 1 to `from` and fills in a counter, and us. */
struct pair {
    struct mailbox *m;
    int shard_fd, other_fd;
    bool sleepy;
    unsigned letters; /* that the shard answers before it ends */
};

static void ring_fd(void *context)
{
    uint64_t one = 1;
    assert_int_equal(write(*(int *)context, &one, sizeof one), sizeof one);
}

static void sleep_on(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    uint64_t rings;
    assert_int_equal(poll(&p, 1, -1), 1);
    assert_int_equal(read(fd, &rings, sizeof rings), sizeof rings);
}

static void *shard_main(void *context)
{
    struct pair *p = context;
    for (unsigned answered = 0; answered < p->letters;) {
        struct letter *l = mailbox_receive(p->m);
        if (l) {
            l->from++;
            l->counters->requests[l->from % 64]++;
            mailbox_answer(p->m, l);
            answered++;
        } else if (p->sleepy) {
            if (mailbox_arm(p->m))
                sleep_on(p->shard_fd);
            mailbox_disarm(p->m);
        } else {
            sched_yield(); /* one core may be all there is */
        }
    }
    return NULL;
}

enum { ROUNDS = 20000, IN_FLIGHT = 8 };

static void pair_run(bool sleepy)
{
    struct pair p = {.shard_fd = eventfd(0, EFD_NONBLOCK), .other_fd = eventfd(0, EFD_NONBLOCK), .sleepy = sleepy};
    p.letters = ROUNDS * IN_FLIGHT;
    assert_int_equal(mailbox_open(&p.m, ring_fd, &p.shard_fd, ring_fd, &p.other_fd), LEAT_OK);
    struct shard_counters counters[IN_FLIGHT] = {0};
    struct letter letters[IN_FLIGHT];
    pthread_t shard;
    assert_int_equal(pthread_create(&shard, NULL, shard_main, &p), 0);
    for (unsigned i = 0; i < IN_FLIGHT; i++) {
        letters[i] = (struct letter){.counters = &counters[i]};
        assert_true(mailbox_post_xcore(p.m, &letters[i]));
    }
    for (unsigned back = 0; back < p.letters;) {
        struct letter *l = mailbox_collect_xcore(p.m);
        if (l) {
            back++;
            assert_int_equal(l->counters->requests[l->from % 64], (l->from - 1) / 64 + 1);
            if (l->from < ROUNDS)
                assert_true(mailbox_post_xcore(p.m, l));
        } else if (sleepy) {
            if (mailbox_arm_xcore(p.m))
                sleep_on(p.other_fd);
            mailbox_disarm_xcore(p.m);
        } else {
            sched_yield();
        }
    }
    pthread_join(shard, NULL);
    for (unsigned i = 0; i < IN_FLIGHT; i++)
        assert_int_equal(letters[i].from, ROUNDS);
    mailbox_close(p.m);
    close(p.shard_fd);
    close(p.other_fd);
}

TEST(mailbox, two_threads_that_never_sleep_lose_nothing)
{
    pair_run(false);
}

TEST(mailbox, two_threads_that_sleep_whenever_they_can_wake_each_other)
{
    pair_run(true);
}

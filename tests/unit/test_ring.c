/* test_ring.c - the rooms of broker/os: ring, signals, lockfile, clock, cores, entropy. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "cores.h"
#include "entropy.h"
#include "lockfile.h"
#include "ring.h"
#include "signals.h"
#include "test.h"
#include "thread.h"

enum { SEEN_MAX = 10000 };

struct seen {
    struct ring_completion all[SEEN_MAX];
    unsigned count;
};

static struct seen seen;

static void see(void *context, const struct ring_completion *c)
{
    struct seen *s = context;
    if (s->count < SEEN_MAX)
        s->all[s->count++] = *c;
}

static struct ring *ring_fresh(uint8_t *owner)
{
    struct ring *r = NULL;
    char error[256] = "";
    seen.count = 0;
    assert_int_equal(ring_open(&r, error), LEAT_OK);
    *owner = ring_owner(r, see, &seen);
    return r;
}

static void reap_until(struct ring *r, unsigned count)
{
    while (seen.count < count) {
        ring_wait(r, duration_s(10));
        assert_true(ring_reap(r) > 0);
    }
}

static int eventfd_fresh(void)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void event_set(int fd)
{
    uint64_t one = 1;
    assert_int_equal(write(fd, &one, sizeof one), sizeof one);
}

TEST(ring, what_was_written_is_read_back_through_descriptors_and_registered_files)
{
    uint8_t owner;
    struct ring *r = ring_fresh(&owner);
    FILE *file = tmpfile();
    int fd = fileno(file);
    int index = ring_file_add(r, fd);
    assert_true(index >= 0);
    static char text[] = "a leat feeds the wheel", back[sizeof text];
    ring_write(r, owner, 7, (struct ring_file){.number = index, .fixed = true}, text, sizeof text, 4096, true);
    reap_until(r, 1);
    assert_int_equal(seen.all[0].tag, 7);
    assert_int_equal(seen.all[0].result, sizeof text);
    ring_fsync(r, owner, 8, (struct ring_file){.number = fd});
    ring_read(r, owner, 9, (struct ring_file){.number = fd}, back, sizeof back, 4096);
    reap_until(r, 3);
    assert_string_equal(back, text);
    ring_file_remove(r, index);
    ring_close(r);
    fclose(file);
}

TEST(ring, registered_memory_serves_reads_and_writes_inside_a_slice_and_others_go_the_common_way)
{
    uint8_t owner;
    struct ring *r = ring_fresh(&owner);
    FILE *file = tmpfile();
    struct ring_file f = {.number = fileno(file)};
    enum { SIZE = (8 << 20) + 8192 };
    size_t slice = 0;
    uint8_t *area = aligned_alloc(4096, SIZE), outside[16] = "outside";
    assert_true(ring_memory_area(r, area, SIZE, &slice));
    assert_int_equal(slice, 4 << 20);
    memset(area, 'x', SIZE);
    assert_true(ring_memory_pin(r, 2)); /* the short one at the end; so much any user may pin */
    ring_write(r, owner, 1, f, area + 2 * slice, 4096, 0, false);
    reap_until(r, 1);
    memset(area + 2 * slice, 'y', 8192);
    ring_read(r, owner, 2, f, area + 2 * slice + 4096, 4096, 0);
    ring_write(r, owner, 3, f, outside, sizeof outside, 8192, false);
    ring_write(r, owner, 4, f, area + 2 * slice - 4096, 8192, 16384, false); /* half of it in a slice without */
    ring_write(r, owner, 5, f, area, 4096, 32768, false);
    reap_until(r, 5);
    assert_memory_equal(area, area + 2 * slice + 4096, 4096);
    assert_int_equal(area[2 * slice], 'y');
    assert_int_equal(seen.all[1].result + seen.all[2].result, 4096 + 16);
    assert_int_equal(seen.all[3].result + seen.all[4].result, 8192 + 4096);
    ring_memory_gone(r);
    ring_write(r, owner, 6, f, area + 2 * slice, 4096, 0, false);
    reap_until(r, 6);
    assert_int_equal(seen.all[5].result, 4096);
    assert_true(ring_memory_area(r, area, 4096, &slice)); /* and another area may come */
    ring_close(r);
    free(area);
    fclose(file);
}

TEST(ring, an_idle_ring_is_reaped_and_submitted_without_a_system_call)
{
    uint8_t owner;
    struct ring *r = ring_fresh(&owner);
    int fd = eventfd_fresh();
    ring_poll_multishot(r, owner, 1, fd, POLLIN);
    ring_submit(r);
    uint64_t enters = ring_counters(r).enters;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(ring_reap(r), 0);
        ring_submit(r);
    }
    assert_false(ring_ready(r));
    assert_int_equal(ring_counters(r).enters, enters);
    event_set(fd);
    assert_true(ring_ready(r));
    assert_int_equal(ring_reap(r), 1);
    assert_true(seen.all[0].more);
    assert_int_equal(ring_counters(r).enters, enters + 1);
    ring_close(r);
    close(fd);
}

TEST(ring, a_wait_ends_at_its_limit_and_at_once_when_something_is_there)
{
    uint8_t owner;
    struct ring *r = ring_fresh(&owner);
    struct instant before = clock_now();
    ring_wait(r, duration_ms(20));
    assert_true(instant_since(clock_now(), before).ns >= duration_ms(20).ns);
    assert_int_equal(ring_reap(r), 0);
    int fd = eventfd_fresh();
    event_set(fd);
    ring_poll(r, owner, 5, fd, POLLIN);
    ring_wait(r, (struct duration){UINT64_MAX});
    assert_int_equal(ring_reap(r), 1);
    assert_int_equal(seen.all[0].tag, 5);
    assert_false(seen.all[0].more);
    ring_close(r);
    close(fd);
}

static void wake(void *context)
{
    event_set(*(int *)context);
}

TEST(ring, another_thread_wakes_a_sleeping_one_by_an_eventfd)
{
    uint8_t owner;
    struct ring *r = ring_fresh(&owner);
    int fd = eventfd_fresh();
    struct thread t;
    ring_poll_multishot(r, owner, 1, fd, POLLIN);
    ring_submit(r);
    assert_true(thread_start(&t, wake, &fd, "test-wake"));
    ring_wait(r, duration_s(10));
    assert_int_equal(ring_reap(r), 1);
    thread_join(&t);
    ring_close(r);
    close(fd);
}

TEST(ring, more_requests_than_both_queues_hold_all_complete)
{
    uint8_t owner;
    struct ring *r = ring_fresh(&owner);
    int fd = eventfd_fresh();
    enum { MANY = SEEN_MAX };
    for (unsigned i = 0; i < MANY; i++)
        ring_poll(r, owner, i, fd, POLLIN);
    ring_submit(r);
    assert_int_equal(ring_reap(r), 0);
    event_set(fd);
    reap_until(r, MANY);
    assert_int_equal(ring_counters(r).completions, MANY);
    ring_close(r);
    close(fd);
}

TEST(ring, a_cancelled_request_completes_as_cancelled_and_a_timer_by_its_end)
{
    uint8_t owner;
    struct ring *r = ring_fresh(&owner);
    int fd = eventfd_fresh();
    struct ring_timer timer;
    ring_poll(r, owner, 1, fd, POLLIN);
    ring_submit(r);
    ring_cancel(r, owner, 1);
    reap_until(r, 1);
    assert_int_equal(seen.all[0].result, -ECANCELED);
    ring_timer(r, owner, 2, &timer, duration_ms(1));
    reap_until(r, 2);
    assert_int_equal(seen.all[1].tag, 2);
    assert_int_equal(seen.all[1].result, -ETIME);
    ring_poll(r, owner, 3, fd, POLLIN);
    ring_cancel(r, owner, 3);
    ring_owner_gone(r, owner);
    assert_int_equal(seen.count, 3);
    ring_close(r);
    close(fd);
}

TEST(ring, a_receive_ends_when_its_buffers_are_used_up_and_goes_on_when_one_is_back)
{
    uint8_t owner;
    struct ring *r = ring_fresh(&owner);
    struct ring_buffers *b = ring_buffers_open(r, 2, 4096);
    assert_non_null(b);
    int pair[2];
    static uint8_t data[3 * 4096];
    memset(data, 'd', sizeof data);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(write(pair[1], data, sizeof data), sizeof data);
    ring_recv_multishot(r, owner, 1, pair[0], b);
    reap_until(r, 3);
    assert_true(seen.all[0].has_buffer && seen.all[1].has_buffer);
    assert_int_equal(seen.all[0].result, 4096);
    assert_memory_equal(ring_buffers_at(b, seen.all[1].buffer), data, 4096);
    assert_int_equal(seen.all[2].result, -ENOBUFS);
    assert_false(seen.all[2].more);
    ring_buffers_give(b, seen.all[0].buffer);
    ring_recv_multishot(r, owner, 2, pair[0], b);
    reap_until(r, 4);
    assert_int_equal(seen.all[3].result, 4096);
    close(pair[1]);
    reap_until(r, 5);
    close(pair[0]);
    ring_buffers_close(r, b);
    ring_close(r);
}

TEST(signals, sigterm_and_sighup_wake_the_ring_and_are_answered_once)
{
    uint8_t owner;
    struct ring *r = ring_fresh(&owner);
    struct signals *s;
    sigset_t before;
    sigprocmask(SIG_SETMASK, NULL, &before);
    signals_block();
    assert_int_equal(signals_open(&s, r), LEAT_OK);
    ring_submit(r);
    assert_int_equal(signals_stop(s), 0);
    kill(getpid(), SIGHUP);
    ring_wait(r, duration_s(10));
    ring_reap(r);
    assert_true(signals_reload(s));
    assert_false(signals_reload(s));
    kill(getpid(), SIGTERM);
    ring_wait(r, duration_s(10));
    ring_reap(r);
    assert_int_equal(signals_stop(s), 1);
    signals_close(s);
    ring_close(r);
    sigprocmask(SIG_SETMASK, &before, NULL);
}

TEST(lockfile, a_second_holder_is_told_who_has_it_and_gets_it_when_the_first_is_gone)
{
    char directory[] = "build-lockfile-XXXXXX", error[256] = "", wanted[64];
    int lock, second;
    assert_non_null(mkdtemp(directory));
    assert_int_equal(lockfile_take(&lock, directory, error), LEAT_OK);
    assert_int_equal(lockfile_sign(lock, directory, error), LEAT_OK);
    assert_int_equal(lockfile_take(&second, directory, error), LEAT_BUSY);
    snprintf(wanted, sizeof wanted, "(process %d)", (int)getpid());
    assert_non_null(strstr(error, wanted));
    char file[64];
    snprintf(file, sizeof file, "%s/lock", directory);
    unlink(file); /* as people do who think that it is left over */
    assert_int_equal(lockfile_take(&second, directory, error), LEAT_BUSY);
    lockfile_release(lock);
    int reader = open(directory, O_RDONLY | O_DIRECTORY);
    assert_int_equal(flock(reader, LOCK_SH), 0); /* as leat fsck does */
    assert_int_equal(lockfile_take(&second, directory, error), LEAT_BUSY);
    assert_non_null(strstr(error, "is being read"));
    close(reader);
    assert_int_equal(lockfile_take(&second, directory, error), LEAT_OK);
    assert_false(lockfile_gone(second));
    unlink(file);
    rmdir(directory);
    assert_true(lockfile_gone(second));
    lockfile_release(second);
}

TEST(lockfile, a_directory_that_was_not_signed_is_left_as_it_was)
{
    char directory[] = "build-lockfile-XXXXXX", error[256] = "", file[64], note[24] = "";
    int lock;
    assert_non_null(mkdtemp(directory));
    snprintf(file, sizeof file, "%s/lock", directory);
    assert_int_equal(lockfile_take(&lock, directory, error), LEAT_OK);
    assert_int_equal(access(file, F_OK), -1);
    lockfile_release(lock);
    assert_int_equal(access(file, F_OK), -1);
    int fd = open(file, O_RDWR | O_CREAT, 0600); /* somebody else's */
    assert_int_equal(write(fd, "theirs", 6), 6);
    assert_int_equal(lockfile_take(&lock, directory, error), LEAT_OK);
    lockfile_release(lock);
    assert_int_equal(pread(fd, note, sizeof note, 0), 6);
    close(fd);
    unlink(file);
    rmdir(directory);
}

/* In place of libc's: tells of each try, and at a given one the holder dies. */
static struct {
    pid_t holder;
    unsigned refused, dies_at;
} locks;

int flock(int fd, int operation)
{
    int rc = (int)syscall(SYS_flock, fd, operation);
    if (rc == 0 || ++locks.refused != locks.dies_at)
        return rc;
    kill(locks.holder, SIGKILL);
    assert_int_equal(waitpid(locks.holder, NULL, 0), locks.holder);
    errno = EWOULDBLOCK;
    return -1;
}

static pid_t lockfile_holder(const char *directory)
{
    char error[256], byte = 0;
    int ready[2], lock;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nobody behind */
        byte = lockfile_take(&lock, directory, error) == LEAT_OK;
        if (write(ready[1], &byte, 1) == 1)
            pause();
        _exit(1);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_true(byte);
    close(ready[0]);
    close(ready[1]);
    return child;
}

TEST(lockfile, a_holder_that_dies_while_another_waits_gives_way_to_it)
{
    char directory[] = "build-lockfile-XXXXXX", error[256] = "", file[64], note[24] = "";
    int lock;
    assert_non_null(mkdtemp(directory));
    locks.holder = lockfile_holder(directory);
    locks.refused = 0;
    locks.dies_at = 3;
    assert_int_equal(lockfile_take(&lock, directory, error), LEAT_OK);
    locks.dies_at = 0;
    assert_int_equal(locks.refused, 3);
    assert_int_equal(lockfile_sign(lock, directory, error), LEAT_OK);
    snprintf(file, sizeof file, "%s/lock", directory);
    int fd = open(file, O_RDONLY);
    assert_true(read(fd, note, sizeof note - 1) > 0);
    close(fd);
    assert_int_equal(atoi(note), getpid());
    unlink(file);
    lockfile_release(lock);
    rmdir(directory);
}

TEST(lockfile, what_is_not_a_directory_or_has_no_parent_is_refused_with_its_path)
{
    char error[256] = "";
    int lock;
    assert_int_equal(lockfile_take(&lock, "/dev/null", error), LEAT_DISK_ERROR);
    assert_non_null(strstr(error, "/dev/null"));
    assert_int_equal(lockfile_take(&lock, "/no/such/parent", error), LEAT_DISK_ERROR);
    assert_non_null(strstr(error, "/no/such/parent"));
}

TEST(lockfile, a_note_that_is_no_regular_file_is_refused_and_one_that_becomes_a_pipe_keeps_nobody)
{
    char directory[] = "build-lockfile-XXXXXX", error[256] = "", file[64], wanted[96];
    int lock, second;
    assert_non_null(mkdtemp(directory));
    snprintf(file, sizeof file, "%s/lock", directory);
    snprintf(wanted, sizeof wanted, "%s is no regular file", file);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(i == 0 ? mkfifo(file, 0600) : i == 1 ? mkdir(file, 0700) : symlink("elsewhere", file), 0);
        assert_int_equal(lockfile_take(&lock, directory, error), LEAT_OK);
        assert_int_equal(lockfile_sign(lock, directory, error), LEAT_DISK_ERROR);
        assert_memory_equal(error, wanted, strlen(wanted));
        lockfile_release(lock);
        assert_int_equal(remove(file), 0);
    }
    assert_int_equal(lockfile_take(&lock, directory, error), LEAT_OK);
    assert_int_equal(lockfile_sign(lock, directory, error), LEAT_OK);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(mkfifo(file, 0600), 0); /* nobody reads it, nobody writes it */
    alarm(10);                               /* whoever waits for it is ended */
    assert_int_equal(lockfile_take(&second, directory, error), LEAT_BUSY);
    lockfile_release(lock);
    alarm(0);
    unlink(file);
    rmdir(directory);
}

TEST(clock, time_goes_on_and_the_boot_has_an_id)
{
    struct instant a = clock_now(), b = clock_now();
    assert_true(b.ns >= a.ns);
    assert_true(clock_wall() > UINT64_C(1700000000) * 1000000000);
    uint8_t id[16], again[16], none[16] = {0};
    clock_boot_id(id);
    clock_boot_id(again);
    assert_memory_equal(id, again, 16);
    assert_memory_not_equal(id, none, 16);
}

static void note_affinity(void *context)
{
    sched_getaffinity(0, sizeof(cpu_set_t), context);
}

static void pin_and_look(void *context)
{
    cpu_set_t *sets = context, others;
    assert_true(cores_pin(cores_at(0)));
    sched_getaffinity(0, sizeof sets[0], &sets[0]);
    struct thread t;
    assert_true(thread_start(&t, note_affinity, &sets[1], "test-note"));
    thread_join(&t);
    uint8_t owner;
    struct ring *r = ring_fresh(&owner);
    assert_int_equal(ring_keep_workers_off(r, cores_at(0)), cores_others(cores_at(0), &others));
    ring_close(r);
}

TEST(cores, a_pinned_thread_has_one_core_and_its_helpers_have_the_others)
{
    cpu_set_t sets[2];
    struct thread t;
    assert_false(cores_pin(CPU_SETSIZE));
    assert_true(thread_start(&t, pin_and_look, sets, "test-pin"));
    thread_join(&t);
    assert_int_equal(CPU_COUNT(&sets[0]), 1);
    assert_true(CPU_ISSET(cores_at(0), &sets[0]));
    if (cores_count() > 1)
        assert_false(CPU_ISSET(cores_at(0), &sets[1]));
}

struct slices {
    bool long_ones;
    uint64_t before, after, child;
};

static uint64_t slice_of_this_thread(void)
{
    uint64_t words[6] = {48}; /* struct sched_attr: the runtime is the fourth */
    syscall(SYS_sched_getattr, 0, words, sizeof words, 0);
    return words[3];
}

static void note_slice(void *context)
{
    *(uint64_t *)context = slice_of_this_thread();
}

static void give_way_and_look(void *context)
{
    struct slices *s = context;
    struct thread t;
    s->before = slice_of_this_thread();
    s->long_ones = cores_give_way();
    s->after = slice_of_this_thread();
    assert_true(thread_start(&t, note_slice, &s->child, "test-note"));
    thread_join(&t);
}

TEST(cores, a_thread_that_gives_way_has_long_slices_and_its_helpers_common_ones)
{
    struct slices s = {0};
    struct thread t;
    assert_true(thread_start(&t, give_way_and_look, &s, "test-slice"));
    thread_join(&t);
    assert_true(s.long_ones == (s.after == 100000000)); /* not before Linux 6.12 */
    assert_true(s.child == s.before);
}

TEST(entropy, two_draws_differ)
{
    assert_int_not_equal(entropy_u64(), entropy_u64());
}

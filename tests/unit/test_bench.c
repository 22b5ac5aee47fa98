/* test_bench.c - the pure parts of leat-bench: schedule, numbered bodies, hand-made frames, command line. */
#include <unistd.h>

#include "crc32c.h"
#include "options.h"
#include "pace.h"
#include "raw_frame.h"
#include "tally.h"
#include "test.h"

TEST(pace, requests_are_due_evenly_and_never_early)
{
    struct pace p = pace_start(1000, 1e6);
    uint64_t due;
    assert_true(pace_take(&p, 1000, &due));
    assert_int_equal(due, 1000);
    assert_false(pace_take(&p, 1999, &due));
    assert_int_equal(pace_next(&p), 2000);
    assert_true(pace_take(&p, 2000, &due));
    assert_int_equal(due, 2000);
}

TEST(pace, a_stall_counts_for_every_request_that_it_delayed)
{
    struct pace p = pace_start(0, 1e6);
    uint64_t due, taken = 0, waited = 0;
    assert_true(pace_take(&p, 0, &due));
    assert_int_equal(pace_missed(&p, 10001), 10); /* those due at 1000, 2000 ... 10000 */
    for (; pace_take(&p, 10000, &due); taken++)
        waited += 10000 - due;
    assert_int_equal(taken, 10);
    assert_int_equal(waited, 9000 + 8000 + 7000 + 6000 + 5000 + 4000 + 3000 + 2000 + 1000);
    assert_int_equal(pace_missed(&p, 10001), 0);
}

TEST(pace, a_million_periods_that_are_no_whole_number_do_not_drift)
{
    struct pace p = pace_start(0, 3e6);
    p.taken = 3000000;
    assert_int_equal(pace_next(&p), 1000000000);
}

TEST(tally, each_number_counts_once_and_nothing_else_counts)
{
    struct tally t;
    uint8_t body[40];
    assert_true(tally_open(&t, 130));
    for (uint64_t n = 0; n < 130; n += 2) {
        tally_write(body, sizeof body, n);
        tally_see(&t, body, sizeof body);
    }
    assert_int_equal(t.found, 65);
    tally_see(&t, body, sizeof body);
    assert_int_equal(t.repeated, 1);
    tally_see(&t, body, sizeof body - 1); /* cut */
    tally_see(&t, body, 8);
    body[0] ^= 1; /* a number that the second one does not confirm */
    tally_see(&t, body, sizeof body);
    tally_write(body, sizeof body, 130); /* never sent */
    tally_see(&t, body, sizeof body);
    assert_int_equal(t.foreign, 4);
    assert_int_equal(t.found, 65);
    tally_close(&t);
}

TEST(tally, a_stamped_body_reads_as_a_written_one)
{
    uint8_t body[TALLY_BODY_MIN];
    uint64_t number;
    tally_write(body, sizeof body, 1);
    tally_stamp(body, sizeof body, UINT64_MAX);
    assert_true(tally_read(body, sizeof body, &number));
    assert_true(number == UINT64_MAX);
}

/* What a broker sees in a frame. */
static void frame_check(const struct raw_frame *f, uint64_t number, uint64_t first)
{
    struct frame frame;
    struct frame_op op;
    struct request r;
    struct request_put_entry e;
    enum leat_status status = LEAT_OK;
    uint32_t walk = 0, at = 0;
    uint64_t n;
    assert_int_equal(frame_decode(&frame, f->bytes, f->size), LEAT_OK);
    assert_int_equal(frame.session, 77);
    assert_true(frame_next_op(&frame, &walk, &op, &status));
    assert_int_equal(request_decode(&r, &op), LEAT_OK);
    assert_int_equal(r.op, OP_PUT);
    assert_int_equal(r.number, number);
    assert_int_equal(r.queue.number, 5);
    assert_int_equal(r.queue.incarnation, 6);
    assert_int_equal(r.count, f->count);
    for (uint32_t k = 0; k < f->count; k++) {
        assert_true(request_next_put(&r, &at, &e));
        assert_int_equal(e.durability, CLASS_MEMORY);
        assert_true(e.delay.ns == UINT64_MAX);
        assert_int_equal(e.body_size, f->body_size);
        assert_int_equal(e.body_crc, crc32c(0, e.body, e.body_size));
        assert_true(tally_read(e.body, e.body_size, &n));
        assert_int_equal(n, first + k);
    }
    assert_false(frame_next_op(&frame, &walk, &op, &status));
    assert_int_equal(status, LEAT_OK);
}

TEST(raw_frame, is_a_request_that_a_broker_accepts_whatever_its_size)
{
    static const struct {
        uint32_t count, size;
    } shape[] = {{1, 16}, {1, 128}, {1, 129}, {3, 17}, {32, 128}, {1, RAW_FRAME_BODY_MAX}};
    for (unsigned i = 0; i < sizeof shape / sizeof shape[0]; i++) {
        uint32_t room = raw_frame_room(shape[i].count, shape[i].size, 8960);
        assert_true(room > 0);
        struct raw_frame f = {.count = shape[i].count, .body_size = shape[i].size};
        f.bytes = aligned_alloc(64, (room + 63) / 64 * 64);
        assert_non_null(f.bytes);
        raw_frame_make(&f, 77, (struct queue_ref){5, 6}, CLASS_MEMORY);
        assert_true(f.size <= room);
        raw_frame_stamp(&f, 9, 1000);
        frame_check(&f, 9, 1000);
        raw_frame_stamp(&f, 73, 5000);
        frame_check(&f, 73, 5000);
        free(f.bytes);
    }
    assert_int_equal(raw_frame_room(64, 128, 8960), 0);
}

/* The exit code of options_read() for words that end with NULL; stderr goes nowhere. */
static int read_words(struct options *o, ...)
{
    char *argv[16] = {"leat-bench"};
    int argc = 1;
    va_list list;
    va_start(list, o);
    while ((argv[argc] = va_arg(list, char *)))
        argc++;
    va_end(list);
    options_defaults(o);
    int kept = dup(2);
    FILE *nowhere = freopen("/dev/null", "w", stderr);
    assert_non_null(nowhere);
    int code = options_read(o, argc, argv);
    fflush(stderr);
    dup2(kept, 2);
    close(kept);
    return code;
}

TEST(options, words_become_what_is_asked)
{
    struct options o;
    assert_int_equal(read_words(&o, "-s", "vhost:///run/leat.sock", "-w", "lives", "--class", "memory", "--batch", "16",
                                "--rate", "2.5e3", "--json", NULL),
                     OPTIONS_GO_ON);
    assert_int_equal(o.target.kind, TARGET_LOCAL);
    assert_string_equal(o.target.host, "/run/leat.sock");
    assert_int_equal(o.workload, WORKLOAD_LIVES);
    assert_int_equal(o.durability, CLASS_MEMORY);
    assert_int_equal(o.batch, 16);
    assert_true(o.rate > 2499 && o.rate < 2501);
    assert_int_equal(o.depth, WINDOW_MAX); /* an open loop may have as many under way as the session allows */
    assert_true(o.json);
    assert_int_equal(read_words(&o, "-s", "tcp://[::1]:7400", NULL), OPTIONS_GO_ON);
    assert_string_equal(o.target.host, "::1");
    assert_string_equal(o.target.port, "7400");
    assert_int_equal(o.depth, 1);
    assert_int_equal(read_words(&o, "-s", "127.0.0.1:7401", NULL), OPTIONS_GO_ON);
    assert_int_equal(o.target.kind, TARGET_TCP);
    assert_string_equal(o.target.host, "127.0.0.1");
    assert_string_equal(o.target.port, "7401");
    assert_int_equal(read_words(&o, "-s", "somewhere", NULL), OPTIONS_GO_ON);
    assert_string_equal(o.target.host, "somewhere");
    assert_string_equal(o.target.port, "7400");
}

TEST(options, what_cannot_be_done_is_refused)
{
    struct options o;
    static const char *const wrong[][3] = {
        {"--address", "udp://x:1", NULL},
        {"--address", "tcp://nowhere:x", NULL},
        {"--address", "127.0.0.1:+80", NULL},
        {"--address", "127.0.0.1:1,127.0.0.1:2", NULL},
        {"--address", "vhost://", NULL},
        {"--size", "15", NULL},
        {"--size", "1048577", NULL},
        {"--batch", "0", NULL},
        {"--batch", "1001", NULL},
        {"--batch", "1.5", NULL},
        {"--depth", "65", NULL},
        {"--workload", "juggle", NULL},
        {"--class", "paper", NULL},
        {"--duration", "nan", NULL},
        {"--workload", "drain", NULL},
        {"--queue", "a b", NULL},
        {"--raw", NULL, NULL},
        {"--queues", "2", NULL},
        {"--unknown", NULL, NULL},
        {"word", NULL, NULL},
        {"--rate", NULL, NULL},
    };
    for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(read_words(&o, wrong[i][0], wrong[i][1], NULL), OPTIONS_EXIT_USAGE);
    assert_int_equal(read_words(&o, "--batch", "1000", "--size", "8192", NULL), OPTIONS_EXIT_USAGE);
}

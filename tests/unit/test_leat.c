/* test_leat.c - leat.h over a real socket: what a program sees. (Includes leat.h alone, as programs do.) */
#include "leat.h"

#include "test.h"

#include <arpa/inet.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "fake_server.h"

static struct leat *open_at(const char *address, const struct leat_options *options)
{
    char why[LEAT_ERROR_MAX] = "";
    struct leat *l = leat_open(address, options, why);
    if (!l)
        print_error("%s\n", why);
    assert_non_null(l);
    return l;
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * LEAT_SECOND + (uint64_t)t.tv_nsec;
}

TEST(leat, statuses_of_the_header_are_those_of_the_table)
{
#define STATUS(NAME, name, code, retry, text)                                                                          \
    assert_int_equal(LEAT_##NAME, (code));                                                                             \
    assert_string_equal(leat_status_name(code), #name);                                                                \
    assert_int_equal(leat_status_retry(code), (retry));                                                                \
    assert_string_equal(leat_status_text(code), (text));
#include "status_table.h"
#undef STATUS
    assert_string_equal(leat_status_name(12345), "unknown_status");
}

TEST(leat, a_message_lives_its_life)
{
    struct fake_server *s = fake_server_open();
    struct leat *l = open_at(fake_server_address(s), NULL);
    assert_true(leat_connected(l));
    assert_true(leat_fd(l) >= 0);
    assert_int_equal(leat_queue_create(l, "mail", NULL), LEAT_OK);
    char id[LEAT_ID_TEXT];
    assert_int_equal(leat_put(l, "mail", "hello", 5, NULL, id), LEAT_OK);
    assert_int_equal(strlen(id), 36);
    struct leat_message m[2];
    size_t n = 2;
    assert_int_equal(leat_take(l, "mail", 0, 0, m, &n), LEAT_OK);
    assert_int_equal(n, 1);
    assert_string_equal(m[0].body, "hello"); /* a zero stands behind it */
    assert_int_equal(m[0].body_size, 5);
    struct leat_receipt again;
    char text[LEAT_RECEIPT_TEXT];
    leat_receipt_text(&m[0].receipt, text);
    assert_true(leat_receipt_parse(&again, text));
    assert_false(leat_receipt_parse(&again, "nonsense"));
    struct leat_outcome outcome;
    assert_int_equal(leat_extend(l, "mail", &m[0].receipt, 1, LEAT_SECOND, &outcome), LEAT_OK);
    assert_int_equal(leat_ack(l, "mail", &again, 1, &outcome), LEAT_OK);
    assert_int_equal(leat_ack(l, "mail", &again, 1, &outcome), LEAT_STALE_RECEIPT);
    assert_int_equal(outcome.status, LEAT_STALE_RECEIPT);
    n = 2;
    assert_int_equal(leat_take(l, "mail", 0, 0, m, &n), LEAT_EMPTY);
    assert_int_equal(n, 0);
    assert_string_equal(leat_error(l), "mail: no message is ready");
    struct leat_queue_stat stats[8];
    assert_int_equal(leat_queue_stat(l, "mail", stats), LEAT_OK);
    assert_int_equal(stats[0].puts, 1);
    assert_int_equal(leat_put(l, "nowhere", "x", 1, NULL, NULL), LEAT_NO_QUEUE);
    assert_int_equal(leat_put(l, "bad name", "x", 1, NULL, NULL), LEAT_BAD_NAME);
    assert_int_equal(leat_queue_drop(l, "mail"), LEAT_OK);
    leat_close(l);
    assert_int_equal(fake_server_byes(s), 1);
    fake_server_close(s);
}

TEST(leat, damaged_messages_are_told_with_receipts_that_act)
{
    struct fake_server *s = fake_server_open();
    struct leat *l = open_at(fake_server_address(s), NULL);
    leat_queue_create(l, "mail", NULL);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(leat_put(l, "mail", "precious", 8, NULL, NULL), LEAT_OK);
    fake_server_rot(s, true);
    struct leat_message m[3];
    size_t n = 2;
    assert_int_equal(leat_take(l, "mail", 0, 0, m, &n), LEAT_CORRUPT);
    assert_string_equal(leat_error(l), "mail: stored data is corrupt");
    assert_int_equal(n, 2);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(strlen(m[i].id), i ? 0 : 36);
        assert_int_equal(m[i].attempts, 1);
        assert_int_equal(m[i].body_size, 0);
        assert_string_equal(m[i].body, "");
    }
    assert_int_equal(leat_ack(l, "mail", &m[0].receipt, 1, NULL), LEAT_OK);
    assert_int_equal(leat_ack(l, "mail", &m[0].receipt, 1, NULL), LEAT_STALE_RECEIPT);
    assert_int_equal(leat_nack(l, "mail", &m[1].receipt, 1, 0, NULL), LEAT_OK);
    fake_server_rot(s, false);
    n = 3;
    assert_int_equal(leat_take(l, "mail", 0, 0, m, &n), LEAT_OK);
    assert_int_equal(n, 2);
    fake_server_rot(s, true);
    n = 3;
    assert_int_equal(leat_take(l, "mail", 0, 0, m, &n), LEAT_EMPTY);
    assert_int_equal(n, 0);
    leat_close(l);
    fake_server_close(s);
}

TEST(leat, a_batch_of_any_size_has_an_outcome_per_entry)
{
    enum { COUNT = 5000 };
    struct fake_server *s = fake_server_open();
    struct leat *l = open_at(fake_server_address(s), NULL);
    leat_queue_create(l, "q", NULL);
    static struct leat_put_entry entries[COUNT];
    static struct leat_outcome outcomes[COUNT];
    static unsigned numbers[COUNT];
    static char too_large[2 << 20];
    for (unsigned i = 0; i < COUNT; i++) {
        numbers[i] = i;
        entries[i] = (struct leat_put_entry){.body = &numbers[i], .body_size = sizeof numbers[i]};
    }
    entries[1700] = (struct leat_put_entry){.body = too_large, .body_size = sizeof too_large};
    assert_int_equal(leat_put_batch(l, "q", entries, COUNT, outcomes), LEAT_TOO_LARGE);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(outcomes[i].status, i == 1700 ? LEAT_TOO_LARGE : LEAT_OK);
        assert_int_equal(strlen(outcomes[i].id), i == 1700 ? 0 : 36);
    }
    static struct leat_message messages[LEAT_BATCH_MAX];
    static struct leat_receipt receipts[COUNT];
    size_t taken = 0, n = LEAT_BATCH_MAX;
    for (; leat_take(l, "q", 0, 0, messages, &n) == LEAT_OK; n = LEAT_BATCH_MAX)
        for (size_t i = 0; i < n; i++) {
            unsigned number;
            memcpy(&number, messages[i].body, sizeof number);
            assert_int_equal(number, taken < 1700 ? taken : taken + 1);
            receipts[taken++] = messages[i].receipt;
        }
    assert_int_equal(taken, COUNT - 1);
    assert_int_equal(leat_ack(l, "q", receipts, taken, NULL), LEAT_OK);
    assert_int_equal(leat_ack(l, "q", receipts, taken, NULL), LEAT_STALE_RECEIPT);
    assert_int_equal(leat_ack(l, "q", receipts, 0, NULL), LEAT_OK);
    leat_close(l);
    fake_server_close(s);
}

TEST(leat, a_connection_that_breaks_is_made_anew_and_nothing_is_done_twice)
{
    struct fake_server *s = fake_server_open();
    struct leat *l = open_at(fake_server_address(s), NULL);
    leat_queue_create(l, "q", NULL);
    for (unsigned i = 0; i < 30; i++) {
        if (i % 3 == 0)
            fake_server_hang_up_after(s, (int)(i / 3) % 3);
        assert_int_equal(leat_put(l, "q", &i, sizeof i, NULL, NULL), LEAT_OK);
    }
    assert_true(fake_server_connections(s) > 5);
    assert_int_equal(fake_server_messages(s, "q"), 30);
    leat_close(l);
    fake_server_close(s);
}

struct told {
    unsigned calls, ok, messages;
};

static void count(struct leat *l, struct leat_result *r, void *user)
{
    struct told *told = user;
    struct leat_message m;
    told->calls++;
    told->ok += leat_result_status(r) == LEAT_OK;
    while (leat_result_message(r, &m))
        told->messages++;
    assert_true(leat_pending(l) < 64);
}

TEST(leat, pipelined_calls_come_back_by_callback_also_from_inside_a_blocking_call)
{
    struct fake_server *s = fake_server_open();
    struct leat *l = open_at(fake_server_address(s), NULL);
    leat_queue_create(l, "q", NULL);
    struct told puts = {0}, takes = {0};
    struct leat_put_entry entry = {.body = "x", .body_size = 1};
    unsigned submitted = 0;
    while (leat_submit_put(l, "q", &entry, 1, count, &puts) == LEAT_OK)
        submitted++;
    assert_int_equal(submitted, 64);
    assert_int_equal(leat_room(l), 0);
    assert_int_equal(leat_put(l, "q", "y", 1, NULL, NULL), LEAT_OK); /* waits for room, calls back meanwhile */
    assert_int_equal(puts.ok, 64);
    assert_int_equal(leat_pending(l), 0);
    assert_int_equal(leat_submit_take(l, "q", 0, 0, 1000, count, &takes), LEAT_OK);
    while (leat_pending(l))
        leat_poll(l, LEAT_SECOND);
    assert_int_equal(takes.messages, 65);
    assert_int_equal(leat_poll(l, 0), 0);
    leat_close(l);
    fake_server_close(s);
}

TEST(leat, spinning_sees_what_it_has_to_say_next)
{
    struct fake_server *s = fake_server_open();
    struct leat_options o = {.spin_ns = 5 * LEAT_MILLISECOND, .timeout_ns = 60 * LEAT_SECOND};
    struct leat *l = open_at(fake_server_address(s), &o);
    leat_queue_create(l, "q", NULL);
    uint64_t start = now_ns();
    for (unsigned i = 0; i < 20; i++) /* the first asks for the queue's number, and then has to send itself */
        assert_int_equal(leat_put(l, "q", "x", 1, NULL, NULL), LEAT_OK);
    assert_true(now_ns() - start < 9 * LEAT_SECOND); /* it slept for 10 s once */
    leat_close(l);
    fake_server_close(s);
}

TEST(leat, what_is_refused_for_now_is_asked_again_when_the_user_wants_that)
{
    struct fake_server *s = fake_server_open();
    struct leat_options o = {.retry_refused = true, .timeout_ns = LEAT_SECOND / 5};
    struct leat *patient = open_at(fake_server_address(s), &o);
    leat_queue_create(patient, "q", NULL);
    fake_server_refuse(s, 3);
    assert_int_equal(leat_put(patient, "q", "x", 1, NULL, NULL), LEAT_OK);
    struct leat_put_entry two[2] = {{.body = "a", .body_size = 1}, {.body = "b", .body_size = 1}};
    fake_server_refuse(s, 2);
    assert_int_equal(leat_put_batch(patient, "q", two, 2, NULL), LEAT_OK);
    assert_int_equal(fake_server_messages(s, "q"), 3);
    fake_server_refuse(s, 1000000);
    assert_int_equal(leat_put(patient, "q", "x", 1, NULL, NULL), LEAT_OVERLOADED);
    leat_close(patient);
    fake_server_close(s);
}

/* A port where nobody listens. */
static void nowhere(char address[32])
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &size), 0);
    close(fd);
    snprintf(address, 32, "127.0.0.1:%u", ntohs(a.sin_port));
}

TEST(leat, a_machine_without_descriptors_is_not_an_absent_broker)
{
    char address[32], named[32], why[LEAT_ERROR_MAX];
    struct leat_options o = {.open_timeout_ns = LEAT_SECOND / 10};
    struct rlimit before, none;
    nowhere(address);
    snprintf(named, sizeof named, "localhost%s", strrchr(address, ':')); /* asked for by other means */
    getrlimit(RLIMIT_NOFILE, &before);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
    for (unsigned i = 0; i < 2; i++) {
        setrlimit(RLIMIT_NOFILE, &none);
        struct leat *l = leat_open(i == 0 ? address : named, &o, why);
        setrlimit(RLIMIT_NOFILE, &before);
        assert_null(l);
        assert_int_equal(leat_open_status(), LEAT_NO_MEMORY);
        assert_non_null(strstr(why, "Too many open files"));
    }
}

TEST(leat, an_absent_broker_is_told_in_time_with_a_reason)
{
    char address[32], why[LEAT_ERROR_MAX];
    nowhere(address);
    struct leat_options o = {.open_timeout_ns = LEAT_SECOND / 10};
    uint64_t start = now_ns();
    assert_null(leat_open(address, &o, why));
    assert_int_equal(leat_open_status(), LEAT_UNREACHABLE);
    assert_non_null(strstr(why, "Connection refused"));
    assert_true(now_ns() - start < 5 * LEAT_SECOND);
    o = (struct leat_options){.open_timeout_ns = LEAT_DEFAULT, .timeout_ns = LEAT_SECOND / 10};
    struct leat *l = open_at(address, &o);
    assert_false(leat_connected(l));
    assert_int_equal(leat_fd(l), -1);
    assert_int_equal(leat_put(l, "q", "x", 1, NULL, NULL), LEAT_UNREACHABLE);
    assert_non_null(strstr(leat_error(l), "Connection refused"));
    struct leat_put_entry entry = {.body = "x", .body_size = 1};
    struct leat_outcome outcome;
    assert_int_equal(leat_put_batch(l, "q", &entry, 1, &outcome), LEAT_UNREACHABLE);
    assert_int_equal(outcome.status, LEAT_UNREACHABLE);
    leat_close(l);
}

TEST(leat, a_broker_that_says_nothing_is_timed_out)
{
    struct fake_server *s = fake_server_open();
    struct leat_options o = {.timeout_ns = LEAT_SECOND / 10};
    struct leat *l = open_at(fake_server_address(s), &o);
    leat_queue_create(l, "q", NULL);
    assert_int_equal(leat_put(l, "q", "x", 1, NULL, NULL), LEAT_OK);
    fake_server_mute(s, true);
    assert_int_equal(leat_put(l, "q", "x", 1, NULL, NULL), LEAT_TIMED_OUT); /* it may have happened */
    fake_server_mute(s, false);
    leat_close(l);
    fake_server_close(s);
}

TEST(leat, several_addresses_are_tried_in_turn)
{
    char list[80], first[32];
    nowhere(first);
    struct fake_server *s = fake_server_open();
    snprintf(list, sizeof list, "tcp://%s,tcp://%s", first, fake_server_address(s));
    struct leat *l = open_at(list, NULL);
    assert_int_equal(leat_queue_create(l, "q", NULL), LEAT_OK);
    leat_close(l);
    fake_server_close(s);
}

TEST(leat, an_address_that_is_none_is_refused_with_its_name)
{
    static const char *const bad[] = {"tcp://",
                                      "tcp://host:0",
                                      "tcp://host:70000",
                                      "tcp://host:x",
                                      "smoke://signals",
                                      "tcp://[::1",
                                      "tcp://[::1]x",
                                      "tcp://a,",
                                      ",",
                                      "vhost:///no/library"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char why[LEAT_ERROR_MAX] = "";
        assert_null(leat_open(bad[i], NULL, why));
        assert_int_equal(leat_open_status(), LEAT_BAD_VALUE);
        assert_true(why[0] != 0);
    }
    struct leat_options o = {.window = 7};
    assert_null(leat_open("127.0.0.1:1", &o, NULL));
    assert_int_equal(leat_open_status(), LEAT_BAD_VALUE);
}

TEST(leat, a_take_waits_until_a_message_comes)
{
    struct fake_server *s = fake_server_open();
    struct leat *l = open_at(fake_server_address(s), NULL);
    leat_queue_create(l, "q", NULL);
    struct told takes = {0};
    assert_int_equal(leat_submit_take(l, "q", 600 * LEAT_SECOND, 0, 10, count, &takes), LEAT_OK);
    assert_int_equal(leat_poll(l, LEAT_SECOND / 50), 0);
    assert_int_equal(leat_put(l, "q", "x", 1, NULL, NULL), LEAT_OK);
    while (takes.calls == 0)
        leat_poll(l, LEAT_SECOND);
    assert_int_equal(takes.messages, 1);
    leat_close(l);
    fake_server_close(s);
}

static void nothing(int number)
{
    (void)number;
}

TEST(leat, a_signal_wakes_a_poll_and_a_dead_peer_kills_nobody)
{
    struct fake_server *s = fake_server_open();
    struct leat *l = open_at(fake_server_address(s), NULL);
    leat_queue_create(l, "q", NULL);
    struct sigaction a = {.sa_handler = nothing};
    sigaction(SIGALRM, &a, NULL);
    struct itimerval timer = {.it_value = {.tv_usec = 20000}};
    setitimer(ITIMER_REAL, &timer, NULL);
    uint64_t start = now_ns();
    assert_int_equal(leat_poll(l, 60 * LEAT_SECOND), 0);
    assert_true(now_ns() - start < 30 * LEAT_SECOND);
    fake_server_close(s);
    leat_set_timeout(l, LEAT_SECOND / 20);
    assert_int_equal(leat_put(l, "q", "x", 1, NULL, NULL), LEAT_UNREACHABLE); /* and no SIGPIPE */
    leat_close(l);
}

/* test_http.c - the HTTP endpoint, asked over real sockets; the shard is a thread of ours that answers letters, or does
 * not. `make tsan` runs this file too. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bell.h"
#include "http.h"
#include "mark.h"
#include "metrics.h"
#include "test.h"

enum { QUEUES = 150, PATIENCE_MS = 5000 };

/* The shard's thread: answers as long as it is not told to be silent. */
struct fake {
    struct http *http;
    struct bell bell;
    pthread_t thread;
    bool silent, stop; /* by atomics */
    unsigned queue_letters;
};

static void answer_queues(struct fake *f, struct letter *l)
{
    l->count = 0;
    if (l->from == UINT32_MAX)
        return; /* a pulse */
    f->queue_letters++;
    while (l->from < QUEUES && l->count < LETTER_QUEUES_MAX) {
        struct reply_stat *q = &l->queues[l->count++];
        *q = (struct reply_stat){.ready = l->from};
        q->name.size = (uint8_t)snprintf(q->name.text, sizeof q->name.text, "q%u", l->from++);
    }
    if (l->from == QUEUES)
        l->from = UINT32_MAX;
}

static bool answer_one(struct fake *f)
{
    struct letter *l = mailbox_receive(http_shard_mailbox(f->http));
    if (l && l->kind == LETTER_COUNTERS)
        *l->counters = (struct shard_counters){.queues = QUEUES, .epoch = 4};
    if (l && l->kind == LETTER_QUEUES)
        answer_queues(f, l);
    if (l) {
        mailbox_answer(http_shard_mailbox(f->http), l);
        return true;
    }
    l = mailbox_receive(http_program_mailbox(f->http));
    if (!l)
        return false;
    assert_int_equal(l->kind, LETTER_PORTS);
    *l->ports = (struct port_counters){.has_tcp = true, .tcp.accepted = 6};
    mailbox_answer(http_program_mailbox(f->http), l);
    return true;
}

static void *fake_main(void *context)
{
    struct fake *f = context;
    while (!__atomic_load_n(&f->stop, __ATOMIC_ACQUIRE)) {
        while (!__atomic_load_n(&f->silent, __ATOMIC_ACQUIRE) && answer_one(f))
            ;
        bool shard = mailbox_arm(http_shard_mailbox(f->http)), program = mailbox_arm(http_program_mailbox(f->http));
        struct pollfd p = {.fd = f->bell.fd, .events = POLLIN};
        poll(&p, 1, (shard && program) || __atomic_load_n(&f->silent, __ATOMIC_ACQUIRE) ? -1 : 0);
        bell_silence(&f->bell);
        mailbox_disarm(http_shard_mailbox(f->http));
        mailbox_disarm(http_program_mailbox(f->http));
    }
    return NULL;
}

static void fake_open(struct fake *f, uint32_t queues_max)
{
    char error[256];
    *f = (struct fake){0};
    assert_int_equal(bell_open(&f->bell), LEAT_OK);
    struct http_config c = {
        .address = "127.0.0.1:0", .wake = bell_ring, .wake_context = &f->bell, .queues_max = queues_max};
    assert_int_equal(http_open(&f->http, &c, error), LEAT_OK);
    assert_int_equal(pthread_create(&f->thread, NULL, fake_main, f), 0);
}

static void fake_tell(struct fake *f, bool *what, bool value)
{
    __atomic_store_n(what, value, __ATOMIC_RELEASE);
    bell_ring(&f->bell);
}

static void fake_close(struct fake *f)
{
    fake_tell(f, &f->stop, true);
    pthread_join(f->thread, NULL);
    http_close(f->http);
    bell_close(&f->bell);
}

static int dial(const struct fake *f)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(http_port(f->http))};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Everything until the other end closes. */
static char *hear(int fd)
{
    static char text[1 << 20];
    size_t size = 0;
    ssize_t n;
    while (size < sizeof text - 1 && (n = recv(fd, text + size, sizeof text - 1 - size, 0)) > 0)
        size += (size_t)n;
    text[size] = 0;
    close(fd);
    return text;
}

static char *get(const struct fake *f, const char *method, const char *path)
{
    char request[256];
    int fd = dial(f);
    snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", method, path);
    say(fd, request);
    return hear(fd);
}

TEST(http, metrics_are_the_shards_the_ports_and_every_queues)
{
    struct fake f;
    fake_open(&f, 1000);
    char *text = get(&f, "GET", "/metrics");
    assert_memory_equal(text, "HTTP/1.1 200 ", 13);
    assert_non_null(strstr(text, "Content-Type: text/plain; version=0.0.4"));
    assert_non_null(strstr(text, "\nleat_epoch 4\n"));
    assert_non_null(strstr(text, "\nleat_tcp_accepted_total 6\n"));
    assert_non_null(strstr(text, "\nleat_queue_ready{queue=\"q0\"} 0\n"));
    assert_non_null(strstr(text, "\nleat_queue_ready{queue=\"q149\"} 149\n"));
    fake_close(&f);
    assert_int_equal(f.queue_letters, (QUEUES + LETTER_QUEUES_MAX - 1) / LETTER_QUEUES_MAX);
}

TEST(http, no_more_queues_are_shown_than_allowed)
{
    struct fake f;
    fake_open(&f, 100);
    char *text = get(&f, "GET", "/metrics");
    assert_non_null(strstr(text, "queue=\"q99\""));
    assert_null(strstr(text, "queue=\"q100\""));
    fake_close(&f);
    assert_int_equal(f.queue_letters, 2);
    fake_open(&f, 0);
    text = get(&f, "GET", "/metrics");
    assert_memory_equal(text, "HTTP/1.1 200 ", 13);
    assert_null(strstr(text, "queue=\""));
    fake_close(&f);
}

TEST(http, health_is_what_the_shard_answers)
{
    struct fake f;
    fake_open(&f, 10);
    char *text = get(&f, "GET", "/healthz");
    assert_memory_equal(text, "HTTP/1.1 200 ", 13);
    assert_non_null(strstr(text, "\r\n\r\nok\n"));
    fake_tell(&f, &f.silent, true);
    uint64_t before = mark_count("http_late");
    text = get(&f, "GET", "/healthz");
    assert_memory_equal(text, "HTTP/1.1 503 ", 13);
    assert_int_equal(mark_count("http_late"), before + 1);
    text = get(&f, "GET", "/metrics");
    assert_memory_equal(text, "HTTP/1.1 503 ", 13);
    fake_tell(&f, &f.silent, false); /* the letters of then are answered first, then new ones */
    text = get(&f, "GET", "/healthz");
    assert_memory_equal(text, "HTTP/1.1 200 ", 13);
    text = get(&f, "GET", "/metrics");
    assert_memory_equal(text, "HTTP/1.1 200 ", 13);
    fake_close(&f);
}

TEST(http, other_paths_and_methods_are_refused_politely)
{
    struct fake f;
    fake_open(&f, 10);
    assert_memory_equal(get(&f, "GET", "/"), "HTTP/1.1 200 ", 13);
    assert_memory_equal(get(&f, "GET", "/nothing"), "HTTP/1.1 404 ", 13);
    char *text = get(&f, "DELETE", "/metrics");
    assert_memory_equal(text, "HTTP/1.1 405 ", 13);
    assert_non_null(strstr(text, "Allow: GET, HEAD\r\n"));
    text = get(&f, "HEAD", "/healthz");
    assert_memory_equal(text, "HTTP/1.1 200 ", 13);
    assert_null(strstr(text, "\r\n\r\nok"));
    fake_close(&f);
}

TEST(http, garbage_and_huge_heads_end_their_own_connection_only)
{
    struct fake f;
    fake_open(&f, 10);
    int fd = dial(&f);
    say(fd, "\x16\x03\x01\x02 this is not HTTP\r\n\r\n");
    assert_memory_equal(hear(fd), "HTTP/1.1 400 ", 13);
    static char head[2 * HTTP_HEAD_MAX];
    memset(head, 'a', sizeof head - 1);
    fd = dial(&f);
    say(fd, "GET / HTTP/1.1\r\nHost: x\r\nX: ");
    send(fd, head, sizeof head - 1, MSG_NOSIGNAL);
    char *text = hear(fd);
    assert_true(text[0] == 0 || strncmp(text, "HTTP/1.1 4", 10) == 0);
    assert_memory_equal(get(&f, "GET", "/healthz"), "HTTP/1.1 200 ", 13);
    fake_close(&f);
}

TEST(http, many_scrapes_at_once_share_one_answer_and_a_broker_may_stop_amid_them)
{
    enum { SCRAPES = 40 };
    struct fake f;
    int fds[SCRAPES];
    fake_open(&f, 1000);
    for (unsigned i = 0; i < SCRAPES; i++) {
        fds[i] = dial(&f);
        say(fds[i], "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    }
    for (unsigned i = 0; i < SCRAPES; i++)
        assert_non_null(strstr(hear(fds[i]), "\nleat_queue_ready{queue=\"q149\"} 149\n"));
    fake_tell(&f, &f.silent, true);
    fds[0] = dial(&f);
    say(fds[0], "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    fds[1] = dial(&f);
    say(fds[1], "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_memory_equal(get(&f, "GET", "/"), "HTTP/1.1 200 ", 13); /* so the two are there */
    fake_close(&f);
    hear(fds[0]);
    hear(fds[1]);
}

TEST(http, connections_beyond_the_limit_wait_until_others_end)
{
    struct fake f;
    int fds[HTTP_CONNECTIONS + 1];
    fake_open(&f, 10);
    for (unsigned i = 0; i <= HTTP_CONNECTIONS; i++)
        fds[i] = dial(&f);
    say(fds[HTTP_CONNECTIONS], "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    for (unsigned i = 0; i < HTTP_CONNECTIONS; i++)
        close(fds[i]);
    assert_memory_equal(hear(fds[HTTP_CONNECTIONS]), "HTTP/1.1 200 ", 13);
    fake_close(&f);
}

/* Whether the other end has closed, or does before long: sooner than silence alone would end a connection. */
static bool closes(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char byte;
    return poll(&p, 1, PATIENCE_MS) == 1 && recv(fd, &byte, 1, MSG_DONTWAIT) <= 0;
}

/* What the other end says until `end`, or its silence. */
static bool hears(int fd, const char *end)
{
    char text[4096] = "";
    size_t size = 0;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (!strstr(text, end) && size < sizeof text - 1 && poll(&p, 1, PATIENCE_MS) == 1) {
        ssize_t n = recv(fd, text + size, sizeof text - 1 - size, MSG_DONTWAIT);
        if (n <= 0)
            break;
        text[size += (size_t)n] = 0;
    }
    return strstr(text, end) != NULL;
}

static bool is_healthy(const struct fake *f)
{
    int fd = dial(f);
    say(fd, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    bool healthy = hears(fd, "\r\n\r\nok\n");
    close(fd);
    return healthy;
}

TEST(http, slow_heads_lock_nobody_out_the_one_that_began_first_gives_way)
{
    enum { SLOW = 3 * HTTP_CONNECTIONS };
    struct fake f;
    int fds[SLOW];
    fake_open(&f, 10);
    uint64_t before = mark_count("http_gives_way");
    for (unsigned i = 0; i < SLOW; i++) {
        fds[i] = dial(&f);
        say(fds[i], "GET / HTTP/1.1\r\nX: ");
    }
    assert_true(is_healthy(&f));
    assert_true(mark_count("http_gives_way") - before > SLOW - HTTP_CONNECTIONS);
    for (unsigned i = 0; i < SLOW - HTTP_CONNECTIONS; i++)
        assert_true(closes(fds[i]));
    for (unsigned i = SLOW - HTTP_CONNECTIONS + 2; i < SLOW; i++) { /* a drop more changes nobody's turn */
        say(fds[i], "a");
        assert_true(is_healthy(&f));
    }
    say(fds[SLOW - 1], "\r\nHost: x\r\n\r\n"); /* slow is not wrong */
    assert_true(hears(fds[SLOW - 1], "/healthz"));
    for (unsigned i = 0; i < SLOW; i++)
        close(fds[i]);
    fake_close(&f);
}

TEST(http, idle_connections_give_way_in_the_order_in_which_they_were_used)
{
    enum { LAST = HTTP_CONNECTIONS - 2 }; /* with it, all places are taken but the free one */
    struct fake f;
    int fds[HTTP_CONNECTIONS];
    fake_open(&f, 10);
    for (unsigned i = 0; i <= LAST; i++) {
        fds[i] = dial(&f);
        say(fds[i], "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_true(hears(fds[i], "else 503\n"));
    }
    say(fds[0], "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(hears(fds[0], "\r\n\r\nok\n"));
    assert_true(is_healthy(&f));
    assert_true(closes(fds[1]));
    for (unsigned i = 0; i <= LAST; i += i == 0 ? 2 : 1) {
        say(fds[i], "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_true(hears(fds[i], "else 503\n"));
    }
    for (unsigned i = 0; i <= LAST; i++)
        close(fds[i]);
    fake_close(&f);
}

TEST(http, who_does_not_read_gives_way)
{
    static const char request[] = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    struct fake f;
    int fds[HTTP_CONNECTIONS], size = 1;
    fake_open(&f, 1000);
    for (unsigned i = 0; i < HTTP_CONNECTIONS; i++) {
        fds[i] = dial(&f);
        setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
        for (unsigned n = 0; n < 200; n++) /* some MiB of answers: more than the sockets hold */
            send(fds[i], request, sizeof request - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    assert_true(is_healthy(&f));
    assert_true(is_healthy(&f));
    for (unsigned i = 0; i < HTTP_CONNECTIONS; i++)
        close(fds[i]);
    fake_close(&f);
}

TEST(http, who_waits_for_the_shard_does_not_give_way)
{
    enum { WAIT = HTTP_CONNECTIONS - 1 };
    struct fake f;
    int fds[WAIT];
    fake_open(&f, 10);
    fake_tell(&f, &f.silent, true);
    for (unsigned i = 0; i < WAIT; i++) {
        fds[i] = dial(&f);
        say(fds[i], "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    }
    int slow = dial(&f); /* takes the last place */
    say(slow, "GET ");
    int late = dial(&f);
    say(late, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_true(hears(late, "else 503\n"));
    for (unsigned i = 0; i < WAIT; i++)
        assert_memory_equal(hear(fds[i]), "HTTP/1.1 503 ", 13);
    close(slow);
    close(late);
    fake_close(&f);
}

TEST(http, an_address_in_use_is_said)
{
    struct fake f;
    fake_open(&f, 10);
    char address[32], error[256];
    snprintf(address, sizeof address, "127.0.0.1:%u", http_port(f.http));
    struct http_config c = {.address = address, .wake = bell_ring, .wake_context = &f.bell};
    struct http *second;
    assert_int_equal(http_open(&second, &c, error), LEAT_ADDRESS_IN_USE);
    assert_non_null(strstr(error, address));
    c.address = "nonsense";
    assert_int_equal(http_open(&second, &c, error), LEAT_BAD_VALUE);
    fake_close(&f);
}

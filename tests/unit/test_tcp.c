/* test_tcp.c - the TCP transport against plain sockets: streams cut anywhere, thousands of peers, garbage, resets, slow
 * readers, no descriptors, no memory. The transport and most peers share this thread: loopback needs no second one. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "byteorder.h"
#include "frame.h"
#include "limits.h"
#include "prng.h"
#include "tcp_uring.h"
#include "test.h"

/* A transport, and what a small shard noticed: it checks every packet and echoes every frame. */
struct room {
    struct ring *ring;
    struct transport *t;
    uint64_t frames, packets, bytes, gone, refused_replies;
    uint32_t last_peer, last_gone;
    bool silent; /* no echo */
};

static struct room room_open(struct tcp_config config)
{
    struct room x = {0};
    char error[256] = "";
    config.address = config.address ? config.address : "127.0.0.1:0";
    assert_int_equal(ring_open(&x.ring, error), LEAT_OK);
    assert_int_equal(tcp_uring_open(&x.t, x.ring, &config, error), LEAT_OK);
    ring_submit(x.ring);
    return x;
}

static void room_close(struct room *x)
{
    tcp_uring_close(x->t);
    ring_close(x->ring);
}

static void room_packet(struct room *x, const struct transport_packet *p)
{
    if (p->size == 0) {
        x->gone++;
        x->last_gone = p->peer;
        return;
    }
    assert_int_equal((uintptr_t)p->data % 8, 0);
    x->packets++;
    x->bytes += p->size;
    x->last_peer = p->peer;
    for (uint32_t at = 0; at < p->size;) {
        int32_t size = frame_size(p->data + at, p->size - at);
        assert_true(size > 0 && (uint32_t)size <= p->size - at);
        x->frames++;
        if (!x->silent) {
            uint8_t *room = x->t->ops->reserve(x->t, p->peer, (uint32_t)size);
            x->refused_replies += !room;
            if (room) {
                assert_int_equal((uintptr_t)room % 8, 0);
                memcpy(room, p->data + at, (size_t)size);
                x->t->ops->commit(x->t, p->peer, (uint32_t)size);
            }
        }
        at += (uint32_t)size;
    }
}

static unsigned room_step(struct room *x)
{
    struct transport_packet packets[TRANSPORT_BURST];
    unsigned n = x->t->ops->receive(x->t, packets, TRANSPORT_BURST);
    for (unsigned i = 0; i < n; i++)
        room_packet(x, &packets[i]);
    x->t->ops->done(x->t, packets, n);
    x->t->ops->flush(x->t);
    return n;
}

/* Steps until `*value` is `wanted`, sleeping in the ring between. */
static void room_until(struct room *x, const uint64_t *value, uint64_t wanted)
{
    for (unsigned idle = 0; *value < wanted && idle < 100;) {
        if (room_step(x) > 0)
            idle = 0;
        else if (x->t->ops->arm(x->t)) {
            ring_wait(x->ring, duration_ms(100));
            x->t->ops->disarm(x->t);
            idle++;
        }
    }
    assert_int_equal(*value, wanted);
}

/* Nothing more comes without a new cause. */
static void room_settle(struct room *x)
{
    for (int quiet = 0; quiet < 3;) {
        quiet = room_step(x) > 0 ? 0 : quiet + 1;
        ring_wait(x->ring, duration_ms(5));
    }
}

static int peer_open(const struct room *x)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(tcp_uring_port(x->t))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

/* A frame of `size` bytes whose body tells which one it is. */
static void frame_fill(uint8_t *at, uint32_t size, uint32_t number)
{
    frame_begin(at, 0, number);
    for (uint32_t i = FRAME_HEADER; i < size; i++)
        at[i] = (uint8_t)(number * 31 + i);
    frame_end(at, size);
}

static void peer_send(int fd, const void *bytes, size_t size)
{
    assert_int_equal(send(fd, bytes, size, MSG_NOSIGNAL), size);
}

/* Steps until `size` bytes have come back, into `bytes`. */
static void peer_read(struct room *x, int fd, uint8_t *bytes, size_t size)
{
    size_t have = 0;
    for (unsigned idle = 0; have < size && idle < 2000; idle++) {
        ssize_t n = recv(fd, bytes + have, size - have, MSG_DONTWAIT);
        if (n > 0) {
            have += (size_t)n;
            idle = 0;
        } else {
            assert_true(n < 0 && errno == EAGAIN);
            if (room_step(x) == 0)
                ring_wait(x->ring, duration_ms(1));
        }
    }
    assert_int_equal(have, size);
}

static bool peer_is_closed(int fd)
{
    uint8_t byte;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    poll(&p, 1, 5000);
    ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno == ECONNRESET);
}

TEST(tcp, frames_that_arrive_byte_by_byte_come_back_whole)
{
    struct room x = room_open((struct tcp_config){0});
    static uint8_t stream[16 + 24 + 4096], back[sizeof stream];
    frame_fill(stream, 16, 1);
    frame_fill(stream + 16, 24, 2);
    frame_fill(stream + 40, 4096, 3);
    int fd = peer_open(&x);
    for (size_t i = 0; i < sizeof stream; i++) {
        peer_send(fd, stream + i, 1);
        room_step(&x);
    }
    peer_read(&x, fd, back, sizeof back);
    assert_memory_equal(back, stream, sizeof stream);
    assert_int_equal(x.frames, 3);
    assert_int_equal(tcp_uring_counters(x.t).memory_used, 0);
    close(fd);
    room_until(&x, &x.gone, 1);
    assert_int_equal(x.last_gone, x.last_peer);
    room_close(&x);
}

TEST(tcp, a_stream_cut_at_any_place_is_the_same_stream)
{
    struct room x = room_open((struct tcp_config){.buffers = 8, .buffer_bytes = 4096});
    enum { STREAM = 4 * 1024 * 1024 };
    uint8_t *stream = malloc(STREAM), *back = malloc(STREAM);
    struct prng random = prng_seed(1, 0);
    uint32_t size = 0, frames = 0;
    while (size + FRAME_MAX <= STREAM) {
        uint32_t small = 16 + 8 * (uint32_t)prng_below(&random, 40),
                 large = 8 * (uint32_t)(2 + prng_below(&random, 8191));
        uint32_t frame = prng_chance(&random, 80) ? small : prng_chance(&random, 10) ? FRAME_MAX : large;
        frame_fill(stream + size, frame, ++frames);
        size += frame;
    }
    int fd = peer_open(&x);
    uint32_t sent = 0, had = 0;
    while (had < size) {
        uint32_t piece = 1 + (uint32_t)prng_below(&random, prng_chance(&random, 50) ? 64 : 60000);
        piece = piece < size - sent ? piece : size - sent;
        ssize_t n = piece > 0 ? send(fd, stream + sent, piece, MSG_DONTWAIT) : 0;
        sent += n > 0 ? (uint32_t)n : 0;
        if (x.refused_replies == 0)
            room_step(&x);
        ssize_t got = recv(fd, back + had, size - had, MSG_DONTWAIT);
        had += got > 0 ? (uint32_t)got : 0;
        assert_int_equal(x.refused_replies, 0);
    }
    assert_memory_equal(back, stream, size);
    assert_int_equal(x.frames, frames);
    assert_int_equal(tcp_uring_counters(x.t).memory_used, 0);
    close(fd);
    room_close(&x);
    free(stream);
    free(back);
}

TEST(tcp, frames_that_arrive_together_are_one_packet_and_their_echoes_one_send)
{
    struct room x = room_open((struct tcp_config){0});
    static uint8_t stream[64 * 64], back[sizeof stream];
    for (uint32_t i = 0; i < 64; i++)
        frame_fill(stream + i * 64, 64, i);
    int fd = peer_open(&x);
    peer_send(fd, stream, sizeof stream);
    peer_read(&x, fd, back, sizeof back);
    assert_memory_equal(back, stream, sizeof stream);
    assert_int_equal(x.packets, 1);
    assert_int_equal(tcp_uring_counters(x.t).sends, 1);
    close(fd);
    room_close(&x);
}

TEST(tcp, a_stream_that_is_not_frames_is_dropped_after_its_last_good_frame)
{
    struct room x = room_open((struct tcp_config){0});
    static uint8_t bytes[256];
    frame_fill(bytes, 64, 1);
    memset(bytes + 64, 'G', 100);
    int fd = peer_open(&x), http = peer_open(&x), split = peer_open(&x);
    peer_send(fd, bytes, 164);
    peer_send(http, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27);
    room_until(&x, &x.gone, 2);
    assert_int_equal(x.frames, 1);
    peer_send(split, "GET ", 4);
    room_settle(&x);
    peer_send(split, "/ HTTP/1.1\r\n\r\n", 14);
    room_until(&x, &x.gone, 3);
    assert_int_equal(tcp_uring_counters(x.t).bad_streams, 3);
    assert_int_equal(tcp_uring_counters(x.t).connections, 0);
    assert_true(peer_is_closed(http));
    close(fd);
    close(http);
    close(split);
    room_close(&x);
}

TEST(tcp, a_reset_and_an_end_in_the_middle_of_a_frame_are_one_gone_each)
{
    struct room x = room_open((struct tcp_config){0});
    static uint8_t bytes[FRAME_MAX];
    frame_fill(bytes, FRAME_MAX, 1);
    int reset = peer_open(&x), ended = peer_open(&x), half = peer_open(&x);
    peer_send(reset, bytes, 5000);
    peer_send(ended, bytes, 7);
    frame_fill(bytes, 64, 2);
    peer_send(half, bytes, 64);
    room_until(&x, &x.frames, 1);
    struct linger hard = {.l_onoff = 1, .l_linger = 0};
    setsockopt(reset, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(reset);
    close(ended);
    shutdown(half, SHUT_WR);
    room_until(&x, &x.gone, 3);
    assert_true(tcp_uring_counters(x.t).resets >= 1);
    assert_int_equal(tcp_uring_counters(x.t).memory_used, 0);
    static uint8_t back[64];
    assert_int_equal(recv(half, back, 64, MSG_WAITALL), 64); /* its reply had been sent */
    assert_true(peer_is_closed(half));
    close(half);
    room_close(&x);
}

TEST(tcp, a_slow_reader_is_refused_room_loses_nothing_and_does_not_hurt_others)
{
    struct room x = room_open((struct tcp_config){0});
    static uint8_t frame[FRAME_MAX], back[FRAME_MAX];
    int slow = peer_open(&x), other = peer_open(&x);
    frame_fill(frame, 16, 0);
    peer_send(slow, frame, 16);
    peer_read(&x, slow, back, 16);
    uint32_t peer = x.last_peer, queued = 0;
    for (uint8_t *room; (room = x.t->ops->reserve(x.t, peer, FRAME_MAX)); queued++) {
        frame_fill(room, FRAME_MAX, queued);
        x.t->ops->commit(x.t, peer, FRAME_MAX);
        x.t->ops->flush(x.t);
    }
    assert_true(queued >= TCP_OUT_MAX / FRAME_MAX);
    assert_true(tcp_uring_counters(x.t).out_full > 0);
    frame_fill(frame, 4096, 5);
    peer_send(other, frame, 4096);
    peer_read(&x, other, back, 4096);
    assert_memory_equal(back, frame, 4096);
    for (uint32_t i = 0; i < queued; i++) {
        frame_fill(frame, FRAME_MAX, i);
        peer_read(&x, slow, back, FRAME_MAX);
        assert_memory_equal(back, frame, FRAME_MAX);
    }
    room_settle(&x);
    assert_int_equal(tcp_uring_counters(x.t).memory_used, 0);
    assert_non_null(x.t->ops->reserve(x.t, peer, FRAME_MAX));
    close(slow);
    close(other);
    room_close(&x);
}

TEST(tcp, what_the_shard_does_not_take_stays_outside)
{
    struct room x = room_open((struct tcp_config){.buffers = 4, .buffer_bytes = 4096});
    static uint8_t frame[4096];
    frame_fill(frame, 4096, 1);
    int fd = peer_open(&x);
    struct transport_packet held[16];
    unsigned n = 0;
    size_t sent = 0; /* bytes */
    for (int i = 0; i < 100; i++) {
        for (ssize_t k; (k = send(fd, frame + sent % 4096, 4096 - sent % 4096, MSG_DONTWAIT)) > 0;)
            sent += (size_t)k;
        n += x.t->ops->receive(x.t, held + n, 16 - n);
        x.t->ops->flush(x.t);
    }
    assert_true(sent > 16 * 4096);
    assert_true(n > 0 && n <= 8);
    assert_true(tcp_uring_counters(x.t).bytes_in <= 4 * 4096);
    for (unsigned i = 0; i < n; i++)
        x.frames += held[i].size / 4096;
    x.t->ops->done(x.t, held, n);
    x.silent = true;
    shutdown(fd, SHUT_WR);
    room_until(&x, &x.gone, 1);
    assert_int_equal(x.frames, sent / 4096); /* the last may have been cut */
    assert_true(tcp_uring_counters(x.t).starved > 0);
    close(fd);
    room_close(&x);
}

TEST(tcp, a_peer_that_is_hung_up_on_is_told_gone_and_its_queued_data_is_not)
{
    struct room x = room_open((struct tcp_config){0});
    static uint8_t frame[64];
    frame_fill(frame, 64, 1);
    int fd = peer_open(&x);
    peer_send(fd, frame, 64);
    room_until(&x, &x.frames, 1);
    peer_send(fd, frame, 64);
    ring_wait(x.ring, duration_s(1));
    ring_reap(x.ring);
    uint32_t peer = x.last_peer;
    x.t->ops->hang_up(x.t, peer);
    x.t->ops->hang_up(x.t, peer);
    room_until(&x, &x.gone, 1);
    assert_int_equal(x.frames, 1);
    uint8_t *nowhere = x.t->ops->reserve(x.t, peer, FRAME_MAX);
    assert_non_null(nowhere);
    memset(nowhere, 1, FRAME_MAX);
    x.t->ops->commit(x.t, peer, FRAME_MAX);
    x.t->ops->flush(x.t);
    close(fd);
    fd = peer_open(&x);
    peer_send(fd, frame, 64);
    room_until(&x, &x.frames, 2);
    assert_int_not_equal(x.last_peer, peer);
    close(fd);
    room_close(&x);
}

TEST(tcp, a_full_table_refuses_at_once_and_serves_again_when_one_leaves)
{
    struct room x = room_open((struct tcp_config){.connections = 2});
    static uint8_t frame[64], back[64];
    frame_fill(frame, 64, 1);
    int a = peer_open(&x), b = peer_open(&x), c = peer_open(&x);
    room_settle(&x);
    assert_true(peer_is_closed(c));
    assert_int_equal(tcp_uring_counters(x.t).refused, 1);
    close(a);
    room_until(&x, &x.gone, 1);
    int d = peer_open(&x);
    peer_send(d, frame, 64);
    peer_read(&x, d, back, 64);
    close(b);
    close(c);
    close(d);
    room_close(&x);
}

TEST(tcp, unfinished_frames_beyond_the_memory_cost_the_most_stuck_ones)
{
    struct room x = room_open((struct tcp_config){.memory = 1024 * 1024});
    static uint8_t frame[FRAME_MAX];
    enum { PEERS = 30 };
    int fds[PEERS];
    frame_fill(frame, FRAME_MAX, 1);
    for (int i = 0; i < PEERS; i++) {
        fds[i] = peer_open(&x);
        peer_send(fds[i], frame, 100);
        room_settle(&x);
    }
    struct tcp_counters counters = tcp_uring_counters(x.t);
    assert_true(counters.evicted > 0 && counters.evicted < PEERS);
    assert_int_equal(counters.evicted, x.gone);
    assert_true(peer_is_closed(fds[0]));
    x.silent = true;
    peer_send(fds[PEERS - 1], frame + 100, FRAME_MAX - 100);
    room_until(&x, &x.frames, 1);
    assert_int_equal(tcp_uring_counters(x.t).evicted, counters.evicted);
    for (int i = 0; i < PEERS; i++)
        close(fds[i]);
    room_close(&x);
}

/* In a child process: `count` connections at once, a frame over each, all echoes, then a byte to `report`. */
static void crowd(const struct room *x, unsigned count, int report)
{
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    int *fds = calloc(count, sizeof *fds);
    uint8_t frame[64], back[64];
    for (unsigned i = 0; i < count; i++) {
        fds[i] = peer_open(x);
        frame_fill(frame, 64, i);
        if (send(fds[i], frame, 64, MSG_NOSIGNAL) != 64)
            _exit(1);
    }
    for (unsigned i = 0; i < count; i++) {
        frame_fill(frame, 64, i);
        if (recv(fds[i], back, 64, MSG_WAITALL) != 64 || memcmp(frame, back, 64) != 0)
            _exit(2);
    }
    if (write(report, "!", 1) != 1)
        _exit(3);
    pause(); /* holds them until it is killed */
}

static pid_t crowd_start(const struct room *x, unsigned count, int *report)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        crowd(x, count, ends[1]);
    }
    close(ends[1]);
    *report = ends[0];
    return child;
}

static void crowd_end(pid_t child, int report)
{
    char byte = 0;
    assert_int_equal(read(report, &byte, 1), 1);
    assert_int_equal(byte, '!');
    close(report);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static uint64_t resident_bytes(void)
{
    unsigned long pages = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_int_equal(fscanf(f, "%lu %lu", &pages, &resident), 2);
    fclose(f);
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

TEST(tcp, ten_thousand_connections_are_served_and_cost_little_when_idle)
{
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    unsigned count = files.rlim_max < 10600 ? (unsigned)files.rlim_max - 600 : 10000;
    struct room x = room_open((struct tcp_config){0});
    int report;
    uint64_t before = resident_bytes();
    pid_t child = crowd_start(&x, count, &report);
    room_until(&x, &x.frames, count);
    room_settle(&x);
    assert_int_equal(tcp_uring_counters(x.t).connections, count);
    assert_int_equal(tcp_uring_counters(x.t).memory_used, 0);
    assert_true(resident_bytes() - before < UINT64_C(32) * 1024 * 1024);
    crowd_end(child, report);
    room_until(&x, &x.gone, count);
    assert_int_equal(tcp_uring_counters(x.t).connections, 0);
    room_close(&x);
}

TEST(tcp, accepting_pauses_without_descriptors_and_goes_on_when_there_are_some)
{
    enum { CROWD = 40, LEFT = 20, LIMIT = 600 };
    struct rlimit files, few;
    getrlimit(RLIMIT_NOFILE, &files);
    few = files;
    few.rlim_cur = LIMIT;
    setrlimit(RLIMIT_NOFILE, &few);
    struct room x = room_open((struct tcp_config){.connections = 64});
    static int taken[LIMIT];
    int report, n = 0;
    pid_t child = crowd_start(&x, CROWD, &report);
    while ((taken[n] = dup(report)) >= 0)
        n++;
    for (int i = 0; i < LEFT; i++)
        close(taken[--n]);
    while (tcp_uring_counters(x.t).accept_pauses == 0) {
        room_step(&x);
        ring_wait(x.ring, duration_s(1));
    }
    assert_int_equal(tcp_uring_counters(x.t).accepted, LEFT);
    while (n > 0)
        close(taken[--n]);
    room_until(&x, &x.frames, CROWD);
    crowd_end(child, report);
    room_until(&x, &x.gone, CROWD);
    room_close(&x);
    setrlimit(RLIMIT_NOFILE, &files);
}

TEST(tcp, an_idle_transport_can_be_armed_and_a_frame_wakes_the_sleeper)
{
    struct room x = room_open((struct tcp_config){0});
    static uint8_t frame[64];
    frame_fill(frame, 64, 1);
    int fd = peer_open(&x);
    room_settle(&x);
    assert_true(x.t->ops->arm(x.t));
    uint64_t waits = ring_counters(x.ring).waits;
    peer_send(fd, frame, 64);
    assert_false(x.t->ops->arm(x.t));
    ring_wait(x.ring, (struct duration){UINT64_MAX});
    x.t->ops->disarm(x.t);
    assert_true(ring_counters(x.ring).waits <= waits + 1);
    room_step(&x);
    assert_int_equal(x.frames, 1);
    close(fd);
    room_close(&x);
}

static enum leat_status open_status(const char *address, char error[256])
{
    struct ring *r;
    struct transport *t;
    assert_int_equal(ring_open(&r, error), LEAT_OK);
    enum leat_status status = tcp_uring_open(&t, r, &(struct tcp_config){.address = address, .connections = 16}, error);
    if (status == LEAT_OK)
        tcp_uring_close(t);
    ring_close(r);
    return status;
}

TEST(tcp, an_address_is_bound_or_refused_with_a_sentence)
{
    char error[256] = "", address[64];
    struct room x = room_open((struct tcp_config){0});
    assert_true(tcp_uring_port(x.t) > 0);
    snprintf(address, sizeof address, "127.0.0.1:%u", tcp_uring_port(x.t));
    assert_int_equal(open_status(address, error), LEAT_ADDRESS_IN_USE);
    assert_non_null(strstr(error, address));
    static const char *const bad[] = {"127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536",
                                      "::1:80",    "",           "999.1.1.1:0"};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(open_status(bad[i], error), LEAT_BAD_VALUE);
    assert_int_equal(open_status("192.0.2.1:0", error), LEAT_BAD_VALUE); /* not ours */
    assert_int_equal(open_status("127.0.0.1:0", error), LEAT_OK);
    struct addrinfo *known = NULL; /* a bare system has no /etc/hosts */
    bool resolves = getaddrinfo("localhost", NULL, NULL, &known) == 0;
    assert_int_equal(open_status("localhost:0", error), resolves ? LEAT_OK : LEAT_BAD_VALUE);
    if (known)
        freeaddrinfo(known);
    assert_int_equal(open_status(":0", error), LEAT_OK);
    if (geteuid() != 0)
        assert_int_equal(open_status("127.0.0.1:1", error), LEAT_NO_PERMISSION);
    int has_ipv6 = socket(AF_INET6, SOCK_STREAM, 0);
    if (has_ipv6 >= 0) {
        close(has_ipv6);
        enum leat_status status = open_status("[::1]:0", error);
        assert_true(status == LEAT_OK || strstr(error, "assign"));
    }
    room_close(&x);
}

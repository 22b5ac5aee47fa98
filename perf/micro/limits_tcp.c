/* limits_tcp.c - T: one byte to another process and one byte back, over the kernel's TCP on 127.0.0.1.
 *
 * Two ways to wait. *Spinning*: both ends ask recv(MSG_DONTWAIT) again and again, so what is measured is two sends, two
 * receives and the way through the stack: nothing over kernel TCP can be faster. *Blocking*: both ends sleep in recv(),
 * so a wake-up of each core is added, which on a virtual machine can cost more than all the rest. Nagle's algorithm is
 * off. Every reply has a second to come, by SO_RCVTIMEO or by the counter. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "limits_pair.h"

static bool socket_prepare(int fd)
{
    int on = 1;
    struct timeval patience = {.tv_sec = LIMITS_REPLY_NS / 1000000000};
    return !setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) &&
           !setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
}

/* Receives one byte; false when the other end is gone or too slow. */
static bool receive_spinning(int fd, char *byte)
{
    uint64_t start = 0;
    for (uint32_t spins = 1;; spins++) {
        ssize_t n = recv(fd, byte, 1, MSG_DONTWAIT);
        if (n == 1)
            return true;
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
            return false;
        if (spins % 1024 != 0)
            continue;
        uint64_t now = ticks_now();
        start = start ? start : now;
        if (now - start > ticks_of(LIMITS_REPLY_NS / 1e9))
            return false;
    }
}

static bool receive_blocking(int fd, char *byte)
{
    return recv(fd, byte, 1, 0) == 1;
}

typedef bool receive_one(int fd, char *byte);

static bool answer(struct limits_board *b, char *why, receive_one *receive)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    char byte;
    int door = socket(AF_INET, SOCK_STREAM, 0);
    if (door < 0 || bind(door, (struct sockaddr *)&at, sizeof at) || listen(door, 1) ||
        getsockname(door, (struct sockaddr *)&at, &size))
        return limits_pair_fail(why, "cannot listen on 127.0.0.1: %s", strerror(errno));
    atomic_store(&b->ready, (uint32_t)ntohs(at.sin_port));
    struct pollfd p = {.fd = door, .events = POLLIN};
    if (poll(&p, 1, LIMITS_START_NS / 1000000) != 1)
        return limits_pair_fail(why, "nobody connected to 127.0.0.1");
    int fd = accept(door, NULL, NULL);
    if (fd < 0 || !socket_prepare(fd))
        return limits_pair_fail(why, "cannot accept a connection: %s", strerror(errno));
    while (receive(fd, &byte) && send(fd, &byte, 1, MSG_NOSIGNAL) == 1)
        ;
    return limits_pair_fail(why, "the connection over 127.0.0.1 broke");
}

static bool ask(const struct limits_setup *s, struct limits_board *b, char *why, receive_one *receive)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    uint32_t port = limits_pair_wait(b);
    if (port == 0)
        return limits_pair_fail(why, "the other process did not start");
    to.sin_port = htons((uint16_t)port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) || !socket_prepare(fd))
        return limits_pair_fail(why, "cannot connect over 127.0.0.1: %s", strerror(errno));
    uint64_t warm = ticks_now() + ticks_of(s->seconds / 10), end = warm + ticks_of(s->seconds);
    char byte = 'l';
    for (uint64_t then = 0; then < end;) {
        then = ticks_now();
        if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1 || !receive(fd, &byte))
            return limits_pair_fail(why, "no reply over 127.0.0.1");
        if (then >= warm)
            hist_record(&b->hist, ticks_now() - then);
    }
    limits_pair_percentiles(b);
    return true;
}

bool limits_tcp_spin_answer(const struct limits_setup *s, struct limits_board *b, char *why)
{
    (void)s;
    return answer(b, why, receive_spinning);
}

bool limits_tcp_block_answer(const struct limits_setup *s, struct limits_board *b, char *why)
{
    (void)s;
    return answer(b, why, receive_blocking);
}

bool limits_tcp_spin(const struct limits_setup *s, struct limits_board *b, char *why)
{
    return ask(s, b, why, receive_spinning);
}

bool limits_tcp_block(const struct limits_setup *s, struct limits_board *b, char *why)
{
    return ask(s, b, why, receive_blocking);
}

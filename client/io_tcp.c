/* io_tcp.c - bytes over a kernel TCP socket, never blocking but in wait().
 *
 * A name may have several addresses: they are tried one after the other; it is resolved anew for every connection,
 * since a broker may move. MSG_NOSIGNAL, so that a dead peer does not kill the program around us.
 */
#include "io_tcp.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "must.h"

enum { RECEIVE_ROOM = 256 * 1024, WHY = 256 };
#define DEFAULT_PORT "7400"

struct io {
    char host[IO_TCP_HOST], port[IO_TCP_PORT];
    struct addrinfo *found, *next; /* while connecting */
    int fd;
    bool connecting;
    uint8_t room[RECEIVE_ROOM];
};

bool io_tcp_split(const char *address, char host[IO_TCP_HOST], char port[IO_TCP_PORT], char *why)
{
    const char *end = address + strlen(address), *colon = strrchr(address, ':'), *from = address;
    if (*address == '[') {
        from++;
        end = strchr(address, ']');
        colon = end && end[1] == ':' ? end + 1 : NULL;
        if (!end || (!colon && end[1])) {
            snprintf(why, WHY, "%s: not an address: [V6] or [V6]:PORT is expected", address);
            return false;
        }
    } else if (colon) {
        end = colon;
    }
    snprintf(port, IO_TCP_PORT, "%s", colon ? colon + 1 : DEFAULT_PORT);
    unsigned long number = strtoul(port, NULL, 10);
    if (end == from || end - from >= IO_TCP_HOST || port[strspn(port, "0123456789")] || number == 0 || number > 65535 ||
        (colon && strlen(colon) > 6)) {
        snprintf(why, WHY, "%s: not an address: HOST:PORT with a port of 1 to 65535 is expected", address);
        return false;
    }
    memcpy(host, from, (size_t)(end - from));
    host[end - from] = 0;
    return true;
}

static struct io *tcp_open(const char *address, const char *extra, char *why)
{
    (void)extra;
    struct io *io = malloc(sizeof *io);
    if (!io) {
        snprintf(why, WHY, "no memory for a connection");
        return NULL;
    }
    io->fd = -1;
    io->connecting = false;
    io->found = io->next = NULL;
    if (!io_tcp_split(address, io->host, io->port, why)) {
        free(io);
        return NULL;
    }
    return io;
}

static void forget_addresses(struct io *io)
{
    if (io->found)
        freeaddrinfo(io->found);
    io->found = io->next = NULL;
}

static void tcp_hang_up(struct io *io)
{
    if (io->fd >= 0)
        close(io->fd);
    io->fd = -1;
    io->connecting = false;
    forget_addresses(io);
}

static void tcp_close(struct io *io)
{
    tcp_hang_up(io);
    free(io);
}

static bool no_descriptor(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS;
}

/* getaddrinfo() says of a machine without descriptors that it does not know the name. */
static bool starved(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return no_descriptor(errno);
    close(fd);
    return false;
}

static enum io_progress resolve(struct io *io, char *why)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    int rc = getaddrinfo(io->host, io->port, &hints, &io->found);
    if (rc != 0) {
        io->found = NULL;
        const char *reason = rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc);
        bool ours = rc == EAI_MEMORY;
        if (!ours && starved()) {
            ours = true;
            reason = strerror(errno);
        }
        snprintf(why, WHY, "%.200s: %s", io->host, reason);
        return ours ? IO_STARVED : IO_FAILED;
    }
    io->next = io->found;
    return IO_PENDING;
}

static enum io_progress connected(struct io *io)
{
    int yes = 1;
    setsockopt(io->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    setsockopt(io->fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
    io->connecting = false;
    forget_addresses(io);
    return IO_DONE;
}

/* Begins with the next address of the name; the reason why one failed stays in `why`. */
static enum io_progress start_next(struct io *io, char *why)
{
    enum io_progress failure = IO_FAILED;
    while (io->next) {
        struct addrinfo *a = io->next;
        io->next = a->ai_next;
        io->fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (io->fd >= 0 && connect(io->fd, a->ai_addr, a->ai_addrlen) == 0)
            return connected(io);
        if (io->fd >= 0 && errno == EINPROGRESS) {
            io->connecting = true;
            return IO_PENDING;
        }
        failure = io->fd < 0 && no_descriptor(errno) ? IO_STARVED : IO_FAILED;
        snprintf(why, WHY, "%.200s:%s: %s", io->host, io->port, strerror(errno));
        if (io->fd >= 0)
            close(io->fd);
        io->fd = -1;
    }
    forget_addresses(io);
    return failure;
}

static enum io_progress tcp_connect(struct io *io, char *why)
{
    if (!io->connecting) {
        enum io_progress found = io->found ? IO_PENDING : resolve(io, why);
        return found == IO_PENDING ? start_next(io, why) : found;
    }
    struct pollfd p = {.fd = io->fd, .events = POLLOUT};
    if (poll(&p, 1, 0) <= 0)
        return IO_PENDING;
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(io->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        error = errno;
    if (error == 0)
        return connected(io);
    snprintf(why, WHY, "%.200s:%s: %s", io->host, io->port, strerror(error));
    close(io->fd);
    io->fd = -1;
    io->connecting = false;
    return start_next(io, why);
}

static long tcp_send(struct io *io, const uint8_t *bytes, size_t size, char *why)
{
    ssize_t n;
    do
        n = send(io->fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n >= 0)
        return n;
    if (errno == EAGAIN || errno == ENOBUFS)
        return 0;
    snprintf(why, WHY, "%.200s:%s: %s", io->host, io->port, strerror(errno));
    return -1;
}

static bool tcp_flush(struct io *io)
{
    (void)io;
    return true;
}

static long tcp_receive(struct io *io, const uint8_t **bytes, char *why)
{
    ssize_t n;
    do
        n = recv(io->fd, io->room, sizeof io->room, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    *bytes = io->room;
    if (n > 0)
        return n;
    if (n < 0 && errno == EAGAIN)
        return 0;
    snprintf(why, WHY, "%.200s:%s: %s", io->host, io->port, n == 0 ? "the broker hung up" : strerror(errno));
    return -1;
}

static enum io_wake tcp_wait(struct io *io, bool writable, struct duration time)
{
    struct timespec t = {.tv_sec = (time_t)(time.ns / 1000000000), .tv_nsec = (long)(time.ns % 1000000000)};
    struct pollfd p = {.fd = io->fd, .events = POLLIN};
    if (writable || io->connecting)
        p.events = POLLIN | POLLOUT;
    int n = ppoll(&p, io->fd >= 0 ? 1 : 0, &t, NULL);
    return n > 0 ? IO_READY : n == 0 ? IO_TIME : IO_SIGNAL;
}

static int tcp_fd(const struct io *io)
{
    return io->fd;
}

const struct io_ops *io_tcp(void)
{
    static const struct io_ops ops = {.scheme = "tcp",
                                      .open = tcp_open,
                                      .connect = tcp_connect,
                                      .send = tcp_send,
                                      .flush = tcp_flush,
                                      .receive = tcp_receive,
                                      .wait = tcp_wait,
                                      .hang_up = tcp_hang_up,
                                      .close = tcp_close,
                                      .fd = tcp_fd};
    return &ops;
}

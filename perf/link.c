/* link.c - two ways to a broker behind one door.
 *
 * TCP: a non-blocking socket without Nagle's algorithm. What is sent is gathered until link_flush(), so that a burst of
 * frames costs one system call; what the socket does not take stays here, and link_send() refuses more when the buffer
 * is full. Local: client_io.h does it all; its datagrams share packets until the flush. */
#include "link.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "must.h"

enum { RECEIVE_BYTES = 256 * 1024, SEND_BYTES = 256 * 1024 };

_Static_assert((int)LINK_BURST <= 32, "a burst of client_io_receive()");

struct link {
    struct target to;
    const char *eal;
    int fd;               /* TCP: -1 while there is no connection */
    struct client_io *io; /* local: NULL until the first connection */
    size_t sending;       /* bytes in out[] */
    bool waiting;         /* the socket took less than it was given */
    _Alignas(64) uint8_t in[RECEIVE_BYTES], out[SEND_BYTES];
};

struct link *link_open(const struct target *to, const char *eal, char *why, size_t why_size)
{
    struct link *l = aligned_alloc(64, (sizeof *l + 63) / 64 * 64);
    if (!l) {
        snprintf(why, why_size, "no memory for a connection");
        return NULL;
    }
    memset(l, 0, sizeof *l);
    l->to = *to;
    l->eal = eal;
    l->fd = -1;
    return l;
}

void link_close(struct link *l)
{
    if (l->fd >= 0)
        close(l->fd);
    if (l->io)
        client_io_close(l->io);
    free(l);
}

static bool local_connect(struct link *l, char *why, size_t why_size)
{
    struct client_io_options o = {.path = l->to.host, .eal = l->eal};
    if (l->io)
        return client_io_reopen(l->io, why, why_size);
    l->io = client_io_open(&o, why, why_size);
    return l->io != NULL;
}

static bool tcp_connect(struct link *l, char *why, size_t why_size)
{
    struct addrinfo want = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    int on = 1, error = getaddrinfo(l->to.host, l->to.port, &want, &found);
    if (error) {
        snprintf(why, why_size, "%s: %s", l->to.host, gai_strerror(error));
        return false;
    }
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
    l->sending = 0;
    l->waiting = false;
    for (const struct addrinfo *f = found; f && l->fd < 0; f = f->ai_next) {
        l->fd = socket(f->ai_family, f->ai_socktype | SOCK_CLOEXEC, f->ai_protocol);
        if (l->fd >= 0 && (connect(l->fd, f->ai_addr, f->ai_addrlen) ||
                           setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on))) {
            error = errno;
            close(l->fd);
            l->fd = -1;
        }
    }
    freeaddrinfo(found);
    if (l->fd < 0)
        snprintf(why, why_size, "%s port %s: %s", l->to.host, l->to.port, strerror(error));
    return l->fd >= 0;
}

bool link_connect(struct link *l, char *why, size_t why_size)
{
    return l->to.kind == TARGET_LOCAL ? local_connect(l, why, why_size) : tcp_connect(l, why, why_size);
}

uint32_t link_datagram_max(const struct link *l)
{
    return l->to.kind == TARGET_LOCAL ? CLIENT_IO_FRAMES_MAX : 0;
}

int link_receive(struct link *l, struct client_io_bytes in[LINK_BURST])
{
    if (l->to.kind == TARGET_LOCAL)
        return (int)client_io_receive(l->io, in, LINK_BURST);
    if (l->fd < 0)
        return LINK_ENDED;
    ssize_t n = recv(l->fd, l->in, sizeof l->in, MSG_DONTWAIT);
    if (n <= 0)
        return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : LINK_ENDED;
    in[0] = (struct client_io_bytes){l->in, (uint32_t)n, NULL};
    return 1;
}

void link_done(struct link *l, const struct client_io_bytes *in, int n)
{
    if (l->to.kind == TARGET_LOCAL && n > 0)
        client_io_done(l->io, in, (unsigned)n);
}

bool link_send(struct link *l, const void *bytes, size_t size)
{
    if (l->to.kind == TARGET_LOCAL)
        return client_io_send(l->io, bytes, (uint32_t)size);
    must(size <= sizeof l->out);
    if (l->sending + size > sizeof l->out)
        link_flush(l);
    if (l->sending + size > sizeof l->out)
        return false;
    memcpy(l->out + l->sending, bytes, size);
    l->sending += size;
    return true;
}

void link_flush(struct link *l)
{
    if (l->to.kind == TARGET_LOCAL) {
        client_io_flush(l->io);
        return;
    }
    if (l->sending == 0 || l->fd < 0)
        return;
    ssize_t n = send(l->fd, l->out, l->sending, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0) {
        l->sending -= (size_t)n;
        memmove(l->out, l->out + n, l->sending);
    }
    l->waiting = l->sending > 0;
}

void link_wait(struct link *l, unsigned ms)
{
    if (l->to.kind == TARGET_LOCAL) {
        client_io_wait(l->io, ms);
        return;
    }
    struct pollfd p = {.fd = l->fd, .events = (short)(POLLIN | (l->waiting ? POLLOUT : 0))};
    poll(&p, 1, (int)ms);
}

/* tcp_listen.c - parse, resolve, bind, listen; a sentence for each way to fail. */
#include "tcp_listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BACKLOG = 4096, KEEP_IDLE_S = 30, KEEP_INTERVAL_S = 10, KEEP_COUNT = 3, TRIES = 50, PAUSE_MS = 20 };

static enum leat_status tcp_listen_failed(int error_number, const char *address, char error[256])
{
    snprintf(error, 256, "cannot listen on %s: %s", address, strerror(error_number));
    switch (error_number) {
    case EADDRINUSE:
        return LEAT_ADDRESS_IN_USE;
    case EACCES:
    case EPERM:
        return LEAT_NO_PERMISSION;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return LEAT_NO_MEMORY;
    default:
        return LEAT_BAD_VALUE;
    }
}

/* "HOST:PORT" apart; false if it is not one. */
static bool tcp_listen_split(const char *address, char host[256], char port[8])
{
    const char *colon = strrchr(address, ':');
    if (!colon || strlen(colon + 1) > 5 || colon[1] == 0 || strspn(colon + 1, "0123456789") != strlen(colon + 1))
        return false;
    if (strtoul(colon + 1, NULL, 10) > 65535)
        return false;
    const char *start = address, *end = colon;
    if (*start == '[' && end > start && end[-1] == ']') {
        start++;
        end--;
    } else if (memchr(start, ':', (size_t)(end - start))) {
        return false; /* an IPv6 address needs its brackets */
    }
    if (end - start >= 256)
        return false;
    memcpy(host, start, (size_t)(end - start));
    host[end - start] = 0;
    strcpy(port, colon + 1);
    return true;
}

/* One socket that listens; its descriptor or -errno. Alone, [::] serves IPv4 too; beside others each keeps to its
 * family. */
static int tcp_listen_one(const struct addrinfo *a, uint16_t port, bool alone)
{
    struct sockaddr_storage address;
    memcpy(&address, a->ai_addr, a->ai_addrlen);
    if (a->ai_family == AF_INET6)
        ((struct sockaddr_in6 *)&address)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)&address)->sin_port = htons(port);
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    const struct {
        int level, name, value;
    } options[] = {
        {SOL_SOCKET, SO_REUSEADDR, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEP_IDLE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEP_INTERVAL_S},
        {IPPROTO_TCP, TCP_KEEPCNT, KEEP_COUNT},
    };
    for (unsigned i = 0; i < sizeof options / sizeof options[0]; i++)
        setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof options[i].value);
    int v6only = !alone;
    if (a->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof v6only);
    if (bind(fd, (struct sockaddr *)&address, a->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int failed = errno;
    close(fd);
    return -failed;
}

static uint16_t tcp_listen_port(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;
    getsockname(fd, (struct sockaddr *)&address, &size);
    if (address.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    return ntohs(((struct sockaddr_in *)&address)->sin_port);
}

/* Every resolved address must work, but for a family that this machine does not have (localhost with IPv6 switched
 * off). */
static int tcp_listen_all(struct tcp_listen *l, const struct addrinfo *found, uint16_t port)
{
    int missing = 0;
    for (const struct addrinfo *a = found; a && l->count < LISTEN_MAX; a = a->ai_next) {
        int fd = tcp_listen_one(a, port, found->ai_next == NULL);
        if (fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL) {
            missing = fd;
            continue;
        }
        if (fd < 0)
            return fd;
        l->fds[l->count++] = fd;
        if (port == 0)
            break;
    }
    return l->count > 0 ? 0 : missing;
}

/* The kernel lets go of a dead process's io_uring files, listening sockets among them, a moment after it has ended:
 * whoever starts again right behind a kill -9 waits for that. */
static int tcp_listen_patiently(struct tcp_listen *l, const struct addrinfo *found, uint16_t port)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000};
    int failed = tcp_listen_all(l, found, port);
    for (int i = 1; i < TRIES && failed == -EADDRINUSE; i++) {
        tcp_listen_close(l);
        nanosleep(&pause, NULL);
        failed = tcp_listen_all(l, found, port);
    }
    return failed;
}

enum leat_status tcp_listen_open(struct tcp_listen *l, const char *address, char error[256])
{
    char host[256], port[8];
    *l = (struct tcp_listen){0};
    if (!tcp_listen_split(address, host, port)) {
        snprintf(error, 256, "cannot listen on %s: it is not of the form HOST:PORT", address);
        return LEAT_BAD_VALUE;
    }
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found = NULL;
    int rc = getaddrinfo(host[0] ? host : NULL, port, &hints, &found);
    if (rc != 0) {
        snprintf(error, 256, "cannot listen on %s: %s", address, rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
        return LEAT_BAD_VALUE;
    }
    int failed = tcp_listen_patiently(l, found, (uint16_t)strtoul(port, NULL, 10));
    freeaddrinfo(found);
    if (failed != 0) {
        tcp_listen_close(l);
        return tcp_listen_failed(-failed, address, error);
    }
    l->port = tcp_listen_port(l->fds[0]);
    return LEAT_OK;
}

void tcp_listen_close(struct tcp_listen *l)
{
    for (unsigned i = 0; i < l->count; i++)
        close(l->fds[i]);
    l->count = 0;
}

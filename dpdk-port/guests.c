/* guests.c - arrivals and departures at the local port, as librte_vhost tells them on its event thread.
 *
 * vhost knows a device by a number (vid) and calls back without any context, so one table per process leads from a vid
 * to its port and place. A connection's socket is not to be had from vhost either: when a connection begins, it is
 * found among our descriptors as the socket with our path that we have not seen before (by inode), and duplicated. With
 * it a client can be hung up on.
 *
 * Kick descriptors come from strangers. We take only eventfds (others could block whoever polls them), duplicate them,
 * poll them edge-triggered, and never read one: a counter that nobody reads does no harm, and nobody can make us wait.
 */
#include "guests.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_pause.h>
#include <rte_spinlock.h>
#include <rte_vhost.h>

#include "must.h"

enum { PORTS_MAX = 64, EVENTS = 64 };

_Static_assert(GUESTS_MAX == RTE_MAX_VHOST_DEVICE, "a place for every device");
_Static_assert(GUESTS_MAX == 1 << GUEST_PLACE_BITS, "a place fits its bits");

/* Which port and place a device has; and the socket of a connection, which begins before its device and ends after it.
 */
static struct seat {
    struct guests *port;
    struct guest *guest;
    int connection;
    ino_t inode;
} seats[GUESTS_MAX];

static struct guests *ports[PORTS_MAX];
static rte_spinlock_t seats_lock = RTE_SPINLOCK_INITIALIZER;

static struct guests *port_of(int vid)
{
    char name[PATH_MAX];
    if (rte_vhost_get_ifname(vid, name, sizeof name))
        return NULL;
    for (int i = 0; i < PORTS_MAX; i++)
        if (ports[i] && !strcmp(ports[i]->path, name))
            return ports[i];
    return NULL;
}

static void ring_bell_xcore(struct guests *g)
{
    atomic_fetch_add(&g->events, 1);
    uint64_t one = 1;
    if (write(g->bell, &one, sizeof one) != sizeof one)
        return; /* its counter is full: it is readable already */
}

static bool is_eventfd(int fd)
{
    char link[64], name[64] = "";
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    return readlink(link, name, sizeof name - 1) > 0 && !strcmp(name, "anon_inode:[eventfd]");
}

static void kick_drop_xcore(struct guests *g, struct guest *guest, int ring)
{
    if (guest->kick[ring] < 0)
        return;
    epoll_ctl(g->epoll, EPOLL_CTL_DEL, guest->kick[ring], NULL);
    close(guest->kick[ring]);
    guest->kick[ring] = -1;
}

static void kick_take_xcore(struct guests *g, struct guest *guest, int ring)
{
    struct rte_vhost_vring vring;
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.fd = -1};
    kick_drop_xcore(g, guest, ring);
    if (rte_vhost_get_vhost_vring(guest->vid, (uint16_t)ring, &vring) || vring.kickfd < 0 || !is_eventfd(vring.kickfd))
        return;
    int fd = fcntl(vring.kickfd, F_DUPFD_CLOEXEC, 3);
    if (fd < 0)
        return;
    if (epoll_ctl(g->epoll, EPOLL_CTL_ADD, fd, &event))
        close(fd);
    else
        guest->kick[ring] = fd;
}

static bool inode_seated(ino_t inode)
{
    for (int i = 0; i < GUESTS_MAX; i++)
        if (seats[i].connection >= 0 && seats[i].port && seats[i].inode == inode)
            return true;
    return false;
}

/* Whether `fd` is a connection accepted by our listening socket, and its inode. */
static bool is_connection(int fd, const char *path, ino_t *inode)
{
    struct sockaddr_un a;
    socklen_t size = sizeof a;
    struct stat st;
    int listening = 1;
    socklen_t n = sizeof listening;
    memset(&a, 0, sizeof a);
    if (getsockname(fd, (struct sockaddr *)&a, &size) || a.sun_family != AF_UNIX)
        return false;
    if (strncmp(a.sun_path, path, sizeof a.sun_path) || fstat(fd, &st))
        return false;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &n) || listening)
        return false;
    *inode = st.st_ino;
    return true;
}

/* The socket of the connection that has just been accepted. */
static void connection_find_xcore(struct seat *seat)
{
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return;
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        ino_t inode;
        int fd = atoi(e->d_name);
        if (e->d_name[0] == '.' || !is_connection(fd, seat->port->path, &inode) || inode_seated(inode))
            continue;
        seat->connection = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        seat->inode = inode;
        break;
    }
    closedir(dir);
}

static void connection_drop_xcore(struct seat *seat)
{
    if (seat->port && seat->connection >= 0)
        close(seat->connection);
    *seat = (struct seat){.connection = -1};
}

static int on_connection_xcore(int vid)
{
    rte_spinlock_lock(&seats_lock);
    connection_drop_xcore(&seats[vid]);
    seats[vid].port = port_of(vid);
    if (seats[vid].port)
        connection_find_xcore(&seats[vid]);
    rte_spinlock_unlock(&seats_lock);
    return 0;
}

static void on_disconnection_xcore(int vid)
{
    rte_spinlock_lock(&seats_lock);
    connection_drop_xcore(&seats[vid]);
    rte_spinlock_unlock(&seats_lock);
}

static struct guest *place_find(struct guests *g)
{
    for (int i = 0; i < GUESTS_MAX; i++)
        if (atomic_load_explicit(&g->place[i].state, memory_order_acquire) == GUEST_FREE)
            return &g->place[i];
    return NULL;
}

static int on_device_xcore(int vid)
{
    rte_spinlock_lock(&seats_lock);
    struct seat *seat = &seats[vid];
    struct guests *g = seat->port ? seat->port : port_of(vid);
    struct guest *guest = g ? place_find(g) : NULL;
    if (guest) {
        seat->port = g;
        seat->guest = guest;
        guest->vid = vid;
        guest->connection = seat->connection;
        kick_take_xcore(g, guest, GUEST_FROM);
        kick_take_xcore(g, guest, GUEST_TO);
        atomic_store(&guest->state, GUEST_NEW);
        ring_bell_xcore(g);
    }
    rte_spinlock_unlock(&seats_lock);
    return guest ? 0 : -1;
}

/* After this returns vhost unmaps the client's memory. */
static void on_device_gone_xcore(int vid)
{
    rte_spinlock_lock(&seats_lock);
    struct guests *g = seats[vid].port;
    struct guest *guest = seats[vid].guest;
    seats[vid].guest = NULL;
    rte_spinlock_unlock(&seats_lock);
    if (!guest)
        return;
    atomic_store(&guest->state, GUEST_GONE);
    uint64_t pass = atomic_load(&g->pass);
    if (pass & 1)
        for (unsigned spins = 0; atomic_load(&g->pass) == pass; spins++) {
            if (spins < 1000)
                rte_pause();
            else
                usleep(50); /* the poller has lost its CPU inside the pass */
        }
    kick_drop_xcore(g, guest, GUEST_FROM);
    kick_drop_xcore(g, guest, GUEST_TO);
    guest->connection = -1;
    ring_bell_xcore(g);
}

static int on_vring_xcore(int vid, uint16_t ring, int enable)
{
    if (ring > 1)
        return 0;
    rte_spinlock_lock(&seats_lock);
    if (seats[vid].guest && enable) {
        kick_take_xcore(seats[vid].port, seats[vid].guest, ring);
        ring_bell_xcore(seats[vid].port);
    }
    rte_spinlock_unlock(&seats_lock);
    return 0;
}

const struct rte_vhost_device_ops *guests_ops(void)
{
    static const struct rte_vhost_device_ops ops = {
        .new_device = on_device_xcore,
        .destroy_device = on_device_gone_xcore,
        .vring_state_changed = on_vring_xcore,
        .new_connection = on_connection_xcore,
        .destroy_connection = on_disconnection_xcore,
    };
    return &ops;
}

struct guests *guests_open(const char *path)
{
    struct guests *g = calloc(1, sizeof *g);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    int slot = 0;
    if (!g)
        return NULL;
    must(strlen(path) < sizeof g->path);
    strcpy(g->path, path);
    for (int i = 0; i < GUESTS_MAX; i++)
        g->place[i].kick[0] = g->place[i].kick[1] = g->place[i].connection = g->place[i].vid = -1;
    g->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (g->epoll < 0)
        goto err0;
    g->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    event.data.fd = g->bell;
    if (g->bell < 0 || epoll_ctl(g->epoll, EPOLL_CTL_ADD, g->bell, &event))
        goto err1;
    rte_spinlock_lock(&seats_lock);
    while (slot < PORTS_MAX && ports[slot])
        slot++;
    if (slot < PORTS_MAX)
        ports[slot] = g;
    rte_spinlock_unlock(&seats_lock);
    if (slot == PORTS_MAX)
        goto err1;
    return g;
err1:
    if (g->bell >= 0)
        close(g->bell);
    close(g->epoll);
err0:
    free(g);
    return NULL;
}

void guests_close(struct guests *g)
{
    rte_spinlock_lock(&seats_lock);
    for (int i = 0; i < PORTS_MAX; i++)
        if (ports[i] == g)
            ports[i] = NULL;
    for (int i = 0; i < GUESTS_MAX; i++)
        if (seats[i].port == g)
            connection_drop_xcore(&seats[i]);
    rte_spinlock_unlock(&seats_lock);
    for (int i = 0; i < GUESTS_MAX; i++)
        for (int ring = 0; ring < 2; ring++)
            kick_drop_xcore(g, &g->place[i], ring);
    close(g->bell);
    close(g->epoll);
    free(g);
}

struct guest *guests_find(struct guests *g, uint32_t peer)
{
    struct guest *guest = &g->place[peer & (GUESTS_MAX - 1)];
    if (!guest->told || guest->hung_up || guest_peer(g, guest) != peer)
        return NULL;
    return atomic_load_explicit(&guest->state, memory_order_relaxed) == GUEST_LIVE ? guest : NULL;
}

void guests_cut(struct guest *guest)
{
    if (guest->connection >= 0)
        shutdown(guest->connection, SHUT_RDWR);
}

bool guests_drain(struct guests *g)
{
    struct epoll_event events[EVENTS];
    bool any = false;
    for (int n = EVENTS; n == EVENTS;) {
        n = epoll_wait(g->epoll, events, EVENTS, 0);
        any = any || n > 0;
    }
    return any;
}

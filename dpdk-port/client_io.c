/* client_io.c - a virtio-user device, plugged in while the program runs, whose other end is the broker.
 *
 * Opening is a hot-plug of the virtual device net_virtio_user with the socket's path: the driver connects, hands the
 * broker our memory and two rings, and from then on both sides copy without a system call. Reconnecting is a hot-unplug
 * and a hot-plug; the buffers stay. The device's name carries a number of this process, so that handles do not meet.
 *
 * A handle without a device (after a failed reopen) sends nothing and receives nothing; it waits for the next reopen.
 *
 * Sleeping: the driver's receive interrupt is an eventfd that the broker writes when its ring asks for it. arm() asks,
 * looks once more (a packet may have come in between; it is kept for the next receive), and then poll(2) waits. */
#include "client_io.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_alarm.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_spinlock.h>

#include "eal.h"
#include "must.h"
#include "packet.h"

enum {
    BURST = 32,
    RING = 256,
    RING_MAX = 1024,
    MEMORY_MB = 256,
    CACHE = 64,
    NO_PORT = RTE_MAX_ETHPORTS,
    IO_MAGIC = 0x6c65696f,
};

_Static_assert((int)CLIENT_IO_FRAMES_MAX == (int)PACKET_FRAMES_MAX, "one size on both ends");

struct client_io {
    uint32_t magic;
    uint16_t port; /* NO_PORT when not connected */
    uint16_t ring;
    unsigned number;
    bool joined_eal, armed;
    int wake; /* the receive interrupt, or -1 */
    struct rte_mempool *pool;
    uint32_t queued; /* packets to send; the last one is still being filled */
    struct rte_mbuf *queue[BURST];
    uint32_t early_count, early_next; /* received while arming */
    struct rte_mbuf *early[BURST];
    char device[32];
    char path[108];
};

static const uint8_t broker_address[PACKET_ADDRESS] = {0x02, 'l', 'e', 'a', 't', 0};
static const uint8_t client_address[PACKET_ADDRESS] = {0x02, 'l', 'e', 'a', 't', 1};

static const unsigned ANY_NODE = (unsigned)SOCKET_ID_ANY;

static rte_spinlock_t plug_lock = RTE_SPINLOCK_INITIALIZER;

static void ignore_sigpipe(void)
{
    struct sigaction now;
    if (!sigaction(SIGPIPE, NULL, &now) && now.sa_handler == SIG_DFL)
        signal(SIGPIPE, SIG_IGN);
}

/* Whether somebody may listen at the path: a clear sentence, where the driver would only fail. Connects to nothing. */
static bool path_check(const char *path, char *why, size_t why_size)
{
    if (access(path, F_OK)) {
        snprintf(why, why_size, "no broker at %s: %s", path, strerror(errno));
        return false;
    }
    if (access(path, R_OK | W_OK)) {
        snprintf(why, why_size, "no permission to use %s", path);
        return false;
    }
    return true;
}

static bool port_start(struct client_io *io)
{
    struct rte_eth_conf conf = {.rxmode.mtu = PACKET_MAX - RTE_ETHER_HDR_LEN, .intr_conf.rxq = 1};
    bool interrupts = true;
    int failed = rte_eth_dev_configure(io->port, 1, 1, &conf);
    if (failed) {
        interrupts = false;
        conf.intr_conf.rxq = 0;
        failed = rte_eth_dev_configure(io->port, 1, 1, &conf);
    }
    if (failed || rte_eth_rx_queue_setup(io->port, 0, io->ring, ANY_NODE, NULL, io->pool) ||
        rte_eth_tx_queue_setup(io->port, 0, io->ring, ANY_NODE, NULL) || rte_eth_dev_start(io->port))
        return false;
    io->wake = interrupts ? rte_eth_dev_rx_intr_ctl_q_get_fd(io->port, 0) : -1;
    return true;
}

static void unplug_here(struct client_io *io)
{
    if (io->port != NO_PORT) {
        rte_eth_dev_stop(io->port);
        rte_eth_dev_close(io->port);
        io->port = NO_PORT;
    }
    if (rte_eal_hotplug_remove("vdev", io->device))
        return; /* it was not there */
}

struct unplugging {
    struct client_io *io;
    int done; /* eventfd */
};

static void unplug_there(void *context)
{
    struct unplugging *u = context;
    unplug_here(u->io);
    must(eventfd_write(u->done, 1) == 0);
}

/* On DPDK's interrupt thread: there the driver's handler cannot be running, with the device that we take away.
 * Elsewhere it was, about once in ten closes on a busy machine. */
static void unplug(struct client_io *io)
{
    struct unplugging u = {.io = io, .done = eventfd(0, EFD_CLOEXEC)};
    eventfd_t one;
    if (u.done < 0 || rte_eal_alarm_set(1, unplug_there, &u) != 0)
        unplug_here(io);
    else
        while (eventfd_read(u.done, &one) != 0)
            must(errno == EINTR);
    if (u.done >= 0)
        close(u.done);
}

static bool plug(struct client_io *io, char *why, size_t why_size)
{
    char args[sizeof io->path + 64];
    uint16_t port;
    io->wake = -1;
    io->armed = false;
    if (!path_check(io->path, why, why_size))
        return false;
    snprintf(args, sizeof args, "path=%s,queues=1,queue_size=%u", io->path, io->ring);
    if (rte_eal_hotplug_add("vdev", io->device, args)) {
        snprintf(why, why_size, "no broker at %s: nobody answers (or %d handles are open)", io->path, RTE_MAX_ETHPORTS);
        return false;
    }
    if (rte_eth_dev_get_port_by_name(io->device, &port)) {
        snprintf(why, why_size, "the device for %s did not appear", io->path);
        unplug(io);
        return false;
    }
    io->port = port;
    if (!port_start(io)) {
        snprintf(why, why_size, "the device for %s did not start: %s", io->path, eal_last_error());
        unplug(io);
        return false;
    }
    return true;
}

static bool pool_open(struct client_io *io)
{
    char name[32];
    unsigned count = 2u * io->ring + 2 * BURST + 2 * CACHE;
    uint16_t room = (uint16_t)RTE_ALIGN_CEIL(RTE_PKTMBUF_HEADROOM + PACKET_MAX, 64);
    snprintf(name, sizeof name, "leat-io-%u", io->number);
    io->pool = rte_pktmbuf_pool_create(name, count, CACHE, 0, room, SOCKET_ID_ANY);
    return io->pool != NULL;
}

struct client_io *client_io_open(const struct client_io_options *o, char *why, size_t why_size)
{
    static unsigned number;
    struct eal_options eal = {
        .name = "leat-client", .extra = o->eal, .memory_mb = o->memory_mb ? o->memory_mb : MEMORY_MB};
    unsigned ring = o->ring_packets ? o->ring_packets : RING;
    if (*o->path == 0 || strlen(o->path) >= sizeof((struct client_io *)0)->path || strpbrk(o->path, ",= \t\n[]")) {
        snprintf(why, why_size,
                 "\"%s\" cannot be the path of a local port: 1 to 107 characters, none of , = [ ] or blank", o->path);
        return NULL;
    }
    if (ring < BURST || ring > RING_MAX || (ring & (ring - 1)) != 0) {
        snprintf(why, why_size, "a ring has %d to %d packets, a power of two", BURST, RING_MAX);
        return NULL;
    }
    if (!path_check(o->path, why, why_size))
        return NULL;
    struct client_io *io = calloc(1, sizeof *io);
    if (!io) {
        snprintf(why, why_size, "no memory");
        return NULL;
    }
    ignore_sigpipe();
    rte_spinlock_lock(&plug_lock);
    io->magic = IO_MAGIC;
    io->port = NO_PORT;
    io->ring = (uint16_t)ring;
    io->wake = -1;
    strcpy(io->path, o->path);
    if (!eal_start(&eal, why, why_size))
        goto err0;
    io->number = number++;
    snprintf(io->device, sizeof io->device, "net_virtio_user_leat%u", io->number);
    io->joined_eal = eal_thread_join();
    if (!pool_open(io)) {
        snprintf(why, why_size, "no memory for buffers: %s", rte_strerror(rte_errno));
        goto err1;
    }
    if (!plug(io, why, why_size))
        goto err2;
    rte_spinlock_unlock(&plug_lock);
    return io;
err2:
    rte_mempool_free(io->pool);
err1:
    if (io->joined_eal)
        eal_thread_leave();
err0:
    rte_spinlock_unlock(&plug_lock);
    free(io);
    return NULL;
}

static void drop_queues(struct client_io *io)
{
    rte_pktmbuf_free_bulk(io->queue, io->queued);
    rte_pktmbuf_free_bulk(io->early + io->early_next, io->early_count - io->early_next);
    io->queued = io->early_count = io->early_next = 0;
}

bool client_io_reopen(struct client_io *io, char *why, size_t why_size)
{
    must(io->magic == IO_MAGIC);
    rte_spinlock_lock(&plug_lock);
    drop_queues(io);
    if (io->port != NO_PORT)
        unplug(io);
    bool good = plug(io, why, why_size);
    rte_spinlock_unlock(&plug_lock);
    return good;
}

void client_io_close(struct client_io *io)
{
    must(io->magic == IO_MAGIC);
    rte_spinlock_lock(&plug_lock);
    drop_queues(io);
    if (io->port != NO_PORT)
        unplug(io);
    rte_mempool_free(io->pool);
    if (io->joined_eal)
        eal_thread_leave();
    io->magic = 0;
    rte_spinlock_unlock(&plug_lock);
    free(io);
}

bool client_io_flush(struct client_io *io)
{
    if (io->queued == 0)
        return true;
    if (io->port == NO_PORT)
        return false;
    uint32_t sent = rte_eth_tx_burst(io->port, 0, io->queue, (uint16_t)io->queued);
    io->queued -= sent;
    memmove(io->queue, io->queue + sent, io->queued * sizeof io->queue[0]);
    return io->queued == 0;
}

/* A new packet at the end of the queue, or NULL. */
static struct rte_mbuf *packet_start(struct client_io *io)
{
    if (io->port == NO_PORT || (io->queued == BURST && !client_io_flush(io) && io->queued == BURST))
        return NULL;
    struct rte_mbuf *m = rte_pktmbuf_alloc(io->pool);
    if (!m)
        return NULL;
    m->data_len = PACKET_HEADER;
    m->pkt_len = PACKET_HEADER;
    packet_begin(rte_pktmbuf_mtod(m, uint8_t *), broker_address, client_address);
    io->queue[io->queued++] = m;
    return m;
}

bool client_io_send(struct client_io *io, const void *frames, uint32_t size)
{
    must(size > 0 && size <= CLIENT_IO_FRAMES_MAX && size % 8 == 0);
    struct rte_mbuf *m = io->queued > 0 ? io->queue[io->queued - 1] : NULL;
    if (!m || m->data_len + size > PACKET_MAX)
        m = packet_start(io);
    if (!m)
        return false;
    memcpy(rte_pktmbuf_mtod_offset(m, uint8_t *, m->data_len), frames, size);
    m->data_len = (uint16_t)(m->data_len + size);
    m->pkt_len = m->data_len;
    return true;
}

/* Packets that came while arming first, then the ring's. */
static unsigned packets_take(struct client_io *io, struct rte_mbuf **m, unsigned max)
{
    unsigned n = io->early_count - io->early_next;
    if (n == 0)
        return io->port == NO_PORT ? 0 : rte_eth_rx_burst(io->port, 0, m, (uint16_t)max);
    if (n > max)
        n = max;
    memcpy(m, io->early + io->early_next, n * sizeof *m);
    io->early_next += n;
    return n;
}

unsigned client_io_receive(struct client_io *io, struct client_io_bytes *in, unsigned max)
{
    struct rte_mbuf *m[BURST];
    unsigned got = packets_take(io, m, max < BURST ? max : BURST), n = 0;
    for (unsigned i = 0; i < got; i++) {
        uint8_t *packet = rte_pktmbuf_mtod(m[i], uint8_t *);
        uint32_t size = m[i]->nb_segs == 1 ? packet_frames(packet, m[i]->data_len) : 0;
        if (size == 0) {
            rte_pktmbuf_free(m[i]);
            continue;
        }
        in[n++] = (struct client_io_bytes){.data = packet + PACKET_HEADER, .size = size, .buffer = m[i]};
    }
    return n;
}

void client_io_done(struct client_io *io, const struct client_io_bytes *in, unsigned n)
{
    (void)io;
    for (unsigned i = 0; i < n; i++)
        rte_pktmbuf_free(in[i].buffer);
}

int client_io_wake_fd(const struct client_io *io)
{
    return io->wake;
}

bool client_io_arm(struct client_io *io)
{
    if (io->early_next < io->early_count)
        return false;
    if (io->port == NO_PORT || io->wake < 0)
        return true;
    if (!io->armed && rte_eth_dev_rx_intr_enable(io->port, 0))
        return true;
    io->armed = true;
    io->early_next = 0;
    io->early_count = rte_eth_rx_burst(io->port, 0, io->early, BURST);
    if (io->early_count == 0)
        return true;
    client_io_disarm(io);
    return false;
}

void client_io_disarm(struct client_io *io)
{
    if (!io->armed)
        return;
    io->armed = false;
    rte_eth_dev_rx_intr_disable(io->port, 0);
    struct pollfd p = {.fd = io->wake, .events = POLLIN};
    uint64_t drained;
    if (poll(&p, 1, 0) == 1 && read(io->wake, &drained, sizeof drained) < 0)
        return; /* somebody else has drained it */
}

bool client_io_wait(struct client_io *io, unsigned timeout_ms)
{
    enum { NAP_MS = 1 };
    must(io->magic == IO_MAGIC);
    if (!client_io_arm(io))
        return true;
    bool interrupts = io->armed;
    struct pollfd p = {.fd = interrupts ? io->wake : -1, .events = POLLIN};
    int timeout = timeout_ms > INT32_MAX ? INT32_MAX : (int)timeout_ms;
    if (!interrupts && io->port != NO_PORT && timeout > NAP_MS)
        timeout = NAP_MS; /* a device without interrupts is looked at every millisecond */
    int n = poll(&p, interrupts ? 1 : 0, timeout);
    client_io_disarm(io);
    return n > 0 || !interrupts;
}

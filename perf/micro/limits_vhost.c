/* limits_vhost.c - what the local port's technique allows: raw vhost-user, with nothing of Leat in it.
 *
 * End 1 is librte_vhost itself on one polling thread, as in the broker: dequeue a burst, enqueue it again, free it. End
 * 0 is DPDK's net_virtio_user driver in another process. Both copy, as vhost does: a packet is copied into a buffer of
 * end 1's and back into one of end 0's. A packet is 16 bytes of Ethernet header and 128 of payload; end 0 allocates and
 * fills each one, as a sender must.
 *
 * M: one packet under way, each reply's number is compared: round trip.
 * P: 64 packets under way, in bursts of up to 32: packets that came back per second.
 *
 * Memory is ordinary pages (--no-huge, any user may), or huge pages where asked for. Nothing is ever lost here: end 1
 * tries again until the ring has room, and end 0 keeps its receive ring full; so a missing packet is a failure. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <linux/virtio_net.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_log.h>
#include <rte_mbuf.h>
#include <rte_vhost.h>

#include "limits_pair.h"

enum { HEADER = 16, PAYLOAD = 128, PACKET = HEADER + PAYLOAD, BURST = 32, RING = 256, UNDER_WAY = 64 };
enum { BUFFERS = 2047, CACHE = 256, NOBODY = -1, DRIVER_TRIES = 1 << 20, SEND_QUEUE = 1, RECEIVE_QUEUE = 0 };

static void socket_path(const struct limits_setup *s, char *path, size_t size)
{
    snprintf(path, size, "%s/vhost", s->scratch);
}

/* Starts DPDK on this process's one core, with no driver looked for and nothing left behind, and makes the buffers. */
static struct rte_mempool *dpdk_open(const struct limits_setup *s, unsigned which, char *why)
{
    char core[32], prefix[48];
    snprintf(core, sizeof core, "--lcores=0@%u", s->cpu[which]);
    snprintf(prefix, sizeof prefix, "--file-prefix=leat-limits-%ld", (long)getpid());
    char *plain[] = {"limits", core,        "--no-pci",    "--no-telemetry", "-m",
                     "128",    "--no-huge", "--no-shconf", prefix,           NULL};
    char *huge[] = {"limits", core, "--no-pci", "--no-telemetry", "-m", "128", "--in-memory", "--single-file-segments",
                    NULL};
    rte_log_set_global_level(RTE_LOG_ERR);
    if (s->huge ? rte_eal_init(8, huge) < 0 : rte_eal_init(9, plain) < 0) {
        limits_pair_fail(why, "DPDK did not start: %s", rte_strerror(rte_errno));
        return NULL;
    }
    rte_log_set_level_pattern("lib.vhost*", RTE_LOG_ERR);
    rte_log_set_level_pattern("pmd.net.virtio*", RTE_LOG_ERR);
    rmdir(rte_eal_get_runtime_dir());
    struct rte_mempool *pool =
        rte_pktmbuf_pool_create("limits", BUFFERS, CACHE, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
    if (!pool)
        limits_pair_fail(why, "no memory for DPDK's buffers: %s", rte_strerror(rte_errno));
    return pool;
}

/* ---- end 1: the answering vhost device ---- */

static _Atomic int device = NOBODY; /* the connected one; set and cleared by vhost's event thread */
static _Atomic uint64_t passes;     /* of the polling loop */

/* A polling end wants no kicks: each would be a system call of end 0's. */
static int device_came(int vid)
{
    if (rte_vhost_enable_guest_notification(vid, SEND_QUEUE, 0) ||
        rte_vhost_enable_guest_notification(vid, RECEIVE_QUEUE, 0))
        return -1;
    atomic_store(&device, vid);
    return 0;
}

/* vhost takes the rings away when we return: wait until the polling loop cannot be using them any more. */
static void device_went(int vid)
{
    (void)vid;
    atomic_store(&device, NOBODY);
    uint64_t seen = atomic_load(&passes);
    while (atomic_load(&passes) == seen)
        sched_yield();
}

static bool vhost_open(const char *path, char *why)
{
    static const struct rte_vhost_device_ops ops = {.new_device = device_came, .destroy_device = device_went};
    static const unsigned unwanted_bits[] = {
        VIRTIO_NET_F_CSUM,      VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_GUEST_TSO4,     VIRTIO_NET_F_GUEST_TSO6,
        VIRTIO_NET_F_GUEST_ECN, VIRTIO_NET_F_GUEST_UFO,  VIRTIO_NET_F_HOST_TSO4,      VIRTIO_NET_F_HOST_TSO6,
        VIRTIO_NET_F_HOST_ECN,  VIRTIO_NET_F_HOST_UFO,   VIRTIO_NET_F_CTRL_VQ,        VIRTIO_NET_F_CTRL_RX,
        VIRTIO_NET_F_MQ,        VIRTIO_F_RING_PACKED,    VIRTIO_NET_F_GUEST_ANNOUNCE,
    };
    uint64_t unwanted = 0;
    for (size_t i = 0; i < sizeof unwanted_bits / sizeof unwanted_bits[0]; i++)
        unwanted |= 1ull << unwanted_bits[i];
    if (rte_vhost_driver_register(path, RTE_VHOST_USER_LINEARBUF_SUPPORT | RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS) ||
        rte_vhost_driver_disable_features(path, unwanted) || rte_vhost_driver_callback_register(path, &ops) ||
        rte_vhost_driver_start(path))
        return limits_pair_fail(why, "vhost cannot listen on %s", path);
    return true;
}

/* The same through the net_vhost driver, which counts and looks at each packet: what dpdk-testpmd measures. */
static bool driver_answer(const char *path, struct rte_mempool *pool, struct limits_board *b, char *why)
{
    struct rte_mbuf *m[BURST];
    struct rte_eth_conf conf = {.rxmode.mtu = RTE_ETHER_MTU};
    char args[LIMITS_PATH + 64];
    unsigned any = (unsigned)SOCKET_ID_ANY;
    uint16_t port;
    snprintf(args, sizeof args, "iface=%s,queues=1", path);
    if (rte_eal_hotplug_add("vdev", "net_vhost0", args) || rte_eth_dev_get_port_by_name("net_vhost0", &port) ||
        rte_eth_dev_configure(port, 1, 1, &conf) || rte_eth_rx_queue_setup(port, 0, RING, any, NULL, pool) ||
        rte_eth_tx_queue_setup(port, 0, RING, any, NULL) || rte_eth_dev_start(port))
        return limits_pair_fail(why, "net_vhost does not start on %s", path);
    atomic_store(&b->ready, 1);
    for (;;) {
        uint16_t n = rte_eth_rx_burst(port, 0, m, BURST), sent = 0;
        for (uint32_t tries = 0; sent < n && tries < DRIVER_TRIES; tries++)
            sent = (uint16_t)(sent + rte_eth_tx_burst(port, 0, m + sent, (uint16_t)(n - sent)));
        rte_pktmbuf_free_bulk(m + sent, n - sent);
    }
}

bool limits_vhost_answer(const struct limits_setup *s, struct limits_board *b, char *why)
{
    struct rte_mbuf *m[BURST];
    char path[LIMITS_PATH + 16];
    socket_path(s, path, sizeof path);
    struct rte_mempool *pool = dpdk_open(s, 1, why);
    if (pool && s->driver)
        return driver_answer(path, pool, b, why);
    if (!pool || !vhost_open(path, why))
        return false;
    atomic_store(&b->ready, 1);
    for (uint64_t pass = 1;; pass++) {
        int vid = atomic_load_explicit(&device, memory_order_acquire);
        uint16_t n = vid == NOBODY ? 0 : rte_vhost_dequeue_burst(vid, SEND_QUEUE, pool, m, BURST), sent = 0;
        while (sent < n && atomic_load_explicit(&device, memory_order_acquire) == vid)
            sent = (uint16_t)(sent + rte_vhost_enqueue_burst(vid, RECEIVE_QUEUE, m + sent, (uint16_t)(n - sent)));
        rte_pktmbuf_free_bulk(m, n);
        atomic_store_explicit(&passes, pass, memory_order_release);
    }
}

/* ---- end 0: the asking virtio device ---- */

struct asker {
    uint16_t port;
    struct rte_mempool *pool;
    uint64_t patience; /* ticks */
    uint64_t number;   /* of the last packet made */
};

static bool asker_open(struct asker *a, const struct limits_setup *s, struct limits_board *b, char *why)
{
    char args[LIMITS_PATH + 96], path[LIMITS_PATH + 16];
    struct rte_eth_conf conf = {.rxmode.mtu = RTE_ETHER_MTU};
    unsigned any = (unsigned)SOCKET_ID_ANY;
    a->pool = dpdk_open(s, 0, why);
    if (!a->pool)
        return false;
    if (!limits_pair_wait(b))
        return limits_pair_fail(why, "the vhost end did not start");
    socket_path(s, path, sizeof path);
    snprintf(args, sizeof args, "path=%s,queues=1,queue_size=%d,mac=02:6c:65:61:74:01", path, RING);
    if (rte_eal_hotplug_add("vdev", "net_virtio_user0", args) ||
        rte_eth_dev_get_port_by_name("net_virtio_user0", &a->port))
        return limits_pair_fail(why, "net_virtio_user cannot connect to %s", path);
    if (rte_eth_dev_configure(a->port, 1, 1, &conf) || rte_eth_rx_queue_setup(a->port, 0, RING, any, NULL, a->pool) ||
        rte_eth_tx_queue_setup(a->port, 0, RING, any, NULL) || rte_eth_dev_start(a->port))
        return limits_pair_fail(why, "net_virtio_user does not start");
    return true;
}

static void packet_fill(struct asker *a, struct rte_mbuf *m)
{
    static const uint8_t header[HEADER] = {2, 'l', 'e', 'a', 't', 0, 2, 'l', 'e', 'a', 't', 1, 0x88, 0xb5};
    uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *);
    a->number++;
    memcpy(p, header, HEADER);
    memset(p + HEADER, 'x', PAYLOAD);
    memcpy(p + HEADER, &a->number, sizeof a->number);
    m->data_len = PACKET;
    m->pkt_len = PACKET;
}

/* Receives until the packet with the last number is among what came; false when it does not come in time. */
static bool await_reply(struct asker *a, uint64_t start)
{
    struct rte_mbuf *m[BURST];
    for (uint32_t polls = 1;; polls++) {
        uint16_t n = rte_eth_rx_burst(a->port, 0, m, BURST);
        bool found = false;
        for (uint16_t i = 0; i < n; i++) {
            uint64_t number;
            memcpy(&number, rte_pktmbuf_mtod_offset(m[i], void *, HEADER), sizeof number);
            found = found || (number == a->number && m[i]->data_len == PACKET);
            rte_pktmbuf_free(m[i]);
        }
        if (found)
            return true;
        if (polls % 65536 == 0 && ticks_now() - start > a->patience)
            return false;
    }
}

static bool round_trip(struct asker *a, uint64_t start)
{
    struct rte_mbuf *m = rte_pktmbuf_alloc(a->pool);
    if (!m)
        return false;
    packet_fill(a, m);
    while (rte_eth_tx_burst(a->port, 0, &m, 1) != 1)
        if (ticks_now() - start > a->patience) {
            rte_pktmbuf_free(m);
            return false;
        }
    return await_reply(a, start);
}

/* The first packets may find nobody yet: they get a tenth of a second each. */
static bool first_contact(struct asker *a)
{
    a->patience = ticks_of(0.1);
    bool met = false;
    for (unsigned tries = 0; tries < 50 && !met; tries++)
        met = round_trip(a, ticks_now());
    a->patience = ticks_of(LIMITS_REPLY_NS / 1e9);
    return met;
}

bool limits_vhost_echo(const struct limits_setup *s, struct limits_board *b, char *why)
{
    struct asker a = {.number = 0};
    if (!asker_open(&a, s, b, why))
        return false;
    if (!first_contact(&a))
        return limits_pair_fail(why, "no packet came back from the vhost end");
    uint64_t warm = ticks_now() + ticks_of(s->seconds / 10), end = warm + ticks_of(s->seconds);
    for (uint64_t then = 0; then < end;) {
        then = ticks_now();
        if (!round_trip(&a, then))
            return limits_pair_fail(why, "a packet was lost between vhost and virtio");
        if (then >= warm)
            hist_record(&b->hist, ticks_now() - then);
    }
    limits_pair_percentiles(b);
    return true;
}

/* One turn: take what came back, send as many as may be under way. Answers how many came back. */
static uint16_t turn(struct asker *a, struct rte_mbuf **waiting, uint16_t *kept, unsigned *under_way)
{
    struct rte_mbuf *m[BURST];
    uint16_t n = rte_eth_rx_burst(a->port, 0, m, BURST);
    rte_pktmbuf_free_bulk(m, n);
    *under_way -= n;
    unsigned room = UNDER_WAY - *under_way;
    uint16_t want = (uint16_t)(room < BURST ? room : BURST);
    if (want > *kept && rte_pktmbuf_alloc_bulk(a->pool, waiting + *kept, want - *kept) == 0) {
        for (uint16_t i = *kept; i < want; i++)
            packet_fill(a, waiting[i]);
        *kept = want;
    }
    uint16_t sent = rte_eth_tx_burst(a->port, 0, waiting, *kept);
    *kept = (uint16_t)(*kept - sent);
    memmove(waiting, waiting + sent, *kept * sizeof *waiting);
    *under_way += sent;
    return n;
}

bool limits_vhost_rate(const struct limits_setup *s, struct limits_board *b, char *why)
{
    struct asker a = {.number = 0};
    struct rte_mbuf *waiting[BURST];
    uint16_t kept = 0;
    unsigned under_way = 0;
    if (!asker_open(&a, s, b, why))
        return false;
    if (!first_contact(&a))
        return limits_pair_fail(why, "no packet came back from the vhost end");
    uint64_t warm = ticks_now() + ticks_of(s->seconds / 10), end = warm + ticks_of(s->seconds);
    uint64_t start = 0, came = 0, last = ticks_now();
    for (uint64_t now = last; now < end;) {
        uint16_t n = turn(&a, waiting, &kept, &under_way);
        now = ticks_now();
        if (n > 0)
            last = now;
        else if (now - last > a.patience)
            return limits_pair_fail(why, "a packet was lost between vhost and virtio");
        if (start > 0)
            came += n;
        else if (now >= warm)
            start = now;
    }
    b->value[0] = (double)came * 1e3 / ((double)(last - start) * ticks_ns()); /* million packets/s */
    return true;
}

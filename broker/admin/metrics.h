/* metrics.h - everything that an operator can count, and the Prometheus text of it.
 *
 * The numbers come by letters: the shard fills its counters and the stats of its queues, the program around it those of
 * the ports (struct port_counters, on the shard's thread). metrics_write() then says each row of metrics_table.h.
 *
 * Units: base units of Prometheus: seconds, bytes, messages. Memory: the caller's. Failure: that of the page. Thread:
 * any that owns the struct; never a shard's. */
#ifndef LEAT_ADMIN_METRICS_H
#define LEAT_ADMIN_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "disk.h"
#include "local.h"
#include "page.h"
#include "reply.h"
#include "ring.h"
#include "shard.h"
#include "tcp_uring.h"

struct port_counters {
    bool has_tcp, has_local;
    struct tcp_counters tcp;
    struct local_counters local;
    struct ring_counters ring;
    struct disk_facts disk;
    uint64_t sleeps; /* times that the shard's thread went to sleep */
};

struct metrics {
    struct shard_counters shard;
    struct port_counters ports;
    const struct reply_stat *queues;
    uint32_t queue_count;
    uint64_t start_wall_ns; /* of the process */
    uint64_t memory_max;
    struct duration uptime;
};

void metrics_write(struct page *p, const struct metrics *m);

#endif

/* metrics.c - the table, said in Prometheus text format 0.0.4. */
#include "metrics.h"

#include <inttypes.h>
#include <string.h>

#include "memory.h"
#include "version.h"

static void head(struct page *p, const char *name, const char *type, const char *help)
{
    page_add(p, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* Names in seconds hold nanoseconds. */
static void number(struct page *p, const char *name, uint64_t value)
{
    size_t size = strlen(name);
    if (size > 8 && strcmp(name + size - 8, "_seconds") == 0)
        page_add(p, " %" PRIu64 ".%09" PRIu64 "\n", value / 1000000000, value % 1000000000);
    else
        page_add(p, " %" PRIu64 "\n", value);
}

static void one(struct page *p, const char *name, const char *type, const char *help, uint64_t value)
{
    head(p, name, type, help);
    page_add(p, "%s", name);
    number(p, name, value);
}

static void requests(struct page *p, const struct metrics *m)
{
    head(p, "leat_requests_total", "counter", "Requests executed, by operation.");
#define OP(NAME, name, code, min_body, max_count, help)                                                                \
    page_add(p, "leat_requests_total{op=\"" #name "\"} %" PRIu64 "\n", m->shard.requests[code]);
#include "ops_table.h"
#undef OP
}

static void queue_one(struct page *p, const char *name, const struct reply_stat *q, uint64_t value)
{
    page_add(p, "%s{queue=", name);
    page_add_label(p, q->name.text, q->name.size);
    page_add(p, "}");
    number(p, name, value);
}

static void build_and_memory(struct page *p)
{
    head(p, "leat_build_info", "gauge", "Which Leat this is.");
    page_add(p, "leat_build_info{version=\"" LEAT_VERSION "\"} 1\n");
    one(p, "process_resident_memory_bytes", "gauge", "Resident memory.", memory_resident());
}

void metrics_write(struct page *p, const struct metrics *m)
{
    build_and_memory(p);
    requests(p, m);
#define HAS_shard true
#define HAS_journal true
#define HAS_ring true
#define HAS_disk true
#define HAS_process true
#define HAS_tcp m->ports.has_tcp
#define HAS_local m->ports.has_local
#define OF_shard(value) m->shard.value
#define OF_journal(value) m->shard.journal.value
#define OF_ring(value) m->ports.ring.value
#define OF_disk(value) m->ports.disk.value
#define OF_tcp(value) m->ports.tcp.value
#define OF_local(value) m->ports.local.value
#define OF_process(value) m->value
#define METRIC(source, type, name, value, help)                                                                        \
    if (HAS_##source)                                                                                                  \
        one(p, name, #type, help, OF_##source(value));
#define QUEUE_METRIC(type, name, value, help)                                                                          \
    if (m->queue_count > 0)                                                                                            \
        head(p, name, #type, help);                                                                                    \
    for (uint32_t i = 0; i < m->queue_count; i++) {                                                                    \
        const struct reply_stat *q = &m->queues[i];                                                                    \
        queue_one(p, name, q, value);                                                                                  \
    }
#include "metrics_table.h"
#undef METRIC
#undef QUEUE_METRIC
}

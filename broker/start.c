/* start.c - from options to a broker: first what can be refused without touching anything, then the data directory,
 * then the log (which is read again from its newest checkpoint on), last the doors to the world, so that nobody is let
 * in before there is something behind the door.
 *
 * The local port is a door that may be missing: where DPDK does not start, that is said, and TCP serves alone. */
#include "start.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "budget.h"
#include "clock.h"
#include "cores.h"
#include "disk_uring.h"
#include "eal.h"
#include "entropy.h"
#include "lockfile.h"
#include "salvage.h"
#include "source.h"
#include "tcp_uring.h"

enum {
    EAL_MEMORY_MB = 256,      /* 165 KiB a local client, 1024 of them, and buffers */
    REST_BYTES = 48 << 20,    /* program, libraries, io_uring, tables of the TCP port */
    TCP_POOL_BYTES = 8 << 20, /* its receive buffers: 512 of 16 KiB */
    OTHER_FILES = 320,        /* HTTP, the ring, the terminal; segments of the log come on top */
    DISK_MAX_GIB = 16,        /* what disk_max 0 means at most */
    SEGMENT_MAX = 256 << 20,  /* no log has larger segments */
    EAL_TEXT = 2048,
    EAL_WORDS = 48, /* to look at arguments before they are used */
};

void start_complain(const char *format, ...)
{
    va_list list;
    fputs("leatd: ", stderr);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
}

static enum exits refuse(enum exits code, const char *sentence)
{
    start_complain("%s", sentence);
    return code;
}

/* As many descriptors as we may have: a connection is one, a local client nine. */
static void raise_descriptors(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
        r.rlim_cur = r.rlim_max;
        setrlimit(RLIMIT_NOFILE, &r);
    }
}

static void shard_options(struct shard_config *s, const struct config *c)
{
    shard_defaults(s);
    s->cell = (uint16_t)c->cell;
    s->engine.queues = (uint32_t)c->queues_max;
    s->engine.slots = (uint32_t)c->leases_max;
    s->engine.ready_chunks = engine_chunks(c->ready_max, c->queues_max);
    s->sessions = (uint32_t)c->sessions_max;
    s->window = (uint16_t)c->window;
    s->body_max = (uint32_t)c->body_max;
    s->durability = c->durability == DURABILITY_MEMORY ? CLASS_MEMORY : CLASS_DISK;
    s->session_timeout.ns = c->session_timeout;
    s->lease_min.ns = c->lease_min;
    s->lease_max.ns = c->lease_max;
    s->delay_max.ns = c->delay_max;
    s->wait_max.ns = c->wait_max;
    s->buffer_max = c->buffer_max;
    s->checkpoint_bytes = c->checkpoint_every;
    s->journal.segment_bytes = c->segment_size;
    s->journal.block_bytes_max = (uint32_t)c->block_max;
    s->journal.depth = (uint32_t)c->depth;
    s->journal.hot_bytes = c->hot_max / DISK_BLOCK * DISK_BLOCK;
    s->journal.disk_max = c->disk_max;
    s->journal.history_bytes = c->history_bytes;
    s->journal.entropy = entropy_u64();
}

/* The size of the segments that the data directory has already; 0: none, as far as we can see. Without a manifest what
 * is there was left by a start that was cut short, and the next one begins anew. */
static uint64_t segment_bytes_there(const char *data)
{
    uint64_t most = 0;
    struct dirent *e;
    struct stat s;
    DIR *d = opendir(data);
    bool made = d && fstatat(dirfd(d), "manifest", &s, AT_SYMLINK_NOFOLLOW) == 0;
    while (made && (e = readdir(d)))
        if (source_segment_number(e->d_name) != 0 && fstatat(dirfd(d), e->d_name, &s, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(s.st_mode) && (uint64_t)s.st_size > most)
            most = (uint64_t)s.st_size;
    if (d)
        closedir(d);
    return most;
}

/* What can be refused before anything is touched. */
static enum exits check_disk_max(const struct config *c, uint64_t there)
{
    char error[CONFIG_ERROR_MAX];
    return config_disk_fits(c, there, error) ? EXITS_OK : refuse(EXITS_CONFIG, error);
}

static enum exits check_memory(const struct config *c, const struct shard_config *s, uint64_t there)
{
    struct budget b = {0};
    char error[BUDGET_SENTENCE];
    struct shard_config kept = *s;
    if (there > s->journal.segment_bytes && there <= SEGMENT_MAX) /* each has a table of its blocks */
        kept.journal.segment_bytes = there;
    budget_shard(&b, &kept);
    if (!config_is_off(c->listen))
        budget_add(&b, "TCP connections (connections_memory)", c->connections_memory + TCP_POOL_BYTES);
    if (!config_is_off(c->local))
        budget_add(&b, "local clients", (uint64_t)EAL_MEMORY_MB << 20);
    if (!config_is_off(c->http))
        budget_add(&b, "HTTP (metrics_queues)", http_memory((uint32_t)c->metrics_queues));
    budget_add(&b, "the rest", REST_BYTES);
    return budget_fits(&b, c->memory_max, error) ? EXITS_OK : refuse(EXITS_CONFIG, error);
}

static enum exits check_eal(const struct config *c)
{
    char text[EAL_TEXT], why[256], *argv[EAL_WORDS];
    struct eal_options o = {.name = "leatd", .extra = c->eal, .memory_mb = EAL_MEMORY_MB};
    if (config_is_off(c->local) || eal_arguments(&o, false, argv, EAL_WORDS, text, sizeof text, why, sizeof why) > 0)
        return EXITS_OK;
    start_complain("option eal: %s", why);
    return config_by_flag(c, "eal") ? EXITS_USAGE : EXITS_CONFIG;
}

/* What the data directory has already: bytes in all its files, and in each segment, 0 where there is none. */
static void look_around(struct disk *d, uint64_t *bytes, uint64_t *segment_bytes)
{
    char name[DISK_NAME_MAX];
    *bytes = *segment_bytes = 0;
    for (unsigned i = 0; disk_list(d, i, name); i++) {
        int file = disk_open(d, name);
        if (file < 0)
            continue;
        int64_t size = disk_size(d, (uint32_t)file);
        uint64_t all = size > 0 ? (uint64_t)size : 0;
        disk_close(d, (uint32_t)file);
        *bytes += all;
        if (source_segment_number(name) != 0 && all > *segment_bytes)
            *segment_bytes = all;
    }
}

/* disk_max 0: 16 GiB, or half of what the file system can give, what the directory has included; more than half only
 * where that would be too little to work with. A log that is there keeps its segments whatever this says (recover.c),
 * and makes others while the file system has room: it is not refused because others have filled the disk. False: the
 * log is yet to be made, and there is too little room for it. */
static bool disk_share(struct disk *d, uint64_t segment_bytes, uint64_t *share, uint64_t *free)
{
    uint64_t ours, kept;
    look_around(d, &ours, &kept);
    *free = disk_free(d);
    uint64_t least = CONFIG_SEGMENTS_MIN * (kept ? kept : segment_bytes), most = (uint64_t)DISK_MAX_GIB << 30;
    uint64_t all = *free + ours;
    *share = all / 2 < most ? all / 2 : most;
    *share = *share > least ? *share : least;
    return kept > 0 || all >= least;
}

static void say_disk(const struct broker *b)
{
    printf("leatd: data %s: %s\n", b->config->data, disk_uring_text(b->disk));
    const char *warning;
    for (unsigned i = 0; (warning = disk_uring_warning(b->disk, i)); i++)
        start_complain("data %s %s", b->config->data, warning);
}

static enum exits open_data(struct broker *b)
{
    char error[256];
    enum leat_status status = lockfile_take(&b->lock, b->config->data, error);
    if (status == LEAT_OK && !b->config->salvage)
        status = lockfile_sign(b->lock, b->config->data, error);
    if (status != LEAT_OK)
        return refuse(exits_of(status), error);
    status = ring_open(&b->ring, error);
    if (status != LEAT_OK)
        return refuse(exits_of(status), error);
    status = signals_open(&b->signals, b->ring);
    if (status != LEAT_OK)
        return refuse(exits_of(status), "out of descriptors");
    status = disk_uring_open(&b->disk, b->ring, b->config->data, error);
    if (status != LEAT_OK)
        return refuse(exits_of(status), error);
    say_disk(b);
    return EXITS_OK;
}

static bool choose_disk_max(const struct broker *b, struct journal_config *j)
{
    char need[CONFIG_VALUE_MAX], segment[CONFIG_VALUE_MAX];
    uint64_t free;
    if (disk_share(b->disk, j->segment_bytes, &j->disk_max, &free))
        return true;
    config_size_text(need, j->disk_max);
    start_complain("the file system of %s has too little space: %s is needed, %d times segment_size %s, and %lluM is "
                   "free; make room there, or lower segment_size, or set disk_max to %s and start with less",
                   b->config->data, need, CONFIG_SEGMENTS_MIN, config_size_text(segment, j->segment_bytes),
                   (unsigned long long)free >> 20, need);
    return false;
}

/* The segments of a directory are all as large as its first. */
static void say_segment_size(const struct broker *b, uint64_t kept)
{
    char said[CONFIG_VALUE_MAX], is[CONFIG_VALUE_MAX];
    if (config_given(b->config, "segment_size") && b->config->segment_size != kept)
        start_complain("segment_size %s has no effect: data %s was made with %s and keeps it",
                       config_size_text(said, b->config->segment_size), b->config->data, config_size_text(is, kept));
}

static enum exits open_shard(struct broker *b, struct shard_config *s)
{
    char error[256];
    struct shard_start start = {.boot = clock_now(), .wall_ns = b->wall_ns};
    struct shard_counters count;
    clock_boot_id(start.boot_id);
    entropy_fill(start.entropy, sizeof start.entropy);
    if (s->journal.disk_max == 0 && !choose_disk_max(b, &s->journal))
        return EXITS_DISK;
    enum leat_status status = shard_open(&b->shard, s, b->disk, &start, error);
    if (status != LEAT_OK)
        return refuse(exits_of(status), error);
    shard_count(b->shard, &count);
    printf("leatd: log: start %u, %llu facts in %llu KiB read again behind a checkpoint of %llu KiB, %llu queues, "
           "%llu messages\n",
           count.epoch, (unsigned long long)count.replayed_facts,
           (unsigned long long)count.journal.replayed_bytes >> 10,
           (unsigned long long)count.journal.replayed_image >> 10, (unsigned long long)count.queues,
           (unsigned long long)(count.ready + count.leased + count.delayed + count.dead));
    say_segment_size(b, count.journal.segment_bytes);
    s->journal.segment_bytes = count.journal.segment_bytes; /* open_tcp() leaves descriptors for them */
    return EXITS_OK;
}

/* "HOST:PORT" with the port that was bound. */
static void say_endpoint(const char *what, const char *address, uint16_t port)
{
    printf("leatd: %s %.*s:%u\n", what, (int)(strrchr(address, ':') - address), address, port);
}

static enum exits open_tcp(struct broker *b, const struct shard_config *s)
{
    char error[256];
    uint64_t segments = s->journal.disk_max / s->journal.segment_bytes;
    if (segments > CONFIG_SEGMENTS_MAX)
        segments = CONFIG_SEGMENTS_MAX;
    struct tcp_config t = {.address = b->config->listen,
                           .connections = (uint32_t)b->config->connections_max,
                           .other_files = OTHER_FILES + (uint32_t)segments,
                           .memory = b->config->connections_memory};
    if (config_is_off(b->config->listen))
        return EXITS_OK;
    enum leat_status status = tcp_uring_open(&b->tcp, b->ring, &t, error);
    if (status != LEAT_OK)
        return refuse(exits_of(status), error);
    shard_attach(b->shard, b->tcp);
    say_endpoint("tcp", b->config->listen, tcp_uring_port(b->tcp));
    uint32_t most = tcp_uring_connections_max(b->tcp);
    if (most < t.connections)
        start_complain("only %u TCP connections instead of %u: the limit of open files (ulimit -n) leaves no more",
                       most, t.connections);
    return EXITS_OK;
}

/* The default path may be too long for a socket, or DPDK unable to start; then TCP serves alone. A path that was asked
 * for by name must work, once DPDK does. */
static enum exits open_local(struct broker *b)
{
    const struct config *c = b->config;
    char why[256], path[CONFIG_TEXT_MAX + 16];
    enum leat_status status;
    struct eal_options o = {.name = "leatd", .extra = c->eal, .memory_mb = EAL_MEMORY_MB};
    if (config_is_off(c->local))
        return EXITS_OK;
    snprintf(path, sizeof path, c->local[0] ? "%s" : "%s/leat.sock", c->local[0] ? c->local : c->data);
    bool started = eal_start(&o, why, sizeof why);
    if (started)
        b->local = local_open(path, &status, why, sizeof why);
    if (!b->local) {
        if (started && c->local[0])
            return refuse(exits_of(status), why);
        start_complain("no local port: %s", why);
        if (b->tcp)
            return EXITS_OK;
        return refuse(EXITS_CONFIG, "no port is left to serve clients");
    }
    b->joined_eal = eal_thread_join();
    shard_attach(b->shard, local_transport(b->local));
    printf("leatd: local %s\n", path);
    return EXITS_OK;
}

/* A shard that spins has a core of its own, the last one: interrupts prefer the first. The kernel's workers, who flush
 * the disk, keep off it where they have two cores else; with one, a spinning client there could starve them, and the
 * shard gives way to them. (Those that end a write run where it was begun, so it does in any case.) */
static void take_core(const struct broker *b)
{
    if (b->config->poll != POLL_SPIN)
        return;
    cores_give_way();
    if (cores_count() < 2)
        return;
    unsigned core = cores_at(cores_count() - 1);
    if (cores_pin(core)) {
        if (cores_count() > 2)
            ring_keep_workers_off(b->ring, core);
        printf("leatd: shard 0 has core %u\n", core);
    }
}

static enum exits open_http(struct broker *b)
{
    char error[256];
    const struct config *c = b->config;
    struct http_config h = {.address = c->http,
                            .wake = bell_ring,
                            .wake_context = &b->bell,
                            .queues_max = (uint32_t)c->metrics_queues,
                            .memory_max = c->memory_max,
                            .start_wall_ns = b->wall_ns};
    if (config_is_off(c->http))
        return EXITS_OK;
    if (bell_open(&b->bell) != LEAT_OK)
        return refuse(EXITS_SYSTEM, "out of descriptors");
    b->has_bell = true;
    enum leat_status status = http_open(&b->http, &h, error);
    if (status != LEAT_OK)
        return refuse(exits_of(status), error);
    shard_attach_mailbox(b->shard, http_shard_mailbox(b->http));
    say_endpoint("http", c->http, http_port(b->http));
    return EXITS_OK;
}

enum exits start_broker(struct broker *b, const struct config *c)
{
    struct shard_config s;
    *b = (struct broker){.config = c, .wall_ns = clock_wall(), .lock = -1};
    raise_descriptors();
    shard_options(&s, c);
    uint64_t there = segment_bytes_there(c->data);
    enum exits code = check_disk_max(c, there);
    if (code == EXITS_OK)
        code = check_memory(c, &s, there);
    if (code == EXITS_OK)
        code = check_eal(c);
    if (code == EXITS_OK)
        code = open_data(b);
    if (code == EXITS_OK)
        code = open_shard(b, &s);
    if (code == EXITS_OK)
        code = open_tcp(b, &s);
    if (code == EXITS_OK)
        code = open_local(b);
    if (code == EXITS_OK)
        take_core(b);
    if (code == EXITS_OK)
        code = open_http(b);
    return code;
}

/* The directory is one of leatd's: only then is anything written into it. */
static enum exits check_ours(const struct broker *b)
{
    char error[SOURCE_ERROR];
    struct source source;
    enum leat_status status = source_open(&source, b->disk, error);
    if (status != LEAT_OK)
        return refuse(exits_of(status), error);
    status = source_ours(&source, error);
    source_close(&source);
    if (status == LEAT_OK)
        status = lockfile_sign(b->lock, b->config->data, error);
    return status == LEAT_OK ? EXITS_OK : refuse(exits_of(status), error);
}

enum exits start_salvage(const struct config *c)
{
    char error[SOURCE_ERROR];
    struct broker b = {.config = c, .lock = -1};
    struct shard_config s;
    struct stat there;
    raise_descriptors();
    shard_options(&s, c);
    if (stat(c->data, &there) != 0) {
        start_complain("%s: %s", c->data, strerror(errno));
        return EXITS_CONFIG;
    }
    enum exits code = check_memory(c, &s, segment_bytes_there(c->data));
    if (code == EXITS_OK)
        code = open_data(&b);
    if (code == EXITS_OK)
        code = check_ours(&b);
    if (code == EXITS_OK) {
        struct salvage_options o = {.path = c->data,
                                    .out = stdout,
                                    .engine = s.engine,
                                    .sessions = s.sessions,
                                    .block_bytes_max = s.journal.block_bytes_max,
                                    .cell = s.cell};
        enum leat_status status = salvage_run(b.disk, &o, error);
        if (status == LEAT_EMPTY)
            code = refuse(EXITS_CONFIG, error);
        else if (status != LEAT_OK)
            code = refuse(exits_of(status), error);
    }
    start_undo(&b);
    return code;
}

void start_undo(struct broker *b)
{
    if (b->http)
        http_close(b->http);
    if (b->has_bell)
        bell_close(&b->bell);
    if (b->shard)
        shard_close(b->shard);
    if (b->joined_eal)
        eal_thread_leave();
    if (b->local)
        local_close(b->local);
    if (b->tcp)
        tcp_uring_close(b->tcp);
    if (b->disk)
        disk_uring_close(b->disk);
    if (b->signals)
        signals_close(b->signals);
    if (b->ring)
        ring_close(b->ring);
    if (b->lock >= 0)
        lockfile_release(b->lock);
}

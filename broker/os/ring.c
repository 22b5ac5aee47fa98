/* ring.c - one io_uring per shard.
 *
 * user_data is owner << 56 | tag; owner 0 is nobody (cancellations, which report to no one). SINGLE_ISSUER and
 * DEFER_TASKRUN make the kernel finish requests only when this thread enters it, so completions never interrupt the
 * shard; TASKRUN_FLAG makes it say in shared memory that there is something to finish, so an idle spin costs a load,
 * not a system call. ring_submit() finishes in the same call in which it submits.
 *
 * A submission queue that is full is submitted on the spot: its entries are consumed during the call, so room is
 * certain but for a kernel without memory, which is tried again and then is our end. */
#include "ring.h"

#include <errno.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cores.h"
#include "must.h"

enum {
    SUBMIT_ENTRIES = 1024,
    COMPLETE_ENTRIES = 8192,
    OWNERS = 256,
    OWNER_SHIFT = 56,
    SUBMIT_TRIES = 1000,
    SLICES = 1024
};

#define SLICE_LEAST ((size_t)4 << 20)

struct owner {
    ring_handler *handler;
    void *context;
    uint64_t pending; /* requests whose last completion has not been handled */
};

struct ring {
    struct io_uring uring;
    struct owner owners[OWNERS];
    unsigned owner_count;
    unsigned group_count; /* of provided buffers */
    bool has_files;
    bool reaping;
    uint64_t files_used[RING_FILES / 64];
    uint8_t *memory; /* area of which slices are registered, or NULL */
    size_t memory_size, slice;
    uint64_t slices_pinned[SLICES / 64];
    struct ring_counters counters;
};

struct ring_buffers {
    struct io_uring_buf_ring *entries;
    uint8_t *bytes;
    uint32_t count;
    uint32_t size;
    uint16_t group;
};

static enum leat_status ring_open_failed(int error, char sentence[256])
{
    if (error == EPERM || error == EACCES) {
        snprintf(sentence, 256, "io_uring is not permitted here (%s): see sysctl kernel.io_uring_disabled",
                 strerror(error));
        return LEAT_NO_PERMISSION;
    }
    if (error == ENOSYS || error == EINVAL)
        snprintf(sentence, 256, "io_uring of Linux 6.1 or newer is needed (%s)", strerror(error));
    else
        snprintf(sentence, 256, "io_uring cannot be set up: %s", strerror(error));
    return LEAT_NO_MEMORY;
}

enum leat_status ring_open(struct ring **out, char error[256])
{
    struct ring *r = calloc(1, sizeof *r);
    if (!r)
        return ring_open_failed(ENOMEM, error);
    struct io_uring_params params = {
        .flags =
            IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_CQSIZE,
        .cq_entries = COMPLETE_ENTRIES,
    };
    int rc = io_uring_queue_init_params(SUBMIT_ENTRIES, &r->uring, &params);
    if (rc < 0) {
        free(r);
        return ring_open_failed(-rc, error);
    }
    io_uring_ring_dontfork(&r->uring);
    io_uring_register_ring_fd(&r->uring); /* saves a lookup per call; works without */
    r->has_files = io_uring_register_files_sparse(&r->uring, RING_FILES) == 0;
    r->owner_count = 1;
    *out = r;
    return LEAT_OK;
}

void ring_close(struct ring *r)
{
    io_uring_queue_exit(&r->uring);
    free(r);
}

uint8_t ring_owner(struct ring *r, ring_handler *handler, void *context)
{
    must(r->owner_count < OWNERS);
    must(handler != NULL);
    r->owners[r->owner_count] = (struct owner){handler, context, 0};
    return (uint8_t)r->owner_count++;
}

void ring_owner_gone(struct ring *r, uint8_t owner)
{
    while (r->owners[owner].pending > 0) {
        ring_wait(r, (struct duration){UINT64_MAX});
        ring_reap(r);
    }
    r->owners[owner].handler = NULL;
}

struct ring_counters ring_counters(const struct ring *r)
{
    return r->counters;
}

/* The kernel wants to be entered: to finish requests, or to give out completions that did not fit. */
static bool ring_kernel_waits(struct ring *r)
{
    unsigned flags = __atomic_load_n(r->uring.sq.kflags, __ATOMIC_RELAXED);
    if (flags & IORING_SQ_CQ_OVERFLOW)
        r->counters.overflows++;
    return (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

void ring_submit(struct ring *r)
{
    if (io_uring_sq_ready(&r->uring) == 0 && !ring_kernel_waits(r))
        return;
    r->counters.enters++;
    io_uring_submit_and_get_events(&r->uring); /* what it could not take stays queued for the next call */
}

bool ring_ready(struct ring *r)
{
    return io_uring_cq_ready(&r->uring) > 0 || ring_kernel_waits(r);
}

unsigned ring_reap(struct ring *r)
{
    must(!r->reaping);
    if (ring_kernel_waits(r)) {
        r->counters.enters++;
        io_uring_get_events(&r->uring);
    }
    unsigned available = io_uring_cq_ready(&r->uring);
    if (available == 0)
        return 0;
    r->reaping = true;
    struct io_uring_cq *cq = &r->uring.cq;
    for (unsigned i = 0; i < available; i++) {
        const struct io_uring_cqe *e = &cq->cqes[*cq->khead & cq->ring_mask];
        struct owner *owner = &r->owners[e->user_data >> OWNER_SHIFT];
        struct ring_completion c = {
            .tag = e->user_data & ((UINT64_C(1) << OWNER_SHIFT) - 1),
            .result = e->res,
            .more = (e->flags & IORING_CQE_F_MORE) != 0,
            .has_buffer = (e->flags & IORING_CQE_F_BUFFER) != 0,
            .buffer = (uint16_t)(e->flags >> IORING_CQE_BUFFER_SHIFT),
        };
        io_uring_cq_advance(&r->uring, 1);
        if (!owner->handler)
            continue;
        must(owner->pending > 0);
        owner->pending -= !c.more;
        owner->handler(owner->context, &c);
    }
    r->reaping = false;
    r->counters.completions += available;
    return available;
}

void ring_wait(struct ring *r, struct duration limit)
{
    must(!r->reaping);
    if (io_uring_cq_ready(&r->uring) > 0) {
        ring_submit(r);
        return;
    }
    struct __kernel_timespec ts = {.tv_sec = (long long)(limit.ns / 1000000000),
                                   .tv_nsec = (long long)(limit.ns % 1000000000)};
    struct io_uring_cqe *cqe;
    r->counters.enters++;
    r->counters.waits++;
    io_uring_submit_and_wait_timeout(&r->uring, &cqe, 1, limit.ns == UINT64_MAX ? NULL : &ts, NULL);
}

bool ring_keep_workers_off(struct ring *r, unsigned core)
{
    cpu_set_t others;
    return cores_others(core, &others) && io_uring_register_iowq_aff(&r->uring, sizeof others, &others) == 0;
}

int ring_file_add(struct ring *r, int fd)
{
    for (unsigned word = 0; r->has_files && word < RING_FILES / 64; word++) {
        if (r->files_used[word] == UINT64_MAX)
            continue;
        unsigned bit = (unsigned)__builtin_ctzll(~r->files_used[word]);
        unsigned index = word * 64 + bit;
        if (io_uring_register_files_update(&r->uring, index, &fd, 1) != 1)
            return RING_NO_FILE;
        r->files_used[word] |= UINT64_C(1) << bit;
        return (int)index;
    }
    return RING_NO_FILE;
}

void ring_file_remove(struct ring *r, int index)
{
    must(index >= 0 && index < RING_FILES);
    unsigned word = (unsigned)index / 64;
    uint64_t bit = UINT64_C(1) << (index % 64);
    must(r->files_used[word] & bit);
    int none = -1;
    io_uring_register_files_update(&r->uring, (unsigned)index, &none, 1);
    r->files_used[word] &= ~bit;
}

bool ring_memory_area(struct ring *r, void *base, size_t size, size_t *slice)
{
    must(r->memory == NULL);
    must(size > 0);
    r->slice = SLICE_LEAST;
    while (size > r->slice * SLICES)
        r->slice *= 2;
    if (io_uring_register_buffers_sparse(&r->uring, (unsigned)((size - 1) / r->slice + 1)) != 0)
        return false;
    r->memory = base;
    r->memory_size = size;
    *slice = r->slice;
    return true;
}

bool ring_memory_pin(struct ring *r, size_t i)
{
    must(r->memory != NULL && i * r->slice < r->memory_size);
    size_t left = r->memory_size - i * r->slice;
    struct iovec area = {r->memory + i * r->slice, left < r->slice ? left : r->slice};
    if (io_uring_register_buffers_update_tag(&r->uring, (unsigned)i, &area, NULL, 1) != 1)
        return false;
    r->slices_pinned[i / 64] |= UINT64_C(1) << i % 64;
    return true;
}

void ring_memory_gone(struct ring *r)
{
    if (r->memory)
        io_uring_unregister_buffers(&r->uring);
    r->memory = NULL;
    memset(r->slices_pinned, 0, sizeof r->slices_pinned);
}

static struct io_uring_sqe *ring_entry(struct ring *r)
{
    struct io_uring_sqe *e = io_uring_get_sqe(&r->uring);
    for (unsigned tries = 0; !e; tries++) {
        must(tries < SUBMIT_TRIES);
        r->counters.enters++;
        io_uring_submit(&r->uring);
        e = io_uring_get_sqe(&r->uring);
    }
    return e;
}

static void ring_tag(struct ring *r, struct io_uring_sqe *e, uint8_t owner, uint64_t tag)
{
    must(r->owners[owner].handler != NULL);
    must(tag >> OWNER_SHIFT == 0);
    r->owners[owner].pending++;
    e->user_data = (uint64_t)owner << OWNER_SHIFT | tag;
}

static void ring_use_file(struct io_uring_sqe *e, struct ring_file file)
{
    if (file.fixed)
        e->flags |= IOSQE_FIXED_FILE;
}

/* The slice that these bytes lie in, if it is registered; else -1. */
static int ring_slice(const struct ring *r, const void *data, uint32_t size)
{
    const uint8_t *p = data;
    if (!r->memory || p < r->memory || p >= r->memory + r->memory_size)
        return -1;
    size_t at = (size_t)(p - r->memory), i = at / r->slice;
    bool inside = size <= r->memory_size - at && size <= r->slice - at % r->slice;
    return inside && (r->slices_pinned[i / 64] >> i % 64 & 1) ? (int)i : -1;
}

void ring_write(struct ring *r, uint8_t owner, uint64_t tag, struct ring_file file, const void *data, uint32_t size,
                uint64_t offset, bool durable)
{
    struct io_uring_sqe *e = ring_entry(r);
    int slice = ring_slice(r, data, size);
    if (slice >= 0)
        io_uring_prep_write_fixed(e, file.number, data, size, offset, slice);
    else
        io_uring_prep_write(e, file.number, data, size, offset);
    e->rw_flags = durable ? RWF_DSYNC : 0;
    ring_use_file(e, file);
    ring_tag(r, e, owner, tag);
}

void ring_read(struct ring *r, uint8_t owner, uint64_t tag, struct ring_file file, void *data, uint32_t size,
               uint64_t offset)
{
    struct io_uring_sqe *e = ring_entry(r);
    int slice = ring_slice(r, data, size);
    if (slice >= 0)
        io_uring_prep_read_fixed(e, file.number, data, size, offset, slice);
    else
        io_uring_prep_read(e, file.number, data, size, offset);
    ring_use_file(e, file);
    ring_tag(r, e, owner, tag);
}

void ring_fsync(struct ring *r, uint8_t owner, uint64_t tag, struct ring_file file)
{
    struct io_uring_sqe *e = ring_entry(r);
    io_uring_prep_fsync(e, file.number, IORING_FSYNC_DATASYNC);
    ring_use_file(e, file);
    ring_tag(r, e, owner, tag);
}

void ring_accept_multishot(struct ring *r, uint8_t owner, uint64_t tag, int fd)
{
    struct io_uring_sqe *e = ring_entry(r);
    io_uring_prep_multishot_accept(e, fd, NULL, NULL, SOCK_CLOEXEC);
    ring_tag(r, e, owner, tag);
}

void ring_recv_multishot(struct ring *r, uint8_t owner, uint64_t tag, int fd, const struct ring_buffers *b)
{
    struct io_uring_sqe *e = ring_entry(r);
    io_uring_prep_recv_multishot(e, fd, NULL, 0, 0);
    e->flags |= IOSQE_BUFFER_SELECT;
    e->buf_group = b->group;
    ring_tag(r, e, owner, tag);
}

void ring_poll(struct ring *r, uint8_t owner, uint64_t tag, int fd, uint32_t events)
{
    struct io_uring_sqe *e = ring_entry(r);
    io_uring_prep_poll_add(e, fd, events);
    ring_tag(r, e, owner, tag);
}

void ring_poll_multishot(struct ring *r, uint8_t owner, uint64_t tag, int fd, uint32_t events)
{
    struct io_uring_sqe *e = ring_entry(r);
    io_uring_prep_poll_multishot(e, fd, events);
    ring_tag(r, e, owner, tag);
}

void ring_timer(struct ring *r, uint8_t owner, uint64_t tag, struct ring_timer *slot, struct duration delay)
{
    _Static_assert(sizeof(struct __kernel_timespec) <= sizeof slot->opaque, "a timer slot holds a timespec");
    struct __kernel_timespec ts = {.tv_sec = (long long)(delay.ns / 1000000000),
                                   .tv_nsec = (long long)(delay.ns % 1000000000)};
    memcpy(slot->opaque, &ts, sizeof ts);
    struct io_uring_sqe *e = ring_entry(r);
    io_uring_prep_timeout(e, (struct __kernel_timespec *)(void *)slot->opaque, 0, IORING_TIMEOUT_BOOTTIME);
    e->off = 0; /* a timer of its own: other completions do not end it */
    ring_tag(r, e, owner, tag);
}

void ring_cancel(struct ring *r, uint8_t owner, uint64_t tag)
{
    struct io_uring_sqe *e = ring_entry(r);
    io_uring_prep_cancel64(e, (uint64_t)owner << OWNER_SHIFT | tag, 0);
    e->user_data = 0;
}

struct ring_buffers *ring_buffers_open(struct ring *r, uint32_t count, uint32_t size)
{
    must(count > 0 && count <= 32768);
    must((count & (count - 1)) == 0);
    struct ring_buffers *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    *b = (struct ring_buffers){.count = count, .size = size, .group = (uint16_t)r->group_count};
    size_t entries_bytes = count * sizeof(struct io_uring_buf), bytes = (size_t)count * size;
    b->entries = mmap(NULL, entries_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (b->entries == MAP_FAILED)
        goto err0;
    b->bytes = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (b->bytes == MAP_FAILED)
        goto err1;
    struct io_uring_buf_reg reg = {.ring_addr = (uintptr_t)b->entries, .ring_entries = count, .bgid = b->group};
    if (io_uring_register_buf_ring(&r->uring, &reg, 0) != 0)
        goto err2;
    r->group_count++;
    io_uring_buf_ring_init(b->entries);
    for (uint32_t i = 0; i < count; i++)
        ring_buffers_give(b, (uint16_t)i);
    return b;
err2:
    munmap(b->bytes, bytes);
err1:
    munmap(b->entries, entries_bytes);
err0:
    free(b);
    return NULL;
}

void ring_buffers_close(struct ring *r, struct ring_buffers *b)
{
    io_uring_unregister_buf_ring(&r->uring, b->group);
    munmap(b->bytes, (size_t)b->count * b->size);
    munmap(b->entries, b->count * sizeof(struct io_uring_buf));
    free(b);
}

uint8_t *ring_buffers_at(const struct ring_buffers *b, uint16_t buffer)
{
    must(buffer < b->count);
    return b->bytes + (size_t)buffer * b->size;
}

void ring_buffers_give(struct ring_buffers *b, uint16_t buffer)
{
    io_uring_buf_ring_add(b->entries, ring_buffers_at(b, buffer), b->size, buffer, io_uring_buf_ring_mask(b->count), 0);
    io_uring_buf_ring_advance(b->entries, 1);
}

/* ring.h - the io_uring of one shard: everything that the kernel does for this thread, asked and answered through one
 * pair of queues.
 *
 * Life: ring_open() on the thread that will use it; each user (disk, network, signals, mailbox) becomes an owner with a
 * handler; then requests by the small calls below, ring_submit() once per iteration, ring_reap() as often as one likes.
 * ring_wait() is the one place where a shard sleeps. A request's `tag` (56 bits) is the owner's own and comes back in
 * its completion.
 *
 * Cost: a request is 64 bytes in shared memory; ring_reap() stays in user space until the kernel says that it has
 * something; one system call both submits and collects. A full submission queue is submitted and refilled by itself.
 * Units: bytes, nanoseconds. Memory: what a request points to is lent until its (last) completion.
 * Failure: a completion's result is the system call's own: >= 0 or -errno. Requests themselves cannot fail.
 * Thread: owned by the thread that opened it. Handlers run inside ring_reap() and may make requests, but never reap or
 * wait. */
#ifndef LEAT_OS_RING_H
#define LEAT_OS_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"
#include "units.h"

struct ring;
struct ring_buffers;

enum { RING_FILES = 256, RING_NO_FILE = -1 };

struct ring_completion {
    uint64_t tag;    /* as in the request */
    int32_t result;  /* of the system call, or -errno */
    bool more;       /* multishot: further completions of this request will come */
    bool has_buffer; /* `buffer` was taken from the request's ring_buffers: give it back */
    uint16_t buffer;
};

typedef void ring_handler(void *context, const struct ring_completion *c);

/* A registered file (`fixed`: an index of ring_file_add) or a plain descriptor. */
struct ring_file {
    int number;
    bool fixed;
};

struct ring_counters {
    uint64_t enters;      /* system calls */
    uint64_t waits;       /* of them, those that slept */
    uint64_t completions; /* handled */
    uint64_t overflows;   /* times that the completion queue was too small and the kernel kept the rest */
};

/* ring_open: `error` gets one sentence on failure (LEAT_NO_PERMISSION, LEAT_NO_MEMORY). */
enum leat_status ring_open(struct ring **r, char error[256]);
void ring_close(struct ring *r);

/* ring_owner: a new owner number for the requests of one user. At most 255. */
uint8_t ring_owner(struct ring *r, ring_handler *handler, void *context);

/* ring_owner_gone: reaps until every request of this owner has completed (the caller has cancelled those that would not
 * end by themselves), then forgets it. Blocks: for shut-down. */
void ring_owner_gone(struct ring *r, uint8_t owner);

/* ring_submit: hands queued requests to the kernel and collects what is done. No system call if there is neither. */
void ring_submit(struct ring *r);

/* ring_reap: calls the handlers of what has completed; how many. Enters the kernel only if the kernel asked for it. */
unsigned ring_reap(struct ring *r);

/* ring_wait: submits, then sleeps until a completion is there or `limit` has passed ({UINT64_MAX}: no limit). Reaps
 * nothing. */
void ring_wait(struct ring *r, struct duration limit);

/* Whether ring_reap() would find something. */
bool ring_ready(struct ring *r);

struct ring_counters ring_counters(const struct ring *r);

/* ring_keep_workers_off: the kernel's helper threads of this ring leave `core` alone (they inherit the pinned thread's
 * else). False where there is no other core. */
bool ring_keep_workers_off(struct ring *r, unsigned core);

/* Registered files save a lookup per request. ring_file_add: an index, or RING_NO_FILE when there is no slot left (use
 * the descriptor). */
int ring_file_add(struct ring *r, int fd);
void ring_file_remove(struct ring *r, int index);

/* Registered memory saves pinning pages for each read and write that lies in it. ring_memory_area: names one area,
 * which is registered slice by slice (*slice bytes each, the last one maybe fewer); once per ring, until
 * ring_memory_gone(). ring_memory_pin: slice number `i` of it; its pages are made now, if they are not there yet. False
 * where there are no more slices to be had (RLIMIT_MEMLOCK, 8 MiB for a plain user): everything works without, as do
 * requests that cross slices. ring_memory_gone: before the area is unmapped, when no request of it is under way. */
bool ring_memory_area(struct ring *r, void *base, size_t size, size_t *slice);
bool ring_memory_pin(struct ring *r, size_t i);
void ring_memory_gone(struct ring *r);

/* Disk. ring_write: `durable` adds RWF_DSYNC. ring_fsync: fdatasync. */
void ring_write(struct ring *r, uint8_t owner, uint64_t tag, struct ring_file file, const void *data, uint32_t size,
                uint64_t offset, bool durable);
void ring_read(struct ring *r, uint8_t owner, uint64_t tag, struct ring_file file, void *data, uint32_t size,
               uint64_t offset);
void ring_fsync(struct ring *r, uint8_t owner, uint64_t tag, struct ring_file file);

/* Network. ring_accept_multishot: a completion (new descriptor) per connection. ring_recv_multishot: a completion with
 * a buffer per arrival; ends (`more` false) with -ENOBUFS when the buffers are used up, 0 at the end of the stream, or
 * -errno. */
void ring_accept_multishot(struct ring *r, uint8_t owner, uint64_t tag, int fd);
void ring_recv_multishot(struct ring *r, uint8_t owner, uint64_t tag, int fd, const struct ring_buffers *b);

/* ring_poll: one completion when `events` (POLLIN, POLLOUT) hold. ring_poll_multishot: one per wake-up of the
 * descriptor. */
void ring_poll(struct ring *r, uint8_t owner, uint64_t tag, int fd, uint32_t events);
void ring_poll_multishot(struct ring *r, uint8_t owner, uint64_t tag, int fd, uint32_t events);

/* ring_timer: one completion (-ETIME) after `delay`; `slot` is storage that the caller keeps until then. */
struct ring_timer {
    uint64_t opaque[2];
};
void ring_timer(struct ring *r, uint8_t owner, uint64_t tag, struct ring_timer *slot, struct duration delay);

/* ring_cancel: ends the request with this tag: it completes with -ECANCELED, or as it would have. The cancel itself is
 * silent. */
void ring_cancel(struct ring *r, uint8_t owner, uint64_t tag);

/* Provided buffers: a pool of `count` (a power of 2, at most 32768) buffers of `size` bytes, page-aligned, that the
 * kernel fills on its own choice. NULL without memory. Address space is reserved, pages come as they are used. */
struct ring_buffers *ring_buffers_open(struct ring *r, uint32_t count, uint32_t size);
void ring_buffers_close(struct ring *r, struct ring_buffers *b);
uint8_t *ring_buffers_at(const struct ring_buffers *b, uint16_t buffer);
void ring_buffers_give(struct ring_buffers *b, uint16_t buffer);

#endif

/* link.h - one connection of a load generator: bytes to a broker and back, over kernel TCP or the local port.
 *
 * The leanest way that exists to each: non-blocking socket calls, or the two rings of shared memory, driven by whoever
 * calls. Nothing here knows frames, sessions or time.
 *
 *     link_open --> link_connect --> { link_receive .. link_done, link_send .. link_flush }* --> link_close
 *                        ^-------------------- receive answered LINK_ENDED --+
 *
 * Units: bytes. Memory: what link_receive() gave stays valid until link_done(). Failure: false or NULL with a sentence
 * in `why`. A local link cannot see that its broker has died: the client above times out. Thread: one. */
#ifndef LEAT_PERF_LINK_H
#define LEAT_PERF_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client_io.h"
#include "target.h"

enum { LINK_BURST = 32, LINK_ENDED = -1 };

struct link;

/* Connects nothing yet. `eal`: arguments for DPDK, or NULL. */
struct link *link_open(const struct target *to, const char *eal, char *why, size_t why_size);
void link_close(struct link *l);

bool link_connect(struct link *l, char *why, size_t why_size);

/* Most bytes of one datagram; 0 for a stream. */
uint32_t link_datagram_max(const struct link *l);

/* What is here now: 0..LINK_BURST pieces, or LINK_ENDED. */
int link_receive(struct link *l, struct client_io_bytes in[LINK_BURST]);
void link_done(struct link *l, const struct client_io_bytes *in, int n);

/* False: no room now, nothing was taken. */
bool link_send(struct link *l, const void *bytes, size_t size);
void link_flush(struct link *l);

/* Sleeps until something is here, or until so many milliseconds have passed. */
void link_wait(struct link *l, unsigned ms);

#endif

/* start.h - the parts of a running broker, put together in order and taken apart in the reverse one.
 *
 * start_broker: says one sentence on stderr for whatever stops it, and one line on stdout for each endpoint.
 * start_undo: everything that was opened, closed; also of a start that got half way. Memory: the parts' own; the config
 * is the caller's and outlives them. Thread: that of the shard, from start to end. */
#ifndef LEAT_START_H
#define LEAT_START_H

#include <stdbool.h>

#include "bell.h"
#include "config.h"
#include "disk.h"
#include "exits.h"
#include "http.h"
#include "local.h"
#include "ring.h"
#include "shard.h"
#include "signals.h"
#include "transport.h"

struct broker {
    const struct config *config;
    uint64_t wall_ns; /* when it started */
    int lock;         /* of the data directory; -1: none */
    struct ring *ring;
    struct signals *signals;
    struct disk *disk;
    struct shard *shard;
    struct transport *tcp;    /* or NULL */
    struct local_port *local; /* or NULL */
    struct bell bell;         /* the HTTP thread wakes the shard */
    bool has_bell;
    bool joined_eal;
    struct http *http; /* or NULL */
};

enum exits start_broker(struct broker *b, const struct config *c);
/* start_salvage: only the lock and the disk, for a directory that a start refuses. */
enum exits start_salvage(const struct config *c);
void start_undo(struct broker *b);

/* start_complain: "leatd: SENTENCE" on stderr. */
__attribute__((format(printf, 1, 2))) void start_complain(const char *format, ...);

#endif

/* leat_state.h - what is behind a struct leat: the core, its connection, and who waits for which call. Shared by the
 * files of the library, nobody else.
 *
 *   loop.c      moves bytes between the core and the connection
 *   leat.c      open, close, limits, text
 *   pipeline.c  submit and call back
 *   blocking.c  submit and wait
 *
 * Units: bytes, nanoseconds. Memory: as said per field. Thread: one at a time. */
#ifndef LEAT_CLIENT_LEAT_STATE_H
#define LEAT_CLIENT_LEAT_STATE_H

#include "client.h"
#include "io.h"

#include "leat.h"

enum { ADDRESSES_MAX = 8, WAITERS_MAX = WINDOW_MAX + 2, OUT_ROOM = 4 * FRAME_MAX };

struct waiter {
    bool used;
    leat_callback *callback;
    void *user;
};

struct leat_result {
    struct leat *leat;
    struct client_result core;
    uint32_t offset; /* of the next message */
};

struct leat {
    struct client *core;
    struct leat_options options;

    /* the connection */
    struct {
        const struct io_ops *ops;
        struct io *io;
    } addresses[ADDRESSES_MAX];
    unsigned addresses_count, current;
    bool connecting, linked;
    struct instant connecting_since;
    bool readable; /* bytes may be here */
    bool unflushed;
    uint8_t *out; /* OUT_ROOM bytes: said by the core, not taken by the connection */
    size_t out_at, out_size;

    /* calls */
    struct waiter waiters[WAITERS_MAX];
    size_t pending, called;
    struct request_put_entry puts[LEAT_BATCH_MAX]; /* on their way into the core */

    /* bodies of the last blocking take */
    uint8_t *bodies;
    size_t bodies_room;

    char error[LEAT_ERROR_MAX];
    char trouble[LEAT_ERROR_MAX]; /* why there is no connection ... */
    bool starved;                 /* ... and that it is this machine's fault */
};

#endif

/* fake_broker.h - a broker for tests of the client: real frames, real sessions, queues as plain arrays, and knobs for
 * what a test wants to go wrong. Bytes in, bytes out; no leases, no clock, no disk.
 *
 * Units: bytes. Memory: malloc, all given back by fake_broker_close(). Failure: must(). Thread: one. */
#ifndef LEAT_TESTS_FAKE_BROKER_H
#define LEAT_TESTS_FAKE_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fake_backup.h"
#include "reply.h"
#include "request.h"
#include "session.h"

enum { FAKE_QUEUES = 4, FAKE_MESSAGES = 20000, FAKE_NUMBERS = 100000 };

struct fake_message {
    uint8_t *body;
    uint32_t size;
    uint32_t attempts;
    bool leased, acked;
};

struct fake_queue {
    bool live;
    struct name name;
    struct queue_ref ref;
    struct fake_message *messages;
    unsigned count;
};

struct fake_broker {
    /* knobs */
    uint16_t window;               /* granted */
    uint32_t frame_max;            /* of replies; larger ones leave in pieces */
    uint32_t cut;                  /* most entries of a batch that are executed; 0: all */
    enum leat_status refuse_hello; /* LEAT_OK: do not */
    enum leat_status refuse;       /* every other request */
    unsigned refuse_next;          /* so many requests, as overloaded */
    enum fake_lie lie;             /* about its backup */
    bool mute;                     /* executes, answers nothing */
    bool rotten;                   /* the disk has lost what is taken; of every second one the id, too */

    /* what happened */
    unsigned hellos, pings, byes, gaps, repeats, pieces_in;
    uint8_t *executed; /* times, per request number of the present session */

    struct session_table sessions;
    uint32_t session; /* the handle of the last one */
    struct fake_queue queues[FAKE_QUEUES];
    uint32_t incarnations;
    uint64_t lsn;
    struct {
        uint8_t *bytes;
        uint32_t size;
    } kept[WINDOW_MAX];
    uint64_t parked; /* number of the take that waits, 0: none */
    uint16_t parked_max;
    struct queue_ref parked_queue;
    uint8_t *assembling;
    uint32_t assembled;

    uint8_t *out; /* frames, back to back */
    size_t out_size, out_room;
};

void fake_broker_open(struct fake_broker *b);
void fake_broker_close(struct fake_broker *b);
/* Whole frames from a client; the replies are behind b->out. */
void fake_broker_input(struct fake_broker *b, const uint8_t *frames, size_t size);
/* The caller has taken the first `size` bytes of the replies. */
void fake_broker_sent(struct fake_broker *b, size_t size);
/* As after a crash: sessions and queues live, the order of requests is asked for again. */
void fake_broker_restart(struct fake_broker *b);
/* Sessions are forgotten. */
void fake_broker_forget(struct fake_broker *b);
/* Made or found without a client. */
struct fake_queue *fake_broker_queue(struct fake_broker *b, const char *name);
/* A queue of the same name and another incarnation. */
void fake_broker_remake(struct fake_broker *b, const char *name);
/* Any frame, for tests of bad ones. */
void fake_broker_say(struct fake_broker *b, const void *frame, size_t size);

#endif

/* client.h - a broker's client without a socket or a clock: bytes in, bytes out, next due instant.
 *
 * The core keeps a session with one broker, numbers requests, keeps each until it is answered, and sends it again under
 * the same number when an answer does not come, so that every request executes at most once. A loop around it
 * (io_tcp.c, io_local.c, the simulator) moves the bytes:
 *
 *     c = client_open(&config)
 *     for ever:
 *         client_wants_connection(c, now)?   connect; client_connected(c, now), or client_disconnected(c, now)
 *         bytes came?                        client_input(c, bytes, size, now); not LEAT_OK: hang up,
 * client_disconnected() the connection ended?              client_disconnected(c, now) client_tick(c, now)
 * client_broken(c)? hang up, client_disconnected() while ((n = client_output(c, buf, sizeof buf, now)) > 0) send n
 * bytes (datagrams: as one) while (client_result(c, &r))       the caller's business; client_submit() more sleep until
 * bytes come or client_next_due(c)
 *
 * The life of a call:
 *
 *     submit --> QUEUED --(queue unknown: ask for its number)--> OUT --answer--> DONE --client_result--> (gone)
 *                  ^                                              |
 *                  +---- cut batch: the rest; queue renumbered ---+
 *
 * Requests execute in the order of submission, except where a batch was cut by the broker or a queue had to be looked
 * up again: what is left then goes behind what was submitted meanwhile.
 *
 * When the session has expired (the broker forgot us: a connection lost for longer than session_timeout), what was sent
 * and not answered ends as LEAT_UNKNOWN_OUTCOME, with these exceptions, which are sent again in the new session: what
 * was never sent at all; questions (peek, stat, list); take (a message that an unheard answer carried comes back when
 * its lease ends); extend; ack and nack, whose receipts fence them (their effect cannot come twice), where any
 * refusal after the repetition is told as LEAT_UNKNOWN_OUTCOME: the first try may have done it.
 *
 * Units: bytes; `now` is any clock that never goes back (CLOCK_BOOTTIME). Memory: about 120 KiB and what the requests
 * and answers under way need, at most config.budget; buffers are kept and used again. Failure: enum leat_status.
 * Deterministic: equal calls give equal bytes. Thread: one at a time. */
#ifndef LEAT_CLIENT_CLIENT_H
#define LEAT_CLIENT_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reply.h"
#include "request.h"
#include "status.h"
#include "units.h"

struct client;

struct client_config {
    uint16_t window;       /* calls at a time, WINDOW_MIN..WINDOW_MAX; the broker may grant fewer numbers at a time */
    bool datagrams;        /* bytes may be lost, repeated and reordered, in units of what one client_output() gave */
    bool checksums;        /* seal every frame with its CRC (on datagrams of a network) */
    uint32_t datagram_max; /* datagrams: most bytes of one, DATAGRAM_MIN..FRAME_MAX; streams: 0 */
    uint64_t seed;         /* secrets and jitter are drawn from it: from getrandom(), or a simulation's seed */
    size_t budget;         /* most bytes of buffers; 0: 64 MiB */
};

/* client_open: NULL when there is no memory. client_close: at any moment. */
struct client *client_open(const struct client_config *config);
void client_close(struct client *c);

/* The connection. client_wants_connection: there is none, and the time has come to try (10 ms after the first failure,
 * doubling to 1 s, with jitter; at once after a connection that worked). */
bool client_wants_connection(const struct client *c, struct instant now);
void client_connected(struct client *c, struct instant now);
void client_disconnected(struct client *c, struct instant now); /* it ended, or the attempt failed */
/* client_broken: the connection is of no use any more: hang up and call client_disconnected(). */
bool client_broken(const struct client *c);
/* client_ready: connected, and the session is open. */
bool client_ready(const struct client *c);
/* client_refusal: why the broker's last answer to hello was no (LEAT_BAD_VERSION, LEAT_SESSIONS_FULL,
 * LEAT_STOPPING...), or LEAT_OK. The core tries again by itself. */
enum leat_status client_refusal(const struct client *c);
/* What hello's answer told last; NULL before the first. */
const struct reply_hello *client_hello(const struct client *c);

/* client_input: bytes from the broker; on streams any piece of the stream, on datagrams one datagram. LEAT_BAD_FRAME or
 * LEAT_BAD_VERSION: this stream can not be followed any more (datagrams: never, garbage is dropped and counted). */
enum leat_status client_input(struct client *c, const uint8_t *bytes, size_t size, struct instant now);

/* client_output: whole frames to send now, written to `out` (8-byte aligned, at least FRAME_MAX bytes on streams and
 * datagram_max on datagrams): on datagrams exactly one. Returns the bytes, 0 when there is nothing to send. What was
 * returned counts as sent. */
size_t client_output(struct client *c, uint8_t *out, size_t max, struct instant now);

/* client_tick: lets time pass: retries, pings. client_next_due: when to call it next at the latest, or INSTANT_NEVER;
 * it may be early, never late. */
void client_tick(struct client *c, struct instant now);
struct instant client_next_due(const struct client *c);

/* What to ask. `request` holds op and the fixed part: queue, max, wait, time, name, attributes, backup; its number,
 * count and entries are ignored. With a queue operation on messages (put take ack nack extend peek), a `request.name`
 * stands for the queue: the core finds its number (and keeps it), and once more when the queue has been made anew
 * meanwhile; without a name, `request.queue` is used as it is. body_crc of puts is computed here. */
struct client_op {
    struct request request;
    uint16_t count;                           /* put, ack, nack, extend: entries, 1..BATCH_MAX */
    const struct request_put_entry *puts;     /* put: attrs and body may be NULL when their size is 0 */
    const uint8_t (*receipts)[RECEIPT_BYTES]; /* ack, nack, extend */
};

/* client_submit: takes a call over, copying all; `user` comes back with its result. LEAT_OVERLOADED: as many calls as
 * the window has are under way, or the budget is used up: take results and try again. LEAT_BATCH_TOO_LARGE,
 * LEAT_TOO_LARGE, LEAT_BAD_NAME, LEAT_BAD_VALUE: can never be sent. LEAT_CLOSED after client_bye(). */
enum leat_status client_submit(struct client *c, const struct client_op *op, uint64_t user);

/* client_room: how many more calls client_submit() takes now. client_pending: calls without a result. */
unsigned client_room(const struct client *c);
unsigned client_pending(const struct client *c);

struct client_result {
    uint64_t user;
    uint8_t op;
    enum leat_status status; /* batches: LEAT_OK when every entry went well, else that of the first that did not */
    uint16_t count;          /* entries of a batch, messages, or stats */
    /* put, ack, nack, extend: runs that cover all entries. */
    const struct reply_run *runs;
    unsigned runs_count;
    /* take, peek: walk with reply_next_message(); queue_create, queue_stat, queue_list: with reply_next_stat();
     * backup_begin, backup_read: reply_backup_decode(), reply_piece_decode(), which cannot fail any more. Every body
     * and piece has its checksum checked: LEAT_BAD_CHECKSUM as status if one does not match. */
    struct frame_op reply;
};

/* client_result: the next finished call, in the order of finishing; false if there is none. Valid until the next
 * client_result() or client_close(). */
bool client_result(struct client *c, struct client_result *r);
/* client_has_result: whether client_result() would find one. */
bool client_has_result(const struct client *c);
/* client_result_entry: the outcome of entry `i` of a batch; for a put that went well also its id (else zeros). */
enum leat_status client_result_entry(const struct client *c, const struct client_result *r, unsigned i,
                                     struct message_id *id);

/* client_forget: nobody waits for this call any more: its result will not be told. What was not sent yet never will be,
 * the rest may still be executed. False: no such call. */
bool client_forget(struct client *c, uint64_t user);
/* client_was_sent: whether this call may have been executed. */
bool client_was_sent(const struct client *c, uint64_t user);

/* client_bye: no more calls; when those under way are answered, the session ends. client_finished: it has (the answer
 * came), or there was none. */
void client_bye(struct client *c);
bool client_finished(const struct client *c);

struct client_counters {
    uint64_t requests;  /* numbers given */
    uint64_t retries;   /* requests sent more than once */
    uint64_t gaps;      /* times that the broker missed a number */
    uint64_t sessions;  /* opened */
    uint64_t resumes;   /* sessions found again after a reconnect */
    uint64_t expired;   /* sessions that the broker had forgotten */
    uint64_t breaks;    /* connections that ended */
    uint64_t cut;       /* batches that were continued under a new number */
    uint64_t garbage;   /* frames and answers that were dropped */
    uint64_t duplicate; /* answers to what was answered */
    size_t held_bytes;  /* buffers now */
};
void client_count(const struct client *c, struct client_counters *counters);

#endif

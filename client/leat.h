/* leat.h - the client library of Leat, a durable work-queue broker.
 *
 *     char why[LEAT_ERROR_MAX];
 *     struct leat *l = leat_open("tcp://127.0.0.1:7400", NULL, why);
 *     leat_put(l, "mail", "hello", 5, NULL, NULL);
 *     struct leat_message m;
 *     size_t n = 1;
 *     if (leat_take(l, "mail", 20 * LEAT_SECOND, 0, &m, &n) == LEAT_OK)
 *         leat_ack(l, "mail", &m.receipt, 1, NULL);
 *     leat_close(l);
 *
 * A message that was put stays until it was taken and acknowledged. A take leases it: whoever holds the lease works on
 * it, makes the lease longer if need be (leat_extend), and finishes it (leat_ack) or gives it back (leat_nack). When
 * the lease ends first, the message is ready again; the old receipt may still ack it until somebody else takes it, and
 * is stale from then on. Delivery is at least once.
 *
 * The connection is kept by itself: when it breaks, it is made anew (after 10 ms, at most 1 s) and what has no answer
 * is asked again under the same number, so that a put is executed once, also when the broker restarts meanwhile. Only
 * when the broker has not heard of us for its session_timeout (60 s), the outcome of what was under way is unknown:
 * LEAT_UNKNOWN_OUTCOME.
 *
 * Units: bytes; nanoseconds for every time and duration. Owner: what you pass is copied before the call returns; what
 * you get belongs to the handle and says how long it lives. Threads: a handle belongs to one thread at a time;
 * different handles have nothing in common. Signals: the library sends without SIGPIPE; a signal does not end a
 * blocking call; a program that works under a limit on the size of files ignores SIGXFSZ, or leat_backup() cannot clean
 * up behind itself. Errors: every function that can fail gives an enum leat_status, LEAT_OK is 0; leat_error() has a
 * sentence about it. */
#ifndef LEAT_H
#define LEAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LEAT_VERSION "0.1.0"

#ifndef LEAT_BASE_STATUS_H /* inside the library the same enum comes from its table */
enum leat_status {
    LEAT_OK = 0,
    /* the request */
    LEAT_BAD_FRAME = 1,
    LEAT_BAD_VERSION = 2,
    LEAT_BAD_OP = 3,
    LEAT_BAD_REQUEST = 4,
    LEAT_BAD_NAME = 5,
    LEAT_BAD_VALUE = 6,
    LEAT_TOO_LARGE = 7,
    LEAT_BAD_CHECKSUM = 8,
    LEAT_BATCH_TOO_LARGE = 9,
    /* sessions */
    LEAT_NO_SESSION = 16,
    LEAT_SESSION_EXPIRED = 17,
    LEAT_GAP = 18,
    LEAT_SESSIONS_FULL = 19,
    /* queues and messages */
    LEAT_NO_QUEUE = 32,
    LEAT_QUEUE_EXISTS = 33,
    LEAT_QUEUES_FULL = 34,
    LEAT_STALE_RECEIPT = 35,
    LEAT_BAD_RECEIPT = 36,
    LEAT_LEASE_LOST = 37,
    LEAT_LEASES_FULL = 38,
    LEAT_READY_FULL = 39,
    LEAT_EMPTY = 40, /* no message is ready */
    LEAT_PARKED = 41,
    LEAT_QUEUE_IN_USE = 42,
    /* resources of the broker */
    LEAT_OVERLOADED = 64,
    LEAT_NO_SPACE = 65,
    LEAT_CORRUPT = 66,
    LEAT_DISK_ERROR = 67,
    LEAT_STOPPING = 68,
    LEAT_NO_MEMORY = 69,
    LEAT_BUSY = 70,
    LEAT_TOO_NEW = 71,
    LEAT_NO_PERMISSION = 72,
    LEAT_ADDRESS_IN_USE = 73,
    LEAT_BACKUP_BUSY = 74, /* another backup is running */
    LEAT_BACKUP_LOST = 75, /* the broker gave this one up */
    /* what only the client says */
    LEAT_UNKNOWN_OUTCOME = 96, /* sent, and the answer is lost for ever: it may or may not have been executed */
    LEAT_UNREACHABLE = 97,     /* no connection in time: it was not executed */
    LEAT_TIMED_OUT = 98,       /* sent, and no answer in time: it may or may not be executed */
    LEAT_CLOSED = 99,
    LEAT_LOCAL_FILE = 100 /* a file of this machine cannot be written */
};
#endif

/* The name ("no_queue"), one sentence for people, and whether the same request may succeed later without a change.
 * Codes of a newer broker are "unknown_status". */
const char *leat_status_name(unsigned status);
const char *leat_status_text(unsigned status);
bool leat_status_retry(unsigned status);

#define LEAT_MILLISECOND 1000000ull
#define LEAT_SECOND 1000000000ull
#define LEAT_DEFAULT UINT64_MAX /* a put's delay: the queue's own */

enum {
    LEAT_ERROR_MAX = 256,
    LEAT_ID_TEXT = 37,      /* of a message id as text, with the final zero */
    LEAT_RECEIPT_TEXT = 55, /* of a receipt as text, with the final zero */
    LEAT_RECEIPT_BYTES = 40,
    LEAT_NAME_MAX = 80,    /* characters of a queue's name, of [A-Za-z0-9_.-] */
    LEAT_BATCH_MAX = 1000, /* entries that travel in one request */
};

/* --- the handle --- */

struct leat;

struct leat_options {
    uint64_t open_timeout_ns; /* leat_open() tries for so long; 0: 5 s; LEAT_DEFAULT: does not wait for a connection */
    uint64_t timeout_ns;      /* of blocking calls, beyond a take's own wait; 0: 30 s */
    uint64_t spin_ns;         /* look for an answer for so long before sleeping; 0: sleep at once */
    uint16_t window;          /* requests under way, 8..64; 0: 64 */
    size_t memory_max;        /* bytes of buffers for requests and answers; 0: 64 MiB */
    bool retry_refused; /* blocking calls ask again when the broker refuses for now (overloaded, no_space, stopping...),
                           until their timeout */
    const char *eal;    /* vhost: arguments for DPDK, or NULL */
};

/* leat_open: connects to the broker at `address`: "tcp://HOST:PORT" (or just HOST:PORT; port 7400 if there is none) or,
 * with libleat-dpdk, "vhost://PATH"; several, separated by commas, are tried in turn. NULL: $LEAT_ADDRESS, or
 * tcp://127.0.0.1:7400. NULL with a sentence in `error` (LEAT_ERROR_MAX bytes) when nobody answers in time, or the
 * address is none. leat_open_status: why the last leat_open() of this thread gave NULL; LEAT_NO_MEMORY
 * when this machine has no memory or no descriptor for it. */
struct leat *leat_open(const char *address, const struct leat_options *options, char *error);
enum leat_status leat_open_status(void);

/* leat_close: calls that wait are dropped, the session ends, everything is given back. NULL is fine. */
void leat_close(struct leat *l);

/* A sentence about the last call that did not give LEAT_OK: valid until the next call. */
const char *leat_error(const struct leat *l);

void leat_set_timeout(struct leat *l, uint64_t timeout_ns);

/* What the broker allows; zeros before the first connection. */
struct leat_limits {
    uint32_t body_max, batch_max;
    uint64_t lease_max_ns, delay_max_ns, wait_max_ns, session_timeout_ns;
};
void leat_limits(const struct leat *l, struct leat_limits *limits);

/* --- queues --- */

enum leat_durability {
    LEAT_CLASS_DEFAULT = 0, /* the queue's, or the broker's */
    LEAT_CLASS_MEMORY = 1,  /* answered when it is in memory: a crash loses the last few milliseconds */
    LEAT_CLASS_DISK = 2,    /* answered when it is on stable storage */
};

struct leat_queue_options {
    uint64_t lease_ns;     /* of a take that names none; 0: 30 s */
    uint64_t delay_ns;     /* of a put that names none */
    uint32_t max_attempts; /* deliveries before a message is dead; 0: unlimited */
    uint32_t body_max;     /* 0: the broker's limit */
    enum leat_durability durability;
    const char *dead_letter; /* the queue that gets dead messages, or NULL: they stay, dead */
};

struct leat_queue_stat {
    char name[LEAT_NAME_MAX + 1];
    char dead_letter[LEAT_NAME_MAX + 1]; /* "" if there is none */
    uint64_t lease_ns, delay_ns;
    uint32_t max_attempts, body_max;
    enum leat_durability durability;
    uint64_t ready, leased, delayed, dead, bytes;                  /* now */
    uint64_t puts, takes, acks, nacks, expiries, dead_letters;     /* since it was created */
    uint64_t oldest_ready_ns, oldest_leased_ns, oldest_delayed_ns; /* ages; 0 if there is none */
    uint32_t parked;                                               /* takes that wait */
};

/* leat_queue_create: fine when it exists with the same options; LEAT_QUEUE_EXISTS with others. `options` may be NULL.
 */
enum leat_status leat_queue_create(struct leat *l, const char *queue, const struct leat_queue_options *options);
/* leat_queue_drop: with all its messages. */
enum leat_status leat_queue_drop(struct leat *l, const char *queue);
enum leat_status leat_queue_stat(struct leat *l, const char *queue, struct leat_queue_stat *stat);
/* leat_queue_list: up to *count queues whose names come after `after` (NULL: from the start), in the order of names;
 * sets *count. Fewer than asked for: that was the end. */
enum leat_status leat_queue_list(struct leat *l, const char *after, struct leat_queue_stat *stats, size_t *count);

/* --- backup --- */

struct leat_backup_state {
    uint64_t bytes, bytes_done; /* to be read from the broker, and how many of them are here */
    uint32_t files, files_done;
    const char *file;  /* at work; NULL when all is done */
    uint64_t cluster;  /* whose data directory it is ... */
    uint64_t position; /* ... as of this block of its log ... */
    uint32_t epoch;    /* ... in this epoch */
};

/* leat_backup: copies the data directory of the running broker into `directory` of this machine, which is made (mode
 * 0700) or empty: everything acknowledged before the call, and maybe later, of one moment. The broker goes on working
 * meanwhile. The copy is a data directory: start a broker on it, or on a copy of it. Every piece is checked as it
 * comes, every file synced, and the manifest written last, so that half a copy is never taken for a whole one; when the
 * call fails, what it has written is removed. `progress` (or NULL) is called after every piece; false gives the backup
 * up (LEAT_CLOSED). `state` (or NULL) tells at the end. LEAT_LOCAL_FILE: `directory` is not empty, or cannot be written
 * to (leat_error() says why); LEAT_BACKUP_BUSY, LEAT_BACKUP_LOST. */
typedef bool leat_backup_progress(const struct leat_backup_state *state, void *user);
enum leat_status leat_backup(struct leat *l, const char *directory, leat_backup_progress *progress, void *user,
                             struct leat_backup_state *state);

/* --- messages --- */

struct leat_receipt {
    unsigned char bytes[LEAT_RECEIPT_BYTES];
};
/* Receipts as text (base64url), for logs, files and other processes. Parsing: false if it is none. */
void leat_receipt_text(const struct leat_receipt *receipt, char text[LEAT_RECEIPT_TEXT]);
bool leat_receipt_parse(struct leat_receipt *receipt, const char *text);

enum leat_state { LEAT_READY = 1, LEAT_LEASED = 2, LEAT_DELAYED = 3, LEAT_DEAD = 4 };

struct leat_message {
    char id[LEAT_ID_TEXT];       /* "": lost, see leat_take() */
    struct leat_receipt receipt; /* takes only */
    uint32_t attempts;           /* deliveries, this one included */
    uint64_t sent_ns;            /* when it was put: UNIX time */
    uint64_t lease_left_ns;      /* when the broker sent it; takes only */
    int state;                   /* peek: enum leat_state, or 0 */
    const void *body;            /* body_size bytes and, behind them, a zero that is not counted */
    size_t body_size;
};

struct leat_put_entry {
    const void *body;
    size_t body_size;
    uint64_t delay_ns; /* before it can be taken; LEAT_DEFAULT: the queue's delay */
    enum leat_durability durability;
};

struct leat_outcome {
    enum leat_status status;
    char id[LEAT_ID_TEXT]; /* of a put that went well, else "" */
};

struct leat_put_options {
    uint64_t delay_ns; /* LEAT_DEFAULT: the queue's delay */
    enum leat_durability durability;
};

/* leat_put: adds one message; answered when it has reached its durability class. `options` and `id` may be NULL. */
enum leat_status leat_put(struct leat *l, const char *queue, const void *body, size_t body_size,
                          const struct leat_put_options *options, char id[LEAT_ID_TEXT]);

/* Batches: `outcomes` gets one per entry (or is NULL); the status is LEAT_OK when all went well, else that of the first
 * entry that did not. Any number of entries; they travel 1000 at a time, as many at once as the window allows. The
 * timeout is for the whole. */
enum leat_status leat_put_batch(struct leat *l, const char *queue, const struct leat_put_entry *entries, size_t count,
                                struct leat_outcome *outcomes);

/* leat_take: leases up to *count messages (1..1000) for `lease_ns` (0: the queue's lease), waiting up to `wait_ns` for
 * the first; sets *count. LEAT_EMPTY when none came. Bodies are valid until the next leat_take() or leat_peek() with
 * this handle. LEAT_CORRUPT when the broker's disk has lost the bytes of all that was taken: `messages` and *count tell
 * of the damaged ones, which are leased like others, without bodies; their receipts ack, nack and extend; id is "" and
 * sent_ns 0 when those are lost too; *count 0: the broker is too old to tell. Damaged messages among others are left
 * out, and come again when their lease ends. leat_peek: looks without leasing, also at what is leased, delayed or
 * dead: see state; damaged ones are left out. */
enum leat_status leat_take(struct leat *l, const char *queue, uint64_t wait_ns, uint64_t lease_ns,
                           struct leat_message *messages, size_t *count);
enum leat_status leat_peek(struct leat *l, const char *queue, struct leat_message *messages, size_t *count);

/* leat_ack: finished, for ever. leat_nack: back into the queue, to be taken again after `delay_ns`. leat_extend: the
 * lease ends `lease_ns` from now. LEAT_STALE_RECEIPT: the lease has ended; nothing was changed. */
enum leat_status leat_ack(struct leat *l, const char *queue, const struct leat_receipt *receipts, size_t count,
                          struct leat_outcome *outcomes);
enum leat_status leat_nack(struct leat *l, const char *queue, const struct leat_receipt *receipts, size_t count,
                           uint64_t delay_ns, struct leat_outcome *outcomes);
enum leat_status leat_extend(struct leat *l, const char *queue, const struct leat_receipt *receipts, size_t count,
                             uint64_t lease_ns, struct leat_outcome *outcomes);

/* --- pipelined: many requests under way --- */

/* What a callback gets; valid inside the callback. */
struct leat_result;
enum leat_status leat_result_status(const struct leat_result *r);
/* Entries of a batch, or messages of a take. */
size_t leat_result_count(const struct leat_result *r);
/* The outcome of entry i of a put, ack, nack or extend. */
void leat_result_outcome(const struct leat_result *r, size_t i, struct leat_outcome *outcome);
/* The next message of a take; false after the last. Its body lives as long as the result. Of a take that ended with
 * LEAT_CORRUPT: the next damaged one, as leat_take() tells of it. */
bool leat_result_message(struct leat_result *r, struct leat_message *message);

/* Called from leat_poll() or any blocking call; may submit more, must not call anything that blocks, nor leat_close().
 */
typedef void leat_callback(struct leat *l, struct leat_result *r, void *user);

/* Requests leave with the next leat_poll() or blocking call, in the order of submission, and execute in that order.
 * LEAT_OVERLOADED: the window (or memory_max) is full: call leat_poll(). Other refusals can never be sent. Up to 1000
 * entries. A take that waits keeps its place in the window: window - 1 requests may pass it, then the next waits for
 * it; use a handle of its own for long waits. A take may end with LEAT_LEASE_LOST: broker or connection stood still,
 * and the leases ended before the answer came; the messages come again. (leat_take() then takes once more by itself.)
 */
enum leat_status leat_submit_put(struct leat *l, const char *queue, const struct leat_put_entry *entries, size_t count,
                                 leat_callback *callback, void *user);
enum leat_status leat_submit_take(struct leat *l, const char *queue, uint64_t wait_ns, uint64_t lease_ns, size_t max,
                                  leat_callback *callback, void *user);
enum leat_status leat_submit_ack(struct leat *l, const char *queue, const struct leat_receipt *receipts, size_t count,
                                 leat_callback *callback, void *user);
enum leat_status leat_submit_nack(struct leat *l, const char *queue, const struct leat_receipt *receipts, size_t count,
                                  uint64_t delay_ns, leat_callback *callback, void *user);
enum leat_status leat_submit_extend(struct leat *l, const char *queue, const struct leat_receipt *receipts,
                                    size_t count, uint64_t lease_ns, leat_callback *callback, void *user);

/* leat_poll: sends, receives, calls callbacks; returns how many, after at least one, or when the timeout has passed (0:
 * does not wait) or a signal came. leat_pending: submitted and not called back. leat_room: how many more can be
 * submitted now. */
size_t leat_poll(struct leat *l, uint64_t timeout_ns);
size_t leat_pending(const struct leat *l);
size_t leat_room(const struct leat *l);
/* leat_connected: a session stands right now. When it does not, requests wait for it, and leat_error() says why. */
bool leat_connected(const struct leat *l);
/* leat_fd: readable when leat_poll(l, 0) has something to do, for a poll loop of one's own, which also calls it after
 * leat_next_due_ns() nanoseconds at the latest. -1 while there is no connection, and always with vhost://, where
 * leat_poll() itself waits; changes with every connection. */
int leat_fd(const struct leat *l);
uint64_t leat_next_due_ns(const struct leat *l);

/* In libleat-dpdk, so that libleat itself need not know DPDK: makes vhost:// known. pkg-config leat-dpdk links it in
 * such a way that leat_open() calls it; who links differently calls it once before. */
void leat_vhost_register(void);

#ifdef __cplusplus
}
#endif

#endif

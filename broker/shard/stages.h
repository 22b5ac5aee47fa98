/* stages.h - the shard's own: its state, and the stages that one iteration goes through, a file each.
 *
 *   stage_input    packets -> frames -> operations of sessions; fragments put together
 *   stage_session  hello, ping, bye; silence; connections that come and go
 *   stage_request  one request, entry by entry: plan, log, apply, note
 *   stage_take     takes and the parked ones: who gets the next message
 *   stage_read     stat, list, peek: nothing is logged
 *   stage_time     leases and delays that end, dropped queues that are reaped
 *   stage_reply    what has become safe is written to the ports
 *   stage_draw     answers whose bodies must be read back from the disk
 *   stage_backup   a copy of the data directory for a client
 *   stage_image    checkpoints, a piece at a time
 *   stage_clean    what lives in sparse old segments moves together
 *   stage_replay   everything again, after a restart
 *
 * Not for other rooms: they include shard.h. Thread: one. */
#ifndef LEAT_SHARD_STAGES_H
#define LEAT_SHARD_STAGES_H

#include "ahead.h"
#include "apply.h"
#include "buffers.h"
#include "byteorder.h"
#include "desk.h"
#include "image.h"
#include "leases.h"
#include "plan.h"
#include "replica.h"
#include "session.h"
#include "shard.h"

enum { STAGE_IMAGE_CHUNK = 64 * 1024, STAGE_OP_MAX = REPLY_MAX + BODY_MAX + ATTRS_MAX + 4096 };

/* A request that is being executed. It can stop between two entries, when the log has no room, and go on in a later
 * iteration; until then the ports wait. */
struct stage_batch {
    bool running;
    uint32_t session; /* handle */
    struct request r; /* points into a packet or into `owned` */
    uint32_t offset;  /* of the next entry */
    uint16_t entry;   /* its index */
    uint64_t block;   /* what the answer must wait for */
    uint16_t refused; /* entries just before `entry` that were refused and are not in the log yet */
    uint8_t refused_status;
    uint8_t *owned; /* a request that came in fragments */
    uint32_t owned_size;
};

/* The burst of packets at work. */
struct stage_packets {
    uint8_t transport; /* whose */
    unsigned count, at;
    uint32_t offset; /* of the next frame in packet `at` */
    bool in_frame;   /* `frame` is partly done, up to `op_offset` */
    struct frame frame;
    uint32_t op_offset;
    bool stalled;   /* the operation there could not begin: the log has no room */
    uint32_t looks; /* messages and queues that stat, list and peek have looked at in this iteration */
    struct transport_packet packet[TRANSPORT_BURST];
};

/* A message that goes into an answer. */
struct draw_message {
    struct lsn lsn;
    struct message_where where;
    uint32_t slot, generation; /* takes; peeks: SLAB_NONE */
    uint16_t attempts;
    uint8_t state;
};

struct draw;
struct draw_piece;
struct cleaner;

/* A piece that is being read for somebody's backup. */
struct stage_backup_read {
    bool used, abandoned;
    uint32_t session, place;
    uint64_t number;
    struct reply_piece piece;
    uint8_t *data, *answer;
    uint32_t answer_size;
};

enum { STAGE_BACKUP_READS = 4 };

struct stage_backup {
    bool on, begun; /* somebody's; the journal has begun it */
    bool waiting;   /* backup_begin has no answer yet */
    uint32_t session, place;
    uint64_t number; /* of backup_begin */
    uint64_t id;
    uint32_t count;
    struct stage_backup_read reads[STAGE_BACKUP_READS];
};

struct shard {
    struct shard_config config;
    struct plan_limits limits;
    struct engine engine;
    struct session_table sessions;
    struct desk desk;
    struct leases leases;
    struct buffers buffers;
    uint64_t assembling; /* of them: requests that come in fragments */
    struct replica *replica;
    struct journal *journal; /* the replica's */
    uint8_t entropy[32];
    uint64_t entropy_drawn;

    struct instant boot_base, log_base; /* one instant in both clocks */
    struct instant boot_now, log_now;   /* of this iteration; log time never goes back */

    struct transport *transports[SHARD_TRANSPORTS_MAX];
    unsigned transport_count, transport_next;
    struct mailbox *mailboxes[SHARD_MAILBOXES_MAX];
    unsigned mailbox_count;

    struct stage_packets in;
    struct stage_batch batch;
    struct apply_effect effect;
    uint64_t waited;   /* newest block with a fact that an answer may wait for */
    uint64_t released; /* answers that waited for this block and those before have been let go */

    uint32_t *wanted; /* queues that may have both a message and a parked take; each once */
    uint8_t *is_wanted;
    uint32_t wanted_count;
    uint32_t due_slot; /* fired by the wheel, but the log had no room; SLAB_NONE */
    uint32_t reaping;  /* a dropped queue, or SLAB_NONE */
    uint32_t dropped;  /* how many there are */

    struct draw *draws;
    unsigned draws_live;
    struct stage_backup backup;
    struct draw_piece *piece;
    struct cleaner *cleaner;
    struct ahead ahead;
    struct image image;
    struct image_slab image_more[1]; /* the sessions */
    bool image_running;
    uint8_t *image_chunk; /* STAGE_IMAGE_CHUNK bytes */
    uint32_t image_chunk_size;
    uint64_t image_bytes; /* of the newest image */

    uint8_t *scratch;              /* STAGE_OP_MAX bytes: one whole answer */
    struct draw_message *messages; /* BATCH_MAX */
    uint32_t sending_room;         /* sum of the ports' `room` that the answers without room were tried with ... */
    uint32_t sending_tried;        /* ... in vain, so many, one after the other */
    bool stopping, stop_image;
    struct shard_counters counters;
};

/* One fact: room in the log, then true. stage_request_log: LEAT_OK and f->lsn, f->place set; LEAT_OVERLOADED: no room
 * now, nothing happened, try in a later iteration; LEAT_NO_SPACE: refuse. `waited`: an answer will wait for it. */
enum leat_status stage_request_log(struct shard *s, struct fact *f, enum journal_purpose purpose, bool waited);
/* stage_request_effect: after a fact became true: pins, and queues that have become interesting. */
void stage_request_effect(struct shard *s, const struct fact *f);
/* stage_request_start: the request decoded into s->batch.r, of this session, begins (or goes on after a crash).
 * stage_request_run: works on it; true when it has ended. */
void stage_request_start(struct shard *s, struct session *session, uint8_t *owned, uint32_t owned_size);
bool stage_request_run(struct shard *s);
/* stage_request_refuse: the whole request is answered with a status. */
void stage_request_refuse(struct shard *s, struct session *session, uint64_t number, uint8_t op,
                          enum leat_status status);

unsigned stage_input_run(struct shard *s);
/* stage_input_stalled: a request waits for room in the log, and the ports with it. */
bool stage_input_stalled(const struct shard *s);
void stage_input_forget(struct shard *s, uint32_t handle); /* the fragments of a session */

void stage_session_hello(struct shard *s, uint32_t handle, const struct frame_op *op);
bool stage_session_bye(struct shard *s, struct session *session, uint64_t number); /* false: the log has no room now */
void stage_session_gone(struct shard *s, uint8_t transport, uint32_t peer);
void stage_session_wait(struct shard *s, uint32_t handle);  /* detached: it has session_timeout to come back */
void stage_session_silent(struct shard *s, uint32_t index); /* the wheel says so */
void stage_session_release(struct shard *s);                /* held hellos */

/* stage_take_run: leases for the request at work; true when it has ended. */
bool stage_take_run(struct shard *s);
void stage_take_want(struct shard *s, uint32_t queue);
unsigned stage_take_match(struct shard *s);
void stage_take_timeout(struct shard *s, uint32_t place);
void stage_take_no_queue(struct shard *s, uint32_t queue); /* it was dropped: whoever waits is told */
void stage_take_resumed(struct shard *s, struct session *session);
void stage_take_away(struct shard *s, struct session *session);

/* stage_read_run: `first`: not yet answered; else once more. */
void stage_read_run(struct shard *s, struct session *session, const struct request *r, bool first);

unsigned stage_time_run(struct shard *s);

/* stage_reply_ready: the answer to this request is complete and may leave when `block` is durable (0: now). */
void stage_reply_ready(struct shard *s, struct session *session, uint64_t number, uint64_t block);
unsigned stage_reply_release(struct shard *s);
/* stage_reply_stand: every answer without room has been tried since there may have been some. */
bool stage_reply_stand(const struct shard *s);
/* stage_reply_status: a small answer that nobody keeps; lost if there is no room. */
void stage_reply_status(struct shard *s, uint8_t transport, uint32_t peer, uint32_t handle, uint8_t op, uint64_t number,
                        enum leat_status status);
/* stage_reply_small: the same for an operation of at most REPLY_FIXED_MAX bytes; false: no room. */
bool stage_reply_small(struct shard *s, uint8_t transport, uint32_t peer, uint32_t handle, const uint8_t *op,
                       uint32_t size);
void stage_reply_drop(struct shard *s, uint32_t place); /* whatever waits in this place is given up */

/* stage_draw_*: see stage_draw.c. */
enum leat_status stage_draw_open(struct shard *s);
void stage_draw_close(struct shard *s);
/* stage_draw_take: fills in the messages of an answered take; how many are still leased. */
unsigned stage_draw_take(struct shard *s, const struct desk_place *p, unsigned count, struct draw_message *messages);
/* stage_draw_hot: the size of the whole operation if every body is in memory, else 0. */
uint32_t stage_draw_hot(struct shard *s, const struct draw_message *messages, unsigned n);
/* stage_draw_write: the operation, for messages that are all in memory. */
uint32_t stage_draw_write(struct shard *s, uint8_t *out, uint8_t op, uint64_t number,
                          const struct draw_message *messages, unsigned n);
/* stage_draw_start: reads what is cold; the place is DRAWING until its bytes are there, and then goes on to
 * stage_reply_ready with `block`. False: no memory now, try again later. */
bool stage_draw_start(struct shard *s, uint32_t session, uint64_t number, uint32_t place, uint8_t op,
                      const struct draw_message *messages, unsigned n, uint64_t block);
unsigned stage_draw_step(struct shard *s);
void stage_draw_abandon(struct shard *s, uint32_t place);

/* stage_backup_ask: the request decoded in `r`; LEAT_OK: its answer will come, but for backup_end, which has none to
 * wait for. stage_backup_forget: this session ends. */
enum leat_status stage_backup_ask(struct shard *s, const struct session *session, const struct request *r,
                                  uint32_t index, bool first);
void stage_backup_abandon(struct shard *s, uint32_t place);
void stage_backup_forget(struct shard *s, uint32_t handle);
void stage_backup_end(struct shard *s);
unsigned stage_backup_step(struct shard *s);
void stage_backup_close(struct shard *s);

unsigned stage_image_run(struct shard *s);
void stage_image_close(struct shard *s);

enum leat_status stage_clean_open(struct shard *s);
void stage_clean_close(struct shard *s);
unsigned stage_clean_run(struct shard *s);

enum leat_status stage_replay_run(struct shard *s, char error[256]);

#endif

/* stage_session.c - who asks: hello, ping, bye, connections that go, and silence.
 *
 * A session is opened by a fact and its hello is answered when that fact is as safe as the broker's default class
 * asks, so that a client can resume after a crash. It is attached to the connection that said hello last, and answers
 * go there. While it is attached it lives; when its connection has gone it has session_timeout to come back. */
#include "stages.h"

#include "cursor.h"
#include "hash.h"
#include "mark.h"

/* 64 bits that nobody can guess. */
static uint64_t stage_session_secret(struct shard *s)
{
    uint8_t count[24];
    le64_put(count, ++s->entropy_drawn);
    memcpy(count + 8, s->entropy + 16, 16);
    uint64_t secret = hash_keyed(s->entropy, count, sizeof count);
    return secret ? secret : 1;
}

static void stage_session_welcome(struct shard *s, const struct session *session)
{
    struct desk_session *ds = desk_session(&s->desk, session->handle);
    const struct shard_config *c = &s->config;
    struct reply_hello h = {.version = PROTOCOL_VERSION,
                            .window = session->window,
                            .session = session->handle,
                            .secret = session->secret,
                            .next = session->next,
                            .epoch = s->limits.epoch,
                            .cell = c->cell,
                            .shard = c->number,
                            .shards = c->count,
                            .body_max = c->body_max,
                            .batch_max = BATCH_MAX,
                            .frame_max = ds->frame_max,
                            .session_timeout = c->session_timeout,
                            .lease_max = c->lease_max,
                            .delay_max = c->delay_max,
                            .wait_max = c->wait_max};
    uint8_t op[FRAME_OP_HEADER + REPLY_HELLO_BYTES];
    uint32_t size = reply_hello(op, ds->hello_number, &h);
    stage_reply_small(s, ds->transport, ds->peer, session->handle, op, size);
}

/* The client is told when its session is safe. */
static void stage_session_answer(struct shard *s, const struct session *session, uint64_t number)
{
    struct desk_session *ds = desk_session(&s->desk, session->handle);
    ds->hello_number = number;
    if (ds->opened > replica_watermarks(s->replica).durable)
        desk_hello_hold(&s->desk, session->handle);
    else
        stage_session_welcome(s, session);
}

void stage_session_release(struct shard *s)
{
    uint64_t durable = replica_watermarks(s->replica).durable;
    for (uint32_t handle = desk_hello_first(&s->desk); handle != DESK_NONE; handle = desk_hello_first(&s->desk)) {
        struct desk_session *ds = desk_session(&s->desk, handle);
        if (ds->opened > durable)
            return;
        desk_hello_pop(&s->desk);
        if (ds->attached)
            stage_session_welcome(s, session_write(&s->sessions, handle));
    }
}

/* An answer of which a part is on the old connection would go on in the middle on a new one: it is given up, and the
 * client asks for it there. */
static void stage_session_unsent(struct shard *s, const struct session *session)
{
    for (uint32_t i = 0; i < session->window; i++) {
        uint32_t index = desk_index(&s->desk, session->handle, i, session->window);
        if (desk_place(&s->desk, index)->state == DESK_SENDING)
            stage_reply_drop(s, index);
    }
}

/* The connection has gone, or another one has taken its place. */
static void stage_session_detach(struct shard *s, struct session *session)
{
    stage_take_away(s, session);
    stage_session_unsent(s, session);
    stage_input_forget(s, session->handle);
    desk_detach(&s->desk, session->handle, s->log_now);
}

static uint32_t stage_session_frame_max(const struct shard *s, uint8_t transport, uint32_t datagram_max)
{
    const struct transport *t = s->transports[transport];
    uint32_t max = t->datagrams && datagram_max != 0 && datagram_max < t->frame_max ? datagram_max : t->frame_max;
    return max < DATAGRAM_MIN ? DATAGRAM_MIN : max & ~7u;
}

static enum leat_status stage_session_new(struct shard *s, const struct request *r, struct session **out)
{
    uint32_t handle = session_next_handle(&s->sessions, s->limits.epoch);
    if (handle == 0 || desk_crowded(&s->desk, s->in.transport, s->in.packet[s->in.at].peer))
        return LEAT_SESSIONS_FULL;
    uint16_t window = WINDOW_MIN; /* the largest power of 2 within both limits */
    while (window * 2 <= r->hello.window && window * 2 <= s->config.window)
        window *= 2;
    struct fact f = {.kind = FACT_SESSION_OPENED,
                     .at = s->log_now,
                     .client = {.handle = handle, .window = window, .secret = stage_session_secret(s)}};
    bool waited = s->config.durability == CLASS_DISK;
    enum leat_status status = stage_request_log(s, &f, JOURNAL_ACK, waited);
    if (status != LEAT_OK)
        return status;
    struct session *session = session_open(&s->sessions, handle, window, f.client.secret);
    *desk_session(&s->desk, handle) = (struct desk_session){.opened = waited ? lsn_block(f.lsn) : 0};
    *out = session;
    return LEAT_OK;
}

/* Requests that the client has the answers of, by what it says, are given up, whatever they wait for: their answers
 * would go to nobody, and the session may have forgotten them. */
static void stage_session_answered(struct shard *s, const struct session *session, uint64_t oldest)
{
    for (uint32_t i = 0; i < session->window; i++) {
        uint32_t index = desk_index(&s->desk, session->handle, i, session->window);
        const struct desk_place *p = desk_place(&s->desk, index);
        if (p->state == DESK_IDLE || (p->number >= oldest && session_arrive(session, p->number) != SESSION_OLD))
            continue;
        mark(request_given_up_by_resume);
        stage_reply_drop(s, index);
    }
}

static enum leat_status stage_session_resume(struct shard *s, const struct request_hello *h, struct session **out)
{
    struct session *session = session_write(&s->sessions, h->session);
    if (!session || session->secret != h->secret) {
        mark(resume_of_unknown_session);
        return LEAT_SESSION_EXPIRED;
    }
    if (!session_resume(session, h->oldest, h->answered))
        return LEAT_BAD_VALUE;
    if (desk_session(&s->desk, session->handle)->attached)
        mark(session_moved);
    stage_session_detach(s, session);
    stage_session_answered(s, session, h->oldest);
    *out = session;
    return LEAT_OK;
}

/* A repeated hello finds the session that the first one opened. */
static struct session *stage_session_again(struct shard *s, const struct request_hello *h)
{
    uint32_t handle = h->session == 0 && h->secret != 0
                          ? desk_hello_seen(&s->desk, h->secret, s->in.transport, s->in.packet[s->in.at].peer)
                          : 0;
    struct session *session = handle ? session_write(&s->sessions, handle) : NULL;
    const struct desk_session *ds = session ? desk_session(&s->desk, handle) : NULL;
    if (!ds || !ds->attached || ds->peer != s->in.packet[s->in.at].peer || ds->transport != s->in.transport)
        return NULL;
    mark(hello_repeated);
    return session;
}

void stage_session_hello(struct shard *s, uint32_t handle, const struct frame_op *op)
{
    uint8_t transport = s->in.transport;
    uint32_t peer = s->in.packet[s->in.at].peer;
    struct request r;
    struct session *session = NULL;
    enum leat_status status = request_decode(&r, op);
    if (status == LEAT_OK && s->stopping)
        status = LEAT_STOPPING;
    if (status == LEAT_OK)
        session = stage_session_again(s, &r.hello);
    if (status == LEAT_OK && !session) {
        status =
            r.hello.session == 0 ? stage_session_new(s, &r, &session) : stage_session_resume(s, &r.hello, &session);
        if (status == LEAT_OK)
            desk_attach(&s->desk, session->handle, transport, peer,
                        stage_session_frame_max(s, transport, r.hello.datagram_max));
        if (status == LEAT_OK && r.hello.session == 0 && r.hello.secret != 0)
            desk_hello_note(&s->desk, r.hello.secret, transport, peer, session->handle);
    }
    if (status != LEAT_OK) {
        s->counters.refused++;
        stage_reply_status(s, transport, peer, handle, OP_HELLO, op->number, status);
        return;
    }
    s->counters.requests[OP_HELLO]++;
    stage_session_answer(s, session, op->number);
    if (r.hello.session != 0)
        stage_take_resumed(s, session);
}

static void stage_session_clear(struct shard *s, struct session *session)
{
    stage_session_detach(s, session);
    stage_backup_forget(s, session->handle);
    desk_hello_drop(&s->desk, session->handle);
    for (uint32_t i = 0; i < session->window; i++) {
        uint32_t index = desk_index(&s->desk, session->handle, i, session->window);
#if LEAT_BUG == 33
        if (desk_place(&s->desk, index)->state == DESK_PARKED)
            continue;
#endif
        stage_reply_drop(s, index);
        desk_place(&s->desk, index)->number = 0;
    }
}

static enum leat_status stage_session_end(struct shard *s, struct session *session)
{
    struct fact f = {.kind = FACT_SESSION_ENDED, .at = s->log_now, .client = {.handle = session->handle}};
    enum leat_status status = stage_request_log(s, &f, JOURNAL_ACK, false);
    if (status != LEAT_OK)
        return status;
    stage_session_clear(s, session);
    session_end(&s->sessions, session->handle);
    return LEAT_OK;
}

bool stage_session_bye(struct shard *s, struct session *session, uint64_t number)
{
    struct desk_session ds = *desk_session(&s->desk, session->handle);
    uint32_t handle = session->handle;
    enum leat_status status = stage_session_end(s, session);
    if (status == LEAT_OVERLOADED)
        return false;
    stage_reply_status(s, ds.transport, ds.peer, handle, OP_BYE, number, status);
    if (status == LEAT_OK)
        s->counters.requests[OP_BYE]++;
    else
        s->counters.refused++;
    return true;
}

static uint32_t stage_session_timer(const struct shard *s, uint32_t handle)
{
    return s->desk.sessions_max * s->desk.window_max + (handle & 0xffff);
}

void stage_session_wait(struct shard *s, uint32_t handle)
{
    const struct desk_session *ds = desk_session(&s->desk, handle);
    wheel_arm(&s->desk.wheel, stage_session_timer(s, handle), instant_add(ds->heard, s->config.session_timeout));
}

void stage_session_gone(struct shard *s, uint8_t transport, uint32_t peer)
{
    uint32_t handle;
    while ((handle = desk_attached(&s->desk, transport, peer)) != DESK_NONE) {
        struct session *session = session_write(&s->sessions, handle);
        must(session != NULL);
        stage_session_detach(s, session);
        stage_session_wait(s, handle);
        mark(peer_gone);
    }
}

void stage_session_silent(struct shard *s, uint32_t index)
{
    const struct desk_session *ds = desk_session(&s->desk, index);
    if (index >= s->sessions.sessions.used || ds->attached)
        return;
    struct session *session = slab_write(&s->sessions.sessions, index);
    if (!session->live)
        return;
    if (instant_since(s->log_now, ds->heard).ns < s->config.session_timeout.ns) {
        stage_session_wait(s, session->handle);
        return;
    }
    mark(session_expired);
    if (stage_session_end(s, session) != LEAT_OK)
        wheel_arm(&s->desk.wheel, stage_session_timer(s, index), instant_add(s->log_now, duration_s(1)));
}

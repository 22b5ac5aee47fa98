/* stage_input.c - packets to frames to operations, in order, each once.
 *
 * One burst of packets is at work at a time. When the log has no room, everything stops where it is: the burst, the
 * frame in it, the operation in that, the entry in that; ports are not drained until it can go on.
 *
 * An operation of a session is looked at in this order: is the session this peer's? is its number the next one? Only
 * then is it decoded. Fragments are taken in order, one request at a time per session, in memory of the budget; what
 * comes out of order is dropped, and the client, who owns the retransmission, sends it again. */
#include "stages.h"

#include "buggify.h"
#include "mark.h"

enum { INPUT_LOOKS_MAX = 4096 }; /* some two milliseconds */

/* A request in fragments should be whole after five seconds, or after the time that it takes at 64 KiB a second. */
enum { ASSEMBLY_NS_PER_BYTE = 15000 };
#define ASSEMBLY_PATIENCE_NS 5000000000ull

static struct transport *stage_input_port(const struct shard *s)
{
    return s->transports[s->in.transport];
}
static uint32_t stage_input_peer(const struct shard *s)
{
    return s->in.packet[s->in.at].peer;
}

/* A peer that cannot be followed: a stream has lost its place, a datagram is only itself. */
static void stage_input_bad(struct shard *s)
{
    s->counters.bad_frames++;
    mark(bad_frame);
    if (!stage_input_port(s)->datagrams)
        stage_input_port(s)->ops->hang_up(stage_input_port(s), stage_input_peer(s));
}

/* The session of a frame, if it is attached to the peer that sent it. */
static struct session *stage_input_session(struct shard *s, uint32_t handle)
{
    struct session *session = handle ? session_write(&s->sessions, handle) : NULL;
    if (!session)
        return NULL;
    const struct desk_session *ds = desk_session(&s->desk, handle);
    bool ours = ds->attached && ds->peer == stage_input_peer(s) && ds->transport == s->in.transport;
    return ours ? session : NULL;
}

static void stage_input_answer(struct shard *s, uint32_t handle, uint8_t op, uint64_t number, enum leat_status status)
{
    stage_reply_status(s, s->in.transport, stage_input_peer(s), handle, op, number, status);
}

static bool stage_input_read_only(uint8_t op)
{
    return op == OP_QUEUE_STAT || op == OP_QUEUE_LIST || op == OP_PEEK || op == OP_BACKUP_BEGIN ||
           op == OP_BACKUP_READ || op == OP_BACKUP_END;
}

/* Next in line: decode it and go. */
static bool stage_input_execute(struct shard *s, struct session *session, const struct frame_op *op, uint8_t *owned)
{
    struct request *r = &s->batch.r;
    bool numbered = op->op != OP_HELLO && op->op != OP_PING && op->op != OP_BYE; /* in fragments they are no requests */
    enum leat_status status = numbered ? request_decode(r, op) : LEAT_BAD_OP;
    bool fresh = session_done(session, op->number) == 0;
    if (status == LEAT_OK && s->stopping && fresh)
        status = LEAT_STOPPING;
    if (status != LEAT_OK && !fresh)
        status = LEAT_BAD_REQUEST; /* the client has changed a request that had begun */
    if (status != LEAT_OK) {
        stage_request_refuse(s, session, op->number, op->op, status);
        buffers_give(&s->buffers, owned, FRAME_OP_HEADER + op->body_size);
        return true;
    }
    if (stage_input_read_only(r->op)) {
        stage_read_run(s, session, r, true);
        buffers_give(&s->buffers, owned, FRAME_OP_HEADER + op->body_size);
        return true;
    }
    stage_request_start(s, session, owned, FRAME_OP_HEADER + op->body_size);
    return stage_request_run(s);
}

/* It was answered: the kept answer again. What was only read is read again. */
static void stage_input_repeat(struct shard *s, struct session *session, const struct frame_op *op)
{
    s->counters.repeated++;
    const struct session_slot *kept = session_kept(session, op->number);
    struct desk_place *p = desk_place(&s->desk, desk_index(&s->desk, session->handle, op->number, session->window));
    struct request r;
    p->again |= p->state == DESK_IDLE;
    if (stage_input_read_only(kept->op) && kept->status == LEAT_OK && kept->op == op->op) {
        if (request_decode(&r, op) == LEAT_OK)
            stage_read_run(s, session, &r, false);
        return;
    }
#if LEAT_BUG == 28
    for (uint32_t i = 0; kept->op == OP_PUT && i < s->engine.slots.used; i++) {
        struct message *m = slab_write(&s->engine.slots, i);
        if (m->state == MESSAGE_DELAYED && m->lsn.n == kept->runs[0].lsn.n)
            m->due = instant_add(s->log_now, (struct duration){m->due.ns - m->sent.ns});
    }
#endif
#if LEAT_BUG == 39
    stage_reply_drop(s, desk_index(&s->desk, session->handle, op->number, session->window));
    stage_reply_ready(s, session, op->number, 0);
#else
    stage_reply_ready(s, session, op->number, kept->reveals);
#endif
}

static void stage_input_wait(struct shard *s, const struct session *session, uint64_t number)
{
    uint32_t index = desk_index(&s->desk, session->handle, number, session->window);
    if (desk_place(&s->desk, index)->state == DESK_PARKED)
        stage_input_answer(s, session->handle, OP_TAKE, number, LEAT_PARKED);
}

/* A number comes when the one before it in its slot has been answered. When that answer has never left, its client is
 * not one of ours: it would have us work for answers that nobody reads. */
static bool stage_input_early(struct shard *s, const struct session *session, uint64_t number)
{
    const struct desk_place *p = desk_place(&s->desk, desk_index(&s->desk, session->handle, number, session->window));
    if (p->state == DESK_IDLE || p->again || p->number >= number)
        return false;
    mark(number_too_early);
    stage_input_bad(s);
    return true;
}

/* One operation of a session. False: the log has no room, or this iteration has looked at enough; come again. */
static bool stage_input_sequenced(struct shard *s, struct session *session, const struct frame_op *op)
{
    switch (session_arrive(session, op->number)) {
    case SESSION_EXECUTE:
        if (stage_input_early(s, session, op->number))
            return true;
        if (stage_input_read_only(op->op) && s->in.looks >= INPUT_LOOKS_MAX)
            return false;
        return stage_input_execute(s, session, op, NULL);
    case SESSION_CONTINUE:
        return stage_input_execute(s, session, op, NULL);
    case SESSION_REPEAT:
        stage_input_repeat(s, session, op);
        return true;
    case SESSION_WAIT:
        stage_input_wait(s, session, op->number);
        return true;
    case SESSION_GAP:
        s->counters.gaps++;
        stage_input_answer(s, session->handle, OP_PING, session->next, LEAT_GAP);
        return true;
    case SESSION_OLD:
        s->counters.old++;
        return true;
    }
    return true;
}

static bool stage_input_op(struct shard *s, uint32_t handle, const struct frame_op *op)
{
    if (op->op == OP_HELLO) {
        stage_session_hello(s, handle, op);
        return true;
    }
    struct session *session = stage_input_session(s, handle);
    if (!session) {
        mark(frame_without_session);
        stage_input_answer(s, handle, op->op, op->number, LEAT_NO_SESSION);
        return true;
    }
    switch (op->op) {
    case OP_PING:
        stage_input_answer(s, handle, OP_PING, op->number, LEAT_OK);
        return true;
    case OP_BYE:
        s->in.stalled = !stage_session_bye(s, session, op->number);
        return !s->in.stalled;
    default:
        return stage_input_sequenced(s, session, op);
    }
}

void stage_input_forget(struct shard *s, uint32_t handle)
{
    struct desk_session *ds = desk_session(&s->desk, handle);
    if (ds->assembly)
        s->assembling -= ds->assembly_total;
    buffers_give(&s->buffers, ds->assembly, ds->assembly_total);
    ds->assembly = NULL;
}

static bool stage_input_ours(const struct shard *s, const struct desk_session *ds)
{
    return ds->peer == stage_input_peer(s) && ds->transport == s->in.transport;
}

/* The peer, other than the one at work, that holds the most in requests that are not whole. */
static struct desk_assemblies stage_input_holder(const struct shard *s)
{
    struct desk_assemblies most = {.oldest = DESK_NONE};
    for (uint32_t i = 0; i < s->sessions.sessions.used; i++) {
        const struct desk_session *ds = desk_session(&s->desk, i);
        if (!ds->attached || stage_input_ours(s, ds))
            continue;
        uint32_t first = desk_attached(&s->desk, ds->transport, ds->peer);
        if (desk_session(&s->desk, first) != ds)
            continue; /* a peer is looked at once, at its first session */
        struct desk_assemblies held = desk_assemblies(&s->desk, ds->transport, ds->peer);
        if (held.bytes > most.bytes)
            most = held;
    }
    return most;
}

/* The oldest request that comes too slowly, of the peer at work or of the others. */
static uint32_t stage_input_slow(const struct shard *s, bool ours)
{
    uint32_t oldest = DESK_NONE;
    struct instant begun = INSTANT_NEVER;
    for (uint32_t i = 0; i < s->sessions.sessions.used; i++) {
        const struct desk_session *ds = desk_session(&s->desk, i);
        if (!ds->assembly || stage_input_ours(s, ds) != ours || !instant_before(ds->assembly_begun, begun))
            continue;
        uint64_t age = instant_since(s->log_now, ds->assembly_begun).ns;
        if (age > ASSEMBLY_PATIENCE_NS && age > (uint64_t)ds->assembly_have * ASSEMBLY_NS_PER_BYTE) {
            begun = ds->assembly_begun;
            oldest = i;
        }
    }
    return oldest;
}

/* What has begun here is lost. A datagram's client sends it again; a stream would never, so it ends, and all that its
 * sessions have begun is lost with it. */
static void stage_input_lose(struct shard *s, uint32_t handle)
{
    const struct desk_session *ds = desk_session(&s->desk, handle);
    struct transport *t = s->transports[ds->transport];
    uint32_t peer = ds->peer;
    uint8_t transport = ds->transport;
    mark(assembly_evicted);
    if (t->datagrams) {
        s->counters.assemblies_evicted++;
        stage_input_forget(s, handle);
        return;
    }
    s->counters.assemblies_evicted += desk_assemblies(&s->desk, transport, peer).count;
    t->ops->hang_up(t, peer);
    stage_session_gone(s, transport, peer);
}

/* Memory is short for a request of this size: whoever holds the most pays, if that is more than the newcomer's peer
 * would hold with it; if nobody does, a request that comes too slowly. A peer that holds more than any other already
 * can take nothing from them. False: the newcomer finds no room. */
static bool stage_input_evict(struct shard *s, uint32_t size)
{
    uint64_t ours = desk_assemblies(&s->desk, s->in.transport, stage_input_peer(s)).bytes;
    struct desk_assemblies most = stage_input_holder(s);
    uint32_t victim = most.oldest;
    if (most.bytes <= ours + size) {
        bool own = ours > most.bytes;
        victim = own && !stage_input_port(s)->datagrams ? DESK_NONE : stage_input_slow(s, own);
    }
    if (victim == DESK_NONE)
        return false;
    stage_input_lose(s, victim);
    return true;
}

/* Memory for a request in fragments. A quarter of all stays for answers, however many requests never end. */
static uint8_t *stage_input_memory(struct shard *s, uint32_t size)
{
    if (s->assembling + size > s->buffers.max / 4 * 3)
        return NULL;
    uint8_t *bytes = buffers_take(&s->buffers, size);
    if (bytes)
        s->assembling += size;
    return bytes;
}

/* The assembly that this piece belongs to; NULL: drop it. */
static struct desk_session *stage_input_assembly(struct shard *s, const struct session *session,
                                                 const struct frame_fragment *piece)
{
    struct desk_session *ds = desk_session(&s->desk, session->handle);
    if (ds->assembly && ds->assembly_number == piece->number && ds->assembly_total == piece->total)
        return piece->offset == ds->assembly_have ? ds : NULL;
    if (piece->offset != 0 || piece->total < FRAME_OP_HEADER)
        return NULL;
    stage_input_forget(s, session->handle);
    do
        ds->assembly = stage_input_memory(s, piece->total);
    while (!ds->assembly && stage_input_evict(s, piece->total));
    if (!ds->assembly) {
        s->counters.assemblies_refused++;
        mark(assembly_refused);
        if (!stage_input_port(s)->datagrams) /* it would never come again by itself on this connection */
            stage_input_port(s)->ops->hang_up(stage_input_port(s), stage_input_peer(s));
        return NULL;
    }
    ds->assembly_number = piece->number;
    ds->assembly_total = piece->total;
    ds->assembly_have = 0;
    ds->assembly_begun = s->log_now;
    return ds;
}

static bool stage_input_whole(struct shard *s, struct session *session, struct desk_session *ds)
{
    struct frame_op op;
    uint8_t *bytes = ds->assembly;
    enum leat_status status = frame_op_decode(&op, bytes, ds->assembly_total);
    ds->assembly = NULL; /* from here on it is the request's */
    s->assembling -= ds->assembly_total;
    if (status != LEAT_OK || op.number != ds->assembly_number) {
        buffers_give(&s->buffers, bytes, ds->assembly_total);
        stage_input_bad(s);
        return true;
    }
    mark(request_from_fragments);
    return stage_input_execute(s, session, &op, bytes);
}

/* Larger than any request: the first piece names the operation and is answered; no byte of it is kept. */
static void stage_input_oversize(struct shard *s, struct session *session, const struct frame_fragment *piece)
{
    if (piece->offset != 0)
        return;
    bool fresh = session_done(session, piece->number) == 0;
    mark(request_too_large);
    stage_input_forget(s, session->handle);
    stage_request_refuse(s, session, piece->number, piece->piece[0], fresh ? LEAT_BATCH_TOO_LARGE : LEAT_BAD_REQUEST);
}

static bool stage_input_fragment(struct shard *s, const struct frame *f)
{
    struct frame_fragment piece;
    struct session *session = stage_input_session(s, f->session);
    enum leat_status status = frame_fragment_decode(&piece, f);
    if (status != LEAT_OK && status != LEAT_BATCH_TOO_LARGE) {
        stage_input_bad(s);
        return true;
    }
    if (!session) {
        stage_input_answer(s, f->session, OP_PING, piece.number, LEAT_NO_SESSION);
        return true;
    }
    bool tells = status == LEAT_OK ? piece.offset + piece.piece_size == piece.total : piece.offset == 0;
    struct frame_op header = {.number = piece.number};
    enum session_verdict verdict = session_arrive(session, piece.number);
    if (verdict != SESSION_EXECUTE && verdict != SESSION_CONTINUE)
        return tells || verdict == SESSION_GAP ? stage_input_sequenced(s, session, &header) : true;
    if (verdict == SESSION_EXECUTE && stage_input_early(s, session, piece.number))
        return true;
    if (status != LEAT_OK) {
        stage_input_oversize(s, session, &piece);
        return true;
    }
    struct desk_session *ds = stage_input_assembly(s, session, &piece);
    if (!ds)
        return true;
    memcpy(ds->assembly + ds->assembly_have, piece.piece, piece.piece_size);
    ds->assembly_have += piece.piece_size;
    return ds->assembly_have == ds->assembly_total ? stage_input_whole(s, session, ds) : true;
}

/* Goes on in the frame at work. False: stopped in it; an operation that has not begun is looked at again. */
static bool stage_input_frame(struct shard *s)
{
    struct stage_packets *in = &s->in;
    struct frame_op op;
    enum leat_status status;
    if (in->frame.flags & FRAME_FRAGMENT) {
        in->in_frame = false;
        return stage_input_fragment(s, &in->frame);
    }
    for (uint32_t at = in->op_offset; frame_next_op(&in->frame, &in->op_offset, &op, &status); at = in->op_offset)
        if (!stage_input_op(s, in->frame.session, &op)) {
            if (!s->batch.running)
                in->op_offset = at;
            return false;
        }
    in->in_frame = false;
    if (status != LEAT_OK)
        stage_input_bad(s);
    return true;
}

/* The next frame of a packet; false: the packet has no more. */
static bool stage_input_next_frame(struct shard *s, const struct transport_packet *packet)
{
    struct stage_packets *in = &s->in;
    if (in->offset >= packet->size)
        return false;
    const uint8_t *bytes = packet->data + in->offset;
    uint32_t left = packet->size - in->offset;
    enum leat_status status = frame_decode(&in->frame, bytes, left);
    s->counters.frames++;
    if (status == LEAT_BAD_VERSION) {
        stage_input_answer(s, in->frame.session, OP_HELLO, 0, LEAT_BAD_VERSION);
        stage_input_bad(s);
        return false;
    }
    bool unchecked = stage_input_port(s)->frame_flags & FRAME_CRC & ~in->frame.flags;
    if (status != LEAT_OK || in->frame.flags & FRAME_REPLY || unchecked) {
        stage_input_bad(s);
        return false;
    }
    in->offset += FRAME_HEADER + in->frame.body_size;
    in->op_offset = 0;
    in->in_frame = true;
    return true;
}

static bool stage_input_packet(struct shard *s)
{
    const struct transport_packet *packet = &s->in.packet[s->in.at];
    if (!packet->data || packet->size == 0) {
        stage_session_gone(s, s->in.transport, packet->peer);
        return true;
    }
    do {
        if (s->in.in_frame && !stage_input_frame(s))
            return false;
    } while (stage_input_next_frame(s, packet));
    return true;
}

/* Goes on with the burst at work. False: stopped in it. */
static bool stage_input_burst(struct shard *s)
{
    struct stage_packets *in = &s->in;
    for (; in->at < in->count; in->at++, in->offset = 0) {
        if (!stage_input_packet(s))
            return false;
        s->counters.packets++;
    }
    if (in->count > 0)
        stage_input_port(s)->ops->done(stage_input_port(s), in->packet, in->count);
    in->count = in->at = 0;
    return true;
}

bool stage_input_stalled(const struct shard *s)
{
    return s->batch.running || s->in.stalled;
}

unsigned stage_input_run(struct shard *s)
{
    unsigned n = 0;
    s->in.looks = 0;
    if (s->batch.running && !stage_request_run(s)) {
        s->counters.stalls++;
        return 0;
    }
    bool stalled = s->in.stalled;
    s->in.stalled = false;
    if (!stage_input_burst(s)) {
        s->counters.stalls += s->in.stalled;
        return stalled && s->in.stalled ? 0 : 1;
    }
    for (unsigned i = 0; i < s->transport_count; i++) {
        s->in.transport = (uint8_t)(s->transport_next++ % s->transport_count);
        struct transport *t = stage_input_port(s);
        s->in.count = t->ops->receive(t, s->in.packet, buggify(burst_of_one) ? 1 : TRANSPORT_BURST);
        n += s->in.count;
        if (!stage_input_burst(s))
            break;
    }
    return n;
}

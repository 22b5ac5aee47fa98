/* client_output.c - what we say: hello, requests in the order of their numbers, pings, bye.
 *
 * On streams nothing is sent twice within a connection. On datagrams every request has a timer of its own
 * (client_tick.c). A request that is larger than a frame leaves in pieces, each filling a frame; whatever is smaller
 * shares frames. */
#include "client_state.h"

#include <string.h>

#include "mark.h"
#include "must.h"

enum { STREAM_PATIENCE_S = 30, HELLO_PATIENCE_S = 10, BYE_PATIENCE_MS = 1000 };

static uint8_t frame_flags(const struct client *c)
{
    return c->config.checksums ? FRAME_CRC : 0;
}

static void due_at(struct client *c, struct instant due)
{
    c->due = instant_min(c->due, due);
}

static size_t hello(struct client *c, uint8_t *out, struct instant now)
{
    struct request r = {.op = OP_HELLO, .number = c->hello_number};
    r.hello = (struct request_hello){
        .version_min = PROTOCOL_VERSION,
        .version_max = PROTOCOL_VERSION,
        .session = c->session_open ? c->session : 0,
        .secret = c->session_open ? c->secret : c->nonce,
        .oldest = c->session_open ? c->window.oldest : 1,
        .answered = c->session_open ? window_answers(&c->window) : 0,
        .window = c->config.window,
        .datagram_max = c->config.datagrams ? c->config.datagram_max : 0,
    };
    frame_begin(out, frame_flags(c), 0);
    uint32_t size = FRAME_HEADER + request_encode(out + FRAME_HEADER, &r);
    frame_end(out, size);
    c->hello_now = false;
    if (c->hello_tries++ == 0)
        c->hello_sent = now;
    uint64_t wait = window_retry_after(&c->window).ns << (c->hello_tries < 8 ? c->hello_tries : 8);
    struct duration patience = {wait < duration_s(1).ns ? wait : duration_s(1).ns};
    if (!c->config.datagrams)
        patience = duration_s(HELLO_PATIENCE_S);
    c->hello_due = instant_add(now, patience);
    c->due = c->hello_due;
    return size;
}

static void sent(struct client *c, struct window_slot *slot, struct instant now)
{
    struct duration patience = {0}; /* as measured */
    if (!c->config.datagrams)
        patience = duration_s(STREAM_PATIENCE_S);
    else if (slot->parked)
        patience = duration_s(PARKED_ASK_S);
    c->counters.retries += slot->sends > 0;
    window_sent(&c->window, slot, now, patience);
    due_at(c, slot->due);
}

/* The next piece of a request that is larger than a frame: fills a frame of its own. */
static size_t piece(struct client *c, uint8_t *out, size_t most, struct window_slot *slot, struct instant now)
{
    uint32_t size;
    const uint8_t *bytes = call_bytes(client_call_of(c, slot), &size);
    if (c->piece_number != slot->number) {
        c->piece_number = slot->number;
        c->piece_offset = 0;
    }
    uint32_t room = (uint32_t)(most - FRAME_HEADER - FRAME_FRAGMENT_HEADER) & ~7u, left = size - c->piece_offset;
    uint32_t n = left < room ? left : room;
    frame_begin(out, frame_flags(c) | FRAME_FRAGMENT, c->session);
    frame_fragment_encode(out + FRAME_HEADER, slot->number, c->piece_offset, size);
    memcpy(out + FRAME_HEADER + FRAME_FRAGMENT_HEADER, bytes + c->piece_offset, n);
    frame_end(out, FRAME_HEADER + FRAME_FRAGMENT_HEADER + n);
    c->piece_offset += n;
    if (c->piece_offset == size) {
        mark(client_request_in_pieces);
        c->piece_number = 0;
        sent(c, slot, now);
    }
    return FRAME_HEADER + FRAME_FRAGMENT_HEADER + n;
}

/* Operations without an answer to wait for in the window. */
static uint32_t small_words(struct client *c, uint8_t *out, struct instant now)
{
    uint32_t size = 0;
    if (c->ping_now) {
        c->ping_now = false;
        frame_op_encode(out, OP_PING, 0, 0, 0, c->counters.requests);
        size += FRAME_OP_HEADER;
    }
    if (c->bye_now) {
        c->bye_now = false;
        c->bye_sent = true;
        c->bye_due = instant_add(now, duration_ms(BYE_PATIENCE_MS));
        due_at(c, c->bye_due);
        frame_op_encode(out + size, OP_BYE, 0, 0, 0, 0);
        size += FRAME_OP_HEADER;
    }
    return size;
}

/* As many whole requests as the frame has room for, or one piece of a large one. */
static size_t requests(struct client *c, uint8_t *out, size_t most, struct instant now)
{
    uint32_t at = FRAME_HEADER + small_words(c, out + FRAME_HEADER, now), size;
    struct window_slot *slot;
    while ((slot = window_first_to_send(&c->window)) != NULL) {
        const uint8_t *bytes = call_bytes(client_call_of(c, slot), &size);
        if (size > most - at) {
            if (at == FRAME_HEADER)
                return piece(c, out, most, slot, now);
            break;
        }
        memcpy(out + at, bytes, size);
        at += size;
        sent(c, slot, now);
    }
    if (at == FRAME_HEADER)
        return 0;
    frame_begin(out, frame_flags(c), c->session);
    frame_end(out, at);
    return at;
}

size_t client_output(struct client *c, uint8_t *out, size_t max, struct instant now)
{
    must(max >= (c->config.datagrams ? c->config.datagram_max : FRAME_MAX));
    if (c->link == LINK_DOWN || c->broken)
        return 0;
    if (c->link == LINK_HELLO)
        return c->hello_now ? hello(c, out, now) : 0;
    if (c->closing && c->pending == 0 && !c->bye_sent)
        c->bye_now = true;
    size_t size = requests(c, out, c->frame_max, now);
    bool waiting = c->window.open != 0;
    if (waiting && !c->waiting) {
        c->quiet = now;
        c->pings = 0;
    }
    c->waiting = waiting;
    if (waiting && c->config.datagrams)
        due_at(c, instant_add(c->quiet, duration_s(c->pings + 1)));
    return size;
}

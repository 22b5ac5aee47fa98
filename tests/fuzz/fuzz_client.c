/* fuzz_client.c - a client and a broker that says whatever it likes, over a stream or in datagrams.
 *
 * The input's first byte chooses stream or datagrams and how the bytes are cut; the rest is the broker's. The client
 * asks the same things in every run (script.c), so that recorded answers fit. Held against it: every call has at most
 * one result, which is what the header promises; bodies match their checksums; memory stays inside its budget; a
 * stream that cannot be followed is left, and the client goes on with the next connection. */
#include <string.h>

#include "frame.h"
#include "must.h"
#include "script.h"
#include "target.h"

enum { TURNS_MAX = 4096, DATAGRAMS = 1 };

static void say_all(struct script *s)
{
    static uint8_t out[FRAME_MAX] __attribute__((aligned(8)));
    unsigned frames = 0;
    for (size_t n; (n = script_say(s, out)) > 0; frames++) {
        struct frame f;
        must(n <= FRAME_MAX && frame_decode(&f, out, n) == LEAT_OK); /* what it sends is always well-formed */
        must(frames < 1000);
    }
}

/* The next piece: a datagram is one frame, a stream is cut anywhere. */
static size_t piece_of(const uint8_t *at, size_t left, uint8_t how, unsigned turn)
{
    int32_t whole = frame_size(at, left);
    if (how & DATAGRAMS)
        return whole > 0 && (size_t)whole <= left ? (size_t)whole : left;
    size_t piece = how < 64 ? left : 1 + (how * 37u + turn * 13u) % (8u * how);
    return piece < left ? piece : left;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct script s;
    if (size == 0)
        return 0;
    script_open(&s, data[0] & DATAGRAMS);
    for (size_t at = 1, turn = 0; at < size && turn < TURNS_MAX; turn++) {
        script_turn(&s);
        say_all(&s);
        size_t n = piece_of(data + at, size - at, data[0], (unsigned)turn);
        uint8_t *piece = target_copy(data + at, n);
        script_hear(&s, piece, n);
        target_free(piece);
        at += n;
    }
    script_turn(&s);
    say_all(&s);
    script_turn(&s);
    script_close(&s);
    return 0;
}

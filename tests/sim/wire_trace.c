/* wire_trace.c - one line a frame: who, session, operations with number and status. */
#include "wire_trace.h"

#include <stdio.h>

#include "frame.h"

static void print_operations(const struct frame *f)
{
    struct frame_op op;
    enum leat_status status = LEAT_OK;
    struct frame_fragment piece;
    if (f->flags & FRAME_FRAGMENT) {
        if (frame_fragment_decode(&piece, f) == LEAT_OK)
            printf(" piece of %llu: %u + %u of %u", (unsigned long long)piece.number, piece.offset, piece.piece_size,
                   piece.total);
        return;
    }
    for (uint32_t offset = 0; frame_next_op(f, &offset, &op, &status);)
        printf(" %s#%llu%s%s%s", frame_op_name(op.op), (unsigned long long)op.number, f->flags & FRAME_REPLY ? "=" : "",
               f->flags & FRAME_REPLY ? status_name(op.status) : "", op.body_size ? "+" : "");
    if (status != LEAT_OK)
        printf(" (malformed)");
}

void wire_trace_print(uint64_t now, const struct packet *p)
{
    const uint8_t *bytes = (const uint8_t *)p->bytes;
    printf("%12.6f    %s c%u.%u", (double)now / 1e9, p->to_client ? "to" : "from", p->link, p->peer >> 8);
    if (p->size == 0)
        printf(" gone");
    for (uint32_t at = 0; at < p->size;) {
        int32_t size = frame_size(bytes + at, p->size - at);
        struct frame f;
        if (size <= 0 || (uint32_t)size > p->size - at || frame_decode(&f, bytes + at, (size_t)size) != LEAT_OK) {
            printf(" garbage");
            break;
        }
        printf(" [s%x", f.session);
        print_operations(&f);
        printf("]");
        at += (uint32_t)size;
    }
    printf("\n");
}

bool wire_trace_hello(const struct packet *p, struct reply_hello *hello)
{
    const uint8_t *bytes = (const uint8_t *)p->bytes;
    int32_t size = p->to_client && p->size > 0 ? frame_size(bytes, p->size) : 0;
    struct frame f;
    struct frame_op op;
    enum leat_status status = LEAT_OK;
    uint32_t offset = 0;
    if (size <= 0 || (uint32_t)size > p->size || frame_decode(&f, bytes, (size_t)size) != LEAT_OK)
        return false;
    return !(f.flags & FRAME_FRAGMENT) && frame_next_op(&f, &offset, &op, &status) && op.op == OP_HELLO &&
           op.status == LEAT_OK && reply_hello_decode(&op, hello);
}

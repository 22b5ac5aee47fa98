/* fuzz_reply.c - what a client reads from a broker that it need not trust: every decoder of reply.h over every
 * operation of a frame, whatever the operation says it is.
 *
 * Held against it: a part that is accepted lies inside the operation, moves the offset by its own size, and says the
 * same after it was written again; a walk ends. */
#include <stdlib.h>
#include <string.h>

#include "byteorder.h"
#include "must.h"
#include "reply.h"
#include "target.h"

static void check_hello(const struct frame_op *op)
{
    struct reply_hello hello, again;
    memset(&hello, 0, sizeof hello);
    memset(&again, 0, sizeof again);
    if (!reply_hello_decode(op, &hello))
        return;
    uint8_t out[REPLY_FIXED_MAX];
    uint32_t size = reply_hello(out, op->number, &hello);
    struct frame_op written;
    must(frame_op_decode(&written, out, size) == LEAT_OK);
    must(reply_hello_decode(&written, &again));
    must(memcmp(&hello, &again, sizeof hello) == 0);
}

static void check_stats(const struct frame_op *op)
{
    struct reply_stat stat, again;
    uint32_t offset = 0, before = 0;
    memset(&stat, 0, sizeof stat);
    memset(&again, 0, sizeof again);
    for (; reply_next_stat(op, &offset, &stat); before = offset) {
        must(offset <= op->body_size && offset - before == REPLY_STAT_BYTES);
        uint8_t out[REPLY_FIXED_MAX];
        uint32_t size = reply_stat(out, OP_QUEUE_STAT, op->number, &stat), at = 0;
        struct frame_op written;
        must(frame_op_decode(&written, out, size) == LEAT_OK);
        must(reply_next_stat(&written, &at, &again));
        must(name_equal(&stat.name, &again.name) && stat.parked == again.parked);
        must(memcmp(op->body + before, out + FRAME_OP_HEADER, REPLY_STAT_BYTES - 4) == 0);
    }
}

static void check_runs(const struct frame_op *op)
{
    struct reply_run run;
    uint32_t offset = 0, before = 0;
    for (; reply_next_run(op, &offset, &run); before = offset) {
        must(offset <= op->body_size && offset - before == REPLY_RUN_BYTES);
        uint8_t out[REPLY_FIXED_MAX];
        must(reply_runs(out, OP_PUT, op->number, &run, 1) == FRAME_OP_HEADER + REPLY_RUN_BYTES);
        must(memcmp(op->body + before, out + FRAME_OP_HEADER, REPLY_RUN_BYTES) == 0);
    }
}

static void check_messages(const struct frame_op *op)
{
    struct reply_message m;
    uint32_t offset = 0, before = 0;
    for (; reply_next_message(op, &offset, &m); before = offset) {
        uint32_t size = reply_message_size(m.attrs_size, m.body_size);
        must(offset <= op->body_size && offset - before == size);
        must(m.attrs >= op->body && m.attrs + m.attrs_size <= m.body);
        must(m.body + m.body_size <= op->body + offset);
        uint8_t *out = malloc(size);
        must(out != NULL);
        must(reply_add_message(out, &m) == size);
        must(memcmp(op->body + before, out, REPLY_MESSAGE_HEADER - 1) == 0);
        must(m.body_size == 0 || memcmp(m.body, out + (m.body - op->body - before), m.body_size) == 0);
        struct receipt r;
        uint8_t receipt[RECEIPT_BYTES];
        if (receipt_decode(&r, m.receipt)) {
            receipt_encode(receipt, &r);
            must(memcmp(receipt, m.receipt, RECEIPT_BYTES) == 0);
        }
        free(out);
    }
}

static void check_backup(const struct frame_op *op)
{
    struct reply_backup b;
    struct reply_backup_file f;
    struct reply_piece p;
    uint32_t offset, before;
    uint8_t out[REPLY_BACKUP_FILE_BYTES];
    if (reply_backup_decode(op, &offset, &b)) {
        must(reply_add_backup(out, &b) == REPLY_BACKUP_BYTES && memcmp(op->body, out, REPLY_BACKUP_BYTES) == 0);
        for (before = offset; reply_next_backup_file(op, &offset, &f); before = offset) {
            must(offset <= op->body_size && offset - before == REPLY_BACKUP_FILE_BYTES);
            must(f.name[0] != 0 && !strchr(f.name, '/') && !strchr(f.name, '.'));
            must(reply_add_backup_file(out, &f) == REPLY_BACKUP_FILE_BYTES);
            must(memcmp(op->body + before, out, 16 + 1 + strlen(f.name)) == 0);
        }
    }
    if (reply_piece_decode(op, &p))
        must(p.bytes >= op->body && p.bytes + p.size == op->body + op->body_size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = target_copy(data, size);
    struct frame f;
    struct frame_op op;
    enum leat_status status;
    uint32_t offset = 0;
    if (frame_decode(&f, copy, size) == LEAT_OK)
        while (frame_next_op(&f, &offset, &op, &status)) {
            uint8_t *exact = target_copy(op.body, op.body_size);
            op.body = exact;
            check_hello(&op);
            check_stats(&op);
            check_runs(&op);
            check_messages(&op);
            check_backup(&op);
            target_free(exact);
        }
    target_free(copy);
    return 0;
}

/* fake_backup.c - see fake_backup.h. */
#include "fake_backup.h"

#include <stdlib.h>
#include <string.h>

#include "must.h"
#include "reply.h"
#include "request.h"

enum { FILES = 4, PIECE_MAX = 1024 * 1024 };

static const struct reply_backup_file files[FILES] = {
    {"checkpoint-0", 0, FAKE_BACKUP_SMALL},
    {"log-00000001", FAKE_BACKUP_BIG, FAKE_BACKUP_BIG},
    {"log-00000002", FAKE_BACKUP_SMALL, FAKE_BACKUP_FULL},
    {"manifest", 2 * FAKE_BACKUP_SMALL, 2 * FAKE_BACKUP_SMALL},
};

bool fake_backup_asked(uint8_t op)
{
    return op == OP_BACKUP_BEGIN || op == OP_BACKUP_READ || op == OP_BACKUP_END;
}

uint8_t fake_backup_byte(uint32_t file, uint64_t offset)
{
    return (uint8_t)(offset * 31 + (offset >> 12) + file);
}

static struct reply_backup_file listed(enum fake_lie lie, uint32_t i)
{
    struct reply_backup_file f = files[i];
    if (lie == FAKE_TWICE && i == 2)
        memcpy(f.name, files[1].name, sizeof f.name);
    if ((lie == FAKE_NO_MANIFEST && i == FILES - 1) || (lie == FAKE_ESCAPE && i == 0))
        memcpy(f.name, "other", sizeof "other");
    if (lie == FAKE_EARLY_MANIFEST && i == 1)
        memcpy(f.name, files[FILES - 1].name, sizeof f.name);
    return f;
}

static uint32_t list(enum fake_lie lie, const struct request *r, uint8_t *out)
{
    struct reply_backup b = {.id = 42, .cluster = 0xc0ffee, .position = 17, .epoch = 3, .files = FILES};
    uint32_t size = FRAME_OP_HEADER + REPLY_BACKUP_BYTES;
    for (uint32_t i = 0; i < FILES; i++) {
        struct reply_backup_file f = listed(lie, i);
        b.bytes += f.bytes;
        size += reply_add_backup_file(out + size, &f);
        if (lie == FAKE_ESCAPE && i == 0)
            memcpy(out + size - REPLY_FILE_NAME, "../x!", 5);
    }
    reply_add_backup(out + FRAME_OP_HEADER, &b);
    frame_op_encode(out, r->op, LEAT_OK, 0, size - FRAME_OP_HEADER, r->number);
    return size;
}

static uint32_t piece(enum fake_lie lie, const struct request *r, uint8_t *out)
{
    static _Thread_local uint8_t bytes[PIECE_MAX];
    struct reply_piece p = {.offset = r->backup.offset, .file = r->backup.file, .size = r->backup.size, .bytes = bytes};
    must(r->backup.id == 42 && p.file < FILES && p.size <= PIECE_MAX);
    if (lie == FAKE_LOST_LATER && p.file == 2)
        return reply_status(out, r->op, r->number, LEAT_BACKUP_LOST);
    for (uint32_t i = 0; i < p.size; i++)
        bytes[i] = fake_backup_byte(p.file, p.offset + i);
    if (lie == FAKE_OTHER_PLACE && p.offset > 0)
        p.offset -= BACKUP_PIECE_UNIT;
    uint32_t size = reply_piece(out, r->number, &p);
    if (lie == FAKE_WRONG_BYTES && p.file == 2)
        out[size - 1] ^= 1;
    return size;
}

uint32_t fake_backup_answer(enum fake_lie lie, const struct request *r, uint8_t *out)
{
    if (r->op == OP_BACKUP_END)
        return reply_status(out, r->op, r->number, LEAT_OK);
    if (r->op == OP_BACKUP_READ)
        return piece(lie, r, out);
    return lie == FAKE_BUSY ? reply_status(out, r->op, r->number, LEAT_BACKUP_BUSY) : list(lie, r, out);
}

/* stage_backup.c - a client copies the data directory while everybody works.
 *
 *   backup_begin --> waits for the journal (all appended is durable, no checkpoint under way) --> the list of files
 *   backup_read  --> waits for the disk --> a piece, with its checksum
 *   backup_end, the session's end, a new backup_begin of it, a stop --> everything held is let go
 *
 * One backup at a time, of one session; one whose client is not connected gives way to another's. Nothing of it is in
 * the log, so a restart ends it; a repeated backup_read is read again, and a repeated backup_begin is told the list
 * again, but never begins anything.
 *
 * All memory of a read is taken before it starts. A read whose client has gone only waits for the disk. */
#include "stages.h"

#include "mark.h"

void stage_backup_end(struct shard *s)
{
    struct stage_backup *b = &s->backup;
    if (!b->on)
        return;
    journal_backup_end(s->journal);
    b->on = b->begun = b->waiting = false;
}

void stage_backup_forget(struct shard *s, uint32_t handle)
{
    if (s->backup.on && s->backup.session == handle) {
        mark(backup_ends_with_its_session);
        stage_backup_end(s);
    }
}

static bool stage_backup_lives(const struct shard *s)
{
    return s->backup.on && (!s->backup.begun || journal_backup_running(s->journal));
}

/* -- asking -- */

static enum leat_status stage_backup_begin(struct shard *s, const struct session *session, const struct request *r,
                                           uint32_t index, bool first)
{
    struct stage_backup *b = &s->backup;
    bool ours = b->on && b->session == session->handle;
    if (!first && !(ours && b->number == r->number)) {
        mark(backup_begin_repeated_too_late);
        return LEAT_BACKUP_LOST;
    }
    bool attended = b->on && desk_session(&s->desk, b->session)->attached;
    if (first && (b->waiting || (stage_backup_lives(s) && attended && !ours)))
        return LEAT_BACKUP_BUSY;
    if (first) {
        stage_backup_end(s);
        b->on = true;
        b->session = session->handle;
        b->number = r->number;
        b->id = (uint64_t)s->limits.epoch << 32 | ++b->count;
    }
    b->waiting = true;
    b->place = index;
    desk_settle(&s->desk, index, DESK_BACKUP);
    return LEAT_OK;
}

static void stage_backup_free(struct shard *s, struct stage_backup_read *r)
{
    buffers_give(&s->buffers, r->data, r->piece.size);
    buffers_give(&s->buffers, r->answer, r->answer_size);
    *r = (struct stage_backup_read){0};
}

static enum leat_status stage_backup_read(struct shard *s, const struct session *session, const struct request *r,
                                          uint32_t index)
{
    const struct stage_backup *b = &s->backup;
    uint32_t i = 0;
    if (!b->begun || b->session != session->handle || b->id != r->backup.id)
        return LEAT_BACKUP_LOST;
    while (i < STAGE_BACKUP_READS && b->reads[i].used)
        i++;
    if (i == STAGE_BACKUP_READS)
        return LEAT_OVERLOADED;
    struct stage_backup_read *read = &s->backup.reads[i];
    *read = (struct stage_backup_read){.session = session->handle,
                                       .place = index,
                                       .number = r->number,
                                       .piece = {.offset = r->backup.offset, .file = r->backup.file},
                                       .answer_size = FRAME_OP_HEADER + REPLY_PIECE_HEADER + r->backup.size};
    read->piece.size = r->backup.size;
    read->data = buffers_take(&s->buffers, r->backup.size);
    read->answer = read->data ? buffers_take(&s->buffers, read->answer_size) : NULL;
    enum leat_status status =
        read->answer ? journal_backup_read(s->journal, r->backup.file, r->backup.offset, r->backup.size, read->data, i)
                     : LEAT_OVERLOADED;
    if (status != LEAT_OK) {
        stage_backup_free(s, read);
        return status;
    }
    read->used = true;
    desk_settle(&s->desk, index, DESK_BACKUP);
    desk_place(&s->desk, index)->drawing = i;
    return LEAT_OK;
}

enum leat_status stage_backup_ask(struct shard *s, const struct session *session, const struct request *r,
                                  uint32_t index, bool first)
{
    const struct stage_backup *b = &s->backup;
    switch (r->op) {
    case OP_BACKUP_BEGIN:
        return stage_backup_begin(s, session, r, index, first);
    case OP_BACKUP_READ:
        return stage_backup_read(s, session, r, index);
    default:
        if (b->on && b->session == session->handle && b->id == r->backup.id)
            stage_backup_end(s);
        return LEAT_OK; /* there is no such backup any more */
    }
}

void stage_backup_abandon(struct shard *s, uint32_t index)
{
    const struct desk_place *p = desk_place(&s->desk, index);
    struct stage_backup *b = &s->backup;
    if (p->op == OP_BACKUP_READ) {
        must(b->reads[p->drawing].used && b->reads[p->drawing].place == index);
        b->reads[p->drawing].abandoned = true;
        mark(backup_read_abandoned);
        return;
    }
    if (b->waiting && b->place == index) {
        b->waiting = false;
        if (!b->begun)
            stage_backup_end(s);
    }
}

/* -- answering -- */

/* The operation in `bytes` is the answer of this place. */
static void stage_backup_answer(struct shard *s, uint32_t handle, uint64_t number, uint32_t index, uint8_t *bytes,
                                uint32_t room, uint32_t size)
{
    struct desk_place *p = desk_place(&s->desk, index);
    struct session *session = session_write(&s->sessions, handle);
    must(session != NULL);
    must(p->state == DESK_BACKUP && p->number == number);
    p->bytes = bytes;
    p->bytes_room = room;
    p->bytes_size = size;
    p->bytes_sent = 0;
    desk_settle(&s->desk, index, DESK_IDLE);
    stage_reply_ready(s, session, number, 0);
}

static uint32_t stage_backup_list(const struct shard *s, uint8_t *out, const struct journal_backup *b)
{
    struct reply_backup head = {.id = s->backup.id,
                                .cluster = b->cluster,
                                .position = b->position,
                                .bytes = b->bytes,
                                .epoch = b->epoch,
                                .files = b->files};
    uint32_t size = FRAME_OP_HEADER;
    size += reply_add_backup(out + size, &head);
    for (uint32_t i = 0; i < b->files; i++) {
        struct journal_backup_file f = journal_backup_file(s->journal, i);
        struct reply_backup_file file = {.bytes = f.bytes, .size = f.size};
        must(strlen(f.name) <= REPLY_FILE_NAME);
        memcpy(file.name, f.name, strlen(f.name) + 1);
        size += reply_add_backup_file(out + size, &file);
    }
    frame_op_encode(out, OP_BACKUP_BEGIN, LEAT_OK, 0, size - FRAME_OP_HEADER, s->backup.number);
    return size;
}

static unsigned stage_backup_refuse(struct shard *s, enum leat_status status)
{
    struct stage_backup *b = &s->backup;
    uint8_t *bytes = buffers_take(&s->buffers, FRAME_OP_HEADER);
    if (!bytes)
        return 0; /* no memory even for a word: later */
    uint32_t size = reply_status(bytes, OP_BACKUP_BEGIN, b->number, status);
    uint32_t handle = b->session;
    uint64_t number = b->number;
    stage_backup_end(s);
    stage_backup_answer(s, handle, number, b->place, bytes, FRAME_OP_HEADER, size);
    s->counters.refused++;
    return 1;
}

/* backup_begin waits until it may begin. */
static unsigned stage_backup_start(struct shard *s)
{
    struct stage_backup *b = &s->backup;
    if (s->stopping)
        return stage_backup_refuse(s, LEAT_STOPPING);
    if (!stage_backup_lives(s))
        return stage_backup_refuse(s, LEAT_BACKUP_LOST);
    if (!b->begun && !journal_backup_begin(s->journal))
        return 0;
    b->begun = true;
    struct journal_backup backup = journal_backup(s->journal);
    uint32_t room = FRAME_OP_HEADER + REPLY_BACKUP_BYTES + backup.files * REPLY_BACKUP_FILE_BYTES;
    uint8_t *bytes = buffers_take(&s->buffers, room);
    if (!bytes)
        return stage_backup_refuse(s, LEAT_OVERLOADED);
    b->waiting = false;
    stage_backup_answer(s, b->session, b->number, b->place, bytes, room, stage_backup_list(s, bytes, &backup));
    return 1;
}

static void stage_backup_arrived(struct shard *s, struct stage_backup_read *r, enum leat_status status)
{
    must(r->used);
    if (!r->abandoned) {
        r->piece.bytes = r->data;
        uint32_t size = status == LEAT_OK ? reply_piece(r->answer, r->number, &r->piece)
                                          : reply_status(r->answer, OP_BACKUP_READ, r->number, status);
        stage_backup_answer(s, r->session, r->number, r->place, r->answer, r->answer_size, size);
        r->answer = NULL; /* it is the place's now */
    }
    stage_backup_free(s, r);
}

unsigned stage_backup_step(struct shard *s)
{
    struct stage_backup *b = &s->backup;
    unsigned n = 0;
    uint64_t tag;
    enum leat_status status;
    while (journal_backup_read_done(s->journal, &tag, &status)) {
        stage_backup_arrived(s, &b->reads[tag], status);
        n++;
    }
    if (b->waiting)
        n += stage_backup_start(s);
    else if (b->on && s->stopping)
        stage_backup_end(s);
    return n;
}

void stage_backup_close(struct shard *s)
{
    for (unsigned i = 0; i < STAGE_BACKUP_READS; i++)
        stage_backup_free(s, &s->backup.reads[i]);
}

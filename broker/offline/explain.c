/* explain.c - the log once more, with one message in mind. */
#include "explain.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "judge.h"
#include "receipt.h"
#include "report.h"
#include "tell.h"

struct explain {
    const struct explain_options *o;
    struct source source;
    struct point point;
    struct scan scan;
    struct judge judge;
    struct follow follow;
    struct message_id id;
    bool is_receipt;
    struct receipt receipt;
    bool behind;    /* the checkpoint's position was passed */
    bool put_seen;  /* its put is in the log ... */
    bool other;     /* ... or another message's, of another start */
    uint64_t first; /* block of the log that was read first */
    uint32_t queue; /* where it is; SLAB_NONE: not known */
    bool gone;
    unsigned events;
    char state[TELL_WORDS];
};

/* -- telling -- */

static void explain_event(struct explain *x, struct lsn lsn, const char *time, const char *kind, const char *words)
{
    FILE *out = x->o->out;
    bool first = x->events++ == 0;
    if (!x->o->json) {
        fprintf(out, "%-27s  %" PRIu64 ".%-5u  %s\n", time, lsn_block(lsn), lsn_index(lsn), words);
        return;
    }
    fprintf(out, "%s\n{\"lsn\":\"%" PRIu64 ".%u\",\"time\":\"%s\",\"fact\":\"%s\",\"text\":", first ? "" : ",",
            lsn_block(lsn), lsn_index(lsn), time, kind);
    report_text(out, words, strlen(words));
    fputc('}', out);
}

static void explain_begin(struct explain *x)
{
    char text[MESSAGE_ID_TEXT];
    receipt_id_text(text, &x->id);
    if (x->o->json)
        fprintf(x->o->out, "{\"id\":\"%s\",\"lsn\":\"%" PRIu64 ".%u\",\"epoch\":%u,\"events\":[", text,
                lsn_block(x->id.lsn), lsn_index(x->id.lsn), x->id.epoch);
    else
        fprintf(x->o->out, "message %s: put in start %u, block %" PRIu64 ", fact %u\n", text, x->id.epoch,
                lsn_block(x->id.lsn), lsn_index(x->id.lsn));
}

/* -- what the checkpoint says -- */

static const struct message *explain_slot(const struct engine *e, struct lsn lsn)
{
    for (uint32_t i = 0; i < e->slots.used; i++) {
        const struct message *m = engine_message_at(e, i);
        if (m->state != MESSAGE_FREE && m->lsn.n == lsn.n)
            return m;
    }
    return NULL;
}

static bool explain_ready(const struct engine *e, struct lsn lsn)
{
    struct engine_walk walk = {0};
    struct message_body at;
    while (engine_walk(e, &walk, &at))
        if (at.lsn.n == lsn.n)
            return true;
    return false;
}

static void explain_checkpoint(struct explain *x)
{
    char words[TELL_WORDS], due[TELL_TIME], time[TELL_TIME];
    const struct engine *e = &x->point.engine;
    x->behind = true;
    follow_point(&x->follow, e);
    if (x->point.block == 0 || lsn_block(x->id.lsn) > x->point.block)
        return;
    const struct message *m = explain_slot(e, x->id.lsn);
    tell_time(time, &x->follow, e->latest);
    x->gone = false;
    if (m) {
        static const char *const states[] = {"", "ready again", "leased until ", "delayed until ", "dead"};
        bool dated = m->state == MESSAGE_LEASED || m->state == MESSAGE_DELAYED;
        tell_time(due, &x->follow, m->due);
        x->queue = m->queue;
        snprintf(words, sizeof words, "checkpoint: in %s, %s%s, delivered %u times so far",
                 follow_name(&x->follow, m->queue), states[m->state], dated ? due : "", m->attempts);
        snprintf(x->state, sizeof x->state, "%s%s", states[m->state], dated ? due : "");
    } else if (explain_ready(e, x->id.lsn)) {
        snprintf(words, sizeof words, "checkpoint: ready, never delivered");
        snprintf(x->state, sizeof x->state, "ready, never delivered");
    } else {
        snprintf(words, sizeof words, "checkpoint: it is not there any more: acknowledged, or its queue was dropped");
        snprintf(x->state, sizeof x->state, "gone");
        x->gone = true;
    }
    explain_event(x, lsn_make(x->point.block, 0), time, "checkpoint", words);
}

/* -- what the facts say -- */

static void explain_state(struct explain *x, const struct fact *f)
{
    char when[TELL_TIME] = "";
    bool until = f->kind == FACT_LEASED || f->kind == FACT_EXTENDED;
    struct instant due = f->kind == FACT_LEASED ? f->leased.deadline : f->kind == FACT_PUT ? f->put.due : f->slot.due;
    bool delayed = (f->kind == FACT_PUT && f->put.slot != SLAB_NONE) || (f->kind == FACT_RETURNED && due.ns > 0);
    x->gone = f->kind == FACT_ACKED || f->kind == FACT_QUEUE_DROPPED;
    if (until || delayed)
        tell_time(when, &x->follow, due);
    snprintf(x->state, sizeof x->state, "%s%s",
             x->gone                                                ? "gone"
             : f->kind == FACT_MOVED && f->slot.target == SLAB_NONE ? "dead"
             : until                                                ? "leased until "
             : delayed                                              ? "delayed until "
                                                                    : "ready",
             when);
}

static void explain_fact(struct explain *x, const struct fact *f)
{
    uint32_t queue;
    char words[TELL_WORDS], time[TELL_TIME];
    struct lsn message = follow_fact(&x->follow, f, &queue);
    bool about = message.n == x->id.lsn.n;
    if (f->kind == FACT_PUT && about) {
        x->other = x->id.epoch != 0 && f->put.epoch != x->id.epoch; /* 0: of a damaged message, not known */
        x->put_seen = !x->other;
    }
    about |= f->kind == FACT_QUEUE_DROPPED && x->events > 0 && !x->gone && queue == x->queue;
    if (!about || x->other)
        return;
    x->queue = f->kind == FACT_MOVED && f->slot.target != SLAB_NONE ? f->slot.target : queue;
    tell_words(words, &x->follow, f, queue);
    tell_time(time, &x->follow, f->at);
    explain_event(x, f->lsn, time, fact_name(f->kind), words);
    explain_state(x, f);
}

static void explain_block(void *context, const struct scan_block *b)
{
    struct explain *x = context;
    uint32_t at = 0;
    if (x->first == 0)
        x->first = b->r.number;
    if (!x->behind && x->point.loaded && b->r.number > x->point.block)
        explain_checkpoint(x);
    for (uint32_t i = 0; i < b->r.facts; i++) {
        struct fact fact;
        if (fact_decode(&fact, b->payload + at, b->r.payload_size - at, lsn_make(b->r.number, b->index + i), false) !=
            LEAT_OK)
            return;
        explain_fact(x, &fact);
        at += fact_size(&fact);
    }
}

/* -- all of it -- */

static bool explain_name(struct explain *x, char error[SOURCE_ERROR])
{
    uint8_t bytes[RECEIPT_BYTES];
    if (receipt_id_parse(&x->id, x->o->name))
        return true;
    if (receipt_parse(bytes, x->o->name, strlen(x->o->name)) && receipt_decode(&x->receipt, bytes)) {
        x->is_receipt = true;
        x->id = x->receipt.id;
        return true;
    }
    source_say(LEAT_BAD_RECEIPT, error, "'%.80s' is neither the id of a message nor a receipt", x->o->name);
    return false;
}

static void explain_receipt(struct explain *x)
{
    const struct follow_slot *s =
        x->receipt.slot < x->follow.slots.capacity ? slab_at(&x->follow.slots, x->receipt.slot) : NULL;
    bool newest = s && s->message.n == x->id.lsn.n && s->sure && s->generation == x->receipt.generation;
    if (!x->o->json)
        fprintf(x->o->out, "the receipt is of slot %u, generation %u, start %u: %s\n", x->receipt.slot,
                x->receipt.generation, x->receipt.epoch,
                newest ? "the newest lease of the message" : "an older lease; it is stale");
    else
        fprintf(x->o->out, ",\"receipt_is_newest\":%s", newest ? "true" : "false");
}

static void explain_end(struct explain *x)
{
    FILE *out = x->o->out;
    uint64_t block = lsn_block(x->id.lsn);
    if (x->o->json) {
        fprintf(out, "],\"log_begins\":%" PRIu64 ",\"put_in_log\":%s,\"state\":", x->first,
                x->put_seen ? "true" : "false");
        report_text(out, x->state, strlen(x->state));
    } else if (!x->put_seen && !x->other && block < x->judge.next) {
        fprintf(out,
                "the log does not hold its put any more: what is left of it begins at block %" PRIu64
                ", and history_bytes would keep more\n",
                x->first);
    }
    if (x->is_receipt)
        explain_receipt(x);
    if (x->o->json)
        fputs("}\n", out);
    else if (x->events > 0)
        fprintf(out, "now: %s\n", x->state);
}

static enum leat_status explain_read(struct explain *x, char error[SOURCE_ERROR])
{
    struct engine_capacity capacity;
    uint32_t sessions;
    enum leat_status status = point_load(&x->point, &x->source, error);
    if (status == LEAT_OK)
        status = point_capacity(&x->source, &capacity, &sessions, error);
    if (status == LEAT_OK && follow_open(&x->follow, &capacity) != LEAT_OK)
        status = source_say(LEAT_NO_MEMORY, error, "no memory for the capacities that the manifest names");
    if (status != LEAT_OK)
        return status;
    follow_names(&x->follow, &x->point.engine);
    status = scan_open(&x->scan, &x->source, error);
    explain_begin(x);
    for (uint32_t i = 0; i < x->scan.segments_count && status == LEAT_OK; i++)
        status = scan_read(&x->scan, i, explain_block, x, error);
    if (status != LEAT_OK)
        return status;
    if (!x->behind)
        explain_checkpoint(x);
    judge_log(&x->judge, &x->scan, &x->point);
    explain_end(x);
    if (x->judge.count > 0)
        return source_say(LEAT_CORRUPT, error, "blocks of the log are damaged (leat fsck): there may have been more");
    if (x->events > 0)
        return LEAT_OK;
    return source_say(LEAT_EMPTY, error, "%s",
                      x->other ? "a crash took the message: its place in the log is another's"
                      : lsn_block(x->id.lsn) >= x->judge.next
                          ? "the log ends before its place: it is not of this data directory, or a crash took it"
                          : "the log knows nothing of it any more");
}

enum leat_status explain_run(struct disk *disk, const struct explain_options *o, char error[SOURCE_ERROR])
{
    struct explain *x = calloc(1, sizeof *x);
    if (!x)
        return source_say(LEAT_NO_MEMORY, error, "no memory");
    x->o = o;
    x->queue = SLAB_NONE;
    enum leat_status status = explain_name(x, error) ? LEAT_OK : LEAT_BAD_RECEIPT;
    if (status == LEAT_OK)
        status = source_open(&x->source, disk, error);
    if (status == LEAT_OK)
        status = source_needs_manifest(&x->source, error);
    if (status == LEAT_OK)
        status = explain_read(x, error);
    judge_close(&x->judge);
    scan_close(&x->scan);
    follow_close(&x->follow);
    point_close(&x->point);
    if (x->source.window)
        source_close(&x->source);
    free(x);
    return status;
}

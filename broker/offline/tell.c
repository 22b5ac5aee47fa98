/* tell.c - one walk over a fact's fields for both forms. */
#include "tell.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "receipt.h"
#include "report.h"

void tell_time(char out[TELL_TIME], const struct follow *f, struct instant at)
{
    uint64_t wall = follow_wall(f, at);
    time_t seconds = (time_t)(wall / 1000000000);
    struct tm tm;
    if (at.ns == INSTANT_NEVER.ns) {
        snprintf(out, TELL_TIME, "never");
    } else if (wall == 0 || !gmtime_r(&seconds, &tm) || tm.tm_year > 8099) {
        snprintf(out, TELL_TIME, "+%" PRIu64 ".%06" PRIu64 "s", at.ns / 1000000000, at.ns / 1000 % 1000000);
    } else {
        size_t n = strftime(out, TELL_TIME, "%Y-%m-%dT%H:%M:%S", &tm);
        snprintf(out + n, TELL_TIME - n, ".%06" PRIu64 "Z", wall / 1000 % 1000000);
    }
}

void tell_id(char *out, uint16_t cell, uint32_t epoch, struct lsn lsn)
{
    struct message_id id = {.cell = cell, .epoch = epoch, .lsn = lsn};
    receipt_id_text(out, &id);
}

/* -- fields -- */

static void tell_key(const struct tell *t, const char *key)
{
    if (t->json)
        fprintf(t->out, ",\"%s\":", key);
    else
        fprintf(t->out, "\t%s=", key);
}

static void tell_number(const struct tell *t, const char *key, uint64_t number)
{
    tell_key(t, key);
    fprintf(t->out, "%" PRIu64, number);
}

static void tell_text(const struct tell *t, const char *key, const char *text)
{
    tell_key(t, key);
    if (t->json)
        report_text(t->out, text, strlen(text));
    else
        fputs(text, t->out);
}

static void tell_instant(const struct tell *t, const char *key, struct instant at)
{
    char text[TELL_TIME];
    tell_time(text, t->follow, at);
    tell_text(t, key, text);
}

static void tell_lsn(const struct tell *t, const char *key, struct lsn lsn)
{
    char text[48];
    snprintf(text, sizeof text, "%" PRIu64 ".%u", lsn_block(lsn), lsn_index(lsn));
    tell_text(t, key, text);
}

static void tell_created(const struct tell *t, const struct fact_queue *q)
{
    const struct queue_attributes *a = &q->attributes;
    tell_number(t, "incarnation", q->incarnation);
    tell_number(t, "lease_ms", a->lease.ns / 1000000);
    tell_number(t, "delay_ms", a->delay.ns / 1000000);
    tell_number(t, "max_attempts", a->max_attempts);
    if (q->dead_letter != SLAB_NONE)
        tell_text(t, "dead_letter", follow_name(t->follow, q->dead_letter));
}

static void tell_put(const struct tell *t, const struct fact *f, const struct tell_place *place)
{
    const struct fact_put *p = &f->put;
    char text[MESSAGE_ID_TEXT], crc[16];
    tell_id(text, place->cell, p->epoch, f->lsn);
    tell_text(t, "id", text);
    tell_number(t, "size", p->body_size);
    snprintf(crc, sizeof crc, "%08x", p->body_crc);
    tell_text(t, "crc", crc);
    if (p->attrs_size > 0)
        tell_number(t, "attributes", p->attrs_size);
    tell_text(t, "class", p->durability == CLASS_MEMORY ? "memory" : "disk");
    if (p->slot != SLAB_NONE) {
        tell_number(t, "slot", p->slot);
        tell_instant(t, "due", p->due);
    }
    if (!t->bodies)
        return;
    tell_key(t, "body");
    (t->json ? report_text : report_escaped)(t->out, p->body, p->body_size);
}

static void tell_slot(const struct tell *t, const struct fact *f)
{
    tell_number(t, "slot", f->slot.slot);
    tell_number(t, "generation", f->slot.generation);
    if (f->kind == FACT_EXTENDED)
        tell_instant(t, "until", f->slot.due);
    if (f->kind == FACT_RETURNED && f->slot.due.ns > 0)
        tell_instant(t, "due", f->slot.due);
    if (f->kind == FACT_MOVED)
        tell_text(t, "to", f->slot.target == SLAB_NONE ? "(stays, dead)" : follow_name(t->follow, f->slot.target));
}

static void tell_fields(const struct tell *t, const struct fact *f, const struct tell_place *place)
{
    if (place->queue != SLAB_NONE)
        tell_text(t, "queue", follow_name(t->follow, place->queue));
    if (place->message.n != 0 && f->kind != FACT_PUT)
        tell_lsn(t, "message", place->message);
    switch (f->kind) {
    case FACT_QUEUE_CREATED:
        return tell_created(t, &f->queue);
    case FACT_QUEUE_DROPPED:
        return;
    case FACT_REAPED:
        return tell_number(t, "count", f->queue.count);
    case FACT_PUT:
        return tell_put(t, f, place);
    case FACT_LEASED:
        tell_number(t, "slot", f->leased.slot);
        tell_number(t, "generation", f->leased.generation);
        return tell_instant(t, "until", f->leased.deadline);
    case FACT_EPOCH:
        tell_number(t, "start", f->epoch.epoch);
        return tell_text(t, "boot", f->epoch.same_boot ? "same" : "another");
    case FACT_SESSION_OPENED:
        tell_number(t, "opened", f->client.handle);
        return tell_number(t, "window", f->client.window);
    case FACT_SESSION_ENDED:
        return tell_number(t, "ended", f->client.handle);
    case FACT_REFUSED:
        tell_text(t, "status", status_name(f->refused.status));
        return tell_number(t, "count", f->refused.count);
    default:
        return tell_slot(t, f);
    }
}

void tell_fact(const struct tell *t, const struct fact *f, const struct tell_place *place)
{
    char time[TELL_TIME];
    tell_time(time, t->follow, f->at);
    if (t->json)
        fprintf(t->out, "{\"lsn\":\"%" PRIu64 ".%u\",\"at\":%" PRIu64 ",\"time\":\"%s\",\"epoch\":%u,\"fact\":\"%s\"",
                lsn_block(f->lsn), lsn_index(f->lsn), f->at.ns, time, place->epoch, fact_name(f->kind));
    else
        fprintf(t->out, "%" PRIu64 ".%u\t%s\te%u\t%s", lsn_block(f->lsn), lsn_index(f->lsn), time, place->epoch,
                fact_name(f->kind));
    tell_fields(t, f, place);
    if (f->session != 0) {
        tell_number(t, "session", f->session);
        tell_number(t, "request", f->number);
        tell_number(t, "entry", f->entry);
    }
    fputs(t->json ? "}\n" : "\n", t->out);
}

/* -- in words -- */

static void tell_who(char out[80], const struct fact *f)
{
    if (f->session != 0)
        snprintf(out, 80, " by session %u, request %" PRIu64, f->session, f->number);
    else
        out[0] = 0;
}

void tell_words(char out[TELL_WORDS], const struct follow *follow, const struct fact *f, uint32_t queue)
{
    char who[80], when[TELL_TIME];
    tell_who(who, f);
    switch (f->kind) {
    case FACT_PUT:
        tell_time(when, follow, f->put.due);
        snprintf(out, TELL_WORDS, "put into %s%s: %u bytes, class %s; %s%s", follow_name(follow, queue), who,
                 f->put.body_size, f->put.durability == CLASS_MEMORY ? "memory" : "disk",
                 f->put.slot == SLAB_NONE ? "ready at once" : "delayed until ", f->put.slot == SLAB_NONE ? "" : when);
        return;
    case FACT_LEASED:
        tell_time(when, follow, f->leased.deadline);
        snprintf(out, TELL_WORDS, "taken from %s%s; leased until %s (slot %u, generation %u)",
                 follow_name(follow, queue), who, when, f->leased.slot, f->leased.generation);
        return;
    case FACT_ACKED:
        snprintf(out, TELL_WORDS, "acknowledged%s: gone", who);
        return;
    case FACT_RETURNED:
        tell_time(when, follow, f->slot.due);
        snprintf(out, TELL_WORDS, "given back%s; %s%s", who, f->slot.due.ns == 0 ? "ready again" : "ready again at ",
                 f->slot.due.ns == 0 ? "" : when);
        return;
    case FACT_EXTENDED:
        tell_time(when, follow, f->slot.due);
        snprintf(out, TELL_WORDS, "lease extended%s until %s", who, when);
        return;
    case FACT_EXPIRED:
        snprintf(out, TELL_WORDS, "the lease ran out; ready again");
        return;
    case FACT_RIPENED:
        snprintf(out, TELL_WORDS, "the delay ended; ready");
        return;
    case FACT_MOVED:
        snprintf(out, TELL_WORDS, "its attempts were spent; %s%s",
                 f->slot.target == SLAB_NONE ? "dead, and stays in its queue" : "moved to the dead-letter queue ",
                 f->slot.target == SLAB_NONE ? "" : follow_name(follow, f->slot.target));
        return;
    case FACT_QUEUE_DROPPED:
        snprintf(out, TELL_WORDS, "the queue %s was dropped with all that was in it: gone", follow_name(follow, queue));
        return;
    default:
        snprintf(out, TELL_WORDS, "%s", fact_name(f->kind));
    }
}

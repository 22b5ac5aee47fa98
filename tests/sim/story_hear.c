/* story_hear.c - answers, as the words of a story. */
#include <string.h>

#include "must.h"
#include "story_state.h"

static void hear_puts(struct story *s, unsigned client, const struct story_call *c, const struct client_result *r)
{
    for (uint16_t i = 0; i < r->count; i++) {
        struct story_message *m = &s->message[c->message[i]];
        enum leat_status status = client_result_entry(s->client[client].core, r, i, &m->id);
        m->known = status == LEAT_OK;
        if (status == LEAT_OK)
            story_say(s, "c%u ok %u", client, c->message[i] + 1);
        else
            story_say(s, "c%u %s", client, status_name(status));
    }
}

static void hear_finish(struct story *s, unsigned client, const struct story_call *c, const struct client_result *r)
{
    const char *word = c->op == OP_ACK ? "acked" : c->op == OP_NACK ? "returned" : "extended";
    for (uint16_t i = 0; i < r->count; i++) {
        struct message_id id;
        enum leat_status status = client_result_entry(s->client[client].core, r, i, &id);
        if (status == LEAT_OK)
            story_say(s, "c%u %s %u", client, word, c->message[i] + 1);
        else
            story_say(s, "c%u %s", client, status_name(status));
    }
}

/* Which message of the story this is: by its id, else the first one of that body that has none yet. */
static uint32_t find(struct story *s, const struct reply_message *m)
{
    struct receipt r;
    must(receipt_decode(&r, m->receipt));
    for (uint32_t i = 0; i < s->messages; i++)
        if (s->message[i].known && s->message[i].id.lsn.n == r.id.lsn.n && s->message[i].id.epoch == r.id.epoch)
            return i;
    for (uint32_t i = 0; i < s->messages; i++) {
        struct story_message *x = &s->message[i];
        if (x->known || strlen(x->body) != m->body_size || memcmp(x->body, m->body, m->body_size) != 0)
            continue;
        x->known = true;
        x->id = r.id;
        return i;
    }
    story_wrong(s, "a message came that nobody put", "");
    return 0;
}

static void hear_messages(struct story *s, unsigned client, const struct story_call *c, const struct client_result *r)
{
    static const char *const states[] = {"gone", "ready", "leased", "delayed", "dead"};
    struct reply_message m;
    for (uint32_t offset = 0; reply_next_message(&r->reply, &offset, &m);) {
        uint32_t i = find(s, &m);
        struct story_message *x = &s->message[i];
        if (strlen(x->body) != m.body_size || memcmp(x->body, m.body, m.body_size) != 0)
            story_say(s, "c%u has a wrong body of %u", client, i + 1);
        if (c->op == OP_PEEK) {
            story_say(s, "c%u sees %u %s", client, i + 1, states[m.state % 5]);
            continue;
        }
        must(x->receipts < STORY_RECEIPTS);
        memcpy(x->receipt[x->receipts], m.receipt, RECEIPT_BYTES);
        x->attempt[x->receipts++] = m.attempts;
        story_say(s, "c%u leased %u attempt=%u", client, i + 1, m.attempts);
    }
    if (c->op == OP_PEEK && r->count == 0)
        story_say(s, "c%u sees nothing", client);
}

static void hear_stat(struct story *s, unsigned client, const struct client_result *r)
{
    struct reply_stat q;
    uint32_t offset = 0;
    if (reply_next_stat(&r->reply, &offset, &q))
        story_say(s, "c%u ready=%llu leased=%llu delayed=%llu dead=%llu", client, (unsigned long long)q.ready,
                  (unsigned long long)q.leased, (unsigned long long)q.delayed, (unsigned long long)q.dead);
}

void story_hear(struct story *s, unsigned client, const struct client_result *r)
{
    struct story_call *c = &s->client[client].call[r->user];
    c->open = false;
    if (c->op == OP_PUT)
        return hear_puts(s, client, c, r);
    if (c->op == OP_ACK || c->op == OP_NACK || c->op == OP_EXTEND)
        return hear_finish(s, client, c, r);
    if (r->status != LEAT_OK)
        return story_say(s, "c%u %s", client, status_name(r->status));
    if (c->op == OP_TAKE || c->op == OP_PEEK)
        return hear_messages(s, client, c, r);
    if (c->op == OP_QUEUE_STAT)
        return hear_stat(s, client, r);
    if (c->op == OP_QUEUE_DROP)
        story_say(s, "c%u dropped", client);
}

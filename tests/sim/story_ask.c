/* story_ask.c - commands. */
#include <stdlib.h>
#include <string.h>

#include "must.h"
#include "story_state.h"

struct duration story_ask_duration(struct story *s, const char *text)
{
    static const struct {
        const char *unit;
        uint64_t ns;
    } units[] = {{"us", 1000}, {"ms", 1000000}, {"s", 1000000000}, {"m", 60000000000}, {"h", 3600000000000}};
    char *end;
    double n = strtod(text, &end);
    for (unsigned i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(end, units[i].unit) == 0)
            return (struct duration){(uint64_t)(n * (double)units[i].ns)};
    story_wrong(s, "no duration", text);
    return (struct duration){0};
}

/* The value of "key=value" among the words, or NULL. */
static const char *value_of(char **words, unsigned n, const char *key)
{
    size_t size = strlen(key);
    for (unsigned i = 0; i < n; i++)
        if (strncmp(words[i], key, size) == 0 && words[i][size] == '=')
            return words[i] + size + 1;
    return NULL;
}

static struct duration duration_of(struct story *s, char **words, unsigned n, const char *key, uint64_t otherwise)
{
    const char *value = value_of(words, n, key);
    return value ? story_ask_duration(s, value) : (struct duration){otherwise};
}

static uint32_t number_of(char **words, unsigned n, const char *key, uint32_t otherwise)
{
    const char *value = value_of(words, n, key);
    return value ? (uint32_t)strtoul(value, NULL, 10) : otherwise;
}

static uint8_t class_of(char **words, unsigned n)
{
    const char *value = value_of(words, n, "class");
    return !value ? CLASS_DEFAULT : strcmp(value, "memory") == 0 ? CLASS_MEMORY : CLASS_DISK;
}

static void set_name(struct story *s, struct name *name, const char *text)
{
    if (!name_set(name, text, strlen(text)))
        story_wrong(s, "no name of a queue", text);
}

static struct story_call *submit(struct story *s, unsigned client, const struct client_op *op)
{
    struct story_client *c = &s->client[client];
    unsigned i = 0;
    while (i < STORY_CALLS && c->call[i].open)
        i++;
    must(i < STORY_CALLS);
    enum leat_status status = client_submit(c->core, op, i);
    if (status != LEAT_OK) {
        story_say(s, "c%u %s", client, status_name(status));
        return NULL;
    }
    c->call[i] = (struct story_call){.open = true, .op = op->request.op};
    return &c->call[i];
}

void story_ask_queue(struct story *s, char **words, unsigned n)
{
    struct client_op op = {.request = {.op = OP_QUEUE_CREATE}};
    struct queue_attributes *a = &op.request.attributes;
    if (n < 2)
        return story_wrong(s, "which queue?", "");
    set_name(s, &op.request.name, words[1]);
    a->lease = duration_of(s, words, n, "lease", 0);
    a->delay = duration_of(s, words, n, "delay", 0);
    a->max_attempts = number_of(words, n, "attempts", 0);
    a->body_max = number_of(words, n, "body_max", 0);
    a->durability = class_of(words, n);
    if (value_of(words, n, "dead_letter"))
        set_name(s, &a->dead_letter, value_of(words, n, "dead_letter"));
    submit(s, 0, &op);
}

static void ask_put(struct story *s, unsigned client, char **words, unsigned n)
{
    struct request_put_entry entries[STORY_CALLS];
    struct client_op op = {.request = {.op = OP_PUT}, .puts = entries};
    set_name(s, &op.request.name, words[1]);
    uint32_t first = s->messages;
    for (unsigned i = 2; i < n && words[i][0] == '"'; i++) {
        must(s->messages < STORY_MESSAGES && op.count < STORY_CALLS);
        struct story_message *m = &s->message[s->messages++];
        size_t size = strlen(words[i]) - 2;
        must(size < sizeof m->body);
        memcpy(m->body, words[i] + 1, size);
        entries[op.count++] = (struct request_put_entry){.delay = duration_of(s, words, n, "delay", UINT64_MAX),
                                                         .body = (const uint8_t *)m->body,
                                                         .body_size = (uint32_t)size,
                                                         .durability = class_of(words, n)};
    }
    struct story_call *c = submit(s, client, &op);
    for (uint32_t i = 0; c && i < op.count; i++)
        c->message[i] = first + i;
}

static void ask_take(struct story *s, unsigned client, char **words, unsigned n)
{
    struct client_op op = {.request = {.op = OP_TAKE}};
    set_name(s, &op.request.name, words[1]);
    op.request.max = (uint16_t)number_of(words, n, "max", 1);
    op.request.wait = duration_of(s, words, n, "wait", 0);
    op.request.time = duration_of(s, words, n, "lease", 0);
    submit(s, client, &op);
}

/* The receipt of message `number`: the one of attempt=K, or the newest. */
static const uint8_t *receipt_of(struct story *s, const char *number, uint32_t attempt, uint32_t *message)
{
    *message = (uint32_t)strtoul(number, NULL, 10) - 1;
    if (*message >= s->messages || s->message[*message].receipts == 0) {
        story_wrong(s, "nobody has leased message", number);
        return NULL;
    }
    const struct story_message *m = &s->message[*message];
    for (uint32_t i = m->receipts; i-- > 0;)
        if (attempt == 0 || m->attempt[i] == attempt)
            return m->receipt[i];
    story_wrong(s, "no such attempt of message", number);
    return NULL;
}

/* The queue in which the engine has a message; receipts are good in that one alone. */
static void name_queue_of(const struct story *s, uint32_t message, struct request *r)
{
    const struct queue *q = engine_queue_at(shard_engine(s->w->broker.shard), s->message[message].queue);
    r->queue = (struct queue_ref){s->message[message].queue, q->incarnation};
}

static void ask_finish(struct story *s, unsigned client, uint8_t verb, char **words, unsigned n)
{
    uint8_t receipts[STORY_CALLS][RECEIPT_BYTES];
    struct client_op op = {.request = {.op = verb}, .receipts = (const uint8_t(*)[RECEIPT_BYTES])receipts};
    uint32_t messages[STORY_CALLS];
    op.request.time = duration_of(s, words, n, verb == OP_NACK ? "delay" : "lease", 0);
    for (unsigned i = 1; i < n && words[i][0] >= '0' && words[i][0] <= '9'; i++) {
        const uint8_t *r = receipt_of(s, words[i], number_of(words, n, "attempt", 0), &messages[op.count]);
        if (!r)
            return;
        memcpy(receipts[op.count++], r, RECEIPT_BYTES);
    }
    name_queue_of(s, messages[0], &op.request);
    struct story_call *c = submit(s, client, &op);
    for (uint32_t i = 0; c && i < op.count; i++)
        c->message[i] = messages[i];
}

static void ask_named(struct story *s, unsigned client, uint8_t verb, char **words)
{
    struct client_op op = {.request = {.op = verb, .max = 10}};
    set_name(s, &op.request.name, words[1]);
    submit(s, client, &op);
}

void story_ask(struct story *s, unsigned client, char **words, unsigned n)
{
    const char *verb = words[0];
    if (strcmp(verb, "deaf") == 0)
        s->client[client].deaf = true;
    else if (strcmp(verb, "hears") == 0)
        s->client[client].deaf = false;
    else if (strcmp(verb, "cut") == 0)
        net_cut(&s->w->net, client);
    else if (n < 2)
        story_wrong(s, "unknown command or too few words:", verb);
    else if (strcmp(verb, "put") == 0)
        ask_put(s, client, words, n);
    else if (strcmp(verb, "take") == 0)
        ask_take(s, client, words, n);
    else if (strcmp(verb, "ack") == 0)
        ask_finish(s, client, OP_ACK, words, n);
    else if (strcmp(verb, "nack") == 0)
        ask_finish(s, client, OP_NACK, words, n);
    else if (strcmp(verb, "extend") == 0)
        ask_finish(s, client, OP_EXTEND, words, n);
    else if (strcmp(verb, "peek") == 0)
        ask_named(s, client, OP_PEEK, words);
    else if (strcmp(verb, "stat") == 0)
        ask_named(s, client, OP_QUEUE_STAT, words);
    else if (strcmp(verb, "drop") == 0)
        ask_named(s, client, OP_QUEUE_DROP, words);
    else
        story_wrong(s, "unknown command", verb);
    story_wake(s, client);
}

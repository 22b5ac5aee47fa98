/* story.c - lines, and the small world that they play in. */
#include "story.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "must.h"
#include "story_state.h"

enum {
    STORY_SETTLE_NS = 400000, /* the making of queues, before time begins */
    STORY_MOMENT_NS = 900000, /* a command has its answer by then */
};

static uint64_t out[FRAME_MAX / 8];

void story_say(struct story *s, const char *format, ...)
{
    must(s->outs < STORY_OUT);
    va_list args;
    va_start(args, format);
    vsnprintf(s->out[s->outs++], STORY_LINE, format, args);
    va_end(args);
}

void story_wrong(struct story *s, const char *what, const char *word)
{
    printf("%s:%u: %s %s\n", s->path, s->line, what, word);
    s->failed = true;
}

/* ---- the world ---- */

static void client_run(struct story *s, unsigned i)
{
    struct story_client *c = &s->client[i];
    struct world *w = s->w;
    struct instant now = {w->now};
    client_tick(c->core, now);
    if (client_broken(c->core)) {
        net_hang_up(&w->net, i);
        client_disconnected(c->core, now);
    }
    if (!c->connecting && client_wants_connection(c->core, now)) {
        c->connecting = true;
        net_connect(&w->net, i, LINK_UDP);
    }
    struct client_result r;
    while (client_result(c->core, &r))
        story_hear(s, i, &r);
    for (size_t n; w->net.link[i].up && (n = client_output(c->core, (uint8_t *)out, sizeof out, now)) > 0;)
        net_send(&w->net, i, (const uint8_t *)out, (uint32_t)n);
    uint64_t due = client_next_due(c->core).ns;
    if (due <= w->now)
        due = w->now + 1000;
    if (due != UINT64_MAX && (due < c->wake_at || c->wake_at <= w->now)) {
        c->wake_at = due;
        agenda_add(&w->agenda, due, ENTRY_ACTOR, i, 0, NULL);
    }
}

void story_wake(struct story *s, unsigned client)
{
    agenda_add(&s->w->agenda, s->w->now, ENTRY_ACTOR, client, 0, NULL);
}

static void packet_comes(struct story *s, struct packet *p)
{
    unsigned i = p->link;
    for (p = net_arrive(&s->w->net, p); p; p = net_backlog(&s->w->net, i)) {
        if (!s->client[i].deaf)
            client_input(s->client[i].core, (const uint8_t *)p->bytes, p->size, (struct instant){s->w->now});
        free(p);
        client_run(s, i);
    }
}

static void link_changes(struct story *s, unsigned i, uint32_t detail)
{
    struct instant now = {s->w->now};
    int what = net_changed(&s->w->net, i, detail);
    if (what < 0)
        return;
    s->client[i].connecting = false;
    if (what == LINK_OPENED)
        client_connected(s->client[i].core, now);
    else
        client_disconnected(s->client[i].core, now);
    client_run(s, i);
}

static void event(struct story *s, const struct entry *e)
{
    struct world *w = s->w;
    w->now = w->net.now = e->at;
    if (e->kind == ENTRY_PACKET)
        packet_comes(s, e->what);
    else if (e->kind == ENTRY_ACTOR)
        client_run(s, e->number);
    else if (e->kind == ENTRY_LINK)
        link_changes(s, e->number, e->detail);
    else if (e->at == w->broker.wake_at)
        broker_run(&w->broker);
    if (w->net.woken && broker_up(&w->broker))
        broker_wake(&w->broker, w->now);
    w->net.woken = false;
}

void story_run(struct story *s, uint64_t until)
{
    struct world *w = s->w;
    while (w->agenda.count > 0 && w->agenda.heap[0].at < until && !w->history.failed) {
        struct entry e;
        agenda_next(&w->agenda, &e);
        event(s, &e);
    }
    w->now = w->net.now = until;
    if (w->history.failed && !s->failed)
        story_wrong(s, w->history.text, "");
}

/* ---- what happens by itself ---- */

static const struct message *in_slot(const struct engine *e, const struct story_message *m)
{
    for (uint32_t i = 0; i < e->slots.used; i++) {
        const struct message *x = engine_message_at(e, i);
        if (x->state != MESSAGE_FREE && x->lsn.n == m->id.lsn.n)
            return x;
    }
    return NULL;
}

/* Looks where every message is; `tell`: says what has changed since the last look. */
static void look(struct story *s, bool tell)
{
    if (!broker_up(&s->w->broker))
        return;
    const struct engine *e = shard_engine(s->w->broker.shard);
    for (uint32_t i = 0; i < s->messages; i++) {
        struct story_message *m = &s->message[i];
        const struct message *x = m->known ? in_slot(e, m) : NULL;
        if (!x && m->state != MESSAGE_DELAYED)
            continue; /* never delivered yet: it waits in the chunks */
        uint8_t state = x ? x->state : MESSAGE_READY;
        uint32_t queue = x ? x->queue : m->queue;
        if (tell && m->state == MESSAGE_LEASED && queue != m->queue)
            story_say(s, "moved %u -> %s", i + 1, engine_queue_at(e, queue)->name.text);
        else if (tell && m->state == MESSAGE_LEASED && state == MESSAGE_READY)
            story_say(s, "expired %u -> ready", i + 1);
        else if (tell && m->state == MESSAGE_LEASED && state == MESSAGE_DEAD)
            story_say(s, "dead %u", i + 1);
        else if (tell && m->state == MESSAGE_DELAYED && state == MESSAGE_READY)
            story_say(s, "ripened %u -> ready", i + 1);
        m->state = state;
        m->queue = queue;
    }
}

/* ---- lines ---- */

/* Splits at white space; "a quoted text" is one word with its quotes. */
static unsigned split(char *text, char **words)
{
    unsigned n = 0;
    while (*text && n < STORY_WORDS) {
        while (isspace((unsigned char)*text))
            *text++ = 0;
        if (*text == 0)
            break;
        words[n++] = text;
        bool quoted = *text == '"';
        for (text++; *text && (quoted ? text[-1] != '"' || text == words[n - 1] + 1 : !isspace((unsigned char)*text));)
            text++;
    }
    return n;
}

static void command(struct story *s, char **words, unsigned n)
{
    struct broker *b = &s->w->broker;
    bool down = strcmp(words[0], "crash") == 0 || strcmp(words[0], "power") == 0;
    if (words[0][0] == 'c' && isdigit((unsigned char)words[0][1]) && n > 1) {
        unsigned client = (unsigned)atoi(words[0] + 1);
        if (client >= STORY_CLIENTS)
            return story_wrong(s, "no such client", words[0]);
        return story_ask(s, client, words + 1, n - 1);
    }
    if (down) {
        broker_end(b, words[0][0] == 'p' ? END_POWER : END_CRASH, UINT64_MAX);
        story_say(s, "down");
    } else if (strcmp(words[0], "start") == 0) {
        broker_wake(b, s->w->now);
    } else if (strcmp(words[0], "stop") == 0) {
        broker_stop(b);
    } else if (strcmp(words[0], "tick") != 0) {
        story_wrong(s, "unknown command", words[0]);
    }
}

/* Compares what came about with what the line says, one after the other. */
static void compare(struct story *s, unsigned line, char expected[][STORY_LINE], unsigned n)
{
    for (unsigned i = 0; (i < n || i < s->outs) && !s->failed; i++) {
        const char *want = i < n ? expected[i] : "(nothing)", *got = i < s->outs ? s->out[i] : "(nothing)";
        if (strcmp(want, got) == 0)
            continue;
        printf("%s:%u: expected > %s\n%*s came > %s\n", s->path, line, want, (int)strlen(s->path) + 4, "", got);
        s->failed = true;
    }
    s->outs = 0;
}

/* Cuts "> a > b" into texts without the white space around them. */
static unsigned causes(char *text, char expected[][STORY_LINE], unsigned n)
{
    for (char *at = text; at && n < STORY_OUT; n++) {
        char *next = strstr(at, "> ");
        next = next == at ? strstr(at + 2, " > ") : next;
        if (next)
            *next++ = 0;
        at += strncmp(at, "> ", 2) == 0 ? 2 : 0;
        while (isspace((unsigned char)*at))
            at++;
        size_t size = strlen(at);
        while (size > 0 && isspace((unsigned char)at[size - 1]))
            size--;
        snprintf(expected[n], STORY_LINE, "%.*s", (int)size, at);
        at = next;
    }
    return n;
}

/* A line whose causes are not all read yet. */
struct pending {
    unsigned line;
    bool tick; /* what it causes came about already */
    uint64_t at;
    unsigned n;
    char expected[STORY_OUT][STORY_LINE];
};

/* A command has causes for a moment; a tick has those of all the time before it. */
static void settle(struct story *s, struct pending *p, uint64_t until)
{
    if (p->line == 0)
        return;
    if (!p->tick) {
        story_run(s, p->at + STORY_MOMENT_NS < until ? p->at + STORY_MOMENT_NS : until);
        look(s, false);
    }
    compare(s, p->line, p->expected, p->n);
    p->line = 0;
}

static void pass(struct story *s, uint64_t until, bool tick)
{
    story_run(s, until);
    look(s, true);
    if (!tick && s->outs > 0 && !s->failed)
        story_wrong(s, "before this line a tick should say that it came about:", s->out[0]);
}

static void play_line(struct story *s, struct pending *p, char *text, uint64_t begin)
{
    char *words[STORY_WORDS];
    char *cause = text[strspn(text, " ")] == '>' ? text + strspn(text, " ") : strstr(text, " > ");
    if (cause && cause[0] == '>') {
        p->n = causes(cause, p->expected, p->n);
        return;
    }
    if (cause)
        *cause++ = 0;
    unsigned n = split(text, words);
    if (n == 0)
        return;
    if (strcmp(words[0], "queue") == 0) {
        story_ask_queue(s, words, n);
        story_wake(s, 0);
        story_run(s, s->w->now + STORY_SETTLE_NS);
        return;
    }
    char *end;
    uint64_t at = begin + (uint64_t)(strtod(words[0], &end) * 1e9 + 0.5);
    if (*end || n < 2 || at < s->w->now)
        return story_wrong(s, "a line begins with a time, none before the last:", words[0]);
    bool tick = strcmp(words[1], "tick") == 0;
    settle(s, p, at);
    if (!s->failed)
        pass(s, at, tick);
    p->line = s->line;
    p->tick = tick;
    p->at = at;
    p->n = cause ? causes(cause, p->expected, 0) : 0;
    if (!s->failed)
        command(s, words + 1, n - 1);
}

static void open_world(struct story *s)
{
    struct world *w = s->w;
    world_open(w);
    w->now = 1000;
    w->draw = (struct draw){.seed = 1,
                            .step_ns = 1000,
                            .net_us = 10,
                            .datagram_max = 8192,
                            .link_bytes = 1 << 20,
                            .disk_us = 20,
                            .disk_durable_writes = true};
    shard_defaults(&w->draw.broker);
    w->draw.broker.engine = (struct engine_capacity){64, 1024, 64};
    w->draw.broker.sessions = 64;
    w->draw.broker.body_max = 1000;
    w->draw.broker.journal.block_bytes_max = 65536;
    w->draw.broker.journal.segment_bytes = 1 << 20;
    w->draw.broker.journal.hot_bytes = 1 << 20;
    w->draw.broker.journal.ack_reserve = 8192;
    w->draw.broker.journal.disk_max = 64 << 20;
    net_open(&w->net, &w->agenda, &w->draw);
    w->net.now = w->now;
    w->net.faults = false;
    broker_open(&w->broker, w);
    for (unsigned i = 0; i < STORY_CLIENTS; i++) {
        struct client_config c = {
            .window = 16, .datagrams = true, .checksums = true, .datagram_max = 8192, .seed = i + 1};
        s->client[i].core = client_open(&c);
        must(s->client[i].core != NULL);
        agenda_add(&w->agenda, w->now + 100000, ENTRY_ACTOR, i, 0, NULL);
    }
    story_run(s, w->now + STORY_SETTLE_NS);
}

static void close_world(struct story *s)
{
    struct entry e;
    while (agenda_next(&s->w->agenda, &e))
        if (e.kind == ENTRY_PACKET)
            free(e.what);
    for (unsigned i = 0; i < STORY_CLIENTS; i++)
        client_close(s->client[i].core);
    broker_close(&s->w->broker);
    net_close(&s->w->net);
    world_close(s->w);
}

bool story_play(const char *path)
{
    FILE *f = fopen(path, "r");
    if (!f) {
        printf("%s: cannot be read\n", path);
        return false;
    }
    struct story *s = calloc(1, sizeof *s);
    struct pending *p = calloc(1, sizeof *p);
    must(s && p && (s->w = calloc(1, sizeof *s->w)) != NULL);
    s->path = path;
    open_world(s);
    char text[STORY_LINE];
    uint64_t begin = 0;
    while (!s->failed && fgets(text, sizeof text, f)) {
        s->line++;
        text[strcspn(text, "\n")] = 0;
        if (text[0] == '#' || text[strspn(text, " ")] == 0)
            continue;
        if (begin == 0 && strncmp(text, "queue", 5) != 0)
            begin = s->w->now;
        play_line(s, p, text, begin);
    }
    if (!s->failed)
        settle(s, p, UINT64_MAX);
    fclose(f);
    close_world(s);
    bool good = !s->failed;
    free(s->w);
    free(s);
    free(p);
    return good;
}

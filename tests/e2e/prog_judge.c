/* prog_judge.c - reads a history (history.h) and says which promises it breaks.
 *
 *   prog_judge FILE
 *
 * Prints one line a promise, "kept NAME" or "broken NAME: the first case, how many", then the counts of what was seen.
 * Exit: 0 when all were kept. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "must.h"

#define PROMISES(X)                                                                                                    \
    X(no_put_lost, "a put that was acknowledged was never delivered and acknowledged")                                 \
    X(ack_is_final, "delivered again after its ack was acknowledged")                                                  \
    X(no_phantom, "delivered, but nobody put it")                                                                      \
    X(failed_put_stays_failed, "delivered, but its put was refused")                                                   \
    X(one_put_one_message, "delivered under two ids")                                                                  \
    X(bodies_equal, "a body that nobody put")                                                                          \
    X(stale_receipts_refused, "an old receipt acknowledged a message")                                                 \
    X(drained, "the queue was not drained")

enum promise {
#define X(name, text) name,
    PROMISES(X)
#undef X
        promises
};

struct message {
    char outcome; /* of the put: o, f, u; 0: none */
    bool delivered, acked, ack_unknown;
    bool ack_stale, old_acked; /* the newest receipt was refused; an older one was not */
    char id[40];
};

static struct {
    uint64_t broken[promises];
    char first[promises][128];
    struct message *messages;
    uint64_t room;
    uint64_t puts, unknown, failed, deliveries, again, acks, stale, damaged;
} j;

static void broke(enum promise p, uint64_t n, const char *line)
{
    if (j.broken[p]++ == 0)
        snprintf(j.first[p], sizeof j.first[p], "message %llu (%.80s)", (unsigned long long)n, line);
}

static struct message *message_of(uint64_t n)
{
    if (n >= j.room) {
        uint64_t room = n * 2 + 1024;
        j.messages = realloc(j.messages, room * sizeof *j.messages);
        must(j.messages != NULL);
        memset(j.messages + j.room, 0, (room - j.room) * sizeof *j.messages);
        j.room = room;
    }
    return &j.messages[n];
}

static void check_id(struct message *m, uint64_t n, const char *id, const char *line)
{
    if (m->id[0] && strcmp(m->id, id) != 0)
        broke(one_put_one_message, n, line);
    snprintf(m->id, sizeof m->id, "%s", id);
}

static void read_put(const char *line, uint64_t n, const char *outcome, const char *id)
{
    struct message *m = message_of(n);
    m->outcome = outcome[0];
    j.puts += m->outcome == 'o';
    j.unknown += m->outcome == 'u';
    j.failed += m->outcome == 'f';
    if (m->outcome == 'o')
        check_id(m, n, id, line);
}

static void read_delivery(const char *line, uint64_t n, const char *id)
{
    struct message *m = message_of(n);
    j.deliveries++;
    j.again += m->delivered;
    m->delivered = true;
    check_id(m, n, id, line);
    if (m->acked)
        broke(ack_is_final, n, line);
}

static void read_ack(char kind, uint64_t n, const char *outcome)
{
    struct message *m = message_of(n);
    if (kind == 'x') {
        j.stale++;
        m->old_acked |= strcmp(outcome, "ok") == 0;
        m->ack_unknown |= strcmp(outcome, "unknown") == 0;
        return;
    }
    m->acked |= strcmp(outcome, "ok") == 0;
    m->ack_unknown |= strcmp(outcome, "unknown") == 0;
    m->ack_stale |= strcmp(outcome, "stale") == 0;
    j.acks += strcmp(outcome, "ok") == 0;
}

static bool read_line(const char *line, bool *is_drained)
{
    unsigned long long n = 0;
    char kind = 0, a[64] = "", b[64] = "";
    if (strcmp(line, "drained") == 0)
        return *is_drained = true;
    if (sscanf(line, "w %63s", a) == 1) {
        broke(bodies_equal, 0, line);
        return true;
    }
    if (sscanf(line, "c %llu", &n) == 1) {
        j.damaged += n;
        return true;
    }
    if (sscanf(line, "%c %llu %63s %63s", &kind, &n, a, b) < 3)
        return false;
    if (kind == 'p')
        read_put(line, n, a, b);
    else if (kind == 'd')
        read_delivery(line, n, a);
    else if (kind == 'a' || kind == 'x')
        read_ack(kind, n, a);
    else
        return false;
    return true;
}

/* What can only be said when everything has been read. A lease whose fact was not in the log when the broker died never
 * was: its receipt is refused, and then the one before it counts again. So an old receipt may acknowledge, but only
 * where the newer one was refused. */
static void judge_messages(void)
{
    for (uint64_t n = 0; n < j.room; n++) {
        const struct message *m = &j.messages[n];
        if (m->old_acked && (m->acked || !m->ack_stale))
            broke(stale_receipts_refused, n, m->id);
        if (m->outcome == 'o' && !m->acked && !m->ack_unknown && !m->old_acked)
            broke(no_put_lost, n, m->id);
        if (m->delivered && m->outcome == 0)
            broke(no_phantom, n, m->id);
        if (m->delivered && m->outcome == 'f')
            broke(failed_put_stays_failed, n, m->id);
    }
}

int main(int argc, char **argv)
{
    static const char *const names[] = {
#define X(name, text) #name,
        PROMISES(X)
#undef X
    };
    static const char *const texts[] = {
#define X(name, text) text,
        PROMISES(X)
#undef X
    };
    FILE *f = argc == 2 ? fopen(argv[1], "r") : NULL;
    if (!f) {
        fprintf(stderr, "prog_judge: %s\n", argc == 2 ? strerror(errno) : "usage: prog_judge FILE");
        return 64;
    }
    char line[256];
    bool is_drained = false;
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        if (!read_line(line, &is_drained)) {
            fprintf(stderr, "prog_judge: not a line of a history: %s\n", line);
            return 65;
        }
    }
    fclose(f);
    if (!is_drained)
        broke(drained, 0, "no such line");
    judge_messages();
    uint64_t all = 0;
    for (unsigned p = 0; p < promises; p++) {
        all += j.broken[p];
        if (j.broken[p])
            printf("broken %s: %s: %s, %llu in all\n", names[p], texts[p], j.first[p], (unsigned long long)j.broken[p]);
        else
            printf("kept %s\n", names[p]);
    }
    printf(
        "seen: %llu puts ok, %llu unknown, %llu refused; %llu deliveries, %llu of them again; %llu acks ok; %llu old "
        "receipts tried; %llu called damaged\n",
        (unsigned long long)j.puts, (unsigned long long)j.unknown, (unsigned long long)j.failed,
        (unsigned long long)j.deliveries, (unsigned long long)j.again, (unsigned long long)j.acks,
        (unsigned long long)j.stale, (unsigned long long)j.damaged);
    return all != 0;
}

/* survey.c - letters out, letters in. */
#include "survey.h"

#include <stdlib.h>
#include <string.h>

#include "must.h"

enum leat_status survey_open(struct survey *s, struct mailbox *shard, struct mailbox *program, uint32_t queues_max)
{
    memset(s, 0, sizeof *s);
    s->shard = shard;
    s->program = program;
    s->queues_max = queues_max;
    s->all_queues = calloc(queues_max ? queues_max : 1, sizeof *s->all_queues);
    if (!s->all_queues)
        return LEAT_NO_MEMORY;
    s->pulse = (struct letter){.kind = LETTER_QUEUES}; /* no queue has this number: the cheapest letter to answer */
    s->counters = (struct letter){.kind = LETTER_COUNTERS, .counters = &s->metrics.shard};
    s->ports = (struct letter){.kind = LETTER_PORTS, .ports = &s->metrics.ports};
    s->queues = (struct letter){.kind = LETTER_QUEUES, .queues = s->letter_queues};
    s->metrics.queues = s->all_queues;
    return LEAT_OK;
}

void survey_close(struct survey *s)
{
    free(s->all_queues);
}

/* Four letters at most are ever away: there is always room. */
static void post(struct mailbox *m, struct letter *l)
{
    bool posted = mailbox_post_xcore(m, l);
    must(posted);
}

void survey_ask(struct survey *s, enum question q)
{
    if (s->asked[q])
        return;
    s->asked[q] = true;
    if (q == PULSE) {
        s->pulse.from = UINT32_MAX;
        post(s->shard, &s->pulse);
        return;
    }
    s->away = 2;
    post(s->shard, &s->counters);
    post(s->program, &s->ports);
    s->metrics.queue_count = 0;
    if (s->queues_max > 0) {
        s->queues.from = 0;
        s->away++;
        post(s->shard, &s->queues);
    }
}

/* Keeps what fits; asks on while there is more and room. */
static void take_queues(struct survey *s)
{
    uint32_t room = s->queues_max - s->metrics.queue_count;
    uint32_t n = s->queues.count < room ? s->queues.count : room;
    must(s->queues.count <= LETTER_QUEUES_MAX);
    memcpy(s->all_queues + s->metrics.queue_count, s->letter_queues, n * sizeof *s->all_queues);
    s->metrics.queue_count += n;
    if (s->queues.from == UINT32_MAX || s->metrics.queue_count == s->queues_max)
        return;
    s->away++;
    post(s->shard, &s->queues);
}

unsigned survey_collect(struct survey *s)
{
    unsigned answered = 0;
    struct letter *l;
    while ((l = mailbox_collect_xcore(s->shard)) || (l = mailbox_collect_xcore(s->program))) {
        if (l == &s->pulse) {
            s->asked[PULSE] = false;
            answered |= 1u << PULSE;
            continue;
        }
        s->away--;
        if (l == &s->queues)
            take_queues(s);
        if (s->away == 0) {
            s->asked[SNAPSHOT] = false;
            answered |= 1u << SNAPSHOT;
        }
    }
    return answered;
}

/* survey.h - what the HTTP thread asks the shard's thread, letter by letter, and what came back.
 *
 * Two questions: a pulse (is the shard alive? one letter) and a snapshot (everything that /metrics says: counters,
 * ports, then the queues, 64 a letter, so that no letter holds the shard up for more than some microseconds). A
 * question under way is not asked twice: who asks meanwhile gets its answer too.
 *
 * Memory: allocated at open for `queues_max` queues; lent to the shard while letters are away, so a survey is closed
 * only when the shard's thread has ended. Failure: LEAT_NO_MEMORY at open; an answer that never comes never comes: the
 * asker looks at the clock. Thread: one, not a shard's. */
#ifndef LEAT_HTTP_SURVEY_H
#define LEAT_HTTP_SURVEY_H

#include <stdbool.h>

#include "mailbox.h"
#include "metrics.h"

enum question { PULSE, SNAPSHOT, QUESTIONS };

struct survey {
    struct mailbox *shard, *program;
    struct letter pulse, counters, ports, queues;
    struct reply_stat letter_queues[LETTER_QUEUES_MAX];
    struct metrics metrics; /* of the newest snapshot that is complete */
    struct reply_stat *all_queues;
    uint32_t queues_max;
    bool asked[QUESTIONS];
    unsigned away; /* letters of the snapshot */
};

enum leat_status survey_open(struct survey *s, struct mailbox *shard, struct mailbox *program, uint32_t queues_max);
void survey_close(struct survey *s);

void survey_ask(struct survey *s, enum question q);

/* survey_collect: takes in what came back; a bit (1 << question) for each question that is answered by it. */
unsigned survey_collect(struct survey *s);

#endif

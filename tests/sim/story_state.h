/* story_state.h - what the files of the story player share. Nobody else includes it.
 *
 *   story.c         lines: read, done at their time, compared
 *   story_ask.c     a command becomes a call of a client
 *   story_hear.c    an answer becomes words
 */
#ifndef LEAT_SIM_STORY_STATE_H
#define LEAT_SIM_STORY_STATE_H

#include "world.h"

enum {
    STORY_CLIENTS = 8,
    STORY_MESSAGES = 64,
    STORY_RECEIPTS = 16,
    STORY_CALLS = 32,
    STORY_LINE = 512,
    STORY_WORDS = 48,
    STORY_OUT = 64
};

struct story_call {
    bool open;
    uint8_t op;
    uint32_t message[STORY_CALLS]; /* put, ack, nack, extend: of each entry */
};

struct story_client {
    struct client *core;
    bool deaf;
    bool connecting;
    uint64_t wake_at;
    struct story_call call[STORY_CALLS];
};

struct story_message {
    char body[64];
    bool known; /* id is set */
    struct message_id id;
    uint8_t receipt[STORY_RECEIPTS][RECEIPT_BYTES];
    uint32_t attempt[STORY_RECEIPTS];
    uint32_t receipts;
    uint32_t queue; /* of the engine, as of the last look */
    uint8_t state;  /* enum message_state; MESSAGE_FREE: nowhere */
};

struct story {
    struct world *w;
    const char *path;
    unsigned line;
    struct story_client client[STORY_CLIENTS];
    struct story_message message[STORY_MESSAGES];
    uint32_t messages;
    char out[STORY_OUT][STORY_LINE];
    unsigned outs;
    bool failed;
};

/* story_say: one more thing that came about. story_wrong: the story itself cannot be played. */
void story_say(struct story *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void story_wrong(struct story *s, const char *what, const char *word);

/* story_ask: words of a client's command, from the verb on. */
void story_ask(struct story *s, unsigned client, char **words, unsigned n);
/* story_ask_queue: the line that makes a queue. */
void story_ask_queue(struct story *s, char **words, unsigned n);
/* story_ask_duration: "30s", "5ms", "20us", "1h". */
struct duration story_ask_duration(struct story *s, const char *text);

void story_hear(struct story *s, unsigned client, const struct client_result *r);

/* story_run: until this instant of the world. */
void story_run(struct story *s, uint64_t until);
void story_wake(struct story *s, unsigned client);

#endif

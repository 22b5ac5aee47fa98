/* bell.h - one thread wakes another: an eventfd that polls readable from the first ring until it is silenced.
 * Any number of rings before bell_silence() are one. Failure: bell_open() gives LEAT_NO_MEMORY (out of descriptors).
 * Thread: ring from any; silence from the one that is woken. */
#ifndef LEAT_OS_BELL_H
#define LEAT_OS_BELL_H

#include "status.h"

struct bell {
    int fd;
};

enum leat_status bell_open(struct bell *b);
void bell_close(struct bell *b);
void bell_ring(void *bell); /* as a function with a context, so that it can be handed on */
void bell_silence(struct bell *b);

#endif

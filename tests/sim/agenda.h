/* agenda.h - what happens when: a heap of events in virtual time; events of one instant keep the order of their making.
 *
 * Units: world nanoseconds. Memory: grows, used again by the next seed. Failure: none. Thread: one. */
#ifndef LEAT_SIM_AGENDA_H
#define LEAT_SIM_AGENDA_H

#include <stdbool.h>
#include <stdint.h>

enum entry_kind {
    ENTRY_PACKET, /* arrives: what = struct packet */
    ENTRY_ACTOR,  /* number: an actor wants to run */
    ENTRY_BROKER, /* the broker wants to run */
    ENTRY_LINK,   /* number: a link changes; detail: how, as net.h says */
};

struct entry {
    uint64_t at, order;
    void *what;
    uint32_t number, detail;
    uint8_t kind; /* enum entry_kind */
};

struct agenda {
    struct entry *heap;
    uint32_t count, room;
    uint64_t made;
};

void agenda_add(struct agenda *a, uint64_t at, uint8_t kind, uint32_t number, uint32_t detail, void *what);
/* agenda_next: takes the earliest out; false when there is none. */
bool agenda_next(struct agenda *a, struct entry *e);
void agenda_close(struct agenda *a);

#endif

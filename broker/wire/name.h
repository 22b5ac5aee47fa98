/* name.h - names and attributes of queues, as they travel. Units: bytes. Failure: false for anything malformed. Thread:
 * any (pure). */
#ifndef LEAT_WIRE_NAME_H
#define LEAT_WIRE_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "limits.h"
#include "units.h"

/* What a reply must have reached before it leaves. CLASS_DEFAULT in a put means the queue's own. */
enum durability { CLASS_DEFAULT = 0, CLASS_MEMORY = 1, CLASS_DISK = 2 };

struct name {
    uint8_t size; /* 0: no name */
    char text[NAME_MAX_BYTES];
};

struct queue_attributes {
    struct duration lease;   /* default lease of a take */
    struct duration delay;   /* default delay of a put */
    uint32_t max_attempts;   /* 0: unlimited */
    uint32_t body_max;       /* bytes; 0: the broker's limit */
    uint8_t durability;      /* memory or disk; default in a request: the broker's */
    struct name dead_letter; /* none: spent messages stay in the queue, dead, until it is dropped */
};

enum { NAME_BYTES = 88, NAME_ATTRIBUTES_BYTES = 120 };

/* name_valid: 1..80 characters of [A-Za-z0-9_.-]. */
bool name_valid(const char *text, size_t size);
/* name_set: false if it is not valid. */
bool name_set(struct name *name, const char *text, size_t size);
bool name_equal(const struct name *a, const struct name *b);

void name_encode(uint8_t out[NAME_BYTES], const struct name *name);
bool name_decode(struct name *name, const uint8_t in[NAME_BYTES]); /* size 0 is decoded too */
void name_attributes_encode(uint8_t out[NAME_ATTRIBUTES_BYTES], const struct queue_attributes *a);
bool name_attributes_decode(struct queue_attributes *a, const uint8_t in[NAME_ATTRIBUTES_BYTES]);

#endif

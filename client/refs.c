/* refs.c - four ways a set, the newest first; the oldest falls out. */
#include "refs.h"

#include <string.h>

#include "hash.h"

static unsigned set_of(const struct name *name)
{
    return (unsigned)(hash_bytes(name->text, name->size) % REFS_SETS);
}

/* The way that has this name, or REFS_WAYS. */
static unsigned way_of(const struct refs *r, unsigned set, const struct name *name)
{
    unsigned way = 0;
    while (way < REFS_WAYS && !name_equal(&r->entries[set][way].name, name))
        way++;
    return way;
}

bool refs_find(const struct refs *r, const struct name *name, struct queue_ref *queue)
{
    unsigned set = set_of(name), way = way_of(r, set, name);
    if (way == REFS_WAYS)
        return false;
    *queue = r->entries[set][way].queue;
    return true;
}

void refs_put(struct refs *r, const struct name *name, struct queue_ref queue)
{
    unsigned set = set_of(name), way = way_of(r, set, name);
    if (way == REFS_WAYS)
        way--;
    memmove(&r->entries[set][1], &r->entries[set][0], way * sizeof r->entries[set][0]);
    r->entries[set][0].name = *name;
    r->entries[set][0].queue = queue;
}

void refs_drop(struct refs *r, const struct name *name)
{
    unsigned set = set_of(name), way = way_of(r, set, name);
    if (way < REFS_WAYS)
        r->entries[set][way].name.size = 0;
}

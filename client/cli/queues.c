/* queues.c - listings. */
#include "queues.h"

#include <stdlib.h>

const char *queues_class(enum leat_durability durability)
{
    return durability == LEAT_CLASS_MEMORY ? "memory" : durability == LEAT_CLASS_DISK ? "disk" : "default";
}

enum leat_status queues_all(struct leat *l, struct leat_queue_stat **stats, size_t *count)
{
    size_t room = 64;
    *stats = NULL;
    *count = 0;
    for (;;) {
        struct leat_queue_stat *larger = realloc(*stats, room * sizeof **stats);
        if (!larger)
            return LEAT_NO_MEMORY;
        *stats = larger;
        size_t more = room - *count;
        enum leat_status status = leat_queue_list(l, *count ? larger[*count - 1].name : NULL, larger + *count, &more);
        *count += more;
        if (status != LEAT_OK || *count < room)
            return status;
        room *= 2;
    }
}

static void add(json_t *o, const char *name, uint64_t n)
{
    json_object_set_new(o, name, json_integer((json_int_t)n));
}

json_t *queues_json(const struct leat_queue_stat *s)
{
    json_t *o = json_object();
    json_object_set_new(o, "name", json_string(s->name));
    add(o, "ready", s->ready);
    add(o, "leased", s->leased);
    add(o, "delayed", s->delayed);
    add(o, "dead", s->dead);
    add(o, "bytes", s->bytes);
    add(o, "puts", s->puts);
    add(o, "takes", s->takes);
    add(o, "acks", s->acks);
    add(o, "nacks", s->nacks);
    add(o, "expiries", s->expiries);
    add(o, "dead_letters", s->dead_letters);
    add(o, "parked", s->parked);
    add(o, "oldest_ready_ms", s->oldest_ready_ns / LEAT_MILLISECOND);
    add(o, "oldest_leased_ms", s->oldest_leased_ns / LEAT_MILLISECOND);
    add(o, "oldest_delayed_ms", s->oldest_delayed_ns / LEAT_MILLISECOND);
    add(o, "lease_ms", s->lease_ns / LEAT_MILLISECOND);
    add(o, "delay_ms", s->delay_ns / LEAT_MILLISECOND);
    add(o, "max_attempts", s->max_attempts);
    add(o, "body_max", s->body_max);
    json_object_set_new(o, "class", json_string(queues_class(s->durability)));
    json_object_set_new(o, "dead_letter", *s->dead_letter ? json_string(s->dead_letter) : json_null());
    return o;
}

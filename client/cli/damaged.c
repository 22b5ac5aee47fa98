/* damaged.c - a receipt begins with the id of its message (PROTOCOL.md), which tells them apart even where it is no id
 * any more; the rest is of the lease. They are few, so the list is searched from front to back. */
#include "damaged.h"

#include <stdlib.h>
#include <string.h>

#include "report.h"

enum { FIRST_ROOM = 64 };

void damaged_open(struct damaged *d)
{
    *d = (struct damaged){0};
    pthread_mutex_init(&d->lock, NULL);
}

void damaged_close(struct damaged *d)
{
    pthread_mutex_destroy(&d->lock);
    free(d->names);
}

void damaged_say(const char *queue, const struct leat_message *m)
{
    char receipt[LEAT_RECEIPT_TEXT];
    leat_receipt_text(&m->receipt, receipt);
    report_data(LEAT_CORRUPT, "%s: message %s is damaged on the broker's disk; its receipt is %s", queue,
                m->id[0] ? m->id : "(its id is lost, too)", receipt);
}

static bool known(const struct damaged *d, const unsigned char *name)
{
    for (size_t i = 0; i < d->count; i++)
        if (memcmp(d->names[i], name, DAMAGED_NAME_BYTES) == 0)
            return true;
    return false;
}

static bool grow(struct damaged *d)
{
    size_t room = d->room ? d->room * 2 : FIRST_ROOM;
    void *larger = room <= DAMAGED_MAX ? realloc(d->names, room * sizeof *d->names) : NULL;
    if (!larger)
        return false;
    d->names = larger;
    d->room = room;
    return true;
}

size_t damaged_tell(struct damaged *d, const char *queue, const struct leat_message *messages, size_t count)
{
    size_t fresh = 0;
    pthread_mutex_lock(&d->lock);
    for (size_t i = 0; i < count && !d->full; i++) {
        if (known(d, messages[i].receipt.bytes))
            continue;
        if (d->count == d->room && !grow(d)) {
            d->full = true;
            report_data(LEAT_CORRUPT, "%s: more are damaged; they are not named", queue);
            break;
        }
        memcpy(d->names[d->count++], messages[i].receipt.bytes, DAMAGED_NAME_BYTES);
        damaged_say(queue, &messages[i]);
        fresh++;
    }
    pthread_mutex_unlock(&d->lock);
    return fresh;
}

size_t damaged_count(struct damaged *d, bool *full)
{
    pthread_mutex_lock(&d->lock);
    size_t count = d->count;
    *full = d->full;
    pthread_mutex_unlock(&d->lock);
    return count;
}

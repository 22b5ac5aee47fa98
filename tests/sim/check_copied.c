/* check_copied.c - see check_copied.h. */
#include "check_copied.h"

#include <stdlib.h>

#include "must.h"

static int compare(const void *a, const void *b)
{
    const struct lsn *x = a, *y = b;
    return x->n < y->n ? -1 : x->n > y->n;
}

static struct lsn *grow(struct lsn *list, uint32_t n)
{
    if (n & (n - 1)) /* grown at each power of 2 */
        return list;
    list = realloc(list, (n ? 2ul * n : 1) * sizeof *list);
    must(list != NULL);
    return list;
}

/* Acked before the backup was asked for, by an ack that no crash can have taken away. */
static bool is_gone(const struct history *h, uint32_t message, struct stamp asked)
{
    const struct seen_message *m = &h->messages[message];
    return m->acks > 0 && m->ack_ended.world <= asked.world && history_is_disk(h, message);
}

void check_copied_want(struct copied *want, const struct history *h, struct stamp asked, uint64_t position)
{
    *want = (struct copied){.position = position};
    for (uint32_t i = 0; i < h->n_puts; i++) {
        if (!history_needs(h, i) || h->puts[i].ended.world > asked.world)
            continue;
        want->needed = grow(want->needed, want->n_needed);
        want->needed[want->n_needed++] = h->messages[h->puts[i].message].id.lsn;
    }
    for (uint32_t i = 0; i < h->n_messages; i++) {
        if (!is_gone(h, i, asked))
            continue;
        want->gone = grow(want->gone, want->n_gone);
        want->gone[want->n_gone++] = h->messages[i].id.lsn;
    }
}

void check_copied_free(struct copied *want)
{
    free(want->needed);
    free(want->gone);
    *want = (struct copied){0};
}

void check_copied_found(struct history *h, const struct copied *want, struct lsn *found, uint32_t n)
{
    if (n > 0)
        qsort(found, n, sizeof *found, compare);
    for (uint32_t i = 0; i < want->n_needed; i++)
        if (n == 0 || !bsearch(&want->needed[i], found, n, sizeof *found, compare))
            return history_fail(h, "S2: a backup as of block %llu lacks the message of block %llu, index %u",
                                (unsigned long long)want->position, (unsigned long long)lsn_block(want->needed[i]),
                                lsn_index(want->needed[i]));
    for (uint32_t i = 0; i < want->n_gone; i++)
        if (n > 0 && bsearch(&want->gone[i], found, n, sizeof *found, compare))
            return history_fail(
                h, "I9: a backup as of block %llu has the message of block %llu, index %u, which was acked before",
                (unsigned long long)want->position, (unsigned long long)lsn_block(want->gone[i]),
                lsn_index(want->gone[i]));
    if (n > 0 && lsn_block(found[n - 1]) > want->position)
        history_fail(h, "S2: a backup as of block %llu has a message of block %llu", (unsigned long long)want->position,
                     (unsigned long long)lsn_block(found[n - 1]));
}

void check_copied(struct history *h, const struct copied *want, const struct engine *e)
{
    struct lsn *found = NULL;
    struct message_body body;
    uint32_t n = 0;
    struct engine_walk walk = {0};
    while (engine_walk(e, &walk, &body)) {
        found = grow(found, n);
        found[n++] = body.lsn;
    }
    check_copied_found(h, want, found, n);
    free(found);
}

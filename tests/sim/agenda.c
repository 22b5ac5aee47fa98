/* agenda.c - a binary heap. */
#include "agenda.h"

#include <stdlib.h>
#include <string.h>

#include "must.h"

static bool before(const struct entry *a, const struct entry *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

void agenda_add(struct agenda *a, uint64_t at, uint8_t kind, uint32_t number, uint32_t detail, void *what)
{
    if (a->count == a->room) {
        a->room = a->room ? 2 * a->room : 1024;
        a->heap = realloc(a->heap, a->room * sizeof *a->heap);
        must(a->heap != NULL);
    }
    struct entry e = {at, a->made++, what, number, detail, kind};
    uint32_t i = a->count++;
    for (; i > 0 && before(&e, &a->heap[(i - 1) / 2]); i = (i - 1) / 2)
        a->heap[i] = a->heap[(i - 1) / 2];
    a->heap[i] = e;
}

bool agenda_next(struct agenda *a, struct entry *e)
{
    if (a->count == 0)
        return false;
    *e = a->heap[0];
    struct entry last = a->heap[--a->count];
    uint32_t i = 0;
    for (uint32_t child; (child = 2 * i + 1) < a->count; i = child) {
        if (child + 1 < a->count && before(&a->heap[child + 1], &a->heap[child]))
            child++;
        if (!before(&a->heap[child], &last))
            break;
        a->heap[i] = a->heap[child];
    }
    a->heap[i] = last;
    return true;
}

void agenda_close(struct agenda *a)
{
    free(a->heap);
    memset(a, 0, sizeof *a);
}

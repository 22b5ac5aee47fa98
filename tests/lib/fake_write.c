/* fake_write.c - writes that are not durable yet, and how they become so. See fake_inside.h. */
#include <stdlib.h>
#include <string.h>

#include "fake_inside.h"
#include "must.h"

void fake_write_add(struct disk *d, const struct write *w)
{
    if (d->write_count == d->write_room) {
        d->write_room = d->write_room ? d->write_room * 2 : 64;
        d->writes = realloc(d->writes, d->write_room * sizeof d->writes[0]);
        must(d->writes);
    }
    d->writes[d->write_count++] = *w;
}

static void promote(struct disk *d, const struct write *w)
{
    struct file *f = &d->files[w->file];
    for (uint64_t at = w->offset; at < w->offset + w->size; at += DISK_BLOCK) {
        uint64_t left = w->offset + w->size - at;
        struct page *p = fake_disk_page(f, at);
        memcpy(p->durable, p->seen, left < DISK_BLOCK ? left : DISK_BLOCK);
    }
}

/* Every record of the file that the flush covers is promoted, or marked lost when it failed. A record that completed
 * after the flush was submitted has a newer id than the flush's horizon. */
void fake_write_flushed(struct disk *d, const struct op *o)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < d->write_count; i++) {
        struct write *w = &d->writes[i];
        bool covered = w->file == o->file && w->state == COMPLETE && w->id <= o->horizon;
        if (covered && o->result == 0) {
            promote(d, w);
            continue;
        }
        if (covered)
            w->state = LOST;
        d->writes[kept++] = *w;
    }
    d->write_count = kept;
}

void fake_disk_settle(struct disk *d)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < d->write_count; i++)
        if (d->writes[i].state == COMPLETE)
            promote(d, &d->writes[i]);
        else
            d->writes[kept++] = d->writes[i];
    d->write_count = kept;
}

/* What is durable now can no longer be lost with an older write of the same place. */
static void supersede(struct disk *d, const struct write *by)
{
    uint64_t from = by->offset, end = by->offset + by->size;
    for (uint32_t i = d->write_count; i-- > 0;) {
        struct write w = d->writes[i];
        uint64_t last = w.offset + w.size;
        if (w.file != by->file || w.state == UNDER_WAY || w.id > by->id || w.offset >= end || from >= last)
            continue;
        d->writes[i].size = w.offset < from ? (uint32_t)(from - w.offset) : 0;
        if (d->writes[i].size == 0) {
            memmove(d->writes + i, d->writes + i + 1, (d->write_count - i - 1) * sizeof d->writes[0]);
            d->write_count--;
        }
        if (last > end) {
            w.offset = end;
            w.size = (uint32_t)(last - end);
            fake_write_add(d, &w);
        }
    }
}

void fake_write_done(struct disk *d, const struct op *o)
{
    uint32_t i = 0;
    while (d->writes[i].id != o->write)
        i++;
    if (o->result <= 0)
        return; /* nobody knows what became of it */
    if (!o->durable) {
        /* a new name, so that a flush that was submitted before does not cover it */
        d->writes[i].id = ++d->next_id;
        d->writes[i].state = COMPLETE;
        return;
    }
    struct write done = d->writes[i];
    promote(d, &done);
    memmove(d->writes + i, d->writes + i + 1, (d->write_count - i - 1) * sizeof d->writes[0]);
    d->write_count--;
    supersede(d, &done);
}

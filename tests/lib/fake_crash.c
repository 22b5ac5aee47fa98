/* fake_crash.c - the power goes, and bytes rot. See fake_disk.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fake_inside.h"
#include "must.h"

/* -- the end of the world -- */

enum fate { KEEP, DROP, TORN_SECTORS, TORN_PAGES, PREFIX, ZEROS };

static enum fate draw_fate(struct disk *d, const struct write *w)
{
    static const uint8_t table[16] = {KEEP,       KEEP,       KEEP,   KEEP,         DROP,         DROP,
                                      DROP,       DROP,       PREFIX, TORN_SECTORS, TORN_SECTORS, TORN_SECTORS,
                                      TORN_PAGES, TORN_PAGES, PREFIX, ZEROS};
    uint64_t drawn = prng_below(&d->fate, 16);
    return w->state == LOST ? DROP : (enum fate)table[drawn];
}

static void decide(struct disk *d, const struct write *w)
{
    struct file *f = &d->files[w->file];
    enum fate fate = draw_fate(d, w);
    uint64_t cut = fate == PREFIX ? w->offset + prng_below(&d->fate, w->size / SECTOR + 1) * SECTOR : 0;
    bool keep = false;
    for (uint64_t at = w->offset; at < w->offset + w->size; at += SECTOR) {
        struct page *p = fake_disk_page(f, at);
        uint64_t in = at % DISK_BLOCK;
        if (fate == TORN_SECTORS || ((fate == TORN_PAGES || fate == ZEROS) && (in == 0 || at == w->offset)))
            keep = prng_chance(&d->fate, 50);
        if (fate == KEEP || (fate == PREFIX && at < cut) || ((fate == TORN_SECTORS || fate == TORN_PAGES) && keep))
            memcpy(p->durable + in, p->seen + in, SECTOR);
        if (fate == ZEROS && keep)
            memset(p->durable + in, 0, SECTOR);
    }
}

static void show_durable(struct disk *d, const struct write *w)
{
    struct file *f = &d->files[w->file];
    for (uint64_t at = w->offset; at < w->offset + w->size; at += SECTOR) {
        struct page *p = fake_disk_page(f, at);
        memcpy(p->seen + at % DISK_BLOCK, p->durable + at % DISK_BLOCK, SECTOR);
    }
}

/* A name that was made or removed and not synced: either way. */
static void decide_names(struct disk *d)
{
    for (uint32_t i = 0; i < FILES; i++) {
        struct file *f = &d->files[i];
        if (!f->undecided)
            continue;
        f->there = f->there == f->there_durable ? f->there : prng_chance(&d->fate, 50);
        f->undecided = false;
        f->there_durable = f->there;
    }
    for (uint32_t i = 0; i < FILES; i++)
        for (uint32_t k = i + 1; k < FILES && d->files[i].there; k++)
            if (d->files[k].there && strcmp(d->files[i].name, d->files[k].name) == 0)
                d->files[i].there = d->files[i].there_durable = false;
}

void fake_crash_forget(struct disk *d)
{
    memset(d->ops, 0, sizeof d->ops);
    d->op_count = d->done_count = d->done_head = 0;
    memset(d->countdown, 0, sizeof d->countdown);
    d->misdirect = 0;
    d->lying_reads = 0;
    d->create_failures = 0;
    d->creating = false;
    for (uint32_t i = 0; i < HANDLES; i++)
        d->handles[i] = -1;
    d->die_at = UINT64_MAX;
}

/* A file that was growing in the background may have got some of the way. */
static void decide_creation(struct disk *d)
{
    struct file *f = d->creating ? fake_disk_find(d, d->creating_name) : NULL;
    if (!f || d->creating_size <= f->size || fake_disk_dead(d))
        return;
    uint64_t pages = (d->creating_size - f->size) / DISK_BLOCK;
    fake_disk_grow(f, f->size + prng_below(&d->fate, pages + 1) * DISK_BLOCK);
}

void fake_disk_crash(struct disk *d)
{
    decide_creation(d);
    for (uint32_t i = 0; i < d->write_count; i++)
        decide(d, &d->writes[i]);
    for (uint32_t i = 0; i < d->write_count; i++)
        show_durable(d, &d->writes[i]);
    d->write_count = 0;
    fake_lie_crashed(d);
    decide_names(d);
    fake_crash_forget(d);
    fake_disk_sweep(d);
}

void fake_disk_kill(struct disk *d)
{
    decide_creation(d);
    for (uint32_t i = 0; i < d->write_count; i++)
        if (d->writes[i].state == UNDER_WAY)
            d->writes[i].state = COMPLETE;
    fake_crash_forget(d);
    fake_disk_sweep(d);
}

bool fake_disk_peek(struct disk *d, const char *name, uint64_t offset, void *bytes, uint64_t size)
{
    struct file *f = fake_disk_find(d, name);
    if (!f || offset + size > f->size)
        return false;
    for (uint64_t at = 0, n; at < size; at += n) {
        const struct page *p = f->pages[(offset + at) / DISK_BLOCK];
        uint64_t in = (offset + at) % DISK_BLOCK;
        n = DISK_BLOCK - in < size - at ? DISK_BLOCK - in : size - at;
        if (p)
            memcpy((uint8_t *)bytes + at, p->durable + in, n);
        else
            memset((uint8_t *)bytes + at, 0, n);
    }
    return true;
}

bool fake_disk_poke(struct disk *d, const char *name, uint64_t offset, const void *bytes, uint64_t size)
{
    struct file *f = fake_disk_find(d, name);
    if (!f || offset + size > f->size)
        return false;
    for (uint64_t at = 0, n; at < size; at += n) {
        struct page *p = fake_disk_page(f, offset + at);
        uint64_t in = (offset + at) % DISK_BLOCK;
        n = DISK_BLOCK - in < size - at ? DISK_BLOCK - in : size - at;
        memcpy(p->durable + in, (const uint8_t *)bytes + at, n);
        memcpy(p->seen + in, (const uint8_t *)bytes + at, n);
    }
    return true;
}

bool fake_disk_spoil(struct disk *d, const char *name, uint64_t offset)
{
    struct file *f = fake_disk_find(d, name);
    if (!f || offset >= f->size)
        return false;
    f->spoiled[offset / DISK_BLOCK] = true;
    return true;
}

bool fake_disk_cut(struct disk *d, const char *name, uint64_t size)
{
    struct file *f = fake_disk_find(d, name);
    if (!f || size > f->size)
        return false;
    for (uint64_t i = size / DISK_BLOCK; i < f->size / DISK_BLOCK; i++) {
        fake_disk_free_page(f->pages[i]);
        f->pages[i] = NULL;
    }
    f->size = size;
    return true;
}

bool fake_disk_copy(struct disk *d, const char *from, const char *to)
{
    struct file *f = fake_disk_find(d, from);
    int handle = f ? disk_create(d, to, f->size) : -ENOENT;
    if (handle < 0)
        return false;
    disk_sync_directory(d);
    struct file *copy = &d->files[d->handles[handle]];
    for (uint64_t i = 0; i < f->size / DISK_BLOCK; i++)
        if (f->pages[i])
            memcpy(fake_disk_page(copy, i * DISK_BLOCK), f->pages[i], sizeof(struct page));
    disk_close(d, (uint32_t)handle);
    return true;
}

bool fake_disk_lose(struct disk *d, const char *name)
{
    return disk_remove(d, name) == 0 && disk_sync_directory(d) == 0;
}

bool fake_disk_rename(struct disk *d, const char *from, const char *to)
{
    struct file *f = fake_disk_find(d, from);
    if (!f || fake_disk_find(d, to))
        return false;
    memset(f->name, 0, sizeof f->name);
    memcpy(f->name, to, strlen(to));
    f->there_durable = true;
    f->undecided = false;
    return true;
}

bool fake_disk_heal(struct disk *d, const char *name)
{
    struct file *f = fake_disk_find(d, name);
    if (!f)
        return false;
    memset(f->spoiled, 0, f->size / DISK_BLOCK * sizeof f->spoiled[0]);
    return true;
}

int64_t fake_disk_size_of(struct disk *d, const char *name)
{
    const struct file *f = fake_disk_find(d, name);
    return f ? (int64_t)f->size : -ENOENT;
}

/* -- a second one -- */

static void *copy_of(const void *bytes, uint64_t size)
{
    void *copy = malloc(size + 1);
    must(copy);
    if (size > 0)
        memcpy(copy, bytes, size);
    return copy;
}

struct disk *fake_disk_clone(const struct disk *d)
{
    struct disk *c = copy_of(d, sizeof *d);
    c->memory = NULL; /* whoever opens it gets an area of its own */
    c->writes = copy_of(d->writes, d->write_room * sizeof d->writes[0]);
    if (d->lies)
        c->lies = copy_of(d->lies, LIES * sizeof d->lies[0]);
    for (uint32_t i = 0; i < FILES; i++) {
        struct file *f = &c->files[i];
        uint64_t pages = f->size / DISK_BLOCK;
        if (!f->name[0])
            continue;
        f->pages = copy_of(f->pages, pages * sizeof f->pages[0]);
        f->spoiled = copy_of(f->spoiled, pages * sizeof f->spoiled[0]);
        for (uint64_t k = 0; k < pages; k++) {
            const struct page *p = f->pages[k];
            if (p)
                memcpy(f->pages[k] = fake_disk_new_page(), p, sizeof *p);
        }
    }
    return c;
}

/* -- for tests -- */

unsigned fake_disk_under_way(const struct disk *d)
{
    return d->op_count;
}

uint64_t fake_disk_bytes_read(const struct disk *d)
{
    return d->bytes_read;
}

void fake_disk_resize(struct disk *d, uint64_t capacity)
{
    d->config.capacity = capacity;
}

void fake_disk_create_fail(struct disk *d, uint32_t times)
{
    d->create_failures = times;
}

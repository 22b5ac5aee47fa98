/* fake_disk.c - the run time and the files of the fake disk; crashes and damage are in fake_crash.c. */
#include "fake_disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_inside.h"
#include "must.h"

/* Counts an event; false when the disk is dead. */
static bool alive(struct disk *d)
{
    if (d->events >= d->die_at)
        return false;
    d->events++;
    return true;
}

bool fake_disk_dead(const struct disk *d)
{
    return d->events >= d->die_at;
}

uint64_t fake_disk_events(const struct disk *d)
{
    return d->events;
}

void fake_disk_die(struct disk *d, uint64_t events)
{
    d->die_at = d->events + events;
}

/* -- pages -- */

static struct page *free_pages; /* linked through their first bytes */

struct page *fake_disk_new_page(void)
{
    struct page *p = free_pages;
    if (p)
        memcpy(&free_pages, (const void *)p, sizeof(void *));
    else
        p = malloc(sizeof *p);
    must(p);
    memset(p, 0, sizeof *p);
    return p;
}

void fake_disk_free_page(struct page *p)
{
    if (!p)
        return;
    memcpy((void *)p, &free_pages, sizeof(void *));
    free_pages = p;
}

static struct page *page_at(struct file *f, uint64_t offset)
{
    return f->pages[offset / DISK_BLOCK];
}

struct page *fake_disk_page(struct file *f, uint64_t offset)
{
    struct page **p = &f->pages[offset / DISK_BLOCK];
    if (!*p)
        *p = fake_disk_new_page();
    return *p;
}

void fake_disk_grow(struct file *f, uint64_t size)
{
    uint64_t old = f->size / DISK_BLOCK, pages = (size + DISK_BLOCK - 1) / DISK_BLOCK;
    if (size <= f->size)
        return;
    f->pages = realloc(f->pages, pages * sizeof f->pages[0]);
    f->spoiled = realloc(f->spoiled, pages * sizeof f->spoiled[0]);
    must(f->pages && f->spoiled);
    memset(f->pages + old, 0, (pages - old) * sizeof f->pages[0]);
    memset(f->spoiled + old, 0, (pages - old) * sizeof f->spoiled[0]);
    f->size = size;
}

static void file_free(struct file *f)
{
    for (uint64_t i = 0; i < f->size / DISK_BLOCK; i++)
        fake_disk_free_page(f->pages[i]);
    free(f->pages);
    free(f->spoiled);
    memset(f, 0, sizeof *f);
}

struct file *fake_disk_find(struct disk *d, const char *name)
{
    for (uint32_t i = 0; i < FILES; i++)
        if (d->files[i].there && strcmp(d->files[i].name, name) == 0)
            return &d->files[i];
    return NULL;
}

/* -- run time -- */

static struct file *handle_file(struct disk *d, uint32_t handle)
{
    must(handle < HANDLES && d->handles[handle] >= 0);
    return &d->files[d->handles[handle]];
}

static void op_write(struct disk *d, struct file *f, const struct disk_op *op, struct op *o)
{
    uint32_t size = o->result > 0 && (uint32_t)o->result < op->size ? (uint32_t)o->result : op->size;
    struct fake_place to = fake_lie_write(d, f, op, size == op->size);
    bool astray = to.file != f || to.offset != op->offset;
    for (uint32_t at = 0; at < size; at += DISK_BLOCK) {
        struct page *p = fake_disk_page(to.file, to.offset + at);
        uint32_t n = size - at < DISK_BLOCK ? size - at : DISK_BLOCK;
        memcpy(p->seen, (const uint8_t *)op->data + at, n);
        if (astray) /* for good: no flush and no crash decides on it */
            memcpy(p->durable, (const uint8_t *)op->data + at, n);
        to.file->spoiled[(to.offset + at) / DISK_BLOCK] = false;
    }
    struct write w = {.offset = op->offset, .size = astray ? 0 : size, .state = UNDER_WAY};
    w.file = (uint32_t)(f - d->files);
    w.id = o->write = ++d->next_id;
    fake_write_add(d, &w);
}

static void fill(struct file *f, uint64_t offset, uint8_t *data, uint32_t size)
{
    for (uint32_t at = 0; at < size; at += DISK_BLOCK) {
        const struct page *p = page_at(f, offset + at);
        if (p)
            memcpy(data + at, p->seen, DISK_BLOCK);
        else
            memset(data + at, 0, DISK_BLOCK);
    }
}

static void op_read(struct disk *d, struct file *f, const struct disk_op *op, struct op *o)
{
    if (o->result < 0)
        return;
    for (uint32_t at = 0; at < op->size; at += DISK_BLOCK) {
        if (f->spoiled[(op->offset + at) / DISK_BLOCK]) {
            o->result = -EIO;
            return;
        }
    }
    if (o->result == (int32_t)op->size) {
        o->data = op->data;
        o->offset = op->offset;
    } else {
        fill(f, op->offset, op->data, op->size);
    }
    d->bytes_read += op->size;
}

/* How long, and what happens to it. */
static void op_draw(struct disk *d, struct op *o, const struct disk_op *op)
{
    uint64_t min = d->config.latency_min.ns, max = d->config.latency_max.ns;
    if (d->config.spike_permille > 0 && prng_below(&d->time, 1000) < d->config.spike_permille)
        max = min + d->config.spike_max.ns;
    o->due = d->now + min + (max > min ? prng_below(&d->time, max - min + 1) : 0);
    o->result = op->kind == DISK_FLUSH ? 0 : (int32_t)op->size;
    if (d->countdown[op->kind] > 0 && --d->countdown[op->kind] == 0) {
        int32_t failure = d->failure[op->kind];
        o->result = failure < o->result ? failure : o->result;
        return;
    }
    if (op->kind == DISK_WRITE && op->size > SECTOR && prng_chance(&d->fate, d->config.short_percent))
        o->result = (int32_t)(SECTOR * (1 + prng_below(&d->fate, op->size / SECTOR - 1)));
}

bool disk_submit(struct disk *d, const struct disk_op *op)
{
    struct file *f = handle_file(d, op->file);
    must(op->kind == DISK_FLUSH || (op->offset | op->size | (uintptr_t)op->data) % DISK_BLOCK == 0);
    must(op->kind == DISK_FLUSH || (op->size > 0 && op->offset + op->size <= f->size));
    if (d->op_count + d->done_count >= OPS)
        return false;
    unsigned i = 0;
    while (d->ops[i].used)
        i++;
    struct op *o = &d->ops[i];
    *o = (struct op){.tag = op->tag,
                     .id = ++d->next_id,
                     .file = (uint32_t)(f - d->files),
                     .kind = op->kind,
                     .durable = op->durable,
                     .used = true};
    d->op_count++;
    if (!alive(d)) {
        o->result = -EIO;
        o->kind = DISK_READ; /* no effect */
        return true;
    }
    op_draw(d, o, op);
    if (op->kind == DISK_WRITE)
        op_write(d, f, op, o);
    else if (op->kind == DISK_READ)
        op_read(d, f, op, o);
    for (uint32_t w = 0; w < d->write_count && op->kind == DISK_FLUSH; w++)
        if (d->writes[w].state == COMPLETE && d->writes[w].file == o->file)
            o->horizon = d->writes[w].id > o->horizon ? d->writes[w].id : o->horizon;
    return true;
}

/* What was written while the read was under way may be what it gives. */
static void read_done(struct disk *d, const struct op *o)
{
    struct file *f = &d->files[o->file];
    fill(f, o->offset, o->data, (uint32_t)o->result);
    fake_lie_read(d, f, o->offset, o->data, (uint32_t)o->result);
}

static void complete(struct disk *d, struct op *o)
{
    if (o->create) {
        d->creating = false;
        if (o->result == 0) {
            o->result = disk_create(d, d->creating_name, d->creating_size);
            disk_sync_directory(d);
        }
    } else if (!alive(d)) {
        o->result = -EIO;
    } else if (o->kind == DISK_FLUSH) {
        fake_write_flushed(d, o);
    } else if (o->kind == DISK_WRITE) {
        fake_write_done(d, o);
    } else if (o->data) {
        read_done(d, o);
    }
    must(d->done_count <= OPS);
    d->done[(d->done_head + d->done_count++) % (OPS + 1)] = (struct disk_done){o->tag, o->result};
    o->used = false;
    d->op_count--;
}

/* The one that is due first, or NULL. */
static struct op *earliest(struct disk *d)
{
    struct op *best = NULL;
    unsigned left = d->op_count;
    for (unsigned i = 0; left > 0; i++) {
        struct op *o = &d->ops[i];
        if (!o->used)
            continue;
        left--;
        if (!best || o->due < best->due || (o->due == best->due && o->id < best->id))
            best = o;
    }
    return best;
}

void fake_disk_step(struct disk *d, struct instant now)
{
    d->now = now.ns > d->now ? now.ns : d->now;
    for (struct op *o = earliest(d); o && o->due <= d->now; o = earliest(d))
        complete(d, o);
}

struct instant fake_disk_next_due(const struct disk *d)
{
    struct instant due = INSTANT_NEVER;
    unsigned left = d->op_count;
    for (unsigned i = 0; left > 0; i++)
        if (d->ops[i].used) {
            due = instant_min(due, (struct instant){d->ops[i].due});
            left--;
        }
    return due;
}

unsigned disk_reap(struct disk *d, struct disk_done *done, unsigned max)
{
    unsigned n = 0;
    while (n < max && d->done_count > 0) {
        done[n++] = d->done[d->done_head];
        d->done_head = (d->done_head + 1) % (OPS + 1);
        d->done_count--;
    }
    return n;
}

void disk_wait(struct disk *d)
{
    struct op *o = earliest(d);
    if (d->done_count == 0 && o)
        complete(d, o);
}

/* A new area each time: who still holds the old one is found out by the sanitizer. */
void *disk_memory(struct disk *d, uint64_t size)
{
    free(d->memory);
    d->memory = aligned_alloc(DISK_BLOCK, size);
    return d->memory;
}

struct disk_facts disk_facts(const struct disk *d)
{
    return (struct disk_facts){.volatile_cache = !d->config.durable_writes,
                               .fua = d->config.durable_writes,
                               .durable_writes = d->config.durable_writes};
}

/* -- files -- */

int disk_open(struct disk *d, const char *name)
{
    struct file *f = fake_disk_find(d, name);
    if (!f)
        return -ENOENT;
    for (int i = 0; i < HANDLES; i++)
        if (d->handles[i] < 0) {
            d->handles[i] = (int32_t)(f - d->files);
            return i;
        }
    return -EMFILE;
}

void disk_close(struct disk *d, uint32_t file)
{
    handle_file(d, file);
    d->handles[file] = -1;
}

static uint64_t used(const struct disk *d)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < FILES; i++)
        sum += d->files[i].there ? d->files[i].size : 0;
    return sum;
}

int disk_create(struct disk *d, const char *name, uint64_t size)
{
    must(strlen(name) < DISK_NAME_MAX);
    if (!alive(d))
        return -EIO;
    struct file *f = fake_disk_find(d, name);
    uint64_t more = f ? (size > f->size ? size - f->size : 0) : size;
    if (d->create_failures > 0 && d->create_failures--)
        return -ENOSPC;
    if (more > disk_free(d))
        return -ENOSPC;
    if (!f) {
        uint32_t i = 0;
        while (i < FILES && d->files[i].name[0] != 0)
            i++;
        must(i < FILES);
        f = &d->files[i];
        snprintf(f->name, sizeof f->name, "%s", name);
        f->there = f->undecided = true;
    }
    fake_disk_grow(f, size);
    return disk_open(d, name);
}

int disk_remove(struct disk *d, const char *name)
{
    if (!alive(d))
        return -EIO;
    struct file *f = fake_disk_find(d, name);
    if (!f)
        return -ENOENT;
    f->there = false;
    f->undecided = true;
    return 0;
}

int disk_rename(struct disk *d, const char *from, const char *to)
{
    must(strlen(to) < DISK_NAME_MAX);
    if (!alive(d))
        return -EIO;
    struct file *f = fake_disk_find(d, from);
    if (!f)
        return -ENOENT;
    struct file *old = fake_disk_find(d, to);
    if (old)
        old->there = false;
    snprintf(f->name, sizeof f->name, "%s", to);
    return disk_sync_directory(d);
}

static bool file_is_open(const struct disk *d, uint32_t file)
{
    for (uint32_t i = 0; i < HANDLES; i++)
        if (d->handles[i] == (int32_t)file)
            return true;
    for (uint32_t i = 0; i < OPS; i++)
        if (d->ops[i].used && d->ops[i].file == file)
            return true;
    return false;
}

static void forget_writes(struct disk *d, uint32_t file)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < d->write_count; i++)
        if (d->writes[i].file != file)
            d->writes[kept++] = d->writes[i];
    d->write_count = kept;
}

void fake_disk_sweep(struct disk *d)
{
    for (uint32_t i = 0; i < FILES; i++) {
        struct file *f = &d->files[i];
        if (f->name[0] && !f->there && !f->undecided && !file_is_open(d, i)) {
            forget_writes(d, i);
            fake_lie_forget(d, i);
            file_free(f);
        }
    }
}

int disk_sync_directory(struct disk *d)
{
    if (!alive(d))
        return -EIO;
    for (uint32_t i = 0; i < FILES; i++) {
        d->files[i].there_durable = d->files[i].there;
        d->files[i].undecided = false;
    }
    fake_disk_sweep(d);
    return 0;
}

int64_t disk_size(struct disk *d, uint32_t file)
{
    return (int64_t)handle_file(d, file)->size;
}

bool disk_list(struct disk *d, unsigned i, char name[DISK_NAME_MAX])
{
    if (i == 0) {
        d->listed_count = 0;
        for (uint32_t f = 0; f < FILES; f++)
            if (d->files[f].there)
                d->listed[d->listed_count++] = f;
    }
    if (i >= d->listed_count)
        return false;
    memcpy(name, d->files[d->listed[i]].name, DISK_NAME_MAX);
    return true;
}

uint64_t disk_free(struct disk *d)
{
    uint64_t bytes = used(d);
    if (d->config.capacity == 0)
        return UINT64_MAX;
    return bytes < d->config.capacity ? d->config.capacity - bytes : 0;
}

bool disk_create_start(struct disk *d, const char *name, uint64_t size, uint64_t tag)
{
    if (d->creating || d->op_count + d->done_count >= OPS)
        return false;
    unsigned i = 0;
    while (d->ops[i].used)
        i++;
    uint64_t max = d->config.latency_max.ns;
    d->ops[i] = (struct op){.tag = tag, .id = ++d->next_id, .create = true, .used = true, .file = FILES};
    d->ops[i].due = d->now + max + (max > 0 ? prng_below(&d->time, 8 * max) : 0);
    d->op_count++;
    d->creating = true;
    snprintf(d->creating_name, sizeof d->creating_name, "%s", name);
    d->creating_size = size;
    return true;
}

void fake_disk_fail(struct disk *d, enum disk_kind kind, uint32_t countdown, int32_t result)
{
    d->countdown[kind] = countdown;
    d->failure[kind] = result;
}

uint64_t fake_disk_bytes(const struct disk *d)
{
    return used(d);
}

/* -- opening -- */

struct disk *fake_disk_open(const struct fake_disk_config *config)
{
    struct disk *d = calloc(1, sizeof *d);
    must(d);
    d->config = *config;
    d->fate = prng_seed(config->seed, 1);
    d->time = prng_seed(config->seed, 2);
    fake_crash_forget(d);
    return d;
}

void fake_disk_close(struct disk *d)
{
    for (uint32_t i = 0; i < FILES; i++)
        if (d->files[i].name[0])
            file_free(&d->files[i]);
    free(d->lies);
    free(d->writes);
    free(d->memory);
    free(d);
}

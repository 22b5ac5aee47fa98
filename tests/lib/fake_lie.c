/* fake_lie.c - a disk that says it has done what it has not. See fake_disk.h.
 *
 * A misdirected write leaves two wrong places: where it should have gone (the old bytes are still there) and where it
 * went. Each is remembered with what was right; a place that somebody writes to afterwards is nobody's lie any more. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fake_inside.h"
#include "must.h"

static struct lie *lie_add(struct disk *d, uint32_t file, uint64_t offset)
{
    if (!d->lies)
        d->lies = malloc(LIES * sizeof d->lies[0]);
    must(d->lies && d->lie_count < LIES);
    struct lie *l = &d->lies[d->lie_count++];
    l->file = file;
    l->page = (uint32_t)(offset / DISK_BLOCK);
    l->shown = true;
    return l;
}

/* Whoever writes there makes it right again. */
static void written_over(struct disk *d, uint32_t file, uint64_t offset, uint64_t size)
{
    for (uint32_t i = d->lie_count; i-- > 0;) {
        uint64_t at = (uint64_t)d->lies[i].page * DISK_BLOCK;
        if (d->lies[i].file == file && at >= offset && at < offset + size)
            d->lies[i] = d->lies[--d->lie_count];
    }
}

void fake_lie_forget(struct disk *d, uint32_t file)
{
    written_over(d, file, 0, UINT64_MAX);
}

/* The file that a write of this size lands in: half of the time its own, else any that is large enough. */
static struct file *elsewhere(struct disk *d, struct file *own, uint32_t size)
{
    struct file *chosen = own;
    uint32_t seen = 0;
    if (prng_chance(&d->fate, 50))
        return own;
    for (struct file *f = d->files; f < d->files + FILES; f++)
        if (f->name[0] && f->there && f->size >= 3ull * size && prng_below(&d->fate, ++seen) == 0)
            chosen = f;
    return chosen;
}

static bool lied_about(const struct disk *d, uint32_t file, uint64_t from, uint64_t end)
{
    for (uint32_t i = 0; i < d->lie_count; i++)
        if (d->lies[i].file == file && d->lies[i].page >= from / DISK_BLOCK && d->lies[i].page < end / DISK_BLOCK)
            return true;
    return false;
}

struct fake_place fake_lie_write(struct disk *d, struct file *f, const struct disk_op *op, bool whole)
{
    struct fake_place right = {f, op->offset};
    uint32_t file = (uint32_t)(f - d->files), pages = op->size / DISK_BLOCK;
    written_over(d, file, op->offset, op->size);
    if (d->misdirect == 0 || --d->misdirect > 0)
        return right;
    struct file *victim = elsewhere(d, f, op->size);
    if (!whole || d->lie_count + 2 * pages > LIES || victim->size < 3ull * op->size)
        return right;
    uint32_t victim_file = (uint32_t)(victim - d->files);
    uint64_t to = prng_below(&d->fate, victim->size / DISK_BLOCK - pages + 1) * DISK_BLOCK;
    if (victim == f && to < op->offset + op->size && op->offset < to + op->size)
        return right;
    if (lied_about(d, victim_file, to, to + op->size)) /* what is wrong there already is nobody's victim twice */
        return right;
    for (uint32_t at = 0; at < op->size; at += DISK_BLOCK) {
        const uint8_t *bytes = (const uint8_t *)op->data + at;
        struct lie *missing = lie_add(d, file, op->offset + at), *spoilt = lie_add(d, victim_file, to + at);
        memcpy(missing->right, bytes, DISK_BLOCK);
        memcpy(missing->wrong, fake_disk_page(f, op->offset + at)->seen, DISK_BLOCK);
        memcpy(spoilt->right, fake_disk_page(victim, to + at)->seen, DISK_BLOCK);
        memcpy(spoilt->wrong, bytes, DISK_BLOCK);
    }
    return (struct fake_place){victim, to};
}

/* A page that came out right is no lie any more; of a torn one, what is there now is wrong. */
void fake_lie_crashed(struct disk *d)
{
    for (uint32_t i = d->lie_count; i-- > 0;) {
        struct lie *l = &d->lies[i];
        const struct page *p = fake_disk_page(&d->files[l->file], (uint64_t)l->page * DISK_BLOCK);
        memcpy(l->wrong, p->durable, DISK_BLOCK);
        if (memcmp(l->wrong, l->right, DISK_BLOCK) == 0)
            *l = d->lies[--d->lie_count];
    }
}

void fake_lie_read(struct disk *d, struct file *f, uint64_t offset, uint8_t *data, uint32_t size)
{
    if (d->lying_reads == 0 || prng_below(&d->fate, 1000) >= d->lying_reads)
        return;
    uint64_t pages = f->size / DISK_BLOCK;
    bool old = prng_chance(&d->fate, 30);
    for (uint32_t at = 0; at < size; at += DISK_BLOCK) {
        uint64_t page = old ? (offset + at) / DISK_BLOCK : prng_below(&d->fate, pages);
        const struct page *p = f->pages[page];
        if (p)
            memcpy(data + at, old ? p->durable : p->seen, DISK_BLOCK);
        else
            memset(data + at, 0, DISK_BLOCK);
    }
}

void fake_disk_misdirect(struct disk *d, uint32_t countdown)
{
    d->misdirect = countdown;
}

void fake_disk_lie_reads(struct disk *d, unsigned permille)
{
    d->lying_reads = permille;
}

bool fake_disk_damage(struct disk *d, const char *name, uint64_t offset, const void *bytes, uint32_t size)
{
    struct file *f = fake_disk_find(d, name);
    if (!f || offset + size > f->size || d->lie_count + size / DISK_BLOCK + 2 > LIES)
        return false;
    uint32_t file = (uint32_t)(f - d->files);
    for (uint64_t at = offset, n; at < offset + size; at += n) {
        uint64_t in = at % DISK_BLOCK;
        n = DISK_BLOCK - in < offset + size - at ? DISK_BLOCK - in : offset + size - at;
        struct page *p = fake_disk_page(f, at);
        written_over(d, file, at - in, DISK_BLOCK);
        struct lie *l = lie_add(d, file, at);
        memcpy(l->right, p->durable, DISK_BLOCK);
        memcpy(p->durable + in, (const uint8_t *)bytes + (at - offset), n);
        memcpy(p->seen, p->durable, DISK_BLOCK);
        memcpy(l->wrong, p->durable, DISK_BLOCK);
    }
    return true;
}

unsigned fake_disk_lies(const struct disk *d)
{
    return d->lie_count;
}

struct fake_disk_lie fake_disk_lie(const struct disk *d, unsigned i)
{
    const struct lie *l = &d->lies[i];
    struct fake_disk_lie out = {.offset = (uint64_t)l->page * DISK_BLOCK};
    memcpy(out.name, d->files[l->file].name, sizeof out.name);
    return out;
}

void fake_disk_show(struct disk *d, bool right)
{
    for (uint32_t i = 0; i < d->lie_count; i++) {
        struct lie *l = &d->lies[i];
        struct page *p = fake_disk_page(&d->files[l->file], (uint64_t)l->page * DISK_BLOCK);
        if (l->shown != right)
            continue;
        memcpy(p->seen, right ? l->right : l->wrong, DISK_BLOCK);
        memcpy(p->durable, p->seen, DISK_BLOCK);
        l->shown = !right;
    }
}

void fake_disk_forget_lies(struct disk *d)
{
    d->lie_count = 0;
}

/* slab.c - reserved address space, a high-water mark and a free list; and images that are read while it changes.
 *
 * An image is read from the front to the back. A page that is about to change is put aside if the image still needs it:
 * it holds bytes of the image, was not read, and is not there yet. Reading takes a page from aside if it is there, else
 * from the items. What has been read is given back to the system in larger pieces. */
#include "slab.h"

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "byteorder.h"
#include "mark.h"
#include "must.h"

enum { GIVE_BACK_BYTES = 65536 };

static uint64_t bytes_of(const struct slab *s, uint32_t items)
{
    return (uint64_t)items * s->item_bytes;
}

/* Bytes of the pages of `aside`, and of the bits behind them. */
static uint64_t aside_bytes(const struct slab *s)
{
    return round_up(bytes_of(s, s->capacity), SLAB_PAGE);
}
static uint64_t kept_bytes(uint64_t bytes)
{
    return round_up(bytes, SLAB_PAGE * 64) / (SLAB_PAGE * 8);
}

static void *reserve(uint64_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

enum leat_status slab_open(struct slab *s, uint32_t capacity, uint32_t item_bytes)
{
    must(item_bytes % 8 == 0 && capacity < SLAB_NONE);
    *s = (struct slab){.item_bytes = item_bytes, .capacity = capacity, .free = SLAB_NONE};
    s->items = reserve(bytes_of(s, capacity));
    return s->items ? LEAT_OK : LEAT_NO_MEMORY;
}

void slab_close(struct slab *s)
{
    if (s->items)
        munmap(s->items, bytes_of(s, s->capacity));
    if (s->image.aside)
        munmap(s->image.aside, aside_bytes(s) + kept_bytes(aside_bytes(s)));
    *s = (struct slab){.free = SLAB_NONE};
}

uint32_t slab_next(const struct slab *s)
{
    if (s->free != SLAB_NONE)
        return s->free;
    return s->used < s->capacity ? s->used : SLAB_NONE;
}

uint32_t slab_take(struct slab *s)
{
    uint32_t index = slab_next(s);
    if (index == SLAB_NONE)
        return SLAB_NONE;
    if (index == s->free)
        s->free = le32_get(slab_at(s, index));
    else
        s->used++;
    s->taken++;
    return index;
}

void slab_give(struct slab *s, uint32_t index)
{
    must(index < s->used);
    must(s->taken > 0);
    le32_put(slab_write(s, index), s->free);
    s->free = index;
    s->taken--;
}

void slab_clear(struct slab *s)
{
    must(!s->imaging);
    if (madvise(s->items, bytes_of(s, s->capacity), MADV_DONTNEED) != 0)
        memset(s->items, 0, bytes_of(s, s->capacity)); /* locked memory cannot be given back */
    s->used = s->taken = 0;
    s->free = SLAB_NONE;
}

enum leat_status slab_image_open(struct slab *s)
{
    must(s->image.aside == NULL);
    uint64_t pages = aside_bytes(s);
    s->image.aside = reserve(pages + kept_bytes(pages));
    if (!s->image.aside)
        return LEAT_NO_MEMORY;
    s->image.kept = (uint64_t *)(void *)(s->image.aside + pages);
    /* A page is put aside in the middle of somebody's request: never wait there for 2 MiB of zeros. */
    madvise(s->image.aside, pages, MADV_NOHUGEPAGE);
    return LEAT_OK;
}

static bool kept(const struct slab_image *i, uint64_t page)
{
    return i->kept[page / 64] >> page % 64 & 1;
}

void slab_image_begin(struct slab *s)
{
    struct slab_image *i = &s->image;
    must(i->aside != NULL);
    must(!s->imaging);
    i->head = (struct slab_head){s->used, s->taken, s->free};
    i->bytes = bytes_of(s, s->used);
    i->read = i->given_back = 0;
    memset(i->kept, 0, kept_bytes(i->bytes));
    s->imaging = true;
}

void slab_keep(struct slab *s, uint32_t index)
{
    struct slab_image *i = &s->image;
    uint64_t offset = bytes_of(s, index);
    uint64_t page = offset / SLAB_PAGE, last = (offset + s->item_bytes - 1) / SLAB_PAGE;
    if (page < i->read / SLAB_PAGE)
        page = i->read / SLAB_PAGE;
    for (; page <= last && page * SLAB_PAGE < i->bytes; page++) {
        if (kept(i, page))
            continue;
        memcpy(i->aside + page * SLAB_PAGE, s->items + page * SLAB_PAGE, SLAB_PAGE);
        i->kept[page / 64] |= 1ull << page % 64;
        mark(slab_page_put_aside);
    }
}

/* What lies before `until` was read: its pages go back to the system. */
static void give_back(struct slab_image *i, uint64_t until)
{
    uint64_t from = i->given_back;
    if (until > from)
        madvise(i->aside + from, until - from, MADV_DONTNEED);
    i->given_back = until;
}

uint32_t slab_image_read(struct slab *s, void *out, uint32_t max)
{
    struct slab_image *i = &s->image;
    uint32_t done = 0;
    while (done < max && i->read < i->bytes) {
        uint64_t page = i->read / SLAB_PAGE;
        uint64_t n = (page + 1) * SLAB_PAGE - i->read;
        if (n > i->bytes - i->read)
            n = i->bytes - i->read;
        if (n > max - done)
            n = max - done;
        memcpy((uint8_t *)out + done, (kept(i, page) ? i->aside : s->items) + i->read, n);
        i->read += n;
        done += (uint32_t)n;
    }
    if (i->read - i->given_back >= GIVE_BACK_BYTES)
        give_back(i, i->read / SLAB_PAGE * SLAB_PAGE);
    return done;
}

void slab_image_end(struct slab *s)
{
    if (!s->imaging)
        return;
    give_back(&s->image, round_up(s->image.bytes, SLAB_PAGE));
    s->imaging = false;
}

bool slab_load_head(struct slab *s, const struct slab_head *head)
{
    must(s->used == 0);
    if (head->used > s->capacity || head->taken > head->used)
        return false;
    if (head->free != SLAB_NONE ? head->free >= head->used : head->taken != head->used)
        return false;
    s->used = head->used;
    s->taken = head->taken;
    s->free = head->free;
    return true;
}

void slab_load_items(struct slab *s, uint64_t offset, const void *bytes, uint32_t size)
{
    must(offset + size <= bytes_of(s, s->used));
    memcpy(s->items + offset, bytes, size);
}

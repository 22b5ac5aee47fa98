/* keep.c - see keep.h.
 *
 *   0 magic   8 u32 format   12 u32 incarnation   16 u64 cluster   24 u64 first   32 u64 last   40 u32 number
 *  44 u32 pages   48 u32 entries   52 u64 0   60 u32 crc of all but this field
 *  64 the entries: u64 lsn, u32 offset, u32 size, both in units of 8 bytes */
#include "keep.h"

#include <string.h>

#include "byteorder.h"
#include "crc32c.h"
#include "must.h"

static const uint8_t magic[8] = "leat kep";

enum { CRC_AT = 60 };

uint32_t keep_pages(uint64_t facts)
{
    return (uint32_t)((facts + KEEP_ENTRIES - 1) / KEEP_ENTRIES);
}

uint64_t keep_bytes(uint64_t facts, uint64_t bytes)
{
    return keep_pages(facts) * (uint64_t)DISK_BLOCK + round_up(bytes, DISK_BLOCK);
}

static uint8_t *entry_at(uint8_t *page, uint32_t i)
{
    must(i < KEEP_ENTRIES);
    return page + KEEP_HEADER + i * KEEP_ENTRY;
}

static uint32_t checksum(const uint8_t *page)
{
    return crc32c(crc32c(0, page, CRC_AT), page + KEEP_HEADER, DISK_BLOCK - KEEP_HEADER);
}

void keep_put(uint8_t *page, uint32_t i, const struct keep_entry *entry)
{
    uint8_t *p = entry_at(page, i);
    le64_put(p, entry->lsn.n);
    le32_put(p + 8, entry->offset8);
    le32_put(p + 12, entry->size8);
}

void keep_seal(uint8_t *page, const struct keep_page *p)
{
    must(p->entries > 0 && p->entries <= KEEP_ENTRIES);
    must(p->number < p->pages);
    must(p->first <= p->last);
    uint32_t used = KEEP_HEADER + p->entries * KEEP_ENTRY;
    memset(page + used, 0, DISK_BLOCK - used);
    memset(page, 0, KEEP_HEADER);
    memcpy(page, magic, sizeof magic);
    le32_put(page + 8, KEEP_FORMAT);
    le32_put(page + 12, p->incarnation);
    le64_put(page + 16, p->cluster);
    le64_put(page + 24, p->first);
    le64_put(page + 32, p->last);
    le32_put(page + 40, p->number);
    le32_put(page + 44, p->pages);
    le32_put(page + 48, p->entries);
    le32_put(page + CRC_AT, checksum(page));
}

static bool agrees(uint64_t expected, uint64_t found)
{
    return expected == 0 || expected == found;
}

bool keep_open(struct keep_page *e, const uint8_t *page)
{
    if (memcmp(page, magic, sizeof magic) != 0 || le32_get(page + CRC_AT) != checksum(page) ||
        le32_get(page + 8) != KEEP_FORMAT)
        return false;
    if (le32_get(page + 12) != e->incarnation || le64_get(page + 16) != e->cluster || le64_get(page + 24) != e->first ||
        le32_get(page + 40) != e->number)
        return false;
    uint64_t last = le64_get(page + 32);
    uint32_t pages = le32_get(page + 44), entries = le32_get(page + 48);
    if (!agrees(e->last, last) || !agrees(e->pages, pages) || !agrees(e->entries, entries))
        return false;
    if (last < e->first || e->number >= pages || entries == 0 || entries > KEEP_ENTRIES)
        return false;
    e->last = last;
    e->pages = pages;
    e->entries = entries;
    return true;
}

struct keep_entry keep_get(const uint8_t *page, uint32_t i)
{
    must(i < KEEP_ENTRIES);
    const uint8_t *p = page + KEEP_HEADER + i * KEEP_ENTRY;
    return (struct keep_entry){.lsn = {le64_get(p)}, .offset8 = le32_get(p + 8), .size8 = le32_get(p + 12)};
}

bool keep_find(const uint8_t *page, uint32_t entries, struct lsn lsn, struct keep_entry *entry)
{
    uint32_t low = 0, high = entries;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        *entry = keep_get(page, middle);
        if (entry->lsn.n == lsn.n)
            return true;
        if (entry->lsn.n < lsn.n)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

/* keep.h - the directory of a keep segment, as bytes.
 *
 * A keep segment holds the survivors of a stretch of the log that is no longer there: their facts back to back, sorted
 * by position, and before them a directory that says where each one lies. The directory is `pages` pages of DISK_BLOCK
 * at the start of the file; each says whose it is (cluster, incarnation), which blocks of the log the segment stands
 * for (first, last), and its own number, and is believed only with its checksum. FORMAT.md has the bytes.
 *
 * Units: bytes; offsets and sizes of facts in units of 8. Memory: the caller's. Failure: false. Thread: any (pure). */
#ifndef LEAT_STORAGE_KEEP_H
#define LEAT_STORAGE_KEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "disk.h"
#include "units.h"

enum { KEEP_HEADER = 64, KEEP_ENTRY = 16, KEEP_ENTRIES = (DISK_BLOCK - KEEP_HEADER) / KEEP_ENTRY, KEEP_FORMAT = 1 };

struct keep_page {
    uint64_t cluster;
    uint64_t first, last; /* blocks whose survivors the segment holds */
    uint32_t incarnation; /* of the segment */
    uint32_t number;      /* of the page, from 0 */
    uint32_t pages;       /* of the directory; all but the last one are full */
    uint32_t entries;     /* in this page, 1 to KEEP_ENTRIES */
};

struct keep_entry {
    struct lsn lsn;
    uint32_t offset8; /* in the file */
    uint32_t size8;
};

/* keep_pages: of the directory of so many facts. keep_bytes: the whole of a keep segment with so many facts and bytes
 * of facts, rounded up to DISK_BLOCK. */
uint32_t keep_pages(uint64_t facts);
uint64_t keep_bytes(uint64_t facts, uint64_t bytes);

/* keep_put: entry `i` of a page. keep_seal: writes the header, and zeros behind the last entry. */
void keep_put(uint8_t *page, uint32_t i, const struct keep_entry *entry);
void keep_seal(uint8_t *page, const struct keep_page *p);

/* keep_open: whether the page at `bytes` is whole and the one that is expected: cluster, incarnation, first and number
 * must match; last, pages and entries are set, and compared where they are not 0. */
bool keep_open(struct keep_page *expected, const uint8_t *page);
struct keep_entry keep_get(const uint8_t *page, uint32_t i);
/* keep_find: the entry of a fact in a page that keep_open() has believed. */
bool keep_find(const uint8_t *page, uint32_t entries, struct lsn lsn, struct keep_entry *entry);

#endif

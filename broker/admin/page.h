/* page.h - a text that grows while it is written, up to a limit: what a scrape answers.
 *
 * Units: bytes. Memory: the heap's; page_close() gives it back. Failure: a page that would exceed PAGE_MAX, or for
 * which there is no memory, is marked `failed` and takes nothing more: look once, at the end. Thread: the owner's,
 * never a shard's. */
#ifndef LEAT_ADMIN_PAGE_H
#define LEAT_ADMIN_PAGE_H

#include <stdbool.h>
#include <stddef.h>

#define PAGE_MAX ((size_t)64 << 20)

struct page {
    char *text; /* ends with a 0 that `size` does not count */
    size_t size, room;
    bool failed;
};

void page_close(struct page *p);

__attribute__((format(printf, 2, 3))) void page_add(struct page *p, const char *format, ...);

/* page_add_label: a Prometheus label value in its quotes: backslash, quote and newline escaped. */
void page_add_label(struct page *p, const char *value, size_t size);

#endif

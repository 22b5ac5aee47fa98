/* page.c - doubling, with a limit. */
#include "page.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { PAGE_FIRST = 16 * 1024 };

void page_close(struct page *p)
{
    free(p->text);
    *p = (struct page){0};
}

static bool page_grow(struct page *p, size_t need)
{
    size_t room = p->room ? p->room : PAGE_FIRST;
    while (room < need)
        room *= 2;
    char *text = room <= PAGE_MAX ? realloc(p->text, room) : NULL;
    if (!text) {
        p->failed = true;
        return false;
    }
    p->text = text;
    p->room = room;
    return true;
}

void page_add(struct page *p, const char *format, ...)
{
    va_list list, again;
    if (p->failed || (p->room == 0 && !page_grow(p, PAGE_FIRST)))
        return;
    va_start(list, format);
    va_copy(again, list);
    int n = vsnprintf(p->text + p->size, p->room - p->size, format, list);
    va_end(list);
    if ((size_t)n >= p->room - p->size && page_grow(p, p->size + (size_t)n + 1))
        vsnprintf(p->text + p->size, p->room - p->size, format, again);
    va_end(again);
    p->size += p->failed ? 0 : (size_t)n;
}

void page_add_label(struct page *p, const char *value, size_t size)
{
    page_add(p, "\"");
    for (size_t i = 0; i < size;) {
        size_t plain = i;
        while (plain < size && value[plain] != '"' && value[plain] != '\\' && value[plain] != '\n')
            plain++;
        page_add(p, "%.*s", (int)(plain - i), value + i);
        if (plain < size)
            page_add(p, "\\%c", value[plain] == '\n' ? 'n' : value[plain]);
        i = plain + 1;
    }
    page_add(p, "\"");
}

/* report.c - see report.h. */
#include "report.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

void report_text(FILE *out, const void *bytes, uint64_t size)
{
    const unsigned char *p = bytes;
    fputc('"', out);
    for (uint64_t i = 0; i < size; i++)
        if (p[i] == '"' || p[i] == '\\')
            fprintf(out, "\\%c", p[i]);
        else if (p[i] < ' ' || p[i] > '~')
            fprintf(out, "\\u%04x", p[i]);
        else
            fputc(p[i], out);
    fputc('"', out);
}

void report_escaped(FILE *out, const void *bytes, uint64_t size)
{
    static const char from[] = "\\\n\r\t", to[] = "\\nrt";
    const unsigned char *p = bytes;
    for (uint64_t i = 0; i < size; i++) {
        const char *known = p[i] ? strchr(from, p[i]) : NULL;
        if (known)
            fprintf(out, "\\%c", to[known - from]);
        else if (p[i] == 0)
            fputs("\\0", out);
        else if (p[i] < ' ' || p[i] > '~')
            fprintf(out, "\\x%02x", p[i]);
        else
            fputc(p[i], out);
    }
}

void report_begin(struct report *r, const char *path)
{
    if (!r->json)
        return;
    fputs("{\"data\":", r->out);
    report_text(r->out, path, strlen(path));
    fputs(",\"findings\":[", r->out);
}

void report_found(struct report *r, enum report_weight weight, const char *file, uint64_t from, uint64_t end,
                  const char *what, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    bool first = r->notes + r->corrupt == 0;
    if (weight == REPORT_CORRUPT)
        r->corrupt++;
    else
        r->notes++;
    if (!r->json) {
        fputs(weight == REPORT_CORRUPT ? "CORRUPT " : "note    ", r->out);
        fputs(file, r->out);
        if (end > 0)
            fprintf(r->out, ", bytes %" PRIu64 "..%" PRIu64, from, end - 1);
        fprintf(r->out, ": %s\n", text);
        return;
    }
    fprintf(r->out, "%s\n{\"weight\":\"%s\",\"what\":\"%s\",\"file\":", first ? "" : ",",
            weight == REPORT_CORRUPT ? "corrupt" : "note", what);
    report_text(r->out, file, strlen(file));
    if (end > 0)
        fprintf(r->out, ",\"from\":%" PRIu64 ",\"to\":%" PRIu64, from, end - 1);
    fputs(",\"text\":", r->out);
    report_text(r->out, text, strlen(text));
    fputc('}', r->out);
}

void report_line(struct report *r, const char *format, ...)
{
    va_list args;
    if (r->json)
        return;
    va_start(args, format);
    vfprintf(r->out, format, args);
    va_end(args);
    fputc('\n', r->out);
}

void report_number(struct report *r, const char *name, uint64_t number)
{
    if (r->json)
        fprintf(r->out, "%s\"%s\":%" PRIu64, r->counting ? "," : "],\n", name, number);
    r->counting = true;
}

void report_end(struct report *r, bool sound)
{
    if (r->json)
        fprintf(r->out, "%s\"sound\":%s}\n", r->counting ? "," : "],\n", sound ? "true" : "false");
}

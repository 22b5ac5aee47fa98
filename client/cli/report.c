/* report.c - the last words of a command. */
#include "report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int report_code(enum leat_status status)
{
    switch ((int)status) {
    case LEAT_OK:
        return EXIT_DONE;
    case LEAT_BAD_NAME:
    case LEAT_BAD_VALUE:
        return EXIT_USAGE;
    case LEAT_TOO_LARGE:
    case LEAT_BATCH_TOO_LARGE:
    case LEAT_BAD_RECEIPT:
    case LEAT_CORRUPT:
        return EXIT_DATA;
    case LEAT_UNREACHABLE:
        return EXIT_UNREACHABLE;
    case LEAT_NO_MEMORY: /* of this machine: no broker answers it */
        return EXIT_SYSTEM;
    case LEAT_LOCAL_FILE:
        return EXIT_IO;
    case LEAT_TIMED_OUT:
    case LEAT_UNKNOWN_OUTCOME:
        return EXIT_LATER;
    default:
        return EXIT_REFUSED;
    }
}

int report_status(enum leat_status status, const char *sentence)
{
    fprintf(stderr, "leat: %s: %s\n", leat_status_name(status), sentence);
    return report_code(status);
}

__attribute__((format(printf, 2, 0))) static void line(const char *name, const char *format, va_list args)
{
    char text[512];
    vsnprintf(text, sizeof text, format, args);
    fprintf(stderr, "leat: %s%s%s\n", name, *name ? ": " : "", text);
}

int report_usage(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    line("usage", format, args);
    va_end(args);
    return EXIT_USAGE;
}

int report_data(enum leat_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    line(leat_status_name(status), format, args);
    va_end(args);
    return EXIT_DATA;
}

void report_note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    line("", format, args);
    va_end(args);
}

int report_io(const char *what)
{
    fprintf(stderr, "leat: io: %s: %s\n", what, strerror(errno));
    return EXIT_IO;
}

int report_flush(int code)
{
    if (fflush(stdout) != 0 || ferror(stdout))
        return report_io("standard output");
    return code;
}

/* report.h - how a command ends: sentences on standard error, and exit codes.
 *
 * Every error is one line: `leat: STATUS_NAME: sentence`. Units: none. Memory: none. Failure: none. Thread: any. */
#ifndef LEAT_CLI_REPORT_H
#define LEAT_CLI_REPORT_H

#include "leat.h"

enum report_exit {
    EXIT_DONE = 0,
    EXIT_REFUSED = 1,      /* the broker said no, or nothing is there */
    EXIT_USAGE = 64,       /* words that make no sense */
    EXIT_DATA = 65,        /* input that can not be sent: a line too long, a receipt that is none */
    EXIT_UNREACHABLE = 69, /* no broker */
    EXIT_BUG = 70,
    EXIT_IO = 74,   /* standard input or output failed */
    EXIT_LATER = 75 /* no answer in time, or an unknown outcome: it may have happened */
};

/* The exit code that a status leads to. */
int report_code(enum leat_status status);
/* Prints the line and gives the code. */
int report_status(enum leat_status status, const char *sentence);
int report_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));
int report_data(enum leat_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));
int report_io(const char *what);
/* A word on the way, not an error. */
void report_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Flushes standard output; EXIT_IO if something could not be written, else `code`. */
int report_flush(int code);

#endif

/* report.h - how a command ends: sentences on standard error, and exit codes.
 *
 * Every error is one line: `leat: STATUS_NAME: sentence`. Units: none. Memory: none. Failure: none. Thread: any. */
#ifndef LEAT_CLI_REPORT_H
#define LEAT_CLI_REPORT_H

#include "exit_codes.h"
#include "leat.h"

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

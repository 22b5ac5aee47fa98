/* report.h - what is found, as lines for people or as one JSON object, while it is being found.
 *
 * report_begin ... report_found, report_fact ... report_end. In JSON, findings are an array, and facts are members
 * behind it. Units: bytes. Memory: none. Failure: seen by ferror() of `out`. Thread: one. */
#ifndef LEAT_OFFLINE_REPORT_H
#define LEAT_OFFLINE_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum report_weight {
    REPORT_NOTE,    /* as it should be, and worth a word */
    REPORT_CORRUPT, /* it should not be so */
};

struct report {
    FILE *out;
    bool json;
    uint64_t notes, corrupt;
    bool counting; /* the findings are over */
};

void report_begin(struct report *r, const char *path);
/* report_found: `end` 0: the whole file; `what`: one word for scripts. */
void report_found(struct report *r, enum report_weight weight, const char *file, uint64_t from, uint64_t end,
                  const char *what, const char *format, ...) __attribute__((format(printf, 7, 8)));
/* report_line: only for people. report_number: only for scripts, after all findings. */
void report_line(struct report *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
void report_number(struct report *r, const char *name, uint64_t number);
void report_end(struct report *r, bool sound);

/* report_text: bytes in a JSON string, quotes included; what is no printable ASCII is escaped byte by byte as \u00XX.
 */
void report_text(FILE *out, const void *bytes, uint64_t size);
/* report_escaped: bytes as `leat take` prints a body: \\ \n \r \t \0 and \xHH. */
void report_escaped(FILE *out, const void *bytes, uint64_t size);

#endif

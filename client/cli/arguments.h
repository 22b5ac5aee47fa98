/* arguments.h - the words after `leat`, taken apart by two tables. Options may stand anywhere; `--` ends them.
 *
 * Units: as the option's kind says: nanoseconds, bytes. Memory: points into argv. Failure: a sentence. Thread: one. */
#ifndef LEAT_CLI_ARGUMENTS_H
#define LEAT_CLI_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum option_name {
#define OPTION(NAME, name, letter, kind, value, help) OPTION_##NAME,
#include "options_table.h"
#undef OPTION
    OPTION_COUNT
};

struct arguments {
    uint32_t given; /* bit per option */
    uint64_t number[OPTION_COUNT];
    const char *text[OPTION_COUNT]; /* the value as it was typed */
    const char **words;             /* what is no option */
    size_t words_count;
    char **rest; /* behind `--`, ended by NULL; NULL if there was none */
};

enum { ARGUMENTS_WHY = 256 };

/* arguments_read: sorts argv[0..argc-1] into `a`; `words` has room for argc. `allowed`: bit per option. False with a
 * sentence in `why`. */
bool arguments_read(struct arguments *a, const char **words, int argc, char **argv, uint32_t allowed,
                    char why[ARGUMENTS_WHY]);

static inline bool arguments_given(const struct arguments *a, enum option_name name)
{
    return a->given >> name & 1;
}
/* The option's number, or what it is without the option. */
static inline uint64_t arguments_number(const struct arguments *a, enum option_name name, uint64_t otherwise)
{
    return arguments_given(a, name) ? a->number[name] : otherwise;
}

/* arguments_name: "lease", without the dashes. */
const char *arguments_name(enum option_name name);

/* arguments_help: a line per allowed option. */
void arguments_help(FILE *out, uint32_t allowed);

#endif

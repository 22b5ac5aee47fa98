/* arguments.c - one walk over the words. */
#include "arguments.h"

#include <string.h>

#include "leat.h"
#include "words.h"

enum kind { FLAG, TEXT, COUNT, SIZE, DURATION, CLASS };

static const struct row {
    const char *name;
    char letter;
    enum kind kind;
    const char *value, *help;
} rows[OPTION_COUNT] = {
#define OPTION(NAME, name, letter, kind, value, help) {name, letter, kind, value, help},
#include "options_table.h"
#undef OPTION
};

static bool read_class(const char *text, uint64_t *number)
{
    if (!strcmp(text, "memory"))
        *number = LEAT_CLASS_MEMORY;
    else if (!strcmp(text, "disk"))
        *number = LEAT_CLASS_DISK;
    else
        return false;
    return true;
}

static bool set(struct arguments *a, unsigned i, const char *value, char *why)
{
    static const char *const wanted[] = {[COUNT] = "a number",
                                         [SIZE] = "a size like 1024, 64k or 1m",
                                         [DURATION] = "a time like 500ms, 5s, 2m, 1h or 1d",
                                         [CLASS] = "memory or disk"};
    uint64_t *number = &a->number[i];
    bool fine = true;
    a->text[i] = value;
    switch (rows[i].kind) {
    case FLAG:
    case TEXT:
        break;
    case COUNT:
        fine = words_count(value, number);
        break;
    case SIZE:
        fine = words_size(value, number);
        break;
    case DURATION:
        fine = words_duration(value, number);
        break;
    case CLASS:
        fine = read_class(value, number);
        break;
    }
    if (!fine)
        snprintf(why, ARGUMENTS_WHY, "--%s wants %s, not '%.80s'", rows[i].name, wanted[rows[i].kind], value);
    a->given |= 1u << i;
    return fine;
}

/* The row of "--name", "--name=value", "-n" or "-nVALUE"; the value that hangs on it, or NULL. */
static unsigned find(const char *word, const char **value)
{
    *value = NULL;
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        size_t size = strlen(rows[i].name);
        if (word[1] == '-' && !strncmp(word + 2, rows[i].name, size) &&
            (word[2 + size] == 0 || word[2 + size] == '=')) {
            *value = word[2 + size] ? word + 3 + size : NULL;
            return i;
        }
        if (word[1] == rows[i].letter && rows[i].letter) {
            *value = word[2] ? word + 2 : NULL;
            return i;
        }
    }
    return OPTION_COUNT;
}

bool arguments_read(struct arguments *a, const char **words, int argc, char **argv, uint32_t allowed,
                    char why[ARGUMENTS_WHY])
{
    a->words = words;
    for (int at = 0; at < argc; at++) {
        const char *word = argv[at], *value;
        if (!strcmp(word, "--")) {
            a->rest = &argv[at + 1];
            return true;
        }
        if (word[0] != '-' || word[1] == 0) {
            words[a->words_count++] = word;
            continue;
        }
        unsigned i = find(word, &value);
        if (i == OPTION_COUNT || !(allowed >> i & 1)) {
            snprintf(why, ARGUMENTS_WHY, "%s option '%.80s'", i == OPTION_COUNT ? "unknown" : "this command has no",
                     word);
            return false;
        }
        if (rows[i].kind == FLAG && value) {
            snprintf(why, ARGUMENTS_WHY, "--%s takes no value", rows[i].name);
            return false;
        }
        if (rows[i].kind != FLAG && !value)
            value = ++at < argc ? argv[at] : NULL;
        if (rows[i].kind != FLAG && !value) {
            snprintf(why, ARGUMENTS_WHY, "--%s wants a value: %s", rows[i].name, rows[i].value);
            return false;
        }
        if (!set(a, i, value, why))
            return false;
    }
    return true;
}

const char *arguments_name(enum option_name name)
{
    return rows[name].name;
}

void arguments_help(FILE *out, uint32_t allowed)
{
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        if (!(allowed >> i & 1))
            continue;
        char left[64], letter[8] = "    ";
        if (rows[i].letter)
            snprintf(letter, sizeof letter, "-%c, ", rows[i].letter);
        snprintf(left, sizeof left, "%s--%s%s%s", letter, rows[i].name, rows[i].value ? " " : "",
                 rows[i].value ? rows[i].value : "");
        fprintf(out, "  %-26s %s\n", left, rows[i].help);
    }
}

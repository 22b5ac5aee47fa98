/* config.h - what leatd was told: configuration file < environment < command line, read once.
 *
 * Every option is a row of config_table.h. Units: counts, bytes, nanoseconds; a CHOICE is the number of its word, from
 * 0. Memory: the struct holds everything. Failure: one sentence that names who said it, the option, the value and the
 * limit. Thread: start-up. */
#ifndef LEAT_CONFIG_H
#define LEAT_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum {
    CONFIG_TEXT_MAX = 1024,
    CONFIG_ERROR_MAX = 2048,
    CONFIG_VALUE_MAX = 32, /* a number with its unit */
    CONFIG_PAGE = 4096,
    CONFIG_SEGMENTS_MAX = 3900,     /* as many as the manifest can list */
    CONFIG_BLOCK_REST = 132 * 1024, /* beside a body: attributes (64 K), what acks keep (64 K), headers */
    CONFIG_SEGMENTS_MIN = 16,       /* disk_max in segments: puts are refused when the last eight are at stake */
};

#define GROUP(title)
#define OPTION(KIND, field, argument, fallback, low, high, help) CONFIG_FIELD_##KIND(field)
#define CONFIG_FIELD_TEXT(field) char field[CONFIG_TEXT_MAX];
#define CONFIG_FIELD_ADDRESS(field) char field[CONFIG_TEXT_MAX];
#define CONFIG_FIELD_CHOICE(field) uint64_t field;
#define CONFIG_FIELD_COUNT(field) uint64_t field;
#define CONFIG_FIELD_SIZE(field) uint64_t field;
#define CONFIG_FIELD_PAGES(field) uint64_t field;
#define CONFIG_FIELD_TIME(field) uint64_t field;
struct config {
    bool salvage;   /* --salvage: mend the data directory and end */
    uint64_t given; /* see config_given(): a bit for each row */
    uint64_t flags; /* of these, the ones on the command line */
#include "config_table.h"
};
#undef GROUP
#undef OPTION

/* The words of the choices, in the order of the table. */
enum { POLL_SPIN, POLL_ADAPTIVE };
enum { DURABILITY_DISK, DURABILITY_MEMORY };

enum config_result {
    CONFIG_READ,      /* go on */
    CONFIG_HELP,      /* --help was asked for */
    CONFIG_VERSION,   /* --version */
    CONFIG_BAD_USAGE, /* the command line is wrong: exit 64 */
    CONFIG_BAD_VALUE, /* a file or the environment is wrong, or options do not fit each other: exit 78 */
};

/* config_read: `error` gets one sentence for the last two. */
enum config_result config_read(struct config *c, int argc, char *const argv[], char error[CONFIG_ERROR_MAX]);

/* config_given: whether anybody said what this option is; `field` as in the table. */
bool config_given(const struct config *c, const char *field);
/* config_by_flag: whether it holds what the command line says: when that is wrong, the exit code is 64, else 78. */
bool config_by_flag(const struct config *c, const char *field);

/* config_disk_fits: whether disk_max goes with the size of segments, which is the data directory's own, `kept`, where
 * it has one, and segment_size where that is 0. A log that is there uses no more than it can, and a file of an
 * unfinished copy may be short, so that `kept` refuses nothing as too large. */
bool config_disk_fits(const struct config *c, uint64_t kept, char error[CONFIG_ERROR_MAX]);

/* config_is_off: "none" in the place of an address or a path. */
bool config_is_off(const char *text);

/* config_loopback: whether HOST:PORT names this machine's own address: 127.x.x.x, [::1] or localhost. */
bool config_loopback(const char *address);

/* config_size_text: a size as options are written: 64M, 1025K, 1000001 bytes. Returns `text`. */
const char *config_size_text(char text[CONFIG_VALUE_MAX], uint64_t bytes);

/* config_help: the manual, from the table. */
void config_help(FILE *out);

#endif

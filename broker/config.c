/* config.c - one table, three sources, one parser.
 *
 * Values are set in rising order of rank, each over the last: fallbacks, file, environment, flags. The file's own name
 * must be known before, so flags and environment are searched for it first. Environment variables that begin with
 * LEAT_ but are no option of ours are left alone: container platforms invent some (LEAT_SERVICE_HOST), and the client
 * has others. */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ini.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "must.h"

enum kind { GROUP_TITLE, KIND_TEXT, KIND_ADDRESS, KIND_CHOICE, KIND_COUNT, KIND_SIZE, KIND_PAGES, KIND_TIME };

struct option {
    enum kind kind;
    size_t offset;
    const char *name, *argument, *fallback, *low, *high, *help;
};

#define GROUP(title) {.kind = GROUP_TITLE, .help = title},
#define OPTION(KIND, field, argument, fallback, low, high, help)                                                       \
    {KIND_##KIND, offsetof(struct config, field), #field, argument, fallback, low, high, help},
static const struct option options[] = {
#include "config_table.h"
};
#undef GROUP
#undef OPTION
enum { OPTIONS = sizeof options / sizeof options[0], NAME_MAX_CONFIG = 64 };
_Static_assert(OPTIONS <= 64, "config.given has a bit for each");

static const struct unit {
    const char *name;
    enum kind kind;
    uint64_t worth;
} units[] = {
    {"K", KIND_SIZE, 1ull << 10},     {"M", KIND_SIZE, 1ull << 20},  {"G", KIND_SIZE, 1ull << 30},
    {"T", KIND_SIZE, 1ull << 40},     {"us", KIND_TIME, 1000},       {"ms", KIND_TIME, 1000000},
    {"s", KIND_TIME, 1000000000},     {"m", KIND_TIME, 60000000000}, {"h", KIND_TIME, 3600000000000},
    {"d", KIND_TIME, 86400000000000},
};

static const char *const kind_words[] = {
    [KIND_COUNT] = "a whole number",
    [KIND_SIZE] = "a size: bytes, or a number with K, M, G or T",
    [KIND_PAGES] = "a size: bytes, or a number with K, M, G or T",
    [KIND_TIME] = "a time: a number with us, ms, s, m, h or d",
};

/* One sentence; always false, so that a refusal is one line. */
__attribute__((format(printf, 2, 3))) static bool refuse(char error[CONFIG_ERROR_MAX], const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(error, CONFIG_ERROR_MAX, format, list);
    va_end(list);
    return false;
}

/* A number with its unit. False: not one, or larger than 64 bits. */
static bool parse_number(enum kind kind, const char *text, uint64_t *value)
{
    if (*text < '0' || *text > '9')
        return false;
    char *end;
    errno = 0;
    uint64_t n = strtoull(text, &end, 10);
    if (errno != 0)
        return false;
    *value = n;
    if (*end == 0)
        return kind != KIND_TIME || n == 0; /* a time without a unit would be guessed at */
    kind = kind == KIND_PAGES ? KIND_SIZE : kind;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (units[i].kind == kind && strcmp(units[i].name, end) == 0)
            return !__builtin_mul_overflow(n, units[i].worth, value);
    return false;
}

static uint64_t bound(const struct option *o, const char *text)
{
    uint64_t value;
    bool good = parse_number(o->kind, text, &value);
    must(good); /* the table's own */
    return value;
}

/* A value as people write it: with the largest unit that leaves a whole number. */
static const char *value_text(char text[CONFIG_VALUE_MAX], enum kind kind, uint64_t value)
{
    const struct unit *best = NULL;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (units[i].kind == kind && value % units[i].worth == 0)
            best = &units[i];
    if (value == 0 || !best)
        snprintf(text, CONFIG_VALUE_MAX, "%" PRIu64 "%s", value, kind == KIND_SIZE ? " bytes" : "");
    else
        snprintf(text, CONFIG_VALUE_MAX, "%" PRIu64 "%s", value / best->worth, best->name);
    return text;
}

const char *config_size_text(char text[CONFIG_VALUE_MAX], uint64_t bytes)
{
    return value_text(text, KIND_SIZE, bytes);
}

bool config_is_off(const char *text)
{
    return strcmp(text, "none") == 0;
}

bool config_loopback(const char *address)
{
    char host[64];
    const char *colon = strrchr(address, ':');
    if (!colon || (size_t)(colon - address) >= sizeof host)
        return false;
    memcpy(host, address, (size_t)(colon - address));
    host[colon - address] = 0;
    struct in_addr four;
    if (inet_pton(AF_INET, host, &four) == 1)
        return ntohl(four.s_addr) >> 24 == 127;
    return strcmp(host, "[::1]") == 0 || strcmp(host, "localhost") == 0;
}

/* HOST:PORT or [HOST]:PORT, as far as its form goes. */
static bool is_endpoint(const char *address)
{
    const char *colon = strrchr(address, ':');
    if (!colon || colon == address || (address[0] == '[') != (colon[-1] == ']'))
        return false;
    size_t digits = strspn(colon + 1, "0123456789");
    return digits > 0 && digits <= 5 && colon[1 + digits] == 0 && strtoul(colon + 1, NULL, 10) <= 65535;
}

static bool set_text(struct config *c, const struct option *o, const char *text, char why[CONFIG_ERROR_MAX])
{
    if (!*text && o->fallback[0])
        return refuse(why, "the value is empty: %s is needed", o->argument);
    if (strlen(text) >= CONFIG_TEXT_MAX)
        return refuse(why, "the value is longer than %d characters", CONFIG_TEXT_MAX - 1);
    strcpy((char *)c + o->offset, text);
    return true;
}

static bool set_address(struct config *c, const struct option *o, const char *text, char why[CONFIG_ERROR_MAX])
{
    if (!config_is_off(text) && !is_endpoint(text))
        return refuse(why, "\"%.200s\" is not of the form HOST:PORT, with a port from 0 to 65535", text);
    if (!config_is_off(text) && !config_loopback(text))
        return refuse(why,
                      "%.200s is not a loopback address: this version knows no keys, so strangers could not be told "
                      "from friends; use 127.0.0.1:PORT, [::1]:PORT or localhost:PORT",
                      text);
    return set_text(c, o, text, why);
}

static bool set_choice(struct config *c, const struct option *o, const char *text, char why[CONFIG_ERROR_MAX])
{
    const char *word = o->argument;
    for (uint64_t n = 0;; n++) {
        size_t size = strcspn(word, "|");
        if (strlen(text) == size && memcmp(word, text, size) == 0) {
            memcpy((char *)c + o->offset, &n, sizeof n);
            return true;
        }
        if (word[size] == 0)
            return refuse(why, "\"%.64s\" is none of %s", text, o->argument);
        word += size + 1;
    }
}

static bool whole_pages(uint64_t size, char why[CONFIG_ERROR_MAX])
{
    char is[CONFIG_VALUE_MAX], below[CONFIG_VALUE_MAX], above[CONFIG_VALUE_MAX];
    uint64_t down = size - size % CONFIG_PAGE;
    if (size == down)
        return true;
    return refuse(why, "%s is not a multiple of 4K: the nearest are %s and %s", config_size_text(is, size),
                  config_size_text(below, down), config_size_text(above, down + CONFIG_PAGE));
}

static bool set_number(struct config *c, const struct option *o, const char *text, char why[CONFIG_ERROR_MAX])
{
    uint64_t value;
    if (!parse_number(o->kind, text, &value))
        return refuse(why, "\"%.64s\" is not %s", text, kind_words[o->kind]);
    if (value < bound(o, o->low) || value > bound(o, o->high)) {
        if (strcmp(o->name, "shards") == 0)
            return refuse(why, "\"%.64s\" is not possible: the limit is %s shard in this version", text, o->high);
        return refuse(why, "\"%.64s\" is out of bounds: the limits are %s and %s", text, o->low, o->high);
    }
    if (o->kind == KIND_PAGES && !whole_pages(value, why))
        return false;
    memcpy((char *)c + o->offset, &value, sizeof value);
    return true;
}

/* Somebody says so: file, environment or flag. */
static bool set(struct config *c, const struct option *o, const char *text, char why[CONFIG_ERROR_MAX])
{
    c->given |= 1ull << (o - options);
    switch (o->kind) {
    case KIND_TEXT:
        return set_text(c, o, text, why);
    case KIND_ADDRESS:
        return set_address(c, o, text, why);
    case KIND_CHOICE:
        return set_choice(c, o, text, why);
    default:
        return set_number(c, o, text, why);
    }
}

/* queues_max -> --queues-max, LEAT_QUEUES_MAX. */
static void flag_name(const struct option *o, char name[NAME_MAX_CONFIG])
{
    snprintf(name, NAME_MAX_CONFIG, "--%s", o->name);
    for (char *p = name; *p; p++)
        *p = *p == '_' ? '-' : *p;
}

static void variable_name(const struct option *o, char name[NAME_MAX_CONFIG])
{
    snprintf(name, NAME_MAX_CONFIG, "LEAT_%s", o->name);
    for (char *p = name; *p; p++)
        *p = *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p;
}

static const struct option *find_name(const char *name)
{
    for (unsigned i = 0; i < OPTIONS; i++)
        if (options[i].name && strcmp(options[i].name, name) == 0)
            return &options[i];
    return NULL;
}

static const struct option *find_flag(const char *word, size_t size)
{
    for (unsigned i = 0; i < OPTIONS; i++) {
        char name[NAME_MAX_CONFIG];
        if (options[i].kind == GROUP_TITLE)
            continue;
        flag_name(&options[i], name);
        if (strlen(name) == size && memcmp(name, word, size) == 0)
            return &options[i];
    }
    return NULL;
}

/* The flags. With `only`, nothing but that option is set, and what is wrong is left for the second reading. */
static enum config_result read_flags(struct config *c, int argc, char *const argv[], const struct option *only,
                                     char error[CONFIG_ERROR_MAX])
{
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        char why[CONFIG_ERROR_MAX];
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
            return CONFIG_HELP;
        if (strcmp(word, "--version") == 0)
            return CONFIG_VERSION;
        if (strcmp(word, "--salvage") == 0) {
            c->salvage = true;
            continue;
        }
        size_t size = strcspn(word, "=");
        const struct option *o = find_flag(word, size);
        if (!o) {
            refuse(error, "%s %.200s: leatd --help lists all", word[0] == '-' ? "unknown option" : "unexpected word",
                   word);
            return CONFIG_BAD_USAGE;
        }
        const char *value = word[size] == '=' ? word + size + 1 : i + 1 < argc ? argv[++i] : NULL;
        if (!value) {
            refuse(error, "option %s needs a value: %s", word, o->argument);
            return CONFIG_BAD_USAGE;
        }
        if ((!only || o == only) && !set(c, o, value, why)) {
            refuse(error, "option %.*s: %s", (int)size, word, why);
            return CONFIG_BAD_USAGE;
        }
    }
    return CONFIG_READ;
}

static bool read_environment(struct config *c, const struct option *only, char error[CONFIG_ERROR_MAX])
{
    for (unsigned i = 0; i < OPTIONS; i++) {
        char name[NAME_MAX_CONFIG], why[CONFIG_ERROR_MAX];
        if (options[i].kind == GROUP_TITLE || (only && &options[i] != only))
            continue;
        variable_name(&options[i], name);
        const char *value = getenv(name);
        if (value && !set(c, &options[i], value, why))
            return refuse(error, "environment variable %s: %s", name, why);
    }
    return true;
}

struct file_reading {
    struct config *config;
    char why[CONFIG_ERROR_MAX]; /* of the first line that is wrong */
};

static int read_line(void *context, const char *section, const char *name, const char *value)
{
    struct file_reading *f = context;
    if (f->why[0])
        return 1;
    if (section[0])
        return refuse(f->why, "section [%.64s]: there are no sections", section);
    const struct option *o = find_name(name);
    if (!o || strcmp(name, "config") == 0)
        return refuse(f->why, "unknown option %.64s: leatd --help lists all", name);
    char why[CONFIG_ERROR_MAX];
    if (!set(f->config, o, value, why))
        return refuse(f->why, "%s: %s", name, why);
    return 1;
}

static bool read_file(struct config *c, char error[CONFIG_ERROR_MAX])
{
    FILE *in = fopen(c->config, "re");
    if (!in)
        return refuse(error, "cannot read the configuration file %s: %s", c->config, strerror(errno));
    struct file_reading f = {.config = c};
    errno = 0;
    int line = ini_parse_file(in, read_line, &f);
    int failed = ferror(in) ? errno : 0;
    fclose(in);
    if (failed)
        return refuse(error, "cannot read the configuration file %s: %s", c->config, strerror(failed));
    if (line != 0)
        return refuse(error, "configuration file %s, line %d: %s", c->config, line,
                      f.why[0] ? f.why : "a line is `option = value`, a comment begins with # or ;");
    return true;
}

bool config_given(const struct config *c, const char *field)
{
    const struct option *o = find_name(field);
    must(o != NULL);
    return c->given >> (o - options) & 1;
}

bool config_by_flag(const struct config *c, const char *field)
{
    const struct option *o = find_name(field);
    must(o != NULL);
    return c->flags >> (o - options) & 1;
}

/* Sizes of the log: which option is wrong, what it is, what it may be, and why; then which ones would help. */
static bool log_fits(const struct config *c, char error[CONFIG_ERROR_MAX])
{
    char is[CONFIG_VALUE_MAX], may[CONFIG_VALUE_MAX], of[CONFIG_VALUE_MAX];
    uint64_t hot_least = (c->depth + 2) * c->block_max, block_least = c->body_max + CONFIG_BLOCK_REST;
    if (c->block_max * 2 > c->segment_size)
        return refuse(error,
                      "block_max is %s, but at most %s is possible: half of segment_size %s; lower block_max, or raise "
                      "segment_size",
                      config_size_text(is, c->block_max), config_size_text(may, c->segment_size / 2),
                      config_size_text(of, c->segment_size));
    if (c->block_max < block_least)
        return refuse(error,
                      "block_max is %s, but at least %s is needed: body_max %s and %uK for attributes and for "
                      "acknowledgements; raise block_max, or lower body_max",
                      config_size_text(is, c->block_max), config_size_text(may, block_least),
                      config_size_text(of, c->body_max), CONFIG_BLOCK_REST / 1024);
    if (c->hot_max < hot_least)
        return refuse(error,
                      "hot_max is %s, but at least %s is needed: depth %" PRIu64 " + 2, times block_max %s; raise "
                      "hot_max, or lower depth or block_max",
                      config_size_text(is, c->hot_max), config_size_text(may, hot_least), c->depth,
                      config_size_text(of, c->block_max));
    return true;
}

bool config_disk_fits(const struct config *c, uint64_t kept, char error[CONFIG_ERROR_MAX])
{
    char is[CONFIG_VALUE_MAX], may[CONFIG_VALUE_MAX], of[CONFIG_VALUE_MAX];
    uint64_t segment = kept ? kept : c->segment_size;
    uint64_t least = CONFIG_SEGMENTS_MIN * segment, most = CONFIG_SEGMENTS_MAX * segment;
    if (c->disk_max != 0 && c->disk_max < least)
        return refuse(error,
                      "disk_max is %s, but at least %s is needed: %d times segment_size %s%s%s; raise disk_max%s",
                      config_size_text(is, c->disk_max), config_size_text(may, least), CONFIG_SEGMENTS_MIN,
                      config_size_text(of, segment), kept ? ", which is kept by data " : "", kept ? c->data : "",
                      kept ? "" : ", or lower segment_size");
    if (!kept && c->disk_max > most)
        return refuse(error,
                      "disk_max is %s, but at most %s is possible: %d times segment_size %s; lower disk_max, or raise "
                      "segment_size",
                      config_size_text(is, c->disk_max), config_size_text(may, most), CONFIG_SEGMENTS_MAX,
                      config_size_text(of, segment));
    return true;
}

/* What no single option can be blamed for. */
static bool fits_together(const struct config *c, char error[CONFIG_ERROR_MAX])
{
    char least[CONFIG_VALUE_MAX], most[CONFIG_VALUE_MAX];
    if (c->lease_min > c->lease_max)
        return refuse(error, "lease_min is %s, but lease_max is %s: lower lease_min, or raise lease_max",
                      value_text(least, KIND_TIME, c->lease_min), value_text(most, KIND_TIME, c->lease_max));
    return log_fits(c, error);
}

enum config_result config_read(struct config *c, int argc, char *const argv[], char error[CONFIG_ERROR_MAX])
{
    const struct option *file = find_name("config");
    memset(c, 0, sizeof *c);
    for (unsigned i = 0; i < OPTIONS; i++) {
        bool good = options[i].kind == GROUP_TITLE || set(c, &options[i], options[i].fallback, error);
        must(good);
    }
    c->given = 0;
    if (!read_environment(c, file, error))
        return CONFIG_BAD_VALUE;
    enum config_result result = read_flags(c, argc, argv, file, error);
    if (result != CONFIG_READ)
        return result;
    if (c->config[0] && !read_file(c, error))
        return CONFIG_BAD_VALUE;
    if (!read_environment(c, NULL, error))
        return CONFIG_BAD_VALUE;
    uint64_t given = c->given;
    c->given = 0;
    result = read_flags(c, argc, argv, NULL, error);
    c->flags = c->given;
    c->given |= given;
    if (result != CONFIG_READ)
        return result;
    return fits_together(c, error) ? CONFIG_READ : CONFIG_BAD_VALUE;
}

static void help_option(FILE *out, const struct option *o)
{
    char name[NAME_MAX_CONFIG], head[NAME_MAX_CONFIG * 2];
    flag_name(o, name);
    snprintf(head, sizeof head, "%s %s", name, o->argument);
    fprintf(out, "  %-28s %s%s", head, o->help, strlen(head) > 28 ? " " : "");
    if (o->fallback[0])
        fprintf(out, " [%s]", o->fallback);
    if (o->low[0] && strcmp(o->low, o->high) != 0)
        fprintf(out, " (%s to %s)", o->low, o->high);
    fputc('\n', out);
}

void config_help(FILE *out)
{
    fputs(
        "leatd - the broker of Leat, a durable work queue\n"
        "\n"
        "usage: leatd [OPTION VALUE]...\n"
        "\n"
        "It prints one line per endpoint, then \"leatd ready\". SIGTERM or SIGINT: what is under way is finished and\n"
        "written, within 5 s. It serves this machine only: listeners on other addresses than loopback are refused.\n",
        out);
    for (unsigned i = 0; i < OPTIONS; i++)
        if (options[i].kind == GROUP_TITLE)
            fprintf(out, "\n%s: [default] (bounds)\n", options[i].help);
        else
            help_option(out, &options[i]);
    fputs("  --help, --version\n"
          "  --salvage                    do not serve: make a data directory that a start refuses as corrupt start "
          "again,\n"
          "                               with all that can be saved, and say what was given up (see the README)\n"
          "\n"
          "Each option can stand in the configuration file (queues_max = 1000) and in the environment\n"
          "(LEAT_QUEUES_MAX=1000) too; the command line wins over the environment, and that over the file.\n"
          "Sizes: 1048576, 1024K, 1M, 1G, 1T (powers of 1024). Times: 50us, 5ms, 30s, 1m, 12h, 1d.\n"
          "The limits that say how much a queue may hold are kept in the data directory: they can grow, not shrink.\n"
          "\n"
          "Exit status:\n",
          out);
#define EXIT(NAME, code, text) fprintf(out, "  %3d  %s\n", code, text);
#include "exit_table.h"
#undef EXIT
}

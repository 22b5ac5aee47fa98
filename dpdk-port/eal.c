/* eal.c - one safe start of DPDK's environment.
 *
 * The arguments are ours first (no PCI probing, no telemetry socket, memory without leftovers, an lcore that may run on
 * every CPU we may run on), then the user's, each looked up in a table: EAL answers a wrong word with sixty lines of
 * usage on stderr, so a wrong word never reaches it. An option of the user's takes the place of ours where the two
 * would quarrel.
 *
 * DPDK logs through a stream of ours that passes lines on and keeps the last one: it is the reason in "why" when the
 * start fails. */
#include "eal.h"

#include <ctype.h>
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_malloc.h>

#include "must.h"

enum { EAL_WORDS_MAX = 48, EAL_TEXT_MAX = 2048, EAL_LINE_MAX = 240, HUGE_SHARE = 4 };

enum eal_value { VALUE_NONE, VALUE_NUMBER, VALUE_CORES, VALUE_WORD };

/* What a user may say. Anything else would end in usage text, or in a daemon that shares memory files with strangers.
 */
static const struct eal_option {
    const char *name;
    enum eal_value value;
} eal_options_table[] = {
    {"-l", VALUE_CORES},
    {"--lcores", VALUE_CORES},
    {"-a", VALUE_WORD},
    {"--allow", VALUE_WORD},
    {"--vdev", VALUE_WORD},
    {"-m", VALUE_NUMBER},
    {"-n", VALUE_NUMBER},
    {"--huge-dir", VALUE_WORD},
    {"--file-prefix", VALUE_WORD},
    {"--iova-mode", VALUE_WORD},
    {"--log-level", VALUE_WORD},
    {"--no-huge", VALUE_NONE},
    {"--in-memory", VALUE_NONE},
    {"--socket-mem", VALUE_CORES},
    {"--socket-limit", VALUE_CORES},
    {"--no-pci", VALUE_NONE},
    {"--match-allocations", VALUE_NONE},
};

struct words {
    char **argv;
    int argc, max;
    char *text;
    size_t size, used;
    bool full;
};

static char eal_line[EAL_LINE_MAX];
static FILE *eal_log;

static void words_add(struct words *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void words_add(struct words *w, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int n = vsnprintf(w->text + w->used, w->size - w->used, format, list);
    va_end(list);
    if (n < 0 || (size_t)n >= w->size - w->used || w->argc + 1 >= w->max) {
        w->full = true;
        return;
    }
    w->argv[w->argc++] = w->text + w->used;
    w->argv[w->argc] = NULL;
    w->used += (size_t)n + 1;
}

static bool words_have(const struct words *w, const char *name)
{
    size_t n = strlen(name);
    for (int i = 1; i < w->argc; i++)
        if (!strncmp(w->argv[i], name, n) && (w->argv[i][n] == 0 || w->argv[i][n] == '='))
            return true;
    return false;
}

static const struct eal_option *option_find(const char *word, size_t size)
{
    for (size_t i = 0; i < sizeof eal_options_table / sizeof eal_options_table[0]; i++)
        if (strlen(eal_options_table[i].name) == size && !memcmp(eal_options_table[i].name, word, size))
            return &eal_options_table[i];
    return NULL;
}

static bool value_good(enum eal_value kind, const char *value)
{
    if (*value == 0 || *value == '-')
        return false;
    for (; *value; value++) {
        bool digit = isdigit((unsigned char)*value);
        if (kind == VALUE_NUMBER && !digit)
            return false;
        if (kind == VALUE_CORES && !digit && !strchr(",-@()", *value))
            return false;
        if (!isgraph((unsigned char)*value))
            return false;
    }
    return true;
}

/* Takes the user's line apart and adds the words that stand in the table. */
static bool words_add_checked(struct words *w, const char *extra, char *why, size_t why_size)
{
    char line[EAL_TEXT_MAX];
    if ((size_t)snprintf(line, sizeof line, "%s", extra) >= sizeof line) {
        snprintf(why, why_size, "the DPDK arguments are longer than %d characters", EAL_TEXT_MAX);
        return false;
    }
    char *rest = NULL;
    for (char *word = strtok_r(line, " \t\n", &rest); word; word = strtok_r(NULL, " \t\n", &rest)) {
        char *equals = strchr(word, '=');
        size_t size = equals ? (size_t)(equals - word) : strlen(word);
        const struct eal_option *o = option_find(word, size);
        if (!o || (equals && o->value == VALUE_NONE)) {
            snprintf(why, why_size, "unknown DPDK argument \"%s\"", word);
            return false;
        }
        words_add(w, "%s", word);
        if (o->value == VALUE_NONE)
            continue;
        const char *value = equals ? equals + 1 : strtok_r(NULL, " \t\n", &rest);
        if (!value || !value_good(o->value, value)) {
            snprintf(why, why_size, "the DPDK argument %s needs a proper value", o->name);
            return false;
        }
        if (!equals)
            words_add(w, "%s", value);
    }
    return true;
}

/* One lcore that floats over all CPUs of this process: our own threads pin themselves. */
static void words_add_lcore(struct words *w)
{
    cpu_set_t mine;
    char list[1024];
    size_t used = 0;
    if (sched_getaffinity(0, sizeof mine, &mine))
        return;
    for (unsigned cpu = 0; cpu < CPU_SETSIZE && used + 8 < sizeof list; cpu++)
        if (CPU_ISSET(cpu, &mine))
            used += (size_t)snprintf(list + used, sizeof list - used, used ? ",%u" : "%u", cpu);
    if (used)
        words_add(w, "--lcores=0@(%s)", list);
}

int eal_arguments(const struct eal_options *o, bool huge, char *argv[], int max, char *text, size_t text_size,
                  char *why, size_t why_size)
{
    struct words w = {.argv = argv, .max = max, .text = text, .size = text_size};
    words_add(&w, "%s", o->name);
    if (o->extra && !words_add_checked(&w, o->extra, why, why_size))
        return 0;
    if (!words_have(&w, "-a") && !words_have(&w, "--allow") && !words_have(&w, "--no-pci"))
        words_add(&w, "--no-pci");
    words_add(&w, "--no-telemetry");
    if (words_have(&w, "--no-huge") || (!huge && !words_have(&w, "--in-memory"))) {
        if (words_have(&w, "--in-memory")) {
            snprintf(why, why_size, "the DPDK arguments --no-huge and --in-memory exclude each other");
            return 0;
        }
        if (!words_have(&w, "--no-huge"))
            words_add(&w, "--no-huge");
        words_add(&w, "--no-shconf");
        if (!words_have(&w, "--file-prefix"))
            words_add(&w, "--file-prefix=%s-%ld", o->name, (long)getpid());
    } else {
        if (!words_have(&w, "--in-memory"))
            words_add(&w, "--in-memory");
        words_add(&w, "--single-file-segments");
    }
    if (!words_have(&w, "-m") && !words_have(&w, "--socket-mem")) {
        words_add(&w, "-m");
        words_add(&w, "%u", o->memory_mb);
    }
    if (!words_have(&w, "-l") && !words_have(&w, "--lcores"))
        words_add_lcore(&w);
    if (w.full) {
        snprintf(why, why_size, "too many DPDK arguments");
        return 0;
    }
    return w.argc;
}

const char *eal_last_error(void)
{
    return eal_line;
}

/* DPDK's log stream: passes on, and keeps the last line that holds a word. */
static ssize_t log_write(void *cookie, const char *bytes, size_t size)
{
    (void)cookie;
    size_t n = size;
    while (n > 0 && isspace((unsigned char)bytes[n - 1]))
        n--;
    if (n > 0) {
        if (n >= sizeof eal_line)
            n = sizeof eal_line - 1;
        memcpy(eal_line, bytes, n);
        eal_line[n] = 0;
    }
    if (eal_log) {
        fwrite(bytes, 1, size, eal_log);
        fflush(eal_log);
    }
    return (ssize_t)size;
}

/* Whether huge pages would do for us and for HUGE_SHARE - 1 others of our size. EAL takes its pages a moment after this
 * look, cannot be started a second time, and fails where another program was quicker: clients that start at the same
 * instant all see the same free pages. */
static bool huge_pages_free(unsigned megabytes)
{
    FILE *f = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "re");
    unsigned long pages = 0;
    if (!f)
        return false;
    if (fscanf(f, "%lu", &pages) != 1)
        pages = 0;
    fclose(f);
    return pages * 2 >= (unsigned long)HUGE_SHARE * megabytes;
}

/* A program around us may have started EAL before: it is usable when its heap is. */
static bool eal_is_running(void)
{
    if (rte_lcore_count() == 0)
        return false;
    void *probe = rte_malloc(NULL, 64, 0);
    rte_free(probe);
    return probe != NULL;
}

static bool start_once(const struct eal_options *o, char *why, size_t why_size)
{
    static char text[EAL_TEXT_MAX]; /* EAL keeps pointers into its arguments */
    static char *argv[EAL_WORDS_MAX];
    int argc = eal_arguments(o, huge_pages_free(o->memory_mb), argv, EAL_WORDS_MAX, text, sizeof text, why, why_size);
    if (argc == 0)
        return false;
    eal_log = o->log;
    FILE *stream = fopencookie(NULL, "w", (cookie_io_functions_t){.write = log_write});
    if (stream) {
        setvbuf(stream, NULL, _IOLBF, 0);
        rte_openlog_stream(stream);
    }
    rte_log_set_global_level(RTE_LOG_WARNING);
    cpu_set_t before;
    bool pinned = !sched_getaffinity(0, sizeof before, &before);
    int got = rte_eal_init(argc, argv);
    int error = rte_errno;
    if (pinned)
        sched_setaffinity(0, sizeof before, &before);
    if (got >= 0) {
        rmdir(rte_eal_get_runtime_dir()); /* empty: nothing of ours is shared, and a kill would leave it behind */
        rte_log_set_level_pattern("lib.vhost*", RTE_LOG_ERR);
        rte_log_set_level_pattern("pmd.net.virtio*", RTE_LOG_ERR);
        return true;
    }
    if (error == EALREADY && eal_is_running()) {
        rte_openlog_stream(NULL);
        return true;
    }
    snprintf(why, why_size, "DPDK did not start: %s", *eal_line ? eal_line : rte_strerror(error));
    return false;
}

bool eal_start(const struct eal_options *o, char *why, size_t why_size)
{
    static enum { NEVER, RUNNING, FAILED } state;
    must(o->name != NULL);
    if (state == FAILED) {
        snprintf(why, why_size, "DPDK did not start earlier in this process");
        return false;
    }
    if (state == NEVER)
        state = start_once(o, why, why_size) ? RUNNING : FAILED;
    return state == RUNNING;
}

bool eal_thread_join(void)
{
    if (rte_lcore_id() != LCORE_ID_ANY)
        return false;
    return rte_thread_register() == 0;
}

void eal_thread_leave(void)
{
    must(rte_lcore_id() != LCORE_ID_ANY);
    rte_thread_unregister();
}

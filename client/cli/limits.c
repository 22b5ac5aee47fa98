/* limits.c - a row per option that the broker has a limit for. */
#include "limits.h"

#include <inttypes.h>
#include <stddef.h>

#include "words.h"

enum { ATTEMPTS_MAX = 65535 }; /* of the protocol */

static int above(const struct arguments *a, enum option_name option, const char *limit, const char *is)
{
    return report_usage("--%s %.80s: the broker's limit %s is %s", arguments_name(option), a->text[option], limit, is);
}

static int check_times(const struct arguments *a, const struct leat_limits *limits)
{
    const struct {
        enum option_name option;
        const char *name;
        uint64_t most;
    } rows[] = {{OPTION_LEASE, "lease_max", limits->lease_max_ns},
                {OPTION_DELAY, "delay_max", limits->delay_max_ns},
                {OPTION_NACK_DELAY, "delay_max", limits->delay_max_ns},
                {OPTION_WAIT, "wait_max", limits->wait_max_ns}};
    char most[WORDS_DURATION_MAX];
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        words_show_duration(most, rows[i].most);
        if (a->number[rows[i].option] > rows[i].most)
            return above(a, rows[i].option, rows[i].name, most);
    }
    words_show_duration(most, limits->lease_max_ns);
    if (arguments_given(a, OPTION_LEASE) && a->number[OPTION_LEASE] == 0)
        return report_usage("--lease %.80s: a lease takes time: from the broker's lease_min to its lease_max, %s",
                            a->text[OPTION_LEASE], most);
    return EXIT_DONE;
}

int limits_check(struct leat *l, const struct arguments *a)
{
    struct leat_limits limits;
    char most[24];
    leat_limits(l, &limits);
    snprintf(most, sizeof most, "%" PRIu32, limits.body_max);
    if (a->number[OPTION_BODY_MAX] > limits.body_max)
        return above(a, OPTION_BODY_MAX, "body_max", most);
    if (a->number[OPTION_MAX_ATTEMPTS] > ATTEMPTS_MAX)
        return report_usage("--max-attempts %.80s: at most %d", a->text[OPTION_MAX_ATTEMPTS], ATTEMPTS_MAX);
    return check_times(a, &limits);
}

int limits_report(const struct arguments *a, enum leat_status status, const char *sentence)
{
    if (status != LEAT_BAD_VALUE || !arguments_given(a, OPTION_LEASE))
        return report_status(status, sentence);
    return report_usage("--lease %.80s: shorter than the broker's limit lease_min", a->text[OPTION_LEASE]);
}

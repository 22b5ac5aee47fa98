/* report.c - numbers become lines. See report.h. */
#include "report.h"

#include "status.h"

static const struct {
    const char *name;
    uint32_t ppm;
} rank[] = {{"p50", HIST_P50}, {"p99", HIST_P99}, {"p99.9", HIST_P999}, {"p99.99", HIST_P9999}, {"max", HIST_MAX}};
enum { RANKS = sizeof rank / sizeof rank[0] };

static const char *class_name(const struct options *o)
{
    return o->durability == CLASS_MEMORY ? "memory" : "disk";
}

static double per_second(uint64_t n, const struct load_result *r)
{
    return r->seconds > 0 ? (double)n / r->seconds : 0;
}

/* What was typed, as the inside of a JSON string. */
static void print_escaped(FILE *out, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (c < ' ')
            fprintf(out, "\\u%04x", c);
        else
            fputc(c, out);
    }
}

void report_json(FILE *out, const struct options *o, const struct load_result *r)
{
    const char *comma = "";
    fprintf(out, "{\"name\":\"leat-bench\",\"address\":\"");
    print_escaped(out, o->address_text);
    fprintf(out,
            "\",\"workload\":\"%s\",\"class\":\"%s\",\"size\":%u,\"batch\":%u,\"depth\":%u,\"connections\":%u,"
            "\"rate\":%.9g,\"raw\":%s,\"spin\":%s,\"seconds\":%.6f,\"cpu_seconds\":%.6f,\"requests\":%llu,\"messages\":"
            "%llu,"
            "\"requests_per_s\":%.1f,\"messages_per_s\":%.1f,\"acknowledged\":%llu,\"missed\":%llu,\"retries\":%llu,"
            "\"latency_ns\":{",
            options_workload_name(o->workload), class_name(o), o->size, o->batch, o->depth, o->lanes, o->rate,
            o->raw ? "true" : "false", o->spin ? "true" : "false", r->seconds, r->cpu_seconds,
            (unsigned long long)r->requests, (unsigned long long)r->messages, per_second(r->requests, r),
            per_second(r->messages, r), (unsigned long long)r->acknowledged, (unsigned long long)r->missed,
            (unsigned long long)r->retries);
    for (unsigned i = 0; i < RANKS; i++)
        fprintf(out, "%s\"%s\":%llu", i ? "," : "", rank[i].name,
                (unsigned long long)hist_at(&r->latency, rank[i].ppm));
    fprintf(out, "},\"failed\":{");
    for (unsigned i = 1; i < LOAD_STATUSES; i++)
        if (r->failed[i] > 0) {
            fprintf(out, "%s\"%s\":%llu", comma, status_name(i), (unsigned long long)r->failed[i]);
            comma = ",";
        }
    fprintf(out, "}");
    if (r->tally.expected > 0)
        fprintf(out, ",\"expected\":%llu,\"found\":%llu,\"repeated\":%llu,\"foreign\":%llu",
                (unsigned long long)r->tally.expected, (unsigned long long)r->tally.found,
                (unsigned long long)r->tally.repeated, (unsigned long long)r->tally.foreign);
    fprintf(out, "}\n");
}

void report_plain(FILE *out, const struct options *o, const struct load_result *r)
{
    fprintf(out, "%s, class %s, %u B, %u per request, ", options_workload_name(o->workload), class_name(o), o->size,
            o->batch);
    if (o->rate > 0)
        fprintf(out, "%.9g requests/s wanted\n", o->rate);
    else
        fprintf(out, "%u under way on %u connection%s\n", o->depth, o->lanes, o->lanes == 1 ? "" : "s");
    fprintf(out, "%12.0f requests/s %12.0f messages/s, %.2f s, %.2f s of CPU here\n", per_second(r->requests, r),
            per_second(r->messages, r), r->seconds, r->cpu_seconds);
    for (unsigned i = 0; i < RANKS; i++)
        fprintf(out, "%s %.2f us%s", rank[i].name, (double)hist_at(&r->latency, rank[i].ppm) / 1e3,
                i + 1 < RANKS ? "   " : "\n");
    if (r->missed > 0)
        fprintf(out, "the broker did not keep up: %llu requests never started\n", (unsigned long long)r->missed);
    for (unsigned i = 1; i < LOAD_STATUSES; i++)
        if (r->failed[i] > 0)
            fprintf(out, "%llu failed: %s\n", (unsigned long long)r->failed[i], status_text(i));
    if (r->tally.expected > 0)
        fprintf(out, "%llu of %llu found, %llu more than once, %llu not ours\n", (unsigned long long)r->tally.found,
                (unsigned long long)r->tally.expected, (unsigned long long)r->tally.repeated,
                (unsigned long long)r->tally.foreign);
}

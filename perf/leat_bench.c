/* leat_bench.c - leat-bench: load and latency, from the outside.
 *
 *     leat-bench -s vhost:///run/leat.sock --class memory --spin       one put after the other, memory to memory
 *     leat-bench --workload lives --depth 32 --batch 100               full lives over TCP, pipelined
 *     leat-bench --rate 100000                                         open loop: 100 000 puts a second
 *
 * options.c reads what is asked, load.c does it, report.c tells. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "load.h"
#include "options.h"
#include "report.h"
#include "standard.h"

enum { EXIT_FAILED = 1, EXIT_NO_BROKER = 69 };

static bool stay_on(int cpu)
{
    cpu_set_t set;
    if (cpu < 0)
        return true;
    CPU_ZERO(&set);
    CPU_SET((unsigned)cpu, &set);
    return !sched_setaffinity(0, sizeof set, &set);
}

int main(int argc, char **argv)
{
    static struct load_result result;
    struct options o;
    char why[512];
    if (!standard_streams())
        return EXIT_FAILED;
    options_defaults(&o);
    int code = options_read(&o, argc, argv);
    if (code != OPTIONS_GO_ON)
        return code;
    if (!stay_on(o.cpu)) {
        fprintf(stderr, "leat-bench: cannot stay on core %d: %s\n", o.cpu, strerror(errno));
        return EXIT_FAILED;
    }
    if (!load_run(&o, &result, why, sizeof why)) {
        fprintf(stderr, "leat-bench: %s\n", why);
        return EXIT_NO_BROKER;
    }
    (o.json ? report_json : report_plain)(stdout, &o, &result);
    return load_failed(&result) > 0 || result.tally.found < result.tally.expected ? EXIT_FAILED : 0;
}

/* report.h - a measurement for people, or for programs. Thread: any. */
#ifndef LEAT_PERF_REPORT_H
#define LEAT_PERF_REPORT_H

#include <stdio.h>

#include "load.h"

/* One line, one JSON object: what was asked, rates, latencies in ns, failures by name. */
void report_json(FILE *out, const struct options *o, const struct load_result *r);

void report_plain(FILE *out, const struct options *o, const struct load_result *r);

#endif

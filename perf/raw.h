/* raw.h - puts whose frames are made by hand, ahead of time: what is left is the broker.
 * Good for: measuring a broker with a generator that costs less than it does. Not for: anybody's program.
 *
 * The client's core opened the session and knows the queue; from then on this is the session's other end. A frame per
 * slot of the window is encoded once; for each request its number, the numbers in the bodies and their checksums are
 * written into it, and it is sent. Answers are matched by number. What stays unanswered for 20 ms is sent again under
 * the same number, so the numbers in the bodies come once all the same.
 *
 * Units: nanoseconds of lane_now(). Memory: a frame per slot. Failure: false with a sentence; requests that fail are
 * counted by status. Thread: one. */
#ifndef LEAT_PERF_RAW_H
#define LEAT_PERF_RAW_H

#include "lane.h"
#include "load.h"

/* raw_run: measures as load_run() does, over a lane that has nothing under way. The lane's client is of no use after
 * this, and its session has ended. */
bool raw_run(const struct options *o, struct lane *lane, struct queue_ref queue, struct load_result *result, char *why,
             size_t why_size);

#endif

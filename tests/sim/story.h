/* story.h - a .trace file: what clients ask at which time, and exactly what that must cause.
 *
 *   # a comment
 *   queue mail  lease=30s attempts=3 dead_letter=lost delay=1s class=memory body_max=10
 *    0.000  c1 put mail "a" "b" delay=5s class=memory    > c1 ok 1          > c1 ok 2
 *    0.001  c2 take mail max=2 wait=20s lease=1s         > c2 leased 1 attempt=1   (or: empty, parked)
 *    1.000  tick                                         > expired 1 -> ready
 *    2.000  c2 ack 1 attempt=1                           > c2 stale_receipt
 *
 * Further commands: cN nack M [attempt=K] [delay=D], cN extend M [attempt=K] lease=D, cN peek QUEUE, cN stat QUEUE,
 * cN drop QUEUE, cN deaf, cN hears, cN cut, crash, power, start, stop. A line that begins with `>` goes on with the
 * causes of the line before. Messages are numbered in the order in which puts ask for them. The broker, its log and the
 * clients are the real ones; the network takes 10 us, the disk 20 us, and nobody sleeps.
 *
 * Failure: the first line that does not hold is printed with what came instead. Thread: one. */
#ifndef LEAT_SIM_STORY_H
#define LEAT_SIM_STORY_H

#include <stdbool.h>

/* story_play: true when the whole story holds. */
bool story_play(const char *path);

#endif

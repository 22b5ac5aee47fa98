/* buggify.h - rare branches taken on purpose.
 *
 * if (full || buggify(segment_roll)) ... : the simulator takes the branch now and then although nothing forces it, so
 * that what is right but rare is met in every run. Outside of the simulator it is false: one load, and nothing at all
 * in release binaries (-DLEAT_MARKS=0). A place may ask for a branch that is always right and never for one that is
 * wrong. Thread: switched in single-threaded programs alone. Source of the idea: FoundationDB. */
#ifndef LEAT_BASE_BUGGIFY_H
#define LEAT_BASE_BUGGIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "mark.h"

#if LEAT_MARKS
#define buggify(name) (__builtin_expect(buggify_percent != 0, 0) && buggify_draw(#name))
#else
#define buggify(name) false
#endif

extern unsigned buggify_percent; /* of the passes; 0: off */
bool buggify_draw(const char *name);

/* buggify_on: each place is on or off for the whole run, by the seed; those that are on say yes so often. */
void buggify_on(uint64_t seed, unsigned percent);
void buggify_off(void);

#endif

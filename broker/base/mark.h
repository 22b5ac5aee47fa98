/* mark.h - proof that a branch was reached.
 *
 * mark(name) counts one pass through the place where it stands. A test that means to reach that place says so with
 * mark_count(); a simulator run lists the marks that no seed hit. A mark costs one relaxed increment of its own counter
 * and is left out of release binaries (-DLEAT_MARKS=0).
 *
 * Thread: counters are plain; marks are read by single-threaded tests. Source of the idea: TigerBeetle's coverage
 * marks. */
#ifndef LEAT_BASE_MARK_H
#define LEAT_BASE_MARK_H

#include <stdint.h>

#ifndef LEAT_MARKS
#define LEAT_MARKS 1
#endif

struct mark {
    const char *name;
    uint64_t count;
} __attribute__((aligned(16)));

#if LEAT_MARKS
#define mark(name)                                                                                                     \
    do {                                                                                                               \
        static struct mark mark_##name __attribute__((section("leat_marks"), used)) = {#name, 0};                      \
        mark_##name.count++;                                                                                           \
    } while (0)
#else
#define mark(name) ((void)0)
#endif

/* mark_next: walks every mark of this program; start with NULL, ends with NULL. Two places may share one name. */
struct mark *mark_next(struct mark *previous);

/* mark_count: how often the places called `name` were passed; 0 if there are none. */
uint64_t mark_count(const char *name);

/* mark_reset: sets every count to 0. */
void mark_reset(void);

#endif

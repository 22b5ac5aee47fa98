/* must.h - the wrong that is ours: a broken promise inside Leat stops the process at once.
 *
 * must(x) is always on, in release builds too. It costs a predicted branch, so it stands on hot paths as well. One
 * condition each, so that the message says which one broke. The world's wrongs (bad input, full disks, dead peers) are
 * never must(): they are an `enum leat_status` (status.h).
 *
 * Failure: prints file, line and condition to stderr, then abort(). Thread: any. */
#ifndef LEAT_BASE_MUST_H
#define LEAT_BASE_MUST_H

_Noreturn void must_fail(const char *file, int line, const char *condition);

#define must(x) ((x) ? (void)0 : must_fail(__FILE__, __LINE__, #x))

#define MUST_BE_SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type " is " #bytes " bytes")

#endif

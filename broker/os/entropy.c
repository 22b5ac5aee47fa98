/* entropy.c - getrandom(2) until the whole request is filled. */
#include "entropy.h"

#include <errno.h>
#include <sys/random.h>

#include "must.h"

void entropy_fill(void *bytes, size_t size)
{
    uint8_t *p = bytes;
    while (size > 0) {
        ssize_t n = getrandom(p, size, 0);
        must(n > 0 || errno == EINTR); /* nothing else is documented for these arguments */
        if (n > 0) {
            p += n;
            size -= (size_t)n;
        }
    }
}

uint64_t entropy_u64(void)
{
    uint64_t v;
    entropy_fill(&v, sizeof v);
    return v;
}

/* verdict.c - a table of few rules. */
#include "verdict.h"

#include <stdio.h>

/* Nothing that goes to a device and back is done after INSTANT_NS; and what takes less than a quarter of a write and
 * less than QUICK_NS has not been there either. */
enum { INSTANT_NS = 3000, QUICK_NS = 20000 };

static bool verdict_is_hollow(struct duration flush, struct duration write)
{
    return flush.ns < INSTANT_NS || (flush.ns < QUICK_NS && flush.ns * 4 < write.ns);
}

struct disk_facts verdict_choose(const struct probed *p, const struct measured *m, bool direct)
{
    struct disk_facts f = {
        .known = p->known,
        .in_memory = p->in_memory,
        .volatile_cache = !p->known || p->volatile_cache,
        .fua = p->known && p->fua,
    };
    bool cheap = f.fua || !f.volatile_cache;
    f.durable_writes = direct && cheap;
    if (!m->done)
        return f;
    f.write = m->write;
    f.flush = m->flush;
    f.durable = m->durable;
    uint64_t two = m->write.ns + m->flush.ns;
    if (direct)
        f.durable_writes = cheap ? m->durable.ns * 2 <= two * 3 : m->durable.ns * 3 < two * 2;
    if (f.volatile_cache && !f.in_memory) {
        f.hollow_flush = verdict_is_hollow(m->flush, m->write);
        f.hollow_libc = !f.hollow_flush && verdict_is_hollow(m->libc_sync, m->write);
    }
    return f;
}

static unsigned long long verdict_us(struct duration d)
{
    return (d.ns + 500) / 1000;
}

void verdict_say(const struct disk_facts *f, const struct measured *m, char text[VERDICT_TEXT])
{
    const char *cache = !f->known ? "unknown device" : f->volatile_cache ? "volatile cache" : "no volatile cache";
    const char *fua = !f->known ? "" : f->fua ? ", FUA" : ", no FUA";
    int n = snprintf(text, VERDICT_TEXT, "%s, %s%s; ", f->durable_writes ? "durable writes" : "writes + flushes", cache,
                     fua);
    if (m->done)
        snprintf(text + n, (size_t)(VERDICT_TEXT - n), "write %llu us, flush %llu us, dsync %llu us",
                 verdict_us(f->write), verdict_us(f->flush), verdict_us(f->durable));
    else
        snprintf(text + n, (size_t)(VERDICT_TEXT - n), "not measured: %s", m->why);
}

const char *verdict_warning(const struct disk_facts *f, bool direct, unsigned i)
{
    const char *all[4] = {0};
    unsigned n = 0;
    if (f->in_memory)
        all[n++] = "lies in memory (tmpfs): a power cut or a reboot takes everything";
    if (!direct)
        all[n++] = "lies on a file system without O_DIRECT: writes go through the page cache";
    if (f->hollow_flush)
        all[n++] = "has a flush that takes no time though nobody says that there is no volatile cache: it seems to do "
                   "nothing, and a power cut may take what was acknowledged";
    if (f->hollow_libc)
        all[n++] =
            "is synced by an fdatasync() that takes no time (libeatmydata?): files that are made may not outlive "
            "a power cut";
    return i < n ? all[i] : NULL;
}

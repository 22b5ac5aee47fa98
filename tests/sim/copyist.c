/* copyist.c - see copyist.h. */
#include "copyist.h"

#include <stdlib.h>
#include <string.h>

#include "check_broker.h"
#include "fake_disk.h"
#include "mark.h"
#include "must.h"
#include "world.h"

#define PICK(prng, ...)                                                                                                \
    ((const uint64_t[]){__VA_ARGS__}[prng_below((prng), sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))])

#define LONG_PAUSE_NS 61000000000ull

static void throw_away(struct copyist *c)
{
    if (c->disk)
        fake_disk_close(c->disk);
    c->disk = NULL;
    free(c->files);
    c->files = NULL;
    check_copied_free(&c->want);
}

/* Until the next one. */
static void rest(struct copyist *c)
{
    throw_away(c);
    c->actor.think_until = c->actor.w->now + prng_below(&c->actor.prng, c->actor.manners.think_us * 2000ull);
}

void copyist_open(struct copyist *c, struct world *w)
{
    memset(c, 0, sizeof *c);
    actor_open(&c->actor, w, COPY_LINK, &w->draw.copyist);
    rest(c);
    agenda_add(&w->agenda, w->now, ENTRY_ACTOR, COPY_LINK, 0, NULL);
}

void copyist_close(struct copyist *c)
{
    throw_away(c);
    if (c->actor.w)
        actor_close(&c->actor);
    c->actor.w = NULL;
}

bool copyist_over(const struct copyist *c)
{
    return !c->actor.w || c->over;
}

/* -- asking -- */

static bool ask(struct copyist *c, struct client_op *op)
{
    return actor_ask(&c->actor, op, &(struct call){.op = op->request.op, .asked = world_stamp(c->actor.w)});
}

static bool ask_begin(struct copyist *c)
{
    struct client_op op = {.request = {.op = OP_BACKUP_BEGIN}};
    c->asked = world_stamp(c->actor.w);
    c->last = c->actor.w->phase != PHASE_SAFETY;
    return ask(c, &op);
}

static bool ask_next(struct copyist *c)
{
    struct client_op op = {.request = {.op = OP_BACKUP_END, .backup = {.id = c->backup.id}}};
    if (c->file == c->backup.files)
        return ask(c, &op);
    uint64_t left = c->files[c->file].bytes - c->offset;
    op.request.op = OP_BACKUP_READ;
    op.request.backup.file = c->file;
    op.request.backup.offset = c->offset;
    op.request.backup.size = left < c->actor.w->draw.copy_piece ? (uint32_t)left : c->actor.w->draw.copy_piece;
    return ask(c, &op);
}

/* It has its own accidents. */
static bool accident(struct copyist *c)
{
    struct world *w = c->actor.w;
    struct prng *p = &c->actor.prng;
    if (w->phase != PHASE_SAFETY)
        return false;
    uint64_t roll = prng_below(p, 1000);
    if (roll < 3 && draw_has(&w->draw, FAULT_CUT)) {
        net_cut(&w->net, COPY_LINK);
    } else if (roll < 5 && draw_has(&w->draw, FAULT_GONE)) {
        mark(sim_copyist_dies);
        throw_away(c);
        actor_die(&c->actor, false, w->now + PICK(p, 1000, 10000000, 1000000000));
        return true;
    } else if (roll == 5) {
        c->actor.think_until = w->now + LONG_PAUSE_NS;
        return true;
    }
    return false;
}

bool copyist_work(struct copyist *c)
{
    struct actor *a = &c->actor;
    if (c->over || client_pending(a->client) > 0 || a->w->now < a->think_until || accident(c))
        return false;
    return c->files ? ask_next(c) : ask_begin(c);
}

/* -- the copy -- */

static bool make_file(struct copyist *c)
{
    const struct reply_backup_file *f = &c->files[c->file];
    int handle = disk_create(c->disk, f->name, f->size);
    if (handle < 0)
        return false;
    disk_close(c->disk, (uint32_t)handle);
    return disk_sync_directory(c->disk) == 0;
}

/* Files that have no bytes are made and passed by. */
static void next_file(struct copyist *c)
{
    while (c->file < c->backup.files && c->offset == c->files[c->file].bytes) {
        c->file++;
        c->offset = 0;
        must(c->file == c->backup.files || make_file(c));
    }
}

static void begun(struct copyist *c, const struct client_result *r)
{
    struct world *w = c->actor.w;
    uint32_t offset;
    must(reply_backup_decode(&r->reply, &offset, &c->backup));
    c->files = calloc(c->backup.files, sizeof *c->files);
    must(c->files != NULL);
    for (uint32_t i = 0; i < c->backup.files; i++)
        must(reply_next_backup_file(&r->reply, &offset, &c->files[i]));
    struct fake_disk_config config = {.seed = w->draw.seed};
    c->disk = fake_disk_open(&config);
    c->file = 0;
    c->offset = 0;
    must(make_file(c));
    next_file(c);
    check_copied_want(&c->want, &w->history, c->asked, c->backup.position);
    world_trace(w, "a backup as of block %llu has begun: %u files, %llu bytes, %u messages are sure to be in it",
                (unsigned long long)c->backup.position, c->backup.files, (unsigned long long)c->backup.bytes,
                c->want.n_needed);
}

static void piece(struct copyist *c, const struct client_result *r)
{
    struct reply_piece p;
    must(reply_piece_decode(&r->reply, &p));
    if (p.file != c->file || p.offset != c->offset || p.size == 0 || p.size > c->files[c->file].bytes - c->offset)
        return history_fail(&c->actor.w->history, "a backup was asked for byte %llu of file %u and told of another",
                            (unsigned long long)c->offset, c->file);
    must(fake_disk_poke(c->disk, c->files[c->file].name, c->offset, p.bytes, p.size));
    c->offset += p.size;
    next_file(c);
}

/* A broker of its own is started on it: twice, for the second finds what the first has left. */
static void judge(struct copyist *c)
{
    struct world *w = c->actor.w;
    struct history *h = &w->history;
    struct prng *p = &c->actor.prng;
    for (unsigned i = 0; i < 2 && !h->failed; i++) {
        struct shard_start s = {.boot = {1 + prng_below(p, 20000000000)}, .wall_ns = 1800000000000000000ull};
        struct shard_counters counters;
        struct shard *shard;
        char error[256] = "";
        for (unsigned k = 0; k < sizeof s.entropy; k++)
            s.entropy[k] = (uint8_t)prng_next(p);
        memcpy(s.boot_id, s.entropy, sizeof s.boot_id);
        if (w->rotten) /* what the disk gave, and nobody has looked at yet */
            return;
        enum leat_status status = shard_open(&shard, &w->draw.broker, c->disk, &s, error);
        if (status != LEAT_OK)
            return history_fail(h, "S2: no broker starts on a backup as of block %llu: %s (%s)",
                                (unsigned long long)c->backup.position, status_name(status), error);
        check_copied(h, &c->want, shard_engine(shard));
        check_counters(h, shard_engine(shard));
        shard_count(shard, &counters);
        if (counters.epoch <= c->backup.epoch + 1 && !h->failed)
            history_fail(h, "a broker on a backup of epoch %u opens epoch %u", c->backup.epoch, counters.epoch);
        shard_close(shard);
        fake_disk_kill(c->disk);
    }
}

void copyist_result(struct copyist *c, const struct call *call, const struct client_result *r)
{
    struct world *w = c->actor.w;
    world_status(w, COPY_LINK, call->op, HISTORY_NONE, r->status);
    switch (r->status) {
    case LEAT_OK:
        break;
    case LEAT_OVERLOADED:
        c->actor.think_until = w->now + 1000000;
        return;
    case LEAT_BACKUP_LOST:
    case LEAT_BACKUP_BUSY:
    case LEAT_STOPPING:
        mark(sim_copy_lost);
        c->lost++;
        return rest(c);
    default:
        if (w->rotten) /* what cannot be read is not copied */
            return rest(c);
        return history_fail(&w->history, "a backup was told %s", status_name(r->status));
    }
    if (call->op == OP_BACKUP_BEGIN)
        return begun(c, r);
    if (call->op == OP_BACKUP_READ)
        return piece(c, r);
    mark(sim_copy_whole);
    judge(c);
    world_trace(w, "the backup as of block %llu is good", (unsigned long long)c->backup.position);
    c->whole++;
    c->over = c->last;
    rest(c);
}

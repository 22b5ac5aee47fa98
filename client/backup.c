/* backup.c - leat_backup(): a broker's data directory, fetched piece by piece into a directory here.
 *
 *   directory made, or empty --> a manifest that says "not ended" --> backup_begin --> each file: pieces, zeros, sync
 *     --> the manifest, beside the other one --> it takes its place --> backup_end
 *
 * A crash at any moment leaves either a whole copy or one that no broker opens. Reads come one after the other, in the
 * order of the list: the broker lets go of a file when the next one is asked for. What the broker says is not believed
 * further than need be: names are letters, digits and dashes, and no file is opened that is there already. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <dirent.h>

#include "blocking.h"
#include "pipeline.h"

enum { PIECE = 256 * 1024, SYNC_EVERY = 16 * 1024 * 1024, UNFINISHED_BYTES = 128 * 1024 };

static const char manifest[] = "manifest", manifest_made[] = "manifest.made";
static const char unfinished[] = "This backup has not ended.\n"; /* storage/manifest.c knows it */

struct backup {
    struct leat *l;
    const char *directory;
    int fd;    /* of the directory */
    bool made; /* by us */
    uint64_t id;
    struct reply_backup_file *files;
    struct leat_backup_state state;
    leat_backup_progress *progress;
    void *user;
    uint8_t *zeros, *piece; /* PIECE bytes each */
    uint32_t piece_size;

    /* the file at work */
    int file;
    uint64_t offset, unsynced;
};

static enum leat_status local(struct backup *b, const char *name)
{
    char about[LEAT_ERROR_MAX];
    snprintf(about, sizeof about, "%.150s%s%s: %s", b->directory, name ? "/" : "", name ? name : "", strerror(errno));
    return pipeline_fail(b->l, LEAT_LOCAL_FILE, about);
}

/* -- files -- */

static enum leat_status write_all(struct backup *b, const char *name, const uint8_t *bytes, uint64_t size)
{
    while (size > 0) {
        ssize_t n = pwrite(b->file, bytes, size, (off_t)b->offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return local(b, name);
        bytes += n;
        size -= (uint64_t)n;
        b->offset += (uint64_t)n;
        b->unsynced += (uint64_t)n;
    }
    if (b->unsynced < SYNC_EVERY)
        return LEAT_OK;
    b->unsynced = 0; /* a little at a time: the broker does not wait for ever */
    return fdatasync(b->file) == 0 ? LEAT_OK : local(b, name);
}

static enum leat_status open_file(struct backup *b, const char *name)
{
    b->offset = b->unsynced = 0;
    b->file = openat(b->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    return b->file >= 0 ? LEAT_OK : local(b, name);
}

/* Zeros up to `size`, so that a broker's later writes need no room; then all of it is safe. */
static enum leat_status close_file(struct backup *b, const char *name, uint64_t size, enum leat_status status)
{
    while (status == LEAT_OK && b->offset < size)
        status = write_all(b, name, b->zeros, size - b->offset < PIECE ? size - b->offset : PIECE);
    if (status == LEAT_OK && fsync(b->file) != 0)
        status = local(b, name);
    if (close(b->file) != 0 && status == LEAT_OK)
        status = local(b, name);
    b->file = -1;
    return status;
}

static enum leat_status sync_directory(struct backup *b)
{
    return fsync(b->fd) == 0 ? LEAT_OK : local(b, NULL);
}

/* -- the directory -- */

static enum leat_status check_empty(struct backup *b)
{
    int fd = openat(b->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    if (!d)
        return local(b, NULL);
    unsigned entries = 0;
    for (const struct dirent *e = readdir(d); e && entries == 0; e = readdir(d))
        entries += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    errno = ENOTEMPTY;
    return entries == 0 ? LEAT_OK : local(b, NULL);
}

/* Its own name is safe, too, when the directory above is synced, if we may look into that. */
static enum leat_status sync_above(struct backup *b)
{
    int above = openat(b->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (above < 0 && errno == EACCES)
        return LEAT_OK;
    if (above < 0)
        return local(b, "..");
    enum leat_status status = fsync(above) == 0 ? LEAT_OK : local(b, "..");
    close(above);
    return status;
}

static enum leat_status open_directory(struct backup *b)
{
    b->made = mkdir(b->directory, 0700) == 0;
    if (!b->made && errno != EEXIST)
        return local(b, NULL);
    b->fd = open(b->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (b->fd < 0)
        return local(b, NULL);
    enum leat_status status = check_empty(b);
    if (status != LEAT_OK) {
        close(b->fd); /* nothing in it is ours to remove */
        b->fd = -1;
        return status;
    }
    status = open_file(b, manifest);
    if (status != LEAT_OK) {
        close(b->fd); /* another backup has begun here meanwhile: what is in it is that one's */
        b->fd = -1;
        return status;
    }
    status = write_all(b, manifest, (const uint8_t *)unfinished, sizeof unfinished - 1);
    status = close_file(b, manifest, UNFINISHED_BYTES, status);
    if (status == LEAT_OK)
        status = sync_directory(b);
    return status == LEAT_OK ? sync_above(b) : status;
}

/* It failed: what we wrote goes, the directory too if we have made it. */
static void remove_all(struct backup *b)
{
    if (b->fd < 0)
        return;
    for (uint32_t i = 0; b->files && i < b->state.files && i <= b->state.files_done; i++)
        if (strcmp(b->files[i].name, manifest) != 0)
            unlinkat(b->fd, b->files[i].name, 0);
    unlinkat(b->fd, manifest_made, 0);
    unlinkat(b->fd, manifest, 0);
    if (b->made)
        rmdir(b->directory);
}

/* -- asking the broker -- */

static enum leat_status look_at_list(const struct client_result *r, void *user)
{
    struct backup *b = user;
    struct reply_backup head;
    uint32_t offset;
    if (!r->reply.body || !reply_backup_decode(&r->reply, &offset, &head) || head.files == 0)
        return LEAT_BAD_FRAME;
    b->files = calloc(head.files, sizeof *b->files);
    if (!b->files)
        return LEAT_NO_MEMORY;
    b->id = head.id;
    b->state.bytes = head.bytes;
    b->state.files = head.files;
    b->state.cluster = head.cluster;
    b->state.position = head.position;
    b->state.epoch = head.epoch;
    for (uint32_t i = 0; i < head.files; i++)
        if (!reply_next_backup_file(&r->reply, &offset, &b->files[i]) ||
            (strcmp(b->files[i].name, manifest) == 0) != (i + 1 == head.files))
            return LEAT_BAD_FRAME;
    return LEAT_OK;
}

static enum leat_status begin(struct backup *b)
{
    struct client_op op = {.request = {.op = OP_BACKUP_BEGIN}};
    return blocking_ask(b->l, &op, look_at_list, b);
}

static void end(struct backup *b)
{
    struct client_op op = {.request = {.op = OP_BACKUP_END, .backup = {.id = b->id}}};
    char kept[LEAT_ERROR_MAX];
    memcpy(kept, b->l->error, sizeof kept);
    blocking_ask(b->l, &op, NULL, NULL); /* else it ends by itself, in a minute */
    memcpy(b->l->error, kept, sizeof kept);
}

static enum leat_status look_at_piece(const struct client_result *r, void *user)
{
    struct backup *b = user;
    struct reply_piece p;
    if (!r->reply.body || !reply_piece_decode(&r->reply, &p) || p.file != b->state.files_done ||
        p.offset != b->offset || p.size != b->piece_size)
        return LEAT_BAD_FRAME;
    memcpy(b->piece, p.bytes, p.size);
    return LEAT_OK;
}

/* A broker that is short of memory for a moment is asked again. */
static enum leat_status ask_piece(struct backup *b)
{
    struct client_op op = {.request = {.op = OP_BACKUP_READ, .backup = {.id = b->id, .file = b->state.files_done}}};
    op.request.backup.offset = b->offset;
    op.request.backup.size = b->piece_size;
    struct instant deadline = blocking_deadline(b->l);
    for (unsigned tries = 0;; tries++) {
        enum leat_status status = blocking_ask(b->l, &op, look_at_piece, b);
        if (status != LEAT_OVERLOADED || !blocking_pause(b->l, tries, deadline))
            return status;
    }
}

static enum leat_status fetch_piece(struct backup *b, const struct reply_backup_file *f)
{
    uint64_t left = f->bytes - b->offset;
    b->piece_size = left < PIECE ? (uint32_t)left : PIECE;
    enum leat_status status = ask_piece(b);
    if (status == LEAT_OK)
        status = write_all(b, f->name, b->piece, b->piece_size);
    if (status != LEAT_OK)
        return status;
    b->state.bytes_done += b->piece_size;
    if (b->progress && !b->progress(&b->state, b->user))
        return pipeline_fail(b->l, LEAT_CLOSED, "the backup was given up");
    return LEAT_OK;
}

static enum leat_status fetch_file(struct backup *b)
{
    const struct reply_backup_file *f = &b->files[b->state.files_done];
    bool last = b->state.files_done + 1 == b->state.files;
    b->state.file = f->name;
    enum leat_status status = open_file(b, last ? manifest_made : f->name);
    if (status != LEAT_OK)
        return status;
    while (status == LEAT_OK && b->offset < f->bytes)
        status = fetch_piece(b, f);
    return close_file(b, f->name, f->size, status);
}

/* -- together -- */

static enum leat_status fetch(struct backup *b)
{
    enum leat_status status = begin(b);
    for (; status == LEAT_OK && b->state.files_done < b->state.files; b->state.files_done += status == LEAT_OK)
        status = fetch_file(b);
    b->state.file = NULL;
    if (status == LEAT_OK)
        status = sync_directory(b); /* all names but the one that counts */
    if (status == LEAT_OK && renameat(b->fd, manifest_made, b->fd, manifest) != 0)
        status = local(b, manifest);
    if (status == LEAT_OK)
        status = sync_directory(b);
    if (b->id != 0)
        end(b);
    return status;
}

enum leat_status leat_backup(struct leat *l, const char *directory, leat_backup_progress *progress, void *user,
                             struct leat_backup_state *state)
{
    struct backup b = {.l = l, .directory = directory, .fd = -1, .progress = progress, .user = user};
    b.zeros = calloc(2, PIECE);
    if (!b.zeros)
        return pipeline_fail(l, LEAT_NO_MEMORY, directory);
    b.piece = b.zeros + PIECE;
    enum leat_status status = open_directory(&b);
    if (status == LEAT_OK)
        status = fetch(&b);
    if (status != LEAT_OK)
        remove_all(&b);
    if (b.fd >= 0)
        close(b.fd);
    free(b.files);
    free(b.zeros);
    if (state)
        *state = b.state;
    return status;
}

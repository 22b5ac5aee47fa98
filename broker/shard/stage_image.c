/* stage_image.c - checkpoints: an image of everything, cut at a block's edge and written a piece at a time.
 *
 * The cut costs microseconds; from then on a change first puts the old page aside (slab.h), so the image stays what it
 * was while the shard goes on. When it is published, the log behind it is all that a restart must read, and segments
 * without live bodies become free. */
#include "stages.h"

#include "buggify.h"
#include "mark.h"

enum { IMAGE_CHUNKS_PER_STEP = 1 };

/* Is it time? A tail of a segment's size, or half the image's, whichever is more; any tail, when segments are short, or
 * when many could be given back. */
static bool stage_image_due(const struct shard *s)
{
    uint64_t tail = journal_tail_bytes(s->journal);
    uint64_t enough = s->config.checkpoint_bytes ? s->config.checkpoint_bytes : s->config.journal.segment_bytes;
    uint64_t half = s->image_bytes / 2;
    if (journal_hoards(s->journal))
        return true; /* what is given back may be all the room that there is */
    if (s->stop_image || journal_short(s->journal) || buggify(checkpoint_early))
        return tail > 0;
    return tail >= (enough > half ? enough : half);
}

static bool stage_image_cut(struct shard *s)
{
    image_begin(&s->image, &s->engine, s->image_more, 1);
    s->image_bytes = image_bytes(&s->image);
    if (!journal_checkpoint_begin(s->journal, s->image_bytes)) {
        image_end(&s->image);
        return false;
    }
    s->image_running = true;
    s->image_chunk_size = 0;
    mark(image_cut);
    return true;
}

unsigned stage_image_run(struct shard *s)
{
    if (!s->image_running) {
        if (journal_checkpoint_running(s->journal))
            return 0;
        bool due = stage_image_due(s);
        if (due && !journal_checkpoint_possible(s->journal))
            return 0;
        if (due && !stage_image_cut(s))
            return 0;
        s->stop_image = false; /* begun, or nothing to write */
        return due;
    }
    for (unsigned i = 0; i < IMAGE_CHUNKS_PER_STEP; i++) {
        if (s->image_chunk_size == 0)
            s->image_chunk_size = image_next(&s->image, s->image_chunk, STAGE_IMAGE_CHUNK);
        if (s->image_chunk_size == 0) {
            image_end(&s->image);
            journal_checkpoint_end(s->journal);
            s->image_running = false;
            return 1;
        }
        if (!journal_checkpoint_write(s->journal, s->image_chunk, s->image_chunk_size))
            return 0;
        s->image_chunk_size = 0;
    }
    return 1;
}

void stage_image_close(struct shard *s)
{
    if (s->image_running)
        image_end(&s->image);
    s->image_running = false;
}

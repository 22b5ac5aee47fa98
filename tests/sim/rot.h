/* rot.h - files change while the broker is down: the fault atlas.
 *
 * Every kind of rot_table.h has an end that is documented. Where the broker must refuse, it must say which file, and
 * which bytes if it can; then what was changed is mended, and it must start with nothing lost. A change is a flipped
 * bit, zeros, another page of the file, or a page of the same place as it once was.
 *
 * The blocks chosen are known to be durable, because another block or the manifest says so; the last ones before a
 * crash are not among them, since there rot cannot be told from a torn tail. For the same reason rot_can_be_known()
 * judges what a lying disk has left: no block that was acknowledged may be missing where nothing speaks of it.
 *
 * Units: bytes. Memory: none but struct rot_memory. Failure: false where there is no such place. Thread: one. */
#ifndef LEAT_SIM_ROT_H
#define LEAT_SIM_ROT_H

#include <stdbool.h>

#include "fake_disk.h"
#include "prng.h"

enum rot_kind {
#define ROT(NAME, refused, help) ROT_##NAME,
#include "rot_table.h"
#undef ROT
    ROTS
};

enum { ROT_PAGES = 32 };

/* Pages as they were at some time, for bringing them back. */
struct rot_memory {
    struct rot_page {
        char name[DISK_NAME_MAX]; /* "": none */
        uint64_t offset;
        uint8_t bytes[DISK_BLOCK];
    } page[ROT_PAGES];
};

struct rot {
    uint8_t kind; /* enum rot_kind */
    char file[DISK_NAME_MAX];
    uint64_t offset, size; /* that were changed */
    uint64_t block;        /* which it was, or 0 */
};

void rot_forget(struct rot_memory *old);
void rot_remember(struct rot_memory *old, struct disk *d, struct prng *prng);

const char *rot_name(unsigned kind);
bool rot_must_be_refused(unsigned kind);
/* rot_is_named: the sentence says where it is. */
bool rot_is_named(const struct rot *r, const char *sentence);
bool rot_strike(struct rot *r, struct disk *d, struct prng *prng, const struct rot_memory *old);
void rot_mend(const struct rot *r, struct disk *d);

/* rot_can_be_known: a broker that starts on this disk, with the lies that are on it, either finds all that it ever
 * called durable, or can know that it does not. rot_lie_is_named: the sentence names a file that the disk lied about.
 */
bool rot_can_be_known(struct disk *d);
bool rot_lie_is_named(const struct disk *d, const char *sentence);

#endif

/* fake_backup.h - the backup of a broker for tests of the client: four small files that are a function of their place,
 * and a broker that can be told to lie about them.
 *
 * Units: bytes. Memory: none. Failure: none. Thread: any (pure). */
#ifndef LEAT_TESTS_FAKE_BACKUP_H
#define LEAT_TESTS_FAKE_BACKUP_H

#include <stdbool.h>
#include <stdint.h>

struct request;

enum fake_lie {
    FAKE_HONEST,
    FAKE_BUSY,       /* another one is running */
    FAKE_LOST_LATER, /* the second file cannot be read any more */
    FAKE_OTHER_PLACE,
    FAKE_WRONG_BYTES, /* that do not match their checksum */
    FAKE_TWICE,       /* one name for two files */
    FAKE_NO_MANIFEST,
    FAKE_EARLY_MANIFEST,
    FAKE_ESCAPE, /* a name that leads out of the directory */
    FAKE_LIES
};

enum { FAKE_BACKUP_BIG = 700 * 1024, FAKE_BACKUP_SMALL = 8192, FAKE_BACKUP_FULL = 1024 * 1024 };

bool fake_backup_asked(uint8_t op);
/* The whole answer; `out` has room for 2 MiB. */
uint32_t fake_backup_answer(enum fake_lie lie, const struct request *r, uint8_t *out);
uint8_t fake_backup_byte(uint32_t file, uint64_t offset);

#endif

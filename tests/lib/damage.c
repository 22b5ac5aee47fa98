/* damage.c - see damage.h. */
#include "damage.h"

#include <stdio.h>
#include <string.h>

#include "byteorder.h"
#include "mark.h"
#include "test.h"

static const struct duration us100 = {100000};

struct log_rig *damage_written(uint64_t seed, bool proven)
{
    struct fake_disk_config disk = {.seed = seed, .durable_writes = true};
    struct journal_config config = log_rig_config();
    config.hot_bytes = 1 << 20;
    struct log_rig *r = log_rig_make(&disk, &config);
    mark_reset();
    assert_int_equal(log_rig_open(r), LEAT_OK);
    for (unsigned i = 0; i < 40; i++) {
        assert_true(log_rig_append(r, JOURNAL_ACK, true, false));
        assert_true(log_rig_settle(r));
    }
    for (unsigned i = 0; i < 40 && proven; i++)
        log_rig_step(r, duration_ms(1));
    while (fake_disk_under_way(r->disk) > 0)
        log_rig_step(r, us100);
    log_rig_end(r, true);
    return r;
}

struct damage_place damage_locate(struct log_rig *r, uint64_t number)
{
    uint8_t head[RECORD_HEADER];
    for (unsigned file = 1; file < 100; file++) {
        struct damage_place p = {.offset = 0};
        snprintf(p.name, sizeof p.name, "log-%08u", file);
        for (; fake_disk_peek(r->disk, p.name, p.offset, head, sizeof head); p.offset += DISK_BLOCK)
            if (memcmp(head, "leat blk", 8) == 0 && le64_get(head + 24) == number) {
                p.size = record_disk_size(le32_get(head + 56));
                return p;
            }
    }
    fail_msg("block %llu is nowhere", (unsigned long long)number);
    return (struct damage_place){.size = 0};
}

void damage_flip(struct log_rig *r, const char *name, uint64_t offset)
{
    uint8_t byte;
    assert_true(fake_disk_peek(r->disk, name, offset, &byte, 1));
    byte ^= 0x10;
    assert_true(fake_disk_poke(r->disk, name, offset, &byte, 1));
}

void damage_copy(struct log_rig *r, const struct damage_place *from, const struct damage_place *to)
{
    uint8_t bytes[DISK_BLOCK];
    assert_true(fake_disk_peek(r->disk, from->name, from->offset, bytes, sizeof bytes));
    assert_true(fake_disk_poke(r->disk, to->name, to->offset, bytes, sizeof bytes));
}

void damage_zero(struct log_rig *r, const char *name, uint64_t offset, uint64_t size)
{
    static const uint8_t zeros[DISK_BLOCK];
    for (; size > 0; offset += DISK_BLOCK, size -= DISK_BLOCK)
        assert_true(fake_disk_poke(r->disk, name, offset, zeros, DISK_BLOCK));
}

void damage_refused(struct log_rig *r, enum leat_status status, const char *words)
{
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(log_rig_open(r), status);
        if (!strstr(r->error, words))
            fail_msg("\"%s\" does not say \"%s\"", r->error, words);
        log_rig_end(r, true);
    }
}

void damage_opens_with(struct log_rig *r, uint64_t facts)
{
    if (!log_rig_opens(r, facts))
        fail_msg("%s", r->error);
}

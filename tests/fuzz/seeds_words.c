/* seeds_words.c - one word a line, NAME="\xNN...", from ops_table.h, fact_table.h and the magics. */
#include "seeds_words.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "byteorder.h"
#include "frame.h"
#include "limits.h"

static void word(const char *name, const void *bytes, size_t size)
{
    printf("%s=\"", name);
    for (size_t i = 0; i < size; i++)
        printf("\\x%02x", ((const uint8_t *)bytes)[i]);
    printf("\"\n");
}

/* An operation's header with the smallest body it may have. */
static void operation(const char *name, uint8_t code, uint32_t min_body, uint16_t count)
{
    uint8_t header[FRAME_OP_HEADER];
    frame_op_encode(header, code, 0, count ? 1 : 0, min_body, 1);
    word(name, header, sizeof header);
}

static void frames(void)
{
    uint8_t header[FRAME_HEADER];
    for (uint8_t flags = 0; flags < 8; flags++) {
        char name[32];
        snprintf(name, sizeof name, "frame_%u", flags);
        frame_begin(header, flags, 65537);
        le16_put(header + 4, 8);
        word(name, header, sizeof header);
    }
#define OP(NAME, name, code, min_body, max_count, help) operation(#name, code, min_body, max_count);
#include "ops_table.h"
#undef OP
}

static void facts(void)
{
#define FACT(NAME, name, code, bytes, help)                                                                            \
    {                                                                                                                  \
        uint8_t head[6] = {(uint8_t)(32 + (bytes)), (uint8_t)((32 + (bytes)) >> 8), 0, 0, code, 1};                    \
        word(#name, head, sizeof head);                                                                                \
    }
#include "fact_table.h"
#undef FACT
}

int seeds_words(const char *target)
{
    static const uint64_t borders[] = {UINT64_MAX, UINT32_MAX, INT64_MAX, REQUEST_MAX, BODY_MAX, FRAME_MAX, BATCH_MAX};
    for (size_t i = 0; i < sizeof borders / sizeof borders[0]; i++) {
        char name[32];
        uint8_t bytes[8];
        snprintf(name, sizeof name, "border_%zu", i);
        le64_put(bytes, borders[i]);
        word(name, bytes, i == 0 || i == 2 ? 8 : 4);
    }
    if (strcmp(target, "fact") == 0)
        facts();
    else if (strcmp(target, "record") == 0 || strcmp(target, "journal") == 0 || strcmp(target, "offline") == 0)
        word("magic", "leat blk", 8);
    else if (strcmp(target, "manifest") == 0)
        word("magic", "leat man", 8);
    else if (strcmp(target, "image") == 0)
        word("magic", "leat img", 8);
    else
        frames();
    return 0;
}

/* tally.c - a bit per number. See tally.h. */
#include "tally.h"

#include <stdlib.h>
#include <string.h>

#include "must.h"

#define MIX 0x9e3779b97f4a7c15ull

static uint64_t second(uint64_t number, uint32_t size)
{
    return (number ^ size) * MIX;
}

void tally_stamp(uint8_t *body, uint32_t size, uint64_t number)
{
    uint64_t check = second(number, size);
    must(size >= TALLY_BODY_MIN);
    memcpy(body, &number, sizeof number);
    memcpy(body + 8, &check, sizeof check);
}

void tally_write(uint8_t *body, uint32_t size, uint64_t number)
{
    tally_stamp(body, size, number);
    for (uint32_t i = TALLY_BODY_MIN; i < size; i++)
        body[i] = (uint8_t)(' ' + (number + i) % 95);
}

bool tally_read(const uint8_t *body, uint32_t size, uint64_t *number)
{
    uint64_t check;
    if (size < TALLY_BODY_MIN)
        return false;
    memcpy(number, body, sizeof *number);
    memcpy(&check, body + 8, sizeof check);
    return check == second(*number, size);
}

bool tally_open(struct tally *t, uint64_t expected)
{
    *t = (struct tally){.expected = expected};
    t->bits = calloc(expected / 64 + 1, sizeof *t->bits);
    return t->bits != NULL;
}

void tally_close(struct tally *t)
{
    free(t->bits);
    t->bits = NULL;
}

void tally_see(struct tally *t, const uint8_t *body, uint32_t size)
{
    uint64_t number;
    if (!tally_read(body, size, &number) || number >= t->expected) {
        t->foreign++;
        return;
    }
    uint64_t bit = 1ull << number % 64, *word = &t->bits[number / 64];
    if (*word & bit)
        t->repeated++;
    else
        t->found++;
    *word |= bit;
}

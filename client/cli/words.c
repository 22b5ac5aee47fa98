/* words.c - durations, sizes and counts, read and written. */
#include "words.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Digits, and up to nine behind a point: value = whole + fraction / 1e9. */
static bool number(const char **at, uint64_t *whole, uint64_t *fraction, bool points)
{
    const char *p = *at;
    *whole = *fraction = 0;
    if (!isdigit((unsigned char)*p))
        return false;
    for (; isdigit((unsigned char)*p); p++)
        if (__builtin_mul_overflow(*whole, 10, whole) || __builtin_add_overflow(*whole, (uint64_t)(*p - '0'), whole))
            return false;
    if (points && *p == '.') {
        uint64_t place = 100000000;
        if (!isdigit((unsigned char)*++p))
            return false;
        for (; isdigit((unsigned char)*p); p++, place /= 10)
            *fraction += place * (uint64_t)(*p - '0');
    }
    *at = p;
    return true;
}

static bool scaled(uint64_t whole, uint64_t fraction, uint64_t unit, uint64_t *out)
{
    uint64_t part = (uint64_t)((double)fraction / 1e9 * (double)unit + 0.5);
    return !__builtin_mul_overflow(whole, unit, out) && !__builtin_add_overflow(*out, part, out);
}

struct unit {
    const char *name;
    uint64_t size;
};

static bool with_unit(const char *text, const struct unit *units, bool points, uint64_t *out)
{
    uint64_t whole, fraction;
    if (!number(&text, &whole, &fraction, points))
        return false;
    for (; units->name; units++)
        if (!strcasecmp(text, units->name))
            return scaled(whole, fraction, units->size, out);
    return false;
}

bool words_duration(const char *text, uint64_t *ns)
{
    static const struct unit units[] = {
        {"", 1000000000},     {"ns", 1},          {"us", 1000},         {"ms", 1000000},
        {"s", 1000000000},    {"m", 60000000000}, {"h", 3600000000000}, {"d", 86400000000000},
        {"min", 60000000000}, {NULL, 0}};
    return with_unit(text, units, true, ns);
}

bool words_size(const char *text, uint64_t *bytes)
{
    static const struct unit units[] = {{"", 1},          {"k", 1 << 10},   {"m", 1 << 20},   {"g", 1 << 30},
                                        {"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30}, {NULL, 0}};
    return with_unit(text, units, true, bytes);
}

bool words_count(const char *text, uint64_t *count)
{
    static const struct unit units[] = {{"", 1}, {NULL, 0}};
    return with_unit(text, units, false, count);
}

void words_show_duration(char out[WORDS_DURATION_MAX], uint64_t ns)
{
    uint64_t ms = ns / 1000000, s = ns / 1000000000, m = s / 60, h = m / 60, d = h / 24;
    if (ms == 0)
        snprintf(out, WORDS_DURATION_MAX, ns ? "<1ms" : "0");
    else if (s == 0)
        snprintf(out, WORDS_DURATION_MAX, "%ums", (unsigned)ms);
    else if (m == 0)
        snprintf(out, WORDS_DURATION_MAX, "%u.%us", (unsigned)s, (unsigned)(ms / 100 % 10));
    else if (h == 0)
        snprintf(out, WORDS_DURATION_MAX, "%um%02us", (unsigned)m, (unsigned)(s % 60));
    else if (d == 0)
        snprintf(out, WORDS_DURATION_MAX, "%uh%02um", (unsigned)h, (unsigned)(m % 60));
    else
        snprintf(out, WORDS_DURATION_MAX, "%ud%02uh", (unsigned)d, (unsigned)(h % 24));
}

void words_show_number(char out[WORDS_NUMBER_MAX], double n)
{
    static const char units[] = " kMGT";
    unsigned u = 0;
    for (; n >= 99999.5 && u < 4; u++)
        n /= 1000;
    if (u == 0)
        snprintf(out, WORDS_NUMBER_MAX, "%.0f", n);
    else
        snprintf(out, WORDS_NUMBER_MAX, n < 999.95 ? "%.1f%c" : "%.0f%c", n, units[u]);
}

size_t words_base64_size(size_t size)
{
    return (size + 2) / 3 * 4 + 1;
}

void words_base64(char *out, const void *bytes, size_t size)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *in = bytes;
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        unsigned three =
            (unsigned)in[i] << 16 | (left > 1 ? (unsigned)in[i + 1] << 8 : 0) | (left > 2 ? in[i + 2] : 0u);
        *out++ = letters[three >> 18];
        *out++ = letters[three >> 12 & 63];
        *out++ = left > 1 ? letters[three >> 6 & 63] : '=';
        *out++ = left > 2 ? letters[three & 63] : '=';
    }
    *out = 0;
}

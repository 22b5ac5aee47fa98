/* base64url.c - six bits at a time. One text for one value: loose bits at the end are refused. */
#include "base64url.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void base64url_encode(char *out, const uint8_t *in, size_t size)
{
    uint32_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < size; i++) {
        bits = bits << 8 | in[i];
        for (have += 8; have >= 6; have -= 6)
            *out++ = alphabet[bits >> (have - 6) & 63];
    }
    if (have)
        *out++ = alphabet[bits << (6 - have) & 63];
    *out = 0;
}

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

long base64url_decode(uint8_t *out, const char *text, size_t size)
{
    uint32_t bits = 0;
    unsigned have = 0;
    uint8_t *p = out;
    if (size % 4 == 1)
        return -1;
    for (size_t i = 0; i < size; i++) {
        int value = base64_value(text[i]);
        if (value < 0)
            return -1;
        bits = bits << 6 | (uint32_t)value;
        have += 6;
        if (have >= 8) {
            have -= 8;
            *p++ = (uint8_t)(bits >> have);
        }
    }
    return bits & ((1u << have) - 1) ? -1 : p - out;
}

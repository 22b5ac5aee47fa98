/* base64url.h - bytes as text that survives command lines and URLs (RFC 4648 section 5, without padding).
 * Units: bytes in, characters out: (4 * size + 2) / 3. Thread: any (pure). */
#ifndef LEAT_BASE_BASE64URL_H
#define LEAT_BASE_BASE64URL_H

#include <stddef.h>
#include <stdint.h>

/* Writes the characters and a final zero. */
void base64url_encode(char *out, const uint8_t *in, size_t size);

/* Bytes written, or -1: a character that is none of the alphabet, a size that no encoding has, or loose bits at the
 * end. */
long base64url_decode(uint8_t *out, const char *text, size_t size);

#endif

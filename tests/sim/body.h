/* body.h - the bytes of a put, made from its token (its number in the history) so that they can be made again and
 * compared. Bodies of 8 bytes and more begin with the token; attributes of 8 bytes and more do so too.
 * Units: bytes. Thread: any (pure). */
#ifndef LEAT_SIM_BODY_H
#define LEAT_SIM_BODY_H

#include <stdbool.h>
#include <stdint.h>

enum { BODY_TOKEN = 8 };

/* body_fill: `part` 0: the body, 1: the attributes. */
void body_fill(uint8_t *out, uint32_t size, uint32_t token, unsigned part);
bool body_is(const uint8_t *bytes, uint32_t size, uint32_t token, unsigned part);
/* body_token: what the first bytes claim; false: nothing that was ever filled so. */
bool body_token(const uint8_t *bytes, uint32_t size, uint32_t *token);

#endif

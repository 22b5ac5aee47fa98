/* receipt.c - ids and receipts: 122 bits of position, and who holds the lease.
 *
 * An id in its 16 bytes, most significant bit first as UUIDs are written:
 *
 *   epoch:24 shard:8 block:16(high)  |  0x8:4 block:12(middle)  |  0b10:2 block:20(low) slot:16 check:16 cell:10
 *
 * The version and variant bits stand where RFC 9562 wants them for version 8. `check` is folded from a CRC over the
 * rest. */
#include "receipt.h"

#include <string.h>

#include "base64url.h"
#include "byteorder.h"
#include "crc32c.h"
#include "hash.h"

static uint16_t id_check(const struct message_id *id)
{
    uint8_t bytes[16];
    le64_put(bytes, id->lsn.n);
    le32_put(bytes + 8, id->epoch);
    le16_put(bytes + 12, id->cell);
    le16_put(bytes + 14, id->shard);
    uint32_t crc = crc32c(0, bytes, sizeof bytes);
    return (uint16_t)(crc ^ crc >> 16);
}

void receipt_id_encode(uint8_t out[MESSAGE_ID_BYTES], const struct message_id *id)
{
    uint64_t block = lsn_block(id->lsn);
    uint64_t high = (uint64_t)(id->epoch & 0xffffff) << 40 | (uint64_t)id->shard << 32 | (block >> 32 & 0xffff) << 16 |
                    0x8000 | (block >> 20 & 0xfff);
    uint64_t low = 1ull << 63 | (block & 0xfffff) << 42 | (uint64_t)lsn_index(id->lsn) << 26 |
                   (uint64_t)id_check(id) << 10 | (id->cell & 0x3ff);
    uint64_t big[2] = {htobe64(high), htobe64(low)};
    memcpy(out, big, MESSAGE_ID_BYTES);
}

/* All but the check; *check is what stands there. */
static bool unpack_id(struct message_id *id, uint16_t *check, const uint8_t in[MESSAGE_ID_BYTES])
{
    uint64_t big[2];
    memcpy(big, in, MESSAGE_ID_BYTES);
    uint64_t high = be64toh(big[0]), low = be64toh(big[1]);
    if ((high & 0xf000) != 0x8000 || low >> 62 != 2)
        return false;
    id->epoch = (uint32_t)(high >> 40);
    id->shard = (uint8_t)(high >> 32);
    uint64_t block = (high >> 16 & 0xffff) << 32 | (high & 0xfff) << 20 | (low >> 42 & 0xfffff);
    id->lsn = lsn_make(block, (uint32_t)(low >> 26 & 0xffff));
    id->cell = (uint16_t)(low & 0x3ff);
    *check = (uint16_t)(low >> 10);
    return true;
}

bool receipt_id_decode(struct message_id *id, const uint8_t in[MESSAGE_ID_BYTES])
{
    uint16_t check;
    return unpack_id(id, &check, in) && check == id_check(id);
}

void receipt_id_text(char out[MESSAGE_ID_TEXT], const struct message_id *id)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t bytes[MESSAGE_ID_BYTES];
    receipt_id_encode(bytes, id);
    char *p = out;
    for (unsigned i = 0; i < MESSAGE_ID_BYTES; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *p++ = '-';
        *p++ = digits[bytes[i] >> 4];
        *p++ = digits[bytes[i] & 15];
    }
    *p = 0;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool receipt_id_parse(struct message_id *id, const char *text)
{
    uint8_t bytes[MESSAGE_ID_BYTES];
    for (unsigned i = 0; i < MESSAGE_ID_BYTES; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            if (*text++ != '-')
                return false;
        }
        int high = hex_value(text[0]);
        int low = high < 0 ? -1 : hex_value(text[1]);
        if (low < 0)
            return false;
        bytes[i] = (uint8_t)(high << 4 | low);
        text += 2;
    }
    return *text == 0 && receipt_id_decode(id, bytes);
}

static void encode_without_hash(uint8_t out[RECEIPT_BYTES - 8], const struct receipt *r)
{
    receipt_id_encode(out, &r->id);
    le32_put(out + 16, r->slot);
    le32_put(out + 20, r->generation);
    le32_put(out + 24, r->epoch);
    le32_put(out + 28, r->incarnation);
}

uint64_t receipt_hash(const struct receipt *r, const uint8_t key[16])
{
    uint8_t bytes[RECEIPT_BYTES - 8];
    encode_without_hash(bytes, r);
    return hash_keyed(key, bytes, sizeof bytes);
}

void receipt_encode(uint8_t out[RECEIPT_BYTES], const struct receipt *r)
{
    encode_without_hash(out, r);
    le64_put(out + 32, r->hash);
}

static void decode_lease(struct receipt *r, const uint8_t in[RECEIPT_BYTES])
{
    r->slot = le32_get(in + 16);
    r->generation = le32_get(in + 20);
    r->epoch = le32_get(in + 24);
    r->incarnation = le32_get(in + 28);
    r->hash = le64_get(in + 32);
}

bool receipt_decode(struct receipt *r, const uint8_t in[RECEIPT_BYTES])
{
    decode_lease(r, in);
    return receipt_id_decode(&r->id, in);
}

bool receipt_open(struct receipt *r, const uint8_t in[RECEIPT_BYTES], const uint8_t key[16])
{
    uint16_t check;
    decode_lease(r, in);
    return r->hash == hash_keyed(key, in, RECEIPT_BYTES - 8) && unpack_id(&r->id, &check, in);
}

uint32_t receipt_slot(const uint8_t in[RECEIPT_BYTES])
{
    return le32_get(in + 16);
}

void receipt_text(char out[RECEIPT_TEXT], const uint8_t in[RECEIPT_BYTES])
{
    base64url_encode(out, in, RECEIPT_BYTES);
}

bool receipt_parse(uint8_t out[RECEIPT_BYTES], const char *text, size_t size)
{
    return size == RECEIPT_TEXT - 1 && base64url_decode(out, text, size) == RECEIPT_BYTES;
}

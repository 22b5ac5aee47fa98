/* hash.h - 64-bit hashes, by xxHash (XXH3). Not cryptographic; the keyed one keeps guessing as hard as 64 bits allow
 * for receipts, which are only a guard among clients that already may use the queue. Thread: any (pure). */
#ifndef LEAT_BASE_HASH_H
#define LEAT_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t hash_bytes(const void *bytes, size_t size);
uint64_t hash_keyed(const uint8_t key[16], const void *bytes, size_t size);

#endif

/* target.h - what every fuzz target shares: libFuzzer's doors, and memory that ends exactly where the input does.
 *
 * A decoder that looks one byte past its input is only caught if that byte is not ours: so a target decodes a copy in a
 * heap block of exactly the input's size. The checksums and hashes of ISA-L and xxHash are not instrumented; target.c
 * stands before crc32c() and hash_bytes() (ld --wrap) and asks AddressSanitizer about the bytes they are given.
 *
 * Thread: one. */
#ifndef LEAT_TESTS_FUZZ_TARGET_H
#define LEAT_TESTS_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>

/* One run; 0 always. A broken promise is a must() or a sanitizer's report. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Given by a target whose format has checksums: changes the input, then seals it most of the time, so that mutations
 * are seen behind the checksums. LLVMFuzzerMutate is libFuzzer's own. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

/* target_copy: the bytes in a block of exactly their size; target_free() it. */
uint8_t *target_copy(const uint8_t *bytes, size_t size);
void target_free(uint8_t *copy);

/* Blocks that are mostly zeros, written short: each is a u16 (low 15 bits: how many bytes follow, highest bit: a wish
 * that the target seals this block) and its first bytes; the rest is zero. target_unfold: at most `max` blocks of
 * `block` bytes into a new heap block of exactly their size, target_free() it; *count says how many. `sealed` has room
 * for `max` wishes. target_fold: writes one block the short way, returns the bytes. */
enum { TARGET_SEALED = 0x8000 };
uint8_t *target_unfold(const uint8_t *data, size_t size, uint32_t block, unsigned max, unsigned *count,
                       uint8_t *sealed);
size_t target_fold(uint8_t *out, const uint8_t *block, uint32_t size, int sealed);

#endif

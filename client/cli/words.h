/* words.h - numbers as people write and read them: 500ms, 30s, 2m, 1h, 1d; 64k, 1m; 1.2s.
 *
 * Units: nanoseconds, bytes. Memory: none. Failure: false for what is none, or does not fit 64 bits. Thread: any
 * (pure). */
#ifndef LEAT_CLI_WORDS_H
#define LEAT_CLI_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A number, with a fraction if wanted, and a unit: ns us ms s m h d; a bare number is seconds. */
bool words_duration(const char *text, uint64_t *ns);
/* Bytes: a number, or one with k, m or g (1024, 1024^2, 1024^3). */
bool words_size(const char *text, uint64_t *bytes);
bool words_count(const char *text, uint64_t *count);

/* For tables: "0", "12ms", "3.4s", "5m10s", "2h03m", "4d05h". */
enum { WORDS_DURATION_MAX = 24 };
void words_show_duration(char out[WORDS_DURATION_MAX], uint64_t ns);
/* "123", "45.6k", "7.8M": at most 6 characters. */
enum { WORDS_NUMBER_MAX = 24 };
void words_show_number(char out[WORDS_NUMBER_MAX], double n);

/* base64 (RFC 4648, padded) of `size` bytes into `out`, which has room for words_base64_size(size). */
size_t words_base64_size(size_t size);
void words_base64(char *out, const void *bytes, size_t size);

#endif

/* test_chunks.c - memory for frames that wait: every size is served while there is any. */
#include "chunks.h"
#include "test.h"

TEST(chunks, every_size_is_served_and_a_used_up_size_by_the_next_larger)
{
    struct chunks *c = chunks_open(1024 * 1024);
    uint32_t capacity;
    uint8_t *chunks[256];
    unsigned n = 0;
    while ((chunks[n] = chunks_take(c, 100, &capacity))) {
        assert_true(capacity >= 100);
        memset(chunks[n], (int)n, 100);
        n++;
    }
    assert_int_equal(n, 64 + 8 + 1);
    assert_int_equal(chunks_used(c), 1024 * 1024);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(chunks[i][99], i);
        chunks_give(c, chunks[i]);
    }
    assert_int_equal(chunks_used(c), 0);
    assert_non_null(chunks_take(c, CHUNK_LARGE, &capacity));
    assert_null(chunks_take(c, CHUNK_LARGE, &capacity));
    chunks_close(c);
}

/* test_wire.c - what one end writes the other reads, and nothing else is believed. */
#include "crc32c.h"
#include "prng.h"
#include "reply.h"
#include "request.h"
#include "test.h"

static uint32_t put_request(uint8_t *out, unsigned n)
{
    struct request r = {.op = OP_PUT, .count = (uint16_t)n, .number = 9, .queue = {3, 4}};
    uint32_t size = request_encode(out, &r);
    for (unsigned i = 0; i < n; i++) {
        uint8_t body[64];
        memset(body, (int)i, sizeof body);
        struct request_put_entry e = {
            .delay = {i}, .body = body, .body_size = i * 5, .attrs = body, .attrs_size = (uint16_t)i};
        size += request_add_put(out + size, &e);
    }
    request_seal(out, size, (uint16_t)n);
    return size;
}

TEST(request, a_batch_of_puts_comes_back_entry_by_entry)
{
    uint8_t bytes[4096];
    uint32_t size = put_request(bytes, 10);
    struct frame_op op;
    struct request r;
    assert_int_equal(frame_op_decode(&op, bytes, size), LEAT_OK);
    assert_int_equal(request_decode(&r, &op), LEAT_OK);
    assert_int_equal(r.queue.number, 3);
    assert_int_equal(r.queue.incarnation, 4);
    struct request_put_entry e;
    uint32_t offset = 0;
    unsigned n = 0;
    for (; request_next_put(&r, &offset, &e); n++) {
        assert_int_equal(e.body_size, n * 5);
        assert_int_equal(e.attrs_size, n);
        for (uint32_t k = 0; k < e.body_size; k++)
            assert_int_equal(e.body[k], n);
    }
    assert_int_equal(n, 10);
}

TEST(request, every_shorter_piece_of_a_request_is_refused)
{
    uint8_t bytes[4096];
    uint32_t size = put_request(bytes, 5);
    for (uint32_t cut = 0; cut < size; cut += 8) {
        struct frame_op op;
        struct request r;
        assert_int_not_equal(frame_op_decode(&op, bytes, cut), LEAT_OK);
        if (cut < FRAME_OP_HEADER)
            continue;
        uint8_t copy[4096];
        memcpy(copy, bytes, cut);
        request_seal(copy, cut, 5);
        assert_int_equal(frame_op_decode(&op, copy, cut), LEAT_OK);
        assert_int_not_equal(request_decode(&r, &op), LEAT_OK);
    }
}

TEST(request, flipped_bits_never_lead_outside_the_bytes)
{
    struct prng prng = prng_seed(1, 1);
    uint8_t bytes[4096];
    for (int round = 0; round < 20000; round++) {
        uint32_t size = put_request(bytes, 4);
        for (int flips = 0; flips < 3; flips++)
            bytes[prng_below(&prng, size)] ^= (uint8_t)(1u << prng_below(&prng, 8));
        uint8_t *exact = malloc(size);
        memcpy(exact, bytes, size);
        struct frame_op op;
        struct request r;
        if (frame_op_decode(&op, exact, size) == LEAT_OK && request_decode(&r, &op) == LEAT_OK && r.op == OP_PUT) {
            struct request_put_entry e;
            uint32_t offset = 0;
            uint32_t sum = 0;
            while (request_next_put(&r, &offset, &e))
                sum += crc32c(0, e.body, e.body_size);
            (void)sum;
            assert_int_equal(offset, r.entries_size);
        }
        free(exact);
    }
}

TEST(request, hello_and_queue_create_come_back)
{
    uint8_t bytes[512];
    struct request r = {
        .op = OP_QUEUE_CREATE, .number = 1, .attributes = {.lease = {7}, .max_attempts = 3, .durability = CLASS_DISK}};
    name_set(&r.name, "mail", 4);
    name_set(&r.attributes.dead_letter, "dead", 4);
    struct frame_op op;
    struct request back;
    assert_int_equal(frame_op_decode(&op, bytes, request_encode(bytes, &r)), LEAT_OK);
    assert_int_equal(request_decode(&back, &op), LEAT_OK);
    assert_true(name_equal(&back.name, &r.name));
    assert_true(name_equal(&back.attributes.dead_letter, &r.attributes.dead_letter));
    assert_int_equal(back.attributes.max_attempts, 3);

    struct request hello = {.op = OP_HELLO, .hello = {.version_min = 1, .version_max = 1, .window = 64}};
    assert_int_equal(frame_op_decode(&op, bytes, request_encode(bytes, &hello)), LEAT_OK);
    assert_int_equal(request_decode(&back, &op), LEAT_OK);
    hello.hello.version_min = hello.hello.version_max = 9;
    assert_int_equal(frame_op_decode(&op, bytes, request_encode(bytes, &hello)), LEAT_OK);
    assert_int_equal(request_decode(&back, &op), LEAT_BAD_VERSION);
}

TEST(frame, a_checksum_catches_every_single_flipped_bit)
{
    uint8_t bytes[64] = {0};
    frame_begin(bytes, FRAME_CRC, 5);
    frame_op_encode(bytes + 16, OP_PING, 0, 0, 0, 1);
    frame_end(bytes, 32);
    struct frame f;
    assert_int_equal(frame_decode(&f, bytes, 32), LEAT_OK);
    for (unsigned bit = 0; bit < 32 * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        bool flag_gone = bit == 3 * 8 + 2; /* without the flag the field is not looked at */
        if (!flag_gone)
            assert_int_not_equal(frame_decode(&f, bytes, 32), LEAT_OK);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

TEST(receipt, ids_and_receipts_survive_text_and_refuse_typing_errors)
{
    struct message_id id = {.cell = 513, .shard = 7, .epoch = 0xabcdef, .lsn = lsn_make(0x123456789abcull, 0xfedc)},
                      back;
    char text[MESSAGE_ID_TEXT];
    receipt_id_text(text, &id);
    assert_int_equal(strlen(text), 36);
    assert_int_equal(text[14], '8');
    assert_true(receipt_id_parse(&back, text));
    assert_true(back.lsn.n == id.lsn.n && back.epoch == id.epoch && back.cell == id.cell && back.shard == id.shard);
    text[9] = text[9] == '0' ? '1' : '0';
    assert_false(receipt_id_parse(&back, text));

    struct receipt r = {.id = id, .slot = 1, .generation = 2, .epoch = 3, .incarnation = 4}, again;
    static const uint8_t key[16] = "a broker's key";
    r.hash = receipt_hash(&r, key);
    uint8_t bytes[RECEIPT_BYTES], parsed[RECEIPT_BYTES];
    char receipt[RECEIPT_TEXT];
    receipt_encode(bytes, &r);
    receipt_text(receipt, bytes);
    assert_true(receipt_parse(parsed, receipt, strlen(receipt)));
    assert_true(receipt_decode(&again, parsed));
    assert_true(again.hash == receipt_hash(&again, key));
    again.generation++;
    assert_true(again.hash != receipt_hash(&again, key));
}

TEST(reply, messages_runs_stats_and_hello_come_back)
{
    uint8_t bytes[2048];
    struct frame_op op;
    struct reply_run runs[2] = {{LEAT_OK, 3, 8, {77}}, {LEAT_STALE_RECEIPT, 1, 0, {0}}}, run;
    assert_int_equal(frame_op_decode(&op, bytes, reply_runs(bytes, OP_ACK, 5, runs, 2)), LEAT_OK);
    uint32_t offset = 0;
    assert_true(reply_next_run(&op, &offset, &run));
    assert_true(reply_next_run(&op, &offset, &run));
    assert_int_equal(run.status, LEAT_STALE_RECEIPT);
    assert_false(reply_next_run(&op, &offset, &run));

    struct reply_message m = {.attempts = 2,
                              .body_size = 5,
                              .body = (const uint8_t *)"hello",
                              .attrs_size = 3,
                              .attrs = (const uint8_t *)"abc"},
                         m2;
    uint32_t size = reply_add_message(bytes + 16, &m);
    assert_int_equal(size, reply_message_size(3, 5));
    frame_op_encode(bytes, OP_TAKE, 0, 1, size, 1);
    assert_int_equal(frame_op_decode(&op, bytes, 16 + size), LEAT_OK);
    offset = 0;
    assert_true(reply_next_message(&op, &offset, &m2));
    assert_memory_equal(m2.body, "hello", 5);
    assert_memory_equal(m2.attrs, "abc", 3);
    assert_false(reply_next_message(&op, &offset, &m2));

    struct reply_stat stat = {.ready = 4, .parked = 9}, stat2;
    name_set(&stat.name, "q", 1);
    assert_int_equal(frame_op_decode(&op, bytes, reply_stat(bytes, OP_QUEUE_STAT, 1, &stat)), LEAT_OK);
    offset = 0;
    assert_true(reply_next_stat(&op, &offset, &stat2));
    assert_int_equal(stat2.ready, 4);
    assert_int_equal(stat2.parked, 9);

    struct reply_hello h = {.window = 64, .session = 3, .frame_max = 65536, .next = 12}, h2;
    assert_int_equal(frame_op_decode(&op, bytes, reply_hello(bytes, 0, &h)), LEAT_OK);
    assert_true(reply_hello_decode(&op, &h2));
    assert_int_equal(h2.next, 12);
}

TEST(backup, requests_and_answers_come_back)
{
    uint8_t bytes[8192 + 256];
    struct frame_op op;
    struct request back,
        r = {.op = OP_BACKUP_READ, .number = 9, .backup = {.id = 77, .offset = 1ull << 40, .file = 3, .size = 4096}};
    assert_int_equal(frame_op_decode(&op, bytes, request_encode(bytes, &r)), LEAT_OK);
    assert_int_equal(request_decode(&back, &op), LEAT_OK);
    assert_memory_equal(&back.backup, &r.backup, sizeof r.backup);
    const struct request_backup bad[] = {{77, 512, 3, 4096}, {77, 0, 3, 0}, {77, 0, 3, 100}, {77, 0, 3, 2 << 20}};
    for (unsigned i = 0; i < 4; i++) {
        r.backup = bad[i];
        assert_int_equal(frame_op_decode(&op, bytes, request_encode(bytes, &r)), LEAT_OK);
        assert_int_equal(request_decode(&back, &op), LEAT_BAD_VALUE);
    }
    struct request done = {.op = OP_BACKUP_END, .backup = {.id = 5}};
    assert_int_equal(frame_op_decode(&op, bytes, request_encode(bytes, &done)), LEAT_OK);
    assert_int_equal(request_decode(&back, &op), LEAT_OK);
    assert_int_equal(back.backup.id, 5);

    uint8_t piece[4096];
    memset(piece, 'x', sizeof piece);
    struct reply_piece p = {.offset = 8192, .file = 2, .size = sizeof piece, .bytes = piece}, q;
    assert_int_equal(frame_op_decode(&op, bytes, reply_piece(bytes, 4, &p)), LEAT_OK);
    assert_true(reply_piece_decode(&op, &q));
    assert_int_equal(q.offset, 8192);
    assert_int_equal(q.size, sizeof piece);
    assert_int_equal(q.crc, crc32c(0, piece, sizeof piece));
    assert_memory_equal(q.bytes, piece, sizeof piece);
    op.body_size -= 8;
    assert_false(reply_piece_decode(&op, &q));
}

static bool list_with_name(const char *name)
{
    uint8_t bytes[256];
    struct frame_op op;
    struct reply_backup b = {.id = 1, .cluster = 2, .position = 3, .bytes = 4096, .epoch = 5, .files = 1}, c;
    struct reply_backup_file f = {.name = "log-00000001", .bytes = 4096, .size = 8192}, g;
    uint32_t size = FRAME_OP_HEADER, offset;
    size += reply_add_backup(bytes + size, &b);
    size += reply_add_backup_file(bytes + size, &f);
    memset(bytes + size - REPLY_FILE_NAME, 0, REPLY_FILE_NAME);
    bytes[size - REPLY_FILE_NAME - 1] = (uint8_t)strlen(name);
    memcpy(bytes + size - REPLY_FILE_NAME, name, strlen(name) < REPLY_FILE_NAME ? strlen(name) : REPLY_FILE_NAME);
    frame_op_encode(bytes, OP_BACKUP_BEGIN, LEAT_OK, 0, size - FRAME_OP_HEADER, 1);
    assert_int_equal(frame_op_decode(&op, bytes, size), LEAT_OK);
    assert_true(reply_backup_decode(&op, &offset, &c));
    assert_int_equal(c.position, 3);
    return reply_next_backup_file(&op, &offset, &g) && strcmp(g.name, name) == 0 &&
           !reply_next_backup_file(&op, &offset, &g);
}

TEST(backup, a_name_that_leads_out_of_a_directory_is_none)
{
    assert_true(list_with_name("log-00000001"));
    assert_true(list_with_name("manifest"));
    static const char *const bad[] = {"",   "..", ".",   "/etc/passwd", "a/b",
                                      "-x", "A",  "a.b", "a b",         "0123456789012345678901234567890123"};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(list_with_name(bad[i]));
}

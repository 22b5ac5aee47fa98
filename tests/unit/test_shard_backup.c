/* test_shard_backup.c - a shard and clients that copy it: whose a backup is, what a repeated request is told, and when
 * it ends. */
#include "shard_stage.h"

static void send_backup(uint8_t code, uint64_t number, uint64_t id, uint32_t file, uint64_t offset, uint32_t size)
{
    struct request r = {.op = code, .number = number, .backup = {.id = id, .offset = offset, .file = file}};
    r.backup.size = size;
    stage->op_size = request_encode(stage->op, &r);
    send_op();
}

/* Asks, and gives the status; what was heard last of a list stands in `backup` and `files`. */
static struct reply_backup backup;
static struct reply_backup_file files[64];
static uint8_t heard(uint64_t number)
{
    struct frame_op op;
    uint32_t offset;
    uint8_t status = answer(&op);
    if (status == UINT8_MAX)
        return status;
    assert_int_equal(op.number, number);
    if (op.op == OP_BACKUP_BEGIN && status == LEAT_OK) {
        assert_true(reply_backup_decode(&op, &offset, &backup));
        assert_true(backup.files <= 64);
        for (uint32_t i = 0; i < backup.files; i++)
            assert_true(reply_next_backup_file(&op, &offset, &files[i]));
    }
    return status;
}

static uint8_t ask_begin(void)
{
    send_backup(OP_BACKUP_BEGIN, ++stage->number, 0, 0, 0, 0);
    pass(duration_ms(20));
    return heard(stage->number);
}

static uint8_t ask_read(uint32_t file, uint64_t offset, uint32_t size)
{
    send_backup(OP_BACKUP_READ, ++stage->number, backup.id, file, offset, size);
    pass(duration_ms(5));
    return heard(stage->number);
}

static uint8_t ask_end(void)
{
    send_backup(OP_BACKUP_END, ++stage->number, backup.id, 0, 0, 0);
    pass(duration_ms(5));
    return heard(stage->number);
}

struct other {
    uint32_t session;
    uint64_t secret, number;
};

/* Another session over the same connection; swap() is it, and then the first one again. */
static struct other other_session(void)
{
    struct other first = {stage->session, stage->secret, stage->number};
    struct request r = {
        .op = OP_HELLO, .number = 78, .hello = {.version_min = 1, .version_max = 1, .secret = 0x5678, .window = 8}};
    stage->session = 0;
    stage->number = 0;
    stage->op_size = request_encode(stage->op, &r);
    send_op();
    pass(duration_ms(20));
    welcome();
    return first;
}

static void swap(struct other *o)
{
    struct other now = {stage->session, stage->secret, stage->number};
    stage->session = o->session;
    stage->secret = o->secret;
    stage->number = o->number;
    *o = now;
}

static struct journal_counters counters(void)
{
    struct shard_counters c;
    shard_count(stage->shard, &c);
    return c.journal;
}

TEST(shard_backup, a_client_is_told_the_files_and_reads_them_with_checksums)
{
    begin();
    send_put(++stage->number, "copied", 1, (struct duration){0});
    pass(duration_ms(20));
    expect_run(LEAT_OK, 1);
    assert_int_equal(ask_begin(), LEAT_OK);
    assert_true(backup.position >= 1);
    assert_int_equal(backup.epoch, 1);
    assert_int_equal(backup.files, 4); /* two areas, a segment, the manifest */
    assert_string_equal(files[2].name, "log-00000001");
    assert_string_equal(files[3].name, "manifest");
    send_backup(OP_BACKUP_READ, ++stage->number, backup.id, 2, 0, 4096);
    pass(duration_ms(5));
    struct frame_op op;
    struct reply_piece p;
    assert_int_equal(answer(&op), LEAT_OK);
    assert_true(reply_piece_decode(&op, &p));
    assert_int_equal(p.file, 2);
    assert_int_equal(p.crc, crc32c(0, p.bytes, p.size));
    assert_memory_equal(p.bytes, "leat blk", 8);
    assert_int_equal(ask_read(3, 4096, 8192), LEAT_OK);
    assert_int_equal(ask_read(3, files[3].bytes, 4096), LEAT_BAD_VALUE);
    assert_int_equal(ask_read(2, 0, 4096), LEAT_BAD_VALUE); /* it was let go */
    assert_int_equal(ask_read(4, 0, 4096), LEAT_BAD_VALUE);
    assert_int_equal(ask_end(), LEAT_OK);
    assert_int_equal(ask_read(3, 0, 4096), LEAT_BACKUP_LOST);
    assert_int_equal(ask_end(), LEAT_OK);
    assert_int_equal(counters().backups, 1);
    struct shard_counters c;
    shard_count(stage->shard, &c);
    assert_int_equal(c.buffer_bytes, 0);
    end();
}

TEST(shard_backup, a_second_one_is_told_to_come_later_unless_the_first_client_has_gone)
{
    begin();
    assert_int_equal(ask_begin(), LEAT_OK);
    uint64_t first = backup.id;
    struct other o = other_session();
    assert_int_equal(ask_begin(), LEAT_BACKUP_BUSY);
    send_backup(OP_BACKUP_READ, ++stage->number, first, 3, 0, 4096);
    pass(duration_ms(5));
    assert_int_equal(heard(stage->number), LEAT_BACKUP_LOST); /* it is not ours */
    send_backup(OP_BACKUP_END, ++stage->number, first, 0, 0, 0);
    pass(duration_ms(5));
    assert_int_equal(heard(stage->number), LEAT_OK); /* and is not ended by us */
    swap(&o);
    assert_int_equal(ask_read(3, 0, 4096), LEAT_OK);
    assert_int_equal(ask_end(), LEAT_OK);
    swap(&o);
    assert_int_equal(ask_begin(), LEAT_OK);
    end();
}

TEST(shard_backup, it_ends_with_its_session)
{
    begin();
    assert_int_equal(ask_begin(), LEAT_OK);
    struct request bye = {.op = OP_BYE, .number = 5};
    stage->op_size = request_encode(stage->op, &bye);
    send_op();
    pass(duration_ms(5));
    assert_int_equal(answer(NULL), LEAT_OK);
    assert_true(mark_count("backup_ends_with_its_session") > 0);
    other_session();
    assert_int_equal(ask_begin(), LEAT_OK);
    end();
}

TEST(shard_backup, who_comes_back_goes_on_and_who_stays_away_gives_way)
{
    begin();
    assert_int_equal(ask_begin(), LEAT_OK);
    script_port_push(stage->port, PEER, NULL, 0);
    pass(duration_ms(5));
    hello(stage->session, stage->number + 1);
    pass(duration_ms(5));
    welcome();
    assert_int_equal(ask_read(3, 0, 4096), LEAT_OK);
    script_port_push(stage->port, PEER, NULL, 0);
    pass(duration_ms(5));
    struct other o = other_session();
    assert_int_equal(ask_begin(), LEAT_OK);
    swap(&o);
    hello(stage->session, stage->number + 1);
    pass(duration_ms(5));
    welcome();
    assert_int_equal(ask_read(3, 0, 4096), LEAT_BACKUP_LOST);
    end();
}

TEST(shard_backup, a_repeated_begin_is_told_the_list_again_and_never_begins)
{
    begin();
    assert_int_equal(ask_begin(), LEAT_OK);
    uint64_t id = backup.id, position = backup.position;
    backup.id = 0;
    send_backup(OP_BACKUP_BEGIN, stage->number, 0, 0, 0, 0);
    pass(duration_ms(5));
    assert_int_equal(heard(stage->number), LEAT_OK);
    assert_int_equal(backup.id, id);
    assert_int_equal(backup.position, position);
    uint64_t asked = stage->number;
    assert_int_equal(ask_end(), LEAT_OK);
    send_backup(OP_BACKUP_BEGIN, asked, 0, 0, 0, 0);
    pass(duration_ms(5));
    assert_int_equal(heard(asked), LEAT_BACKUP_LOST);
    assert_int_equal(counters().backups, 1);
    end();
}

TEST(shard_backup, a_repeated_read_is_read_again_and_one_under_way_is_answered_once)
{
    begin();
    assert_int_equal(ask_begin(), LEAT_OK);
    assert_int_equal(ask_read(2, 0, 4096), LEAT_OK);
    send_backup(OP_BACKUP_READ, stage->number, backup.id, 2, 0, 4096);
    send_backup(OP_BACKUP_READ, stage->number, backup.id, 2, 0, 4096);
    pass(duration_ms(5));
    assert_int_equal(heard(stage->number), LEAT_OK);
    assert_int_equal(heard(stage->number), UINT8_MAX);
    end();
}

TEST(shard_backup, a_begin_given_up_while_it_waits_leaves_nothing_behind)
{
    begin();
    send_put(++stage->number, "on its way", 1, (struct duration){0});
    send_backup(OP_BACKUP_BEGIN, ++stage->number, 0, 0, 0, 0); /* waits for the put */
    struct request bye = {.op = OP_BYE, .number = 5};
    stage->op_size = request_encode(stage->op, &bye);
    send_op();
    pass(duration_ms(20));
    assert_int_equal(answer(NULL), LEAT_OK);
    other_session();
    assert_int_equal(counters().backups, 0);
    assert_int_equal(ask_begin(), LEAT_OK);
    end();
}

TEST(shard_backup, a_read_given_up_while_the_disk_has_it_leaves_nothing_behind)
{
    begin();
    assert_int_equal(ask_begin(), LEAT_OK);
    send_backup(OP_BACKUP_READ, ++stage->number, backup.id, 2, 0, 4096);
    pass((struct duration){0}); /* the disk takes longer */
    struct request bye = {.op = OP_BYE, .number = 5};
    stage->op_size = request_encode(stage->op, &bye);
    send_op();
    pass(duration_ms(5));
    assert_true(mark_count("backup_read_abandoned") > 0);
    assert_int_equal(answer(NULL), LEAT_OK);
    assert_int_equal(answer(NULL), UINT8_MAX);
    struct shard_counters c;
    shard_count(stage->shard, &c);
    assert_int_equal(c.buffer_bytes, 0);
    other_session();
    assert_int_equal(ask_begin(), LEAT_OK);
    end();
}

TEST(shard_backup, a_session_that_begins_anew_has_the_new_one)
{
    begin();
    assert_int_equal(ask_begin(), LEAT_OK);
    uint64_t before = backup.id;
    assert_int_equal(ask_begin(), LEAT_OK);
    assert_int_not_equal(before, backup.id);
    assert_int_equal(ask_read(3, 0, 4096), LEAT_OK);
    send_backup(OP_BACKUP_READ, ++stage->number, before, 3, 0, 4096);
    pass(duration_ms(5));
    assert_int_equal(heard(stage->number), LEAT_BACKUP_LOST);
    end();
}

TEST(shard_backup, a_stop_ends_it_and_takes_its_checkpoint)
{
    begin();
    assert_int_equal(ask_begin(), LEAT_OK);
    shard_stop(stage->shard);
    pass(duration_ms(200));
    assert_true(shard_stopped(stage->shard));
    assert_int_equal(counters().checkpoints, 1);
    assert_int_equal(ask_read(3, 0, 4096), LEAT_STOPPING);
    end();
}

TEST(shard_backup, a_broker_that_comes_back_has_none)
{
    begin();
    assert_int_equal(ask_begin(), LEAT_OK);
    stop();
    fake_disk_kill(stage->disk);
    start();
    hello(stage->session, stage->number + 1);
    pass(duration_ms(20));
    welcome();
    assert_int_equal(ask_read(3, 0, 4096), LEAT_BACKUP_LOST);
    assert_int_equal(ask_begin(), LEAT_OK);
    end();
}

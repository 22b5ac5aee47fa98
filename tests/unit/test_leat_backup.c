/* test_leat_backup.c - leat_backup() over a real socket and into a real directory: what is written, in which order, and
 * what is left when the broker lies, vanishes or says no. */
#include "leat.h"

#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fake_backup.h"
#include "fake_server.h"

static struct {
    struct fake_server *server;
    struct leat *leat;
    char root[64], directory[80];
    unsigned calls, stop_after;
    bool hang_up; /* after the first piece */
    unsigned refuse;
    bool ordered; /* every look found the manifest unfinished */
} t;

static void begin(void)
{
    memset(&t, 0, sizeof t);
    strcpy(t.root, "/tmp/leat-backup-XXXXXX");
    assert_non_null(mkdtemp(t.root));
    snprintf(t.directory, sizeof t.directory, "%s/copy", t.root);
    t.server = fake_server_open();
    struct leat_options options = {.timeout_ns = 5 * LEAT_SECOND};
    t.leat = leat_open(fake_server_address(t.server), &options, NULL);
    assert_non_null(t.leat);
    t.ordered = true;
}

static unsigned entries(const char *path)
{
    DIR *d = opendir(path);
    unsigned n = 0;
    if (!d)
        return UINT32_MAX;
    for (const struct dirent *e = readdir(d); e; e = readdir(d))
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void remove_files(const char *path)
{
    static const char *const names[] = {"checkpoint-0", "log-00000001", "log-00000002", "manifest", "mine"};
    char file[128];
    for (unsigned i = 0; i < 5; i++) {
        snprintf(file, sizeof file, "%s/%s", path, names[i]);
        unlink(file);
    }
    rmdir(path);
}

static void end(void)
{
    leat_close(t.leat);
    fake_server_close(t.server);
    remove_files(t.directory);
    assert_int_equal(rmdir(t.root), 0); /* nothing was written beside it */
}

static int open_in(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", t.directory, name);
    return open(path, O_RDONLY);
}

static bool look(const struct leat_backup_state *s, void *user)
{
    char head[16] = "";
    assert_ptr_equal(user, &t);
    assert_true(s->bytes_done <= s->bytes && s->files_done < s->files && s->file);
    int fd = open_in("manifest");
    assert_true(fd >= 0);
    t.ordered = t.ordered && read(fd, head, 15) == 15 && strcmp(head, "This backup has") == 0;
    close(fd);
    if (t.hang_up && t.calls == 0)
        fake_server_hang_up_after(t.server, 1);
    if (t.refuse && t.calls == 0)
        fake_server_refuse(t.server, t.refuse);
    return ++t.calls != t.stop_after;
}

static void check_file(const char *name, uint32_t number, uint64_t bytes, uint64_t size)
{
    int fd = open_in(name);
    struct stat st;
    uint8_t *have = malloc(size);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_size, size);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(read(fd, have, size), size);
    for (uint64_t i = 0; i < size; i++)
        assert_int_equal(have[i], i < bytes ? fake_backup_byte(number, i) : 0);
    free(have);
    close(fd);
}

static void check_copy(void)
{
    assert_int_equal(entries(t.directory), 4);
    check_file("checkpoint-0", 0, 0, FAKE_BACKUP_SMALL);
    check_file("log-00000001", 1, FAKE_BACKUP_BIG, FAKE_BACKUP_BIG);
    check_file("log-00000002", 2, FAKE_BACKUP_SMALL, FAKE_BACKUP_FULL);
    check_file("manifest", 3, 2 * FAKE_BACKUP_SMALL, 2 * FAKE_BACKUP_SMALL);
}

static enum leat_status back_up(void)
{
    return leat_backup(t.leat, t.directory, look, &t, NULL);
}

static bool said(const char *words)
{
    if (strstr(leat_error(t.leat), words))
        return true;
    print_error("'%s' does not say '%s'\n", leat_error(t.leat), words);
    return false;
}

TEST(leat_backup, every_byte_is_there_and_the_manifest_comes_last)
{
    struct leat_backup_state s;
    struct stat st;
    begin();
    assert_int_equal(leat_backup(t.leat, t.directory, look, &t, &s), LEAT_OK);
    check_copy();
    assert_true(t.ordered && t.calls == 5); /* 700 KiB in three pieces, then two */
    assert_int_equal(stat(t.directory, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(s.files, 4);
    assert_int_equal(s.files_done, 4);
    assert_int_equal(s.bytes_done, s.bytes);
    assert_int_equal(s.position, 17);
    assert_int_equal(s.cluster, 0xc0ffee);
    assert_int_equal(s.epoch, 3);
    assert_null(s.file);
    end();
}

TEST(leat_backup, an_empty_directory_is_taken_and_a_full_one_left_alone)
{
    begin();
    assert_int_equal(mkdir(t.directory, 0755), 0);
    assert_int_equal(back_up(), LEAT_OK);
    check_copy();
    assert_int_equal(back_up(), LEAT_LOCAL_FILE);
    assert_true(said("not empty"));
    check_copy();
    assert_int_equal(leat_backup(t.leat, "/tmp/no/such/place", NULL, NULL, NULL), LEAT_LOCAL_FILE);
    assert_true(said("/tmp/no/such/place: No such file"));
    end();
}

TEST(leat_backup, a_connection_that_breaks_in_the_middle_is_made_anew_and_the_copy_goes_on)
{
    begin();
    t.hang_up = true;
    assert_int_equal(back_up(), LEAT_OK);
    assert_true(fake_server_connections(t.server) >= 2);
    check_copy();
    end();
}

TEST(leat_backup, a_broker_that_is_overloaded_for_a_moment_is_asked_again)
{
    begin();
    t.refuse = 2;
    assert_int_equal(back_up(), LEAT_OK);
    check_copy();
    end();
}

TEST(leat_backup, who_gives_up_leaves_nothing_behind)
{
    begin();
    t.stop_after = 2;
    assert_int_equal(back_up(), LEAT_CLOSED);
    assert_true(said("given up"));
    assert_int_equal(entries(t.directory), UINT32_MAX);
    assert_int_equal(mkdir(t.directory, 0755), 0); /* not ours: it stays, empty */
    t.calls = 0;
    assert_int_equal(back_up(), LEAT_CLOSED);
    assert_int_equal(entries(t.directory), 0);
    end();
}

TEST(leat_backup, a_broker_that_says_no_or_lies_is_not_believed_and_nothing_is_left)
{
    static const struct {
        int lie;
        enum leat_status status;
    } lies[] = {{FAKE_BUSY, LEAT_BACKUP_BUSY},        {FAKE_LOST_LATER, LEAT_BACKUP_LOST},
                {FAKE_OTHER_PLACE, LEAT_BAD_FRAME},   {FAKE_WRONG_BYTES, LEAT_BAD_CHECKSUM},
                {FAKE_TWICE, LEAT_LOCAL_FILE},        {FAKE_NO_MANIFEST, LEAT_BAD_FRAME},
                {FAKE_EARLY_MANIFEST, LEAT_BAD_FRAME}};
    for (unsigned i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        begin();
        fake_server_lie(t.server, lies[i].lie);
        assert_int_equal(back_up(), lies[i].status);
        assert_int_equal(entries(t.directory), UINT32_MAX);
        fake_server_lie(t.server, FAKE_HONEST);
        assert_int_equal(back_up(), LEAT_OK);
        end();
    }
}

TEST(leat_backup, a_name_that_leads_out_of_the_directory_breaks_the_connection)
{
    begin();
    fake_server_lie(t.server, FAKE_ESCAPE);
    leat_set_timeout(t.leat, LEAT_SECOND / 5);
    assert_int_equal(back_up(), LEAT_TIMED_OUT); /* it is no answer of a broker */
    assert_int_equal(entries(t.directory), UINT32_MAX);
    assert_true(fake_server_connections(t.server) >= 2);
    end();
}

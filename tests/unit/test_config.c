/* test_config.c - file < environment < flags, and a sentence for everything that is wrong. */
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "test.h"

static struct config config;
static char error[CONFIG_ERROR_MAX];

/* Reads a command line of at most eight words. */
static enum config_result read_words(const char *const *words)
{
    char *argv[10] = {(char *)(uintptr_t) "leatd"};
    int argc = 1;
    for (; *words; words++)
        argv[argc++] = (char *)(uintptr_t)*words;
    error[0] = 0;
    return config_read(&config, argc, argv, error);
}
#define READ(...) read_words((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static const char *file_with(const char *text)
{
    static char path[] = "/tmp/leat-config-XXXXXX";
    memcpy(path + sizeof path - 7, "XXXXXX", 6);
    int fd = mkstemp(path);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    return path;
}

TEST(config, silence_means_what_the_manual_says)
{
    assert_int_equal(READ(), CONFIG_READ);
    assert_string_equal(config.data, "./leat-data");
    assert_string_equal(config.listen, "127.0.0.1:7400");
    assert_string_equal(config.http, "127.0.0.1:9324");
    assert_string_equal(config.local, "");
    assert_int_equal(config.shards, 1);
    assert_int_equal(config.poll, POLL_ADAPTIVE);
    assert_int_equal(config.durability, DURABILITY_DISK);
    assert_int_equal(config.memory_max, 2ull << 30);
    assert_int_equal(config.session_timeout, 60000000000);
    assert_true(config.ready_max >= 10000000);
}

TEST(config, flags_come_in_two_spellings_and_the_last_one_holds)
{
    assert_int_equal(READ("--data", "/x", "--queues-max=10", "--queues-max", "20", "--poll=spin"), CONFIG_READ);
    assert_string_equal(config.data, "/x");
    assert_int_equal(config.queues_max, 20);
    assert_int_equal(config.poll, POLL_SPIN);
    assert_int_equal(READ("--eal", "--no-huge -m 64"), CONFIG_READ);
    assert_string_equal(config.eal, "--no-huge -m 64");
}

TEST(config, salvage_is_a_word_without_a_value)
{
    assert_int_equal(READ("--data", "/x"), CONFIG_READ);
    assert_false(config.salvage);
    assert_int_equal(READ("--salvage", "--data", "/x"), CONFIG_READ);
    assert_true(config.salvage);
    assert_string_equal(config.data, "/x");
    assert_int_equal(READ("--salvage=yes"), CONFIG_BAD_USAGE);
}

TEST(config, flags_win_over_the_environment_and_that_over_the_file)
{
    const char *path = file_with("; a comment\nqueues_max = 1\nsessions_max = 2\nwindow = 8 ; a remark\nspin=1ms\n");
    setenv("LEAT_SESSIONS_MAX", "3", 1);
    setenv("LEAT_SPIN", "2ms", 1);
    assert_int_equal(READ("--config", path, "--spin", "3ms"), CONFIG_READ);
    assert_int_equal(config.queues_max, 1);
    assert_int_equal(config.sessions_max, 3);
    assert_int_equal(config.window, 8);
    assert_int_equal(config.spin, 3000000);
    setenv("LEAT_CONFIG", path, 1);
    assert_int_equal(READ(), CONFIG_READ);
    assert_int_equal(config.queues_max, 1);
    unsetenv("LEAT_CONFIG");
    unsetenv("LEAT_SESSIONS_MAX");
    unsetenv("LEAT_SPIN");
    unlink(path);
}

TEST(config, units_are_understood_or_refused)
{
    static const struct {
        const char *flag, *value;
        uint64_t is; /* 0: refused */
    } cases[] = {
        {"--buffer-max", "16777216", 16u << 20},
        {"--buffer-max", "16384K", 16u << 20},
        {"--buffer-max", "16M", 16u << 20},
        {"--buffer-max", "16MB", 0},
        {"--buffer-max", "16m", 0},
        {"--buffer-max", "-16M", 0},
        {"--buffer-max", " 16M", 0},
        {"--buffer-max", "1.5G", 0},
        {"--buffer-max", "99999999999999999999", 0},
        {"--buffer-max", "99999999999T", 0},
        {"--buffer-max", "", 0},
        {"--session-timeout", "90s", 90000000000},
        {"--session-timeout", "1500ms", 1500000000},
        {"--session-timeout", "2000000us", 2000000000},
        {"--session-timeout", "2m", 120000000000},
        {"--session-timeout", "1h", 3600000000000},
        {"--session-timeout", "1d", 86400000000000},
        {"--session-timeout", "30", 0},
        {"--session-timeout", "30K", 0},
        {"--queues-max", "7", 7},
        {"--queues-max", "7K", 0},
        {"--queues-max", "0x7", 0},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum config_result r = READ(cases[i].flag, cases[i].value);
        assert_int_equal(r, cases[i].is ? CONFIG_READ : CONFIG_BAD_USAGE);
        if (!cases[i].is) {
            assert_non_null(strstr(error, cases[i].flag));
            continue;
        }
        uint64_t got = cases[i].flag[2] == 'b'   ? config.buffer_max
                       : cases[i].flag[2] == 's' ? config.session_timeout
                                                 : config.queues_max;
        assert_int_equal(got, cases[i].is);
    }
}

TEST(config, what_is_wrong_is_named_with_its_limits)
{
    assert_int_equal(READ("--queues-max", "0"), CONFIG_BAD_USAGE);
    assert_string_equal(error, "option --queues-max: \"0\" is out of bounds: the limits are 1 and 1048576");
    assert_int_equal(READ("--shards", "2"), CONFIG_BAD_USAGE);
    assert_non_null(strstr(error, "the limit is 1 shard in this version"));
    assert_int_equal(READ("--poll", "busy"), CONFIG_BAD_USAGE);
    assert_string_equal(error, "option --poll: \"busy\" is none of spin|adaptive");
    assert_int_equal(READ("--spn", "1us"), CONFIG_BAD_USAGE);
    assert_non_null(strstr(error, "unknown option --spn"));
    assert_int_equal(READ("data"), CONFIG_BAD_USAGE);
    assert_non_null(strstr(error, "unexpected word data"));
    assert_int_equal(READ("--data"), CONFIG_BAD_USAGE);
    assert_string_equal(error, "option --data needs a value: DIR");
    static char longer[CONFIG_TEXT_MAX + 1];
    memset(longer, 'x', CONFIG_TEXT_MAX);
    assert_int_equal(READ("--data", longer), CONFIG_BAD_USAGE);
    assert_non_null(strstr(error, "longer than 1023 characters"));
    setenv("LEAT_WINDOW", "65", 1);
    assert_int_equal(READ(), CONFIG_BAD_VALUE);
    assert_string_equal(error, "environment variable LEAT_WINDOW: \"65\" is out of bounds: the limits are 8 and 64");
    unsetenv("LEAT_WINDOW");
    assert_int_equal(READ("--data", ""), CONFIG_BAD_USAGE);
    assert_string_equal(error, "option --data: the value is empty: DIR is needed");
    assert_int_equal(READ("--block-max", "200001", "--body-max", "4K"), CONFIG_BAD_USAGE);
    assert_string_equal(error,
                        "option --block-max: 200001 bytes is not a multiple of 4K: the nearest are 192K and 196K");
    setenv("LEAT_SEGMENT_SIZE", "16778240", 1);
    assert_int_equal(READ(), CONFIG_BAD_VALUE);
    assert_string_equal(error, "environment variable LEAT_SEGMENT_SIZE: 16385K is not a multiple of 4K: the nearest "
                               "are 16M and 16388K");
    unsetenv("LEAT_SEGMENT_SIZE");
}

TEST(config, a_bad_file_is_named_with_its_line)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"window = 64\nqueue_max = 3\n", "line 2: unknown option queue_max"},
        {"\n\nwindow = 3\n", "line 3: window: \"3\" is out of bounds"},
        {"[limits]\nwindow = 8\n", "section [limits]: there are no sections"},
        {"what is this\n", "line 1: a line is `option = value`"},
        {"config = other\n", "line 1: unknown option config"},
        {"listen = 127.0.0.1:x\n", "line 1: listen: \"127.0.0.1:x\" is not of the form HOST:PORT"},
        {"queues_max = 1\nqueues_max = x\nwindow = 1\n", "line 2: queues_max: \"x\" is not a whole number"},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *path = file_with(cases[i].text);
        assert_int_equal(READ("--config", path), CONFIG_BAD_VALUE);
        assert_non_null(strstr(error, path));
        assert_non_null(strstr(error, cases[i].says));
        unlink(path);
    }
    assert_int_equal(READ("--config", "/nowhere/leat.ini"), CONFIG_BAD_VALUE);
    assert_non_null(strstr(error, "/nowhere/leat.ini: No such file"));
    assert_int_equal(READ("--config", "/tmp"), CONFIG_BAD_VALUE);
    assert_non_null(strstr(error, "/tmp: Is a directory"));
}

TEST(config, options_that_do_not_fit_each_other_are_refused)
{
    static const struct {
        const char *words[7], *says;
    } cases[] = {
        {{"--lease-min", "1h", "--lease-max", "90s"},
         "lease_min is 1h, but lease_max is 90s: lower lease_min, or raise lease_max"},
        {{"--segment-size", "4M"},
         "block_max is 4M, but at most 2M is possible: half of segment_size 4M; lower block_max, or raise "
         "segment_size"},
        {{"--depth", "8", "--hot-max", "39M"},
         "hot_max is 39M, but at least 40M is needed: depth 8 + 2, times block_max 4M; raise hot_max, or lower depth "
         "or "
         "block_max"},
        {{"--block-max", "1M"},
         "block_max is 1M, but at least 1156K is needed: body_max 1M and 132K for attributes and for acknowledgements; "
         "raise block_max, or lower body_max"},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(read_words(cases[i].words), CONFIG_BAD_VALUE);
        assert_string_equal(error, cases[i].says);
    }
    assert_int_equal(READ("--depth", "8", "--hot-max", "40M"), CONFIG_READ);
    assert_int_equal(READ("--segment-size", "8M"), CONFIG_READ);
    assert_int_equal(READ("--block-max", "1156K"), CONFIG_READ);
    assert_int_equal(READ("--block-max", "136K", "--body-max", "4K"), CONFIG_READ);
}

TEST(config, disk_max_goes_with_the_segments_that_are_there)
{
    enum { M = 1 << 20 };
    assert_int_equal(READ("--disk-max", "512M", "--data", "here"), CONFIG_READ);
    assert_false(config_disk_fits(&config, 0, error));
    assert_string_equal(error, "disk_max is 512M, but at least 1G is needed: 16 times segment_size 64M; raise "
                               "disk_max, or lower segment_size");
    assert_true(config_disk_fits(&config, 4 * M, error));
    assert_true(config_disk_fits(&config, 32 * M, error));
    assert_false(config_disk_fits(&config, 33 * M, error));
    assert_string_equal(error, "disk_max is 512M, but at least 528M is needed: 16 times segment_size 33M, which is "
                               "kept by data here; raise disk_max");
    assert_int_equal(READ("--disk-max", "1T", "--data", "here"), CONFIG_READ);
    assert_false(config_disk_fits(&config, 0, error));
    assert_string_equal(error, "disk_max is 1T, but at most 249600M is possible: 3900 times segment_size 64M; lower "
                               "disk_max, or raise segment_size");
    assert_true(config_disk_fits(&config, 4 * M, error)); /* so much is not used, then */
    assert_int_equal(READ("--disk-max", "1G"), CONFIG_READ);
    assert_true(config_disk_fits(&config, 0, error));
    assert_int_equal(READ(), CONFIG_READ); /* as much as there is */
    assert_true(config_disk_fits(&config, 0, error));
    assert_true(config_disk_fits(&config, 256 * M, error));
}

TEST(config, what_was_given_is_told_from_what_holds_by_itself)
{
    assert_int_equal(READ("--disk-max", "0"), CONFIG_READ);
    assert_true(config_given(&config, "disk_max"));
    assert_true(config_by_flag(&config, "disk_max"));
    assert_false(config_given(&config, "segment_size"));
    setenv("LEAT_SEGMENT_SIZE", "64M", 1);
    assert_int_equal(READ(), CONFIG_READ);
    unsetenv("LEAT_SEGMENT_SIZE");
    assert_true(config_given(&config, "segment_size"));
    assert_false(config_by_flag(&config, "segment_size"));
    assert_false(config_given(&config, "disk_max"));
    const char *path = file_with("segment_size = 64M\n");
    assert_int_equal(READ("--config", path), CONFIG_READ);
    unlink(path);
    assert_true(config_given(&config, "segment_size"));
    assert_int_equal(READ(), CONFIG_READ);
    assert_false(config_given(&config, "segment_size"));
}

TEST(config, only_loopback_is_listened_on_and_none_is_off)
{
    static const char *const good[] = {"127.0.0.1:1",  "127.9.9.9:1", "[::1]:0",
                                       "localhost:80", "none",        "127.0.0.1:65535"};
    static const char *const bad[] = {"0.0.0.0:1", "127.1:1", "[::]:1", "10.0.0.1:1", "example.org:1", "128.0.0.1:1"};
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(READ("--listen", good[i], "--http", good[i]), CONFIG_READ);
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(READ("--listen", bad[i]), CONFIG_BAD_USAGE);
        assert_non_null(strstr(error, "not a loopback address"));
        assert_int_equal(READ("--http", bad[i]), CONFIG_BAD_USAGE);
        assert_non_null(strstr(error, "option --http: "));
    }
    static const char *const forms[] = {
        "nonsense", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:0x5", "[::1", "[::1]", "::1]:5", ":1", ""};
    for (unsigned i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        assert_int_equal(READ("--http", forms[i]), CONFIG_BAD_USAGE);
        assert_non_null(strstr(error, "option --http: \""));
        assert_non_null(strstr(error, "is not of the form HOST:PORT"));
        setenv("LEAT_HTTP", forms[i], 1);
        assert_int_equal(READ(), CONFIG_BAD_VALUE);
        assert_non_null(strstr(error, "environment variable LEAT_HTTP: \""));
        unsetenv("LEAT_HTTP");
    }
    assert_true(config_is_off("none"));
    assert_false(config_is_off("127.0.0.1:1"));
}

TEST(config, help_and_version_are_found_before_anything_else_is_judged)
{
    assert_int_equal(READ("--help", "--foo"), CONFIG_HELP);
    assert_int_equal(READ("--data", "x", "-h"), CONFIG_HELP);
    assert_int_equal(READ("--version"), CONFIG_VERSION);
}

TEST(config, the_manual_has_every_option_and_every_exit_code)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    config_help(out);
    fclose(out);
#define GROUP(title) assert_non_null(strstr(text, title));
#define OPTION(KIND, field, argument, fallback, low, high, help) assert_non_null(strstr(text, help));
#include "config_table.h"
#undef GROUP
#undef OPTION
#define EXIT(NAME, code, says) assert_non_null(strstr(text, #code "  " says));
#include "exit_table.h"
#undef EXIT
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
        assert_true(strcspn(line, "\n") <= 120);
    free(text);
}

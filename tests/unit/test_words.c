/* test_words.c - what people type: durations, sizes, options; and lines of any input. */
#include "test.h"

#include <fcntl.h>
#include <unistd.h>

#include "arguments.h"
#include "lines.h"
#include "words.h"

TEST(words, durations_have_units_and_fractions)
{
    static const struct {
        const char *text;
        uint64_t ns;
    } good[] = {{"500ms", 500000000},
                {"5s", 5000000000},
                {"2m", 120000000000},
                {"1h", 3600000000000},
                {"1d", 86400000000000},
                {"7", 7000000000},
                {"0", 0},
                {"1.5s", 1500000000},
                {"0.000000001s", 1},
                {"20us", 20000},
                {"3ns", 3},
                {"2H", 7200000000000},
                {"213503d", 18446659200000000000ull}};
    static const char *const bad[] = {
        "", "s", "-1s", "5 s", "5x", "1.s", ".5s", "1e3", "213504d", "99999999999999999999", "5s5", "1..5s", "0x10"};
    uint64_t ns;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(words_duration(good[i].text, &ns));
        assert_true(ns == good[i].ns);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(words_duration(bad[i], &ns));
}

TEST(words, sizes_and_counts)
{
    uint64_t n;
    assert_true(words_size("64k", &n) && n == 65536);
    assert_true(words_size("1.5M", &n) && n == 1572864);
    assert_true(words_size("2GiB", &n) && n == 2147483648u);
    assert_true(words_size("17", &n) && n == 17);
    assert_false(words_size("17b", &n));
    assert_false(words_size("20000000000g", &n));
    assert_true(words_count("18446744073709551615", &n) && n == UINT64_MAX);
    assert_false(words_count("18446744073709551616", &n));
    assert_false(words_count("1k", &n));
    assert_false(words_count("1.5", &n));
}

TEST(words, numbers_are_shown_short)
{
    char text[WORDS_DURATION_MAX];
    static const struct {
        uint64_t ns;
        const char *text;
    } durations[] = {{0, "0"},
                     {999999, "<1ms"},
                     {12000000, "12ms"},
                     {3450000000, "3.4s"},
                     {310000000000, "5m10s"},
                     {7380000000000, "2h03m"},
                     {363600000000000, "4d05h"}};
    for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++) {
        words_show_duration(text, durations[i].ns);
        assert_string_equal(text, durations[i].text);
    }
    static const struct {
        double n;
        const char *text;
    } numbers[] = {{0, "0"}, {99999, "99999"}, {100000, "100.0k"}, {12345678, "12346k"}, {1e8, "100.0M"}};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        words_show_number(text, numbers[i].n);
        assert_string_equal(text, numbers[i].text);
        assert_true(strlen(text) <= 6);
    }
}

TEST(words, base64_as_the_standard_shows_it)
{
    static const char *const pairs[][2] = {{"", ""},        {"f", "Zg=="},        {"fo", "Zm8="},
                                           {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"foobar", "Zm9vYmFy"}};
    char out[16];
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        words_base64(out, pairs[i][0], strlen(pairs[i][0]));
        assert_string_equal(out, pairs[i][1]);
        assert_int_equal(words_base64_size(strlen(pairs[i][0])), strlen(pairs[i][1]) + 1);
    }
}

static char why[ARGUMENTS_WHY];
static const char *words[32];

static bool read_words(struct arguments *a, uint32_t allowed, char **argv)
{
    int argc = 0;
    while (argv[argc])
        argc++;
    *a = (struct arguments){0};
    why[0] = 0;
    return arguments_read(a, words, argc, argv, allowed, why);
}

TEST(arguments, options_stand_anywhere_and_have_values_in_two_ways)
{
    struct arguments a;
    char *argv[] = {"mail", "-n", "5", "--wait=20s", "--raw", "body", "--lease", "2m", "-", NULL};
    uint32_t all = ~0u;
    assert_true(read_words(&a, all, argv));
    assert_int_equal(a.words_count, 3);
    assert_string_equal(a.words[0], "mail");
    assert_string_equal(a.words[2], "-");
    assert_int_equal(a.number[OPTION_NUMBER], 5);
    assert_true(arguments_given(&a, OPTION_RAW));
    assert_true(a.number[OPTION_WAIT] == 20000000000 && a.number[OPTION_LEASE] == 120000000000);
    assert_true(arguments_number(&a, OPTION_DELAY, 17) == 17);
    char *attached[] = {"-n5", "-shost:1", NULL};
    assert_true(read_words(&a, all, attached));
    assert_int_equal(a.number[OPTION_NUMBER], 5);
    assert_string_equal(a.text[OPTION_SERVER], "host:1");
}

TEST(arguments, two_dashes_end_the_options)
{
    struct arguments a;
    char *argv[] = {"jobs", "-j", "4", "--", "sh", "-c", "--help", NULL};
    assert_true(read_words(&a, ~0u, argv));
    assert_int_equal(a.words_count, 1);
    assert_string_equal(a.rest[0], "sh");
    assert_string_equal(a.rest[2], "--help");
    assert_null(a.rest[3]);
    assert_false(arguments_given(&a, OPTION_HELP));
}

TEST(arguments, what_makes_no_sense_is_refused_with_its_name)
{
    static char *bad[][4] = {{"--nonsense"}, {"-x"},        {"--lease"},      {"--lease", "soon"}, {"--raw=1"},
                             {"--batch=-1"}, {"-n", "ten"}, {"--class=fast"}, {"--body-max=1x"}};
    struct arguments a;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(read_words(&a, ~0u, bad[i]));
        assert_true(strlen(why) > 10);
    }
    char *not_here[] = {"--lease", "5s", NULL};
    assert_false(read_words(&a, 1u << OPTION_JSON, not_here));
    assert_non_null(strstr(why, "--lease"));
}

/* The lines of `text`, which comes through a pipe in pieces of `piece` bytes, joined by '|'. */
static void lines_of(const char *text, size_t size, size_t piece, size_t limit, char *joined)
{
    int ends[2];
    struct lines l;
    const char *line;
    size_t n;
    assert_int_equal(pipe(ends), 0);
    assert_true(lines_open(&l, ends[0], limit));
    enum lines_found found = LINES_NOT_NOW;
    *joined = 0;
    for (size_t at = 0; found != LINES_END && found != LINES_TOO_LONG;) {
        found = lines_next(&l, false, &line, &n);
        if (found == LINES_LINE) {
            strncat(joined, line, n);
            strcat(joined, "|");
        } else if (found == LINES_NOT_NOW && at < size) {
            size_t more = size - at < piece ? size - at : piece;
            assert_int_equal(write(ends[1], text + at, more), more);
            at += more;
        } else if (found == LINES_NOT_NOW) {
            close(ends[1]);
            ends[1] = -1;
        }
    }
    if (found == LINES_TOO_LONG)
        sprintf(joined + strlen(joined), "too long: %u", (unsigned)l.number);
    if (ends[1] >= 0)
        close(ends[1]);
    close(ends[0]);
    lines_close(&l);
}

TEST(lines, come_whole_however_the_input_is_cut)
{
    char joined[256];
    static const char text[] = "one\n\ntwo\r\nthree";
    for (size_t piece = 1; piece <= sizeof text; piece++) {
        lines_of(text, sizeof text - 1, piece, 100, joined);
        assert_string_equal(joined, "one||two\r|three|");
        lines_of("\n", 1, piece, 100, joined);
        assert_string_equal(joined, "|");
        lines_of("", 0, piece, 100, joined);
        assert_string_equal(joined, "");
        lines_of("abcd\nabcde\nx", 12, piece, 4, joined);
        assert_string_equal(joined, "abcd|too long: 2");
        lines_of("abcd\nabcde", 10, piece, 4, joined);
        assert_string_equal(joined, "abcd|too long: 2");
        lines_of("abcd\nabcd", 9, piece, 4, joined);
        assert_string_equal(joined, "abcd|abcd|");
    }
}

/* test_local.c - what of the local port needs no DPDK running: its arguments, its address, its packets. */
#include "test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "address.h"
#include "client_io.h"
#include "eal.h"
#include "packet.h"

enum { WORDS = 48 };

static char text[2048], why[256];
static char *words[WORDS];

static int arguments(const char *extra, bool huge)
{
    struct eal_options o = {.name = "leat", .extra = extra, .memory_mb = 64};
    why[0] = 0;
    return eal_arguments(&o, huge, words, WORDS, text, sizeof text, why, sizeof why);
}

static bool have(const char *word)
{
    for (int i = 0; words[i]; i++)
        if (!strcmp(words[i], word))
            return true;
    return false;
}

TEST(eal, never_probes_network_cards_unless_one_is_named)
{
    assert_true(arguments(NULL, true) > 1);
    assert_true(have("--no-pci"));
    assert_true(have("--no-telemetry"));
    assert_true(arguments("-a 0000:00:05.0", true) > 1);
    assert_false(have("--no-pci"));
}

TEST(eal, huge_pages_leave_no_files_and_ordinary_ones_have_a_name_of_their_own)
{
    assert_true(arguments(NULL, true) > 1);
    assert_true(have("--in-memory"));
    assert_false(have("--no-huge"));
    assert_true(arguments(NULL, false) > 1);
    assert_true(have("--no-huge"));
    assert_true(have("--no-shconf"));
    assert_false(have("--in-memory"));
}

TEST(eal, a_users_word_replaces_ours)
{
    assert_true(arguments("--no-huge -m 32 -l 0", true) > 1);
    assert_false(have("--in-memory"));
    assert_true(have("32"));
    assert_false(have("64"));
    for (int i = 0; words[i]; i++)
        assert_int_not_equal(strncmp(words[i], "--lcores", 8), 0);
}

TEST(eal, words_that_dpdk_would_answer_with_its_usage_are_refused)
{
    static const char *const bad[] = {
        "--help", "-m", "-m abc", "-l x", "--no-huge=1", "stray", "--in-memory --no-huge", "--vdev --no-huge"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(arguments(bad[i], true), 0);
        assert_true(why[0] != 0);
    }
}

TEST(eal, too_many_words_are_refused)
{
    char line[400] = "";
    for (int i = 0; i < 26; i++)
        strcat(line, "-n 1 ");
    assert_int_equal(arguments(line, true), 0);
}

TEST(address, a_stale_socket_goes_and_a_file_stays)
{
    char dir[] = "/tmp/leat-address-XXXXXX", path[64];
    int lock, second;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/sock", dir);
    assert_int_equal(mknod(path, S_IFSOCK | 0600, 0), 0);
    assert_int_equal(address_claim(path, &lock, why, sizeof why), LEAT_OK);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(address_claim(path, &second, why, sizeof why), LEAT_ADDRESS_IN_USE);
    assert_non_null(strstr(why, "another broker"));
    address_release(path, lock);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    assert_int_equal(address_claim(path, &lock, why, sizeof why), LEAT_ADDRESS_IN_USE);
    assert_int_equal(access(path, F_OK), 0);
}

TEST(address, a_path_that_fits_no_socket_is_refused)
{
    char path[200];
    int lock;
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = 0;
    assert_int_equal(address_claim(path, &lock, why, sizeof why), LEAT_BAD_VALUE);
    assert_int_equal(address_claim("", &lock, why, sizeof why), LEAT_BAD_VALUE);
}

TEST(packet, only_our_own_are_read)
{
    uint8_t packet[64] = {0};
    static const uint8_t to[6] = {1}, from[6] = {2};
    packet_begin(packet, to, from);
    assert_int_equal(packet_frames(packet, sizeof packet), 48);
    assert_int_equal(packet_frames(packet, PACKET_HEADER), 0);
    assert_int_equal(packet_frames(packet, 3), 0);
    assert_int_equal(packet_frames(packet, PACKET_MAX + 8), 0);
    packet[13] = 0;
    assert_int_equal(packet_frames(packet, sizeof packet), 0);
}

TEST(client_io, a_bad_path_is_told_before_dpdk_starts)
{
    struct client_io_options o = {.path = "/nowhere/leat.sock"};
    assert_null(client_io_open(&o, why, sizeof why));
    assert_non_null(strstr(why, "no broker at"));
    o.path = "a,b=c";
    assert_null(client_io_open(&o, why, sizeof why));
    assert_non_null(strstr(why, "cannot be the path"));
}

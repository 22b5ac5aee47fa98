/* test_metrics.c - what /metrics says: the text format, every row once, labels that cannot break out. */
#include <ctype.h>

#include "metrics.h"
#include "test.h"

static struct page write_page(const struct metrics *m)
{
    struct page p = {0};
    metrics_write(&p, m);
    assert_false(p.failed);
    assert_int_equal(strlen(p.text), p.size);
    return p;
}

static struct reply_stat stat_named(const char *name)
{
    struct reply_stat q = {0};
    q.name.size = (uint8_t)strlen(name);
    memcpy(q.name.text, name, q.name.size);
    return q;
}

static bool has_line(const struct page *p, const char *line)
{
    size_t size = strlen(line);
    for (const char *at = strstr(p->text, line); at; at = strstr(at + 1, line))
        if ((at == p->text || at[-1] == '\n') && at[size] == '\n')
            return true;
    return false;
}

TEST(metrics, numbers_stand_under_their_names_with_help_and_type)
{
    struct metrics m = {.uptime = duration_ms(1500), .memory_max = 77};
    m.shard.ready = 12345678901;
    m.shard.requests[32] = 5;
    m.ports.ring.waits = 3;
    m.ports.disk = (struct disk_facts){.fua = true, .flush = duration_us(121)};
    struct page p = write_page(&m);
    assert_true(has_line(&p, "# TYPE leat_messages_ready gauge"));
    assert_true(has_line(&p, "leat_messages_ready 12345678901"));
    assert_true(has_line(&p, "leat_requests_total{op=\"put\"} 5"));
    assert_true(has_line(&p, "leat_requests_total{op=\"peek\"} 0"));
    assert_true(has_line(&p, "leat_io_uring_waits_total 3"));
    assert_true(has_line(&p, "leat_disk_fua 1"));
    assert_true(has_line(&p, "leat_disk_flush_seconds 0.000121000"));
    assert_true(has_line(&p, "leat_uptime_seconds 1.500000000"));
    assert_true(has_line(&p, "leat_memory_max_bytes 77"));
    page_close(&p);
}

TEST(metrics, ports_that_are_off_are_left_out)
{
    struct metrics m = {0};
    struct page off = write_page(&m);
    assert_null(strstr(off.text, "leat_tcp_"));
    assert_null(strstr(off.text, "leat_local_"));
    assert_null(strstr(off.text, "leat_queue_"));
    m.ports.has_tcp = m.ports.has_local = true;
    m.ports.tcp.bytes_in = 9;
    m.ports.local.joined = 2;
    struct page on = write_page(&m);
    assert_true(has_line(&on, "leat_tcp_received_bytes_total 9"));
    assert_true(has_line(&on, "leat_local_joined_total 2"));
    page_close(&off);
    page_close(&on);
}

TEST(metrics, queues_have_a_label_and_a_family_stays_together)
{
    struct reply_stat queues[2] = {stat_named("mail"), stat_named("a.b-c_d")};
    queues[0].ready = 7;
    queues[1].oldest_ready = duration_ms(250);
    struct metrics m = {.queues = queues, .queue_count = 2};
    struct page p = write_page(&m);
    assert_non_null(strstr(p.text, "# TYPE leat_queue_ready gauge\n"
                                   "leat_queue_ready{queue=\"mail\"} 7\n"
                                   "leat_queue_ready{queue=\"a.b-c_d\"} 0\n"
                                   "# HELP leat_queue_leased "));
    assert_true(has_line(&p, "leat_queue_oldest_ready_seconds{queue=\"a.b-c_d\"} 0.250000000"));
    page_close(&p);
}

/* name{label="value"} number, or a comment; a family is declared once and before its numbers; counters end in _total.
 */
TEST(metrics, every_line_is_well_formed_and_every_family_declared_once)
{
    struct reply_stat q = stat_named("q");
    struct metrics m = {.ports = {.has_tcp = true, .has_local = true}, .queues = &q, .queue_count = 1};
    struct page p = write_page(&m);
    char family[128] = "", type[16] = "";
    unsigned families = 0;
    char *rest = NULL, *text = p.text;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (strncmp(line, "# HELP ", 7) == 0) {
            size_t size = strlen(line);
            assert_true(line[size - 1] == '.');
            continue;
        }
        if (strncmp(line, "# TYPE ", 7) == 0) {
            assert_int_equal(sscanf(line, "# TYPE %127s %15s", family, type), 2);
            bool total = strlen(family) > 6 && strcmp(family + strlen(family) - 6, "_total") == 0;
            assert_int_equal(strcmp(type, "counter") == 0, total);
            families++;
            continue;
        }
        size_t size = strlen(family);
        assert_memory_equal(line, family, size);
        assert_true(line[size] == ' ' || line[size] == '{');
        const char *number = strrchr(line, ' ') + 1;
        assert_true(isdigit((unsigned char)*number));
        assert_int_equal(strspn(number, "0123456789."), strlen(number));
    }
    assert_true(families > 80);
    page_close(&p);
    struct page again = write_page(&m);
    for (char *at = strstr(again.text, "# TYPE "); at; at = strstr(at + 1, "# TYPE ")) {
        char mine[160];
        snprintf(mine, sizeof mine, "%.*s ", (int)strcspn(at + 7, " ") + 7, at);
        assert_null(strstr(at + 1, mine));
    }
    page_close(&again);
}

TEST(page, a_label_cannot_break_out_of_its_quotes)
{
    struct page p = {0};
    page_add_label(&p, "a\"b\\c\nd", 7);
    assert_string_equal(p.text, "\"a\\\"b\\\\c\\nd\"");
    page_close(&p);
    page_add_label(&p, "\n\n\"", 3);
    assert_string_equal(p.text, "\"\\n\\n\\\"\"");
    page_close(&p);
}

TEST(page, it_grows_and_at_its_limit_says_so)
{
    struct page p = {0};
    static char line[1 << 20];
    memset(line, 'x', sizeof line - 1);
    for (unsigned i = 0; i < 40; i++)
        page_add(&p, "%s", line);
    assert_false(p.failed);
    assert_int_equal(p.size, 40 * (sizeof line - 1));
    for (unsigned i = 0; i < 40; i++)
        page_add(&p, "%s", line);
    assert_true(p.failed);
    assert_true(p.size < PAGE_MAX);
    page_close(&p);
}

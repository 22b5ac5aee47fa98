/* message.c - a body may be anything: the line form escapes what would break a line, JSON says base64 for what is no
 * text, raw is raw. */
#include "message.h"

#include <jansson.h>
#include <stdlib.h>

#include "words.h"

enum message_form message_form(const struct arguments *a)
{
    if (arguments_given(a, OPTION_JSON))
        return MESSAGE_JSON;
    return arguments_given(a, OPTION_RAW) ? MESSAGE_RAW : MESSAGE_LINE;
}

static void print_escaped(const unsigned char *p, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        switch (p[i]) {
        case '\\':
            fputs("\\\\", stdout);
            break;
        case '\n':
            fputs("\\n", stdout);
            break;
        case '\r':
            fputs("\\r", stdout);
            break;
        case '\t':
            fputs("\\t", stdout);
            break;
        case 0:
            fputs("\\0", stdout);
            break;
        default:
            if (p[i] < ' ' || p[i] == 0x7f)
                printf("\\x%02x", p[i]);
            else
                putchar(p[i]);
        }
    }
}

static void add_body(json_t *o, const struct leat_message *m)
{
    json_t *text = json_stringn(m->body, m->body_size);
    if (text) {
        json_object_set_new(o, "body", text);
        return;
    }
    char *base64 = malloc(words_base64_size(m->body_size));
    if (!base64)
        return;
    words_base64(base64, m->body, m->body_size);
    json_object_set_new(o, "body_base64", json_string(base64));
    free(base64);
}

static const char *state(const struct leat_message *m)
{
    static const char *const states[] = {
        [LEAT_READY] = "ready", [LEAT_LEASED] = "leased", [LEAT_DELAYED] = "delayed", [LEAT_DEAD] = "dead"};
    return m->state >= LEAT_READY && m->state <= LEAT_DEAD ? states[m->state] : "unknown";
}

static void print_json(const struct leat_message *m, bool peeked)
{
    char receipt[LEAT_RECEIPT_TEXT];
    json_t *o = json_object();
    json_object_set_new(o, "id", json_string(m->id));
    if (peeked)
        json_object_set_new(o, "state", json_string(state(m)));
    if (!peeked) {
        leat_receipt_text(&m->receipt, receipt);
        json_object_set_new(o, "receipt", json_string(receipt));
        json_object_set_new(o, "lease_ms", json_integer((json_int_t)(m->lease_left_ns / LEAT_MILLISECOND)));
    }
    json_object_set_new(o, "attempts", json_integer(m->attempts));
    json_object_set_new(o, "sent", json_real((double)(m->sent_ns / 1000) / 1e6));
    add_body(o, m);
    json_dumpf(o, stdout, JSON_COMPACT | JSON_REAL_PRECISION(16));
    putchar('\n');
    json_decref(o);
}

void message_print(enum message_form form, const struct leat_message *m, bool peeked, bool first)
{
    if (form == MESSAGE_JSON) {
        print_json(m, peeked);
        return;
    }
    if (form == MESSAGE_RAW) {
        if (!first)
            putchar('\n');
        fwrite(m->body, 1, m->body_size, stdout);
        return;
    }
    char receipt[LEAT_RECEIPT_TEXT];
    leat_receipt_text(&m->receipt, receipt);
    if (peeked)
        printf("%s\t%s\t", m->id, state(m));
    else
        printf("%s\t", receipt);
    print_escaped(m->body, m->body_size);
    putchar('\n');
}

/* The case files of tests/cases/adapter: an answer's body and the events that the OpenAI adapter
 * makes of it, the same for every way of cutting the bytes. Words of the kind: completions,
 * responses (else chat), count, stream, tap, hide, cut (the message ended badly), max=N. */
#include "check.h"

#include <stdio.h>

#include "answer.h"
#include "case_file.h"

static unsigned failures;

static bool has_word(const char *kind, const char *word)
{
    size_t n = strlen(word);
    const char *at = strstr(kind, word);
    return at && (at == kind || at[-1] == ' ') && (at[n] == 0 || at[n] == ' ');
}

static void log_raws(struct answer *a, struct tg_str body)
{
    struct tg_str raws = tg_buf_str(&a->raws);
    if (tg_str_eq(raws, body)) {
        tg_buf_lit(&a->log, "raws all\n");
    } else {
        tg_buf_lit(&a->log, "raws ");
        case_escape(&a->log, raws);
        tg_buf_char(&a->log, '\n');
    }
    if (!a->hidden_units)
        return;
    tg_buf_lit(&a->log, "shown ");
    case_escape(&a->log, tg_buf_str(&a->shown));
    tg_buf_char(&a->log, '\n');
}

static void log_failure(struct answer *a)
{
    if (!a->errors)
        return;
    tg_buf_printf(&a->log, "status=%d provider=%d code=%s type=%s param=%s\n",
                  tg_fail_status(&a->fail), a->fail.provider_status, tg_fail_code(&a->fail),
                  tg_fail_type(&a->fail), a->fail.param);
}

static void check_case(void *ctx, const struct case_one *c)
{
    static const int cuts[] = {0, 1, 3, 7, -1};
    struct tg_adapter_response resp = {
        .stream = has_word(c->kind, "stream"),
        .tap = has_word(c->kind, "tap"),
        .hide_usage = has_word(c->kind, "hide"),
        .format = has_word(c->kind, "completions") ? TG_WIRE_OPENAI_COMPLETIONS
                  : has_word(c->kind, "responses") ? TG_WIRE_OPENAI_RESPONSES
                                                   : TG_WIRE_OPENAI_CHAT,
        .task = has_word(c->kind, "count") ? TG_TASK_COUNT : TG_TASK_CHAT,
        .max_pending_bytes = case_option(c->kind, "max", 4u << 20),
    };
    struct tg_str body = tg_buf_str(&c->input), want = tg_str_trim(tg_buf_str(&c->log));
    for (size_t i = 0; i < TG_ARRAY_LEN(cuts); i++) {
        struct answer a;
        answer_init(&a);
        answer_feed(&a, &tg_adapter_openai, &resp, body, cuts[i], !has_word(c->kind, "cut"));
        if (resp.tap)
            log_raws(&a, body);
        log_failure(&a);
        struct tg_str got = tg_str_trim(tg_buf_str(&a.log));
        bool same = tg_str_eq(got, want);
        if (!same) {
            failures++;
            print_error("## %s\n%.*s\nwanted:\n%.*s\n", c->title, TG_STR_ARG(got),
                        TG_STR_ARG(want));
            if (i)
                print_error("(cut %d)\n", cuts[i]);
        }
        answer_fini(&a);
        if (!same)
            break;
    }
}

static void case_files(void **state)
{
    size_t n = case_files_each("adapter", check_case, NULL);
    print_message("%zu cases\n", n);
    assert_int_equal(failures, 0);
    assert_true(n >= 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(case_files)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

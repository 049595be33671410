/* Tool calls in texts, cut at every place. */
#include "check.h"

#include "base/buf.h"
#include "base/err.h"
#include "engine/callparse_priv.h"

/* What was said, as one line: text as it is, calls as <name|arguments>. */
static void note(void *ctx, enum tg_call_event ev, struct tg_str s)
{
    struct tg_buf *b = ctx;
    if (ev == TG_CPE_START)
        tg_buf_char(b, '<');
    tg_buf_str_add(b, s);
    if (ev == TG_CPE_START)
        tg_buf_char(b, '|');
    if (ev == TG_CPE_END)
        tg_buf_char(b, '>');
}

static void run(const char *text, size_t first, size_t each, struct tg_buf *out)
{
    struct tg_callparse p;
    struct tg_str s = tg_str_c(text);
    tg_callparse_init(&p, note, out);
    for (size_t n = first; s.n; n = each) {
        assert_int_equal(tg_callparse_push(&p, tg_str_first(s, n)), 0);
        s = tg_str_from(s, n);
    }
    tg_callparse_finish(&p);
    tg_callparse_fini(&p);
}

static void calls_at_every_split(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"just text", "just text"},
        {"a < b <tool> <tool_cal", "a < b <tool> <tool_cal"},
        {"trailing blanks \n ", "trailing blanks \n "},
        {"<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>",
         "<f|{\"a\": 1}>"},
        {"Let me see.\n\n<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>\n ",
         "Let me see.<f|{}>"},
        {"<tool_call>{\"name\": \"f\", \"arguments\": {\"s\": \"}\\\"]</tool_call>\", \"l\": [[1], "
         "{\"x\": {}}]}}</tool_call>\n<tool_call> { \"name\" : \"g-2\" , \"arguments\" : {} } "
         "</tool_call>",
         "<f|{\"s\": \"}\\\"]</tool_call>\", \"l\": [[1], {\"x\": {}}]}><g-2|{}>"},
        {"<tool_call>{\"name\": \"f\", \"arguments\": \"no object\"}</tool_call>",
         "<f|\"no object\">"},
        {"<tool_call>no call</tool_call>", "<tool_call>no call</tool_call>"},
        {"<tool_call>{\"nam\": 1}", "<tool_call>{\"nam\": 1}"},
        {"<<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>", "<<f|{}>"},
        /* Cut off: what is there of the arguments, and no end. */
        {"<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": [1,", "<f|{\"a\": [1,"},
        {"<tool_call>{\"name\": \"f\", \"argu", ""},
        {"x <tool_call>", "x"},
    };
    struct tg_buf out;
    tg_buf_init(&out, 4096);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n = strlen(cases[i].text);
        for (size_t cut = 1; cut <= n; cut++) {
            tg_buf_clear(&out);
            run(cases[i].text, cut, n, &out);
            assert_str_equal(tg_buf_str(&out), tg_str_c(cases[i].want));
        }
        tg_buf_clear(&out);
        run(cases[i].text, 1, 1, &out);
        assert_str_equal(tg_buf_str(&out), tg_str_c(cases[i].want));
    }
    tg_buf_fini(&out);
}

static void text_and_arguments_do_not_wait(void **state)
{
    struct tg_callparse p;
    struct tg_buf out;
    tg_buf_init(&out, 4096);
    tg_callparse_init(&p, note, &out);
    assert_int_equal(tg_callparse_push(&p, TG_STR("Hello")), 0);
    assert_str(tg_buf_str(&out), "Hello");
    assert_int_equal(
        tg_callparse_push(&p, TG_STR("<tool_call>{\"name\": \"f\", \"arguments\": {\"a")), 0);
    assert_str(tg_buf_str(&out), "Hello<f|{\"a");
    assert_int_equal(p.n_calls, 1);
    tg_callparse_fini(&p);
    tg_buf_fini(&out);
}

static void a_head_without_end_is_bounded(void **state)
{
    static char big[300 << 10];
    struct tg_callparse p;
    struct tg_buf out;
    tg_buf_init(&out, 1 << 20);
    tg_callparse_init(&p, note, &out);
    assert_int_equal(tg_callparse_push(&p, TG_STR("<tool_call>{\"name\": \"")), 0);
    memset(big, 'x', sizeof big);
    assert_int_equal(tg_callparse_push(&p, tg_str_make(big, sizeof big)), TG_E_FULL);
    tg_callparse_fini(&p);
    tg_buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_at_every_split),
        cmocka_unit_test(text_and_arguments_do_not_wait),
        cmocka_unit_test(a_head_without_end_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

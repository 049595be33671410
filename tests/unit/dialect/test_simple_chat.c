#include "check.h"

#include "render.h"

static struct render_run r;

static int teardown(void **state)
{
    render_fini(&r);
    return 0;
}

static void an_answer(void **state)
{
    render_init(&r, &tg_dialect_simple_chat, "{\"message\":\"Hello\"}", false);
    render_begin(&r);
    render_delta(&r, 0, 0, TG_DELTA_REASONING, "hm", "");
    render_delta(&r, 0, 1, TG_DELTA_TEXT, "Hi \"you\"", "");
    render_delta(&r, 1, 0, TG_DELTA_TEXT, "other", "");
    render_delta(&r, 0, 2, TG_DELTA_REFUSAL, "!", "");
    render_finish_choice(&r, 0, TG_FINISH_STOP, "stop");
    assert_str(render_end(&r),
               "{\"reply\":\"Hi \\\"you\\\"!\",\"model\":\"gpt-\\\"4\\\"\",\"provider\":\"openai\","
               "\"usage\":{\"prompt_tokens\":13,\"completion_tokens\":7,\"total_tokens\":20},"
               "\"request_id\":\"req_1\"}");
    assert_int_equal(r.rc, 0);
}

static void nothing_said_and_nothing_known(void **state)
{
    render_init(&r, &tg_dialect_simple_chat, "{\"message\":\"Hello\"}", false);
    r.usage.source = TG_USAGE_ABSENT;
    render_begin(&r);
    assert_contains(render_end(&r), "{\"reply\":\"\",");
    assert_contains(tg_buf_str(&r.out), "\"usage\":null");
}

/* Which of the two protocols of this path a body is, without memory and for any bytes. */
static void the_other_protocol_is_told_apart(void **state)
{
    static const struct {
        const char *body;
        bool accepted;
    } cases[] = {
        {"{\"messages\":[]}", false},
        {" { \"a\" : {\"messages\":1} , \"messages\" : [] }", false},
        {"{\"a\":\"\\\"\",\"messages\":1}", false},
        {"{\"a\":[{},[1,\"x\"]],\"messages\":1}", false},
        {"{\"message\":\"messages\"}", true},
        {"{\"a\":[\"messages\",\"messages\"]}", true},
        {"{\"a\":{\"b\":1,\"messages\":2}}", true},
        {"[\"messages\"]", true},
        {"\"messages\"", true},
        {"{\"messages", true},
        {"{\"x\\", true},
        {"}}}}{\"messages\":1}", false},
        {"", true},
    };
    render_init(&r, &tg_dialect_simple_chat, NULL, false);
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        size_t n = strlen(cases[i].body);
        char *copy = tg_malloc(n); /* no byte behind its end */
        assert_non_null(copy);
        memcpy(copy, cases[i].body, n);
        if (tg_dialect_simple_chat.accepts(tg_str_make(copy, n)) != cases[i].accepted)
            fail_msg("%s", cases[i].body);
        tg_free(copy);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_teardown(name, teardown)
    const struct CMUnitTest tests[] = {
        T(an_answer),
        T(nothing_said_and_nothing_known),
        T(the_other_protocol_is_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

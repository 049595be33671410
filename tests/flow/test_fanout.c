/* One request that stands for several, through one worker. */
#include "flow.h"

#define PATH     "/v1/llm/chat"
#define MESSAGES "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

static struct flow *f;
static struct tg_buf body;

static int setup(void **state TG_UNUSED)
{
    tg_buf_init(&body, 64u << 20);
    f = flow_new("  \"priced\": {backend_type: mock, prices: {input: 1, output: 2}}\n");
    return 0;
}

static int teardown(void **state TG_UNUSED)
{
    flow_free(f);
    tg_buf_fini(&body);
    return 0;
}

static struct flow_client *ask(const char *json)
{
    struct flow_client *c = flow_connect(f);
    assert_non_null(c);
    flow_post(c, PATH, json);
    assert_true(flow_answer(c));
    return c;
}

static void all_answers_come_and_one_failing_fails_no_other(void **state TG_UNUSED)
{
    struct flow_client *c =
        ask("{\"models\":[\"in:text=one\",\"nobody\",\"up\",\"in:status=429\",\"priced\"],"
            "\"aggregate\":\"all\"," MESSAGES "}");
    struct tg_str got = flow_body(c, &body);
    assert_contains(flow_got(c), "HTTP/1.1 200 OK");
    assert_contains(got, "\"object\":\"llm.chat.results\"");
    assert_contains(got, "{\"index\":0,\"model\":\"in:text=one\",\"status\":200,");
    assert_contains(got, "\"content\":\"one");
    assert_contains(got, "{\"index\":1,\"model\":\"nobody\",\"status\":404,");
    assert_contains(got, "\"code\":\"model_not_found\"");
    assert_contains(got, "{\"index\":2,\"model\":\"up\",\"status\":200,");
    assert_contains(got, "{\"index\":3,\"model\":\"in:status=429\",\"status\":429,");
    assert_contains(got, "\"cost_usd\":null");
    assert_contains(got, "\"cost_usd\":0.0");
    flow_close(c);
}

static void the_first_wins(void **state TG_UNUSED)
{
    struct flow_client *c = ask("{\"models\":[\"in:latency=60000\",\"in:text=quick\",\"nobody\"],"
                                "\"aggregate\":\"first\"," MESSAGES "}");
    struct tg_str got = flow_body(c, &body);
    assert_contains(got, "\"content\":\"quick");
    assert_contains(got, "\"selected\":1,\"model\":\"in:text=quick\"");
    assert_contains(got, "{\"index\":0,\"model\":\"in:latency=60000\",\"status\":499,"
                         "\"cancelled\":true");
    flow_close(c);
}

static void the_first_to_say_something_wins_a_stream(void **state TG_UNUSED)
{
    struct flow_client *c = ask("{\"models\":[\"in:latency=60000\",\"in:text=quick\"],"
                                "\"stream\":true," MESSAGES "}");
    struct tg_str got = flow_body(c, &body);
    assert_contains(flow_got(c), "text/event-stream");
    assert_contains(got, "\"content\":\"quick");
    assert_true(tg_str_ends(got, TG_STR("data: [DONE]\n\n")));
    flow_close(c);
}

static void all_stream_side_by_side(void **state TG_UNUSED)
{
    struct flow_client *c = ask("{\"models\":[\"in:text=one\",\"in:text=two\",\"nobody\"],"
                                "\"aggregate\":\"all\",\"stream\":true," MESSAGES "}");
    struct tg_str got = flow_body(c, &body);
    assert_contains(got, "\"content\":\"one");
    assert_contains(got, "\"fanout\":{\"index\":0,\"model\":\"in:text=one\"}}\n\n");
    assert_contains(got, "\"content\":\"two");
    assert_contains(got, "\"fanout\":{\"index\":1,\"model\":\"in:text=two\"}}\n\n");
    assert_contains(got, "\"code\":\"model_not_found\"");
    assert_contains(got, "\"fanout\":{\"index\":2,\"model\":\"nobody\"}}\n\n");
    assert_true(tg_str_ends(got, TG_STR("data: [DONE]\n\n")));
    flow_close(c);
}

static void a_judge_picks(void **state TG_UNUSED)
{
    struct flow_client *c = ask("{\"models\":[\"in:text=one\",\"nobody\",\"in:text=three\"],"
                                "\"aggregate\":\"best_of\",\"judge\":\"in:text=3\"," MESSAGES "}");
    struct tg_str got = flow_body(c, &body);
    assert_contains(got, "\"content\":\"three");
    assert_contains(got, "\"judged\":true,\"selected\":2,\"model\":\"in:text=three\"");
    flow_close(c);
    /* It names one that has failed: no verdict. */
    c = ask("{\"models\":[\"nobody\",\"in:text=one\"],\"aggregate\":\"best_of\","
            "\"judge\":\"in:text=1\",\"stream\":true," MESSAGES "}");
    got = flow_body(c, &body);
    assert_contains(got, "\"object\":\"chat.completion.chunk\"");
    assert_contains(got, "\"delta\":{\"role\":\"assistant\",\"content\":\"one");
    assert_contains(got, "\"judged\":false,\"selected\":1");
    flow_close(c);
    /* It fails itself. */
    c = ask("{\"models\":[\"in:text=one\"],\"aggregate\":\"best_of\",\"judge\":\"nobody\"," MESSAGES
            "}");
    assert_contains(flow_body(c, &body), "\"judged\":false,\"selected\":0");
    flow_close(c);
}

static void a_judge_merges(void **state TG_UNUSED)
{
    struct flow_client *c = ask("{\"models\":[\"in:text=one\",\"in:text=two\"],"
                                "\"aggregate\":\"merge\",\"judge\":\"in:text=both\"," MESSAGES "}");
    assert_contains(flow_body(c, &body), "\"content\":\"both");
    assert_contains(flow_body(c, &body), "\"judge\":\"in:text=both\"");
    flow_close(c);
    c = ask("{\"models\":[\"in:text=one\",\"in:text=two\"],\"stream\":true,"
            "\"aggregate\":\"merge\",\"judge\":\"in:text=both\"," MESSAGES "}");
    assert_contains(flow_body(c, &body), "\"content\":\"both");
    assert_true(tg_str_ends(flow_body(c, &body), TG_STR("data: [DONE]\n\n")));
    flow_close(c);
}

static void when_all_fail_the_first_one_says_why(void **state TG_UNUSED)
{
    static const char *const how[] = {"first", "merge\",\"judge\":\"up"};
    for (size_t i = 0; i < 2; i++) {
        char json[300];
        snprintf(json, sizeof json, "{\"models\":[\"nobody\",\"noone\"],\"aggregate\":\"%s\",%s}",
                 how[i], MESSAGES);
        struct flow_client *c = ask(json);
        assert_contains(flow_got(c), "HTTP/1.1 404");
        assert_contains(flow_body(c, &body), "nobody");
        flow_close(c);
    }
}

static void one_model_is_enough(void **state TG_UNUSED)
{
    struct flow_client *c = ask("{\"model\":\"in:text=one\"," MESSAGES "}");
    assert_contains(flow_body(c, &body), "\"content\":\"one");
    flow_close(c);
}

static void bad_requests_name_the_field(void **state TG_UNUSED)
{
    static const struct {
        const char *json, *param;
    } bad[] = {
        {"{\"models\":[]," MESSAGES "}", "\"param\":\"models\""},
        {"{" MESSAGES "}", "\"param\":\"models\""},
        {"{\"models\":[1]," MESSAGES "}", "\"param\":\"models[0]\""},
        {"{\"models\":[\"a\"],\"model\":\"b\"," MESSAGES "}", "\"param\":\"model\""},
        {"{\"models\":[\"a\"],\"aggregate\":\"vote\"," MESSAGES "}", "\"param\":\"aggregate\""},
        {"{\"models\":[\"a\"],\"aggregate\":\"merge\"," MESSAGES "}", "\"param\":\"judge\""},
        {"{\"models\":[\"a\"],\"judge\":\"b\"," MESSAGES "}", "\"param\":\"judge\""},
        {"{\"models\":[\"a\"]}", "\"param\":\"messages\""},
        {"{\"models\":[\"a\"", "invalid_json"},
        {"[]", "must be a JSON object"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++) {
        struct flow_client *c = ask(bad[i].json);
        assert_contains(flow_got(c), "HTTP/1.1 400");
        struct tg_str got = flow_body(c, &body);
        assert_non_null(memmem(got.p, got.n, bad[i].param, strlen(bad[i].param)));
        flow_close(c);
    }
}

static void a_client_that_leaves_stops_all(void **state TG_UNUSED)
{
    struct flow_client *c = flow_connect(f);
    flow_post(c, PATH,
              "{\"models\":[\"in:latency=60000\",\"in:latency=60000\"],"
              "\"aggregate\":\"all\"," MESSAGES "}");
    flow_settle(f);
    assert_int_equal(f->w.rt->active, 2);
    flow_close(c);
    flow_settle(f);
    assert_int_equal(f->w.rt->active, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_answers_come_and_one_failing_fails_no_other, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_first_wins, setup, teardown),
        cmocka_unit_test_setup_teardown(the_first_to_say_something_wins_a_stream, setup, teardown),
        cmocka_unit_test_setup_teardown(all_stream_side_by_side, setup, teardown),
        cmocka_unit_test_setup_teardown(a_judge_picks, setup, teardown),
        cmocka_unit_test_setup_teardown(a_judge_merges, setup, teardown),
        cmocka_unit_test_setup_teardown(when_all_fail_the_first_one_says_why, setup, teardown),
        cmocka_unit_test_setup_teardown(one_model_is_enough, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_requests_name_the_field, setup, teardown),
        cmocka_unit_test_setup_teardown(a_client_that_leaves_stops_all, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Whole requests through one worker, each way an answer can take. */
#include "base/clock.h"
#include "base/err.h"
#include "flow.h"

#define CHAT "/v1/chat/completions"

static struct flow *f;
static struct tg_buf body;

static int setup(void **state TG_UNUSED)
{
    tg_buf_init(&body, 64u << 20);
    f = flow_new("");
    return 0;
}

static int teardown(void **state TG_UNUSED)
{
    flow_free(f);
    tg_buf_fini(&body);
    return 0;
}

static struct flow_client *ask(const char *path, const char *json)
{
    struct flow_client *c = flow_connect(f);
    assert_non_null(c);
    flow_post(c, path, json);
    assert_true(flow_answer(c));
    return c;
}

static void passes_a_single_answer_through(void **state TG_UNUSED)
{
    struct flow_client *c =
        ask(CHAT, "{\"model\":\"up\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}");
    assert_contains(flow_got(c), "HTTP/1.1 200 OK");
    assert_contains(flow_got(c), "x-tollgate-target: up");
    assert_contains(flow_body(c, &body), "\"model\":\"mock\"");
    assert_contains(flow_body(c, &body), "\"total_tokens\"");
    flow_close(c);
}

static void passes_a_stream_through_and_hides_the_usage_it_asked_for(void **state TG_UNUSED)
{
    struct flow_client *c = ask(CHAT, "{\"model\":\"up\",\"stream\":true,\"max_tokens\":3,"
                                      "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}");
    struct tg_str got = flow_body(c, &body);
    assert_contains(got, "\"content\":\"ipsum \"");
    assert_contains(got, "\"finish_reason\":\"length\"");
    assert_true(tg_str_ends(got, TG_STR("data: [DONE]\n\n")));
    assert_lacks(got, "prompt_tokens");
    flow_close(c);
    c = ask(CHAT, "{\"model\":\"up\",\"stream\":true,\"max_tokens\":3,"
                  "\"stream_options\":{\"include_usage\":true},"
                  "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}");
    assert_contains(flow_body(c, &body), "\"completion_tokens\":3");
    flow_close(c);
}

static void translates_for_the_mock_backend(void **state TG_UNUSED)
{
    struct flow_client *c = ask(CHAT, "{\"model\":\"in:tokens=2\",\"messages\":"
                                      "[{\"role\":\"user\",\"content\":\"hi\"}]}");
    assert_contains(flow_body(c, &body), "\"content\":\"Lorem ipsum \"");
    assert_contains(flow_body(c, &body), "\"id\":\"chatcmpl-");
    flow_close(c);
    c = ask(CHAT, "{\"model\":\"in:tokens=2\",\"stream\":true,\"messages\":"
                  "[{\"role\":\"user\",\"content\":\"hi\"}]}");
    assert_true(tg_str_ends(flow_body(c, &body), TG_STR("data: [DONE]\n\n")));
    flow_close(c);
}

static void serves_the_other_endpoints(void **state TG_UNUSED)
{
    struct flow_client *c = ask("/v1/generate", "{\"model\":\"up\",\"prompt\":\"hi\"}");
    assert_contains(flow_body(c, &body), "\"generated_text\":\"hiLorem");
    flow_close(c);
    c = ask("/api/chat", "{\"model\":\"in\",\"message\":\"hi\"}");
    assert_contains(flow_body(c, &body), "\"reply\":\"Lorem");
    flow_close(c);
    c = ask("/v1/completions", "{\"model\":\"up\",\"prompt\":\"hi\"}");
    assert_contains(flow_body(c, &body), "\"object\":\"text_completion\"");
    flow_close(c);
}

static void falls_back_before_the_first_byte(void **state TG_UNUSED)
{
    struct flow_client *c =
        ask(CHAT, "{\"model\":\"gone\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}");
    assert_contains(flow_got(c), "HTTP/1.1 200 OK");
    assert_contains(flow_got(c), "x-tollgate-target: in");
    flow_close(c);
}

/* A role is no content: a provider that says hello and dies is replaced. */
static void falls_back_after_a_role(void **state TG_UNUSED)
{
    struct flow_client *c = ask(CHAT, "{\"model\":\"hello\",\"stream\":true,\"messages\":"
                                      "[{\"role\":\"user\",\"content\":\"hi\"}]}");
    assert_contains(flow_got(c), "x-tollgate-target: in");
    assert_true(tg_str_ends(flow_body(c, &body), TG_STR("data: [DONE]\n\n")));
    flow_close(c);
}

static const struct {
    const char *model, *status, *code;
} failures[] = {
    {"mock:wire=close", "502", "upstream_incomplete"},
    {"mock:wire=garbage", "502", "upstream_invalid_response"},
    {"mock:wire=big_header", "502", "upstream_too_large"},
    {"mock:wire=html", "502", "upstream_error"},
    {"mock:wire=bad_json", "502", "upstream_invalid_response"},
    {"mock:status=401", "502", "upstream_auth_error"},
    {"mock:status=404", "404", "mock_error"},
    {"in:status=429,retry_after=3", "429", "rate_limit_exceeded"},
    {"in:fault=incomplete", "502", "upstream_incomplete"},
    {"in:fault=invalid", "502", "upstream_invalid_response"},
    {"in:nonsense=1", "400", "invalid_value"},
    {"nobody", "404", "model_not_found"},
};

static void each_failure_has_its_status_and_code(void **state TG_UNUSED)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(failures); i++) {
        struct flow *mine = f;
        f = flow_new("retry: {max_attempts: 1}\n");
        char json[256], line[32];
        snprintf(json, sizeof json,
                 "{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
                 failures[i].model);
        struct flow_client *c = ask(CHAT, json);
        snprintf(line, sizeof line, "HTTP/1.1 %s ", failures[i].status);
        print_message("# %s\n", failures[i].model);
        assert_true(tg_str_starts(flow_got(c), tg_str_c(line)));
        struct tg_str got = flow_body(c, &body);
        assert_true(tg_str_find(got, tg_str_c(failures[i].code)) > 0);
        assert_lacks(flow_got(c), "sk-canary");
        flow_close(c);
        flow_free(f);
        f = mine;
    }
}

static void a_broken_stream_never_says_done(void **state TG_UNUSED)
{
    struct flow *mine = f;
    f = flow_new("breaker: {consecutive_failures: 1000, min_requests: 1000}\n");
    static const char *const wires[] = {"reset",     "close",   "truncated_chunk",
                                        "bad_chunk", "no_done", "error_event"};
    for (size_t i = 0; i < TG_ARRAY_LEN(wires); i++) {
        char json[256];
        snprintf(json, sizeof json,
                 "{\"model\":\"mock:wire=%s,after=2\",\"stream\":true,"
                 "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
                 wires[i]);
        struct flow_client *c = ask(CHAT, json);
        struct tg_str got = flow_body(c, &body);
        print_message("# %s\n", wires[i]);
        assert_contains(got, "ipsum");
        assert_contains(got, "\"error\":{");
        assert_lacks(got, "[DONE]");
        assert_lacks(got, "\"finish_reason\":\"stop\"");
        flow_close(c);
    }
    flow_free(f);
    f = mine;
}

static bool no_attempts(void *ctx)
{
    struct flow *fl = ctx;
    return fl->w.rt->n_attempts == 0 && fl->w.rt->active == 0;
}

static bool has_text(void *ctx)
{
    struct flow_client *c = ctx;
    return tg_str_find(flow_got(c), TG_STR("Lorem")) > 0;
}

static void a_client_that_leaves_cancels_the_attempt(void **state TG_UNUSED)
{
    static const char *const models[] = {"mock:tokens=1000,delay=50", "in:tokens=1000,delay=50"};
    for (size_t i = 0; i < TG_ARRAY_LEN(models); i++) {
        char json[256];
        struct flow_client *c = flow_connect(f);
        snprintf(json, sizeof json,
                 "{\"model\":\"%s\",\"stream\":true,"
                 "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
                 models[i]);
        flow_post(c, CHAT, json);
        assert_true(flow_until(f, has_text, c));
        assert_int_equal(f->w.rt->streams, 1);
        flow_close(c);
        assert_true(flow_until(f, no_attempts, f));
    }
}

static void a_silent_upstream_times_out(void **state TG_UNUSED)
{
    struct flow *mine = f;
    tg_clock_fake_start(1000000000, 1700000000000000);
    f = flow_new("upstream: {timeouts: {first_byte: 5s, idle: 7s}}\n"
                 "retry: {max_attempts: 1}\n");
    struct flow_client *c = flow_connect(f);
    flow_post(c, CHAT,
              "{\"model\":\"mock:wire=stall\",\"messages\":"
              "[{\"role\":\"user\",\"content\":\"hi\"}]}");
    flow_settle(f);
    tg_clock_fake_advance_us(4900000);
    flow_settle(f);
    assert_int_equal(f->w.rt->active, 1);
    tg_clock_fake_advance_us(200000);
    assert_true(flow_answer(c));
    assert_contains(flow_got(c), "HTTP/1.1 504 ");
    assert_contains(flow_got(c), "upstream_timeout");
    flow_close(c);
    flow_free(f);
    tg_clock_fake_stop();
    f = mine;
}

/* A model that thinks for long: the client's proxies hear from us before it does. A failure is an
 * event then. */
static void a_stream_is_kept_alive_before_its_first_word(void **state TG_UNUSED)
{
    struct flow *mine = f;
    tg_clock_fake_start(1000000000, 1700000000000000);
    f = flow_new("upstream: {timeouts: {first_byte: 40s}}\nretry: {max_attempts: 1}\n");
    struct flow_client *c = flow_connect(f);
    flow_post(c, CHAT,
              "{\"model\":\"mock:wire=stall\",\"stream\":true,\"messages\":"
              "[{\"role\":\"user\",\"content\":\"hi\"}]}");
    flow_settle(f);
    tg_clock_fake_advance_us(14900000);
    flow_settle(f);
    assert_int_equal(flow_got(c).n, 0);
    tg_clock_fake_advance_us(200000);
    flow_settle(f);
    assert_contains(flow_got(c), "HTTP/1.1 200 OK");
    assert_contains(flow_got(c), ": keep-alive\n\n");
    tg_clock_fake_advance_us(26000000);
    assert_true(flow_answer(c));
    assert_contains(flow_body(c, &body), "upstream_timeout");
    assert_lacks(flow_body(c, &body), "[DONE]");
    flow_close(c);
    flow_free(f);
    tg_clock_fake_stop();
    f = mine;
}

static void a_stopped_reader_holds_the_upstream_back(void **state TG_UNUSED)
{
    struct flow_client *c = flow_connect(f);
    c->stopped = true;
    flow_post(c, CHAT,
              "{\"model\":\"in:tokens=100000\",\"stream\":true,"
              "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}");
    flow_settle(f); /* comes to rest only because production stops */
    const struct tg_http_server_stats *s = tg_http_server_stats(f->w.server);
    assert_true(s->bytes_out < 1u << 20);
    assert_int_equal(f->w.rt->active, 1);
    c->stopped = false;
    tg_loop_wake(f->w.loop, &c->task);
    assert_true(flow_answer(c));
    assert_true(tg_str_ends(flow_body(c, &body), TG_STR("data: [DONE]\n\n")));
    assert_true(flow_got(c).n > 10u << 20);
    flow_close(c);
}

static void answers_in_order_when_requests_are_pipelined(void **state TG_UNUSED)
{
    struct flow_client *c = flow_connect(f);
    flow_post(c, CHAT,
              "{\"model\":\"in:text=first,latency=20\",\"messages\":"
              "[{\"role\":\"user\",\"content\":\"hi\"}]}");
    flow_post(c, CHAT,
              "{\"model\":\"in:text=second\",\"messages\":"
              "[{\"role\":\"user\",\"content\":\"hi\"}]}");
    assert_true(flow_answer(c));
    ptrdiff_t first = tg_str_find(flow_got(c), TG_STR("\"content\":\"first"));
    assert_true(first > 0);
    while (tg_str_find(flow_got(c), TG_STR("\"content\":\"second")) < 0 && !c->ended)
        tg_loop_turn(f->w.loop);
    assert_true(tg_str_find(flow_got(c), TG_STR("\"content\":\"second")) > first);
    flow_close(c);
}

static void shutting_down_ends_streams_with_an_error(void **state TG_UNUSED)
{
    struct flow_client *c = flow_connect(f);
    flow_post(c, CHAT,
              "{\"model\":\"in:tokens=1000,delay=1000\",\"stream\":true,"
              "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}");
    assert_true(flow_until(f, has_text, c));
    tg_http_server_drain(f->w.server);
    tg_runtime_abort_all(f->w.rt);
    assert_true(flow_answer(c));
    assert_contains(flow_body(c, &body), "shutting_down");
    assert_lacks(flow_body(c, &body), "[DONE]");
    flow_close(c);
}

static void a_reload_leaves_running_requests_alone(void **state TG_UNUSED)
{
    struct flow_client *c = flow_connect(f);
    flow_post(c, CHAT,
              "{\"model\":\"in:tokens=20,delay=1\",\"stream\":true,"
              "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}");
    assert_true(flow_until(f, has_text, c));
    for (int i = 0; i < 100; i++)
        assert_int_equal(tg_runtime_reload(f->w.rt, f->snapshot), 0);
    assert_true(flow_answer(c));
    assert_true(tg_str_ends(flow_body(c, &body), TG_STR("data: [DONE]\n\n")));
    flow_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
        T(passes_a_single_answer_through),
        T(passes_a_stream_through_and_hides_the_usage_it_asked_for),
        T(translates_for_the_mock_backend),
        T(serves_the_other_endpoints),
        T(falls_back_before_the_first_byte),
        T(falls_back_after_a_role),
        T(each_failure_has_its_status_and_code),
        T(a_broken_stream_never_says_done),
        T(a_client_that_leaves_cancels_the_attempt),
        T(a_silent_upstream_times_out),
        T(a_stream_is_kept_alive_before_its_first_word),
        T(a_stopped_reader_holds_the_upstream_back),
        T(answers_in_order_when_requests_are_pipelined),
        T(shutting_down_ends_streams_with_an_error),
        T(a_reload_leaves_running_requests_alone),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

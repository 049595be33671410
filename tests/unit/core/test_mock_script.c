#include "base/err.h"
#include "check.h"
#include "core/mock_script.h"

static struct tg_fail f;

static int apply(const char *model, struct tg_mock_config *c, enum tg_mock_wire *w)
{
    tg_fail_clear(&f);
    return tg_mock_script_apply(tg_str_c(model), c, w, &f);
}

static void plain_names_change_nothing(void **state TG_UNUSED)
{
    struct tg_mock_config c = {.tokens = 5};
    assert_int_equal(apply("mock", &c, NULL), 0);
    assert_int_equal(c.tokens, 5);
}

static void takes_every_key(void **state TG_UNUSED)
{
    struct tg_mock_config c = {0};
    enum tg_mock_wire w;
    assert_int_equal(apply("m:tokens=7,latency=1,ttft=2,delay=3,status=429,retry_after=9,"
                           "fault=stall,after=4,text=hello,wire=reset",
                           &c, &w),
                     0);
    assert_int_equal(c.tokens, 7);
    assert_int_equal(c.latency_ms, 1);
    assert_int_equal(c.ttft_ms, 2);
    assert_int_equal(c.delay_ms, 3);
    assert_int_equal(c.status, 429);
    assert_int_equal(c.retry_after_s, 9);
    assert_int_equal(c.fault, TG_MOCK_FAULT_STALL);
    assert_int_equal(c.fault_after_tokens, 4);
    assert_str(c.text, "hello");
    assert_int_equal(w, TG_MOCK_WIRE_RESET);
}

static void refuses_what_it_does_not_know(void **state TG_UNUSED)
{
    static const char *const bad[] = {
        "m:nonsense=1", "m:tokens=x", "m:tokens=-1", "m:tokens=99999999", "m:status=1000",
        "m:fault=fire", "m:",         "m:tokens",    "m:tokens=1,,",      "m:wire=reset",
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++) {
        struct tg_mock_config c = {.tokens = 3};
        int rc = apply(bad[i], &c, NULL);
        assert_int_equal(rc, TG_E_INVALID_VALUE);
        assert_int_equal(c.tokens, 3);
        assert_string_equal(f.param, "model");
    }
}

static void tokens_are_the_words_of_the_text(void **state TG_UNUSED)
{
    struct tg_mock_config c = {.text = TG_STR_INIT("one two  three")};
    assert_int_equal(tg_mock_script_tokens(&c), 3);
    assert_str(tg_mock_script_token(&c, 0), "one ");
    assert_str(tg_mock_script_token(&c, 1), "two  ");
    assert_str(tg_mock_script_token(&c, 2), "three");
    assert_str(tg_mock_script_token(&c, 3), "one "); /* around again */
    c.tokens = 10;
    assert_int_equal(tg_mock_script_tokens(&c), 10);
}

static void statuses_become_failures(void **state TG_UNUSED)
{
    static const struct {
        uint32_t status;
        int err, http;
    } want[] = {
        {401, TG_E_UPSTREAM_AUTH, 502},     {403, TG_E_UPSTREAM_AUTH, 502},
        {404, TG_E_UPSTREAM_REJECTED, 404}, {429, TG_E_UPSTREAM_RATE_LIMIT, 429},
        {500, TG_E_UPSTREAM_ERROR, 500},    {503, TG_E_UPSTREAM_OVERLOADED, 503},
        {504, TG_E_UPSTREAM_TIMEOUT, 504},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(want); i++) {
        struct tg_mock_config c = {.status = want[i].status, .retry_after_s = 2};
        tg_fail_clear(&f);
        assert_int_equal(tg_mock_script_fail(&c, &f), want[i].err);
        assert_int_equal(tg_fail_status(&f), want[i].http);
        assert_int_equal(f.retry_after_ms, 2000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_names_change_nothing),
        cmocka_unit_test(takes_every_key),
        cmocka_unit_test(refuses_what_it_does_not_know),
        cmocka_unit_test(tokens_are_the_words_of_the_text),
        cmocka_unit_test(statuses_become_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "check.h"

#include <math.h>

#include "base/err.h"
#include "engine/backend_text_priv.h"

static const struct tg_engine_logprob top[] = {
    {.token = TG_STR_INIT(" a"), .logprob = -0.5f},
    {.token = TG_STR_INIT("\"\n"), .logprob = -INFINITY}};
static const struct tg_engine_logprob lp[] = {
    {.token = TG_STR_INIT(" a"), .logprob = -0.5f, .n_top = 2, .top = top},
    {.token = TG_STR_INIT("\xE7\x8C"), .logprob = NAN}};

static void the_shape_of_chats(void **state)
{
    struct tg_buf b;
    tg_buf_init(&b, 4096);
    tg_logprobs_chat(&b, lp, 2);
    assert_str(tg_buf_str(&b),
               "{\"content\":[{\"token\":\" a\",\"logprob\":-0.5,\"bytes\":[32,97],"
               "\"top_logprobs\":[{\"token\":\" a\",\"logprob\":-0.5,\"bytes\":[32,97]},"
               "{\"token\":\"\\\"\\n\",\"logprob\":-9999,\"bytes\":[34,10]}]},"
               "{\"token\":\"\xEF\xBF\xBD\xEF\xBF\xBD\",\"logprob\":-9999,\"bytes\":[231,140],"
               "\"top_logprobs\":[]}],\"refusal\":null}");
    tg_buf_fini(&b);
}

static void the_shape_of_completions(void **state)
{
    struct tg_buf b;
    uint64_t offset = 7;
    tg_buf_init(&b, 4096);
    tg_logprobs_completion(&b, lp, 2, &offset);
    assert_str(tg_buf_str(&b),
               "{\"tokens\":[\" a\",\"\xEF\xBF\xBD\xEF\xBF\xBD\"],\"token_logprobs\":[-0.5,-9999],"
               "\"top_logprobs\":[{\" a\":-0.5,\"\\\"\\n\":-9999},{}],\"text_offset\":[7,9]}");
    assert_int_equal(offset, 10);
    tg_buf_fini(&b);
}

static void bias_objects(void **state)
{
    struct tg_engine_bias v[3];
    assert_int_equal(tg_bias_parse(TG_STR("{}"), v, 3), 0);
    assert_int_equal(tg_bias_parse(TG_STR(" { \"5\" : -100 , \"70\":1.5e0}\n"), v, 3), 2);
    assert_int_equal(v[0].token, 5);
    assert_true(v[0].bias == -100 && v[1].token == 70 && v[1].bias == 1.5f);
    static const char *const bad[] = {"",
                                      "{",
                                      "[]",
                                      "{\"a\":1}",
                                      "{\"1\":101}",
                                      "{\"1\":\"2\"}",
                                      "{\"1\":1",
                                      "{\"1\":1,}",
                                      "{\"-1\":1}",
                                      "{\"1\" 1}",
                                      "{\"1\":}",
                                      "{\"1\":1}x",
                                      "{\"1\":nan}",
                                      "{\"\":1}",
                                      "{\"99999999999\":1}",
                                      "{\"1\":1 \"2\":2}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(tg_bias_parse(tg_str_c(bad[i]), v, 3), TG_E_INVALID_VALUE);
    assert_int_equal(tg_bias_parse(TG_STR("{\"1\":1,\"2\":1,\"3\":1,\"4\":1}"), v, 3),
                     TG_E_INVALID_VALUE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_shape_of_chats),
        cmocka_unit_test(the_shape_of_completions),
        cmocka_unit_test(bias_objects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "check.h"

#include <math.h>

#include "base/err.h"
#include "engine/submit_priv.h"

static const struct tg_engine_message hello = {TG_ROLE_DEVELOPER, TG_STR_INIT("hello")};

static struct tg_engine_request good(void)
{
    struct tg_engine_request r = {.messages = &hello, .n_messages = 1, .n_choices = 3};
    tg_engine_sampling_init(&r.sampling);
    return r;
}

static void refused(struct tg_engine_request r, int err, const char *param)
{
    struct tg_fail f;
    tg_fail_clear(&f);
    assert_int_equal(tg_submit_check(&r, &f), err);
    assert_string_equal(f.param, param);
    assert_int_equal(f.err, err);
}

static void values_are_checked_by_name(void **state)
{
    struct tg_fail f;
    tg_fail_clear(&f);
    struct tg_engine_request r = good();
    assert_int_equal(tg_submit_check(&r, &f), 0);
    r = good();
    r.sampling.top_p = 1.5f;
    refused(r, TG_E_INVALID_VALUE, "top_p");
    r = good();
    r.sampling.repeat_penalty = 0;
    refused(r, TG_E_INVALID_VALUE, "repeat_penalty");
    r = good();
    r.sampling.presence_penalty = -INFINITY;
    refused(r, TG_E_INVALID_VALUE, "presence_penalty");
    r = good();
    r.n_choices = TG_ENGINE_MAX_CHOICES + 1;
    refused(r, TG_E_INVALID_VALUE, "n");
    r = good();
    r.top_logprobs = 21;
    refused(r, TG_E_INVALID_VALUE, "top_logprobs");
    const struct tg_str none = TG_STR_INIT("");
    r = good();
    r.stops = &none;
    r.n_stops = 1;
    refused(r, TG_E_INVALID_VALUE, "stop");
    const struct tg_engine_bias bias = {1, NAN};
    r = good();
    r.bias = &bias;
    r.n_bias = 1;
    refused(r, TG_E_INVALID_VALUE, "logit_bias");
    r = good();
    r.raw = true;
    refused(r, TG_E_INVALID_VALUE, "prompt");
}

static void texts_to_embed_are_checked(void **state)
{
    static char big[TG_ENGINE_MAX_TEXT_BYTES + 1], grammar[TG_GRAMMAR_MAX_BYTES + 1];
    struct tg_str texts[TG_ENGINE_MAX_CHOICES + 1];
    struct tg_engine_request r = {.embed = texts, .n_embed = 2};
    tg_engine_sampling_init(&r.sampling);
    texts[0] = TG_STR("a");
    texts[1] = TG_STR("b");
    assert_int_equal(tg_submit_choices(&r), 2);
    uint64_t h = tg_submit_hash(&r);
    texts[1] = TG_STR("");
    refused(r, TG_E_INVALID_VALUE, "input");
    texts[1] = TG_STR("\xFF");
    refused(r, TG_E_INVALID_VALUE, "input");
    memset(big, 'x', sizeof big);
    texts[1] = tg_str_make(big, sizeof big);
    refused(r, TG_E_CONTEXT_LENGTH, "input");
    assert_true(tg_submit_hash(&r) != h);
    r.n_embed = TG_ENGINE_MAX_CHOICES + 1;
    refused(r, TG_E_INVALID_VALUE, "input");
    memset(grammar, 'x', sizeof grammar);
    texts[1] = TG_STR("b");
    r.n_embed = 2;
    r.grammar = tg_str_make(grammar, sizeof grammar);
    refused(r, TG_E_INVALID_VALUE, "grammar");
}

static void frames_hold_the_request(void **state)
{
    struct tg_engine_request r = good();
    struct tg_p_generate g;
    struct tg_arena a;
    struct tg_buf b;
    r.sampling.seed = 40;
    tg_buf_init(&b, 1 << 20);
    tg_arena_init(&a, 4096, 1 << 20);
    assert_int_equal(tg_submit_choices(&r), 3);
    assert_int_equal(tg_submit_frame(&r, 100, 2, &b), 0);
    struct tg_frame f;
    size_t used;
    assert_int_equal(tg_frame_next(tg_buf_str(&b), 1 << 20, &f, &used), 1);
    assert_true(f.id == 102);
    assert_int_equal(tg_p_get_generate(f.payload, &a, &g), 0);
    assert_int_equal(g.sampling.seed, 42); /* each choice its own */
    assert_int_equal(g.messages[0].role, TG_P_SYSTEM);
    assert_str(g.messages[0].text, "hello");
    assert_int_equal(g.credit_bytes, 64 << 10);
    r.count_only = true;
    assert_int_equal(tg_submit_choices(&r), 1);
    tg_arena_fini(&a);
    tg_buf_fini(&b);
}

static void prompts_are_told_apart(void **state)
{
    struct tg_engine_request a = good(), b = good();
    const struct tg_engine_message other = {TG_ROLE_USER, TG_STR_INIT("hello")};
    b.sampling.temperature = 0;
    b.max_tokens = 5;
    assert_true(tg_submit_hash(&a) == tg_submit_hash(&b));
    b.messages = &other; /* another role */
    assert_true(tg_submit_hash(&a) != tg_submit_hash(&b));
    b = (struct tg_engine_request){.raw = true, .prompt = TG_STR("hello")};
    assert_true(tg_submit_hash(&a) != tg_submit_hash(&b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_checked_by_name),
        cmocka_unit_test(texts_to_embed_are_checked),
        cmocka_unit_test(frames_hold_the_request),
        cmocka_unit_test(prompts_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

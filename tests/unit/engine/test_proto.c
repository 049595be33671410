#include "check.h"

#include <math.h>

#include "base/err.h"
#include "engine/proto_priv.h"

static struct tg_str payload_of(const struct tg_buf *b)
{
    return tg_str_from(tg_buf_str(b), TG_FRAME_HEAD);
}

static struct tg_p_generate sample(void)
{
    static const struct tg_p_message msgs[] = {{TG_P_SYSTEM, TG_STR_INIT("be kind")},
                                               {TG_P_USER, TG_STR_INIT("")},
                                               {TG_P_TOOL, TG_STR_INIT("x\0y")}};
    static const struct tg_str stops[] = {TG_STR_INIT("END"), TG_STR_INIT("\n")};
    static const struct tg_engine_bias bias[] = {{5, -100}, {7, 1.5f}};
    return (struct tg_p_generate){.kind = TG_P_CHAT,
                                  .logprobs = true,
                                  .top_logprobs = 20,
                                  .max_tokens = 9,
                                  .credit_bytes = 1000,
                                  .sampling = {.temperature = 0.5f,
                                               .top_p = 0.9f,
                                               .repeat_penalty = 1.1f,
                                               .top_k = 3,
                                               .has_seed = true,
                                               .seed = 42},
                                  .bias = bias,
                                  .n_bias = 2,
                                  .stops = stops,
                                  .n_stops = 2,
                                  .messages = msgs,
                                  .n_messages = 3,
                                  .grammar = TG_STR("root ::= \"a\"\n")};
}

static int read_back(struct tg_str payload, struct tg_p_generate *out, struct tg_arena *a)
{
    tg_arena_init(a, 4096, 1 << 20);
    return tg_p_get_generate(payload, a, out);
}

static void generate_comes_back(void **state)
{
    struct tg_p_generate m = sample(), got;
    struct tg_buf b;
    struct tg_arena a;
    tg_buf_init(&b, 1 << 20);
    assert_int_equal(tg_p_put_generate(&b, 3, &m), 0);
    assert_int_equal(read_back(payload_of(&b), &got, &a), 0);
    assert_int_equal(got.n_messages, 3);
    assert_str(got.messages[0].text, "be kind");
    assert_int_equal(got.messages[2].role, TG_P_TOOL);
    assert_str_equal(got.messages[2].text, tg_str_make("x\0y", 3));
    assert_int_equal(got.n_stops, 2);
    assert_str(got.stops[0], "END");
    assert_int_equal(got.bias[0].token, 5);
    assert_true(got.bias[1].bias == 1.5f);
    assert_true(got.sampling.has_seed && got.sampling.seed == 42 && got.sampling.top_k == 3);
    assert_true(got.logprobs && got.top_logprobs == 20 && got.max_tokens == 9);
    assert_str(got.grammar, "root ::= \"a\"\n");
    tg_arena_fini(&a);
    tg_buf_fini(&b);
}

/* Every truncation is refused, and no changed byte is read outside the payload (sanitizers). */
static void generate_survives_damage(void **state)
{
    struct tg_p_generate m = sample(), got;
    struct tg_buf b;
    struct tg_arena a;
    tg_buf_init(&b, 1 << 20);
    assert_int_equal(tg_p_put_generate(&b, 3, &m), 0);
    struct tg_str p = payload_of(&b);
    for (size_t n = 0; n < p.n; n++) {
        assert_true(read_back(tg_str_first(p, n), &got, &a) < 0);
        tg_arena_fini(&a);
    }
    char *bytes = b.p + TG_FRAME_HEAD;
    for (size_t i = 0; i < p.n; i++) {
        static const int values[] = {0, 1, 0x7F, 0xFF};
        char old = bytes[i];
        for (size_t v = 0; v < 4; v++) {
            bytes[i] = (char)values[v];
            if (read_back(p, &got, &a) == 0) {
                assert_true(got.n_messages <= TG_ENGINE_MAX_MESSAGES);
                assert_true(isfinite(got.sampling.temperature));
            }
            tg_arena_fini(&a);
        }
        bytes[i] = old;
    }
    tg_buf_fini(&b);
}

static int refused(struct tg_p_generate m)
{
    struct tg_p_generate got;
    struct tg_buf b;
    struct tg_arena a;
    tg_buf_init(&b, 2 << 20);
    assert_int_equal(tg_p_put_generate(&b, 3, &m), 0);
    int rc = read_back(payload_of(&b), &got, &a);
    tg_arena_fini(&a);
    tg_buf_fini(&b);
    return rc;
}

static void values_out_of_range_are_refused(void **state)
{
    static char big[TG_ENGINE_MAX_TEXT_BYTES + 1];
    struct tg_p_generate m = sample();
    m.sampling.temperature = NAN;
    assert_int_equal(refused(m), TG_E_INVALID_ARG);
    m = sample();
    m.sampling.repeat_penalty = 0; /* the library divides by it */
    assert_int_equal(refused(m), TG_E_INVALID_ARG);
    m = sample();
    m.top_logprobs = 21;
    assert_int_equal(refused(m), TG_E_INVALID_ARG);
    m = sample();
    m.n_messages = 0;
    assert_int_equal(refused(m), TG_E_INVALID_ARG);
    m = sample();
    m.kind = TG_P_RAW;
    assert_int_equal(refused(m), TG_E_INVALID_ARG);
    m.n_messages = 1;
    assert_int_equal(refused(m), 0);
    const struct tg_str empty = TG_STR_INIT("");
    m.stops = &empty;
    m.n_stops = 1;
    assert_int_equal(refused(m), TG_E_INVALID_ARG);
    memset(big, 'x', sizeof big);
    struct tg_p_message huge = {TG_P_USER, {big, sizeof big}};
    m = sample();
    m.messages = &huge;
    m.n_messages = 1;
    assert_int_equal(refused(m), TG_E_INVALID_ARG);
}

static void vectors_and_texts_to_embed_come_back(void **state)
{
    static const float v[] = {0.5f, -1, 2};
    struct tg_p_generate m = sample(), got;
    struct tg_str bytes;
    struct tg_buf b;
    struct tg_arena a;
    tg_buf_init(&b, 1 << 20);
    assert_int_equal(tg_p_put_vector(&b, 7, v, 3), 0);
    struct tg_str p = payload_of(&b);
    assert_int_equal(tg_p_get_vector(p, &bytes), 0);
    assert_int_equal(bytes.n, sizeof v);
    assert_memory_equal(bytes.p, v, sizeof v);
    for (size_t n = 0; n < p.n; n++)
        assert_int_equal(tg_p_get_vector(tg_str_first(p, n), &bytes), TG_E_INVALID_ARG);
    tg_buf_clear(&b);
    assert_int_equal(tg_p_put_vector(&b, 7, v, 0), 0); /* a vector of nothing is none */
    assert_int_equal(tg_p_get_vector(payload_of(&b), &bytes), TG_E_INVALID_ARG);
    tg_buf_clear(&b);
    m.kind = TG_P_EMBED;
    m.n_messages = 1;
    assert_int_equal(tg_p_put_generate(&b, 3, &m), 0);
    assert_int_equal(read_back(payload_of(&b), &got, &a), 0);
    assert_int_equal(got.kind, TG_P_EMBED);
    tg_arena_fini(&a);
    tg_buf_clear(&b);
    m.n_messages = 3; /* one text a request */
    assert_int_equal(tg_p_put_generate(&b, 3, &m), 0);
    assert_int_equal(read_back(payload_of(&b), &got, &a), TG_E_INVALID_ARG);
    tg_arena_fini(&a);
    tg_buf_fini(&b);
}

static void text_with_probabilities_comes_back(void **state)
{
    const struct tg_engine_logprob top[] = {{.token = TG_STR_INIT("b"), .logprob = -1},
                                            {.token = TG_STR_INIT("\xFF"), .logprob = -2}};
    const struct tg_engine_logprob lp[] = {
        {.token = TG_STR_INIT("a"), .logprob = -0.5f, .n_top = 2, .top = top},
        {.token = TG_STR_INIT(""), .logprob = -INFINITY}};
    struct tg_buf b;
    struct tg_arena a;
    struct tg_str text;
    const struct tg_engine_logprob *got;
    uint32_t n, tokens;
    tg_buf_init(&b, 1 << 20);
    assert_int_equal(tg_p_put_text(&b, 9, 12, TG_STR("a"), lp, 2), 0);
    struct tg_str p = payload_of(&b);
    for (size_t cut = 0; cut < p.n; cut++) {
        tg_arena_init(&a, 4096, 1 << 20);
        assert_true(tg_p_get_text(tg_str_first(p, cut), &a, &tokens, &text, &got, &n) < 0);
        tg_arena_fini(&a);
    }
    tg_arena_init(&a, 4096, 1 << 20);
    assert_int_equal(tg_p_get_text(p, &a, &tokens, &text, &got, &n), 0);
    assert_int_equal(tokens, 12);
    assert_int_equal(n, 2);
    assert_str(text, "a");
    assert_int_equal(got[0].n_top, 2);
    assert_str_equal(got[0].top[1].token, TG_STR("\xFF"));
    assert_true(tg_p_text_cost(text, got, n) == tg_p_text_cost(TG_STR("a"), lp, 2));
    tg_arena_fini(&a);
    tg_buf_fini(&b);
}

static void ready_and_init_come_back(void **state)
{
    struct tg_p_ready r = {.info = {.name = "n", .slots = 8, .n_ctx = 2048, .flash = true},
                           .calib = {.valid = true, .step_us = {1, 2, 3, 4}, .deep_us = 5}};
    struct tg_p_ready got;
    struct tg_buf b;
    tg_buf_init(&b, 1 << 20);
    assert_int_equal(tg_p_put_ready(&b, &r), 0);
    struct tg_str p = payload_of(&b);
    for (size_t cut = 0; cut < p.n; cut++)
        assert_int_equal(tg_p_get_ready(tg_str_first(p, cut), &got), TG_E_INVALID_ARG);
    assert_int_equal(tg_p_get_ready(p, &got), 0);
    assert_string_equal(got.info.name, "n");
    assert_true(got.info.flash && got.calib.step_us[3] == 4);
    tg_buf_clear(&b);
    struct tg_p_init in = {.path = TG_STR_INIT("/m"), .slots = 3, .flash = -1, .nice = 5}, back;
    assert_int_equal(tg_p_put_init(&b, &in), 0);
    p = payload_of(&b);
    for (size_t cut = 0; cut < p.n; cut++)
        assert_int_equal(tg_p_get_init(tg_str_first(p, cut), &back), TG_E_INVALID_ARG);
    assert_int_equal(tg_p_get_init(p, &back), 0);
    assert_str(back.path, "/m");
    assert_int_equal(back.flash, -1);
    b.p[TG_FRAME_HEAD]++; /* another version of the protocol */
    assert_int_equal(tg_p_get_init(p, &back), TG_E_INVALID_ARG);
    tg_buf_fini(&b);
}

static void small_ones_come_back(void **state)
{
    struct tg_p_done d = {.reason = TG_ENGINE_STOP_STRING,
                          .stop_index = 2,
                          .counts = {.prompt_tokens = 4, .decode_us = 9}},
                     gd;
    struct tg_p_beat t = {.running = 1, .decode_tokens_per_s = 2.5f}, gt;
    struct tg_buf b;
    struct tg_str text;
    uint32_t v, w;
    int err;
    tg_buf_init(&b, 4096);
    assert_int_equal(tg_p_put_done(&b, 1, &d), 0);
    assert_int_equal(tg_p_get_done(payload_of(&b), &gd), 0);
    assert_int_equal(gd.stop_index, 2);
    b.p[TG_FRAME_HEAD] = 99;
    assert_int_equal(tg_p_get_done(payload_of(&b), &gd), TG_E_INVALID_ARG);
    tg_buf_clear(&b);
    assert_int_equal(tg_p_put_beat(&b, &t), 0);
    assert_int_equal(tg_p_get_beat(payload_of(&b), &gt), 0);
    assert_true(gt.decode_tokens_per_s == 2.5f);
    tg_buf_clear(&b);
    assert_int_equal(tg_p_put_error(&b, TG_FR_ERROR, 1, TG_E_NOMEM, TG_STR("no")), 0);
    assert_int_equal(tg_p_get_error(payload_of(&b), &err, &text), 0);
    assert_int_equal(err, TG_E_NOMEM);
    tg_buf_clear(&b);
    assert_int_equal(tg_p_put_error(&b, TG_FR_ERROR, 1, 5, TG_STR("no")), 0);
    assert_int_equal(tg_p_get_error(payload_of(&b), &err, &text), TG_E_INVALID_ARG);
    tg_buf_clear(&b);
    assert_int_equal(tg_p_put_started(&b, 1, 10, 3), 0);
    assert_int_equal(tg_p_get_started(payload_of(&b), &v, &w), 0);
    assert_true(v == 10 && w == 3);
    assert_int_equal(tg_p_get_u32(payload_of(&b), &v), TG_E_INVALID_ARG);
    tg_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(generate_comes_back),
        cmocka_unit_test(generate_survives_damage),
        cmocka_unit_test(values_out_of_range_are_refused),
        cmocka_unit_test(vectors_and_texts_to_embed_come_back),
        cmocka_unit_test(text_with_probabilities_comes_back),
        cmocka_unit_test(ready_and_init_come_back),
        cmocka_unit_test(small_ones_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

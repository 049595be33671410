/* Which units of a Responses answer end it, and what is kept of them. */
#include "check.h"

#include "base/buf.h"
#include "dialect/responses.h"

#define RESPONSE                                                                         \
    "{\"id\":\"resp_1\",\"status\":\"completed\",\"store\":true,\"output\": [{\"id\":\"" \
    "msg_1\",\"n\":1.50}] ,\"x\":0}"
#define BLOCK(type, response)                                                                    \
    "event: " type "\ndata: {\"type\":\"" type "\",\"sequence_number\":9,\"response\":" response \
    "}\n\n"

static int passed(struct tg_arena *a, struct tg_str unit, bool stream, struct tg_kept_answer *out)
{
    memset(out, 0, sizeof *out);
    return tg_responses_keep.passed(a, unit, stream, out);
}

static void expect_answer(const struct tg_kept_answer *k)
{
    assert_str(k->id, "resp_1");
    assert_str(k->status, "completed");
    assert_str(k->response, RESPONSE); /* byte for byte */
    assert_str(k->output, "[{\"id\":\"msg_1\",\"n\":1.50}]");
    assert_true(k->output.p > k->response.p && k->output.p < k->response.p + k->response.n);
    assert_true(k->at_provider);
}

static void the_end_of_an_answer_is_found(void **state)
{
    static const char *const blocks[] = {
        BLOCK("response.completed", RESPONSE),
        "data: {\"type\":\"response.completed\",\"response\":" RESPONSE "}\r\n\r\n",
        "event: response.completed\ndata: {\"type\":\"response.completed\",\ndata: "
        "\"response\":" RESPONSE "}\n\n",
    };
    struct tg_arena a;
    struct tg_kept_answer k;
    tg_arena_init(&a, 1024, 1 << 20);
    for (size_t i = 0; i < TG_ARRAY_LEN(blocks); i++) {
        assert_int_equal(passed(&a, tg_str_c(blocks[i]), true, &k), 1);
        expect_answer(&k);
    }
    assert_int_equal(passed(&a, TG_STR(RESPONSE), false, &k), 1);
    expect_answer(&k);
    tg_arena_fini(&a);
}

static void other_units_are_none(void **state)
{
    static const char *const blocks[] = {
        "",
        ": comment\n\n",
        "data: [DONE]\n\n",
        BLOCK("response.created", RESPONSE),
        BLOCK("response.failed", RESPONSE),
        BLOCK("response.completed", "{\"id\":\"resp_1\",\"status\":\"completed\"}"),
        BLOCK("response.completed", "{\"status\":\"completed\",\"output\":[]}"),
        BLOCK("response.completed", "{\"id\":\"r\",\"status\":\"failed\",\"output\":[]}"),
        BLOCK("response.completed", "{\"id\":\"r\",\"status\":\"completed\",\"output\":[}"),
        "event: response.completed\ndata: {\"type\":\"response.output_text.delta\","
        "\"response\":" RESPONSE "}\n\n",
    };
    static const char *const bodies[] = {
        "",
        "null",
        "[]",
        "{",
        "{\"error\":{}}",
        "{\"id\":\"r\",\"status\":\"queued\",\"output\":[]}",
        "{\"id\":\"r\",\"status\":\"completed\",\"output\":\"x\"}",
    };
    struct tg_arena a;
    struct tg_kept_answer k;
    tg_arena_init(&a, 1024, 1 << 20);
    for (size_t i = 0; i < TG_ARRAY_LEN(blocks); i++)
        assert_int_equal(passed(&a, tg_str_c(blocks[i]), true, &k), 0);
    for (size_t i = 0; i < TG_ARRAY_LEN(bodies); i++)
        assert_int_equal(passed(&a, tg_str_c(bodies[i]), false, &k), 0);
    tg_arena_fini(&a);
}

static void what_the_provider_does_not_keep_is_known(void **state)
{
    struct tg_arena a;
    struct tg_kept_answer k;
    tg_arena_init(&a, 1024, 1 << 20);
    assert_int_equal(
        passed(&a, TG_STR("{\"id\":\"r\",\"status\":\"incomplete\",\"store\":false,\"output\":[]}"),
               false, &k),
        1);
    assert_false(k.at_provider);
    assert_str(k.status, "incomplete");
    assert_int_equal(
        passed(&a, TG_STR("{\"id\":\"r\",\"status\":\"completed\",\"output\":[]}"), false, &k), 1);
    assert_false(k.at_provider);
    tg_arena_fini(&a);
}

static void every_cut_of_a_block_is_survived(void **state)
{
    static const char block[] = BLOCK("response.completed", RESPONSE);
    struct tg_arena a;
    struct tg_kept_answer k;
    for (size_t n = 0; n < sizeof block - 1; n++) {
        tg_arena_init(&a, 1024, 1 << 20);
        int rc = passed(&a, tg_str_make(block, n), true, &k);
        assert_true(rc == 0 || n >= sizeof block - 2);
        tg_arena_fini(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_end_of_an_answer_is_found),
        cmocka_unit_test(other_units_are_none),
        cmocka_unit_test(what_the_provider_does_not_keep_is_known),
        cmocka_unit_test(every_cut_of_a_block_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Embeddings, moderations and ranking: requests in every form, answers rendered. */
#include "check.h"

#include "render.h"

static struct tg_arena arena;
static struct tg_call call;
static struct tg_chat_req req;
static struct tg_fail fail;

static int setup(void **state)
{
    tg_arena_init(&arena, 4096, 8u << 20);
    call = (struct tg_call){0};
    tg_fail_clear(&fail);
    return 0;
}

static int teardown(void **state)
{
    tg_arena_fini(&arena);
    return 0;
}

static int parse(const struct tg_dialect *d, const char *body)
{
    tg_fail_clear(&fail);
    int rc = d->open(&arena, NULL, tg_str_c(body), &call, &fail);
    return rc ? rc : d->parse(&arena, &call, &req, &fail);
}

static void inputs_of_every_form(void **state)
{
    const struct tg_dialect *d = &tg_dialect_openai_embeddings;
    assert_int_equal(parse(d, "{\"model\":\"m\",\"input\":\"a\",\"dimensions\":8,\"user\":\"u\"}"),
                     0);
    assert_int_equal(req.task, TG_TASK_EMBED);
    assert_true(req.inputs.single);
    assert_int_equal(req.inputs.n, 1);
    assert_str(req.inputs.texts[0], "a");
    assert_int_equal(req.inputs.dimensions, 8);
    assert_false(req.inputs.base64);
    assert_str(req.user, "u");
    assert_int_equal(parse(d, "{\"input\":[\"a\",\"b\"],\"encoding_format\":\"base64\",\"x\":1}"),
                     0);
    assert_int_equal(req.inputs.n, 2);
    assert_str(req.inputs.texts[1], "b");
    assert_true(req.inputs.base64);
    assert_int_equal(req.inputs.dimensions, -1);
    assert_str(req.extra.members, "\"x\":1");
    assert_int_equal(parse(d, "{\"input\":[1,2,3],\"input_type\":\"query\"}"), 0);
    assert_true(req.inputs.single);
    assert_str(req.inputs.raw[0], "[1,2,3]");
    assert_str(req.inputs.texts[0], "");
    assert_str(req.inputs.purpose, "query");
    assert_int_equal(parse(d, "{\"input\":[[1,2],[3]]}"), 0);
    assert_int_equal(req.inputs.n, 2);
    assert_str(req.inputs.raw[1], "[3]");
    assert_int_equal(parse(d, "{\"input\":[{\"text\":\"a\"}]}"), 0);
    assert_str(req.inputs.raw[0], "{\"text\":\"a\"}");
}

static void bad_inputs(void **state)
{
    static const struct {
        const char *body;
        int err;
        const char *param;
    } bad[] = {
        {"{}", TG_E_MISSING_FIELD, "input"},
        {"{\"input\":null}", TG_E_MISSING_FIELD, "input"},
        {"{\"input\":7}", TG_E_INVALID_VALUE, "input"},
        {"{\"input\":[]}", TG_E_INVALID_VALUE, "input"},
        {"{\"input\":[\"a\",1]}", TG_E_INVALID_VALUE, "input"},
        {"{\"input\":[[]]}", TG_E_INVALID_VALUE, "input"},
        {"{\"input\":[[\"a\"]]}", TG_E_INVALID_VALUE, "input"},
        {"{\"input\":\"a\",\"dimensions\":0}", TG_E_INVALID_VALUE, "dimensions"},
        {"{\"input\":\"a\",\"encoding_format\":\"int8\"}", TG_E_UNSUPPORTED_PARAMETER,
         "encoding_format"},
        {"{\"input\":\"a\",\"input\":\"b\"}", TG_E_DUPLICATE_KEY, "input"},
        {"{\"input\":\"a\",\"base_url\":\"x\"}", TG_E_UNSUPPORTED_PARAMETER, "base_url"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++) {
        assert_int_equal(parse(&tg_dialect_openai_embeddings, bad[i].body), bad[i].err);
        assert_string_equal(fail.param, bad[i].param);
    }
}

static void item(struct render_run *r, uint32_t index, const char *text)
{
    render_event(r,
                 &(struct tg_event){.kind = TG_EV_ITEM, .choice = index, .text = tg_str_c(text)});
}

static void embeddings_in_the_form_asked_for(void **state)
{
    struct render_run r;
    render_init(&r, &tg_dialect_openai_embeddings, "{\"input\":[\"a\",\"b\"]}", false);
    render_begin(&r);
    item(&r, 1, "[0.5]");
    item(&r, 0, "\"AACAPwAAAMA=\"");
    assert_str(render_end(&r),
               "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,\"embedding\":"
               "[1,-2]},{\"object\":\"embedding\",\"index\":1,\"embedding\":[0.5]}],\"model\":"
               "\"gpt-\\\"4\\\"\",\"usage\":{\"prompt_tokens\":13,\"total_tokens\":20}}");
    assert_int_equal(r.rc, 0);
    render_fini(&r);
    render_init(&r, &tg_dialect_openai_embeddings,
                "{\"input\":\"a\",\"encoding_format\":\"base64\"}", false);
    r.usage = (struct tg_usage){0};
    render_begin(&r);
    item(&r, 0, "[1,-2]");
    assert_str(render_end(&r),
               "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,\"embedding\":"
               "\"AACAPwAAAMA=\"}],\"model\":\"gpt-\\\"4\\\"\",\"usage\":null}");
    render_fini(&r);
}

static void moderations(void **state)
{
    const struct tg_dialect *d = &tg_dialect_openai_moderations;
    struct render_run r;
    assert_int_equal(parse(d, "{\"input\":\"a\"}"), 0);
    assert_int_equal(req.task, TG_TASK_MODERATE);
    assert_str(call.model, "");
    assert_int_equal(parse(d, "{\"input\":[\"a\",\"b\"],\"model\":\"m\"}"), 0);
    assert_int_equal(req.inputs.n, 2);
    /* parts are one input */
    assert_int_equal(parse(d, "{\"input\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":"
                              "\"image_url\",\"image_url\":{\"url\":\"u\"}}]}"),
                     0);
    assert_int_equal(req.inputs.n, 1);
    assert_true(req.inputs.raw[0].p[0] == '[' && req.inputs.raw[0].n > 60);
    render_init(&r, d, "{\"input\":[\"a\",\"b\"]}", false);
    render_begin(&r);
    item(&r, 0, "{\"flagged\":true}");
    item(&r, 1, "{\"flagged\":false}");
    assert_str(render_end(&r), "{\"id\":\"modr-1\",\"model\":\"gpt-\\\"4\\\"\",\"results\":"
                               "[{\"flagged\":true},{\"flagged\":false}]}");
    render_fini(&r);
}

static void ranking(void **state)
{
    const struct tg_dialect *d = &tg_dialect_rerank;
    struct render_run r;
    assert_int_equal(parse(d, "{\"model\":\"m\",\"query\":\"q\",\"documents\":[\"a\",{\"text\":"
                              "\"b\"}],\"top_n\":1}"),
                     0);
    assert_int_equal(req.task, TG_TASK_RERANK);
    assert_str(req.prompt, "q");
    assert_str(req.inputs.texts[1], "b");
    assert_int_equal(req.inputs.top_n, 1);
    assert_int_equal(parse(d, "{\"query\":\"q\"}"), TG_E_MISSING_FIELD);
    assert_string_equal(fail.param, "documents");
    assert_int_equal(parse(d, "{\"documents\":[\"a\"]}"), TG_E_MISSING_FIELD);
    assert_string_equal(fail.param, "query");
    assert_int_equal(parse(d, "{\"query\":\"q\",\"documents\":[{\"image\":\"x\"}]}"),
                     TG_E_UNSUPPORTED_PARAMETER);
    render_init(&r, d,
                "{\"query\":\"q\",\"documents\":[\"a\",{\"text\":\"b\"}],"
                "\"return_documents\":true}",
                false);
    render_begin(&r);
    item(&r, 1, "0.9"); /* the provider's order is the ranking */
    item(&r, 0, "0.1");
    assert_str(render_end(&r),
               "{\"id\":\"rerank-1\",\"object\":\"list\",\"model\":\"gpt-\\\"4\\\"\",\"results\":"
               "[{\"index\":1,\"relevance_score\":0.9,\"document\":{\"text\":\"b\"}},{\"index\":0,"
               "\"relevance_score\":0.1,\"document\":{\"text\":\"a\"}}],\"usage\":"
               "{\"prompt_tokens\":13,\"total_tokens\":20}}");
    render_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(inputs_of_every_form, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_inputs, setup, teardown),
        cmocka_unit_test(embeddings_in_the_form_asked_for),
        cmocka_unit_test_setup_teardown(moderations, setup, teardown),
        cmocka_unit_test_setup_teardown(ranking, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

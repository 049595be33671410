/* The built-in model held to schemas and to calls of tools, and its embeddings, in a real child. */
#include "engine_rig.h"

#include <math.h>

#include "base/arena.h"
#include "base/err.h"
#include "engine/schema_priv.h"
#include "engine/tools_priv.h"
#include "json/json.h"

enum { SEEDS = 12 };

/* ---- an independent, small validator: what the schemas below use ---- */

static bool valid(const struct tg_json *schema, const struct tg_json *root,
                  const struct tg_json *v);

static bool has_type(struct tg_str t, const struct tg_json *v)
{
    int64_t n;
    if (tg_str_eq(t, TG_STR("integer")))
        return tg_json_is_num(v) && tg_json_i64(v, &n) == 0;
    static const char *const names[] = {"",       "null",  "boolean", "number",
                                        "string", "array", "object"};
    return tg_str_eq(t, tg_str_c(names[tg_json_type(v)]));
}

static bool valid_object(const struct tg_json *s, const struct tg_json *root,
                         const struct tg_json *v)
{
    const struct tg_json *props = tg_json_get(s, TG_STR("properties"));
    struct tg_json_iter it = tg_json_iter(tg_json_get(s, TG_STR("required")));
    struct tg_fail f;
    while (tg_json_next(&it))
        if (!tg_json_get(v, tg_json_str(it.value)))
            return false;
    tg_fail_clear(&f);
    /* Names that the schema does not list may come twice: no grammar can count them. */
    if (!tg_json_get(s, TG_STR("additionalProperties")) && tg_json_check_duplicates(v, "", &f) != 0)
        return false;
    it = tg_json_iter(v);
    while (tg_json_next(&it)) {
        const struct tg_json *p = tg_json_get(props, it.name);
        const struct tg_json *more = tg_json_get(s, TG_STR("additionalProperties"));
        if (p ? !valid(p, root, it.value) : more ? !valid(more, root, it.value) : props != NULL)
            return false;
    }
    return true;
}

static bool valid_scalar(const struct tg_json *s, const struct tg_json *v)
{
    double d, limit;
    int64_t n;
    const struct tg_json *m;
    if (tg_json_is_num(v) && tg_json_double(v, &d) == 0) {
        m = tg_json_get(s, TG_STR("minimum"));
        if (m && tg_json_double(m, &limit) == 0 && d < limit)
            return false;
        m = tg_json_get(s, TG_STR("maximum"));
        if (m && tg_json_double(m, &limit) == 0 && d > limit)
            return false;
    }
    if (tg_json_is_str(v)) {
        int64_t chars = 0;
        for (size_t i = 0; i < tg_json_str(v).n; i++)
            chars += ((uint8_t)tg_json_str(v).p[i] & 0xC0) != 0x80;
        m = tg_json_get(s, TG_STR("maxLength"));
        if (m && tg_json_i64(m, &n) == 0 && chars > n)
            return false;
    }
    return true;
}

static bool one_of_list(const struct tg_json *list, const struct tg_json *root,
                        const struct tg_json *v, bool values)
{
    struct tg_json_iter it = tg_json_iter(list);
    while (tg_json_next(&it))
        if (values ? tg_json_str_is(v, tg_json_str(it.value)) : valid(it.value, root, v))
            return true;
    return false;
}

static bool valid(const struct tg_json *s, const struct tg_json *root, const struct tg_json *v)
{
    if (tg_json_is_bool(s))
        return tg_json_true(s);
    if (tg_json_get(s, TG_STR("$ref"))) { /* "#/$defs/name" only */
        struct tg_str ref = tg_json_get_str(s, TG_STR("$ref"));
        s = tg_json_get2(root, TG_STR("$defs"), tg_str_from(ref, 8));
    }
    const struct tg_json *any = tg_json_get(s, TG_STR("anyOf")),
                         *e = tg_json_get(s, TG_STR("enum"));
    struct tg_str type = tg_json_get_str(s, TG_STR("type"));
    if ((any && !one_of_list(any, root, v, false)) || (e && !one_of_list(e, root, v, true)) ||
        (type.p && !has_type(type, v)) || !valid_scalar(s, v))
        return false;
    if (tg_json_is_obj(v))
        return valid_object(s, root, v);
    const struct tg_json *items = tg_json_get(s, TG_STR("items"));
    const struct tg_json *min = tg_json_get(s, TG_STR("minItems"));
    const struct tg_json *max = tg_json_get(s, TG_STR("maxItems"));
    int64_t n;
    if (tg_json_is_arr(v) && ((tg_json_i64(min, &n) == 0 && (int64_t)tg_json_count(v) < n) ||
                              (tg_json_i64(max, &n) == 0 && (int64_t)tg_json_count(v) > n)))
        return false;
    struct tg_json_iter it = tg_json_iter(tg_json_is_arr(v) ? v : NULL);
    while (items && tg_json_next(&it))
        if (!valid(items, root, it.value))
            return false;
    return true;
}

/* ---- schemas ---- */

static const char *const schemas[] = {
    ("{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\",\"maxLength\":20},"
     "\"country\":"
     "{\"type\":\"string\",\"maxLength\":20},\"population\":{\"type\":\"integer\",\"minimum\":1,"
     "\"maximum\":99999999},\"capital\":{\"type\":\"boolean\"}},\"required\":[\"city\",\"country\","
     "\"population\",\"capital\"],\"additionalProperties\":false}"),
    ("{\"type\":\"object\",\"properties\":{\"mood\":{\"enum\":[\"good\",\"bad\",\"very "
     "\\\"good\\\"\"]},"
     "\"score\":{\"type\":\"number\",\"minimum\":0,\"maximum\":1},\"note\":{\"anyOf\":[{\"type\":"
     "\"null\"},{\"type\":\"string\",\"maxLength\":12}]}},\"required\":[\"mood\"]}"),
    ("{\"type\":\"array\",\"items\":{\"type\":\"integer\",\"minimum\":-5,\"maximum\":120},"
     "\"minItems\":"
     "2,\"maxItems\":6}"),
    ("{\"$defs\":{\"node\":{\"type\":\"object\",\"properties\":{\"v\":{\"type\":\"integer\","
     "\"minimum\":"
     "0,\"maximum\":9},\"next\":{\"anyOf\":[{\"type\":\"null\"},{\"$ref\":\"#/$defs/node\"}]}},"
     "\"required\":[\"v\",\"next\"],\"additionalProperties\":false}},\"$ref\":\"#/$defs/node\"}"),
    ("{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"integer\"}},\"required\":[\"id\"],"
     "\"additionalProperties\":{\"type\":\"boolean\"}}"),
};

static void grammar_of(const char *schema, struct tg_buf *out)
{
    struct tg_grammar *g = tg_grammar_new();
    struct tg_fail f;
    uint32_t rule = 0;
    tg_fail_clear(&f);
    tg_buf_init(out, 1 << 20);
    assert_non_null(g);
    if (schema)
        assert_int_equal(tg_schema_add(g, tg_str_c(schema), TG_STR("s"), false, NULL, &f, &rule),
                         0);
    else
        rule = tg_schema_any_object(g);
    tg_grammar_ref(g, tg_grammar_alt(g, 0), rule);
    assert_int_equal(tg_schema_print(g, TG_STR("s"), out, &f), 0);
    tg_grammar_free(g);
}

static void check_answer(const char *schema, struct tg_str text)
{
    struct tg_arena a;
    struct tg_json_doc *want, *doc;
    struct tg_fail f;
    tg_arena_init(&a, 4096, 1 << 20);
    tg_fail_clear(&f);
    int rc = tg_json_parse(&a, text, NULL, &doc, &f);
    if (rc)
        fail_msg("no JSON: %.*s (%s)", TG_STR_ARG(text), f.message);
    if (schema) {
        assert_int_equal(tg_json_parse(&a, tg_str_c(schema), NULL, &want, &f), 0);
        if (!valid(tg_json_root(want), tg_json_root(want), tg_json_root(doc)))
            fail_msg("%.*s is not of %s", TG_STR_ARG(text), schema);
    } else {
        assert_int_equal(tg_json_type(tg_json_root(doc)), TG_JSON_OBJECT);
    }
    tg_arena_fini(&a);
}

static void every_answer_is_of_its_schema(void **state)
{
    struct rig r;
    if (!rig_possible())
        return;
    rig_start(&r, NULL);
    size_t whole = 0, all = 0;
    for (size_t s = 0; s <= sizeof schemas / sizeof *schemas; s++) {
        const char *schema = s < sizeof schemas / sizeof *schemas ? schemas[s] : NULL;
        struct rig_answer *a[SEEDS];
        struct tg_buf grammar;
        grammar_of(schema, &grammar);
        for (uint32_t i = 0; i < SEEDS; i++) {
            struct tg_engine_request req = rig_greedy(RIG_USER("Tell me about Paris in JSON."));
            req.grammar = tg_buf_str(&grammar);
            req.max_tokens = 300;
            req.sampling.temperature = i == 0 ? 0 : i % 3 == 0 ? 2 : 1;
            req.sampling.has_seed = true;
            req.sampling.seed = i;
            a[i] = rig_submit(&r, &req);
        }
        for (uint32_t i = 0; i < SEEDS; i++) {
            rig_wait(&r, a[i]->last);
            assert_int_equal(a[i]->err, 0);
            all++;
            if (a[i]->reason == TG_ENGINE_LENGTH)
                continue;
            whole++;
            assert_int_equal(a[i]->reason, TG_ENGINE_STOP);
            check_answer(schema, tg_buf_str(&a[i]->text[0]));
        }
        tg_buf_fini(&grammar);
    }
    print_message("# %zu of %zu answers ended by themselves\n", whole, all);
    assert_true(whole * 3 > all * 2);
    rig_stop(&r);
}

/* Whatever the converter makes, the library must take. */
static void the_library_takes_every_grammar(void **state)
{
    static const char *const more[] = {
        "{\"type\":\"string\",\"maxLength\":50000,\"minLength\":3}",
        "{\"type\":\"array\",\"minItems\":900,\"maxItems\":99999}",
        "{\"pattern\":\"^(a|b[\\\\]\\\\-^]{2,900}|\\\\u00e9\\\\\\\"[^\\\\n-]*\\\\s\\\\W){0,99}$\"}",
        "{\"format\":\"date-time\"}",
        "{\"format\":\"email\"}",
        "{\"format\":\"uri\"}",
        ("{\"enum\":[\"\xC3\xA9\xC3\xA8\",\"\xC3\xA9\xC3\xAA\",\"a\\\"]b\",\"a\\\"]c\",-1.5e3,null]"
         "}"),
        "{\"type\":\"number\",\"minimum\":-273.15,\"exclusiveMaximum\":1e9}",
        "{\"properties\":{\"a-]^\\\\\":{},\"b\":{},\"c\":{}},\"additionalProperties\":{}}",
        "{\"anyOf\":[{\"type\":\"array\",\"items\":{\"$ref\":\"#\"}},{\"type\":\"string\"}]}",
    };
    struct rig r;
    if (!rig_possible())
        return;
    rig_start(&r, NULL);
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        struct tg_buf grammar;
        grammar_of(more[i], &grammar);
        struct tg_engine_request req = rig_greedy(RIG_USER("Hi"));
        req.grammar = tg_buf_str(&grammar);
        req.max_tokens = 40;
        struct rig_answer *a = rig_ask(&r, &req);
        if (a->err)
            fail_msg("%s: %s", more[i], a->message);
        assert_true(a->counts.completion_tokens > 0);
        tg_buf_fini(&grammar);
    }
    rig_stop(&r);
}

static void a_broken_grammar_is_an_error_and_no_text(void **state)
{
    static const char *const bad[] = {"root ::= ",        "nonsense",      "root ::= root \"a\"",
                                      "root ::= missing", "foo ::= \"a\"", "root ::= \"a"};
    struct rig r;
    if (!rig_possible())
        return;
    rig_start(&r, NULL);
    for (size_t i = 1; i < sizeof bad / sizeof *bad; i++) {
        struct tg_engine_request req = rig_greedy(RIG_USER("What is the capital of France?"));
        req.grammar = tg_str_c(bad[i]);
        struct rig_answer *a = rig_ask(&r, &req);
        assert_int_equal(a->err, TG_E_LOCAL_FAILED);
        assert_int_equal(a->n_text, 0);
    }
    /* The child lives, and answers. */
    struct tg_engine_request req = rig_greedy(RIG_USER("What is the capital of France?"));
    assert_contains(tg_buf_str(&rig_ask(&r, &req)->text[0]), "Paris");
    assert_int_equal(rig_status(&r).restarts, 0);
    rig_stop(&r);
}

/* Control tokens have letters that a grammar could take for text, but nobody sees them. */
static void control_tokens_are_not_text(void **state)
{
    struct rig r;
    if (!rig_possible())
        return;
    rig_start(&r, NULL);
    struct tg_engine_request req = rig_greedy(RIG_USER("Hi"));
    req.grammar = TG_STR("root ::= \"<|im_start|>\" [a-z]\n");
    struct rig_answer *a = rig_ask(&r, &req);
    assert_int_equal(a->reason, TG_ENGINE_STOP);
    assert_int_equal(a->text[0].n, 13);
    assert_contains(tg_buf_str(&a->text[0]), "<|im_start|>");
    rig_stop(&r);
}

static void a_cut_answer_is_cut_for_length(void **state)
{
    struct rig r;
    if (!rig_possible())
        return;
    rig_start(&r, NULL);
    struct tg_engine_request req = rig_greedy(RIG_USER("Hi"));
    req.grammar = TG_STR("root ::= \"abcdefghijklmnopqrstuvwxyz0123456789\"\n");
    req.max_tokens = 3;
    struct rig_answer *a = rig_ask(&r, &req);
    assert_int_equal(a->reason, TG_ENGINE_LENGTH);
    assert_true(
        tg_str_starts(TG_STR("abcdefghijklmnopqrstuvwxyz0123456789"), tg_buf_str(&a->text[0])));
    req.max_tokens = 0;
    a = rig_ask(&r, &req);
    assert_int_equal(a->reason, TG_ENGINE_STOP);
    assert_str(tg_buf_str(&a->text[0]), "abcdefghijklmnopqrstuvwxyz0123456789");
    rig_stop(&r);
}

static void forced_calls_parse(void **state)
{
    static struct tg_tool tool = {
        .is_function = true,
        .name = TG_STR_INIT("get_weather"),
        .parameters =
            TG_STR_INIT("{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\","
                        "\"maxLength\":20},\"days\":{\"type\":\"integer\",\"minimum\":1,"
                        "\"maximum\":7}},\"required\":[\"city\",\"days\"]}")};
    static struct tg_part text = {.kind = TG_PART_TEXT, .text = TG_STR_INIT("Weather in Rome?")};
    static struct tg_message m = {.role = TG_ROLE_USER, .parts = &text, .n_parts = 1};
    struct tg_chat_req chat = {.messages = &m,
                               .n_messages = 1,
                               .tools = &tool,
                               .n_tools = 1,
                               .tool_choice = {.kind = TG_TOOL_CHOICE_REQUIRED, .parallel = 0}};
    struct tg_arena arena;
    struct tg_fail f;
    struct rig r;
    if (!rig_possible())
        return;
    rig_start(&r, NULL);
    tg_arena_init(&arena, 4096, 1 << 20);
    tg_fail_clear(&f);
    for (uint32_t seed = 0; seed < SEEDS; seed++) {
        struct tg_engine_request req = rig_greedy(NULL);
        assert_int_equal(tg_tools_messages(&arena, &chat, &f, &req.messages, &req.n_messages), 0);
        assert_int_equal(tg_tools_grammar(&arena, &chat, false, NULL, &f, &req.grammar), 0);
        req.max_tokens = 200;
        req.sampling.temperature = seed ? 1 : 0;
        req.sampling.has_seed = true;
        req.sampling.seed = seed;
        struct rig_answer *a = rig_ask(&r, &req);
        assert_int_equal(a->reason, TG_ENGINE_STOP);
        struct tg_str s = tg_buf_str(&a->text[0]);
        ptrdiff_t end = tg_str_find(s, TG_STR("</tool_call>"));
        assert_true(tg_str_starts(s, TG_STR("<tool_call>")) && end > 0);
        struct tg_json_doc *doc;
        assert_int_equal(tg_json_parse(&arena,
                                       tg_str_trim(tg_str_from(tg_str_first(s, (size_t)end), 11)),
                                       NULL, &doc, &f),
                         0);
        assert_str(tg_json_get_str(tg_json_root(doc), TG_STR("name")), "get_weather");
        int64_t days;
        const struct tg_json *args = tg_json_get(tg_json_root(doc), TG_STR("arguments"));
        assert_int_equal(tg_json_i64(tg_json_get(args, TG_STR("days")), &days), 0);
        assert_true(days >= 1 && days <= 7);
        assert_true(tg_json_is_str(tg_json_get(args, TG_STR("city"))));
    }
    tg_arena_fini(&arena);
    rig_stop(&r);
}

/* ---- embeddings ---- */

static double product(const float *a, const float *b, uint32_t n)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

static void texts_become_vectors(void **state)
{
    static const struct tg_str texts[] = {
        TG_STR_INIT("What is the capital of France?"), TG_STR_INIT("What is the capital of Italy?"),
        TG_STR_INIT("Send me three emojis."), TG_STR_INIT("What is the capital of France?"),
        TG_STR_INIT("<|im_start|>x")};
    struct rig r;
    if (!rig_possible())
        return;
    rig_start(&r, NULL);
    struct tg_engine_request req = rig_greedy(NULL);
    req.embed = texts;
    req.n_embed = 5;
    struct rig_answer *a = rig_ask(&r, &req);
    assert_int_equal(a->err, 0);
    assert_int_equal(a->n_ended, 5);
    assert_true(a->dims >= 64);
    for (int i = 0; i < 5; i++)
        assert_true(fabs(product(a->vector[i], a->vector[i], a->dims) - 1) < 1e-4);
    assert_true(product(a->vector[0], a->vector[3], a->dims) > 0.999);
    assert_true(product(a->vector[0], a->vector[1], a->dims) >
                product(a->vector[0], a->vector[2], a->dims));
    /* Alone as in company, and beside an answer. */
    struct tg_engine_request story = rig_greedy(RIG_USER("Tell me a story about a turtle."));
    story.max_tokens = 40;
    struct rig_answer *s = rig_submit(&r, &story);
    req.n_embed = 1;
    struct rig_answer *b = rig_ask(&r, &req);
    assert_true(product(a->vector[0], b->vector[0], a->dims) > 0.999);
    struct tg_engine_request count = rig_greedy(NULL);
    count.raw = count.count_only = true;
    count.prompt = texts[0];
    assert_int_equal(rig_ask(&r, &count)->counts.prompt_tokens, b->counts.prompt_tokens);
    rig_wait(&r, s->last);
    assert_int_equal(s->err, 0);
    assert_int_equal(s->counts.completion_tokens, 40);
    rig_stop(&r);
}

static void texts_too_long_or_cancelled(void **state)
{
    static char text[40000];
    struct rig r;
    if (!rig_possible())
        return;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = i % 5 == 4 ? ' ' : (char)('a' + i * 7 % 26);
    struct tg_str texts[TG_ENGINE_MAX_CHOICES] = {{text, sizeof text}};
    rig_start(&r, NULL);
    struct tg_engine_request req = rig_greedy(NULL);
    req.embed = texts;
    req.n_embed = 1;
    struct rig_answer *a = rig_ask(&r, &req);
    assert_int_equal(a->err, TG_E_CONTEXT_LENGTH);
    for (size_t i = 0; i < TG_ENGINE_MAX_CHOICES; i++)
        texts[i] = tg_str_make(text, 1000);
    req.n_embed = TG_ENGINE_MAX_CHOICES;
    a = rig_submit(&r, &req);
    tg_engine_cancel(r.host, a->id);
    rig_wait(&r, a->last);
    assert_int_equal(rig_status(&r).restarts, 0);
    req.n_embed = 1;
    a = rig_ask(&r, &req);
    assert_int_equal(a->err, 0);
    rig_stop(&r);
}

int main(int argc, char **argv)
{
    rig_main(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_answer_is_of_its_schema),
        cmocka_unit_test(the_library_takes_every_grammar),
        cmocka_unit_test(a_broken_grammar_is_an_error_and_no_text),
        cmocka_unit_test(control_tokens_are_not_text),
        cmocka_unit_test(a_cut_answer_is_cut_for_length),
        cmocka_unit_test(forced_calls_parse),
        cmocka_unit_test(texts_become_vectors),
        cmocka_unit_test(texts_too_long_or_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

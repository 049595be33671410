/* Every hand-made request of tests/cases/dialect that has a canonical form: what the adapter writes
 * of it says the same as the client's body, member by member. */
#include "check.h"

#include "adapter/adapter.h"
#include "base/err.h"
#include "case_file.h"
#include "dialect/dialect.h"
#include "json_equal.h"

static unsigned compared, failures;

/* What may be written in another way: the model, a stop as a list, and what is the gateway's to
 * say of streams. */
static bool is_rewritten(struct tg_str name)
{
    static const struct tg_str names[] = {TG_STR_INIT("model"),
                                          TG_STR_INIT("stop"),
                                          TG_STR_INIT("stream"),
                                          TG_STR_INIT("stream_options"),
                                          TG_STR_INIT("prompt"),
                                          TG_STR_INIT("repeat_penalty"),
                                          TG_STR_INIT("repetition_penalty"),
                                          TG_STR_INIT("echo"),
                                          TG_STR_INIT("suffix"),
                                          TG_STR_INIT("best_of")};
    for (size_t i = 0; i < TG_ARRAY_LEN(names); i++) {
        if (tg_str_eq(name, names[i]))
            return true;
    }
    return false;
}

static void compare(const char *title, const struct tg_json *a, const struct tg_json *b)
{
    struct tg_json_iter it = tg_json_iter(a);
    while (tg_json_next(&it)) {
        if (is_rewritten(it.name) || json_equal(it.value, tg_json_get(b, it.name)))
            continue;
        failures++;
        print_error("## %s: %.*s differs\n", title, TG_STR_ARG(it.name));
    }
}

static void check_case(void *ctx, const struct case_one *c)
{
    static const struct tg_adapter_target target = {.model = TG_STR_INIT("up")};
    bool completions = strstr(c->kind, "openai_completions") != NULL;
    const struct tg_dialect *d =
        completions ? &tg_dialect_openai_completions : &tg_dialect_openai_chat;
    struct tg_adapter_request out;
    struct tg_json_doc *old, *new;
    struct tg_call call = {0};
    struct tg_chat_req req;
    struct tg_arena a;
    struct tg_fail f;
    if (!completions && !strstr(c->kind, "openai_chat"))
        return;
    tg_fail_clear(&f);
    tg_arena_init(&a, 4096, 64u << 20);
    struct tg_str body = tg_buf_str(&c->input);
    if (d->open(&a, NULL, body, &call, &f) == 0 && d->parse(&a, &call, &req, &f) == 0) {
        assert_int_equal(tg_adapter_openai.encode(&a, &req, &target, &out, &f), 0);
        assert_int_equal(tg_json_parse(&a, body, NULL, &old, NULL), 0);
        assert_int_equal(tg_json_parse(&a, out.body, NULL, &new, NULL), 0);
        compare(c->title, tg_json_root(old), tg_json_root(new));
        compare(c->title, tg_json_root(new), tg_json_root(old));
        compared++;
    }
    tg_arena_fini(&a);
}

static void requests_go_round(void **state)
{
    case_files_each("dialect", check_case, NULL);
    print_message("%u requests\n", compared);
    assert_int_equal(failures, 0);
    assert_true(compared >= 80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(requests_go_round)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

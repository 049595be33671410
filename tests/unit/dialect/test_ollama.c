/* Which call a tool's result belongs to: Ollama's clients name the tool, not always the call. */
#include "check.h"

#include "dialect/dialect.h"

#define CALLS                                                                        \
    "{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"assistant\",\"tool_calls\":[" \
    "{\"id\":\"c1\",\"function\":{\"name\":\"rain\",\"arguments\":{}}},"             \
    "{\"id\":\"c2\",\"function\":{\"name\":\"wind\",\"arguments\":{}}},"             \
    "{\"function\":{\"name\":\"rain\",\"arguments\":{}}}]}"

/* The ids of the results behind CALLS, in order, ended by NULL. */
static void check_results(const char *results, const char *const *ids)
{
    struct tg_arena a;
    struct tg_call call;
    struct tg_chat_req req;
    struct tg_fail f;
    char body[1024];
    tg_arena_init(&a, 1024, 1u << 20);
    tg_fail_clear(&f);
    snprintf(body, sizeof body, "{\"model\":\"m\",\"messages\":[" CALLS ",%s]}", results);
    const struct tg_dialect *d = &tg_dialect_ollama_chat;
    assert_int_equal(d->open(&a, NULL, tg_str_c(body), &call, &f), 0);
    assert_int_equal(d->parse(&a, &call, &req, &f), 0);
    size_t n = 0;
    for (size_t i = 0; i < req.n_messages; i++) {
        if (req.messages[i].role != TG_ROLE_TOOL)
            continue;
        assert_non_null(ids[n]);
        check_str(req.messages[i].parts[0].call_id, tg_str_c(ids[n]), __FILE__, __LINE__);
        n++;
    }
    assert_null(ids[n]);
    tg_arena_fini(&a);
}

static void by_the_name_of_the_tool(void **state)
{
    const char *const ids[] = {"c2", "c1", "call_2", NULL};
    check_results("{\"role\":\"tool\",\"tool_name\":\"wind\",\"content\":\"1\"},"
                  "{\"role\":\"tool\",\"tool_name\":\"rain\",\"content\":\"2\"},"
                  "{\"role\":\"tool\",\"tool_name\":\"rain\",\"content\":\"3\"}",
                  ids);
}

static void by_order_where_nothing_is_named(void **state)
{
    const char *const ids[] = {"c1", "c2", "call_2", "call_3", NULL};
    check_results("{\"role\":\"tool\",\"content\":\"1\"},{\"role\":\"tool\",\"content\":\"2\"},"
                  "{\"role\":\"tool\",\"content\":\"3\"},{\"role\":\"tool\",\"content\":\"4\"}",
                  ids);
}

static void by_the_id_before_all(void **state)
{
    const char *const ids[] = {"c2", "c1", "other", NULL};
    check_results(
        "{\"role\":\"tool\",\"tool_call_id\":\"c2\",\"tool_name\":\"rain\",\"content\":\"1\"},"
        "{\"role\":\"tool\",\"content\":\"2\"},"
        "{\"role\":\"tool\",\"tool_call_id\":\"other\",\"content\":\"3\"}",
        ids);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_the_name_of_the_tool),
        cmocka_unit_test(by_order_where_nothing_is_named),
        cmocka_unit_test(by_the_id_before_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Requests of Ollama's own clients that go back in Ollama's format: nothing is lost on the way. */
#include "check.h"

#include "adapter/adapter.h"
#include "dialect/dialect.h"

static struct tg_str encoded(struct tg_arena *a, const struct tg_dialect *d, const char *body)
{
    struct tg_call call;
    struct tg_chat_req req;
    struct tg_fail f;
    struct tg_adapter_request out;
    struct tg_adapter_target target = {.model = TG_STR("up")};
    tg_fail_clear(&f);
    assert_int_equal(d->open(a, NULL, tg_str_c(body), &call, &f), 0);
    assert_int_equal(d->parse(a, &call, &req, &f), 0);
    assert_int_equal(tg_adapter_ollama.encode(a, &req, &target, &out, &f), 0);
    return out.body;
}

static void what_was_not_understood_goes_where_it_was(void **state)
{
    static const struct {
        const struct tg_dialect *dialect;
        const char *body, *want;
    } cases[] = {
        {&tg_dialect_ollama_chat,
         "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"}],\"options\":{\"num_ctx\":8192,"
         "\"seed\":1,\"mirostat\":2},\"keep_alive\":\"5m\",\"x\":{\"a\":1.0}}",
         "{\"model\":\"up\",\"messages\":[{\"role\":\"user\",\"content\":\"q\"}],\"stream\":true,"
         "\"options\":{\"seed\":1,\"num_ctx\":8192,\"mirostat\":2},\"keep_alive\":\"5m\",\"x\":{"
         "\"a\":1.0}}"},
        {&tg_dialect_ollama_chat,
         "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"}],\"stream\":false,\"options\":{"
         "\"num_ctx\":1}}",
         "{\"model\":\"up\",\"messages\":[{\"role\":\"user\",\"content\":\"q\"}],\"stream\":false,"
         "\"options\":{\"num_ctx\":1}}"},
        {&tg_dialect_ollama_chat,
         "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"}],\"options\":{\"top_k\":2}}",
         "{\"model\":\"up\",\"messages\":[{\"role\":\"user\",\"content\":\"q\"}],\"stream\":true,"
         "\"options\":{\"top_k\":2}}"},
        {&tg_dialect_ollama_embed,
         "{\"input\":\"a\",\"options\":{\"num_ctx\":1},\"truncate\":true}",
         "{\"model\":\"up\",\"input\":[\"a\"],\"options\":{\"num_ctx\":1},\"truncate\":true}"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        struct tg_arena a;
        tg_arena_init(&a, 4096, 1 << 20);
        check_str(encoded(&a, cases[i].dialect, cases[i].body), tg_str_c(cases[i].want), __FILE__,
                  __LINE__);
        tg_arena_fini(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_was_not_understood_goes_where_it_was)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

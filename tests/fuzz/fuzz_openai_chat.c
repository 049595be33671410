/* A client's body through its dialect to the canonical form and through the adapter to a provider's
 * body: that is valid, is taken as a request again, and says the same when it goes round once more.
 * The first byte chooses the dialect. */
#include "adapter/adapter.h"
#include "base/arena.h"
#include "base/utf8.h"
#include "dialect/dialect.h"
#include "fuzz.h"
#include "json/json.h"

/* False: the request is not one, or has no form in OpenAI's API. */
static bool encoded(struct tg_arena *a, const struct tg_dialect *d, struct tg_str text,
                    struct tg_str *out)
{
    static const struct tg_adapter_target target = {.model = TG_STR_INIT("up"),
                                                    .base_path = TG_STR_INIT("/v1")};
    struct tg_adapter_request http;
    struct tg_call call = {0};
    struct tg_chat_req req;
    struct tg_fail fail;
    int rc;

    tg_fail_clear(&fail);
    if (d->accepts)
        (void)d->accepts(text);
    rc = d->open(a, NULL, text, &call, &fail);
    if (rc == 0)
        rc = d->parse(a, &call, &req, &fail);
    if (rc == 0)
        rc = tg_adapter_openai.encode(a, &req, &target, &http, &fail);
    FUZZ_CHECK(fail.err == rc);
    FUZZ_CHECK(tg_utf8_valid(tg_str_c(fail.message)) && tg_utf8_valid(tg_str_c(fail.param)));
    FUZZ_CHECK((rc == 0) == (fail.message[0] == 0));
    if (rc == 0)
        *out = http.body;
    return rc == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct tg_dialect *const dialects[] = {
        &tg_dialect_openai_chat, &tg_dialect_openai_completions, &tg_dialect_generate,
        &tg_dialect_simple_chat};
    struct tg_json_doc *doc;
    struct tg_arena arena;
    struct tg_str once, twice;

    if (n == 0 || n > 1 << 15)
        return 0;
    const struct tg_dialect *d = dialects[data[0] % 4];
    tg_arena_init(&arena, 4096, 64 << 20);
    if (encoded(&arena, d, tg_str_make((const char *)data + 1, n - 1), &once)) {
        FUZZ_CHECK(tg_json_parse(&arena, once, NULL, &doc, NULL) == 0);
        d = d->format == TG_WIRE_NONE ? &tg_dialect_openai_chat : d;
        FUZZ_CHECK(encoded(&arena, d, once, &twice));
        FUZZ_CHECK(tg_str_eq(once, twice));
    }
    tg_arena_fini(&arena);
    return 0;
}

/* A Gemini client's body through its dialect to the canonical form and through the adapter to a
 * provider's body: that is valid, is taken as a request again, and says the same when it goes round
 * once more. The first byte chooses dialect and provider. */
#include "adapter/adapter.h"
#include "base/arena.h"
#include "base/utf8.h"
#include "dialect/dialect.h"
#include "fuzz.h"
#include "json/json.h"

static const struct tg_adapter_target target = {.model = TG_STR_INIT("gemini-3-flash"),
                                                .base_path = TG_STR_INIT("/x")};

static bool encoded(struct tg_arena *a, const struct tg_dialect *d, const struct tg_adapter *ad,
                    struct tg_str text, struct tg_str *out)
{
    struct tg_adapter_request http;
    struct tg_call call = {0};
    struct tg_chat_req req;
    struct tg_fail fail;

    tg_fail_clear(&fail);
    int rc = d->open(a, NULL, text, &call, &fail);
    if (rc == 0) {
        struct iovec iov[8];
        int n;
        bool hide;
        FUZZ_CHECK(d->splice(a, &call, TG_STR("m"), true, iov, 8, &n, &hide) == 0);
        rc = d->parse(a, &call, &req, &fail);
    }
    if (rc == 0)
        rc = ad->encode(a, &req, &target, &http, &fail);
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
        &tg_dialect_gemini, &tg_dialect_gemini_count, &tg_dialect_gemini_embed};
    static const struct tg_adapter *const adapters[] = {&tg_adapter_gemini, &tg_adapter_openai,
                                                        &tg_adapter_anthropic, &tg_adapter_vertex};
    struct tg_json_doc *doc;
    struct tg_arena arena;
    struct tg_str once, twice;

    if (n == 0 || n > 1 << 15)
        return 0;
    const struct tg_dialect *d = dialects[data[0] % 3];
    const struct tg_adapter *ad = adapters[(data[0] >> 2) % 4];
    if (!(ad->tasks >> d->task & 1))
        return 0;
    tg_arena_init(&arena, 4096, 64 << 20);
    if (encoded(&arena, d, ad, tg_str_make((const char *)data + 1, n - 1), &once)) {
        FUZZ_CHECK(tg_json_parse(&arena, once, NULL, &doc, NULL) == 0);
        /* A conversation in which nothing was said has no contents when it is written anew. */
        const struct tg_json *contents = tg_json_get(tg_json_root(doc), TG_STR("contents"));
        if (ad == &tg_adapter_gemini && d == &tg_dialect_gemini && tg_json_count(contents)) {
            FUZZ_CHECK(encoded(&arena, d, ad, once, &twice));
            FUZZ_CHECK(tg_str_eq(once, twice));
        }
    }
    tg_arena_fini(&arena);
    return 0;
}

/* A client's request in Ollama's formats to the canonical form and through adapters to providers'
 * bodies, which are valid JSON. The first byte chooses chat, generate and embed. */
#include "adapter/adapter.h"
#include "base/arena.h"
#include "base/utf8.h"
#include "chat/fidelity.h"
#include "dialect/dialect.h"
#include "fuzz.h"
#include "json/json.h"

static void encode(struct tg_arena *a, const struct tg_adapter *ad, const struct tg_chat_req *req)
{
    static const struct tg_adapter_target target = {.model = TG_STR_INIT("up")};
    struct tg_adapter_request http;
    struct tg_json_doc *doc;
    struct tg_fail fail;

    tg_fail_clear(&fail);
    int rc = ad->encode(a, req, &target, &http, &fail);
    FUZZ_CHECK(fail.err == rc && tg_utf8_valid(tg_str_c(fail.message)));
    if (rc == 0)
        FUZZ_CHECK(tg_json_parse(a, http.body, NULL, &doc, NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct tg_dialect *const dialects[] = {
        &tg_dialect_ollama_chat, &tg_dialect_ollama_generate, &tg_dialect_ollama_embed};
    static const struct tg_adapter *const adapters[] = {&tg_adapter_ollama, &tg_adapter_openai,
                                                        &tg_adapter_cohere};
    struct tg_arena arena;
    struct tg_call call = {0};
    struct tg_chat_req req;
    struct tg_fail fail;

    if (n == 0 || n > 1 << 15)
        return 0;
    const struct tg_dialect *d = dialects[data[0] % 3];
    tg_arena_init(&arena, 4096, 64 << 20);
    tg_fail_clear(&fail);
    int rc = d->open(&arena, NULL, tg_str_make((const char *)data + 1, n - 1), &call, &fail);
    if (rc == 0)
        rc = d->parse(&arena, &call, &req, &fail);
    FUZZ_CHECK(fail.err == rc && (rc == 0) == (fail.message[0] == 0));
    FUZZ_CHECK(tg_utf8_valid(tg_str_c(fail.message)) && tg_utf8_valid(tg_str_c(fail.param)));
    for (size_t i = 0; rc == 0 && i < TG_ARRAY_LEN(adapters); i++) {
        (void)tg_features_of(&req);
        encode(&arena, adapters[i], &req);
    }
    tg_arena_fini(&arena);
    return 0;
}

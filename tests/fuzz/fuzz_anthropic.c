/* A client's Messages request to the canonical form and through the adapters to providers' bodies:
 * those are valid JSON, and Anthropic's own says the same when it goes round once more. The first
 * byte chooses between messages and counts. */
#include "adapter/adapter.h"
#include "base/arena.h"
#include "base/utf8.h"
#include "chat/fidelity.h"
#include "dialect/dialect.h"
#include "fuzz.h"
#include "json/json.h"

/* False: the request is not one, or has no form at that provider. */
static bool encoded(struct tg_arena *a, const struct tg_dialect *d, const struct tg_adapter *ad,
                    struct tg_str text, struct tg_str *out)
{
    static const struct tg_adapter_target target = {.model = TG_STR_INIT("up")};
    struct tg_adapter_request http;
    struct tg_json_doc *doc;
    struct tg_call call = {0};
    struct tg_chat_req req;
    struct tg_fail fail;
    int rc;

    tg_fail_clear(&fail);
    rc = d->open(a, NULL, text, &call, &fail);
    if (rc == 0)
        rc = d->parse(a, &call, &req, &fail);
    if (rc == 0) {
        (void)tg_features_of(&req);
        rc = ad->encode(a, &req, &target, &http, &fail);
    }
    FUZZ_CHECK(fail.err == rc);
    FUZZ_CHECK(tg_utf8_valid(tg_str_c(fail.message)) && tg_utf8_valid(tg_str_c(fail.param)));
    FUZZ_CHECK((rc == 0) == (fail.message[0] == 0));
    if (rc)
        return false;
    FUZZ_CHECK(tg_json_parse(a, http.body, NULL, &doc, NULL) == 0);
    *out = http.body;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct tg_arena arena;
    struct tg_str once, twice, other;

    if (n == 0 || n > 1 << 15)
        return 0;
    const struct tg_dialect *d = data[0] & 1 ? &tg_dialect_anthropic_count : &tg_dialect_anthropic;
    struct tg_str text = tg_str_make((const char *)data + 1, n - 1);
    tg_arena_init(&arena, 4096, 64 << 20);
    if (encoded(&arena, d, &tg_adapter_anthropic, text, &once) &&
        encoded(&arena, d, &tg_adapter_anthropic, once, &twice))
        /* An id whose signature was taken out may look like one with another. */
        FUZZ_CHECK(tg_str_find(text, TG_STR("__tgs_")) >= 0 || tg_str_eq(once, twice));
    (void)encoded(&arena, d, &tg_adapter_openai, text, &other);
    tg_arena_fini(&arena);
    return 0;
}

/* A client's Responses body through its dialect to the canonical form and back to a body of the
 * same format, which is taken as a request again and says the same when it goes round once more;
 * and to OpenAI's chat completions, which is valid JSON. The request is also what an answer is
 * rendered for: its echo must be JSON. */
#include "adapter/adapter.h"
#include "base/alloc.h"
#include "base/arena.h"
#include "base/utf8.h"
#include "dialect/dialect.h"
#include "dialect/responses.h"
#include "fuzz.h"
#include "json/json.h"

static const struct tg_adapter_target target = {.model = TG_STR_INIT("up")};

static void check_json(struct tg_arena *a, struct tg_str text)
{
    struct tg_json_doc *doc;

    FUZZ_CHECK(tg_json_parse(a, text, NULL, &doc, NULL) == 0);
}

/* What is kept of the request, and what its references need. */
static void check_kept(struct tg_arena *a, const struct tg_call *call)
{
    struct tg_str items, *ids;
    size_t n;

    FUZZ_CHECK(tg_responses_input(a, call, &items) == 0);
    check_json(a, items);
    FUZZ_CHECK(tg_responses_references(a, call, &ids, &n) == 0);
}

static void check_echo(struct tg_arena *a, const struct tg_call *call)
{
    struct tg_render_info info = {
        .id = TG_STR("chatcmpl-1"), .model = TG_STR("m"), .call = call, .arena = a};
    void *state = tg_calloc(1, tg_dialect_responses.state_bytes);
    struct tg_buf out;

    tg_buf_init(&out, 1 << 22);
    FUZZ_CHECK(state && tg_dialect_responses.begin(state, &info) == 0);
    FUZZ_CHECK(tg_dialect_responses.finish(state, &info, NULL, 0, &out) == 0);
    check_json(a, tg_buf_str(&out));
    tg_dialect_responses.fini(state);
    tg_buf_fini(&out);
    tg_free(state);
}

/* False: the request is not one, or only another can answer it. */
static bool encoded(struct tg_arena *a, struct tg_str text, struct tg_str *out, bool first)
{
    struct tg_adapter_request http;
    struct tg_call call = {0};
    struct tg_chat_req req;
    struct tg_fail fail;
    int rc;

    tg_fail_clear(&fail);
    rc = tg_dialect_responses.open(a, NULL, text, &call, &fail);
    if (rc == 0 && first) {
        check_kept(a, &call);
        check_echo(a, &call);
    }
    if (rc == 0)
        rc = tg_dialect_responses.parse(a, &call, &req, &fail);
    if (rc == 0) {
        struct tg_fail ignored;
        tg_fail_clear(&ignored);
        if (tg_adapter_openai.encode(a, &req, &target, &http, &ignored) == 0)
            check_json(a, http.body);
        FUZZ_CHECK(tg_adapter_openai_responses.encode(a, &req, &target, &http, &fail) == 0);
        *out = http.body;
    }
    FUZZ_CHECK(fail.err == rc);
    FUZZ_CHECK(tg_utf8_valid(tg_str_c(fail.message)) && tg_utf8_valid(tg_str_c(fail.param)));
    return rc == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct tg_arena arena;
    struct tg_str once, twice;

    if (n > 1 << 15)
        return 0;
    tg_arena_init(&arena, 4096, 64 << 20);
    if (encoded(&arena, tg_str_make((const char *)data, n), &once, true)) {
        check_json(&arena, once);
        if (encoded(&arena, once, &twice, false))
            FUZZ_CHECK(tg_str_eq(once, twice));
    }
    tg_arena_fini(&arena);
    return 0;
}

/* A provider's answer through the OpenAI adapter (fuzz_answer.h). The first byte chooses format,
 * stream, pass-through and the cuts. */
#include "fuzz_answer.h"

enum { FLAG_STREAM = 1, FLAG_TAP = 2, FLAG_COMPLETIONS = 4, FLAG_HIDE = 8, CUT_SHIFT = 4 };

static const struct fuzz_provider provider = {
    .adapter = &tg_adapter_openai,
    .dialect = &tg_dialect_openai_chat,
    .rendered = TG_WIRE_OPENAI_CHAT,
    .said = 1u << TG_PART_TEXT | 1u << TG_PART_REFUSAL | 1u << TG_PART_TOOL_CALL,
    .many = true,
};

/* A whole JSON document where a stream was asked for is made anew. */
static void check_raws(const struct fuzz_answer *r, struct tg_str body)
{
    struct tg_str raws = tg_buf_str(&r->raws), start = tg_str_trim(body);

    if (r->resp->stream && start.n && (start.p[0] == '{' || start.p[0] == '['))
        return;
    if (r->ends && raws.n > body.n)
        raws.n = body.n; /* the blank line that a last [DONE] lacked */
    FUZZ_CHECK(tg_str_starts(body, raws));
    FUZZ_CHECK(r->resp->stream || !r->ends || raws.n == body.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0 || n > FUZZ_ANSWER_BYTES)
        return 0;
    struct tg_adapter_response resp = {
        .stream = data[0] & FLAG_STREAM,
        .tap = data[0] & FLAG_TAP,
        .hide_usage = data[0] & FLAG_HIDE,
        .format = data[0] & FLAG_COMPLETIONS ? TG_WIRE_OPENAI_COMPLETIONS : TG_WIRE_OPENAI_CHAT,
        .max_pending_bytes = FUZZ_PENDING_BYTES,
    };
    fuzz_provider_run(&provider, &resp, tg_str_make((const char *)data + 1, n - 1),
                      1u + (data[0] >> CUT_SHIFT), check_raws);
    return 0;
}

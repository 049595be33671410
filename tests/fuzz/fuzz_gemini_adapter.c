/* A provider's answer through the Gemini adapter (fuzz_answer.h). The first byte chooses task,
 * stream, pass-through and the cuts. */
#include "fuzz_answer.h"

enum { FLAG_STREAM = 1, FLAG_TAP = 2, FLAG_ARRAY = 4, FLAG_OTHER = 8, CUT_SHIFT = 4 };

static const struct fuzz_provider provider = {
    .adapter = &tg_adapter_gemini,
    .dialect = &tg_dialect_gemini,
    .rendered = TG_WIRE_GEMINI_GENERATE,
    .said = 1u << TG_PART_TEXT | 1u << TG_PART_REASONING,
    .many = true,
};

/* An answer in another framing than was asked for is made anew. */
static void check_raws(const struct fuzz_answer *r, struct tg_str body)
{
    struct tg_str raws = tg_buf_str(&r->raws), start = tg_str_trim(body);
    bool array = start.n && start.p[0] == '[', single = start.n && start.p[0] == '{';

    if (r->resp->stream && (single || array != r->resp->json_array))
        return;
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
        .json_array =
            (data[0] & (FLAG_ARRAY | FLAG_OTHER | FLAG_STREAM)) == (FLAG_ARRAY | FLAG_STREAM),
        .task = !(data[0] & FLAG_OTHER) ? TG_TASK_CHAT
                : data[0] & FLAG_ARRAY  ? TG_TASK_EMBED
                                        : TG_TASK_COUNT,
        .format = TG_WIRE_GEMINI_GENERATE,
        .max_pending_bytes = FUZZ_PENDING_BYTES,
    };
    fuzz_provider_run(&provider, &resp, tg_str_make((const char *)data + 1, n - 1),
                      1u + (data[0] >> CUT_SHIFT), check_raws);
    return 0;
}

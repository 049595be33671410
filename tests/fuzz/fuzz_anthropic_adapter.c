/* A provider's answer through Anthropic's adapter (fuzz_answer.h). The first byte chooses stream,
 * pass-through, count and the cuts. */
#include "fuzz_answer.h"

enum { FLAG_STREAM = 1, FLAG_TAP = 2, FLAG_COUNT = 4, CUT_SHIFT = 4 };

static const struct fuzz_provider provider = {
    .adapter = &tg_adapter_anthropic,
    .dialect = &tg_dialect_anthropic,
    .rendered = TG_WIRE_ANTHROPIC_MESSAGES,
    .said = 1u << TG_PART_TEXT | 1u << TG_PART_REASONING,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0 || n > FUZZ_ANSWER_BYTES)
        return 0;
    bool count = data[0] & FLAG_COUNT;
    struct tg_adapter_response resp = {
        .stream = data[0] & FLAG_STREAM && !count,
        .tap = data[0] & FLAG_TAP,
        .format = count ? TG_WIRE_ANTHROPIC_COUNT : TG_WIRE_ANTHROPIC_MESSAGES,
        .task = count ? TG_TASK_COUNT : TG_TASK_CHAT,
        .max_pending_bytes = FUZZ_PENDING_BYTES,
    };
    fuzz_provider_run(&provider, &resp, tg_str_make((const char *)data + 1, n - 1),
                      1u + (data[0] >> CUT_SHIFT), NULL);
    return 0;
}

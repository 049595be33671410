/* A provider's answer in OpenAI's Responses through the adapter (fuzz_answer.h). The first byte
 * chooses stream, pass-through and the cuts. */
#include "fuzz_answer.h"

enum { FLAG_STREAM = 1, FLAG_TAP = 2, CUT_SHIFT = 4 };

static const struct fuzz_provider provider = {
    .adapter = &tg_adapter_openai_responses,
    .dialect = &tg_dialect_responses,
    .rendered = TG_WIRE_OPENAI_RESPONSES,
    .said = 1u << TG_PART_TEXT | 1u << TG_PART_REFUSAL | 1u << TG_PART_REASONING |
            1u << TG_PART_TOOL_CALL,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0 || n > FUZZ_ANSWER_BYTES)
        return 0;
    struct tg_adapter_response resp = {
        .stream = data[0] & FLAG_STREAM,
        .tap = data[0] & FLAG_TAP,
        .format = TG_WIRE_OPENAI_RESPONSES,
        .max_pending_bytes = FUZZ_PENDING_BYTES,
    };
    fuzz_provider_run(&provider, &resp, tg_str_make((const char *)data + 1, n - 1),
                      1u + (data[0] >> CUT_SHIFT), NULL);
    return 0;
}

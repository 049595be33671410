/* Providers' answers through the adapters of Ollama, Cohere, Bedrock and Hugging Face
 * (fuzz_answer.h). The first byte chooses the adapter, task, stream, pass-through and the cuts. */
#include "fuzz_answer.h"

enum { FLAG_STREAM = 4, FLAG_TAP = 8, FLAG_ITEMS = 16, CUT_SHIFT = 5 };

static const struct kind {
    struct fuzz_provider provider;
    enum tg_wire_format format; /* of what passes */
    enum tg_chat_task items;
} kinds[] = {
    {{.adapter = &tg_adapter_ollama}, TG_WIRE_OLLAMA_CHAT, TG_TASK_EMBED},
    {{.adapter = &tg_adapter_cohere}, TG_WIRE_RERANK, TG_TASK_RERANK},
    {{.adapter = &tg_adapter_bedrock}, TG_WIRE_BEDROCK_CONVERSE, TG_TASK_COUNT},
    {{.adapter = &tg_adapter_bedrock_invoke}, TG_WIRE_ANTHROPIC_MESSAGES, TG_TASK_CHAT},
};

/* Where InvokeModel has no other task; with FLAG_TAP its rankings, or with a stream its vectors. */
static const struct kind huggingface = {
    {.adapter = &tg_adapter_huggingface}, TG_WIRE_HF_GENERATE, TG_TASK_RERANK};

static struct tg_adapter_response huggingface_response(unsigned flags)
{
    enum tg_chat_task task = !(flags & FLAG_TAP)   ? TG_TASK_CHAT
                             : flags & FLAG_STREAM ? TG_TASK_EMBED
                                                   : TG_TASK_RERANK;
    return (struct tg_adapter_response){.stream = task == TG_TASK_CHAT && flags & FLAG_STREAM,
                                        .format = TG_WIRE_HF_GENERATE,
                                        .task = task,
                                        .max_pending_bytes = FUZZ_PENDING_BYTES};
}

static void check_raws(const struct fuzz_answer *r, struct tg_str body)
{
    FUZZ_CHECK(tg_str_starts(body, tg_buf_str(&r->raws)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const size_t pieces[] = {1, 2, 3, 7, 16, 33, 100, 1000};

    if (n == 0 || n > FUZZ_ANSWER_BYTES)
        return 0;
    bool items = data[0] & FLAG_ITEMS, hf = (data[0] & 3) == 3 && items;
    const struct kind *k = hf ? &huggingface : &kinds[data[0] & 3];
    struct tg_adapter_response resp = {
        .stream = data[0] & FLAG_STREAM && !items,
        .tap = data[0] & FLAG_TAP && k->provider.adapter->formats &&
               (items || k->format != TG_WIRE_RERANK),
        .format = k->format,
        .task = items ? k->items : TG_TASK_CHAT,
        .max_pending_bytes = FUZZ_PENDING_BYTES,
    };
    if (hf)
        resp = huggingface_response(data[0]);
    fuzz_provider_run(&k->provider, &resp, tg_str_make((const char *)data + 1, n - 1),
                      pieces[data[0] >> CUT_SHIFT], check_raws);
    return 0;
}

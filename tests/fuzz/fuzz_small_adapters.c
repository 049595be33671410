/* Providers' answers through the adapters of Ollama, Cohere, Bedrock and Hugging Face: the same
 * events however they are cut, exactly one terminal event, and what is passed on is what came. The
 * first byte chooses the adapter, task, stream, pass-through and the cuts; the same bytes as an
 * error answer are classified. */
#include "adapter/adapter.h"
#include "base/alloc.h"
#include "base/err.h"
#include "base/utf8.h"
#include "chat/collect.h"
#include "fuzz.h"

enum { FLAG_STREAM = 4, FLAG_TAP = 8, FLAG_ITEMS = 16, CUT_SHIFT = 5 };

static const struct kind {
    const struct tg_adapter *adapter;
    enum tg_wire_format format; /* of what passes */
    enum tg_chat_task items;
} kinds[] = {
    {&tg_adapter_ollama, TG_WIRE_OLLAMA_CHAT, TG_TASK_EMBED},
    {&tg_adapter_cohere, TG_WIRE_RERANK, TG_TASK_RERANK},
    {&tg_adapter_bedrock, TG_WIRE_BEDROCK_CONVERSE, TG_TASK_COUNT},
    {&tg_adapter_bedrock_invoke, TG_WIRE_ANTHROPIC_MESSAGES, TG_TASK_CHAT},
};

/* Where InvokeModel has no other task; with FLAG_TAP its rankings, or with a stream its vectors. */
static const struct kind huggingface = {&tg_adapter_huggingface, TG_WIRE_HF_GENERATE,
                                        TG_TASK_RERANK};

static struct tg_adapter_response huggingface_response(unsigned flags)
{
    enum tg_chat_task task = !(flags & FLAG_TAP)   ? TG_TASK_CHAT
                             : flags & FLAG_STREAM ? TG_TASK_EMBED
                                                   : TG_TASK_RERANK;
    return (struct tg_adapter_response){.stream = task == TG_TASK_CHAT && flags & FLAG_STREAM,
                                        .format = TG_WIRE_HF_GENERATE,
                                        .task = task,
                                        .max_pending_bytes = 1 << 16};
}

struct run {
    struct tg_sink sink;
    uint64_t hash;
    struct tg_buf raws;
    struct tg_collect collect;
    unsigned ends, errors;
};

static void on_event(struct tg_sink *s, const struct tg_event *ev)
{
    struct run *r = tg_container_of(s, struct run, sink);

    FUZZ_CHECK(r->ends + r->errors == 0);
    r->hash = fuzz_mix(r->hash, &ev->kind, sizeof(ev->kind));
    r->hash = fuzz_mix(r->hash, &ev->choice, sizeof(ev->choice));
    r->hash = fuzz_mix(r->hash, &ev->part, sizeof(ev->part));
    r->hash = fuzz_mix_str(r->hash, ev->id);
    r->hash = fuzz_mix_str(r->hash, ev->name);
    r->hash = fuzz_mix_str(r->hash, ev->text);
    FUZZ_CHECK(tg_utf8_valid(ev->text) && tg_utf8_valid(ev->id));
    r->ends += ev->kind == TG_EV_END;
    r->errors += ev->kind == TG_EV_ERROR;
    if (ev->kind == TG_EV_ERROR) {
        FUZZ_CHECK(ev->fail->err < 0 && ev->fail->message[0]);
        r->hash = fuzz_mix_str(r->hash, tg_str_c(ev->fail->message));
    }
    if (ev->kind == TG_EV_USAGE)
        FUZZ_CHECK(tg_usage_total(ev->usage) >= 0 && ev->usage->output_tokens >= 0 &&
                   ev->usage->input_tokens >= 0);
    (void)!tg_collect_on_event(&r->collect, ev);
}

static void on_raw(struct tg_sink *s, struct tg_str raw, bool hide)
{
    struct run *r = tg_container_of(s, struct run, sink);

    FUZZ_CHECK(r->ends + r->errors == 0 && raw.n > 0 && !hide);
    tg_buf_str_add(&r->raws, raw);
}

static void feed(struct run *r, const struct tg_adapter *ad, const struct tg_adapter_response *resp,
                 struct tg_str body, size_t piece)
{
    struct fuzz_cutter cutter = {body, piece};
    struct tg_http_head head = {.status = 200};
    struct tg_str in;
    void *state = tg_calloc(1, ad->state_bytes);

    *r = (struct run){.sink = {on_event, on_raw}};
    tg_buf_init(&r->raws, 1 << 22);
    FUZZ_CHECK(state && ad->begin(state, resp) == 0 && ad->on_head(state, &head) == 0);
    while (fuzz_cut(&cutter, &in))
        (void)ad->on_bytes(state, in, &r->sink);
    (void)ad->on_end(state, true, &r->sink);
    FUZZ_CHECK(r->ends + r->errors == 1);
    ad->fini(state);
    tg_free(state);
}

static void run_fini(struct run *r)
{
    tg_buf_fini(&r->raws);
    tg_collect_fini(&r->collect);
}

static void check_error(const struct tg_adapter *ad, struct tg_str body)
{
    struct tg_http_head head = {.status = 500};
    struct tg_arena arena;
    struct tg_fail fail;

    tg_fail_clear(&fail);
    tg_arena_init(&arena, 1024, 1 << 22);
    (void)ad->classify(&arena, &head, body, &fail);
    FUZZ_CHECK(fail.err < 0 && fail.message[0] && tg_utf8_valid(tg_str_c(fail.message)));
    tg_arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const size_t pieces[] = {1, 2, 3, 7, 16, 33, 100, 1000};
    struct run whole, cut;

    if (n == 0 || n > 1 << 15)
        return 0;
    bool items = data[0] & FLAG_ITEMS, hf = (data[0] & 3) == 3 && items;
    const struct kind *k = hf ? &huggingface : &kinds[data[0] & 3];
    struct tg_adapter_response resp = {
        .stream = data[0] & FLAG_STREAM && !items,
        .tap = data[0] & FLAG_TAP && k->adapter->formats && (items || k->format != TG_WIRE_RERANK),
        .format = k->format,
        .task = items ? k->items : TG_TASK_CHAT,
        .max_pending_bytes = 1 << 16,
    };
    if (hf)
        resp = huggingface_response(data[0]);
    struct tg_str body = tg_str_make((const char *)data + 1, n - 1);
    feed(&whole, k->adapter, &resp, body, body.n + 1);
    feed(&cut, k->adapter, &resp, body, pieces[data[0] >> CUT_SHIFT]);
    FUZZ_CHECK(whole.hash == cut.hash && whole.ends == cut.ends);
    FUZZ_CHECK(tg_str_eq(tg_buf_str(&whole.raws), tg_buf_str(&cut.raws)));
    if (resp.tap)
        FUZZ_CHECK(tg_str_starts(body, tg_buf_str(&whole.raws)));
    run_fini(&whole);
    run_fini(&cut);
    check_error(k->adapter, body);
    return 0;
}

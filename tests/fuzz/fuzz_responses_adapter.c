/* A provider's answer in OpenAI's Responses through the adapter: the same events and passed-on
 * bytes however it is cut, exactly one terminal event; and what was said is said again when it is
 * rendered and read back. The first byte chooses stream, pass-through and the cuts. */
#include "adapter/adapter.h"
#include "base/alloc.h"
#include "base/err.h"
#include "base/utf8.h"
#include "chat/collect.h"
#include "dialect/dialect.h"
#include "fuzz.h"

enum { FLAG_STREAM = 1, FLAG_TAP = 2, CUT_SHIFT = 4 };

static const struct tg_adapter *const adapter = &tg_adapter_openai_responses;
static const struct tg_dialect *const dialect = &tg_dialect_responses;

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

    FUZZ_CHECK(r->ends + r->errors == 0 && ev->choice == 0);
    r->hash = fuzz_mix(r->hash, &ev->kind, sizeof(ev->kind));
    r->hash = fuzz_mix(r->hash, &ev->part, sizeof(ev->part));
    r->hash = fuzz_mix_str(r->hash, ev->id);
    r->hash = fuzz_mix_str(r->hash, ev->name);
    r->hash = fuzz_mix_str(r->hash, ev->text);
    r->hash = fuzz_mix_str(r->hash, ev->logprobs);
    FUZZ_CHECK(tg_utf8_valid(ev->text) && tg_utf8_valid(ev->id));
    r->ends += ev->kind == TG_EV_END;
    r->errors += ev->kind == TG_EV_ERROR;
    if (ev->kind == TG_EV_ERROR)
        FUZZ_CHECK(ev->fail->err < 0 && ev->fail->message[0]);
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

static void feed(struct tg_sink *sink, const struct tg_adapter_response *resp, struct tg_str body,
                 size_t piece)
{
    struct fuzz_cutter cutter = {body, piece};
    struct tg_http_head head = {.status = 200};
    struct tg_str in;
    void *state = tg_calloc(1, adapter->state_bytes);

    FUZZ_CHECK(state && adapter->begin(state, resp) == 0 && adapter->on_head(state, &head) == 0);
    while (fuzz_cut(&cutter, &in))
        (void)adapter->on_bytes(state, in, sink);
    (void)adapter->on_end(state, true, sink);
    adapter->fini(state);
    tg_free(state);
}

static void run(struct run *r, const struct tg_adapter_response *resp, struct tg_str body,
                size_t piece)
{
    *r = (struct run){.sink = {on_event, on_raw}};
    tg_buf_init(&r->raws, 1 << 22);
    feed(&r->sink, resp, body, piece);
    FUZZ_CHECK(r->ends + r->errors == 1);
}

static void run_fini(struct run *r)
{
    tg_buf_fini(&r->raws);
    tg_collect_fini(&r->collect);
}

static void check_text(const struct run *a, const struct run *b, enum tg_part_kind kind)
{
    struct tg_buf x, y;

    tg_buf_init(&x, 1 << 22);
    tg_buf_init(&y, 1 << 22);
    if (a->collect.n_choices)
        tg_collect_text(&a->collect.choices[0], kind, &x);
    if (b->collect.n_choices)
        tg_collect_text(&b->collect.choices[0], kind, &y);
    FUZZ_CHECK(tg_str_eq(tg_buf_str(&x), tg_buf_str(&y)));
    tg_buf_fini(&x);
    tg_buf_fini(&y);
}

struct renderer {
    struct tg_sink sink;
    struct tg_render_info info;
    void *state;
    struct tg_buf out;
    int rc;
};

static void on_rendered(struct tg_sink *s, const struct tg_event *ev)
{
    struct renderer *r = tg_container_of(s, struct renderer, sink);

    if (r->rc == 0 && ev->kind != TG_EV_ERROR && ev->kind != TG_EV_END)
        r->rc = dialect->render(r->state, &r->info, ev, &r->out);
}

static void check_rendered(const struct run *want, const struct tg_adapter_response *resp,
                           struct tg_str body, bool stream)
{
    struct tg_adapter_response back = *resp;
    struct renderer re = {.sink.on_event = on_rendered};
    struct tg_arena arena;
    struct run got;

    tg_arena_init(&arena, 1024, 4 << 20);
    tg_buf_init(&re.out, 1 << 22);
    re.info = (struct tg_render_info){
        .id = TG_STR("i"), .model = TG_STR("m"), .stream = stream, .arena = &arena};
    re.state = tg_calloc(1, dialect->state_bytes);
    FUZZ_CHECK(re.state && dialect->begin(re.state, &re.info) == 0);
    feed(&re.sink, resp, body, 0);
    if (re.rc == 0 && dialect->finish(re.state, &re.info, NULL, 0, &re.out) == 0) {
        back.stream = stream;
        back.max_pending_bytes = 1 << 22;
        run(&got, &back, tg_buf_str(&re.out), 0);
        FUZZ_CHECK(got.ends == 1);
        check_text(want, &got, TG_PART_TEXT);
        check_text(want, &got, TG_PART_REFUSAL);
        check_text(want, &got, TG_PART_REASONING);
        check_text(want, &got, TG_PART_TOOL_CALL);
        run_fini(&got);
    }
    dialect->fini(re.state);
    tg_free(re.state);
    tg_buf_fini(&re.out);
    tg_arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct run whole, cut;

    if (n == 0 || n > 1 << 15)
        return 0;
    struct tg_str body = {(const char *)data + 1, n - 1};
    struct tg_adapter_response resp = {
        .stream = data[0] & FLAG_STREAM,
        .tap = data[0] & FLAG_TAP,
        .format = TG_WIRE_OPENAI_RESPONSES,
        .max_pending_bytes = 1 << 16,
    };
    run(&whole, &resp, body, 0);
    run(&cut, &resp, body, 1u + (data[0] >> CUT_SHIFT));
    FUZZ_CHECK(whole.hash == cut.hash);
    FUZZ_CHECK(tg_str_eq(tg_buf_str(&whole.raws), tg_buf_str(&cut.raws)));
    if (!resp.tap && whole.ends) {
        check_rendered(&whole, &resp, body, true);
        check_rendered(&whole, &resp, body, false);
    }
    run_fini(&whole);
    run_fini(&cut);
    return 0;
}

/* A provider's answer through Anthropic's adapter: the same events and passed-on bytes however it
 * is cut, exactly one terminal event, and what was said is said again when it is rendered as
 * Anthropic's and read back. The first byte chooses stream, pass-through, count and the cuts; the
 * same bytes as an error answer are classified. */
#include "adapter/adapter.h"
#include "base/alloc.h"
#include "base/utf8.h"
#include "chat/collect.h"
#include "dialect/dialect.h"
#include "fuzz.h"

enum { FLAG_STREAM = 1, FLAG_TAP = 2, FLAG_COUNT = 4, CUT_SHIFT = 4 };

struct run {
    struct tg_sink sink;
    uint64_t hash;
    struct tg_buf raws;
    struct tg_collect collect;
    /* With a rendering: the events go to it as well. */
    void *state;
    struct tg_render_info info;
    struct tg_buf out;
    unsigned ends, errors, finishes;
    int rc;
};

static void on_event(struct tg_sink *s, const struct tg_event *ev)
{
    struct run *r = tg_container_of(s, struct run, sink);

    FUZZ_CHECK(r->ends + r->errors == 0);
    r->hash = fuzz_mix(r->hash, &ev->kind, sizeof(ev->kind));
    r->hash = fuzz_mix(r->hash, &ev->part, sizeof(ev->part));
    r->hash = fuzz_mix_str(r->hash, ev->id);
    r->hash = fuzz_mix_str(r->hash, ev->text);
    FUZZ_CHECK(tg_utf8_valid(ev->text) && tg_utf8_valid(ev->id));
    r->ends += ev->kind == TG_EV_END;
    r->errors += ev->kind == TG_EV_ERROR;
    r->finishes += ev->kind == TG_EV_FINISH;
    if (ev->kind == TG_EV_ERROR)
        FUZZ_CHECK(ev->fail->err < 0 && ev->fail->message[0]);
    if (ev->kind == TG_EV_USAGE)
        FUZZ_CHECK(tg_usage_total(ev->usage) >= 0 && ev->usage->output_tokens >= 0 &&
                   ev->usage->cache_write_1h_tokens <= ev->usage->cache_write_tokens);
    (void)!tg_collect_on_event(&r->collect, ev);
    if (r->state && !r->rc && ev->kind != TG_EV_ERROR)
        r->rc = tg_dialect_anthropic.render(r->state, &r->info, ev, &r->out);
}

static void on_raw(struct tg_sink *s, struct tg_str raw, bool hide)
{
    struct run *r = tg_container_of(s, struct run, sink);

    FUZZ_CHECK(r->ends + r->errors == 0 && raw.n > 0 && !hide);
    tg_buf_str_add(&r->raws, raw);
}

static void run_init(struct run *r)
{
    *r = (struct run){.sink = {on_event, on_raw}};
    tg_buf_init(&r->raws, 1 << 22);
    tg_buf_init(&r->out, 1 << 24);
}

static void run_fini(struct run *r)
{
    tg_buf_fini(&r->raws);
    tg_buf_fini(&r->out);
    tg_collect_fini(&r->collect);
}

static void feed(struct run *r, const struct tg_adapter_response *resp, struct tg_str body,
                 size_t piece)
{
    const struct tg_adapter *ad = &tg_adapter_anthropic;
    struct fuzz_cutter cutter = {body, piece};
    struct tg_http_head head = {.status = 200};
    struct tg_str in;
    void *state = tg_calloc(1, ad->state_bytes);

    FUZZ_CHECK(state && ad->begin(state, resp) == 0 && ad->on_head(state, &head) == 0);
    while (fuzz_cut(&cutter, &in))
        (void)ad->on_bytes(state, in, &r->sink);
    (void)ad->on_end(state, true, &r->sink);
    FUZZ_CHECK(r->ends + r->errors == 1);
    ad->fini(state);
    tg_free(state);
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

/* Renders the answer and reads that. */
static void check_rendered(const struct tg_adapter_response *resp, struct tg_str body, bool stream)
{
    struct tg_adapter_response back = *resp;
    struct tg_arena arena;
    struct run want, got;

    tg_arena_init(&arena, 1024, 16 << 20);
    run_init(&want);
    run_init(&got);
    want.info = (struct tg_render_info){
        .id = TG_STR("i"), .model = TG_STR("m"), .stream = stream, .arena = &arena};
    want.state = tg_calloc(1, tg_dialect_anthropic.state_bytes);
    FUZZ_CHECK(want.state != NULL);
    feed(&want, resp, body, 0);
    if (!want.rc && want.ends &&
        tg_dialect_anthropic.finish(want.state, &want.info, NULL, 0, &want.out) == 0) {
        back.stream = stream;
        back.max_pending_bytes = 1 << 22;
        feed(&got, &back, tg_buf_str(&want.out), 0);
        FUZZ_CHECK(got.ends == 1);
        check_text(&want, &got, TG_PART_TEXT);
        check_text(&want, &got, TG_PART_REASONING);
    }
    tg_dialect_anthropic.fini(want.state);
    tg_free(want.state);
    run_fini(&want);
    run_fini(&got);
    tg_arena_fini(&arena);
}

static void check_classify(struct tg_str body)
{
    struct tg_http_head head = {.status = 400};
    struct tg_arena arena;
    struct tg_fail fail;

    tg_arena_init(&arena, 1024, 4 << 20);
    tg_fail_clear(&fail);
    (void)tg_adapter_anthropic.classify(&arena, &head, body, &fail);
    FUZZ_CHECK(fail.err < 0 && tg_utf8_valid(tg_str_c(fail.message)));
    tg_arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct run whole, cut;

    if (n == 0 || n > 1 << 15)
        return 0;
    struct tg_str body = {(const char *)data + 1, n - 1};
    bool count = data[0] & FLAG_COUNT;
    struct tg_adapter_response resp = {
        .stream = data[0] & FLAG_STREAM && !count,
        .tap = data[0] & FLAG_TAP,
        .format = count ? TG_WIRE_ANTHROPIC_COUNT : TG_WIRE_ANTHROPIC_MESSAGES,
        .task = count ? TG_TASK_COUNT : TG_TASK_CHAT,
        .max_pending_bytes = 1 << 16,
    };
    run_init(&whole);
    run_init(&cut);
    feed(&whole, &resp, body, 0);
    feed(&cut, &resp, body, 1u + (data[0] >> CUT_SHIFT));
    FUZZ_CHECK(whole.hash == cut.hash);
    FUZZ_CHECK(tg_str_eq(tg_buf_str(&whole.raws), tg_buf_str(&cut.raws)));
    FUZZ_CHECK(count || !whole.ends || whole.finishes == 1);
    if (!resp.tap && whole.ends && !count) {
        check_rendered(&resp, body, true);
        check_rendered(&resp, body, false);
    }
    run_fini(&whole);
    run_fini(&cut);
    check_classify(body);
    return 0;
}

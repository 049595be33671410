/* A provider's answer through the OpenAI adapter: the same events and passed-on bytes however it is
 * cut, exactly one terminal event, and what was said is said again when it is rendered and read
 * back. The first byte chooses format, stream, pass-through and the cuts; the same bytes as an
 * error answer are classified. */
#include "adapter/adapter.h"
#include "base/alloc.h"
#include "base/err.h"
#include "base/utf8.h"
#include "chat/collect.h"
#include "dialect/dialect.h"
#include "fuzz.h"

enum { FLAG_STREAM = 1, FLAG_TAP = 2, FLAG_COMPLETIONS = 4, FLAG_HIDE = 8, CUT_SHIFT = 4 };

struct run {
    struct tg_sink sink;
    uint64_t hash;
    struct tg_buf raws;
    struct tg_collect collect;
    unsigned ends, errors;
    int err;
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
    r->hash = fuzz_mix_str(r->hash, ev->logprobs);
    FUZZ_CHECK(tg_utf8_valid(ev->text) && tg_utf8_valid(ev->id));
    r->ends += ev->kind == TG_EV_END;
    r->errors += ev->kind == TG_EV_ERROR;
    if (ev->kind == TG_EV_ERROR) {
        r->err = ev->fail->err;
        FUZZ_CHECK(r->err < 0 && ev->fail->message[0]);
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

    FUZZ_CHECK(r->ends + r->errors == 0 && raw.n > 0);
    tg_buf_str_add(&r->raws, raw);
    (void)hide;
}

static void feed(struct run *r, const struct tg_adapter_response *resp, struct tg_str body,
                 size_t piece)
{
    struct fuzz_cutter cutter = {body, piece};
    struct tg_http_head head = {.status = 200};
    struct tg_str in;
    void *state = tg_calloc(1, tg_adapter_openai.state_bytes);

    *r = (struct run){.sink = {on_event, on_raw}};
    tg_buf_init(&r->raws, 1 << 22);
    FUZZ_CHECK(state && tg_adapter_openai.begin(state, resp) == 0);
    FUZZ_CHECK(tg_adapter_openai.on_head(state, &head) == 0);
    while (fuzz_cut(&cutter, &in))
        (void)tg_adapter_openai.on_bytes(state, in, &r->sink);
    (void)tg_adapter_openai.on_end(state, true, &r->sink);
    FUZZ_CHECK(r->ends + r->errors == 1);
    tg_adapter_openai.fini(state);
    tg_free(state);
}

static void run_fini(struct run *r)
{
    tg_buf_fini(&r->raws);
    tg_collect_fini(&r->collect);
}

/* Which bytes were passed on. A whole JSON
 * document where a stream was asked for is made anew. */
static void check_raws(const struct run *r, struct tg_str body, bool stream)
{
    struct tg_str raws = tg_buf_str(&r->raws), start = tg_str_trim(body);

    if (stream && start.n && (start.p[0] == '{' || start.p[0] == '['))
        return;
    if (r->ends && raws.n > body.n)
        raws.n = body.n; /* the blank line that a last [DONE] lacked */
    FUZZ_CHECK(tg_str_starts(body, raws));
    FUZZ_CHECK(stream || !r->ends || raws.n == body.n);
}

static void check_text(const struct tg_collect_choice *a, const struct tg_collect_choice *b,
                       enum tg_part_kind kind)
{
    struct tg_buf x, y;

    tg_buf_init(&x, 1 << 22);
    tg_buf_init(&y, 1 << 22);
    tg_collect_text(a, kind, &x);
    tg_collect_text(b, kind, &y);
    FUZZ_CHECK(tg_str_eq(tg_buf_str(&x), tg_buf_str(&y)));
    tg_buf_fini(&x);
    tg_buf_fini(&y);
}

struct renderer {
    struct tg_sink sink;
    struct tg_render_info info;
    const struct tg_dialect *dialect;
    void *state;
    struct tg_buf out;
    int rc;
};

static void on_rendered(struct tg_sink *s, const struct tg_event *ev)
{
    struct renderer *r = tg_container_of(s, struct renderer, sink);

    if (r->rc == 0 && ev->kind != TG_EV_ERROR)
        r->rc = r->dialect->render(r->state, &r->info, ev, &r->out);
}

/* Renders the answer again and reads that. */
static void check_rendered(const struct run *want, const struct tg_adapter_response *resp,
                           struct tg_str body, bool stream)
{
    struct tg_adapter_response back = *resp;
    struct tg_http_head head = {.status = 200};
    struct tg_arena arena;
    struct run got;
    struct renderer re = {.sink.on_event = on_rendered, .dialect = &tg_dialect_openai_chat};
    void *state = tg_calloc(1, tg_adapter_openai.state_bytes);

    tg_arena_init(&arena, 1024, 4 << 20);
    tg_buf_init(&re.out, 1 << 22);
    re.info = (struct tg_render_info){
        .id = TG_STR("i"), .model = TG_STR("m"), .stream = stream, .arena = &arena};
    re.state = tg_calloc(1, re.dialect->state_bytes);
    FUZZ_CHECK(state && re.state && re.dialect->begin(re.state, &re.info) == 0);
    FUZZ_CHECK(tg_adapter_openai.begin(state, resp) == 0);
    FUZZ_CHECK(tg_adapter_openai.on_head(state, &head) == 0);
    (void)tg_adapter_openai.on_bytes(state, body, &re.sink);
    (void)tg_adapter_openai.on_end(state, true, &re.sink);
    if (re.rc == 0 && re.dialect->finish(re.state, &re.info, NULL, 0, &re.out) == 0) {
        back.stream = stream;
        back.format = TG_WIRE_OPENAI_CHAT;
        feed(&got, &back, tg_buf_str(&re.out), 0);
        if (want->collect.n_choices) {
            FUZZ_CHECK(got.ends == 1 && got.collect.n_choices == want->collect.n_choices);
            for (size_t i = 0; i < got.collect.n_choices; i++) {
                check_text(&want->collect.choices[i], &got.collect.choices[i], TG_PART_TEXT);
                check_text(&want->collect.choices[i], &got.collect.choices[i], TG_PART_REFUSAL);
                check_text(&want->collect.choices[i], &got.collect.choices[i], TG_PART_TOOL_CALL);
            }
        }
        run_fini(&got);
    }
    re.dialect->fini(re.state);
    tg_adapter_openai.fini(state);
    tg_free(re.state);
    tg_free(state);
    tg_buf_fini(&re.out);
    tg_arena_fini(&arena);
}

static void check_classify(struct tg_str body)
{
    struct tg_http_head head = {.status = 400};
    struct tg_arena arena;
    struct tg_fail fail;

    tg_arena_init(&arena, 1024, 4 << 20);
    tg_fail_clear(&fail);
    (void)tg_adapter_openai.classify(&arena, &head, body, &fail);
    FUZZ_CHECK(fail.err < 0 && tg_utf8_valid(tg_str_c(fail.message)));
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
        .hide_usage = data[0] & FLAG_HIDE,
        .format = data[0] & FLAG_COMPLETIONS ? TG_WIRE_OPENAI_COMPLETIONS : TG_WIRE_OPENAI_CHAT,
        .max_pending_bytes = 1 << 16,
    };
    feed(&whole, &resp, body, 0);
    feed(&cut, &resp, body, 1u + (data[0] >> CUT_SHIFT));
    FUZZ_CHECK(whole.hash == cut.hash);
    FUZZ_CHECK(tg_str_eq(tg_buf_str(&whole.raws), tg_buf_str(&cut.raws)));
    if (resp.tap)
        check_raws(&whole, body, resp.stream);
    else if (whole.ends) {
        check_rendered(&whole, &resp, body, true);
        check_rendered(&whole, &resp, body, false);
    }
    run_fini(&whole);
    run_fini(&cut);
    check_classify(body);
    return 0;
}

/* What the targets of the adapters' decoders share: a provider's answer gives the same events and
 * passed-on bytes however it is cut, and exactly one terminal event; what it said is said again
 * when it is rendered in the provider's own dialect and read back; the same bytes as an error
 * answer are classified. A target chooses the answer's task and cuts by its first byte, and has a
 * row: */
#ifndef TG_TESTS_FUZZ_ANSWER_H
#define TG_TESTS_FUZZ_ANSWER_H

#include "adapter/adapter.h"
#include "base/alloc.h"
#include "base/utf8.h"
#include "chat/collect.h"
#include "dialect/dialect.h"
#include "fuzz.h"

struct fuzz_provider {
    const struct tg_adapter *adapter;
    const struct tg_dialect *dialect; /* that speaks the same; NULL: nothing is rendered */
    enum tg_wire_format rendered;     /* the format of what it renders */
    unsigned said;                    /* 1u << TG_PART_*: what must be the same after that */
    bool many;                        /* answers have several choices, or none */
};

enum { FUZZ_ANSWER_BYTES = 1 << 15, FUZZ_PENDING_BYTES = 1 << 16, FUZZ_RENDERED_BYTES = 1 << 24 };

/* What one reading of an answer gave. */
struct fuzz_answer {
    struct tg_sink sink;
    const struct tg_adapter_response *resp;
    uint64_t hash;
    struct tg_buf raws;
    struct tg_collect collect;
    unsigned ends, errors, finishes;
    /* Where it is rendered as it is read; dialect is NULL where not. */
    const struct tg_dialect *dialect;
    void *state;
    struct tg_render_info info;
    struct tg_buf out;
    int rc;
};

static inline void fuzz_on_event(struct tg_sink *s, const struct tg_event *ev)
{
    struct fuzz_answer *r = tg_container_of(s, struct fuzz_answer, sink);

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
    r->finishes += ev->kind == TG_EV_FINISH;
    if (ev->kind == TG_EV_ERROR) {
        FUZZ_CHECK(ev->fail->err < 0 && ev->fail->message[0]);
        r->hash = fuzz_mix_str(r->hash, tg_str_c(ev->fail->message));
    }
    if (ev->kind == TG_EV_USAGE)
        FUZZ_CHECK(tg_usage_total(ev->usage) >= 0 && ev->usage->output_tokens >= 0 &&
                   ev->usage->input_tokens >= 0 &&
                   ev->usage->cache_write_1h_tokens <= ev->usage->cache_write_tokens);
    (void)!tg_collect_on_event(&r->collect, ev);
    if (r->dialect && r->rc == 0 && ev->kind != TG_EV_ERROR)
        r->rc = r->dialect->render(r->state, &r->info, ev, &r->out);
}

static inline void fuzz_on_raw(struct tg_sink *s, struct tg_str raw, bool hide)
{
    struct fuzz_answer *r = tg_container_of(s, struct fuzz_answer, sink);

    FUZZ_CHECK(r->ends + r->errors == 0 && raw.n > 0 && (!hide || r->resp->hide_usage));
    tg_buf_str_add(&r->raws, raw);
}

static inline void fuzz_answer_init(struct fuzz_answer *r, const struct tg_adapter_response *resp)
{
    *r = (struct fuzz_answer){.sink = {fuzz_on_event, fuzz_on_raw}, .resp = resp};
    tg_buf_init(&r->raws, 1 << 22);
    tg_buf_init(&r->out, FUZZ_RENDERED_BYTES);
}

static inline void fuzz_answer_fini(struct fuzz_answer *r)
{
    tg_buf_fini(&r->raws);
    tg_buf_fini(&r->out);
    tg_collect_fini(&r->collect);
}

static inline void fuzz_answer_read(struct fuzz_answer *r, const struct tg_adapter *ad,
                                    struct tg_str body, size_t piece)
{
    struct fuzz_cutter cutter = {body, piece};
    struct tg_http_head head = {.status = 200};
    struct tg_str in;
    void *state = tg_calloc(1, ad->state_bytes);

    FUZZ_CHECK(state && ad->begin(state, r->resp) == 0 && ad->on_head(state, &head) == 0);
    while (fuzz_cut(&cutter, &in))
        (void)ad->on_bytes(state, in, &r->sink);
    (void)ad->on_end(state, true, &r->sink);
    FUZZ_CHECK(r->ends + r->errors == 1);
    ad->fini(state);
    tg_free(state);
}

static inline void fuzz_check_said(const struct fuzz_answer *a, const struct fuzz_answer *b,
                                   size_t choice, enum tg_part_kind kind)
{
    struct tg_buf x, y;

    tg_buf_init(&x, 1 << 22);
    tg_buf_init(&y, 1 << 22);
    if (choice < a->collect.n_choices)
        tg_collect_text(&a->collect.choices[choice], kind, &x);
    if (choice < b->collect.n_choices)
        tg_collect_text(&b->collect.choices[choice], kind, &y);
    FUZZ_CHECK(tg_str_eq(tg_buf_str(&x), tg_buf_str(&y)));
    tg_buf_fini(&x);
    tg_buf_fini(&y);
}

static inline void fuzz_check_same(const struct fuzz_provider *p, const struct fuzz_answer *want,
                                   const struct fuzz_answer *got)
{
    if (p->many && !want->collect.n_choices)
        return;
    FUZZ_CHECK(got->ends == 1);
    FUZZ_CHECK(!p->many || got->collect.n_choices == want->collect.n_choices);
    for (size_t i = 0; i < (p->many ? got->collect.n_choices : 1); i++) {
        for (unsigned kind = 0; kind < 32; kind++) {
            if (p->said >> kind & 1)
                fuzz_check_said(want, got, i, kind);
        }
    }
}

/* Renders the answer, as a stream or whole, and reads that. */
static inline void fuzz_check_rendered(const struct fuzz_provider *p,
                                       const struct tg_adapter_response *resp, struct tg_str body,
                                       bool stream)
{
    struct tg_adapter_response back = *resp;
    struct tg_arena arena;
    struct fuzz_answer want, got;

    back.stream = stream;
    back.format = p->rendered;
    back.max_pending_bytes = FUZZ_RENDERED_BYTES;
    tg_arena_init(&arena, 1024, 16 << 20);
    fuzz_answer_init(&want, resp);
    fuzz_answer_init(&got, &back);
    want.dialect = p->dialect;
    want.info = (struct tg_render_info){
        .id = TG_STR("i"), .model = TG_STR("m"), .stream = stream, .arena = &arena};
    want.state = tg_calloc(1, p->dialect->state_bytes);
    FUZZ_CHECK(want.state && p->dialect->begin(want.state, &want.info) == 0);
    fuzz_answer_read(&want, p->adapter, body, 0);
    if (want.rc == 0 && p->dialect->finish(want.state, &want.info, NULL, 0, &want.out) == 0) {
        fuzz_answer_read(&got, p->adapter, tg_buf_str(&want.out), 0);
        fuzz_check_same(p, &want, &got);
    }
    p->dialect->fini(want.state);
    tg_free(want.state);
    fuzz_answer_fini(&want);
    fuzz_answer_fini(&got);
    tg_arena_fini(&arena);
}

static inline void fuzz_check_classify(const struct tg_adapter *ad, struct tg_str body)
{
    struct tg_http_head head = {.status = 400};
    struct tg_arena arena;
    struct tg_fail fail;

    tg_arena_init(&arena, 1024, 4 << 20);
    tg_fail_clear(&fail);
    (void)ad->classify(&arena, &head, body, &fail);
    FUZZ_CHECK(fail.err < 0 && fail.message[0] && tg_utf8_valid(tg_str_c(fail.message)));
    tg_arena_fini(&arena);
}

/* check_raws holds the passed-on bytes against the body; NULL: nothing is said of them. */
static inline void
fuzz_provider_run(const struct fuzz_provider *p, const struct tg_adapter_response *resp,
                  struct tg_str body, size_t piece,
                  void (*check_raws)(const struct fuzz_answer *, struct tg_str body))
{
    struct fuzz_answer whole, cut;
    bool chat = resp->task == TG_TASK_CHAT;

    fuzz_answer_init(&whole, resp);
    fuzz_answer_init(&cut, resp);
    fuzz_answer_read(&whole, p->adapter, body, 0);
    fuzz_answer_read(&cut, p->adapter, body, piece);
    FUZZ_CHECK(whole.hash == cut.hash && whole.ends == cut.ends);
    FUZZ_CHECK(tg_str_eq(tg_buf_str(&whole.raws), tg_buf_str(&cut.raws)));
    FUZZ_CHECK(p->many || !chat || !whole.ends || whole.finishes == 1);
    if (resp->tap && check_raws)
        check_raws(&whole, body);
    if (!resp->tap && whole.ends && chat && p->dialect) {
        fuzz_check_rendered(p, resp, body, true);
        fuzz_check_rendered(p, resp, body, false);
    }
    fuzz_answer_fini(&whole);
    fuzz_answer_fini(&cut);
    fuzz_check_classify(p->adapter, body);
}

#endif

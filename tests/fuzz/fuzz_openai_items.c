/* Requests and answers of embeddings, moderations, ranking and media. The first byte chooses what:
 * a request that opens can be spliced, and if it parses, encoded as valid JSON; an answer gives the
 * same events however it is cut, and what it says can be rendered or is refused. */
#include "adapter/adapter.h"
#include "base/alloc.h"
#include "base/err.h"
#include "dialect/dialect.h"
#include "fuzz.h"
#include "json/json.h"

static const struct tg_dialect *const dialects[] = {
    &tg_dialect_openai_embeddings, &tg_dialect_openai_moderations, &tg_dialect_rerank,
    &tg_dialect_openai_images,     &tg_dialect_openai_audio,
};
enum { N_DIALECTS = sizeof(dialects) / sizeof(dialects[0]) };

/* ---- requests ---- */

static void check_splice(struct tg_arena *a, const struct tg_call *call)
{
    struct iovec iov[32];
    int n = 0;
    bool hide;
    int rc = call->dialect->splice(a, call, TG_STR("other"), true, iov, 32, &n, &hide);
    FUZZ_CHECK(rc == 0 && n >= 1 && n <= 32);
}

static void check_encode(struct tg_arena *a, const struct tg_chat_req *req)
{
    struct tg_adapter_target target = {.model = TG_STR_INIT("up")};
    struct tg_adapter_request out;
    struct tg_json_doc *doc;
    struct tg_fail f;
    tg_fail_clear(&f);
    int rc = tg_adapter_openai.encode(a, req, &target, &out, &f);
    FUZZ_CHECK(rc == 0 || (rc < 0 && f.message[0]));
    if (rc == 0)
        FUZZ_CHECK(tg_json_parse(a, out.body, NULL, &doc, NULL) == 0);
}

static void one_request(const struct tg_dialect *d, bool form, struct tg_str body)
{
    struct tg_http_header h = {TG_STR_INIT("content-type"),
                               TG_STR_INIT("multipart/form-data; boundary=b")};
    struct tg_http_head head = {.headers = &h, .n_headers = 1};
    struct tg_call call = {0};
    struct tg_chat_req req;
    struct tg_arena a;
    struct tg_fail f;
    tg_fail_clear(&f);
    tg_arena_init(&a, 4096, 64u << 20);
    int rc = d->open(&a, form ? &head : NULL, body, &call, &f);
    FUZZ_CHECK(rc == 0 || f.message[0]);
    if (rc == 0) {
        check_splice(&a, &call);
        tg_fail_clear(&f);
        rc = d->parse ? d->parse(&a, &call, &req, &f) : -1;
        FUZZ_CHECK(rc == 0 || !d->parse || f.message[0]);
        if (rc == 0)
            check_encode(&a, &req);
    }
    tg_arena_fini(&a);
}

/* ---- answers ---- */

struct run {
    struct tg_sink sink;
    const struct tg_dialect *dialect;
    struct tg_render_info info;
    void *render;
    uint64_t hash;
    struct tg_buf raws, out;
    unsigned ends, errors;
};

static void on_event(struct tg_sink *s, const struct tg_event *ev)
{
    struct run *r = tg_container_of(s, struct run, sink);
    FUZZ_CHECK(r->ends + r->errors == 0);
    r->hash = fuzz_mix(r->hash, &ev->kind, sizeof(ev->kind));
    r->hash = fuzz_mix(r->hash, &ev->choice, sizeof(ev->choice));
    r->hash = fuzz_mix_str(r->hash, ev->text);
    r->ends += ev->kind == TG_EV_END;
    r->errors += ev->kind == TG_EV_ERROR;
    if (r->render && ev->kind != TG_EV_END && ev->kind != TG_EV_ERROR)
        (void)!r->dialect->render(r->render, &r->info, ev, &r->out);
}

static void on_raw(struct tg_sink *s, struct tg_str raw, bool hide)
{
    struct run *r = tg_container_of(s, struct run, sink);
    FUZZ_CHECK(r->ends + r->errors == 0 && raw.n > 0);
    tg_buf_str_add(&r->raws, raw);
    (void)hide;
}

static void check_rendered(struct run *r)
{
    struct tg_json_doc *doc;
    struct tg_arena a;
    tg_arena_init(&a, 4096, 256u << 20);
    int rc = r->dialect->finish(r->render, &r->info, NULL, 0, &r->out);
    if (rc == 0)
        FUZZ_CHECK(tg_json_parse(&a, tg_buf_str(&r->out), NULL, &doc, NULL) == 0);
    tg_arena_fini(&a);
}

static void one_answer(struct run *r, const struct tg_adapter_response *resp, struct tg_str body,
                       size_t piece)
{
    struct tg_http_header h = {TG_STR_INIT("content-type"), resp->stream
                                                                ? TG_STR("text/event-stream")
                                                                : TG_STR("application/json")};
    struct tg_http_head head = {.status = 200, .headers = &h, .n_headers = 1};
    void *st = tg_calloc(1, tg_adapter_openai.state_bytes);
    struct tg_arena a;
    tg_arena_init(&a, 1024, 1 << 20);
    r->info.arena = &a;
    r->info.id = TG_STR("chatcmpl-1");
    tg_buf_init(&r->raws, 64u << 20);
    tg_buf_init(&r->out, 64u << 20);
    if (!resp->tap)
        r->render = tg_calloc(1, r->dialect->state_bytes);
    FUZZ_CHECK(st && tg_adapter_openai.begin(st, resp) == 0);
    FUZZ_CHECK(tg_adapter_openai.on_head(st, &head) == 0);
    for (size_t at = 0; at < body.n; at += piece)
        (void)tg_adapter_openai.on_bytes(st, tg_str_first(tg_str_from(body, at), piece), &r->sink);
    (void)tg_adapter_openai.on_end(st, true, &r->sink);
    FUZZ_CHECK(r->ends + r->errors == 1);
    tg_adapter_openai.fini(st);
    tg_free(st);
    if (r->render && r->ends)
        check_rendered(r);
    if (r->render)
        r->dialect->fini(r->render);
    tg_free(r->render);
    tg_buf_fini(&r->out);
    tg_arena_fini(&a);
}

static void both_ways(const struct tg_dialect *d, bool flag, struct tg_str body)
{
    bool media = d->task == TG_TASK_MEDIA;
    struct tg_adapter_response resp = {.task = d->task,
                                       .format = d->format,
                                       .tap = media || flag,
                                       .stream = media && flag,
                                       .max_pending_bytes = 1 << 20};
    struct run whole = {.sink = {on_event, on_raw}, .dialect = d};
    struct run cut = whole;
    one_answer(&whole, &resp, body, body.n + 1);
    one_answer(&cut, &resp, body, 1 + body.n % 7);
    FUZZ_CHECK(whole.hash == cut.hash && whole.ends == cut.ends);
    FUZZ_CHECK(tg_str_eq(tg_buf_str(&whole.raws), tg_buf_str(&cut.raws)));
    tg_buf_fini(&whole.raws);
    tg_buf_fini(&cut.raws);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const struct tg_dialect *d = dialects[data[0] % N_DIALECTS];
    struct tg_str body = tg_str_make((const char *)data + 1, size - 1);
    bool flag = data[0] & 0x40;
    if (data[0] & 0x80)
        both_ways(d, flag, body);
    else
        one_request(d, flag && d->multipart, body);
    return 0;
}

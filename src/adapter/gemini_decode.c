/* The answer's bytes → JSON documents → events, and the one terminal event.
 *
 * A stream is server-sent events without an end mark of their own, or one JSON array. It ends well
 * when every candidate that was seen has its finishReason (or the prompt was blocked), the array is
 * closed, and the HTTP message ended properly.
 *
 * Pass-through (tap). Blocks and pieces of an array go to on_raw as they came. Where the provider
 * answers in another framing than was asked for (an array, events, or a single answer), each
 * document is put into the one that the client reads. */
#include "adapter/gemini_priv.h"
#include "base/alloc.h"
#include "base/err.h"

enum { SCRATCH_BYTES = 4000 };

int tg_gemini_dec_begin(void *state, const struct tg_adapter_response *resp)
{
    struct tg_gemini_dec *d = state;
    d->resp = *resp;
    d->mode = TG_GEMINI_SNIFF;
    if (d->resp.max_pending_bytes == 0)
        d->resp.max_pending_bytes = 4u * 1024 * 1024;
    size_t max = d->resp.max_pending_bytes;
    tg_sse_dec_init(&d->sse, max);
    tg_buf_init(&d->body, max);
    tg_arena_init(&d->scratch, SCRATCH_BYTES, max < SIZE_MAX / 16 ? max * 8 + 64 * 1024 : SIZE_MAX);
    return 0;
}

int tg_gemini_dec_on_head(void *state, const struct tg_http_head *head)
{
    struct tg_gemini_dec *d = state;
    struct tg_str coding = tg_http_head_get(head, TG_STR("content-encoding"));
    d->encoded = coding.n && !tg_str_ieq(coding, TG_STR("identity"));
    return 0;
}

static void release(struct tg_gemini_dec *d)
{
    tg_sse_dec_fini(&d->sse);
    tg_buf_fini(&d->body);
    tg_arena_fini(&d->scratch);
    d->mode = TG_GEMINI_OVER;
}

void tg_gemini_dec_fini(void *state)
{
    struct tg_gemini_dec *d = state;
    release(d);
    for (uint32_t i = 0; i < d->n_cands; i++)
        tg_gemini_args_clear(&d->cands[i].args);
    tg_free(d->cands);
    d->cands = NULL;
    d->n_cands = d->cap_cands = 0;
}

/* ---- terminal events ---- */

TG_COLD int tg_gemini_emit_error(struct tg_gemini_dec *d, struct tg_sink *sink,
                                 const struct tg_fail *fail)
{
    d->mode = TG_GEMINI_OVER;
    sink->on_event(sink, &(struct tg_event){.kind = TG_EV_ERROR, .fail = fail});
    return fail->err;
}

TG_COLD int tg_gemini_broken(struct tg_gemini_dec *d, struct tg_sink *sink, int err,
                             const char *text)
{
    struct tg_fail fail;
    tg_fail_clear(&fail);
    tg_fail_set(&fail, err, "%s",
                err == TG_E_NOMEM ? "not enough memory for the provider's answer" : text);
    return tg_gemini_emit_error(d, sink, &fail);
}

static int emit_end(struct tg_gemini_dec *d, struct tg_sink *sink)
{
    int rc = tg_gemini_dec_finish(d, sink);
    if (rc)
        return rc;
    if (d->raw_begun && d->resp.json_array && sink->on_raw)
        sink->on_raw(sink, TG_STR("]"), false); /* of the array that was made of events */
    d->mode = TG_GEMINI_OVER;
    sink->on_event(sink, &(struct tg_event){.kind = TG_EV_END});
    return 0;
}

static int too_large(struct tg_gemini_dec *d, struct tg_sink *sink, int err, const char *text)
{
    return tg_gemini_broken(d, sink, err == TG_E_FULL ? TG_E_UPSTREAM_TOO_LARGE : err, text);
}

/* ---- documents ---- */

static void raw(struct tg_gemini_dec *d, struct tg_sink *sink, struct tg_str bytes)
{
    if (d->resp.tap && sink->on_raw && bytes.n)
        sink->on_raw(sink, bytes, false);
}

/* A document in the framing that the client reads. */
static int raw_reframed(struct tg_gemini_dec *d, struct tg_sink *sink, struct tg_str json)
{
    struct tg_buf b;
    if (!d->resp.tap || !sink->on_raw)
        return 0;
    tg_buf_init(&b, json.n + 64);
    if (d->resp.json_array)
        tg_buf_str_add(&b, d->raw_begun ? TG_STR(",\r\n") : TG_STR("["));
    else
        tg_buf_lit(&b, "data: ");
    tg_buf_json_line(&b, json);
    if (!d->resp.json_array)
        tg_buf_lit(&b, "\r\n\r\n");
    bool ok = tg_buf_ok(&b);
    if (ok)
        raw(d, sink, tg_buf_str(&b));
    tg_buf_fini(&b);
    d->raw_begun = true;
    return ok ? 0 : TG_E_NOMEM;
}

static int document(struct tg_gemini_dec *d, struct tg_str text, struct tg_sink *sink)
{
    struct tg_json_limits limits = {.max_string_bytes = d->resp.max_pending_bytes};
    struct tg_json_doc *doc;
    tg_arena_reset(&d->scratch);
    int rc = tg_json_parse(&d->scratch, text, &limits, &doc, NULL);
    if (rc)
        return tg_gemini_broken(d, sink, rc == TG_E_NOMEM ? rc : TG_E_UPSTREAM_INVALID,
                                "the provider's answer holds invalid JSON");
    return tg_gemini_on_json(d, doc, sink);
}

/* ---- events ---- */

static int on_sse(struct tg_gemini_dec *d, const struct tg_sse_event *ev, struct tg_sink *sink)
{
    struct tg_str data = tg_str_trim(ev->data);
    bool said = ev->has_data && data.n && !tg_str_eq(data, TG_STR("[DONE]")); /* of some proxies */
    int rc = said ? document(d, data, sink) : 0;
    if (rc)
        return rc;
    if (!d->resp.json_array)
        raw(d, sink, ev->raw);
    else if (said)
        rc = raw_reframed(d, sink, data);
    return rc ? tg_gemini_broken(d, sink, rc, "") : 0;
}

static int sse_bytes(struct tg_gemini_dec *d, struct tg_str in, struct tg_sink *sink)
{
    struct tg_sse_event ev;
    int rc;
    while ((rc = tg_sse_next(&d->sse, &in, &ev)) > 0) {
        rc = on_sse(d, &ev, sink);
        if (rc)
            return rc;
    }
    return rc ? too_large(d, sink, rc, "an event of the provider's stream is too large") : 0;
}

/* ---- an array ---- */

/* One byte inside an element; true: the element ends with it. */
static bool element_byte(struct tg_gemini_dec *d, char c)
{
    if (d->in_string) {
        if (d->escaped)
            d->escaped = false;
        else if (c == '\\')
            d->escaped = true;
        else if (c == '"')
            d->in_string = false;
        return false;
    }
    if (c == '"')
        d->in_string = true;
    else if (c == '{' || c == '[')
        d->depth++;
    else if (c == '}' || c == ']')
        return --d->depth == 0;
    return false;
}

static int element(struct tg_gemini_dec *d, struct tg_sink *sink)
{
    struct tg_str unit = tg_buf_str(&d->body), text = tg_str_from(unit, d->element_at);
    int rc = document(d, text, sink);
    if (rc)
        return rc;
    if (d->resp.json_array)
        raw(d, sink, unit);
    else
        rc = raw_reframed(d, sink, text);
    tg_buf_clear(&d->body);
    return rc ? tg_gemini_broken(d, sink, rc, "") : 0;
}

/* What stands between elements: brackets, commas, blanks. */
static int between(struct tg_gemini_dec *d, char c, struct tg_sink *sink)
{
    bool blank = c == ' ' || c == '\t' || c == '\r' || c == '\n';
    if (c == '{' && !d->closed) {
        d->depth = 1;
        d->element_at = d->body.n - 1;
        return 0;
    }
    if (!blank && (d->closed || (c != ',' && c != '[' && c != ']')))
        return tg_gemini_broken(d, sink, TG_E_UPSTREAM_INVALID,
                                "the provider's answer holds invalid JSON");
    d->closed |= c == ']';
    if (!d->closed)
        return 0;
    if (d->resp.json_array) /* at once: what follows may be wrong */
        raw(d, sink, tg_buf_str(&d->body));
    tg_buf_clear(&d->body);
    return 0;
}

static int array_bytes(struct tg_gemini_dec *d, struct tg_str in, struct tg_sink *sink)
{
    int rc = 0;
    for (size_t i = 0; i < in.n && !rc; i++) {
        rc = tg_buf_char(&d->body, in.p[i]);
        if (rc)
            return too_large(d, sink, rc, "a response of the provider's stream is too large");
        if (!d->depth)
            rc = between(d, in.p[i], sink);
        else if (element_byte(d, in.p[i]))
            rc = element(d, sink);
    }
    return rc;
}

/* ---- one document ---- */

static int body_bytes(struct tg_gemini_dec *d, struct tg_str in, struct tg_sink *sink)
{
    int rc = tg_buf_str_add(&d->body, in);
    return rc ? too_large(d, sink, rc, "the provider's answer is too large") : 0;
}

static int finish_body(struct tg_gemini_dec *d, struct tg_sink *sink)
{
    struct tg_str text = tg_str_trim(tg_buf_str(&d->body));
    d->whole = true;
    int rc = document(d, text, sink);
    if (rc)
        return rc;
    /* Google sometimes has nothing to say: its own clients are told so as it tells it. */
    bool nothing = d->resp.tap && !d->resp.stream && d->known;
    if (!tg_gemini_is_complete(d) && !nothing)
        return tg_gemini_broken(d, sink, TG_E_UPSTREAM_INVALID,
                                "the provider's answer has no candidates");
    if (d->resp.stream)
        rc = raw_reframed(d, sink, text);
    else
        raw(d, sink, tg_buf_str(&d->body));
    return rc ? tg_gemini_broken(d, sink, rc, "") : emit_end(d, sink);
}

/* ---- which of them ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static int sniff(struct tg_gemini_dec *d, struct tg_str *in, struct tg_sink *sink)
{
    size_t n = 0;
    while (n < in->n && is_blank(in->p[n]))
        n++;
    int rc = body_bytes(d, tg_str_first(*in, n), sink);
    *in = tg_str_from(*in, n);
    if (rc || !in->n)
        return rc;
    char c = in->p[0];
    if (c == '{' || (c == '[' && !d->resp.stream)) {
        d->mode = TG_GEMINI_BODY;
        return 0;
    }
    if (c == '[') {
        d->mode = TG_GEMINI_ARRAY;
        return 0;
    }
    if (c == '<' || !d->resp.stream)
        return tg_gemini_broken(d, sink, TG_E_UPSTREAM_INVALID,
                                c == '<' ? "the provider answered with a web page"
                                         : "the provider's answer is not JSON");
    d->mode = TG_GEMINI_SSE;
    if (d->body.n)
        rc = sse_bytes(d, tg_buf_str(&d->body), sink);
    tg_buf_clear(&d->body);
    return rc;
}

int tg_gemini_dec_on_bytes(void *state, struct tg_str in, struct tg_sink *sink)
{
    struct tg_gemini_dec *d = state;
    int rc = 0;
    if (d->encoded && d->mode == TG_GEMINI_SNIFF)
        rc =
            tg_gemini_broken(d, sink, TG_E_UPSTREAM_INVALID, "the provider's answer is compressed");
    if (d->mode == TG_GEMINI_SNIFF)
        rc = sniff(d, &in, sink);
    if (!rc && d->mode == TG_GEMINI_SSE)
        rc = sse_bytes(d, in, sink);
    else if (!rc && d->mode == TG_GEMINI_ARRAY)
        rc = array_bytes(d, in, sink);
    else if (!rc && d->mode == TG_GEMINI_BODY)
        rc = body_bytes(d, in, sink);
    if (d->mode == TG_GEMINI_OVER)
        release(d);
    else
        tg_arena_fini(&d->scratch); /* an idle stream holds no scratch memory */
    return rc;
}

int tg_gemini_dec_on_end(void *state, bool clean, struct tg_sink *sink)
{
    struct tg_gemini_dec *d = state;
    bool stream = d->mode == TG_GEMINI_SSE || d->mode == TG_GEMINI_ARRAY;
    bool whole = d->mode == TG_GEMINI_SSE ? !tg_sse_pending(&d->sse) : d->closed;
    int rc = 0;
    if (stream && clean && whole && tg_gemini_is_complete(d))
        rc = emit_end(d, sink);
    else if (d->mode == TG_GEMINI_BODY && clean)
        rc = finish_body(d, sink);
    else if (d->mode == TG_GEMINI_SNIFF && clean)
        rc = tg_gemini_broken(d, sink, TG_E_UPSTREAM_INVALID, "the provider's answer is empty");
    else if (d->mode != TG_GEMINI_OVER)
        rc = tg_gemini_broken(d, sink, TG_E_UPSTREAM_INCOMPLETE, "the provider's answer broke off");
    release(d);
    return rc;
}

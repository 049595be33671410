/* The answer's bytes → JSON documents → events, and the one terminal event.
 *
 * Ends. A stream ends well with message_stop, or without it when the message's stop_reason was seen
 * and the HTTP message ended properly. Everything else is an ERROR.
 *
 * Pass-through as adapter.h has it; a single answer to a request for a stream becomes the stream of
 * a message whose blocks begin whole. */
#include "adapter/anthropic_priv.h"
#include "base/err.h"

enum { SCRATCH_BYTES = 4000, DEFAULT_PENDING_BYTES = 4 << 20 };

int tg_anthropic_begin(void *state, const struct tg_adapter_response *resp)
{
    struct tg_anthropic_dec *d = state;
    d->resp = *resp;
    if (d->resp.max_pending_bytes == 0)
        d->resp.max_pending_bytes = DEFAULT_PENDING_BYTES;
    size_t max = d->resp.max_pending_bytes;
    tg_sse_dec_init(&d->sse, max);
    tg_buf_init(&d->body, max);
    tg_buf_init(&d->block.raw, max);
    tg_buf_init(&d->block.input, max);
    tg_arena_init(&d->scratch, SCRATCH_BYTES, max < SIZE_MAX / 16 ? max * 8 + 64 * 1024 : SIZE_MAX);
    return 0;
}

static void release(struct tg_anthropic_dec *d)
{
    d->mode = TG_ANTHROPIC_OVER;
    tg_sse_dec_fini(&d->sse);
    tg_buf_fini(&d->body);
    tg_buf_fini(&d->block.raw);
    tg_buf_fini(&d->block.input);
    tg_arena_fini(&d->scratch);
}

void tg_anthropic_fini(void *state)
{
    release(state);
}

int tg_anthropic_on_head(void *state, const struct tg_http_head *head)
{
    struct tg_anthropic_dec *d = state;
    struct tg_str coding = tg_http_head_get(head, TG_STR("content-encoding"));
    d->encoded = coding.n && !tg_str_ieq(coding, TG_STR("identity"));
    return 0;
}

/* ---- terminal events ---- */

TG_COLD int tg_anthropic_emit_error(struct tg_anthropic_dec *d, struct tg_sink *sink,
                                    const struct tg_fail *fail)
{
    struct tg_event ev = {.kind = TG_EV_ERROR, .fail = fail};
    d->mode = TG_ANTHROPIC_OVER;
    sink->on_event(sink, &ev);
    return fail->err;
}

TG_COLD int tg_anthropic_broken(struct tg_anthropic_dec *d, struct tg_sink *sink, int err,
                                const char *text)
{
    struct tg_fail fail;
    tg_fail_clear(&fail);
    if (err == TG_E_NOMEM)
        text = "not enough memory for the provider's answer";
    tg_fail_set(&fail, err, "%s", text);
    return tg_anthropic_emit_error(d, sink, &fail);
}

/* Memory is our own trouble, all else is the provider's. */
static int invalid(struct tg_anthropic_dec *d, struct tg_sink *sink, int err, const char *text)
{
    return tg_anthropic_broken(d, sink, err == TG_E_NOMEM ? err : TG_E_UPSTREAM_INVALID, text);
}

/* ---- documents ---- */

int tg_anthropic_on_text(struct tg_anthropic_dec *d, struct tg_str json, struct tg_sink *sink)
{
    struct tg_json_limits limits = {.max_string_bytes = d->resp.max_pending_bytes};
    struct tg_json_doc *doc;
    tg_arena_reset(&d->scratch);
    int rc = tg_json_parse(&d->scratch, json, &limits, &doc, NULL);
    if (rc)
        return invalid(d, sink, rc, "the provider's answer holds invalid JSON");
    return tg_anthropic_on_json(d, doc, sink);
}

static void give_raw(struct tg_anthropic_dec *d, struct tg_sink *sink, struct tg_str bytes)
{
    if (d->resp.tap && sink->on_raw && bytes.n)
        sink->on_raw(sink, bytes, false);
}

/* ---- streams ---- */

/* The last LF of a stream with CRLF line ends may come in the next read: the end waits for it, so
 * that the passed bytes are the same for every way of cutting them. */
static int after_stop(struct tg_anthropic_dec *d, struct tg_str block, struct tg_str rest,
                      struct tg_sink *sink)
{
    if (!d->resp.tap || !tg_str_ends(block, TG_STR("\n\r")))
        return tg_anthropic_emit_end(d, sink);
    d->mode = TG_ANTHROPIC_LAST_LF;
    if (!rest.n)
        return 0;
    if (rest.p[0] == '\n')
        give_raw(d, sink, tg_str_first(rest, 1));
    return tg_anthropic_emit_end(d, sink);
}

static int on_block(struct tg_anthropic_dec *d, const struct tg_sse_event *ev, struct tg_sink *sink)
{
    if (ev->has_data && ev->data.n) {
        int rc = tg_anthropic_on_text(d, ev->data, sink);
        if (rc)
            return rc;
    }
    give_raw(d, sink, ev->raw);
    return 0;
}

static int stream_bytes(struct tg_anthropic_dec *d, struct tg_str in, struct tg_sink *sink)
{
    struct tg_sse_event ev;
    int rc;
    while ((rc = tg_sse_next(&d->sse, &in, &ev)) > 0) {
        rc = on_block(d, &ev, sink);
        if (rc)
            return rc;
        if (d->stopped)
            return after_stop(d, ev.raw, in, sink);
    }
    if (rc == TG_E_UPSTREAM_TOO_LARGE)
        return tg_anthropic_broken(d, sink, rc, "an event of the provider's stream is too large");
    return rc ? invalid(d, sink, rc, "the provider's stream is malformed") : 0;
}

static int end_stream(struct tg_anthropic_dec *d, bool clean, struct tg_sink *sink)
{
    if (clean && d->finished && !tg_sse_pending(&d->sse))
        return tg_anthropic_emit_end(d, sink);
    return tg_anthropic_broken(d, sink, TG_E_UPSTREAM_INCOMPLETE,
                               "the provider's stream broke off");
}

/* ---- one document ---- */

static int body_bytes(struct tg_anthropic_dec *d, struct tg_str in, struct tg_sink *sink)
{
    int rc = tg_buf_str_add(&d->body, in);
    if (rc == TG_E_FULL)
        return tg_anthropic_broken(d, sink, TG_E_UPSTREAM_TOO_LARGE,
                                   "the provider's answer is too large");
    return rc ? invalid(d, sink, rc, "") : 0;
}

static int give_as_stream(struct tg_anthropic_dec *d, struct tg_str json, struct tg_sink *sink)
{
    struct tg_json_limits limits = {.max_string_bytes = d->resp.max_pending_bytes};
    struct tg_json_doc *doc;
    struct tg_buf events;
    tg_buf_init(&events, d->resp.max_pending_bytes * 2 + 4096);
    tg_arena_reset(&d->scratch);
    int rc = tg_json_parse(&d->scratch, json, &limits, &doc, NULL);
    if (!rc)
        rc = tg_anthropic_body_to_stream(doc, &events);
    if (!rc)
        give_raw(d, sink, tg_buf_str(&events));
    tg_buf_fini(&events);
    return rc ? invalid(d, sink, rc, "the provider's answer can't be streamed") : 0;
}

static int end_body(struct tg_anthropic_dec *d, struct tg_sink *sink)
{
    struct tg_str text = tg_str_trim(tg_buf_str(&d->body));
    int rc = tg_anthropic_on_text(d, text, sink);
    if (rc)
        return rc;
    if (!d->stopped)
        return tg_anthropic_broken(d, sink, TG_E_UPSTREAM_INVALID,
                                   "the provider's answer could not be understood");
    if (d->resp.tap && d->resp.stream)
        rc = give_as_stream(d, text, sink);
    else
        give_raw(d, sink, tg_buf_str(&d->body));
    return rc ? rc : tg_anthropic_emit_end(d, sink);
}

/* ---- which of the two ---- */

/* A line of an event stream never begins with a brace, a message always does. */
static int sniff(struct tg_anthropic_dec *d, struct tg_str *in, struct tg_sink *sink)
{
    size_t n = 0;
    while (n < in->n &&
           (in->p[n] == ' ' || in->p[n] == '\t' || in->p[n] == '\r' || in->p[n] == '\n'))
        n++;
    int rc = body_bytes(d, tg_str_first(*in, n), sink);
    *in = tg_str_from(*in, n);
    if (rc || !in->n)
        return rc;
    if (in->p[0] == '{' || in->p[0] == '[') {
        d->mode = TG_ANTHROPIC_BODY;
        return 0;
    }
    if (in->p[0] == '<' || !d->resp.stream)
        return tg_anthropic_broken(d, sink, TG_E_UPSTREAM_INVALID,
                                   in->p[0] == '<' ? "the provider answered with a web page"
                                                   : "the provider's answer is not JSON");
    d->mode = TG_ANTHROPIC_SSE;
    if (!d->body.n)
        return 0;
    rc = stream_bytes(d, tg_buf_str(&d->body), sink);
    tg_buf_fini(&d->body);
    return rc;
}

static int last_lf(struct tg_anthropic_dec *d, struct tg_str in, struct tg_sink *sink)
{
    if (!in.n)
        return 0;
    if (in.p[0] == '\n')
        give_raw(d, sink, tg_str_first(in, 1));
    return tg_anthropic_emit_end(d, sink);
}

int tg_anthropic_on_bytes(void *state, struct tg_str in, struct tg_sink *sink)
{
    struct tg_anthropic_dec *d = state;
    int rc = 0;
    if (d->encoded && d->mode == TG_ANTHROPIC_SNIFF)
        rc = tg_anthropic_broken(d, sink, TG_E_UPSTREAM_INVALID,
                                 "the provider's answer is compressed");
    if (d->mode == TG_ANTHROPIC_SNIFF)
        rc = sniff(d, &in, sink);
    if (!rc && d->mode == TG_ANTHROPIC_LAST_LF)
        rc = last_lf(d, in, sink);
    else if (!rc && d->mode == TG_ANTHROPIC_SSE)
        rc = stream_bytes(d, in, sink);
    else if (!rc && d->mode == TG_ANTHROPIC_BODY)
        rc = body_bytes(d, in, sink);
    if (d->mode == TG_ANTHROPIC_OVER)
        release(d);
    else
        tg_arena_fini(&d->scratch); /* an idle stream holds no scratch memory */
    return rc;
}

int tg_anthropic_on_end(void *state, bool clean, struct tg_sink *sink)
{
    struct tg_anthropic_dec *d = state;
    int rc = 0;
    if (d->mode == TG_ANTHROPIC_LAST_LF)
        rc = tg_anthropic_emit_end(d, sink); /* the stop was there: a cut takes nothing away */
    else if (d->mode == TG_ANTHROPIC_SSE)
        rc = end_stream(d, clean, sink);
    else if (d->mode == TG_ANTHROPIC_BODY && clean)
        rc = end_body(d, sink);
    else if (d->mode == TG_ANTHROPIC_SNIFF && clean)
        rc = tg_anthropic_broken(d, sink, TG_E_UPSTREAM_INVALID, "the provider's answer is empty");
    else if (d->mode != TG_ANTHROPIC_OVER)
        rc = tg_anthropic_broken(d, sink, TG_E_UPSTREAM_INCOMPLETE,
                                 "the provider's answer broke off");
    release(d);
    return rc;
}

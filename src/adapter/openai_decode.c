/* The answer's bytes → JSON documents → events, and the one terminal event.
 *
 * Ends. A stream ends well with [DONE], or without it when every choice that was seen has a
 * finish_reason and the HTTP message ended properly. Everything else is an ERROR.
 *
 * Pass-through (tap). Every block of the stream goes to on_raw as it came, [DONE] included; the
 * exceptions are blocks that hold an error (the caller renders it) and what follows the end. A
 * single answer goes to on_raw whole, at its end. When a stream was asked for and a single answer
 * came (a provider that ignores `stream`), the client gets it as one chunk and [DONE], so that
 * the caller always has a stream to pass on. */
#include "adapter/openai_priv.h"
#include "base/err.h"

enum { SCRATCH_BYTES = 4000 };

int tg_openai_begin(void *state, const struct tg_adapter_response *resp)
{
    struct tg_openai_dec *d = state;
    d->resp = *resp;
    d->mode = TG_OPENAI_SNIFF;
    if (d->resp.max_pending_bytes == 0)
        d->resp.max_pending_bytes = 4u * 1024 * 1024;
    size_t max = d->resp.max_pending_bytes;
    tg_sse_dec_init(&d->sse, max);
    tg_buf_init(&d->body, max);
    /* The parser's first guess is 4 bytes a byte, its copy one more, mending and chunk-making one
     * each. */
    tg_arena_init(&d->scratch, SCRATCH_BYTES, max < SIZE_MAX / 16 ? max * 8 + 64 * 1024 : SIZE_MAX);
    return 0;
}

void tg_openai_fini(void *state)
{
    struct tg_openai_dec *d = state;
    tg_sse_dec_fini(&d->sse);
    tg_buf_fini(&d->body);
    tg_arena_fini(&d->scratch);
    tg_openai_free_choices(d);
    tg_responses_free(&d->responses);
    d->mode = TG_OPENAI_OVER;
}

int tg_openai_on_head(void *state, const struct tg_http_head *head)
{
    struct tg_openai_dec *d = state;
    struct tg_str coding = tg_http_head_get(head, TG_STR("content-encoding"));
    d->encoded = coding.n && !tg_str_ieq(coding, TG_STR("identity"));
    if (d->resp.task != TG_TASK_MEDIA)
        return 0;
    /* Sounds and texts look like anything: only the type says what they are. */
    struct tg_str type = tg_http_head_get(head, TG_STR("content-type"));
    d->is_json = tg_str_istarts(type, TG_STR("application/json"));
    if (!d->resp.stream || !tg_str_istarts(type, TG_STR("text/event-stream")))
        d->mode = TG_OPENAI_BODY;
    return 0;
}

/* ---- terminal events ---- */

static void release(struct tg_openai_dec *d)
{
    d->mode = TG_OPENAI_OVER;
    tg_sse_dec_fini(&d->sse);
    tg_buf_fini(&d->body);
    tg_arena_fini(&d->scratch);
}

/* struct tg_fail is large: it lives only in functions off the path of ordinary events. */
TG_COLD int tg_openai_emit_error(struct tg_openai_dec *d, struct tg_sink *sink,
                                 const struct tg_fail *fail)
{
    struct tg_event ev = {.kind = TG_EV_ERROR, .fail = fail};
    d->mode = TG_OPENAI_OVER;
    sink->on_event(sink, &ev);
    return fail->err;
}

TG_COLD int tg_openai_broken(struct tg_openai_dec *d, struct tg_sink *sink, int err,
                             const char *text)
{
    struct tg_fail fail;
    tg_fail_clear(&fail);
    tg_fail_set(&fail, err, "%s", text);
    return tg_openai_emit_error(d, sink, &fail);
}

static int emit_end(struct tg_openai_dec *d, struct tg_sink *sink)
{
    if (!d->resp.tap)
        tg_openai_close_choices(d, sink);
    struct tg_event ev = {.kind = TG_EV_END};
    d->mode = TG_OPENAI_OVER;
    sink->on_event(sink, &ev);
    return 0;
}

static int memory_or_invalid(struct tg_openai_dec *d, struct tg_sink *sink, int err,
                             const char *text)
{
    if (err == TG_E_NOMEM)
        return tg_openai_broken(d, sink, err, "not enough memory for the provider's answer");
    return tg_openai_broken(d, sink, TG_E_UPSTREAM_INVALID, text);
}

/* ---- streams ---- */

static void raw(struct tg_openai_dec *d, struct tg_sink *sink, struct tg_str bytes, bool hide)
{
    if (d->resp.tap && sink->on_raw && bytes.n)
        sink->on_raw(sink, bytes, hide);
}

/* With CRLF line ends the block is given at its last CR, and the LF that belongs to it may come in
 * the next read: the end waits for it, so that the passed bytes are the same for every way of
 * cutting them. */
static bool lacks_lf(struct tg_str block)
{
    return tg_str_ends(block, TG_STR("\n\r"));
}

static bool is_responses(const struct tg_openai_dec *d)
{
    return d->resp.format == TG_WIRE_OPENAI_RESPONSES;
}

static int on_done(struct tg_openai_dec *d, const struct tg_sse_event *ev, struct tg_sink *sink)
{
    if (!d->seen)
        return tg_openai_broken(d, sink, TG_E_UPSTREAM_INVALID,
                                "the provider sent an empty stream");
    if (is_responses(d) && !d->responses.whole)
        return tg_openai_broken(d, sink, TG_E_UPSTREAM_INCOMPLETE,
                                "the provider's stream broke off");
    raw(d, sink, ev->raw, false);
    if (d->resp.tap && lacks_lf(ev->raw)) {
        d->mode = TG_OPENAI_LAST_LF;
        return 0;
    }
    return emit_end(d, sink);
}

static int last_lf(struct tg_openai_dec *d, struct tg_str in, struct tg_sink *sink)
{
    if (!in.n)
        return 0;
    if (in.p[0] == '\n')
        raw(d, sink, tg_str_first(in, 1), false);
    return emit_end(d, sink);
}

static int on_data(struct tg_openai_dec *d, const struct tg_sse_event *ev, struct tg_sink *sink)
{
    struct tg_json_doc *doc;
    tg_arena_reset(&d->scratch);
    int rc = tg_openai_parse(d, ev->data, &doc);
    if (rc)
        return memory_or_invalid(d, sink, rc, "the provider's stream holds invalid JSON");
    rc = tg_openai_on_json(d, doc, sink);
    if (rc < 0)
        return rc;
    raw(d, sink, ev->raw, rc == 1 && d->resp.hide_usage);
    /* Passed on, the stream's last words may yet be [DONE], which some servers send. */
    return d->responses.whole && !d->resp.tap ? emit_end(d, sink) : 0;
}

/* `event: error` whose data is not an error object of its own. */
static TG_COLD int on_error_event(struct tg_openai_dec *d, const struct tg_sse_event *ev,
                                  struct tg_sink *sink)
{
    struct tg_fail fail;
    struct tg_json_doc *doc;
    struct tg_openai_error e = {.message = ev->data};
    tg_arena_reset(&d->scratch);
    if (tg_openai_parse(d, ev->data, &doc) == 0 && !tg_openai_find_error(tg_json_root(doc), &e))
        e.message = TG_STR("");
    tg_fail_clear(&fail);
    tg_openai_set_fail(e.status, &e, &fail);
    return tg_openai_emit_error(d, sink, &fail);
}

static int on_sse(struct tg_openai_dec *d, const struct tg_sse_event *ev, struct tg_sink *sink)
{
    if (tg_unlikely(ev->type.n && tg_str_eq(ev->type, TG_STR("error")) && !is_responses(d)))
        return on_error_event(d, ev, sink);
    struct tg_str data = ev->data;
    if (tg_unlikely(!ev->has_data || !data.n)) {
        raw(d, sink, ev->raw, false);
        return 0;
    }
    if (tg_unlikely(data.p[0] != '{') && tg_str_eq(tg_str_trim(data), TG_STR("[DONE]")))
        return on_done(d, ev, sink);
    return on_data(d, ev, sink);
}

static int sse_bytes(struct tg_openai_dec *d, struct tg_str in, struct tg_sink *sink)
{
    struct tg_sse_event ev;
    int rc;
    while ((rc = tg_sse_next(&d->sse, &in, &ev)) > 0) {
        rc = on_sse(d, &ev, sink);
        if (rc || d->mode == TG_OPENAI_OVER)
            return rc;
        if (d->mode == TG_OPENAI_LAST_LF)
            return last_lf(d, in, sink);
    }
    if (rc == TG_E_UPSTREAM_TOO_LARGE)
        return tg_openai_broken(d, sink, rc, "an event of the provider's stream is too large");
    return rc ? memory_or_invalid(d, sink, rc, "the provider's stream is malformed") : 0;
}

/* ---- one document ---- */

static int body_bytes(struct tg_openai_dec *d, struct tg_str in, struct tg_sink *sink)
{
    int rc = tg_buf_str_add(&d->body, in);
    if (rc == TG_E_FULL)
        return tg_openai_broken(d, sink, TG_E_UPSTREAM_TOO_LARGE,
                                "the provider's answer is too large");
    return rc ? memory_or_invalid(d, sink, rc, "") : 0;
}

static int chunk_and_done(struct tg_openai_dec *d, struct tg_json_doc *doc, struct tg_buf *json,
                          struct tg_buf *event)
{
    int rc = tg_openai_body_to_chunk(doc, &d->scratch, json);
    tg_buf_one_line(json, 0);
    if (!rc)
        rc = tg_sse_write(event, TG_STR(""), tg_buf_str(json));
    return rc ? rc : tg_sse_write(event, TG_STR(""), TG_STR("[DONE]"));
}

/* The single answer to a request for a stream, as a stream. */
static int raw_as_stream(struct tg_openai_dec *d, struct tg_json_doc *doc, struct tg_sink *sink)
{
    struct tg_buf json, event;
    tg_buf_init(&json, d->resp.max_pending_bytes * 2 + 1024);
    tg_buf_init(&event, d->resp.max_pending_bytes * 4 + 1024);
    int rc = is_responses(d) ? tg_responses_body_to_stream(doc, &event)
                             : chunk_and_done(d, doc, &json, &event);
    if (!rc)
        raw(d, sink, tg_buf_str(&event), false);
    tg_buf_fini(&json);
    tg_buf_fini(&event);
    return rc;
}

/* Passed on whatever it is; read only for its usage. */
static int finish_media(struct tg_openai_dec *d, struct tg_sink *sink)
{
    struct tg_json_doc *doc;
    struct tg_str text = tg_str_trim(tg_buf_str(&d->body));
    tg_arena_reset(&d->scratch);
    if (d->is_json && tg_openai_parse(d, text, &doc) == 0) {
        int rc = tg_openai_on_json(d, doc, sink);
        if (rc < 0)
            return rc;
    }
    if (!d->body.n)
        return tg_openai_broken(d, sink, TG_E_UPSTREAM_INVALID, "the provider's answer is empty");
    raw(d, sink, tg_buf_str(&d->body), false);
    return emit_end(d, sink);
}

static int finish_body(struct tg_openai_dec *d, struct tg_sink *sink)
{
    struct tg_json_doc *doc;
    if (d->resp.task == TG_TASK_MEDIA)
        return finish_media(d, sink);
    tg_arena_reset(&d->scratch);
    struct tg_str text = tg_str_trim(tg_buf_str(&d->body));
    int rc = tg_openai_parse(d, text, &doc);
    if (rc)
        return memory_or_invalid(d, sink, rc, "the provider's answer is not valid JSON");
    rc = tg_openai_on_json(d, doc, sink);
    if (rc < 0)
        return rc;
    rc = 0;
    if (d->resp.tap && d->resp.stream)
        rc = raw_as_stream(d, doc, sink);
    else
        raw(d, sink, tg_buf_str(&d->body), false);
    if (rc)
        return memory_or_invalid(d, sink, rc, "the provider's answer can't be streamed");
    return emit_end(d, sink);
}

/* ---- which of the two ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* A line of an event stream never begins with a bracket, JSON always does here. */
static int sniff(struct tg_openai_dec *d, struct tg_str *in, struct tg_sink *sink)
{
    size_t n = 0;
    while (n < in->n && is_blank(in->p[n]))
        n++;
    int rc = body_bytes(d, tg_str_first(*in, n), sink);
    *in = tg_str_from(*in, n);
    if (rc || !in->n)
        return rc;
    char c = in->p[0];
    if (c == '<')
        return tg_openai_broken(d, sink, TG_E_UPSTREAM_INVALID,
                                "the provider answered with a web page");
    if (c == '{' || c == '[') {
        d->mode = TG_OPENAI_BODY;
        return 0;
    }
    if (!d->resp.stream)
        return tg_openai_broken(d, sink, TG_E_UPSTREAM_INVALID,
                                "the provider's answer is not JSON");
    d->mode = TG_OPENAI_SSE;
    if (!d->body.n)
        return 0;
    rc = sse_bytes(d, tg_buf_str(&d->body), sink);
    tg_buf_fini(&d->body);
    return rc;
}

int tg_openai_on_bytes(void *state, struct tg_str in, struct tg_sink *sink)
{
    struct tg_openai_dec *d = state;
    int rc = 0;
    if (tg_unlikely(d->encoded && d->mode != TG_OPENAI_OVER))
        rc =
            tg_openai_broken(d, sink, TG_E_UPSTREAM_INVALID, "the provider's answer is compressed");
    if (d->mode == TG_OPENAI_SNIFF)
        rc = sniff(d, &in, sink);
    if (!rc && d->mode == TG_OPENAI_LAST_LF)
        rc = last_lf(d, in, sink);
    else if (!rc && d->mode == TG_OPENAI_SSE)
        rc = sse_bytes(d, in, sink);
    else if (!rc && d->mode == TG_OPENAI_BODY)
        rc = body_bytes(d, in, sink);
    if (d->mode == TG_OPENAI_OVER)
        release(d);
    else
        tg_arena_fini(&d->scratch); /* an idle stream holds no scratch memory */
    return rc;
}

/* A stream whose last line is [DONE] without the blank line behind it: the standard drops such an
 * event, some servers end so all the same. */
static bool done_is_pending(const struct tg_openai_dec *d)
{
    struct tg_str rest = tg_buf_str(&d->sse.pending);
    return tg_str_starts(rest, TG_STR("data:")) &&
           tg_str_eq(tg_str_trim(tg_str_from(rest, 5)), TG_STR("[DONE]"));
}

static int finish_stream(struct tg_openai_dec *d, bool clean, struct tg_sink *sink)
{
    if (clean && tg_sse_pending(&d->sse) && done_is_pending(d)) {
        int rc = sse_bytes(d, TG_STR("\n\n"), sink);
        if (rc || d->mode == TG_OPENAI_OVER)
            return rc;
    }
    if (d->responses.whole) /* a cut behind the end takes nothing away */
        return emit_end(d, sink);
    bool whole =
        d->resp.task == TG_TASK_MEDIA ? d->seen : d->n_choices && d->n_finished == d->n_choices;
    if (clean && !tg_sse_pending(&d->sse) && whole)
        return emit_end(d, sink);
    return tg_openai_broken(d, sink, TG_E_UPSTREAM_INCOMPLETE, "the provider's stream broke off");
}

int tg_openai_on_end(void *state, bool clean, struct tg_sink *sink)
{
    struct tg_openai_dec *d = state;
    int rc = 0;
    if (d->mode == TG_OPENAI_LAST_LF)
        rc = emit_end(d, sink); /* [DONE] was there: a cut behind it takes nothing away */
    else if (d->mode == TG_OPENAI_SSE)
        rc = finish_stream(d, clean, sink);
    else if (d->mode == TG_OPENAI_BODY && clean)
        rc = finish_body(d, sink);
    else if (d->mode == TG_OPENAI_SNIFF && clean)
        rc = tg_openai_broken(d, sink, TG_E_UPSTREAM_INVALID, "the provider's answer is empty");
    else if (d->mode != TG_OPENAI_OVER)
        rc = tg_openai_broken(d, sink, TG_E_UPSTREAM_INCOMPLETE, "the provider's answer broke off");
    release(d);
    return rc;
}

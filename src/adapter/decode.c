#include "adapter/decode_priv.h"

#include "base/err.h"

enum { SCRATCH_BYTES = 4000, DEFAULT_PENDING_BYTES = 4 << 20 };

static void emit(struct tg_sink *sink, struct tg_event ev)
{
    sink->on_event(sink, &ev);
}

/* ---- the answer as a whole ---- */

void tg_decoder_init(struct tg_decoder *d, const struct tg_adapter_response *resp)
{
    d->resp = *resp;
    if (d->resp.max_pending_bytes == 0)
        d->resp.max_pending_bytes = DEFAULT_PENDING_BYTES;
    size_t max = d->resp.max_pending_bytes;
    tg_buf_init(&d->body, max);
    /* The parser's first guess is 4 bytes a byte, its copy one more, mending and chunk-making one
     * each. */
    tg_arena_init(&d->scratch, SCRATCH_BYTES, max < SIZE_MAX / 16 ? max * 8 + 64 * 1024 : SIZE_MAX);
}

void tg_decoder_fini(struct tg_decoder *d)
{
    d->over = true;
    tg_buf_fini(&d->body);
    tg_arena_fini(&d->scratch);
}

void tg_decoder_on_head(struct tg_decoder *d, const struct tg_http_head *head)
{
    struct tg_str coding = tg_http_head_get(head, TG_STR("content-encoding"));
    d->encoded = coding.n && !tg_str_ieq(coding, TG_STR("identity"));
}

int tg_decoder_take(struct tg_decoder *d, struct tg_sink *sink, struct tg_str in)
{
    if (d->over)
        return 0;
    if (tg_unlikely(d->encoded))
        return tg_decoder_broken(d, sink, TG_E_UPSTREAM_INVALID,
                                 "the provider's answer is compressed");
    if (d->resp.stream)
        return 1;
    int rc = tg_buf_str_add(&d->body, in);
    return rc ? tg_decoder_broken(d, sink, rc == TG_E_FULL ? TG_E_UPSTREAM_TOO_LARGE : rc,
                                  "the provider's answer is too large")
              : 0;
}

void tg_decoder_rest(struct tg_decoder *d)
{
    tg_arena_fini(&d->scratch);
}

int tg_decoder_parse(struct tg_decoder *d, struct tg_sink *sink, struct tg_str text,
                     struct tg_json_doc **out)
{
    struct tg_json_limits limits = {.max_string_bytes = d->resp.max_pending_bytes};
    tg_arena_reset(&d->scratch);
    int rc = tg_json_parse(&d->scratch, text, &limits, out, NULL);
    return rc ? tg_decoder_broken(d, sink, rc == TG_E_NOMEM ? rc : TG_E_UPSTREAM_INVALID,
                                  "the provider's answer holds invalid JSON")
              : 0;
}

int tg_decoder_parse_body(struct tg_decoder *d, struct tg_sink *sink, struct tg_json_doc **out)
{
    return tg_decoder_parse(d, sink, tg_str_trim(tg_buf_str(&d->body)), out);
}

static int
decode_events(struct tg_decoder *d, struct tg_sse_dec *sse, struct tg_sink *sink, struct tg_str in,
              int (*on_json)(struct tg_decoder *d, struct tg_json_doc *doc, struct tg_sink *sink))
{
    struct tg_sse_event ev;
    struct tg_json_doc *doc;
    int rc;
    while (!d->over && (rc = tg_sse_next(sse, &in, &ev)) != 0) {
        if (rc < 0)
            return tg_decoder_broken(d, sink, rc, "an event of the provider's stream is too large");
        if (!ev.has_data || !ev.data.n)
            continue;
        rc = tg_decoder_parse(d, sink, ev.data, &doc);
        rc = rc ? rc : on_json(d, doc, sink);
        if (rc)
            return rc;
    }
    return 0;
}

int tg_decoder_events(struct tg_decoder *d, struct tg_sse_dec *sse, struct tg_sink *sink,
                      struct tg_str in,
                      int (*on_json)(struct tg_decoder *d, struct tg_json_doc *doc,
                                     struct tg_sink *sink))
{
    int rc = tg_decoder_take(d, sink, in);
    if (rc > 0)
        rc = decode_events(d, sse, sink, in, on_json);
    if (!d->over)
        tg_decoder_rest(d);
    return rc;
}

void tg_decoder_start(struct tg_decoder *d, struct tg_sink *sink, struct tg_str id,
                      struct tg_str model)
{
    if (!d->started)
        emit(sink, (struct tg_event){.kind = TG_EV_START, .id = id, .model = model});
    d->started = true;
}

void tg_decoder_raw(const struct tg_decoder *d, struct tg_sink *sink, struct tg_str bytes)
{
    if (d->resp.tap && sink->on_raw && bytes.n)
        sink->on_raw(sink, bytes, false);
}

void tg_decoder_end(struct tg_decoder *d, struct tg_sink *sink)
{
    d->over = true;
    emit(sink, (struct tg_event){.kind = TG_EV_END});
}

TG_COLD int tg_decoder_fail(struct tg_decoder *d, struct tg_sink *sink, const struct tg_fail *fail)
{
    d->over = true;
    emit(sink, (struct tg_event){.kind = TG_EV_ERROR, .fail = fail});
    return fail->err;
}

/* struct tg_fail is large: it lives only in functions off the path of ordinary events. */
TG_COLD int tg_decoder_broken(struct tg_decoder *d, struct tg_sink *sink, int err, const char *text)
{
    struct tg_fail fail;
    tg_fail_clear(&fail);
    if (err == TG_E_NOMEM)
        text = "not enough memory for the provider's answer";
    (void)tg_fail_set(&fail, err, "%s", text); /* its value is err */
    return tg_decoder_fail(d, sink, &fail);
}

/* ---- parts ---- */

void tg_parts_close(struct tg_parts *p, struct tg_sink *sink)
{
    if (p->open)
        emit(sink, (struct tg_event){.kind = TG_EV_PART_END, .part = p->part});
    p->open = false;
}

void tg_parts_open(struct tg_parts *p, struct tg_sink *sink, enum tg_part_kind kind,
                   struct tg_str id, struct tg_str name)
{
    tg_parts_close(p, sink);
    p->part = p->n++;
    p->kind = kind;
    p->open = true;
    emit(sink,
         (struct tg_event){
             .kind = TG_EV_PART_START, .part = p->part, .part_kind = kind, .id = id, .name = name});
}

static void need(struct tg_parts *p, struct tg_sink *sink, enum tg_part_kind kind)
{
    if (!p->open || p->kind != kind)
        tg_parts_open(p, sink, kind, TG_STR(""), TG_STR(""));
}

void tg_parts_say(struct tg_parts *p, struct tg_sink *sink, enum tg_part_kind kind,
                  enum tg_delta_kind delta, struct tg_str text)
{
    if (!text.n)
        return;
    need(p, sink, kind);
    emit(sink, (struct tg_event){
                   .kind = TG_EV_DELTA, .part = p->part, .delta_kind = delta, .text = text});
}

void tg_parts_sign(struct tg_parts *p, struct tg_sink *sink, enum tg_opaque_kind opaque,
                   struct tg_str text)
{
    if (!text.n)
        return;
    need(p, sink, TG_PART_REASONING);
    emit(sink, (struct tg_event){.kind = TG_EV_DELTA,
                                 .part = p->part,
                                 .delta_kind = TG_DELTA_SIGNATURE,
                                 .opaque = opaque,
                                 .text = text});
}

void tg_parts_cite(struct tg_parts *p, struct tg_sink *sink, const struct tg_citation *c)
{
    need(p, sink, TG_PART_TEXT);
    emit(sink,
         (struct tg_event){
             .kind = TG_EV_DELTA, .part = p->part, .delta_kind = TG_DELTA_CITATION, .citation = c});
}

/* ---- values ---- */

int64_t tg_decode_count(const struct tg_json *obj, struct tg_str name)
{
    int64_t n;
    return tg_json_i64(tg_json_get(obj, name), &n) == 0 && n > 0 ? n : 0;
}

void tg_decode_token(struct tg_str token, struct tg_str logprob, struct tg_buf *out)
{
    tg_buf_lit(out, "{\"token\":");
    tg_buf_json_str(out, token);
    tg_buf_lit(out, ",\"logprob\":");
    tg_buf_str_add(out, logprob.n ? logprob : TG_STR("0"));
    tg_buf_lit(out, ",\"bytes\":[");
    for (size_t i = 0; i < token.n; i++) {
        if (i)
            tg_buf_char(out, ',');
        tg_buf_u64(out, (unsigned char)token.p[i]);
    }
    tg_buf_char(out, ']');
}

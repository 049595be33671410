/* Converse's answers → events: one object, or frames of an event stream. The token counts come
 * behind the stop reason, so FINISH waits for them. A stream ends well when its stop reason was
 * seen and the HTTP message ended properly, with no frame cut. */
#include "adapter/bedrock_priv.h"
#include "base/err.h"

enum { SCRATCH_BYTES = 4000, DEFAULT_PENDING_BYTES = 4 << 20 };

int tg_bedrock_begin(void *state, const struct tg_adapter_response *resp)
{
    struct tg_bedrock_dec *d = state;
    d->resp = *resp;
    if (d->resp.max_pending_bytes == 0)
        d->resp.max_pending_bytes = DEFAULT_PENDING_BYTES;
    size_t max = d->resp.max_pending_bytes;
    d->block = -1;
    tg_aws_dec_init(&d->frames, max);
    tg_buf_init(&d->body, max);
    tg_arena_init(&d->scratch, SCRATCH_BYTES, max < SIZE_MAX / 16 ? max * 8 + 64 * 1024 : SIZE_MAX);
    return 0;
}

static void release(struct tg_bedrock_dec *d)
{
    d->over = true;
    tg_aws_dec_fini(&d->frames);
    tg_buf_fini(&d->body);
    tg_arena_fini(&d->scratch);
}

void tg_bedrock_fini(void *state)
{
    release(state);
}

int tg_bedrock_on_head(void *state, const struct tg_http_head *head)
{
    struct tg_bedrock_dec *d = state;
    struct tg_str coding = tg_http_head_get(head, TG_STR("content-encoding"));
    d->encoded = coding.n && !tg_str_ieq(coding, TG_STR("identity"));
    return 0;
}

static TG_COLD int fail_with(struct tg_bedrock_dec *d, struct tg_sink *sink,
                             const struct tg_fail *fail)
{
    struct tg_event ev = {.kind = TG_EV_ERROR, .fail = fail};
    d->over = true;
    sink->on_event(sink, &ev);
    return fail->err;
}

static TG_COLD int broken(struct tg_bedrock_dec *d, struct tg_sink *sink, int err, const char *text)
{
    struct tg_fail fail;
    tg_fail_clear(&fail);
    (void)tg_fail_set(&fail, err, "%s",
                      err == TG_E_NOMEM ? "not enough memory for the provider's answer"
                                        : text); /* its value is err */
    return fail_with(d, sink, &fail);
}

static void emit(struct tg_sink *sink, struct tg_event ev)
{
    sink->on_event(sink, &ev);
}

/* ---- parts ---- */

static void close_part(struct tg_bedrock_dec *d, struct tg_sink *sink)
{
    if (d->open)
        emit(sink, (struct tg_event){.kind = TG_EV_PART_END, .part = d->part});
    d->open = false;
    d->skip = false;
}

static void open_part(struct tg_bedrock_dec *d, struct tg_sink *sink, enum tg_part_kind kind,
                      struct tg_str id, struct tg_str name)
{
    close_part(d, sink);
    d->part = d->n_parts++;
    d->part_kind = kind;
    d->open = true;
    emit(sink,
         (struct tg_event){
             .kind = TG_EV_PART_START, .part = d->part, .part_kind = kind, .id = id, .name = name});
}

static void say(struct tg_bedrock_dec *d, struct tg_sink *sink, enum tg_part_kind kind,
                enum tg_delta_kind delta, enum tg_opaque_kind opaque, struct tg_str text)
{
    if (!text.n || d->skip)
        return;
    if (!d->open || d->part_kind != kind)
        open_part(d, sink, kind, TG_STR(""), TG_STR(""));
    emit(sink, (struct tg_event){.kind = TG_EV_DELTA,
                                 .part = d->part,
                                 .delta_kind = delta,
                                 .opaque = opaque,
                                 .text = text});
}

/* A tool of the provider's own is no call for the client. */
static void start_call(struct tg_bedrock_dec *d, const struct tg_json *v, struct tg_sink *sink)
{
    if (tg_json_str_is(tg_json_get(v, TG_STR("type")), TG_STR("server_tool_use"))) {
        close_part(d, sink);
        d->skip = true;
        return;
    }
    open_part(d, sink, TG_PART_TOOL_CALL, tg_json_get_str(v, TG_STR("toolUseId")),
              tg_json_get_str(v, TG_STR("name")));
}

static void cite(struct tg_bedrock_dec *d, struct tg_json_doc *doc, const struct tg_json *v,
                 struct tg_sink *sink)
{
    const struct tg_json *source = tg_json_at(tg_json_get(v, TG_STR("sourceContent")), 0);
    struct tg_citation c = {
        .url = tg_json_str(
            tg_json_get2(tg_json_get(v, TG_STR("location")), TG_STR("web"), TG_STR("url"))),
        .title = tg_json_get_str(v, TG_STR("title")),
        .text = tg_json_get_str(source, TG_STR("text")),
        .start = -1,
        .end = -1,
        .raw = tg_json_raw(doc, v),
        .format = TG_WIRE_BEDROCK_CONVERSE,
    };
    if (!d->open || d->part_kind != TG_PART_TEXT)
        open_part(d, sink, TG_PART_TEXT, TG_STR(""), TG_STR(""));
    emit(sink, (struct tg_event){.kind = TG_EV_DELTA,
                                 .part = d->part,
                                 .delta_kind = TG_DELTA_CITATION,
                                 .citation = &c});
}

static void think(struct tg_bedrock_dec *d, const struct tg_json *v, struct tg_sink *sink)
{
    const struct tg_json *whole = tg_json_get(v, TG_STR("reasoningText"));
    const struct tg_json *from = whole ? whole : v;
    say(d, sink, TG_PART_REASONING, TG_DELTA_REASONING, TG_OPAQUE_NONE,
        tg_json_get_str(from, TG_STR("text")));
    say(d, sink, TG_PART_REASONING, TG_DELTA_SIGNATURE, TG_OPAQUE_SIGNED,
        tg_json_get_str(from, TG_STR("signature")));
    say(d, sink, TG_PART_REASONING, TG_DELTA_SIGNATURE, TG_OPAQUE_REDACTED,
        tg_json_get_str(v, TG_STR("redactedContent")));
}

/* ---- what both forms have ---- */

static enum tg_finish finish_of(struct tg_str word)
{
    if (tg_str_eq(word, TG_STR("end_turn")) || tg_str_eq(word, TG_STR("stop_sequence")))
        return TG_FINISH_STOP;
    if (tg_str_eq(word, TG_STR("tool_use")))
        return TG_FINISH_TOOL_CALLS;
    if (tg_str_eq(word, TG_STR("max_tokens")) ||
        tg_str_eq(word, TG_STR("model_context_window_exceeded")))
        return TG_FINISH_LENGTH;
    if (tg_str_eq(word, TG_STR("guardrail_intervened")) ||
        tg_str_eq(word, TG_STR("content_filtered")))
        return TG_FINISH_CONTENT_FILTER;
    return TG_FINISH_OTHER;
}

static void note_stop(struct tg_bedrock_dec *d, struct tg_str word)
{
    d->stopped = true;
    d->finish = finish_of(word);
    tg_str_to_c(word, d->finish_word, sizeof d->finish_word);
}

static int64_t count_of(const struct tg_json *v, struct tg_str name)
{
    int64_t n;
    return tg_json_i64(tg_json_get(v, name), &n) == 0 && n > 0 ? n : 0;
}

static void note_usage(struct tg_bedrock_dec *d, const struct tg_json *v)
{
    if (!tg_json_is_obj(v))
        return;
    d->has_usage = true;
    d->usage = (struct tg_usage){
        .source = TG_USAGE_REPORTED,
        .input_tokens = count_of(v, TG_STR("inputTokens")),
        .cache_read_tokens = count_of(v, TG_STR("cacheReadInputTokens")),
        .cache_write_tokens = count_of(v, TG_STR("cacheWriteInputTokens")),
        .output_tokens = count_of(v, TG_STR("outputTokens")),
    };
}

static void emit_end(struct tg_bedrock_dec *d, struct tg_sink *sink)
{
    close_part(d, sink);
    if (d->has_usage)
        emit(sink, (struct tg_event){.kind = TG_EV_USAGE, .usage = &d->usage});
    if (d->resp.task == TG_TASK_CHAT)
        emit(sink, (struct tg_event){.kind = TG_EV_FINISH,
                                     .finish = d->finish,
                                     .text = tg_str_c(d->finish_word)});
    d->over = true;
    emit(sink, (struct tg_event){.kind = TG_EV_END});
}

static void start(struct tg_bedrock_dec *d, struct tg_sink *sink)
{
    if (!d->started)
        emit(sink, (struct tg_event){.kind = TG_EV_START});
    d->started = true;
}

/* ---- streams ---- */

static void on_delta(struct tg_bedrock_dec *d, struct tg_json_doc *doc, const struct tg_json *root,
                     struct tg_sink *sink)
{
    const struct tg_json *delta = tg_json_get(root, TG_STR("delta"));
    int64_t block;
    if (tg_json_i64(tg_json_get(root, TG_STR("contentBlockIndex")), &block))
        block = d->block;
    if (block != d->block && d->open && d->part_kind != TG_PART_TOOL_CALL)
        close_part(d, sink);
    d->block = block;
    say(d, sink, TG_PART_TEXT, TG_DELTA_TEXT, TG_OPAQUE_NONE,
        tg_json_get_str(delta, TG_STR("text")));
    if (d->part_kind == TG_PART_TOOL_CALL && d->open)
        say(d, sink, TG_PART_TOOL_CALL, TG_DELTA_ARGUMENTS, TG_OPAQUE_NONE,
            tg_json_str(tg_json_get2(delta, TG_STR("toolUse"), TG_STR("input"))));
    if (tg_json_get(delta, TG_STR("reasoningContent")))
        think(d, tg_json_get(delta, TG_STR("reasoningContent")), sink);
    if (tg_json_is_obj(tg_json_get(delta, TG_STR("citation"))))
        cite(d, doc, tg_json_get(delta, TG_STR("citation")), sink);
}

static void on_event(struct tg_bedrock_dec *d, struct tg_str type, struct tg_json_doc *doc,
                     struct tg_sink *sink)
{
    const struct tg_json *root = tg_json_root(doc);
    start(d, sink);
    if (tg_str_eq(type, TG_STR("contentBlockStart")))
        start_call(d, tg_json_get2(root, TG_STR("start"), TG_STR("toolUse")), sink);
    else if (tg_str_eq(type, TG_STR("contentBlockDelta")))
        on_delta(d, doc, root, sink);
    else if (tg_str_eq(type, TG_STR("contentBlockStop")))
        close_part(d, sink);
    else if (tg_str_eq(type, TG_STR("messageStop")))
        note_stop(d, tg_json_get_str(root, TG_STR("stopReason")));
    else if (tg_str_eq(type, TG_STR("metadata")))
        note_usage(d, tg_json_get(root, TG_STR("usage")));
}

static int on_frame(struct tg_bedrock_dec *d, const struct tg_aws_frame *f, struct tg_sink *sink)
{
    struct tg_json_limits limits = {.max_string_bytes = d->resp.max_pending_bytes};
    struct tg_json_doc *doc;
    struct tg_fail fail;
    tg_arena_reset(&d->scratch);
    if (!tg_str_eq(tg_aws_frame_get(f, TG_STR(":message-type")), TG_STR("event"))) {
        tg_fail_clear(&fail);
        tg_bedrock_exception(&d->scratch, tg_aws_frame_get(f, TG_STR(":exception-type")),
                             f->payload, &fail);
        return fail_with(d, sink, &fail);
    }
    int rc = tg_json_parse(&d->scratch, f->payload, &limits, &doc, NULL);
    if (rc)
        return broken(d, sink, rc == TG_E_NOMEM ? rc : TG_E_UPSTREAM_INVALID,
                      "the provider's stream holds invalid JSON");
    on_event(d, tg_aws_frame_get(f, TG_STR(":event-type")), doc, sink);
    return 0;
}

static int on_frames(struct tg_bedrock_dec *d, struct tg_str in, struct tg_sink *sink)
{
    struct tg_aws_frame f;
    int rc;
    while (!d->over && (rc = tg_aws_next(&d->frames, &in, &f)) != 0) {
        if (rc < 0)
            return broken(d, sink, rc, "the provider's stream is malformed");
        rc = on_frame(d, &f, sink);
        if (rc)
            return rc;
    }
    return 0;
}

int tg_bedrock_on_bytes(void *state, struct tg_str in, struct tg_sink *sink)
{
    struct tg_bedrock_dec *d = state;
    int rc;
    if (d->over)
        return 0;
    if (d->encoded) {
        rc = broken(d, sink, TG_E_UPSTREAM_INVALID, "the provider's answer is compressed");
    } else if (d->resp.stream) {
        rc = on_frames(d, in, sink);
    } else {
        rc = tg_buf_str_add(&d->body, in);
        if (rc)
            rc = broken(d, sink, rc == TG_E_FULL ? TG_E_UPSTREAM_TOO_LARGE : rc,
                        "the provider's answer is too large");
    }
    if (d->over)
        release(d);
    else
        tg_arena_fini(&d->scratch); /* an idle stream holds no scratch memory */
    return rc;
}

/* ---- one object ---- */

static void one_block(struct tg_bedrock_dec *d, struct tg_json_doc *doc, const struct tg_json *v,
                      struct tg_sink *sink)
{
    const struct tg_json *call = tg_json_get(v, TG_STR("toolUse"));
    const struct tg_json *cited = tg_json_get(v, TG_STR("citationsContent"));
    close_part(d, sink);
    say(d, sink, TG_PART_TEXT, TG_DELTA_TEXT, TG_OPAQUE_NONE, tg_json_get_str(v, TG_STR("text")));
    if (tg_json_is_obj(call)) {
        const struct tg_json *input = tg_json_get(call, TG_STR("input"));
        start_call(d, call, sink);
        say(d, sink, TG_PART_TOOL_CALL, TG_DELTA_ARGUMENTS, TG_OPAQUE_NONE,
            input ? tg_json_raw(doc, input) : TG_STR("{}"));
    }
    if (tg_json_get(v, TG_STR("reasoningContent")))
        think(d, tg_json_get(v, TG_STR("reasoningContent")), sink);
    struct tg_json_iter it = tg_json_iter(tg_json_get(cited, TG_STR("content")));
    while (tg_json_next(&it))
        say(d, sink, TG_PART_TEXT, TG_DELTA_TEXT, TG_OPAQUE_NONE,
            tg_json_get_str(it.value, TG_STR("text")));
    it = tg_json_iter(tg_json_get(cited, TG_STR("citations")));
    while (tg_json_next(&it))
        cite(d, doc, it.value, sink);
}

static int end_body(struct tg_bedrock_dec *d, struct tg_sink *sink)
{
    struct tg_json_limits limits = {.max_string_bytes = d->resp.max_pending_bytes};
    struct tg_json_doc *doc;
    int rc = tg_json_parse(&d->scratch, tg_str_trim(tg_buf_str(&d->body)), &limits, &doc, NULL);
    if (rc)
        return broken(d, sink, rc == TG_E_NOMEM ? rc : TG_E_UPSTREAM_INVALID,
                      "the provider's answer holds invalid JSON");
    const struct tg_json *root = tg_json_root(doc);
    const struct tg_json *message = tg_json_get2(root, TG_STR("output"), TG_STR("message"));
    start(d, sink);
    if (d->resp.task == TG_TASK_COUNT && tg_json_is_num(tg_json_get(root, TG_STR("inputTokens")))) {
        note_usage(d, root);
        emit_end(d, sink);
        return 0;
    }
    if (!tg_json_is_obj(message))
        return broken(d, sink, TG_E_UPSTREAM_INVALID,
                      "the provider's answer could not be understood");
    struct tg_json_iter it = tg_json_iter(tg_json_get(message, TG_STR("content")));
    while (tg_json_next(&it))
        one_block(d, doc, it.value, sink);
    note_stop(d, tg_json_get_str(root, TG_STR("stopReason")));
    note_usage(d, tg_json_get(root, TG_STR("usage")));
    emit_end(d, sink);
    return 0;
}

int tg_bedrock_on_end(void *state, bool clean, struct tg_sink *sink)
{
    struct tg_bedrock_dec *d = state;
    int rc = 0;
    if (d->over) {
        release(d);
        return 0;
    }
    if (!clean || (d->resp.stream && (!d->stopped || tg_aws_pending(&d->frames))))
        rc = broken(d, sink, TG_E_UPSTREAM_INCOMPLETE, "the provider's answer broke off");
    else if (d->resp.stream)
        emit_end(d, sink);
    else
        rc = end_body(d, sink);
    release(d);
    return rc;
}

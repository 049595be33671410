/* Converse's answers → events: one object, or frames of an event stream. The token counts come
 * behind the stop reason, so FINISH waits for them. A stream ends well when its stop reason was
 * seen and the HTTP message ended properly, with no frame cut. */
#include "adapter/bedrock_priv.h"
#include "base/err.h"

int tg_bedrock_begin(void *state, const struct tg_adapter_response *resp)
{
    struct tg_bedrock_dec *d = state;
    tg_decoder_init(&d->base, resp);
    tg_aws_dec_init(&d->frames, d->base.resp.max_pending_bytes);
    d->block = -1;
    return 0;
}

void tg_bedrock_fini(void *state)
{
    struct tg_bedrock_dec *d = state;
    tg_decoder_fini(&d->base);
    tg_aws_dec_fini(&d->frames);
}

int tg_bedrock_on_head(void *state, const struct tg_http_head *head)
{
    struct tg_bedrock_dec *d = state;
    tg_decoder_on_head(&d->base, head);
    return 0;
}

/* ---- parts ---- */

static void close_part(struct tg_bedrock_dec *d, struct tg_sink *sink)
{
    tg_parts_close(&d->parts, sink);
    d->skip = false;
}

/* No words of a call that is skipped. */
static void say(struct tg_bedrock_dec *d, struct tg_sink *sink, enum tg_part_kind kind,
                enum tg_delta_kind delta, struct tg_str text)
{
    if (!d->skip)
        tg_parts_say(&d->parts, sink, kind, delta, text);
}

static void sign(struct tg_bedrock_dec *d, struct tg_sink *sink, enum tg_opaque_kind opaque,
                 struct tg_str text)
{
    if (!d->skip)
        tg_parts_sign(&d->parts, sink, opaque, text);
}

/* A tool of the provider's own is no call for the client, nor is what came of it (a block that
 * begins with no call at all). */
static void start_call(struct tg_bedrock_dec *d, const struct tg_json *v, struct tg_sink *sink)
{
    if (!tg_json_is_obj(v) ||
        tg_json_str_is(tg_json_get(v, TG_STR("type")), TG_STR("server_tool_use"))) {
        close_part(d, sink);
        d->skip = true;
        return;
    }
    d->skip = false;
    tg_parts_open(&d->parts, sink, TG_PART_TOOL_CALL, tg_json_get_str(v, TG_STR("toolUseId")),
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
    d->skip = false;
    tg_parts_cite(&d->parts, sink, &c);
}

static void think(struct tg_bedrock_dec *d, const struct tg_json *v, struct tg_sink *sink)
{
    const struct tg_json *whole = tg_json_get(v, TG_STR("reasoningText"));
    const struct tg_json *from = whole ? whole : v;
    say(d, sink, TG_PART_REASONING, TG_DELTA_REASONING, tg_json_get_str(from, TG_STR("text")));
    sign(d, sink, TG_OPAQUE_SIGNED, tg_json_get_str(from, TG_STR("signature")));
    sign(d, sink, TG_OPAQUE_REDACTED, tg_json_get_str(v, TG_STR("redactedContent")));
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

static void note_usage(struct tg_bedrock_dec *d, const struct tg_json *v)
{
    if (!tg_json_is_obj(v))
        return;
    d->has_usage = true;
    d->usage = (struct tg_usage){
        .source = TG_USAGE_REPORTED,
        .input_tokens = tg_decode_count(v, TG_STR("inputTokens")),
        .cache_read_tokens = tg_decode_count(v, TG_STR("cacheReadInputTokens")),
        .cache_write_tokens = tg_decode_count(v, TG_STR("cacheWriteInputTokens")),
        .output_tokens = tg_decode_count(v, TG_STR("outputTokens")),
    };
}

static void emit_end(struct tg_bedrock_dec *d, struct tg_sink *sink)
{
    close_part(d, sink);
    if (d->has_usage)
        sink->on_event(sink, &(struct tg_event){.kind = TG_EV_USAGE, .usage = &d->usage});
    if (d->base.resp.task == TG_TASK_CHAT)
        sink->on_event(sink, &(struct tg_event){.kind = TG_EV_FINISH,
                                                .finish = d->finish,
                                                .text = tg_str_c(d->finish_word)});
    tg_decoder_end(&d->base, sink);
}

/* ---- streams ---- */

static void on_delta(struct tg_bedrock_dec *d, struct tg_json_doc *doc, const struct tg_json *root,
                     struct tg_sink *sink)
{
    const struct tg_json *delta = tg_json_get(root, TG_STR("delta"));
    int64_t block;
    if (tg_json_i64(tg_json_get(root, TG_STR("contentBlockIndex")), &block))
        block = d->block;
    if (block != d->block && d->parts.open && d->parts.kind != TG_PART_TOOL_CALL)
        close_part(d, sink);
    d->block = block;
    say(d, sink, TG_PART_TEXT, TG_DELTA_TEXT, tg_json_get_str(delta, TG_STR("text")));
    if (d->parts.kind == TG_PART_TOOL_CALL && d->parts.open)
        say(d, sink, TG_PART_TOOL_CALL, TG_DELTA_ARGUMENTS,
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
    tg_decoder_start(&d->base, sink, TG_STR(""), TG_STR(""));
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

static TG_COLD int on_exception(struct tg_bedrock_dec *d, const struct tg_aws_frame *f,
                                struct tg_sink *sink)
{
    struct tg_fail fail;
    tg_fail_clear(&fail);
    tg_arena_reset(&d->base.scratch);
    tg_bedrock_exception(&d->base.scratch, tg_aws_frame_get(f, TG_STR(":exception-type")),
                         f->payload, &fail);
    return tg_decoder_fail(&d->base, sink, &fail);
}

static int on_frame(struct tg_bedrock_dec *d, const struct tg_aws_frame *f, struct tg_sink *sink)
{
    struct tg_json_doc *doc;
    if (!tg_str_eq(tg_aws_frame_get(f, TG_STR(":message-type")), TG_STR("event")))
        return on_exception(d, f, sink);
    int rc = tg_decoder_parse(&d->base, sink, f->payload, &doc);
    if (rc == 0)
        on_event(d, tg_aws_frame_get(f, TG_STR(":event-type")), doc, sink);
    return rc;
}

static int on_frames(struct tg_bedrock_dec *d, struct tg_str in, struct tg_sink *sink)
{
    struct tg_aws_frame f;
    int rc;
    while (!d->base.over && (rc = tg_aws_next(&d->frames, &in, &f)) != 0) {
        if (rc < 0)
            return tg_decoder_broken(&d->base, sink, rc, "the provider's stream is malformed");
        rc = on_frame(d, &f, sink);
        if (rc)
            return rc;
    }
    return 0;
}

int tg_bedrock_on_bytes(void *state, struct tg_str in, struct tg_sink *sink)
{
    struct tg_bedrock_dec *d = state;
    int rc = tg_decoder_take(&d->base, sink, in);
    if (rc > 0)
        rc = on_frames(d, in, sink);
    if (d->base.over)
        tg_bedrock_fini(d);
    else
        tg_decoder_rest(&d->base);
    return rc;
}

/* ---- one object ---- */

static void one_block(struct tg_bedrock_dec *d, struct tg_json_doc *doc, const struct tg_json *v,
                      struct tg_sink *sink)
{
    const struct tg_json *call = tg_json_get(v, TG_STR("toolUse"));
    const struct tg_json *cited = tg_json_get(v, TG_STR("citationsContent"));
    close_part(d, sink);
    say(d, sink, TG_PART_TEXT, TG_DELTA_TEXT, tg_json_get_str(v, TG_STR("text")));
    if (tg_json_is_obj(call)) {
        const struct tg_json *input = tg_json_get(call, TG_STR("input"));
        start_call(d, call, sink);
        say(d, sink, TG_PART_TOOL_CALL, TG_DELTA_ARGUMENTS,
            input ? tg_json_raw(doc, input) : TG_STR("{}"));
    }
    if (tg_json_get(v, TG_STR("reasoningContent")))
        think(d, tg_json_get(v, TG_STR("reasoningContent")), sink);
    struct tg_json_iter it = tg_json_iter(tg_json_get(cited, TG_STR("content")));
    while (tg_json_next(&it))
        say(d, sink, TG_PART_TEXT, TG_DELTA_TEXT, tg_json_get_str(it.value, TG_STR("text")));
    it = tg_json_iter(tg_json_get(cited, TG_STR("citations")));
    while (tg_json_next(&it))
        cite(d, doc, it.value, sink);
}

static int end_body(struct tg_bedrock_dec *d, struct tg_sink *sink)
{
    struct tg_json_doc *doc;
    int rc = tg_decoder_parse_body(&d->base, sink, &doc);
    if (rc)
        return rc;
    const struct tg_json *root = tg_json_root(doc);
    const struct tg_json *message = tg_json_get2(root, TG_STR("output"), TG_STR("message"));
    tg_decoder_start(&d->base, sink, TG_STR(""), TG_STR(""));
    if (d->base.resp.task == TG_TASK_COUNT &&
        tg_json_is_num(tg_json_get(root, TG_STR("inputTokens")))) {
        note_usage(d, root);
        emit_end(d, sink);
        return 0;
    }
    if (!tg_json_is_obj(message))
        return tg_decoder_broken(&d->base, sink, TG_E_UPSTREAM_INVALID,
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
    if (d->base.over) {
        tg_bedrock_fini(d);
        return 0;
    }
    if (!clean || (d->base.resp.stream && (!d->stopped || tg_aws_pending(&d->frames))))
        rc = tg_decoder_broken(&d->base, sink, TG_E_UPSTREAM_INCOMPLETE,
                               "the provider's answer broke off");
    else if (d->base.resp.stream)
        emit_end(d, sink);
    else
        rc = end_body(d, sink);
    tg_bedrock_fini(d);
    return rc;
}

/* Ollama's lines (or its one object) → events. A stream ends well with the line that says
 * `"done":true`; an object with `error` is an error wherever it comes. */
#include "adapter/ollama_priv.h"
#include "adapter/openai_priv.h"
#include "base/err.h"

int tg_ollama_dec_begin(void *state, const struct tg_adapter_response *resp)
{
    struct tg_ollama_dec *d = state;
    tg_decoder_init(&d->base, resp);
    tg_ndjson_dec_init(&d->lines, d->base.resp.max_pending_bytes);
    return 0;
}

void tg_ollama_dec_fini(void *state)
{
    struct tg_ollama_dec *d = state;
    tg_decoder_fini(&d->base);
    tg_ndjson_dec_fini(&d->lines);
}

int tg_ollama_dec_head(void *state, const struct tg_http_head *head)
{
    struct tg_ollama_dec *d = state;
    tg_decoder_on_head(&d->base, head);
    return 0;
}

static TG_COLD int provider_error(struct tg_ollama_dec *d, struct tg_sink *sink,
                                  const struct tg_json *root)
{
    struct tg_fail fail;
    struct tg_openai_error e = {.message = tg_json_get_str(root, TG_STR("error"))};
    tg_fail_clear(&fail);
    if (!e.message.n)
        (void)tg_openai_find_error(root, &e); /* else it says nothing */
    tg_openai_set_fail(0, &e, &fail);
    return tg_decoder_fail(&d->base, sink, &fail);
}

/* ---- parts ---- */

static void emit(struct tg_sink *sink, struct tg_event ev)
{
    sink->on_event(sink, &ev);
}

/* Pass-through needs the first word only. */
static void say(struct tg_ollama_dec *d, struct tg_sink *sink, enum tg_part_kind kind,
                enum tg_delta_kind delta, struct tg_str text)
{
    if (!text.n || (d->base.resp.tap && d->content_seen))
        return;
    d->content_seen = true;
    tg_parts_say(&d->parts, sink, kind, delta, text);
}

/* [{"token","logprob","top_logprobs":[…]}] in OpenAI chat's form, in the scratch arena; "" without
 * any. Source: Ollama's api/types.go, Logprob. */
static struct tg_str logprobs_of(struct tg_ollama_dec *d, const struct tg_json *list)
{
    struct tg_buf b;
    struct tg_json_iter it = tg_json_iter(list);
    if (!tg_json_is_arr(list) || !tg_json_count(list))
        return TG_STR("");
    tg_buf_init(&b, SIZE_MAX / 4);
    tg_buf_lit(&b, "{\"content\":[");
    while (tg_json_next(&it)) {
        struct tg_json_iter k = tg_json_iter(tg_json_get(it.value, TG_STR("top_logprobs")));
        if (it.index)
            tg_buf_char(&b, ',');
        tg_decode_token(tg_json_get_str(it.value, TG_STR("token")),
                        tg_json_num(tg_json_get(it.value, TG_STR("logprob"))), &b);
        tg_buf_lit(&b, ",\"top_logprobs\":[");
        while (tg_json_next(&k)) {
            if (k.index)
                tg_buf_char(&b, ',');
            tg_decode_token(tg_json_get_str(k.value, TG_STR("token")),
                            tg_json_num(tg_json_get(k.value, TG_STR("logprob"))), &b);
            tg_buf_char(&b, '}');
        }
        tg_buf_lit(&b, "]}");
    }
    tg_buf_lit(&b, "],\"refusal\":null}");
    struct tg_str s = tg_buf_ok(&b) ? tg_arena_dup(&d->base.scratch, tg_buf_str(&b)) : TG_STR("");
    tg_buf_fini(&b);
    return s;
}

static void say_text(struct tg_ollama_dec *d, struct tg_sink *sink, const struct tg_json *root,
                     struct tg_str text)
{
    struct tg_str logprobs = text.n && !d->base.resp.tap
                                 ? logprobs_of(d, tg_json_get(root, TG_STR("logprobs")))
                                 : TG_STR("");
    if (!logprobs.n) {
        say(d, sink, TG_PART_TEXT, TG_DELTA_TEXT, text);
        return;
    }
    if (!d->parts.open || d->parts.kind != TG_PART_TEXT)
        tg_parts_open(&d->parts, sink, TG_PART_TEXT, TG_STR(""), TG_STR(""));
    d->content_seen = true;
    emit(sink, (struct tg_event){.kind = TG_EV_DELTA,
                                 .part = d->parts.part,
                                 .delta_kind = TG_DELTA_TEXT,
                                 .text = text,
                                 .logprobs = logprobs});
}

static int one_call(struct tg_ollama_dec *d, struct tg_json_doc *doc, const struct tg_json *call,
                    struct tg_sink *sink)
{
    const struct tg_json *fn = tg_json_get(call, TG_STR("function"));
    const struct tg_json *arguments = tg_json_get(fn, TG_STR("arguments"));
    struct tg_str id = tg_json_get_str(call, TG_STR("id"));
    if (!id.n)
        id = tg_arena_printf(&d->base.scratch, "call_%u", d->parts.n);
    if (!id.p)
        return TG_E_NOMEM;
    tg_parts_open(&d->parts, sink, TG_PART_TOOL_CALL, id, tg_json_get_str(fn, TG_STR("name")));
    tg_parts_say(&d->parts, sink, TG_PART_TOOL_CALL, TG_DELTA_ARGUMENTS,
                 tg_json_is_nil(arguments)   ? TG_STR("{}")
                 : tg_json_is_str(arguments) ? tg_json_str(arguments)
                                             : tg_json_raw(doc, arguments));
    tg_parts_close(&d->parts, sink);
    d->content_seen = true;
    return 0;
}

static int calls(struct tg_ollama_dec *d, struct tg_json_doc *doc, const struct tg_json *list,
                 struct tg_sink *sink)
{
    struct tg_json_iter it = tg_json_iter(list);
    int rc = 0;
    while (rc == 0 && tg_json_next(&it)) {
        d->calls = true;
        if (!d->base.resp.tap)
            rc = one_call(d, doc, it.value, sink);
        else if (!d->content_seen)
            say(d, sink, TG_PART_TOOL_CALL, TG_DELTA_ARGUMENTS, TG_STR("{}"));
    }
    return rc;
}

/* ---- one object ---- */

static int64_t count_of(const struct tg_json *root, struct tg_str key, bool *out_any)
{
    int64_t n;
    if (tg_json_i64(tg_json_get(root, key), &n) || n < 0)
        return 0;
    *out_any = true;
    return n;
}

static void usage(struct tg_sink *sink, const struct tg_json *root)
{
    bool any = false;
    struct tg_usage u = {
        .input_tokens = count_of(root, TG_STR("prompt_eval_count"), &any),
        .output_tokens = count_of(root, TG_STR("eval_count"), &any),
    };
    u.source = TG_USAGE_REPORTED;
    if (any)
        emit(sink, (struct tg_event){.kind = TG_EV_USAGE, .usage = &u});
}

static void finish(struct tg_ollama_dec *d, struct tg_sink *sink, const struct tg_json *root)
{
    struct tg_str word = tg_json_get_str(root, TG_STR("done_reason"));
    enum tg_finish f = tg_str_eq(word, TG_STR("length")) ? TG_FINISH_LENGTH
                       : d->calls                        ? TG_FINISH_TOOL_CALLS
                                                         : TG_FINISH_STOP;
    tg_parts_close(&d->parts, sink);
    usage(sink, root);
    emit(sink, (struct tg_event){.kind = TG_EV_FINISH, .finish = f, .text = word});
    d->done = true;
}

static int on_vectors(struct tg_ollama_dec *d, struct tg_json_doc *doc, struct tg_sink *sink)
{
    const struct tg_json *root = tg_json_root(doc);
    const struct tg_json *list = tg_json_get(root, TG_STR("embeddings"));
    const struct tg_json *one = tg_json_get(root, TG_STR("embedding"));
    if (!tg_json_is_arr(list) && !tg_json_is_arr(one))
        return tg_decoder_broken(&d->base, sink, TG_E_UPSTREAM_INVALID,
                                 "the provider's answer holds no embeddings");
    struct tg_json_iter it = tg_json_iter(list);
    while (tg_json_next(&it))
        emit(sink, (struct tg_event){.kind = TG_EV_ITEM,
                                     .choice = (uint32_t)it.index,
                                     .text = tg_json_raw(doc, it.value)});
    if (!list)
        emit(sink, (struct tg_event){.kind = TG_EV_ITEM, .text = tg_json_raw(doc, one)});
    usage(sink, root);
    d->done = true;
    return 0;
}

static int on_object(struct tg_ollama_dec *d, struct tg_json_doc *doc, struct tg_sink *sink)
{
    const struct tg_json *root = tg_json_root(doc);
    const struct tg_json *m = tg_json_get(root, TG_STR("message"));
    if (!tg_json_is_nil(tg_json_get(root, TG_STR("error"))))
        return provider_error(d, sink, root);
    if (!tg_json_is_obj(root))
        return tg_decoder_broken(&d->base, sink, TG_E_UPSTREAM_INVALID,
                                 "the provider's answer is not an object");
    tg_decoder_start(&d->base, sink, TG_STR(""), tg_json_get_str(root, TG_STR("model")));
    if (d->base.resp.task == TG_TASK_EMBED)
        return on_vectors(d, doc, sink);
    bool generate = !m;
    if (generate && !tg_json_is_str(tg_json_get(root, TG_STR("response"))))
        return tg_decoder_broken(&d->base, sink, TG_E_UPSTREAM_INVALID,
                                 "the provider's answer could not be understood");
    say(d, sink, TG_PART_REASONING, TG_DELTA_REASONING,
        tg_json_get_str(generate ? root : m, TG_STR("thinking")));
    say_text(d, sink, root,
             generate ? tg_json_get_str(root, TG_STR("response"))
                      : tg_json_get_str(m, TG_STR("content")));
    int rc = calls(d, doc, tg_json_get(m, TG_STR("tool_calls")), sink);
    if (rc)
        return tg_decoder_broken(&d->base, sink, rc, "");
    if (tg_json_true(tg_json_get(root, TG_STR("done"))) && !d->done)
        finish(d, sink, root);
    return 0;
}

static int on_text(struct tg_ollama_dec *d, struct tg_str json, struct tg_sink *sink)
{
    struct tg_json_doc *doc;
    int rc = tg_decoder_parse(&d->base, sink, json, &doc);
    return rc ? rc : on_object(d, doc, sink);
}

/* ---- bytes ---- */

static int on_line(struct tg_ollama_dec *d, const struct tg_ndjson_line *line, struct tg_sink *sink)
{
    int rc = line->text.n ? on_text(d, line->text, sink) : 0;
    d->blank_bytes = line->text.n ? 0 : d->blank_bytes + line->raw.n;
    if (d->blank_bytes > d->base.resp.max_pending_bytes)
        return tg_decoder_broken(&d->base, sink, TG_E_UPSTREAM_TOO_LARGE,
                                 "the provider sends nothing but blanks");
    if (rc == 0)
        tg_decoder_raw(&d->base, sink, line->raw);
    if (rc == 0 && d->done)
        tg_decoder_end(&d->base, sink);
    return rc;
}

static int on_lines(struct tg_ollama_dec *d, struct tg_str in, struct tg_sink *sink)
{
    struct tg_ndjson_line line;
    int rc;
    while (!d->base.over && (rc = tg_ndjson_next(&d->lines, &in, &line)) != 0) {
        if (rc < 0)
            return tg_decoder_broken(&d->base, sink, rc,
                                     "a line of the provider's stream is too large");
        rc = on_line(d, &line, sink);
        if (rc)
            return rc;
    }
    return 0;
}

int tg_ollama_dec_bytes(void *state, struct tg_str in, struct tg_sink *sink)
{
    struct tg_ollama_dec *d = state;
    int rc = tg_decoder_take(&d->base, sink, in);
    if (rc > 0)
        rc = on_lines(d, in, sink);
    if (d->base.over)
        tg_ollama_dec_fini(d);
    else
        tg_decoder_rest(&d->base);
    return rc;
}

static int end_body(struct tg_ollama_dec *d, struct tg_sink *sink)
{
    int rc = on_text(d, tg_str_trim(tg_buf_str(&d->base.body)), sink);
    if (rc)
        return rc;
    if (!d->done)
        return tg_decoder_broken(&d->base, sink, TG_E_UPSTREAM_INCOMPLETE,
                                 "the provider's answer is not complete");
    tg_decoder_raw(&d->base, sink, tg_buf_str(&d->base.body));
    tg_decoder_end(&d->base, sink);
    return 0;
}

static int end_lines(struct tg_ollama_dec *d, struct tg_sink *sink)
{
    struct tg_ndjson_line line;
    int rc = tg_ndjson_end(&d->lines, &line);
    if (rc > 0)
        rc = on_line(d, &line, sink);
    if (rc < 0 || d->base.over)
        return rc;
    return tg_decoder_broken(&d->base, sink, TG_E_UPSTREAM_INCOMPLETE,
                             "the provider's stream broke off");
}

int tg_ollama_dec_end(void *state, bool clean, struct tg_sink *sink)
{
    struct tg_ollama_dec *d = state;
    int rc = 0;
    if (!d->base.over && !clean)
        rc = tg_decoder_broken(&d->base, sink, TG_E_UPSTREAM_INCOMPLETE,
                               "the provider's answer broke off");
    else if (!d->base.over)
        rc = d->base.resp.stream ? end_lines(d, sink) : end_body(d, sink);
    tg_ollama_dec_fini(d);
    return rc;
}

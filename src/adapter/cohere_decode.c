/* Cohere's answers → events. A stream ends well with message-end; what follows it ([DONE]) is of no
 * interest. A tool plan is what the model thinks before it calls. */
#include "adapter/cohere_priv.h"
#include "adapter/openai_priv.h"
#include "base/err.h"

enum { SCRATCH_BYTES = 4000, DEFAULT_PENDING_BYTES = 4 << 20 };

int tg_cohere_begin(void *state, const struct tg_adapter_response *resp)
{
    struct tg_cohere_dec *d = state;
    d->resp = *resp;
    if (d->resp.max_pending_bytes == 0)
        d->resp.max_pending_bytes = DEFAULT_PENDING_BYTES;
    size_t max = d->resp.max_pending_bytes;
    tg_sse_dec_init(&d->sse, max);
    tg_buf_init(&d->body, max);
    tg_arena_init(&d->scratch, SCRATCH_BYTES, max < SIZE_MAX / 16 ? max * 8 + 64 * 1024 : SIZE_MAX);
    return 0;
}

static void release(struct tg_cohere_dec *d)
{
    d->over = true;
    tg_sse_dec_fini(&d->sse);
    tg_buf_fini(&d->body);
    tg_arena_fini(&d->scratch);
}

void tg_cohere_fini(void *state)
{
    release(state);
}

int tg_cohere_on_head(void *state, const struct tg_http_head *head)
{
    struct tg_cohere_dec *d = state;
    struct tg_str coding = tg_http_head_get(head, TG_STR("content-encoding"));
    d->encoded = coding.n && !tg_str_ieq(coding, TG_STR("identity"));
    return 0;
}

static TG_COLD int broken(struct tg_cohere_dec *d, struct tg_sink *sink, int err, const char *text)
{
    struct tg_fail fail;
    struct tg_event ev = {.kind = TG_EV_ERROR, .fail = &fail};
    tg_fail_clear(&fail);
    if (err == TG_E_NOMEM)
        text = "not enough memory for the provider's answer";
    (void)tg_fail_set(&fail, err, "%s", text); /* its value is err */
    d->over = true;
    sink->on_event(sink, &ev);
    return err;
}

static void emit(struct tg_sink *sink, struct tg_event ev)
{
    sink->on_event(sink, &ev);
}

/* ---- parts ---- */

static void close_part(struct tg_cohere_dec *d, struct tg_sink *sink)
{
    if (d->open)
        emit(sink, (struct tg_event){.kind = TG_EV_PART_END, .part = d->part});
    d->open = false;
}

static void open_part(struct tg_cohere_dec *d, struct tg_sink *sink, enum tg_part_kind kind,
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

static void say(struct tg_cohere_dec *d, struct tg_sink *sink, enum tg_part_kind kind,
                enum tg_delta_kind delta, struct tg_str text)
{
    if (!text.n)
        return;
    if (!d->open || d->part_kind != kind)
        open_part(d, sink, kind, TG_STR(""), TG_STR(""));
    emit(sink, (struct tg_event){
                   .kind = TG_EV_DELTA, .part = d->part, .delta_kind = delta, .text = text});
}

static void think(struct tg_cohere_dec *d, struct tg_sink *sink, struct tg_str text)
{
    say(d, sink, TG_PART_REASONING, TG_DELTA_REASONING, text);
}

static void write_text(struct tg_cohere_dec *d, struct tg_sink *sink, struct tg_str text)
{
    say(d, sink, TG_PART_TEXT, TG_DELTA_TEXT, text);
}

static void call(struct tg_cohere_dec *d, struct tg_sink *sink, const struct tg_json *v)
{
    const struct tg_json *fn = tg_json_get(v, TG_STR("function"));
    open_part(d, sink, TG_PART_TOOL_CALL, tg_json_get_str(v, TG_STR("id")),
              tg_json_get_str(fn, TG_STR("name")));
    say(d, sink, TG_PART_TOOL_CALL, TG_DELTA_ARGUMENTS, tg_json_get_str(fn, TG_STR("arguments")));
}

/* `sources` may hold a document or a tool's output, each with what it knows of itself. */
static void cite(struct tg_cohere_dec *d, struct tg_json_doc *doc, const struct tg_json *v,
                 struct tg_sink *sink)
{
    if (!tg_json_is_obj(v))
        return;
    const struct tg_json *source = tg_json_at(tg_json_get(v, TG_STR("sources")), 0);
    const struct tg_json *what = tg_json_get(source, TG_STR("document"));
    if (!what)
        what = tg_json_get(source, TG_STR("tool_output"));
    struct tg_citation c = {
        .url = tg_json_get_str(what, TG_STR("url")),
        .title = tg_json_get_str(what, TG_STR("title")),
        .text = tg_json_get_str(v, TG_STR("text")),
        .raw = tg_json_raw(doc, v),
        .format = TG_WIRE_COHERE_CHAT,
    };
    if (tg_json_i64(tg_json_get(v, TG_STR("start")), &c.start))
        c.start = -1;
    if (tg_json_i64(tg_json_get(v, TG_STR("end")), &c.end))
        c.end = -1;
    if (!d->open || d->part_kind != TG_PART_TEXT)
        open_part(d, sink, TG_PART_TEXT, TG_STR(""), TG_STR(""));
    emit(sink, (struct tg_event){.kind = TG_EV_DELTA,
                                 .part = d->part,
                                 .delta_kind = TG_DELTA_CITATION,
                                 .citation = &c});
}

/* ---- the end ---- */

static int64_t count_of(const struct tg_json *v, struct tg_str name)
{
    int64_t n;
    return tg_json_i64(tg_json_get(v, name), &n) == 0 && n > 0 ? n : 0;
}

/* `tokens` are what the model saw, `billed_units` what is paid for; limits and prices go by the
 * first where it is there. */
static void usage(struct tg_sink *sink, const struct tg_json *v)
{
    const struct tg_json *tokens = tg_json_get(v, TG_STR("tokens"));
    const struct tg_json *from = tokens ? tokens : tg_json_get(v, TG_STR("billed_units"));
    if (!tg_json_is_obj(from))
        return;
    struct tg_usage u = {.source = TG_USAGE_REPORTED};
    int64_t input = count_of(from, TG_STR("input_tokens")) + count_of(from, TG_STR("image_tokens"));
    int64_t output = count_of(from, TG_STR("output_tokens"));
    u.cache_read_tokens = count_of(v, TG_STR("cached_tokens"));
    if (u.cache_read_tokens > input)
        u.cache_read_tokens = input;
    u.input_tokens = input - u.cache_read_tokens;
    u.reasoning_tokens = count_of(from, TG_STR("reasoning_tokens"));
    if (u.reasoning_tokens > output)
        u.reasoning_tokens = output;
    u.output_tokens = output - u.reasoning_tokens;
    emit(sink, (struct tg_event){.kind = TG_EV_USAGE, .usage = &u});
}

static int finish(struct tg_cohere_dec *d, struct tg_sink *sink, struct tg_str word,
                  const struct tg_json *v)
{
    static const struct {
        struct tg_str word;
        enum tg_finish finish;
    } words[] = {
        {TG_STR_INIT("COMPLETE"), TG_FINISH_STOP},
        {TG_STR_INIT("STOP_SEQUENCE"), TG_FINISH_STOP},
        {TG_STR_INIT("MAX_TOKENS"), TG_FINISH_LENGTH},
        {TG_STR_INIT("TOOL_CALL"), TG_FINISH_TOOL_CALLS},
        {TG_STR_INIT("ERROR_TOXIC"), TG_FINISH_CONTENT_FILTER},
    };
    enum tg_finish f = TG_FINISH_OTHER;
    if (tg_str_eq(word, TG_STR("ERROR")) || tg_str_eq(word, TG_STR("TIMEOUT")))
        return broken(d, sink, TG_E_UPSTREAM_ERROR, "the provider broke its answer off");
    for (size_t i = 0; i < TG_ARRAY_LEN(words); i++) {
        if (tg_str_eq(word, words[i].word))
            f = words[i].finish;
    }
    close_part(d, sink);
    usage(sink, v);
    emit(sink, (struct tg_event){.kind = TG_EV_FINISH, .finish = f, .text = word});
    d->over = true;
    emit(sink, (struct tg_event){.kind = TG_EV_END});
    return 0;
}

static void start(struct tg_cohere_dec *d, struct tg_sink *sink, const struct tg_json *root)
{
    if (!d->started)
        emit(sink,
             (struct tg_event){.kind = TG_EV_START, .id = tg_json_get_str(root, TG_STR("id"))});
    d->started = true;
}

/* ---- streams ---- */

static int on_json(struct tg_cohere_dec *d, struct tg_json_doc *doc, struct tg_sink *sink)
{
    const struct tg_json *root = tg_json_root(doc);
    const struct tg_json *delta = tg_json_get(root, TG_STR("delta"));
    const struct tg_json *m = tg_json_get(delta, TG_STR("message"));
    const struct tg_json *content = tg_json_get(m, TG_STR("content"));
    const struct tg_json *tool = tg_json_get(m, TG_STR("tool_calls"));
    struct tg_str type = tg_json_get_str(root, TG_STR("type"));
    if (!type.n && tg_json_get_str(root, TG_STR("message")).n)
        return broken(d, sink, TG_E_UPSTREAM_ERROR, "the provider sent an error in its stream");
    start(d, sink, root);
    if (tg_str_eq(type, TG_STR("content-start")) || tg_str_eq(type, TG_STR("content-delta"))) {
        think(d, sink, tg_json_get_str(content, TG_STR("thinking")));
        write_text(d, sink, tg_json_get_str(content, TG_STR("text")));
    } else if (tg_str_eq(type, TG_STR("content-end")) || tg_str_eq(type, TG_STR("tool-call-end"))) {
        close_part(d, sink);
    } else if (tg_str_eq(type, TG_STR("tool-plan-delta"))) {
        think(d, sink, tg_json_get_str(m, TG_STR("tool_plan")));
    } else if (tg_str_eq(type, TG_STR("tool-call-start"))) {
        call(d, sink, tool);
    } else if (tg_str_eq(type, TG_STR("tool-call-delta"))) {
        say(d, sink, TG_PART_TOOL_CALL, TG_DELTA_ARGUMENTS,
            tg_json_str(tg_json_get2(tool, TG_STR("function"), TG_STR("arguments"))));
    } else if (tg_str_eq(type, TG_STR("citation-start"))) {
        cite(d, doc, tg_json_get(m, TG_STR("citations")), sink);
    } else if (tg_str_eq(type, TG_STR("message-end"))) {
        return finish(d, sink, tg_json_get_str(delta, TG_STR("finish_reason")),
                      tg_json_get(delta, TG_STR("usage")));
    }
    return 0;
}

static int parse(struct tg_cohere_dec *d, struct tg_str text, struct tg_sink *sink,
                 struct tg_json_doc **out)
{
    struct tg_json_limits limits = {.max_string_bytes = d->resp.max_pending_bytes};
    tg_arena_reset(&d->scratch);
    int rc = tg_json_parse(&d->scratch, text, &limits, out, NULL);
    return rc ? broken(d, sink, rc == TG_E_NOMEM ? rc : TG_E_UPSTREAM_INVALID,
                       "the provider's answer holds invalid JSON")
              : 0;
}

static int on_stream(struct tg_cohere_dec *d, struct tg_str in, struct tg_sink *sink)
{
    struct tg_sse_event ev;
    struct tg_json_doc *doc;
    int rc;
    while (!d->over && (rc = tg_sse_next(&d->sse, &in, &ev)) != 0) {
        if (rc < 0)
            return broken(d, sink, rc, "an event of the provider's stream is too large");
        if (!ev.has_data || !ev.data.n)
            continue;
        rc = parse(d, ev.data, sink, &doc);
        rc = rc ? rc : on_json(d, doc, sink);
        if (rc)
            return rc;
    }
    return 0;
}

int tg_cohere_on_bytes(void *state, struct tg_str in, struct tg_sink *sink)
{
    struct tg_cohere_dec *d = state;
    int rc;
    if (d->over)
        return 0;
    if (d->encoded) {
        rc = broken(d, sink, TG_E_UPSTREAM_INVALID, "the provider's answer is compressed");
    } else if (d->resp.stream) {
        rc = on_stream(d, in, sink);
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

static int end_items(struct tg_cohere_dec *d, struct tg_json_doc *doc, struct tg_sink *sink)
{
    const struct tg_json *root = tg_json_root(doc);
    const struct tg_json *vectors = tg_json_get2(root, TG_STR("embeddings"), TG_STR("float"));
    const struct tg_json *ranks = tg_json_get(root, TG_STR("results"));
    struct tg_json_iter it = tg_json_iter(vectors ? vectors : ranks);
    if (!tg_json_is_arr(vectors ? vectors : ranks))
        return broken(d, sink, TG_E_UPSTREAM_INVALID,
                      "the provider's answer could not be understood");
    while (tg_json_next(&it)) {
        int64_t index = (int64_t)it.index;
        const struct tg_json *value = it.value;
        if (!vectors) {
            value = tg_json_get(it.value, TG_STR("relevance_score"));
            if (tg_json_i64(tg_json_get(it.value, TG_STR("index")), &index) || index < 0 ||
                index > UINT32_MAX || !tg_json_is_num(value))
                continue;
        }
        emit(sink, (struct tg_event){.kind = TG_EV_ITEM,
                                     .choice = (uint32_t)index,
                                     .text = tg_json_raw(doc, value)});
    }
    usage(sink, tg_json_get(root, TG_STR("meta")));
    if (d->resp.tap && sink->on_raw)
        sink->on_raw(sink, tg_buf_str(&d->body), false);
    d->over = true;
    emit(sink, (struct tg_event){.kind = TG_EV_END});
    return 0;
}

static int end_body(struct tg_cohere_dec *d, struct tg_sink *sink)
{
    struct tg_json_doc *doc;
    int rc = parse(d, tg_str_trim(tg_buf_str(&d->body)), sink, &doc);
    if (rc)
        return rc;
    const struct tg_json *root = tg_json_root(doc);
    const struct tg_json *m = tg_json_get(root, TG_STR("message"));
    start(d, sink, root);
    if (d->resp.task != TG_TASK_CHAT) {
        rc = end_items(d, doc, sink);
    } else if (!tg_json_is_obj(m)) {
        rc =
            broken(d, sink, TG_E_UPSTREAM_INVALID, "the provider's answer could not be understood");
    } else {
        think(d, sink, tg_json_get_str(m, TG_STR("tool_plan")));
        struct tg_json_iter it = tg_json_iter(tg_json_get(m, TG_STR("content")));
        while (tg_json_next(&it)) {
            close_part(d, sink);
            think(d, sink, tg_json_get_str(it.value, TG_STR("thinking")));
            write_text(d, sink, tg_json_get_str(it.value, TG_STR("text")));
        }
        it = tg_json_iter(tg_json_get(m, TG_STR("citations")));
        while (tg_json_next(&it))
            cite(d, doc, it.value, sink);
        it = tg_json_iter(tg_json_get(m, TG_STR("tool_calls")));
        while (tg_json_next(&it))
            call(d, sink, it.value);
        rc = finish(d, sink, tg_json_get_str(root, TG_STR("finish_reason")),
                    tg_json_get(root, TG_STR("usage")));
    }
    return rc;
}

int tg_cohere_on_end(void *state, bool clean, struct tg_sink *sink)
{
    struct tg_cohere_dec *d = state;
    int rc = 0;
    if (!d->over && (!clean || d->resp.stream))
        rc = broken(d, sink, TG_E_UPSTREAM_INCOMPLETE, "the provider's answer broke off");
    else if (!d->over)
        rc = end_body(d, sink);
    release(d);
    return rc;
}

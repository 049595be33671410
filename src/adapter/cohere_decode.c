/* Cohere's answers → events. A stream ends well with message-end; what follows it ([DONE]) is of no
 * interest. A tool plan is what the model thinks before it calls. */
#include "adapter/cohere_priv.h"
#include "adapter/openai_priv.h"
#include "base/err.h"

int tg_cohere_begin(void *state, const struct tg_adapter_response *resp)
{
    struct tg_cohere_dec *d = state;
    tg_decoder_init(&d->base, resp);
    tg_sse_dec_init(&d->sse, d->base.resp.max_pending_bytes);
    return 0;
}

void tg_cohere_fini(void *state)
{
    struct tg_cohere_dec *d = state;
    tg_decoder_fini(&d->base);
    tg_sse_dec_fini(&d->sse);
}

int tg_cohere_on_head(void *state, const struct tg_http_head *head)
{
    struct tg_cohere_dec *d = state;
    tg_decoder_on_head(&d->base, head);
    return 0;
}

/* ---- parts ---- */

static void think(struct tg_cohere_dec *d, struct tg_sink *sink, struct tg_str text)
{
    tg_parts_say(&d->parts, sink, TG_PART_REASONING, TG_DELTA_REASONING, text);
}

static void write_text(struct tg_cohere_dec *d, struct tg_sink *sink, struct tg_str text)
{
    tg_parts_say(&d->parts, sink, TG_PART_TEXT, TG_DELTA_TEXT, text);
}

static void call(struct tg_cohere_dec *d, struct tg_sink *sink, const struct tg_json *v)
{
    const struct tg_json *fn = tg_json_get(v, TG_STR("function"));
    tg_parts_open(&d->parts, sink, TG_PART_TOOL_CALL, tg_json_get_str(v, TG_STR("id")),
                  tg_json_get_str(fn, TG_STR("name")));
    tg_parts_say(&d->parts, sink, TG_PART_TOOL_CALL, TG_DELTA_ARGUMENTS,
                 tg_json_get_str(fn, TG_STR("arguments")));
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
    tg_parts_cite(&d->parts, sink, &c);
}

/* ---- the end ---- */

/* `tokens` are what the model saw, `billed_units` what is paid for; limits and prices go by the
 * first where it is there. */
static void usage(struct tg_sink *sink, const struct tg_json *v)
{
    const struct tg_json *tokens = tg_json_get(v, TG_STR("tokens"));
    const struct tg_json *from = tokens ? tokens : tg_json_get(v, TG_STR("billed_units"));
    if (!tg_json_is_obj(from))
        return;
    struct tg_usage u = {.source = TG_USAGE_REPORTED};
    int64_t input = tg_decode_count(from, TG_STR("input_tokens")) +
                    tg_decode_count(from, TG_STR("image_tokens"));
    int64_t output = tg_decode_count(from, TG_STR("output_tokens"));
    u.cache_read_tokens = tg_decode_count(v, TG_STR("cached_tokens"));
    if (u.cache_read_tokens > input)
        u.cache_read_tokens = input;
    u.input_tokens = input - u.cache_read_tokens;
    u.reasoning_tokens = tg_decode_count(from, TG_STR("reasoning_tokens"));
    if (u.reasoning_tokens > output)
        u.reasoning_tokens = output;
    u.output_tokens = output - u.reasoning_tokens;
    sink->on_event(sink, &(struct tg_event){.kind = TG_EV_USAGE, .usage = &u});
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
        return tg_decoder_broken(&d->base, sink, TG_E_UPSTREAM_ERROR,
                                 "the provider broke its answer off");
    for (size_t i = 0; i < TG_ARRAY_LEN(words); i++) {
        if (tg_str_eq(word, words[i].word))
            f = words[i].finish;
    }
    tg_parts_close(&d->parts, sink);
    usage(sink, v);
    sink->on_event(sink, &(struct tg_event){.kind = TG_EV_FINISH, .finish = f, .text = word});
    tg_decoder_end(&d->base, sink);
    return 0;
}

/* ---- streams ---- */

static int on_json(struct tg_decoder *base, struct tg_json_doc *doc, struct tg_sink *sink)
{
    struct tg_cohere_dec *d = tg_container_of(base, struct tg_cohere_dec, base);
    const struct tg_json *root = tg_json_root(doc);
    const struct tg_json *delta = tg_json_get(root, TG_STR("delta"));
    const struct tg_json *m = tg_json_get(delta, TG_STR("message"));
    const struct tg_json *content = tg_json_get(m, TG_STR("content"));
    const struct tg_json *tool = tg_json_get(m, TG_STR("tool_calls"));
    struct tg_str type = tg_json_get_str(root, TG_STR("type"));
    if (!type.n && tg_json_get_str(root, TG_STR("message")).n)
        return tg_decoder_broken(&d->base, sink, TG_E_UPSTREAM_ERROR,
                                 "the provider sent an error in its stream");
    tg_decoder_start(&d->base, sink, tg_json_get_str(root, TG_STR("id")), TG_STR(""));
    if (tg_str_eq(type, TG_STR("content-start")) || tg_str_eq(type, TG_STR("content-delta"))) {
        think(d, sink, tg_json_get_str(content, TG_STR("thinking")));
        write_text(d, sink, tg_json_get_str(content, TG_STR("text")));
    } else if (tg_str_eq(type, TG_STR("content-end")) || tg_str_eq(type, TG_STR("tool-call-end"))) {
        tg_parts_close(&d->parts, sink);
    } else if (tg_str_eq(type, TG_STR("tool-plan-delta"))) {
        think(d, sink, tg_json_get_str(m, TG_STR("tool_plan")));
    } else if (tg_str_eq(type, TG_STR("tool-call-start"))) {
        call(d, sink, tool);
    } else if (tg_str_eq(type, TG_STR("tool-call-delta"))) {
        tg_parts_say(&d->parts, sink, TG_PART_TOOL_CALL, TG_DELTA_ARGUMENTS,
                     tg_json_str(tg_json_get2(tool, TG_STR("function"), TG_STR("arguments"))));
    } else if (tg_str_eq(type, TG_STR("citation-start"))) {
        cite(d, doc, tg_json_get(m, TG_STR("citations")), sink);
    } else if (tg_str_eq(type, TG_STR("message-end"))) {
        return finish(d, sink, tg_json_get_str(delta, TG_STR("finish_reason")),
                      tg_json_get(delta, TG_STR("usage")));
    }
    return 0;
}

int tg_cohere_on_bytes(void *state, struct tg_str in, struct tg_sink *sink)
{
    struct tg_cohere_dec *d = state;
    int rc = tg_decoder_events(&d->base, &d->sse, sink, in, on_json);
    if (d->base.over)
        tg_cohere_fini(d);
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
        return tg_decoder_broken(&d->base, sink, TG_E_UPSTREAM_INVALID,
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
        sink->on_event(sink, &(struct tg_event){.kind = TG_EV_ITEM,
                                                .choice = (uint32_t)index,
                                                .text = tg_json_raw(doc, value)});
    }
    usage(sink, tg_json_get(root, TG_STR("meta")));
    tg_decoder_raw(&d->base, sink, tg_buf_str(&d->base.body));
    tg_decoder_end(&d->base, sink);
    return 0;
}

static int end_body(struct tg_cohere_dec *d, struct tg_sink *sink)
{
    struct tg_json_doc *doc;
    int rc = tg_decoder_parse_body(&d->base, sink, &doc);
    if (rc)
        return rc;
    const struct tg_json *root = tg_json_root(doc);
    const struct tg_json *m = tg_json_get(root, TG_STR("message"));
    tg_decoder_start(&d->base, sink, tg_json_get_str(root, TG_STR("id")), TG_STR(""));
    if (d->base.resp.task != TG_TASK_CHAT) {
        rc = end_items(d, doc, sink);
    } else if (!tg_json_is_obj(m)) {
        rc = tg_decoder_broken(&d->base, sink, TG_E_UPSTREAM_INVALID,
                               "the provider's answer could not be understood");
    } else {
        think(d, sink, tg_json_get_str(m, TG_STR("tool_plan")));
        struct tg_json_iter it = tg_json_iter(tg_json_get(m, TG_STR("content")));
        while (tg_json_next(&it)) {
            tg_parts_close(&d->parts, sink);
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
    if (!d->base.over && (!clean || d->base.resp.stream))
        rc = tg_decoder_broken(&d->base, sink, TG_E_UPSTREAM_INCOMPLETE,
                               "the provider's answer broke off");
    else if (!d->base.over)
        rc = end_body(d, sink);
    tg_cohere_fini(d);
    return rc;
}

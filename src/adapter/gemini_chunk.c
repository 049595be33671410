/* One GenerateContentResponse (of a stream, or the whole answer) → canonical events; counts and
 * embeddings too. A prompt that was blocked has no candidates: it is one choice, ended by the
 * filter, and promptFeedback is kept.
 *
 * Usage. promptTokenCount includes the cached ones; candidates, thoughts and the prompts of tools
 * that Google ran are counted beside it (totalTokenCount is their sum in recorded answers). */
#include "adapter/gemini_priv.h"
#include "base/err.h"
#include "base/map.h"

#define MAX_COUNT ((int64_t)1 << 48)

/* ---- usage ---- */

static int64_t count_of(const struct tg_json *usage, struct tg_str name, bool *any)
{
    int64_t n;
    if (tg_json_i64(tg_json_proto_get(usage, name), &n) || n < 0)
        return 0;
    *any = true;
    return n < MAX_COUNT ? n : MAX_COUNT;
}

static bool read_usage(const struct tg_json *v, struct tg_usage *out)
{
    bool any = false;
    int64_t prompt = count_of(v, TG_STR("promptTokenCount"), &any);
    int64_t cached = count_of(v, TG_STR("cachedContentTokenCount"), &any);
    struct tg_usage u = {.source = TG_USAGE_REPORTED};
    u.output_tokens = count_of(v, TG_STR("candidatesTokenCount"), &any);
    u.reasoning_tokens = count_of(v, TG_STR("thoughtsTokenCount"), &any);
    int64_t tools = count_of(v, TG_STR("toolUsePromptTokenCount"), &any);
    u.cache_read_tokens = cached < prompt ? cached : prompt;
    u.input_tokens = prompt - u.cache_read_tokens + tools;
    *out = u;
    return any;
}

static void emit_usage(struct tg_sink *sink, const struct tg_usage *u)
{
    sink->on_event(sink, &(struct tg_event){.kind = TG_EV_USAGE, .usage = u});
}

/* ---- documents ---- */

static void start(struct tg_gemini_chunk *c, const struct tg_json *root)
{
    struct tg_str tier =
        tg_json_str(tg_json_get2(root, TG_STR("usageMetadata"), TG_STR("serviceTier")));
    if (c->d->started)
        return;
    c->d->started = true;
    c->d->seed = tg_hash(tg_json_text(c->doc));
    c->sink->on_event(c->sink,
                      &(struct tg_event){.kind = TG_EV_START,
                                         .id = c->id,
                                         .model = tg_json_proto_str(root, TG_STR("modelVersion")),
                                         .service_tier = tier.p ? tier : TG_STR("")});
}

/* A blocked prompt: no candidate will come. */
static void feedback(struct tg_gemini_chunk *c, const struct tg_json_iter *it)
{
    struct tg_str reason = tg_json_proto_str(it->value, TG_STR("blockReason"));
    if (reason.n && !c->d->n_cands) {
        c->c = tg_gemini_find_cand(c, 0);
        if (!c->c)
            return;
        c->d->blocked = true;
        tg_gemini_note_finish(c, tg_str_eq(reason, TG_STR("OTHER")) ? TG_STR("SAFETY") : reason);
    }
    struct tg_gemini_cand none = {0};
    if (!c->c)
        c->c = &none;
    if (!c->d->resp.tap)
        tg_gemini_emit_extra(c, it);
    c->c = NULL;
}

static void response(struct tg_gemini_chunk *c, const struct tg_json *root)
{
    const struct tg_json *candidates = tg_json_get(root, TG_STR("candidates"));
    struct tg_usage u;
    start(c, root);
    struct tg_json_iter it = tg_json_iter(candidates);
    while (!c->err && tg_json_next(&it))
        tg_gemini_on_candidate(c, it.value, it.index);
    c->c = NULL;
    it = tg_json_iter(root);
    while (!c->err && tg_json_next(&it)) {
        c->d->known |= tg_json_proto_is(it.name, TG_STR("usageMetadata")) ||
                       tg_json_proto_is(it.name, TG_STR("responseId"));
        if (tg_json_proto_is(it.name, TG_STR("promptFeedback")) && tg_json_is_obj(it.value))
            feedback(c, &it);
        else if (tg_json_proto_is(it.name, TG_STR("usageMetadata")) && read_usage(it.value, &u))
            emit_usage(c->sink, &u);
    }
}

static void count(struct tg_gemini_chunk *c, const struct tg_json *root)
{
    struct tg_usage u = {.source = TG_USAGE_REPORTED};
    bool any = false;
    int64_t total = count_of(root, TG_STR("totalTokens"), &any);
    int64_t cached = count_of(root, TG_STR("cachedContentTokenCount"), &any);
    start(c, root);
    u.cache_read_tokens = cached < total ? cached : total;
    u.input_tokens = total - u.cache_read_tokens;
    if (any)
        emit_usage(c->sink, &u);
    else
        c->err = TG_E_UPSTREAM_INVALID;
}

static void item(struct tg_gemini_chunk *c, size_t index, const struct tg_json *values)
{
    if (!tg_json_is_arr(values)) {
        c->err = TG_E_UPSTREAM_INVALID;
        return;
    }
    if (c->d->resp.tap)
        return;
    c->sink->on_event(c->sink, &(struct tg_event){.kind = TG_EV_ITEM,
                                                  .choice = (uint32_t)index,
                                                  .text = tg_json_raw(c->doc, values)});
}

/* Vertex: {"predictions":[{"embeddings":{"values":[…],"statistics":{"token_count":n}}}]}. */
static void predictions(struct tg_gemini_chunk *c, const struct tg_json *list)
{
    struct tg_json_iter it = tg_json_iter(list);
    struct tg_usage u = {.source = TG_USAGE_REPORTED};
    bool any = false;
    while (!c->err && tg_json_next(&it)) {
        const struct tg_json *e = tg_json_get(it.value, TG_STR("embeddings"));
        u.input_tokens +=
            count_of(tg_json_get(e, TG_STR("statistics")), TG_STR("tokenCount"), &any);
        item(c, it.index, tg_json_get(e, TG_STR("values")));
    }
    if (any)
        emit_usage(c->sink, &u);
}

static void embeddings(struct tg_gemini_chunk *c, const struct tg_json *root)
{
    const struct tg_json *list = tg_json_get(root, TG_STR("embeddings"));
    const struct tg_json *one = tg_json_get(root, TG_STR("embedding"));
    const struct tg_json *predicted = tg_json_get(root, TG_STR("predictions"));
    struct tg_usage u;
    start(c, root);
    if (!tg_json_is_arr(list) && !tg_json_is_obj(one) && !tg_json_is_arr(predicted))
        c->err = TG_E_UPSTREAM_INVALID;
    if (tg_json_is_obj(one))
        item(c, 0, tg_json_get(one, TG_STR("values")));
    struct tg_json_iter it = tg_json_iter(list);
    while (!c->err && tg_json_next(&it))
        item(c, it.index, tg_json_get(it.value, TG_STR("values")));
    predictions(c, predicted);
    if (!c->err && read_usage(tg_json_get(root, TG_STR("usageMetadata")), &u))
        emit_usage(c->sink, &u);
}

static TG_COLD int on_error(struct tg_gemini_dec *d, const struct tg_json *root,
                            struct tg_sink *sink)
{
    struct tg_fail fail;
    tg_fail_clear(&fail);
    if (tg_gemini_read_error(root, 0, &fail))
        return tg_gemini_emit_error(d, sink, &fail);
    return tg_gemini_broken(d, sink, TG_E_UPSTREAM_INVALID,
                            "the provider's answer could not be understood");
}

int tg_gemini_on_json(struct tg_gemini_dec *d, struct tg_json_doc *doc, struct tg_sink *sink)
{
    const struct tg_json *root = tg_json_root(doc);
    struct tg_gemini_chunk c = {.d = d, .doc = doc, .sink = sink, .logprobs = TG_STR("")};
    if (!tg_json_is_obj(root) || tg_json_is_obj(tg_json_get(root, TG_STR("error"))))
        return on_error(d, root, sink);
    c.id = tg_json_proto_str(root, TG_STR("responseId"));
    if (d->resp.task == TG_TASK_COUNT)
        count(&c, root);
    else if (d->resp.task == TG_TASK_EMBED)
        embeddings(&c, root);
    else
        response(&c, root);
    if (c.err == TG_E_UPSTREAM_TOO_LARGE)
        return tg_gemini_broken(d, sink, c.err, "a tool call of the provider's is too large");
    if (c.err)
        return tg_gemini_broken(d, sink, c.err, "the provider's answer could not be understood");
    return 0;
}

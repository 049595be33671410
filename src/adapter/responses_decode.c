/* One document of OpenAI's Responses (an event of a stream, or a whole response) → canonical
 * events. Source: ResponseStreamEvent and Response of OpenAI's API description, and what was
 * recorded of OpenAI, Azure, xAI, DeepSeek, OpenRouter, LM Studio and Bedrock's gateway. */
#include "adapter/responses_priv.h"
#include "adapter/openai_priv.h"
#include "base/err.h"

/* What the functions below share. */
struct doc {
    struct tg_openai_dec *dec;
    struct tg_responses_ctx c;
    const struct tg_json *root;
};

/* ---- the answer as a whole ---- */

static void on_start(struct doc *x, const struct tg_json *response)
{
    if (x->dec->started)
        return;
    x->dec->started = true;
    struct tg_str tier = tg_json_get_str(response, TG_STR("service_tier"));
    struct tg_event ev = {
        .kind = TG_EV_START,
        .id = tg_json_get_str(response, TG_STR("id")),
        .model = tg_json_get_str(response, TG_STR("model")),
        .service_tier = tier.p ? tier : TG_STR(""),
    };
    x->c.sink->on_event(x->c.sink, &ev);
}

static void on_usage(struct doc *x, const struct tg_json *response)
{
    struct tg_usage u;
    if (!tg_openai_input_output_usage(tg_json_get(response, TG_STR("usage")), &u))
        return;
    x->dec->usage = u;
    x->c.sink->on_event(x->c.sink, &(struct tg_event){.kind = TG_EV_USAGE, .usage = &u});
}

static enum tg_finish finish_of(const struct doc *x, struct tg_str status, struct tg_str reason)
{
    if (tg_str_eq(reason, TG_STR("max_output_tokens")) || tg_str_eq(reason, TG_STR("max_tokens")))
        return TG_FINISH_LENGTH;
    if (tg_str_eq(reason, TG_STR("content_filter")))
        return TG_FINISH_CONTENT_FILTER;
    if (tg_str_eq(status, TG_STR("incomplete")))
        return TG_FINISH_OTHER;
    return x->c.d->has_calls ? TG_FINISH_TOOL_CALLS : TG_FINISH_STOP;
}

static void close_calls(struct doc *x)
{
    struct tg_responses_dec *d = x->c.d;
    for (uint32_t i = 0; i < d->n_items; i++) {
        const struct tg_responses_in *it = &d->items[i];
        if (it->begun && !it->done &&
            (it->kind == TG_RESPONSES_ITEM_FUNCTION || it->kind == TG_RESPONSES_ITEM_CUSTOM))
            x->c.sink->on_event(x->c.sink,
                                &(struct tg_event){.kind = TG_EV_PART_END, .part = it->part});
    }
}

static bool is_call(const struct tg_json *item)
{
    const struct tg_json *type = tg_json_get(item, TG_STR("type"));
    return tg_json_str_is(type, TG_STR("function_call")) ||
           tg_json_str_is(type, TG_STR("custom_tool_call"));
}

/* Passed through: what means something only to the account that made it is told all the same, so
 * that the conversation goes back there. */
static void note_sealed(struct doc *x, const struct tg_json *item)
{
    struct tg_str sealed = tg_json_get_str(item, TG_STR("encrypted_content"));
    struct tg_str id = tg_json_get_str(item, TG_STR("id")); /* by which the account knows it */
    if (id.n && tg_json_str_is(tg_json_get(item, TG_STR("type")), TG_STR("reasoning")))
        x->c.sink->on_event(
            x->c.sink,
            &(struct tg_event){.kind = TG_EV_PART_START, .part_kind = TG_PART_REASONING, .id = id});
    if (sealed.n)
        x->c.sink->on_event(x->c.sink, &(struct tg_event){.kind = TG_EV_DELTA,
                                                          .delta_kind = TG_DELTA_SIGNATURE,
                                                          .opaque = TG_OPAQUE_ENCRYPTED,
                                                          .text = sealed});
}

/* What of the output the stream did not tell. */
static void on_output(struct doc *x, const struct tg_json *response)
{
    struct tg_json_iter it = tg_json_iter(tg_json_get(response, TG_STR("output")));
    while (!x->c.err && tg_json_next(&it)) {
        x->c.d->has_calls |= is_call(it.value);
        if (x->dec->resp.tap && !x->dec->content_seen)
            x->c.sink->on_event(x->c.sink, &(struct tg_event){.kind = TG_EV_DELTA});
        x->dec->content_seen = true;
        if (x->dec->resp.tap)
            note_sealed(x, it.value);
        else
            tg_responses_item_done(&x->c, (int64_t)it.index, it.value);
    }
}

static void on_whole(struct doc *x, const struct tg_json *response)
{
    struct tg_str status = tg_json_get_str(response, TG_STR("status"));
    struct tg_str reason =
        tg_json_get_str(tg_json_get(response, TG_STR("incomplete_details")), TG_STR("reason"));
    on_start(x, response);
    on_output(x, response);
    if (x->c.err)
        return;
    if (!x->dec->resp.tap) {
        tg_responses_close_part(&x->c);
        close_calls(x);
    }
    on_usage(x, response);
    x->c.d->whole = true;
    x->c.sink->on_event(x->c.sink, &(struct tg_event){.kind = TG_EV_FINISH,
                                                      .finish = finish_of(x, status, reason),
                                                      .text = reason.n ? reason : status});
}

/* ---- errors ---- */

static TG_COLD int on_error(struct doc *x, const struct tg_json *holder)
{
    struct tg_openai_error e;
    struct tg_fail fail;
    if (!tg_openai_find_error(holder, &e))
        return tg_openai_broken(x->dec, x->c.sink, TG_E_UPSTREAM_INVALID,
                                "the provider's answer could not be understood");
    if (tg_str_eq(e.type, TG_STR("error"))) /* the event's own type */
        e.type = TG_STR("");
    tg_fail_clear(&fail);
    tg_openai_set_fail(e.status, &e, &fail);
    return tg_openai_emit_error(x->dec, x->c.sink, &fail);
}

static TG_COLD int on_failed(struct doc *x, const struct tg_json *response)
{
    on_start(x, response);
    on_usage(x, response);
    if (!tg_json_is_nil(tg_json_get(response, TG_STR("error"))))
        return on_error(x, response);
    return tg_openai_broken(x->dec, x->c.sink, TG_E_UPSTREAM_ERROR,
                            "the provider gave the answer up");
}

/* ---- events ---- */

static int64_t index_of(const struct doc *x, const char *key)
{
    int64_t n;
    return tg_json_i64(tg_json_get(x->root, tg_str_c(key)), &n) == 0 && n >= 0 ? n : 0;
}

static struct tg_str member(const struct doc *x, const char *key)
{
    return tg_json_get_str(x->root, tg_str_c(key));
}

static void on_text(struct doc *x, enum tg_delta_kind kind, bool done)
{
    struct tg_responses_in *it =
        tg_responses_item(&x->c, index_of(x, "output_index"), TG_RESPONSES_ITEM_MESSAGE);
    const char *whole = kind == TG_DELTA_REFUSAL ? "refusal" : "text";
    if (it)
        tg_responses_text(&x->c, it, index_of(x, "content_index"), kind,
                          member(x, done ? whole : "delta"),
                          done ? NULL : tg_json_get(x->root, TG_STR("logprobs")), done);
}

static void on_reasoning(struct doc *x, bool of_content, bool done)
{
    struct tg_responses_in *it =
        tg_responses_item(&x->c, index_of(x, "output_index"), TG_RESPONSES_ITEM_REASONING);
    if (it)
        tg_responses_reasoning(
            &x->c, it, index_of(x, of_content ? "content_index" : "summary_index"), of_content,
            member(x, "item_id"), member(x, done ? "text" : "delta"), done);
}

static void on_arguments(struct doc *x, const char *key, bool done)
{
    struct tg_responses_in *it = tg_responses_known(x->c.d, index_of(x, "output_index"));
    if (it && (it->kind == TG_RESPONSES_ITEM_FUNCTION || it->kind == TG_RESPONSES_ITEM_CUSTOM))
        tg_responses_arguments(&x->c, it, member(x, key), done);
}

static void on_annotation(struct doc *x)
{
    struct tg_responses_in *it = tg_responses_known(x->c.d, index_of(x, "output_index"));
    if (it && it->kind == TG_RESPONSES_ITEM_MESSAGE)
        tg_responses_annotation(&x->c, it, tg_json_get(x->root, TG_STR("annotation")));
}

enum what {
    OTHER,
    CREATED,
    ADDED,
    ITEM_DONE,
    TEXT,
    TEXT_DONE,
    REFUSAL,
    REFUSAL_DONE,
    SUMMARY,
    SUMMARY_DONE,
    REASONING,
    REASONING_DONE,
    ARGUMENTS,
    ARGUMENTS_DONE,
    INPUT,
    INPUT_DONE,
    ANNOTATION,
    WHOLE,
    FAILED,
    BROKEN,
};

static enum what what_of(struct tg_str type)
{
    static const struct {
        struct tg_str type;
        enum what what;
    } types[] = {
        {TG_STR_INIT("response.output_text.delta"), TEXT},
        {TG_STR_INIT("response.function_call_arguments.delta"), ARGUMENTS},
        {TG_STR_INIT("response.reasoning_summary_text.delta"), SUMMARY},
        {TG_STR_INIT("response.reasoning_text.delta"), REASONING},
        {TG_STR_INIT("response.created"), CREATED},
        {TG_STR_INIT("response.in_progress"), CREATED},
        {TG_STR_INIT("response.output_item.added"), ADDED},
        {TG_STR_INIT("response.output_item.done"), ITEM_DONE},
        {TG_STR_INIT("response.output_text.done"), TEXT_DONE},
        {TG_STR_INIT("response.output_text.annotation.added"), ANNOTATION},
        {TG_STR_INIT("response.function_call_arguments.done"), ARGUMENTS_DONE},
        {TG_STR_INIT("response.custom_tool_call_input.delta"), INPUT},
        {TG_STR_INIT("response.custom_tool_call_input.done"), INPUT_DONE},
        {TG_STR_INIT("response.reasoning_summary_text.done"), SUMMARY_DONE},
        {TG_STR_INIT("response.reasoning_text.done"), REASONING_DONE},
        {TG_STR_INIT("response.refusal.delta"), REFUSAL},
        {TG_STR_INIT("response.refusal.done"), REFUSAL_DONE},
        {TG_STR_INIT("response.completed"), WHOLE},
        {TG_STR_INIT("response.incomplete"), WHOLE},
        {TG_STR_INIT("response.failed"), FAILED},
        {TG_STR_INIT("response.cancelled"), FAILED},
        {TG_STR_INIT("error"), BROKEN},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(types); i++) {
        if (tg_str_eq(type, types[i].type))
            return types[i].what;
    }
    return OTHER;
}

/* Events that tell something of an item. */
static void on_item_event(struct doc *x, enum what what)
{
    const struct tg_json *item = tg_json_get(x->root, TG_STR("item"));
    switch (what) {
    case TEXT:
    case TEXT_DONE:
        on_text(x, TG_DELTA_TEXT, what == TEXT_DONE);
        break;
    case REFUSAL:
    case REFUSAL_DONE:
        on_text(x, TG_DELTA_REFUSAL, what == REFUSAL_DONE);
        break;
    case SUMMARY:
    case SUMMARY_DONE:
        on_reasoning(x, false, what == SUMMARY_DONE);
        break;
    case REASONING:
    case REASONING_DONE:
        on_reasoning(x, true, what == REASONING_DONE);
        break;
    case ARGUMENTS:
    case INPUT:
        on_arguments(x, "delta", false);
        break;
    case ARGUMENTS_DONE:
        on_arguments(x, "arguments", true);
        break;
    case INPUT_DONE:
        on_arguments(x, "input", true);
        break;
    case ANNOTATION:
        on_annotation(x);
        break;
    case ADDED:
        tg_responses_item_added(&x->c, index_of(x, "output_index"), item);
        break;
    case ITEM_DONE:
        tg_responses_item_done(&x->c, index_of(x, "output_index"), item);
        break;
    case OTHER:
    case CREATED:
    case WHOLE:
    case FAILED:
    case BROKEN:
        break;
    }
}

/* Pass-through wants to know only that content has begun. */
static void note_content(struct doc *x, enum what what)
{
    struct tg_event ev = {.kind = TG_EV_DELTA, .text = member(x, "delta")};
    if (what == ITEM_DONE)
        note_sealed(x, tg_json_get(x->root, TG_STR("item")));
    if (x->dec->content_seen)
        return;
    if (what == SUMMARY || what == REASONING)
        ev.delta_kind = TG_DELTA_REASONING;
    else if (what == REFUSAL)
        ev.delta_kind = TG_DELTA_REFUSAL;
    else if (what == ARGUMENTS || what == INPUT ||
             (what == ADDED && is_call(tg_json_get(x->root, TG_STR("item")))))
        ev.delta_kind = TG_DELTA_ARGUMENTS;
    else if (what != TEXT && what != ITEM_DONE)
        return;
    x->dec->content_seen = true;
    x->c.sink->on_event(x->c.sink, &ev);
}

static int on_event(struct doc *x, enum what what)
{
    const struct tg_json *response = tg_json_get(x->root, TG_STR("response"));
    if (what == CREATED)
        on_start(x, response);
    else if (what == WHOLE)
        on_whole(x, response);
    else if (what == FAILED)
        return on_failed(x, response);
    else if (what == BROKEN)
        return on_error(x, x->root);
    if (what < ADDED || what > ANNOTATION)
        return 0;
    on_start(x, NULL); /* for a server that sent no response.created */
    if (x->dec->resp.tap)
        note_content(x, what);
    else
        on_item_event(x, what);
    return 0;
}

/* ---- documents ---- */

static int on_response(struct doc *x)
{
    const struct tg_json *status = tg_json_get(x->root, TG_STR("status"));
    if (!tg_json_is_arr(tg_json_get(x->root, TG_STR("output"))))
        return on_error(x, x->root);
    if (tg_json_str_is(status, TG_STR("failed")) || tg_json_str_is(status, TG_STR("cancelled"))) {
        if (!x->dec->resp.tap) /* passed through it is the client's own affair */
            return on_failed(x, x->root);
    }
    on_whole(x, x->root);
    return 0;
}

static int on_count(struct doc *x)
{
    int64_t n;
    struct tg_usage u = {.source = TG_USAGE_REPORTED};
    if (tg_json_i64(tg_json_get(x->root, TG_STR("input_tokens")), &n) || n < 0 ||
        n > (int64_t)1 << 48)
        return on_error(x, x->root);
    u.input_tokens = n;
    on_start(x, NULL);
    x->c.d->whole = true;
    x->c.sink->on_event(x->c.sink, &(struct tg_event){.kind = TG_EV_USAGE, .usage = &u});
    return 0;
}

int tg_responses_on_json(struct tg_openai_dec *d, struct tg_json_doc *doc, struct tg_sink *sink)
{
    struct doc x = {
        .dec = d, .c = {.d = &d->responses, .doc = doc, .sink = sink}, .root = tg_json_root(doc)};
    int rc = 0;
    if (d->responses.whole)
        return 0; /* behind the end */
    struct tg_str type = tg_json_get_str(x.root, TG_STR("type"));
    if (d->resp.task == TG_TASK_COUNT)
        rc = on_count(&x);
    else if (d->mode == TG_OPENAI_BODY)
        rc = on_response(&x);
    else if (!type.n)
        rc = on_error(&x, x.root);
    else
        rc = on_event(&x, what_of(type));
    if (rc)
        return rc;
    if (x.c.err)
        return tg_openai_broken(d, sink, x.c.err,
                                x.c.err == TG_E_NOMEM
                                    ? "not enough memory for the provider's answer"
                                    : "the provider's answer has too many items");
    d->seen = true;
    return 0;
}

/* ---- a whole answer as a stream ---- */

static void event(struct tg_buf *out, const char *type, size_t *seq)
{
    tg_buf_printf(out, "event: %s\ndata: {\"type\":\"%s\",\"sequence_number\":%zu", type, type,
                  (*seq)++);
}

int tg_responses_body_to_stream(struct tg_json_doc *doc, struct tg_buf *out)
{
    static const char *const steps[] = {"response.output_item.added", "response.output_item.done"};
    const struct tg_json *root = tg_json_root(doc);
    struct tg_str status = tg_json_get_str(root, TG_STR("status"));
    size_t seq = 0;
    event(out, "response.created", &seq);
    tg_buf_lit(out, ",\"response\":");
    tg_buf_json_line(out, tg_json_raw(doc, root));
    tg_buf_lit(out, "}\n\n");
    struct tg_json_iter it = tg_json_iter(tg_json_get(root, TG_STR("output")));
    while (tg_json_next(&it)) {
        for (size_t i = 0; i < TG_ARRAY_LEN(steps); i++) {
            event(out, steps[i], &seq);
            tg_buf_printf(out, ",\"output_index\":%zu,\"item\":", it.index);
            tg_buf_json_line(out, tg_json_raw(doc, it.value));
            tg_buf_lit(out, "}\n\n");
        }
    }
    event(out,
          tg_str_eq(status, TG_STR("incomplete")) ? "response.incomplete"
          : tg_str_eq(status, TG_STR("failed"))   ? "response.failed"
                                                  : "response.completed",
          &seq);
    tg_buf_lit(out, ",\"response\":");
    tg_buf_json_line(out, tg_json_raw(doc, root));
    tg_buf_lit(out, "}\n\n");
    return tg_buf_ok(out) ? 0 : TG_E_NOMEM;
}

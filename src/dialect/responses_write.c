/* The response object of OpenAI's Responses (Response of its API description): what was asked is
 * said again, as its servers do. Also the errors of this format. */
#include "base/err.h"
#include "dialect/responses_priv.h"

static void member(struct tg_buf *out, const char *key, struct tg_str json)
{
    tg_buf_char(out, ',');
    tg_buf_json_str(out, tg_str_c(key));
    tg_buf_char(out, ':');
    tg_buf_json_line(out, json.n ? json : TG_STR("null"));
}

/* The request's member as it was sent, or `fallback`. */
static void echo(struct tg_buf *out, const struct tg_body *b, const char *key, enum tg_field id,
                 struct tg_str fallback)
{
    struct tg_str sent = b ? tg_body_raw(b, id) : TG_STR("");
    member(out, key, sent.n ? sent : fallback);
}

/* A member that the table only checks. */
static void echo_named(struct tg_buf *out, const struct tg_body *b, const char *key)
{
    const struct tg_json *v = b ? tg_json_get(b->root, tg_str_c(key)) : NULL;
    member(out, key, tg_json_is_nil(v) ? TG_STR("null") : tg_json_raw(b->doc, v));
}

static void write_usage(const struct tg_usage *u, struct tg_buf *out)
{
    if (!u || u->source == TG_USAGE_ABSENT) {
        tg_buf_lit(out, "null");
        return;
    }
    tg_buf_lit(out, "{\"input_tokens\":");
    tg_buf_i64(out, tg_usage_prompt(u));
    tg_buf_lit(out, ",\"input_tokens_details\":{\"cached_tokens\":");
    tg_buf_i64(out, u->cache_read_tokens);
    if (u->cache_write_tokens) {
        tg_buf_lit(out, ",\"cache_write_tokens\":");
        tg_buf_i64(out, u->cache_write_tokens);
    }
    tg_buf_lit(out, "},\"output_tokens\":");
    tg_buf_i64(out, tg_usage_completion(u));
    tg_buf_lit(out, ",\"output_tokens_details\":{\"reasoning_tokens\":");
    tg_buf_i64(out, u->reasoning_tokens);
    tg_buf_lit(out, "},\"total_tokens\":");
    tg_buf_i64(out, tg_usage_total(u));
    tg_buf_char(out, '}');
}

static struct tg_str fail_message(const struct tg_fail *f)
{
    struct tg_str message = tg_str_c(f->message);
    return message.n ? message : tg_str_c(tg_err_info(f->err)->text);
}

static void write_error(const struct tg_fail *f, struct tg_buf *out)
{
    if (!f) {
        tg_buf_lit(out, "null");
        return;
    }
    tg_buf_lit(out, "{\"code\":");
    tg_buf_json_str(out, tg_str_c(tg_fail_code(f)));
    tg_buf_lit(out, ",\"message\":");
    tg_buf_json_str(out, fail_message(f));
    tg_buf_char(out, '}');
}

static int write_output(const struct tg_responses_render *r, const struct tg_responses_end *end,
                        struct tg_buf *out)
{
    /* An answer that ended early ended in its last item. */
    bool whole = tg_str_eq(end->status, TG_STR("completed"));
    int rc = 0;
    tg_buf_char(out, '[');
    for (size_t i = 0; i < r->n_items && !rc; i++) {
        if (i)
            tg_buf_char(out, ',');
        rc = tg_responses_write_item(
            r, &r->items[i],
            whole || i + 1 < r->n_items ? TG_STR("completed") : TG_STR("incomplete"), false, out);
    }
    tg_buf_char(out, ']');
    return rc;
}

static void write_settings(const struct tg_body *b, const struct tg_render_info *info,
                           struct tg_buf *out)
{
    echo(out, b, "parallel_tool_calls", TG_F_PARALLEL_TOOL_CALLS, TG_STR("true"));
    echo(out, b, "previous_response_id", TG_F_PREVIOUS, TG_STR("null"));
    echo_named(out, b, "prompt_cache_key");
    echo(out, b, "reasoning", TG_F_REASONING, TG_STR("{\"effort\":null,\"summary\":null}"));
    echo(out, b, "safety_identifier", TG_F_SAFETY, TG_STR("null"));
}

static void write_more_settings(const struct tg_body *b, const struct tg_render_info *info,
                                struct tg_buf *out)
{
    member(out, "store", info->call && info->call->store ? TG_STR("true") : TG_STR("false"));
    echo(out, b, "temperature", TG_F_TEMPERATURE, TG_STR("null"));
    echo(out, b, "text", TG_F_TEXT, TG_STR("{\"format\":{\"type\":\"text\"}}"));
    echo(out, b, "tool_choice", TG_F_TOOL_CHOICE, TG_STR("\"auto\""));
    echo(out, b, "tools", TG_F_TOOLS, TG_STR("[]"));
    echo(out, b, "top_logprobs", TG_F_TOP_LOGPROBS, TG_STR("0"));
    echo(out, b, "top_p", TG_F_TOP_P, TG_STR("null"));
    echo(out, b, "truncation", TG_F_TRUNCATION, TG_STR("\"disabled\""));
}

int tg_responses_write_response(const struct tg_responses_render *r,
                                const struct tg_render_info *info,
                                const struct tg_responses_end *end, struct tg_buf *out,
                                size_t *out_at, size_t *out_n)
{
    bool ours = info->call && info->call->dialect == &tg_dialect_responses;
    const struct tg_body *b = ours ? info->call->parsed : NULL;
    tg_buf_lit(out, "{\"id\":");
    tg_buf_json_str(out, r->id);
    tg_buf_lit(out, ",\"object\":\"response\",\"created_at\":");
    tg_buf_i64(out, info->created_s);
    tg_buf_lit(out, ",\"status\":");
    tg_buf_json_str(out, end->status);
    tg_buf_lit(out, ",\"background\":false,\"error\":");
    write_error(end->fail, out);
    tg_buf_lit(out, ",\"incomplete_details\":");
    if (end->reason.n) {
        tg_buf_lit(out, "{\"reason\":");
        tg_buf_json_str(out, end->reason);
        tg_buf_char(out, '}');
    } else {
        tg_buf_lit(out, "null");
    }
    echo(out, b, "instructions", TG_F_INSTRUCTIONS, TG_STR("null"));
    echo(out, b, "max_output_tokens", TG_F_MAX_COMPLETION_TOKENS, TG_STR("null"));
    echo_named(out, b, "max_tool_calls");
    tg_buf_lit(out, ",\"model\":");
    tg_buf_json_str(out, info->model);
    tg_buf_lit(out, ",\"output\":");
    *out_at = out->n;
    int rc = tg_str_eq(end->status, TG_STR("in_progress")) ? tg_buf_lit(out, "[]")
                                                           : write_output(r, end, out);
    *out_n = out->n - *out_at;
    write_settings(b, info, out);
    if (r->service_tier.n) {
        tg_buf_lit(out, ",\"service_tier\":");
        tg_buf_json_str(out, r->service_tier);
    } else {
        echo(out, b, "service_tier", TG_F_SERVICE_TIER, TG_STR("null"));
    }
    write_more_settings(b, info, out);
    tg_buf_lit(out, ",\"usage\":");
    write_usage(end->usage, out);
    echo(out, b, "user", TG_F_USER, TG_STR("null"));
    echo(out, b, "metadata", TG_F_METADATA, TG_STR("{}"));
    tg_buf_char(out, '}');
    return rc;
}

/* ---- errors ---- */

/* The numbers go on from what the client has; the answer is the provider's still. */
void tg_responses_broken_passed(const struct tg_passed *passed, const struct tg_render_info *info,
                                const struct tg_fail *fail, struct tg_buf *out)
{
    struct tg_responses_render r = {.state = TG_RESPONSES_BEGUN, .seq = passed->n_events};
    struct tg_render_info streamed = *info;
    struct tg_arena a;
    tg_arena_init(&a, 1024, 1 << 20);
    if (passed->model.n)
        streamed.model = passed->model;
    if (passed->id.n)
        r.id = passed->id;
    else if (tg_responses_answer_id(&a, info->request_id, &r.id))
        r.id = TG_STR("resp_");
    if (tg_responses_broken(&r, &streamed, fail, out))
        out->failed = true;
    tg_arena_fini(&a);
}

void tg_responses_fail(const struct tg_fail *fail, struct tg_str request_id, bool in_stream,
                       struct tg_buf *out)
{
    if (!in_stream) {
        tg_dialect_openai_fail(fail, request_id, false, out);
        return;
    }
    struct tg_render_info info = {.request_id = request_id, .model = TG_STR("")};
    struct tg_passed nothing = {.n_events = 0};
    tg_responses_broken_passed(&nothing, &info, fail, out);
}

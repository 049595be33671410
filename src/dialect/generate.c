/* POST /v1/generate: prompt in, text out, in the one shape that serves both kinds of client. Always
 * translated, to a chat of one user message, so that every chat model can serve it. */
#include "base/err.h"
#include "base/num.h"
#include "chat/collect.h"
#include "dialect/body_priv.h"
#include "dialect/dialect.h"
#include "dialect/fields_priv.h"
#include "dialect/template_priv.h"

/* In order of length. max_length is the older name of max_tokens. */
static const struct tg_field_rule rules[] = {
    TG_RULE("stop", TG_F_STOP, TG_CHECK_STRINGS),
    TG_RULE("model", TG_F_MODEL, TG_CHECK_STRING),
    TG_RANGE("top_p", TG_F_TOP_P, TG_CHECK_NUMBER, 0, 1),
    TG_RULE("prompt", TG_F_PROMPT, TG_CHECK_STRING),
    TG_RULE("stream", TG_F_STREAM, TG_CHECK_BOOL),
    TG_RULE("user_id", TG_F_USER, TG_CHECK_STRING),
    TG_RULE("api_key", TG_F_NONE, TG_CHECK_REFUSED),
    TG_RULE("api_base", TG_F_NONE, TG_CHECK_REFUSED),
    TG_RULE("base_url", TG_F_NONE, TG_CHECK_REFUSED),
    TG_RULE("metadata", TG_F_METADATA, TG_CHECK_OBJECT),
    TG_RULE("template", TG_F_TEMPLATE, TG_CHECK_STRING),
    TG_RULE("variables", TG_F_VARIABLES, TG_CHECK_OBJECT),
    TG_RANGE("max_length", TG_F_MAX_COMPLETION_TOKENS, TG_CHECK_INT, 1, 1e15),
    TG_RANGE("max_tokens", TG_F_MAX_TOKENS, TG_CHECK_INT, 1, 1e15),
    TG_RANGE("temperature", TG_F_TEMPERATURE, TG_CHECK_NUMBER, 0, 2),
    TG_RULE("extra_headers", TG_F_NONE, TG_CHECK_REFUSED),
};
static const struct tg_field_table table = {rules, TG_ARRAY_LEN(rules), TG_STR_INIT("")};

struct parsed {
    struct tg_body *body;
    struct tg_str prompt; /* as the model gets it */
};

static int check_max_tokens(struct tg_body *b, struct tg_fail *f)
{
    int64_t tokens, length;
    if (tg_json_i64(b->v[TG_F_MAX_COMPLETION_TOKENS], &length))
        return 0;
    if (tg_json_i64(b->v[TG_F_MAX_TOKENS], &tokens) == 0 && tokens != length)
        return tg_fail_param(
            f, TG_E_INVALID_VALUE, "max_length",
            "'max_length' and 'max_tokens' are two names of one setting and differ");
    b->v[TG_F_MAX_TOKENS] = b->v[TG_F_MAX_COMPLETION_TOKENS];
    b->v[TG_F_MAX_COMPLETION_TOKENS] = NULL;
    return 0;
}

static int find_prompt(struct tg_arena *a, const struct tg_body *b, struct tg_str *out,
                       struct tg_fail *f)
{
    struct tg_str prompt = tg_body_str(b, TG_F_PROMPT), template = tg_body_str(b, TG_F_TEMPLATE);
    if (template.p)
        return tg_template_render(a, template, b->v[TG_F_VARIABLES], prompt, out, f);
    if (!prompt.p)
        return tg_fail_param(f, TG_E_MISSING_FIELD, "prompt", "'prompt' is missing");
    if (!tg_json_is_nil(b->v[TG_F_VARIABLES]))
        return tg_fail_param(f, TG_E_INVALID_VALUE, "variables",
                             "'variables' is given without a 'template'");
    *out = prompt;
    return 0;
}

static int open_generate(struct tg_arena *a, const struct tg_http_head *head, struct tg_str text,
                         struct tg_call *out, struct tg_fail *f)
{
    struct parsed *p = tg_arena_new(a, struct parsed);
    if (!p)
        return tg_fail_set(f, TG_E_NOMEM, "not enough memory for the request");
    int rc = tg_body_open(a, text, &table, &p->body, f);
    if (!rc)
        rc = check_max_tokens(p->body, f);
    if (!rc)
        rc = find_prompt(a, p->body, &p->prompt, f);
    if (rc)
        return rc;
    *out = (struct tg_call){
        .dialect = &tg_dialect_generate,
        .body = text,
        .model = tg_body_str(p->body, TG_F_MODEL),
        .stream = tg_body_true(p->body, TG_F_STREAM),
        .include_usage = true, /* the last event has it */
        .user = tg_body_str(p->body, TG_F_USER),
        .metadata = tg_body_raw(p->body, TG_F_METADATA),
        .parsed = p,
    };
    return 0;
}

static int parse_generate(struct tg_arena *a, const struct tg_call *call, struct tg_chat_req *out,
                          struct tg_fail *f)
{
    const struct parsed *p = call->parsed;
    struct tg_chat_req req = tg_call_request(call);
    req.include_usage = call->stream;
    int rc = tg_body_sampling(p->body, &req.sampling, f);
    if (!rc)
        rc = tg_body_one_message(a, TG_STR(""), p->prompt, &req);
    if (rc)
        return tg_fail_set(f, rc, "not enough memory for the request");
    *out = req;
    return 0;
}

/* ---- rendering ---- */

struct render {
    struct tg_collect collect; /* also of a stream: its last event has the whole text */
};

static int begin(void *state, const struct tg_render_info *info)
{
    return 0;
}

static void fini(void *state)
{
    struct render *r = state;
    tg_collect_fini(&r->collect);
}

static bool is_text(const struct tg_event *ev)
{
    return ev->choice == 0 && ev->kind == TG_EV_DELTA &&
           (ev->delta_kind == TG_DELTA_TEXT || ev->delta_kind == TG_DELTA_REFUSAL);
}

static int render(void *state, const struct tg_render_info *info, const struct tg_event *ev,
                  struct tg_buf *out)
{
    struct render *r = state;
    if (!is_text(ev) && ev->kind != TG_EV_FINISH)
        return 0;
    int rc = tg_collect_on_event(&r->collect, ev);
    if (rc || !info->stream || !is_text(ev) || !ev->text.n)
        return rc;
    tg_buf_lit(out, "data: {\"text\":");
    tg_buf_json_str(out, ev->text);
    tg_buf_lit(out, "}\n\n");
    return tg_buf_ok(out) ? 0 : TG_E_FULL;
}

/* Parts of the completion as the inside of a JSON string. */
static void write_text(const struct render *r, struct tg_buf *out)
{
    if (!r->collect.n_choices)
        return;
    const struct tg_collect_choice *ch = &r->collect.choices[0];
    for (size_t i = 0; i < ch->n_parts; i++)
        tg_buf_json(out, tg_buf_str(&ch->parts[i].text));
}

static void write_count(const char *key, bool known, int64_t v, struct tg_buf *out)
{
    tg_buf_str_add(out, tg_str_c(key));
    if (known)
        tg_buf_i64(out, v);
    else
        tg_buf_lit(out, "null");
}

/* v / 10^digits, exactly, without trailing zeros. */
static void write_fixed(uint64_t v, unsigned digits, struct tg_buf *out)
{
    uint64_t scale = 1;
    for (unsigned i = 0; i < digits; i++)
        scale *= 10;
    tg_buf_u64(out, v / scale);
    uint64_t rest = v % scale;
    if (!rest)
        return;
    tg_buf_char(out, '.');
    while (rest) {
        scale /= 10;
        tg_buf_char(out, (char)('0' + rest / scale));
        rest %= scale;
    }
}

static struct tg_str finish_word(const struct render *r)
{
    if (!r->collect.n_choices)
        return TG_STR("stop");
    const struct tg_collect_choice *ch = &r->collect.choices[0];
    if (!ch->finished)
        return TG_STR("stop");
    if (ch->finish == TG_FINISH_OTHER)
        return ch->finish_text.n ? tg_buf_str(&ch->finish_text) : TG_STR("stop");
    return tg_str_c(tg_finish_name(ch->finish));
}

static void write_answer(const struct render *r, const struct tg_render_info *info,
                         const struct tg_usage *usage, uint64_t now_us, struct tg_buf *out)
{
    const struct parsed *p = info->call->parsed;
    bool known = usage && usage->source != TG_USAGE_ABSENT;
    tg_buf_lit(out, "{\"completion\":\"");
    write_text(r, out);
    if (!info->stream) {
        tg_buf_lit(out, "\",\"generated_text\":\"");
        tg_buf_json(out, p->prompt);
        write_text(r, out);
    }
    tg_buf_lit(out, "\",\"prompt\":");
    tg_buf_json_str(out, p->prompt);
    tg_buf_lit(out, ",\"model\":");
    tg_buf_json_str(out, info->model);
    write_count(",\"prompt_tokens\":", known, known ? tg_usage_prompt(usage) : 0, out);
    write_count(",\"completion_tokens\":", known, known ? tg_usage_completion(usage) : 0, out);
    write_count(",\"total_tokens\":", known, known ? tg_usage_total(usage) : 0, out);
    tg_buf_lit(out, ",\"cost_usd\":");
    if (info->has_cost && info->cost_nusd >= 0)
        write_fixed((uint64_t)info->cost_nusd, 9, out);
    else
        tg_buf_lit(out, "null");
    tg_buf_lit(out, ",\"request_id\":");
    tg_buf_json_str(out, info->request_id);
    tg_buf_str_add(out, info->cached ? TG_STR(",\"cached\":true") : TG_STR(",\"cached\":false"));
    tg_buf_lit(out, ",\"latency_ms\":");
    write_fixed(now_us > info->started_us ? now_us - info->started_us : 0, 3, out);
    tg_buf_lit(out, ",\"finish_reason\":");
    tg_buf_json_str(out, finish_word(r));
    tg_buf_lit(out, ",\"provider\":");
    tg_buf_json_str(out, info->provider);
    tg_buf_char(out, '}');
}

static int finish(void *state, const struct tg_render_info *info, const struct tg_usage *usage,
                  uint64_t now_us, struct tg_buf *out)
{
    if (info->stream)
        tg_buf_lit(out, "data: ");
    write_answer(state, info, usage, now_us, out);
    if (info->stream)
        tg_buf_lit(out, "\n\ndata: [DONE]\n\n");
    return tg_buf_ok(out) ? 0 : TG_E_FULL;
}

static const struct tg_endpoint endpoints[] = {
    {TG_HTTP_POST, "/v1/generate", "Prompt in, text out", "GenerateRequest", "Generated",
     "GenerateEvent", "OpenAIError"},
};

const struct tg_dialect tg_dialect_generate = {
    .name = "generate",
    .fields = tg_fields_generate,
    .prompt_field = "prompt",
    .endpoints = endpoints,
    .n_endpoints = TG_ARRAY_LEN(endpoints),
    .format = TG_WIRE_NONE,
    .open = open_generate,
    .parse = parse_generate,
    .state_bytes = sizeof(struct render),
    .begin = begin,
    .render = render,
    .finish = finish,
    .fini = fini,
    .render_fail = tg_dialect_openai_fail,
    .stream_content_type = "text/event-stream",
};

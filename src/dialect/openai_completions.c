/* POST /v1/completions, the raw prompt. Source: OpenAI's API description, CreateCompletionRequest
 * and CreateCompletionResponse. Bodies of every form pass through to a provider of the same format;
 * the canonical form holds one prompt text. */
#include "base/err.h"
#include "chat/logprobs.h"
#include "dialect/fields_priv.h"
#include "dialect/openai_priv.h"

/* In order of length. */
static const struct tg_field_rule rules[] = {
    TG_RANGE("n", TG_F_N, TG_CHECK_INT, 1, 128),
    TG_RULE("echo", TG_F_ECHO, TG_CHECK_BOOL),
    TG_RULE("stop", TG_F_STOP, TG_CHECK_STRINGS),
    TG_RULE("seed", TG_F_SEED, TG_CHECK_INT),
    TG_RULE("user", TG_F_USER, TG_CHECK_STRING),
    TG_RULE("model", TG_F_MODEL, TG_CHECK_STRING | TG_CHECK_NOT_NULL),
    TG_RANGE("top_p", TG_F_TOP_P, TG_CHECK_NUMBER, 0, 1),
    TG_RULE("top_k", TG_F_TOP_K, TG_CHECK_ANY),
    TG_RULE("min_p", TG_F_MIN_P, TG_CHECK_ANY),
    TG_RULE("prompt", TG_F_PROMPT, TG_CHECK_STRING_OR_ARRAY),
    TG_RULE("suffix", TG_F_SUFFIX, TG_CHECK_STRING),
    TG_RULE("stream", TG_F_STREAM, TG_CHECK_BOOL),
    TG_RULE("api_key", TG_F_NONE, TG_CHECK_REFUSED),
    TG_RANGE("best_of", TG_F_BEST_OF, TG_CHECK_INT, 0, 128),
    TG_RULE("api_base", TG_F_NONE, TG_CHECK_REFUSED),
    TG_RULE("base_url", TG_F_NONE, TG_CHECK_REFUSED),
    TG_RANGE("logprobs", TG_F_LOGPROBS, TG_CHECK_INT, 0, 100),
    TG_RULE("metadata", TG_F_METADATA, TG_CHECK_OBJECT),
    TG_RANGE("max_tokens", TG_F_MAX_TOKENS, TG_CHECK_INT, 0, 1e15),
    TG_RULE("logit_bias", TG_F_LOGIT_BIAS, TG_CHECK_OBJECT),
    TG_RANGE("temperature", TG_F_TEMPERATURE, TG_CHECK_NUMBER, 0, 2),
    TG_RULE("extra_headers", TG_F_NONE, TG_CHECK_REFUSED),
    TG_RULE("stream_options", TG_F_STREAM_OPTIONS, TG_CHECK_OBJECT),
    TG_RULE("repeat_penalty", TG_F_REPEAT, TG_CHECK_ANY),
    TG_RANGE("presence_penalty", TG_F_PRESENCE, TG_CHECK_NUMBER, -2, 2),
    TG_RANGE("frequency_penalty", TG_F_FREQUENCY, TG_CHECK_NUMBER, -2, 2),
    TG_RULE("repetition_penalty", TG_F_REPETITION, TG_CHECK_ANY),
};
static const struct tg_field_table table = {rules, TG_ARRAY_LEN(rules), TG_STR_INIT("")};

static bool all_of(const struct tg_json *list, enum tg_json_type type)
{
    struct tg_json_iter it = tg_json_iter(list);
    while (tg_json_next(&it)) {
        if (tg_json_type(it.value) != type)
            return false;
    }
    return true;
}

/* A string, or an array of strings, of tokens, or of arrays of tokens. */
static int check_prompt(const struct tg_json *p, struct tg_fail *f)
{
    if (tg_json_is_nil(p))
        return tg_fail_param(f, TG_E_MISSING_FIELD, "prompt", "'prompt' is missing");
    if (tg_json_is_str(p))
        return 0;
    bool good = tg_json_count(p) > 0 && (all_of(p, TG_JSON_STRING) || all_of(p, TG_JSON_NUMBER) ||
                                         all_of(p, TG_JSON_ARRAY));
    struct tg_json_iter it = tg_json_iter(p);
    while (good && tg_json_next(&it))
        good = !tg_json_is_arr(it.value) || all_of(it.value, TG_JSON_NUMBER);
    if (good)
        return 0;
    return tg_fail_param(f, TG_E_INVALID_VALUE, "prompt",
                         "'prompt' must be a string, an array of strings, or arrays of tokens");
}

static int open_completions(struct tg_arena *a, const struct tg_http_head *head, struct tg_str text,
                            struct tg_call *out, struct tg_fail *f)
{
    struct tg_body *b;
    int rc = tg_body_open(a, text, &table, &b, f);
    if (rc)
        return rc;
    rc = check_prompt(b->v[TG_F_PROMPT], f);
    if (rc)
        return rc;
    tg_body_fill_call(&tg_dialect_openai_completions, text, b, out);
    out->dialect = &tg_dialect_openai_completions;
    return 0;
}

/* The one text that a prompt is, {NULL,0} when it is something else. */
static struct tg_str one_prompt(const struct tg_body *b)
{
    const struct tg_json *p = b->v[TG_F_PROMPT];
    if (tg_json_is_arr(p) && tg_json_count(p) == 1)
        p = tg_json_at(p, 0);
    return tg_json_str(p);
}

static int unsupported(const char *param, const char *text, struct tg_fail *f)
{
    return tg_fail_param(f, TG_E_UNSUPPORTED_PARAMETER, param, "%s", text);
}

/* What only a provider of this very format can do. */
static int check_translatable(const struct tg_body *b, struct tg_fail *f)
{
    int64_t best_of = 1, n = 1;
    if (!one_prompt(b).p)
        return unsupported("prompt", "this model takes one text as 'prompt' only", f);
    if (tg_body_str(b, TG_F_SUFFIX).n)
        return unsupported("suffix", "'suffix' is not supported by this model", f);
    if (!tg_json_is_nil(b->v[TG_F_N]) && tg_json_i64(b->v[TG_F_N], &n))
        n = 1;
    if (tg_json_i64(b->v[TG_F_BEST_OF], &best_of) == 0 && best_of > n)
        return unsupported("best_of", "'best_of' is not supported by this model", f);
    if (tg_body_true(b, TG_F_ECHO) && !tg_json_is_nil(b->v[TG_F_LOGPROBS]))
        return unsupported("echo", "'echo' with 'logprobs' is not supported by this model", f);
    return 0;
}

static int parse_completions(struct tg_arena *a, const struct tg_call *call,
                             struct tg_chat_req *out, struct tg_fail *f)
{
    const struct tg_body *b = call->parsed;
    struct tg_chat_req req = tg_call_request(call);
    req.is_completion = true;
    req.prompt = one_prompt(b);
    int rc = check_translatable(b, f);
    if (!rc)
        rc = tg_body_sampling(b, &req.sampling, f);
    if (rc)
        return rc;
    if (tg_json_i64(b->v[TG_F_LOGPROBS], &req.sampling.top_logprobs) == 0) {
        req.sampling.has |= TG_HAS_LOGPROBS | TG_HAS_TOP_LOGPROBS;
        req.sampling.logprobs = true;
    }
    rc = tg_body_top_extra(a, b, &table, &req.extra);
    if (rc)
        return tg_fail_set(f, rc, "not enough memory for the request");
    *out = req;
    return 0;
}

/* ---- rendering ---- */

struct render {
    struct tg_str id, head, tail, echo;
    uint64_t *begun; /* bit per choice: something was sent */
    size_t n_words;
    struct tg_collect collect;
};

enum { MAX_CHOICES = 4096 };

static int begin(void *state, const struct tg_render_info *info)
{
    struct render *r = state;
    r->id = info->id;
    if (tg_str_starts(info->id, TG_STR("chatcmpl-")))
        r->id = tg_str_from(info->id, 4); /* "cmpl-…" */
    if (info->call && info->call->dialect == &tg_dialect_openai_completions) {
        const struct tg_body *b = info->call->parsed;
        if (tg_body_true(b, TG_F_ECHO))
            r->echo = one_prompt(b);
    }
    if (!info->stream)
        return 0;
    struct tg_buf b;
    tg_buf_init(&b, 64 * 1024);
    tg_buf_lit(&b, "data: ");
    tg_openai_write_head(info, r->id, TG_STR("text_completion"), &b);
    if (tg_buf_ok(&b))
        r->head = tg_arena_dup(info->arena, tg_buf_str(&b));
    tg_buf_fini(&b);
    r->tail = info->include_usage ? TG_STR("],\"usage\":null}\n\n") : TG_STR("]}\n\n");
    return r->head.p ? 0 : TG_E_NOMEM;
}

static void fini(void *state)
{
    struct render *r = state;
    tg_collect_fini(&r->collect);
}

/* True the first time it is asked for a choice. Negative: no memory. */
static int first_of(struct render *r, const struct tg_render_info *info, uint32_t choice)
{
    size_t word = choice / 64;
    if (choice >= MAX_CHOICES)
        return TG_E_UPSTREAM_TOO_LARGE;
    if (word >= r->n_words) {
        uint64_t *p =
            tg_arena_grow(info->arena, r->begun, r->n_words * sizeof(*p), (word + 1) * sizeof(*p));
        if (!p)
            return TG_E_NOMEM;
        memset(p + r->n_words, 0, (word + 1 - r->n_words) * sizeof(*p));
        r->begun = p;
        r->n_words = word + 1;
    }
    uint64_t bit = (uint64_t)1 << (choice % 64);
    bool first = !(r->begun[word] & bit);
    r->begun[word] |= bit;
    return first;
}

static struct tg_str finish_word(enum tg_finish f)
{
    return f == TG_FINISH_TOOL_CALLS ? TG_STR("stop") : tg_openai_finish(f);
}

static void write_choice(uint32_t index, struct tg_str echo, struct tg_str text, struct tg_buf *out)
{
    tg_buf_lit(out, "{\"index\":");
    tg_buf_u64(out, index);
    tg_buf_lit(out, ",\"text\":\"");
    tg_buf_json(out, echo);
    tg_buf_json(out, text);
    tg_buf_lit(out, "\",\"logprobs\":");
}

static int render(void *state, const struct tg_render_info *info, const struct tg_event *ev,
                  struct tg_buf *out)
{
    struct render *r = state;
    if (!info->stream)
        return tg_collect_on_event(&r->collect, ev);
    bool text = ev->kind == TG_EV_DELTA && /* a refusal has no other place here */
                (ev->delta_kind == TG_DELTA_TEXT || ev->delta_kind == TG_DELTA_REFUSAL);
    if (!text && ev->kind != TG_EV_FINISH)
        return 0;
    int first = first_of(r, info, ev->choice);
    if (first < 0)
        return first;
    tg_buf_str_add(out, r->head);
    write_choice(ev->choice, first ? r->echo : TG_STR(""), text ? ev->text : TG_STR(""), out);
    tg_buf_json_line(out, text && ev->logprobs.n ? ev->logprobs : TG_STR("null"));
    tg_buf_lit(out, ",\"finish_reason\":");
    if (text)
        tg_buf_lit(out, "null");
    else
        tg_buf_json_str(out, finish_word(ev->finish));
    tg_buf_char(out, '}');
    tg_buf_str_add(out, r->tail);
    return tg_buf_ok(out) ? 0 : TG_E_FULL;
}

static int single_choice(const struct render *r, const struct tg_collect_choice *ch,
                         struct tg_buf *out)
{
    struct tg_buf text;
    tg_buf_init(&text, TG_COLLECT_MAX_BYTES);
    tg_collect_text(ch, TG_PART_TEXT, &text);
    tg_collect_text(ch, TG_PART_REFUSAL, &text);
    int rc = tg_buf_ok(&text) ? 0 : TG_E_NOMEM;
    write_choice(ch->index, r->echo, tg_buf_str(&text), out);
    tg_buf_fini(&text);
    if (!rc)
        rc = tg_logprobs_join(tg_buf_str(&ch->logprobs), out);
    tg_buf_lit(out, ",\"finish_reason\":");
    tg_buf_json_str(out, finish_word(ch->finish));
    tg_buf_char(out, '}');
    return rc;
}

static int finish(void *state, const struct tg_render_info *info, const struct tg_usage *usage,
                  uint64_t now_us, struct tg_buf *out)
{
    struct render *r = state;
    bool known = usage && usage->source != TG_USAGE_ABSENT;
    if (info->stream) {
        if (info->include_usage && known) {
            tg_buf_str_add(out, r->head);
            tg_buf_lit(out, "],\"usage\":");
            tg_openai_write_usage(usage, out);
            tg_buf_lit(out, "}\n\n");
        }
        tg_buf_lit(out, "data: [DONE]\n\n");
        return tg_buf_ok(out) ? 0 : TG_E_FULL;
    }
    tg_openai_write_head(info, r->id, TG_STR("text_completion"), out);
    for (size_t i = 0; i < r->collect.n_choices; i++) {
        if (i)
            tg_buf_char(out, ',');
        int rc = single_choice(r, &r->collect.choices[i], out);
        if (rc)
            return rc;
    }
    tg_buf_lit(out, "],\"usage\":");
    tg_openai_write_usage(usage, out);
    tg_buf_char(out, '}');
    return tg_buf_ok(out) ? 0 : TG_E_FULL;
}

static const struct tg_endpoint endpoints[] = {
    {TG_HTTP_POST, "/v1/completions", "OpenAI completions of a raw prompt", "CompletionRequest",
     "Completion", "CompletionChunk", "OpenAIError"},
};

const struct tg_dialect tg_dialect_openai_completions = {
    .name = "openai_completions",
    .fields = tg_fields_openai_completions,
    .prompt_field = "prompt",
    .endpoints = endpoints,
    .n_endpoints = TG_ARRAY_LEN(endpoints),
    .format = TG_WIRE_OPENAI_COMPLETIONS,
    .open = open_completions,
    .parse = parse_completions,
    .splice = tg_openai_splice,
    .state_bytes = sizeof(struct render),
    .begin = begin,
    .render = render,
    .finish = finish,
    .fini = fini,
    .render_fail = tg_dialect_openai_fail,
    .stream_content_type = "text/event-stream",
};

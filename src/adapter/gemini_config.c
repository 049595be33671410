/* Tools, toolConfig, generationConfig. Only what the client gave is written.
 *
 * How much to think. Gemini 3 has levels, 2.5 a budget of tokens, and for both Google's own OpenAI
 * endpoint says what an effort means (ai.google.dev/gemini-api/docs/openai, "Thinking"):
 *
 *   reasoning_effort   Gemini 3        Gemini 2.5
 *   none               minimal (1)     0 (2)
 *   minimal            minimal (1)     1,024
 *   low                low             1,024
 *   medium             medium (3)      8,192
 *   high and above     high            24,576
 *
 * (1) Pro has no such level: low. (2) 2.5 Pro can't but think: 128. (3) gemini-3-pro: high. Budgets
 * are kept within the model's range. */
#include "adapter/encode_priv.h"
#include "adapter/gemini_priv.h"
#include "base/err.h"

/* ---- models ---- */

static bool has(struct tg_str name, struct tg_str word)
{
    return tg_str_find(name, word) >= 0;
}

struct tg_gemini_model tg_gemini_model_of(struct tg_str name)
{
    struct tg_gemini_model m = {.pro = has(name, TG_STR("pro")), .lite = has(name, TG_STR("lite"))};
    ptrdiff_t at = tg_str_find(name, TG_STR("gemini-"));
    struct tg_str rest = at < 0 ? TG_STR("") : tg_str_from(name, (size_t)at + 7);
    m.three_pro = tg_str_starts(rest, TG_STR("3-pro"));
    if (tg_str_starts(rest, TG_STR("2.5")))
        m.thinking = TG_GEMINI_BUDGET;
    else if (rest.n &&
             ((rest.p[0] >= '3' && rest.p[0] <= '9') || tg_str_ends(rest, TG_STR("-latest"))))
        m.thinking = TG_GEMINI_LEVEL; /* "gemini-flash-latest" */
    if (has(name, TG_STR("1.5-")) || has(name, TG_STR("1.0-")) || has(name, TG_STR("2.0-")))
        m.thinking = TG_GEMINI_NO_THINKING;
    return m;
}

/* ---- tools ---- */

static int write_function(struct tg_gemini_enc *e, const struct tg_tool *t)
{
    struct tg_jw *w = &e->w;
    if (e->own && t->raw.n) {
        tg_jw_raw(w, t->raw);
        return 0;
    }
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("name"), t->name);
    if (t->description.n)
        tg_jw_kstr(w, TG_STR("description"), t->description);
    if (t->parameters.n) {
        tg_jw_key(w, TG_STR("parametersJsonSchema"));
        if (tg_gemini_write_schema(e, t->parameters))
            e->emulated |= TG_FEATURE_BIT(TOOLS);
    }
    tg_jw_end_obj(w);
    return 0;
}

static void close_functions(struct tg_gemini_enc *e, bool *open)
{
    if (!*open)
        return;
    tg_jw_end_arr(&e->w);
    tg_jw_end_obj(&e->w);
    *open = false;
}

/* Functions that follow each other are one tool of Google's. */
static int write_tools(struct tg_gemini_enc *e)
{
    struct tg_jw *w = &e->w;
    bool open = false;
    if (!e->req->n_tools)
        return 0;
    tg_jw_key(w, TG_STR("tools"));
    tg_jw_arr(w);
    for (size_t i = 0; i < e->req->n_tools; i++) {
        const struct tg_tool *t = &e->req->tools[i];
        if (!t->is_function) {
            if (!e->own || !t->raw.n)
                return tg_adapter_cannot_tool(e->fail, i, &e->req->tools[i]);
            close_functions(e, &open);
            tg_jw_raw(w, t->raw);
            continue;
        }
        if (!open) {
            tg_jw_obj(w);
            tg_jw_key(w, TG_STR("functionDeclarations"));
            tg_jw_arr(w);
        }
        open = true;
        int rc = write_function(e, t);
        if (rc)
            return rc;
    }
    close_functions(e, &open);
    tg_jw_end_arr(w);
    return 0;
}

static bool has_function(const struct tg_chat_req *req, struct tg_str name)
{
    for (size_t i = 0; i < req->n_tools; i++) {
        if (req->tools[i].is_function && (!name.n || tg_str_eq(req->tools[i].name, name)))
            return true;
    }
    return false;
}

/* A choice among no functions is refused by Google: it goes with the functions only. */
static int write_tool_choice(struct tg_gemini_enc *e)
{
    const struct tg_tool_choice *t = &e->req->tool_choice;
    struct tg_jw *w = &e->w;
    if (e->own && t->raw.n) {
        tg_jw_kraw(w, TG_STR("toolConfig"), t->raw);
        return 0;
    }
    if (t->kind == TG_TOOL_CHOICE_RAW)
        return tg_fail_param(e->fail, TG_E_UNSUPPORTED_PARAMETER, "tool_choice",
                             "this form of 'tool_choice' is not supported by this model's API");
    if (t->kind == TG_TOOL_CHOICE_NAMED && !has_function(e->req, t->name))
        return tg_fail_param(e->fail, TG_E_UNSUPPORTED_PARAMETER, "tool_choice",
                             "'tool_choice' names a tool that is not among 'tools'");
    if (t->kind == TG_TOOL_CHOICE_UNSET || !has_function(e->req, TG_STR("")))
        return 0;
    tg_jw_key(w, TG_STR("toolConfig"));
    tg_jw_obj(w);
    tg_jw_key(w, TG_STR("functionCallingConfig"));
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("mode"),
               t->kind == TG_TOOL_CHOICE_AUTO   ? TG_STR("AUTO")
               : t->kind == TG_TOOL_CHOICE_NONE ? TG_STR("NONE")
                                                : TG_STR("ANY"));
    if (t->kind == TG_TOOL_CHOICE_NAMED) {
        tg_jw_key(w, TG_STR("allowedFunctionNames"));
        tg_jw_arr(w);
        tg_jw_str(w, t->name);
        tg_jw_end_arr(w);
    }
    tg_jw_end_obj(w);
    tg_jw_end_obj(w);
    return 0;
}

/* ---- sampling and format ---- */

static void write_sampling(struct tg_gemini_enc *e)
{
    const struct tg_sampling *s = &e->req->sampling;
    struct tg_jw *w = &e->w;
    if (s->has & TG_HAS_TEMPERATURE)
        tg_jw_kdouble(w, TG_STR("temperature"), s->temperature);
    if (s->has & TG_HAS_TOP_P)
        tg_jw_kdouble(w, TG_STR("topP"), s->top_p);
    if (s->has & TG_HAS_TOP_K)
        tg_jw_ki64(w, TG_STR("topK"), s->top_k);
    if (s->has & TG_HAS_PRESENCE)
        tg_jw_kdouble(w, TG_STR("presencePenalty"), s->presence_penalty);
    if (s->has & TG_HAS_FREQUENCY)
        tg_jw_kdouble(w, TG_STR("frequencyPenalty"), s->frequency_penalty);
    if (s->has & TG_HAS_MAX_TOKENS)
        tg_jw_ki64(w, TG_STR("maxOutputTokens"), s->max_tokens);
    if (s->has & TG_HAS_N)
        tg_jw_ki64(w, TG_STR("candidateCount"), s->n);
    if (s->has & TG_HAS_SEED) { /* an int32 */
        bool fits = s->seed >= INT32_MIN && s->seed <= INT32_MAX;
        tg_jw_ki64(w, TG_STR("seed"), fits ? s->seed : s->seed & INT32_MAX);
        if (!fits)
            e->emulated |= TG_FEATURE_BIT(SEED);
    }
    if (s->has & TG_HAS_LOGPROBS)
        tg_jw_kbool(w, TG_STR("responseLogprobs"), s->logprobs);
    if (s->has & TG_HAS_TOP_LOGPROBS && (e->own || s->top_logprobs > 0))
        tg_jw_ki64(w, TG_STR("logprobs"), s->top_logprobs);
    if (!s->n_stops)
        return;
    tg_jw_kstrs(w, TG_STR("stopSequences"), s->stops, s->n_stops);
}

static void write_format(struct tg_gemini_enc *e)
{
    const struct tg_output_format *f = &e->req->format;
    struct tg_jw *w = &e->w;
    if (e->own && f->raw.n) {
        tg_jw_members(w, f->raw);
        return;
    }
    if (f->kind != TG_FORMAT_JSON && f->kind != TG_FORMAT_SCHEMA)
        return;
    tg_jw_kstr(w, TG_STR("responseMimeType"), TG_STR("application/json"));
    if (!f->schema.n)
        return;
    tg_jw_key(w, TG_STR("responseJsonSchema"));
    if (tg_gemini_write_schema(e, f->schema))
        e->emulated |= TG_FEATURE_BIT(JSON_SCHEMA);
}

/* ---- thinking ---- */

static bool is_word(struct tg_str s, const char *word)
{
    return tg_str_ieq(s, tg_str_c(word));
}

static int64_t clamp_budget(struct tg_gemini_enc *e, int64_t n)
{
    int64_t least = e->model.pro ? 128 : e->model.lite && n > 0 ? 512 : 0;
    int64_t most = e->model.pro ? 32768 : 24576;
    int64_t kept = n < least ? least : n > most ? most : n;
    if (kept != n)
        e->emulated |= TG_FEATURE_BIT(BUDGET);
    return kept;
}

static int64_t budget_of_effort(struct tg_gemini_enc *e, struct tg_str effort)
{
    e->emulated |= TG_FEATURE_BIT(EFFORT);
    if (is_word(effort, "none"))
        return e->model.pro ? 128 : 0;
    if (is_word(effort, "minimal") || is_word(effort, "low"))
        return 1024;
    return is_word(effort, "medium") ? 8192 : 24576;
}

static struct tg_str level_of_effort(struct tg_gemini_enc *e, struct tg_str effort)
{
    static const char *const words[] = {"minimal", "low", "medium", "high"};
    struct tg_str level = TG_STR("high");
    for (size_t i = 0; i < TG_ARRAY_LEN(words); i++) {
        if (is_word(effort, words[i]))
            level = tg_str_c(words[i]);
    }
    if (is_word(effort, "none"))
        level = TG_STR("minimal");
    if (e->model.pro && tg_str_eq(level, TG_STR("minimal")))
        level = TG_STR("low");
    if (e->model.three_pro && tg_str_eq(level, TG_STR("medium")))
        level = TG_STR("high");
    if (!tg_str_ieq(level, effort))
        e->emulated |= TG_FEATURE_BIT(EFFORT);
    return level;
}

/* Nothing to think with: what was asked for is left out. */
static void drop_thinking(struct tg_gemini_enc *e)
{
    const struct tg_reasoning_opts *r = &e->req->reasoning;
    if (r->effort.n)
        e->dropped |= TG_FEATURE_BIT(EFFORT);
    if (r->budget_tokens >= 0 || r->adaptive)
        e->dropped |= TG_FEATURE_BIT(BUDGET);
    if (r->show >= 0 || r->summary.n)
        e->dropped |= TG_FEATURE_BIT(SHOW);
}

/* One of budget and level: both together are refused. */
static void write_amount(struct tg_gemini_enc *e)
{
    const struct tg_reasoning_opts *r = &e->req->reasoning;
    struct tg_jw *w = &e->w;
    bool level = e->model.thinking == TG_GEMINI_LEVEL;
    if (r->budget_tokens == 0 && level) {
        tg_jw_kstr(w, TG_STR("thinkingLevel"), e->model.pro ? TG_STR("low") : TG_STR("minimal"));
        e->emulated |= TG_FEATURE_BIT(BUDGET);
    } else if (r->budget_tokens >= 0) {
        tg_jw_ki64(w, TG_STR("thinkingBudget"),
                   level ? r->budget_tokens : clamp_budget(e, r->budget_tokens));
    } else if (r->effort.n && level) {
        tg_jw_kstr(w, TG_STR("thinkingLevel"), level_of_effort(e, r->effort));
    } else if (r->effort.n) {
        tg_jw_ki64(w, TG_STR("thinkingBudget"), budget_of_effort(e, r->effort));
    } else if (r->adaptive && !level) {
        tg_jw_ki64(w, TG_STR("thinkingBudget"), -1);
    }
    if (r->budget_tokens >= 0 && r->effort.n)
        e->emulated |= TG_FEATURE_BIT(EFFORT);
}

static void write_thinking(struct tg_gemini_enc *e)
{
    const struct tg_reasoning_opts *r = &e->req->reasoning;
    struct tg_jw *w = &e->w;
    if (e->own && r->raw.n) {
        tg_jw_kraw(w, TG_STR("thinkingConfig"), r->raw);
        return;
    }
    bool show = r->show >= 0 || r->summary.n;
    if (!show && !r->effort.n && r->budget_tokens < 0 && !r->adaptive)
        return;
    if (e->model.thinking == TG_GEMINI_NO_THINKING) {
        drop_thinking(e);
        return;
    }
    tg_jw_key(w, TG_STR("thinkingConfig"));
    tg_jw_obj(w);
    write_amount(e);
    if (show)
        tg_jw_kbool(w, TG_STR("includeThoughts"), r->show != 0);
    tg_jw_end_obj(w);
}

/* ---- what is left over ---- */

/* Members of this format's own that have no place in the canonical form. */
struct left {
    struct tg_json_doc *doc; /* NULL: none */
    const struct tg_json *root;
};

static int read_left(struct tg_gemini_enc *e, struct left *l)
{
    struct tg_str text;
    *l = (struct left){0};
    if (!e->own || !e->req->extra.members.n)
        return 0;
    text = tg_arena_printf(e->a, "{%.*s}", TG_STR_ARG(e->req->extra.members));
    int rc = text.p ? tg_json_parse(e->a, text, NULL, &l->doc, e->fail) : TG_E_NOMEM;
    if (rc)
        return rc;
    l->root = tg_json_root(l->doc);
    return 0;
}

static void write_config(struct tg_gemini_enc *e, struct left *l)
{
    struct tg_jw *w = &e->w;
    struct tg_json_iter it = tg_json_iter(tg_json_get(l->root, TG_STR("generationConfig")));
    size_t before = w->b->n;
    tg_jw_key(w, TG_STR("generationConfig"));
    tg_jw_obj(w);
    size_t empty = w->b->n;
    write_sampling(e);
    write_format(e);
    write_thinking(e);
    while (tg_json_next(&it))
        tg_jw_kraw(w, it.name, tg_json_raw(l->doc, it.value));
    bool nothing = w->b->n == empty;
    tg_jw_end_obj(w);
    if (nothing && tg_buf_ok(w->b)) {
        w->b->n = before;
        w->comma = true; /* contents stand before it */
    }
}

int tg_gemini_write_options(struct tg_gemini_enc *e)
{
    struct left l;
    int rc = read_left(e, &l);
    if (!rc)
        rc = write_tools(e);
    if (!rc)
        rc = write_tool_choice(e);
    if (rc)
        return rc;
    write_config(e, &l);
    struct tg_json_iter it = tg_json_iter(l.root);
    while (tg_json_next(&it)) {
        bool merged = tg_str_eq(it.name, TG_STR("generationConfig")) ||
                      tg_str_eq(it.name, TG_STR("toolConfig"));
        if (!merged)
            tg_jw_kraw(&e->w, it.name, tg_json_raw(l.doc, it.value));
    }
    return 0;
}

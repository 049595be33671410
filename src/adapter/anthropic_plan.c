/* What a request's options become at a Claude model: thinking, the form of structured output, the
 * limit of tokens. Sources: docs.anthropic.com: build-with-claude/extended-thinking,
 * /adaptive-thinking, /effort, /structured-outputs; the API's own refusals of what does not go
 * together (thinking and a forced tool, thinking and temperature, temperature and top_p). */
#include "adapter/anthropic_priv.h"

#define BIT(id) TG_FEATURE_BIT(id)

enum { MIN_ANSWER = 4096, MIN_BUDGET = 1024, ADAPTIVE_AS_BUDGET = 8192 };

const struct tg_str tg_anthropic_json_tool = TG_STR_INIT("tollgate_json_answer");

/* ---- models ---- */

static bool names(struct tg_str name, const char *const *parts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (tg_str_find(name, tg_str_c(parts[i])) >= 0)
            return true;
    }
    return false;
}

/* By what is old: a name that nobody knew when this was written is a newer model's. Parts of names,
 * so that "anthropic.claude-3-…-v1:0" and "claude-sonnet-4@20250514" are found too. */
struct tg_anthropic_model tg_anthropic_model_of(struct tg_str name)
{
    static const char *const no_thinking[] = {
        "claude-2",      "claude-instant", "claude-3-haiku", "claude-3-sonnet",
        "claude-3-opus", "claude-3-5",     "claude-3.5",
    };
    static const char *const no_schema[] = {
        "claude-3-7",    "claude-3.7",  "sonnet-4-0", "opus-4-0",
        "sonnet-4-2025", "opus-4-2025", "sonnet-4@",  "opus-4@",
    };
    static const char *const budget[] = {
        "opus-4-1",   "opus-4.1",   "opus-4-5",  "opus-4.5",
        "sonnet-4-5", "sonnet-4.5", "haiku-4-5", "haiku-4.5",
    };
    struct tg_anthropic_model m = {TG_ANTHROPIC_ADAPTIVE, true};
    if (names(name, no_thinking, TG_ARRAY_LEN(no_thinking)))
        return (struct tg_anthropic_model){TG_ANTHROPIC_NO_THINKING, false};
    m.schema = !names(name, no_schema, TG_ARRAY_LEN(no_schema));
    if (!m.schema || names(name, budget, TG_ARRAY_LEN(budget)))
        m.thinking = TG_ANTHROPIC_BUDGET;
    return m;
}

/* A client need not say max_tokens elsewhere; here it must be said. What each model can write at
 * least ("max output", docs.anthropic.com/en/docs/about-claude/models/overview); the first that
 * fits. A name that is not Claude's is another company's, behind the same API. */
static int64_t most_tokens(struct tg_str name)
{
    static const struct {
        const char *part;
        int64_t tokens;
    } models[] = {
        {"claude-2", 4096},        {"claude-instant", 4096}, {"claude-3-haiku", 4096},
        {"claude-3-sonnet", 4096}, {"claude-3-opus", 4096},  {"claude-3-5", 8192},
        {"claude-3.5", 8192},      {"claude-", 32000},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(models); i++) {
        if (tg_str_find(name, tg_str_c(models[i].part)) >= 0)
            return models[i].tokens;
    }
    return MIN_ANSWER;
}

/* ---- structured output ---- */

/* Words of JSON Schema that output_config.format does not take. A property of such a name is a
 * false alarm that costs nothing: the schema is then emulated. */
static bool plain_schema(struct tg_str schema)
{
    static const char *const beyond[] = {
        "\"minimum\"",   "\"maximum\"",   "\"exclusiveMinimum\"", "\"exclusiveMaximum\"",
        "\"minLength\"", "\"maxLength\"", "\"multipleOf\"",       "\"maxItems\"",
        "\"minItems\"",  "\"pattern\"",   "\"uniqueItems\"",      "\"patternProperties\"",
        "\"not\"",       "\"if\"",        "\"minProperties\"",    "\"maxProperties\"",
    };
    return schema.n && !names(schema, beyond, TG_ARRAY_LEN(beyond));
}

/* A schema that its sender calls strict has closed objects, as the native form wants them. */
static void plan_format(const struct tg_chat_req *req, const struct tg_anthropic_opts *opts,
                        struct tg_anthropic_plan *p)
{
    const struct tg_output_format *f = &req->format;
    if (f->kind != TG_FORMAT_JSON && f->kind != TG_FORMAT_SCHEMA)
        return;
    if (p->own && !opts->no_schema) {
        p->schema = true;
        return;
    }
    p->schema = f->kind == TG_FORMAT_SCHEMA && p->model.schema && !opts->no_schema &&
                f->strict > 0 && plain_schema(f->schema);
    if (p->schema || req->tool_choice.kind == TG_TOOL_CHOICE_NAMED)
        return;
    p->json_tool = true;
    if (f->kind == TG_FORMAT_SCHEMA)
        p->emulated |= BIT(JSON_SCHEMA);
}

/* ---- thinking ---- */

/* Effort → tokens to think, for models that are told in tokens. */
static int64_t budget_of(struct tg_str effort)
{
    static const struct {
        struct tg_str word;
        int64_t tokens;
    } words[] = {
        {TG_STR_INIT("minimal"), 1024}, {TG_STR_INIT("low"), 2048},
        {TG_STR_INIT("medium"), 8192},  {TG_STR_INIT("high"), 24576},
        {TG_STR_INIT("xhigh"), 32768},  {TG_STR_INIT("max"), 32768},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(words); i++) {
        if (tg_str_eq(effort, words[i].word))
            return words[i].tokens;
    }
    return ADAPTIVE_AS_BUDGET;
}

static struct tg_str effort_of(int64_t budget)
{
    return budget <= 2048 ? TG_STR("low") : budget <= 8192 ? TG_STR("medium") : TG_STR("high");
}

static void think_adaptive(const struct tg_reasoning_opts *r, struct tg_anthropic_plan *p)
{
    p->thinking = TG_ANTHROPIC_THINK_ADAPTIVE;
    p->effort = r->effort;
    if (tg_str_eq(r->effort, TG_STR("minimal"))) {
        p->effort = TG_STR("low");
        p->emulated |= BIT(EFFORT);
    }
    if (r->budget_tokens > 0) {
        if (!r->effort.n)
            p->effort = effort_of(r->budget_tokens);
        p->emulated |= BIT(BUDGET);
    }
    if (r->show >= 0 || r->summary.n)
        p->display = r->show == 0 ? TG_STR("omitted") : TG_STR("summarized");
}

static void think_budget(const struct tg_reasoning_opts *r, struct tg_anthropic_plan *p)
{
    p->thinking = TG_ANTHROPIC_THINK_BUDGET;
    p->budget_tokens = r->budget_tokens > 0 ? r->budget_tokens : budget_of(r->effort);
    if (r->budget_tokens <= 0)
        p->emulated |= r->effort.n ? BIT(EFFORT) : BIT(BUDGET);
    if (r->budget_tokens > 0 && r->budget_tokens < MIN_BUDGET) {
        p->budget_tokens = MIN_BUDGET;
        p->emulated |= BIT(BUDGET);
    }
    if (r->show == 0)
        p->dropped |= BIT(SHOW);
}

/* What was asked for as thinking is left out, and that is said. */
static void no_thinking(const struct tg_reasoning_opts *r, struct tg_anthropic_plan *p)
{
    p->thinking = TG_ANTHROPIC_THINK_UNSET;
    p->display = TG_STR("");
    p->emulated &= ~(BIT(EFFORT) | BIT(BUDGET));
    if (r->effort.n)
        p->dropped |= BIT(EFFORT);
    if (r->budget_tokens > 0 || r->adaptive)
        p->dropped |= BIT(BUDGET);
    if (r->show >= 0 || r->summary.n)
        p->dropped |= BIT(SHOW);
}

static void plan_thinking(const struct tg_chat_req *req, struct tg_anthropic_plan *p)
{
    const struct tg_reasoning_opts *r = &req->reasoning;
    bool none = tg_str_eq(r->effort, TG_STR("none"));
    if (!r->effort.n && r->budget_tokens < 0 && !r->adaptive) {
        if (r->show >= 0 || r->summary.n)
            p->dropped |= BIT(SHOW); /* nobody asked for what is to be shown */
        return;
    }
    if (none || (r->budget_tokens == 0 && !r->effort.n && !r->adaptive)) {
        if (p->model.thinking != TG_ANTHROPIC_NO_THINKING)
            p->thinking = TG_ANTHROPIC_THINK_OFF;
        return;
    }
    if (p->model.thinking == TG_ANTHROPIC_NO_THINKING || p->forces_tool)
        no_thinking(r, p);
    else if (p->model.thinking == TG_ANTHROPIC_ADAPTIVE)
        think_adaptive(r, p);
    else
        think_budget(r, p);
}

/* The budget is part of max_tokens and must leave something to say. */
static void plan_limit(const struct tg_chat_req *req, const struct tg_adapter_target *target,
                       struct tg_anthropic_plan *p)
{
    const struct tg_sampling *s = &req->sampling;
    int64_t budget = p->thinking == TG_ANTHROPIC_THINK_BUDGET ? p->budget_tokens : 0;
    bool asked = s->has & TG_HAS_MAX_TOKENS;
    if (!asked && !target->max_tokens) {
        int64_t most = most_tokens(target->model);
        p->max_tokens = budget + MIN_ANSWER > most ? budget + MIN_ANSWER : most;
        return;
    }
    p->max_tokens = asked ? s->max_tokens : (int64_t)target->max_tokens;
    if (!budget || budget < p->max_tokens)
        return;
    if (p->max_tokens <= MIN_BUDGET) {
        no_thinking(&req->reasoning, p);
        return;
    }
    p->budget_tokens = p->max_tokens - 1;
    p->emulated |= req->reasoning.budget_tokens > 0 ? BIT(BUDGET) : BIT(EFFORT);
}

static void plan_sampling(const struct tg_chat_req *req, struct tg_anthropic_plan *p)
{
    const struct tg_sampling *s = &req->sampling;
    bool thinks =
        p->thinking == TG_ANTHROPIC_THINK_BUDGET || p->thinking == TG_ANTHROPIC_THINK_ADAPTIVE;
    if (s->has & TG_HAS_TEMPERATURE && thinks)
        p->dropped |= BIT(TEMPERATURE);
    else if (s->has & TG_HAS_TEMPERATURE && s->temperature > 1)
        p->emulated |= BIT(TEMPERATURE);
    if (s->has & TG_HAS_TOP_K && thinks)
        p->dropped |= BIT(TOP_K);
    bool both = s->has & TG_HAS_TEMPERATURE && s->has & TG_HAS_TOP_P &&
                p->model.thinking != TG_ANTHROPIC_NO_THINKING;
    if (s->has & TG_HAS_TOP_P && (both || thinks))
        p->dropped |= BIT(TOP_P);
}

void tg_anthropic_plan_make(const struct tg_chat_req *req, const struct tg_adapter_target *target,
                            const struct tg_anthropic_opts *opts, struct tg_anthropic_plan *out)
{
    struct tg_anthropic_plan p = {
        .own = req->wire == TG_WIRE_ANTHROPIC_MESSAGES || req->wire == TG_WIRE_ANTHROPIC_COUNT,
        .model = tg_anthropic_model_of(target->model),
        .max_tokens = req->sampling.max_tokens,
    };
    plan_format(req, opts, &p);
    enum tg_tool_choice_kind choice = req->tool_choice.kind;
    p.forces_tool =
        req->n_tools && (choice == TG_TOOL_CHOICE_REQUIRED || choice == TG_TOOL_CHOICE_NAMED);
    if (!p.own) {
        plan_thinking(req, &p);
        plan_limit(req, target, &p);
        plan_sampling(req, &p);
    }
    *out = p;
}

bool tg_anthropic_may_emulate(const struct tg_chat_req *req)
{
    return req && (req->format.kind == TG_FORMAT_JSON || req->format.kind == TG_FORMAT_SCHEMA);
}

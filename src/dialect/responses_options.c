/* Tools, tool choice, output format and reasoning of OpenAI's Responses. */
#include <stdio.h>

#include "base/err.h"
#include "chat/fidelity.h"
#include "dialect/openai_priv.h"
#include "dialect/responses_priv.h"

static int tri(const struct tg_json *v)
{
    return tg_json_is_bool(v) ? tg_json_true(v) : -1;
}

static struct tg_str raw_or_empty(struct tg_json_doc *doc, const struct tg_json *v)
{
    return tg_json_is_nil(v) ? TG_STR("") : tg_json_raw(doc, v);
}

struct tg_str tg_responses_tool_name(struct tg_arena *a, struct tg_str space, struct tg_str name)
{
    if (!space.n)
        return name;
    return tg_arena_printf(a, "%.*s__%.*s", TG_STR_ARG(space), TG_STR_ARG(name));
}

/* ---- walking the tools: those of `tools`, of namespaces in it, and of additional_tools items ----
 */

struct walk {
    /* Called for each tool; true: stop. */
    bool (*tool)(struct walk *w, const struct tg_json *v, struct tg_str space);
};

static bool is_space(const struct tg_json *v)
{
    return tg_json_str_is(tg_json_get(v, TG_STR("type")), TG_STR("namespace")) &&
           tg_json_is_arr(tg_json_get(v, TG_STR("tools")));
}

static bool walk_list(struct walk *w, const struct tg_json *list)
{
    bool over = false;
    struct tg_json_iter it = tg_json_iter(list);
    while (!over && tg_json_next(&it)) {
        if (!is_space(it.value)) {
            over = w->tool(w, it.value, TG_STR(""));
            continue;
        }
        struct tg_json_iter in = tg_json_iter(tg_json_get(it.value, TG_STR("tools")));
        while (!over && tg_json_next(&in))
            over = w->tool(w, in.value, tg_json_get_str(it.value, TG_STR("name")));
    }
    return over;
}

static void walk_tools(struct walk *w, const struct tg_body *b)
{
    bool over = walk_list(w, b->v[TG_F_TOOLS]);
    if (!tg_json_is_arr(b->v[TG_F_INPUT]))
        return;
    struct tg_json_iter it = tg_json_iter(b->v[TG_F_INPUT]);
    while (!over && tg_json_next(&it)) {
        if (tg_json_str_is(tg_json_get(it.value, TG_STR("type")), TG_STR("additional_tools")))
            over = walk_list(w, tg_json_get(it.value, TG_STR("tools")));
    }
}

/* ---- finding one ---- */

struct finder {
    struct walk walk;
    struct tg_str name; /* as the model knows it */
    struct tg_responses_tool *out;
};

static bool has_name(struct tg_str full, struct tg_str space, struct tg_str name)
{
    if (!space.n)
        return tg_str_eq(full, name);
    return full.n == space.n + 2 + name.n && tg_str_starts(full, space) && full.p[space.n] == '_' &&
           full.p[space.n + 1] == '_' && tg_str_ends(full, name);
}

static bool find_tool(struct walk *w, const struct tg_json *v, struct tg_str space)
{
    struct finder *f = tg_container_of(w, struct finder, walk);
    struct tg_str name = tg_json_get_str(v, TG_STR("name"));
    if (!name.n || !has_name(f->name, space, name))
        return false;
    *f->out = (struct tg_responses_tool){
        .space = space,
        .name = name,
        .custom = tg_json_str_is(tg_json_get(v, TG_STR("type")), TG_STR("custom")),
    };
    return true;
}

void tg_responses_find_tool(const struct tg_body *b, struct tg_str name,
                            struct tg_responses_tool *out)
{
    struct finder f = {.walk.tool = find_tool, .name = name, .out = out};
    *out = (struct tg_responses_tool){.space = TG_STR(""), .name = name};
    if (b)
        walk_tools(&f.walk, b);
}

/* ---- all of them ---- */

struct parser {
    struct walk walk;
    struct tg_arena *a;
    const struct tg_body *b;
    struct tg_chat_req *req;
    const struct tg_json *allowed; /* tool_choice.tools, NULL: all are */
    size_t at;
    int rc;
    struct tg_fail *f;
};

static bool count_tool(struct walk *w, const struct tg_json *v, struct tg_str space)
{
    tg_container_of(w, struct parser, walk)->at++;
    return false;
}

static struct tg_str custom_description(struct tg_arena *a, const struct tg_json *v)
{
    struct tg_str text = tg_json_get_str(v, TG_STR("description"));
    const struct tg_json *format = tg_json_get(v, TG_STR("format"));
    struct tg_str definition = tg_json_get_str(format, TG_STR("definition"));
    struct tg_str syntax = tg_json_get_str(format, TG_STR("syntax"));
    if (!definition.n)
        return text.p ? text : TG_STR("");
    return tg_arena_printf(a, "%.*s%s`input` must follow this %.*s%sgrammar:\n%.*s",
                           TG_STR_ARG(text), text.n ? "\n\n" : "", TG_STR_ARG(syntax),
                           syntax.n ? " " : "", TG_STR_ARG(definition));
}

static const struct tg_str custom_parameters =
    TG_STR_INIT("{\"type\":\"object\",\"properties\":{\"input\":{\"type\":\"string\","
                "\"description\":\"The tool's whole input as free text\"}},"
                "\"required\":[\"input\"],\"additionalProperties\":false}");

static int fill_tool(struct parser *p, const struct tg_json *v, struct tg_str space,
                     struct tg_tool *out)
{
    struct tg_json_doc *doc = p->b->doc;
    char param[48];
    snprintf(param, sizeof(param), "tools[%zu]", p->at);
    if (!tg_json_is_obj(v))
        return tg_fail_param(p->f, TG_E_INVALID_VALUE, param, "'%s' must be an object", param);
    *out = (struct tg_tool){
        .raw = tg_json_raw(doc, v), .type = tg_json_get_str(v, TG_STR("type")), .strict = -1};
    bool custom = tg_str_eq(out->type, TG_STR("custom"));
    out->is_function = custom || tg_str_eq(out->type, TG_STR("function"));
    struct tg_str name = tg_json_get_str(v, TG_STR("name"));
    if (!out->is_function)
        return 0;
    if (!name.n)
        return tg_fail_param(p->f, TG_E_INVALID_VALUE, param, "'%s' has no name", param);
    out->name = tg_responses_tool_name(p->a, space, name);
    out->description =
        custom ? custom_description(p->a, v) : tg_json_get_str(v, TG_STR("description"));
    if (!out->name.p || (custom && !out->description.p))
        return TG_E_NOMEM;
    if (custom || space.n)
        p->req->emulated |= TG_FEATURE_BIT(TOOL_TYPES);
    out->strict = custom ? -1 : tri(tg_json_get(v, TG_STR("strict")));
    out->parameters = custom_parameters;
    if (!custom &&
        tg_body_unknown(p->a, doc, v, "type name description parameters strict", &out->extra))
        return TG_E_NOMEM;
    return custom ? 0
                  : tg_openai_tool_schema(doc, tg_json_get(v, TG_STR("parameters")), param,
                                          &out->parameters, p->f);
}

/* A tool of tool_choice.tools: {"type":"function","name":…}, {"type":"mcp","server_label":…}, … */
static bool is_allowed(const struct parser *p, const struct tg_json *v)
{
    struct tg_json_iter it = tg_json_iter(p->allowed);
    if (!p->allowed)
        return true;
    while (tg_json_next(&it)) {
        struct tg_str name = tg_json_get_str(it.value, TG_STR("name"));
        if (!tg_json_str_is(tg_json_get(it.value, TG_STR("type")),
                            tg_json_get_str(v, TG_STR("type"))))
            continue;
        if (!name.n || tg_json_str_is(tg_json_get(v, TG_STR("name")), name))
            return true;
    }
    return false;
}

static bool parse_tool(struct walk *w, const struct tg_json *v, struct tg_str space)
{
    struct parser *p = tg_container_of(w, struct parser, walk);
    if (is_allowed(p, v)) {
        p->rc = fill_tool(p, v, space, &p->req->tools[p->req->n_tools]);
        p->req->n_tools += p->rc == 0;
    }
    p->at++;
    return p->rc != 0;
}

static int parse_tools(struct parser *p)
{
    p->walk.tool = count_tool;
    walk_tools(&p->walk, p->b);
    if (!p->at)
        return 0;
    p->req->tools = tg_arena_array(p->a, p->at, sizeof(*p->req->tools));
    if (!p->req->tools)
        return TG_E_NOMEM;
    p->at = 0;
    p->walk.tool = parse_tool;
    walk_tools(&p->walk, p->b);
    return p->rc;
}

static int named_choice(struct parser *p, const struct tg_json *v, struct tg_tool_choice *out)
{
    struct tg_str name = tg_json_get_str(v, TG_STR("name"));
    if (!name.n)
        return tg_fail_param(p->f, TG_E_INVALID_VALUE, "tool_choice", "'tool_choice' has no name");
    out->kind = TG_TOOL_CHOICE_NAMED;
    out->name = tg_responses_tool_name(p->a, tg_json_get_str(v, TG_STR("namespace")), name);
    return out->name.p ? 0 : TG_E_NOMEM;
}

/* The model may only see the tools that it may call: the same effect, but for its cached prompt. */
static void allowed_choice(struct parser *p, const struct tg_json *v, struct tg_tool_choice *out)
{
    if (!tg_json_is_arr(tg_json_get(v, TG_STR("tools"))))
        return;
    p->allowed = tg_json_get(v, TG_STR("tools"));
    out->kind = tg_json_str_is(tg_json_get(v, TG_STR("mode")), TG_STR("required"))
                    ? TG_TOOL_CHOICE_REQUIRED
                    : TG_TOOL_CHOICE_AUTO;
    p->req->emulated |= TG_FEATURE_BIT(TOOL_CHOICE_RAW);
}

static int parse_choice(struct parser *p, struct tg_tool_choice *out)
{
    static const struct {
        struct tg_str word;
        enum tg_tool_choice_kind kind;
    } words[] = {
        {TG_STR_INIT("auto"), TG_TOOL_CHOICE_AUTO},
        {TG_STR_INIT("none"), TG_TOOL_CHOICE_NONE},
        {TG_STR_INIT("required"), TG_TOOL_CHOICE_REQUIRED},
    };
    const struct tg_json *v = p->b->v[TG_F_TOOL_CHOICE];
    out->parallel = tri(p->b->v[TG_F_PARALLEL_TOOL_CALLS]);
    if (tg_json_is_nil(v))
        return 0;
    out->kind = TG_TOOL_CHOICE_RAW;
    out->raw = tg_json_raw(p->b->doc, v);
    for (size_t i = 0; i < TG_ARRAY_LEN(words); i++) {
        if (tg_json_str_is(v, words[i].word))
            out->kind = words[i].kind;
    }
    struct tg_str type = tg_json_get_str(v, TG_STR("type"));
    if (tg_str_eq(type, TG_STR("function")) || tg_str_eq(type, TG_STR("custom")))
        return named_choice(p, v, out);
    if (tg_str_eq(type, TG_STR("allowed_tools")))
        allowed_choice(p, v, out);
    return 0;
}

static int parse_format(const struct tg_body *b, struct tg_output_format *out, struct tg_fail *f)
{
    const struct tg_json *v = tg_json_get(b->v[TG_F_TEXT], TG_STR("format"));
    struct tg_str type = tg_json_get_str(v, TG_STR("type"));
    if (tg_json_is_nil(v))
        return 0;
    if (tg_str_eq(type, TG_STR("text"))) {
        out->kind = TG_FORMAT_TEXT;
    } else if (tg_str_eq(type, TG_STR("json_object"))) {
        out->kind = TG_FORMAT_JSON;
    } else if (tg_str_eq(type, TG_STR("json_schema"))) {
        out->kind = TG_FORMAT_SCHEMA;
        out->name = tg_json_get_str(v, TG_STR("name"));
        out->schema = raw_or_empty(b->doc, tg_json_get(v, TG_STR("schema")));
        out->strict = tri(tg_json_get(v, TG_STR("strict")));
    } else {
        return tg_fail_param(f, TG_E_INVALID_VALUE, "text.format.type",
                             "'text.format.type' must be text, json_object or json_schema");
    }
    return 0;
}

static int parse_reasoning(const struct tg_body *b, struct tg_reasoning_opts *out,
                           struct tg_fail *f)
{
    const struct tg_json *v = b->v[TG_F_REASONING];
    const struct tg_json *effort = tg_json_get(v, TG_STR("effort"));
    if (!tg_json_is_nil(effort) && !tg_json_is_str(effort))
        return tg_fail_param(f, TG_E_INVALID_VALUE, "reasoning.effort",
                             "'reasoning.effort' must be a string");
    out->effort = tg_json_get_str(v, TG_STR("effort"));
    out->summary = tg_json_get_str(v, TG_STR("summary"));
    if (!out->summary.n)
        out->summary = tg_json_get_str(v, TG_STR("generate_summary"));
    if (out->summary.n)
        out->show = 1;
    return 0;
}

static void parse_include(const struct tg_body *b, struct tg_sampling *s)
{
    struct tg_json_iter it = tg_json_iter(b->v[TG_F_INCLUDE]);
    bool wanted = s->has & TG_HAS_TOP_LOGPROBS && s->top_logprobs > 0;
    while (tg_json_next(&it))
        wanted = wanted || tg_json_str_is(it.value, TG_STR("message.output_text.logprobs"));
    if (!wanted)
        return;
    s->has |= TG_HAS_LOGPROBS;
    s->logprobs = true;
}

int tg_responses_parse_options(struct tg_arena *a, const struct tg_body *b, struct tg_chat_req *out,
                               struct tg_fail *f)
{
    struct parser p = {.a = a, .b = b, .req = out, .f = f};
    parse_include(b, &out->sampling);
    int rc = parse_reasoning(b, &out->reasoning, f);
    if (!rc)
        rc = parse_format(b, &out->format, f);
    if (!rc)
        rc = parse_choice(&p, &out->tool_choice);
    if (!rc)
        rc = parse_tools(&p);
    return rc ? rc : tg_openai_check_choice(out, f);
}

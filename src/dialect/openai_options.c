/* Tools, tool choice, output format and reasoning of OpenAI's chat format. */
#include <stdio.h>

#include "base/err.h"
#include "chat/fidelity.h"
#include "dialect/openai_priv.h"

static int tri(const struct tg_json *v)
{
    return tg_json_is_bool(v) ? tg_json_true(v) : -1;
}

static struct tg_str raw_or_empty(struct tg_json_doc *doc, const struct tg_json *v)
{
    return tg_json_is_nil(v) ? TG_STR("") : tg_json_raw(doc, v);
}

int tg_openai_tool_schema(struct tg_json_doc *doc, const struct tg_json *v, const char *tool,
                          struct tg_str *out, struct tg_fail *f)
{
    char param[80];
    snprintf(param, sizeof(param), "%s.parameters", tool);
    if (!tg_json_is_nil(v) && !tg_json_is_obj(v))
        return tg_fail_param(f, TG_E_INVALID_VALUE, param, "'%s' must be an object", param);
    *out = raw_or_empty(doc, v);
    return 0;
}

/* What is unknown of a tool, and in an object of that name what is of its function. */
static int unknown_of_tool(struct tg_arena *a, struct tg_json_doc *doc, const struct tg_json *v,
                           struct tg_extra *out)
{
    struct tg_extra inner;
    int rc = tg_body_unknown(a, doc, v, "type function cache_control", out);
    if (!rc)
        rc = tg_body_unknown(a, doc, tg_json_get(v, TG_STR("function")),
                             "name description parameters strict", &inner);
    if (rc || !inner.members.n)
        return rc;
    out->members = tg_arena_printf(a, "%.*s%s\"function\":{%.*s}", TG_STR_ARG(out->members),
                                   out->members.n ? "," : "", TG_STR_ARG(inner.members));
    return out->members.p ? 0 : TG_E_NOMEM;
}

static int one_tool(struct tg_arena *a, const struct tg_body *b, const struct tg_json *v, size_t i,
                    struct tg_tool *out, struct tg_fail *f)
{
    char param[48];
    snprintf(param, sizeof(param), "tools[%zu]", i);
    if (!tg_json_is_obj(v))
        return tg_fail_param(f, TG_E_INVALID_VALUE, param, "'%s' must be an object", param);
    const struct tg_json *fn = tg_json_get(v, TG_STR("function"));
    out->raw = tg_json_raw(b->doc, v);
    out->type = tg_json_get_str(v, TG_STR("type"));
    out->strict = -1;
    out->is_function = tg_str_eq(out->type, TG_STR("function")) || (!out->type.p && fn);
    if (!out->is_function)
        return 0;
    out->name = tg_json_get_str(fn, TG_STR("name"));
    if (!out->name.n)
        return tg_fail_param(f, TG_E_INVALID_VALUE, param, "'%s' has no function name", param);
    out->description = tg_json_get_str(fn, TG_STR("description"));
    out->strict = tri(tg_json_get(fn, TG_STR("strict")));
    out->cache_hint = raw_or_empty(b->doc, tg_json_get(v, TG_STR("cache_control")));
    if (unknown_of_tool(a, b->doc, v, &out->extra))
        return TG_E_NOMEM;
    snprintf(param, sizeof(param), "tools[%zu].function", i);
    return tg_openai_tool_schema(b->doc, tg_json_get(fn, TG_STR("parameters")), param,
                                 &out->parameters, f);
}

/* The older form: the function itself, without a wrapper. */
static int one_function(const struct tg_body *b, const struct tg_json *v, size_t i,
                        struct tg_tool *out, struct tg_fail *f)
{
    char param[48];
    snprintf(param, sizeof(param), "functions[%zu]", i);
    out->name = tg_json_get_str(v, TG_STR("name"));
    if (!out->name.n)
        return tg_fail_param(f, TG_E_INVALID_VALUE, param, "'%s' has no name", param);
    out->type = TG_STR("function");
    out->is_function = true;
    out->strict = -1;
    out->description = tg_json_get_str(v, TG_STR("description"));
    return tg_openai_tool_schema(b->doc, tg_json_get(v, TG_STR("parameters")), param,
                                 &out->parameters, f);
}

static int parse_tools(struct tg_arena *a, const struct tg_body *b, struct tg_chat_req *out,
                       struct tg_fail *f)
{
    const struct tg_json *list = b->v[out->has_functions ? TG_F_FUNCTIONS : TG_F_TOOLS];
    size_t n = tg_json_count(list);
    if (n == 0)
        return 0;
    out->tools = tg_arena_array(a, n, sizeof(*out->tools));
    if (!out->tools)
        return TG_E_NOMEM;
    struct tg_json_iter it = tg_json_iter(list);
    while (tg_json_next(&it)) {
        struct tg_tool *t = &out->tools[it.index];
        int rc = out->has_functions ? one_function(b, it.value, it.index, t, f)
                                    : one_tool(a, b, it.value, it.index, t, f);
        if (rc)
            return rc;
    }
    out->n_tools = n;
    return 0;
}

/* Members in the older form stay as they are for who knows it too: told by the rest of the request
 * (own), or, beside `tools`, said by nothing else (extra). */
static int keep_functions(struct tg_arena *a, const struct tg_body *b, struct tg_chat_req *req)
{
    static const struct {
        enum tg_field id;
        const char *name;
    } members[] = {{TG_F_FUNCTIONS, "functions"}, {TG_F_FUNCTION_CALL, "function_call"}};
    struct tg_extra *to = req->has_functions ? &req->own : &req->extra;
    for (size_t i = 0; i < TG_ARRAY_LEN(members); i++) {
        const struct tg_json *v = b->v[members[i].id];
        if (!v)
            continue;
        to->members = tg_arena_printf(a, "%.*s%s\"%s\":%.*s", TG_STR_ARG(to->members),
                                      to->members.n ? "," : "", members[i].name,
                                      TG_STR_ARG(tg_json_raw(b->doc, v)));
        if (!to->members.p)
            return TG_E_NOMEM;
    }
    return 0;
}

static int parse_function_call(const struct tg_body *b, struct tg_tool_choice *out,
                               struct tg_fail *f)
{
    const struct tg_json *v = b->v[TG_F_FUNCTION_CALL];
    struct tg_str name = tg_json_get_str(v, TG_STR("name"));
    out->parallel = -1;
    if (tg_json_str_is(v, TG_STR("auto")))
        out->kind = TG_TOOL_CHOICE_AUTO;
    else if (tg_json_str_is(v, TG_STR("none")))
        out->kind = TG_TOOL_CHOICE_NONE;
    else if (name.n)
        out->kind = TG_TOOL_CHOICE_NAMED;
    else if (!tg_json_is_nil(v))
        return tg_fail_param(f, TG_E_INVALID_VALUE, "function_call",
                             "'function_call' must be auto, none or an object with a name");
    out->name = name;
    return 0;
}

/* A member that the canonical form has no place for goes on to its own format only. */
static int keep(struct tg_arena *a, const char *name, struct tg_str raw, struct tg_extra *out)
{
    out->members = tg_arena_printf(a, "\"%s\":%.*s%s%.*s", name, TG_STR_ARG(raw),
                                   out->members.n ? "," : "", TG_STR_ARG(out->members));
    return out->members.p ? 0 : TG_E_NOMEM;
}

/* A tool of allowed_tools.tools: {"type":"function","function":{"name":…}}. */
static bool is_allowed(const struct tg_json *allowed, const struct tg_tool *t)
{
    struct tg_json_iter it = tg_json_iter(allowed);
    while (tg_json_next(&it)) {
        if (!tg_json_str_is(tg_json_get(it.value, TG_STR("type")), t->type))
            continue;
        if (!t->is_function ||
            tg_json_str_is(tg_json_get2(it.value, TG_STR("function"), TG_STR("name")), t->name))
            return true;
    }
    return false;
}

/* The model may only see the tools that it may call: the same effect, but for its cached prompt. */
static int parse_allowed(struct tg_arena *a, const struct tg_body *b, struct tg_chat_req *req)
{
    const struct tg_json *choice = b->v[TG_F_TOOL_CHOICE];
    const struct tg_json *v = tg_json_get(choice, TG_STR("allowed_tools"));
    const struct tg_json *list = tg_json_get(v, TG_STR("tools"));
    size_t n = 0;
    if (!tg_json_is_arr(list))
        return 0;
    for (size_t i = 0; i < req->n_tools; i++) {
        if (is_allowed(list, &req->tools[i]))
            req->tools[n++] = req->tools[i];
    }
    req->n_tools = n;
    req->tool_choice.kind = tg_json_str_is(tg_json_get(v, TG_STR("mode")), TG_STR("required"))
                                ? TG_TOOL_CHOICE_REQUIRED
                                : TG_TOOL_CHOICE_AUTO;
    req->emulated |= TG_FEATURE_BIT(TOOL_CHOICE_RAW);
    req->own_tools = true;
    int rc = keep(a, "tool_choice", tg_json_raw(b->doc, choice), &req->own);
    if (!rc && !tg_json_is_nil(b->v[TG_F_TOOLS]))
        rc = keep(a, "tools", tg_json_raw(b->doc, b->v[TG_F_TOOLS]), &req->own);
    return rc;
}

static int parse_tool_choice(struct tg_arena *a, const struct tg_body *b, struct tg_chat_req *req)
{
    struct tg_tool_choice *out = &req->tool_choice;
    static const struct {
        struct tg_str word;
        enum tg_tool_choice_kind kind;
    } words[] = {
        {TG_STR_INIT("auto"), TG_TOOL_CHOICE_AUTO},
        {TG_STR_INIT("none"), TG_TOOL_CHOICE_NONE},
        {TG_STR_INIT("required"), TG_TOOL_CHOICE_REQUIRED},
    };
    const struct tg_json *v = b->v[TG_F_TOOL_CHOICE];
    out->parallel = tri(b->v[TG_F_PARALLEL_TOOL_CALLS]);
    if (tg_json_is_nil(v))
        return 0;
    out->kind = TG_TOOL_CHOICE_RAW;
    out->raw = tg_json_raw(b->doc, v);
    for (size_t i = 0; i < TG_ARRAY_LEN(words); i++) {
        if (tg_json_str_is(v, words[i].word))
            out->kind = words[i].kind;
    }
    struct tg_str name = tg_json_str(tg_json_get2(v, TG_STR("function"), TG_STR("name")));
    if (name.p && tg_json_str_is(tg_json_get(v, TG_STR("type")), TG_STR("function"))) {
        out->kind = TG_TOOL_CHOICE_NAMED;
        out->name = name;
    }
    if (tg_json_str_is(tg_json_get(v, TG_STR("type")), TG_STR("allowed_tools")))
        return parse_allowed(a, b, req);
    return 0;
}

int tg_openai_check_choice(const struct tg_chat_req *req, struct tg_fail *f)
{
    const struct tg_tool_choice *c = &req->tool_choice;
    const char *param = req->has_functions ? "function_call" : "tool_choice";
    bool named = c->kind == TG_TOOL_CHOICE_NAMED;
    if (c->kind == TG_TOOL_CHOICE_REQUIRED && !req->n_tools)
        return tg_fail_param(f, TG_E_INVALID_VALUE, param,
                             "'%s' asks for a tool's call, and no tool may be called", param);
    for (size_t i = 0; i < req->n_tools && named; i++)
        named = !tg_str_eq(req->tools[i].name, c->name);
    if (named)
        return tg_fail_param(f, TG_E_INVALID_VALUE, param,
                             "'%s' names a tool that is not among the tools", param);
    return 0;
}

static int parse_format(struct tg_arena *a, const struct tg_body *b, struct tg_chat_req *req,
                        struct tg_fail *f)
{
    struct tg_output_format *out = &req->format;
    const struct tg_json *v = b->v[TG_F_RESPONSE_FORMAT];
    out->strict = -1;
    if (tg_json_is_nil(v))
        return 0;
    struct tg_str type = tg_json_get_str(v, TG_STR("type"));
    const struct tg_json *schema = tg_json_get(v, TG_STR("json_schema"));
    out->raw = tg_json_raw(b->doc, v);
    if (tg_str_eq(type, TG_STR("text"))) {
        out->kind = TG_FORMAT_TEXT;
    } else if (tg_str_eq(type, TG_STR("json_schema"))) {
        if (!tg_json_is_obj(schema))
            return tg_fail_param(f, TG_E_INVALID_VALUE, "response_format.json_schema",
                                 "'response_format.json_schema' must be an object");
        out->kind = TG_FORMAT_SCHEMA;
        out->name = tg_json_get_str(schema, TG_STR("name"));
        out->schema = raw_or_empty(b->doc, tg_json_get(schema, TG_STR("schema")));
        out->strict = tri(tg_json_get(schema, TG_STR("strict")));
    } else if (tg_str_eq(type, TG_STR("json_object"))) {
        out->kind = TG_FORMAT_JSON;
        out->schema = raw_or_empty(b->doc, tg_json_get(v, TG_STR("schema")));
    } else { /* a grammar or the like, of some servers only */
        out->raw = TG_STR("");
        return keep(a, "response_format", tg_json_raw(b->doc, v), &req->extra);
    }
    return 0;
}

/* OpenRouter's {"effort","max_tokens","exclude","enabled","summary"}; Vercel's gateway has it too.
 */
static void parse_reasoning_object(const struct tg_json *v, struct tg_reasoning_opts *out)
{
    const struct tg_json *exclude = tg_json_get(v, TG_STR("exclude"));
    const struct tg_json *enabled = tg_json_get(v, TG_STR("enabled"));
    out->effort = tg_json_get_str(v, TG_STR("effort"));
    out->summary = tg_json_get_str(v, TG_STR("summary"));
    if (tg_json_i64(tg_json_get(v, TG_STR("max_tokens")), &out->budget_tokens))
        out->budget_tokens = -1;
    if (tg_json_is_bool(exclude))
        out->show = !tg_json_true(exclude);
    if (tg_json_is_bool(enabled) && !tg_json_true(enabled))
        out->budget_tokens = 0;
    else if (tg_json_true(enabled) && !out->effort.n && out->budget_tokens < 0)
        out->adaptive = true;
}

/* `reasoning_effort` is OpenAI's, `reasoning` OpenRouter's. */
static int parse_reasoning(struct tg_arena *a, const struct tg_body *b, struct tg_chat_req *req)
{
    struct tg_reasoning_opts *out = &req->reasoning;
    const struct tg_json *object = b->v[TG_F_REASONING];
    out->effort = tg_body_str(b, TG_F_REASONING_EFFORT);
    out->budget_tokens = -1;
    if (tg_json_is_nil(object))
        return 0;
    if (!out->effort.p && tg_json_is_obj(object)) {
        out->raw = tg_json_raw(b->doc, object);
        parse_reasoning_object(object, out);
        return 0;
    }
    /* Two ways of saying it, or none that we know: the second stays as it is. */
    return keep(a, "reasoning", tg_json_raw(b->doc, object), &req->extra);
}

int tg_openai_parse_options(struct tg_arena *a, const struct tg_body *b, struct tg_chat_req *out,
                            struct tg_fail *f)
{
    out->has_functions =
        tg_json_count(b->v[TG_F_FUNCTIONS]) > 0 && tg_json_count(b->v[TG_F_TOOLS]) == 0;
    int rc = parse_tools(a, b, out, f);
    if (!rc)
        rc = keep_functions(a, b, out);
    if (rc)
        return rc;
    if (out->has_functions)
        rc = parse_function_call(b, &out->tool_choice, f);
    else
        rc = parse_tool_choice(a, b, out);
    if (!rc)
        rc = tg_openai_check_choice(out, f);
    if (!rc)
        rc = parse_format(a, b, out, f);
    if (rc)
        return rc;
    out->service_tier = tg_body_str(b, TG_F_SERVICE_TIER);
    return parse_reasoning(a, b, out);
}

/* Tools, tool choice, thinking, output format and the rest of a Messages request. */
#include <stdio.h>

#include "base/err.h"
#include "dialect/anthropic_priv.h"

static int tri(const struct tg_json *v)
{
    return tg_json_is_bool(v) ? tg_json_true(v) : -1;
}

static struct tg_str raw_or_empty(struct tg_json_doc *doc, const struct tg_json *v)
{
    return tg_json_is_nil(v) ? TG_STR("") : tg_json_raw(doc, v);
}

/* ---- tools ---- */

/* A tool without a type, or of type custom, is a function of the client's; all others are run or
 * at least known by Anthropic. */
static int one_tool(struct tg_arena *a, const struct tg_body *b, const struct tg_json *v, size_t i,
                    struct tg_tool *out, struct tg_fail *f)
{
    static const char known[] = "type name description input_schema strict cache_control";
    char param[48];
    snprintf(param, sizeof(param), "tools[%zu]", i);
    if (!tg_json_is_obj(v))
        return tg_fail_param(f, TG_E_INVALID_VALUE, param, "'%s' must be an object", param);
    const struct tg_json *type = tg_json_get(v, TG_STR("type"));
    out->raw = tg_json_raw(b->doc, v);
    out->type = tg_json_str(type);
    out->name = tg_json_get_str(v, TG_STR("name"));
    out->strict = -1;
    out->is_function = tg_json_is_nil(type) || tg_str_eq(out->type, TG_STR("custom"));
    if (!out->is_function)
        return 0;
    if (!out->name.n)
        return tg_fail_param(f, TG_E_INVALID_VALUE, param, "'%s' has no name", param);
    out->description = tg_json_get_str(v, TG_STR("description"));
    out->parameters = raw_or_empty(b->doc, tg_json_get(v, TG_STR("input_schema")));
    out->strict = tri(tg_json_get(v, TG_STR("strict")));
    out->cache_hint = raw_or_empty(b->doc, tg_json_get(v, TG_STR("cache_control")));
    return tg_body_unknown(a, b->doc, v, known, &out->extra);
}

static int parse_tools(struct tg_arena *a, const struct tg_body *b, struct tg_chat_req *out,
                       struct tg_fail *f)
{
    const struct tg_json *list = b->v[TG_F_TOOLS];
    size_t n = tg_json_count(list);
    out->tools = n ? tg_arena_array(a, n, sizeof(*out->tools)) : NULL;
    if (n && !out->tools)
        return TG_E_NOMEM;
    struct tg_json_iter it = tg_json_iter(list);
    while (tg_json_next(&it)) {
        int rc = one_tool(a, b, it.value, it.index, &out->tools[it.index], f);
        if (rc)
            return rc;
    }
    out->n_tools = n;
    return 0;
}

static void parse_tool_choice(const struct tg_body *b, struct tg_tool_choice *out)
{
    static const struct {
        struct tg_str word;
        enum tg_tool_choice_kind kind;
    } words[] = {
        {TG_STR_INIT("auto"), TG_TOOL_CHOICE_AUTO},
        {TG_STR_INIT("any"), TG_TOOL_CHOICE_REQUIRED},
        {TG_STR_INIT("tool"), TG_TOOL_CHOICE_NAMED},
        {TG_STR_INIT("none"), TG_TOOL_CHOICE_NONE},
    };
    const struct tg_json *v = b->v[TG_F_TOOL_CHOICE];
    if (tg_json_is_nil(v))
        return;
    out->kind = TG_TOOL_CHOICE_RAW;
    out->raw = tg_json_raw(b->doc, v);
    out->name = tg_json_get_str(v, TG_STR("name"));
    int one_by_one = tri(tg_json_get(v, TG_STR("disable_parallel_tool_use")));
    out->parallel = one_by_one < 0 ? -1 : !one_by_one;
    for (size_t i = 0; i < TG_ARRAY_LEN(words); i++) {
        if (tg_json_str_is(tg_json_get(v, TG_STR("type")), words[i].word))
            out->kind = words[i].kind;
    }
    if (out->kind == TG_TOOL_CHOICE_NAMED && !out->name.n)
        out->kind = TG_TOOL_CHOICE_RAW;
}

/* ---- thinking and output ---- */

static void parse_thinking(const struct tg_body *b, struct tg_reasoning_opts *out)
{
    const struct tg_json *v = b->v[TG_F_THINKING];
    if (tg_json_is_nil(v))
        return;
    struct tg_str type = tg_json_get_str(v, TG_STR("type"));
    struct tg_str display = tg_json_get_str(v, TG_STR("display"));
    int64_t budget;
    out->raw = tg_json_raw(b->doc, v);
    if (tg_str_eq(type, TG_STR("disabled")))
        out->budget_tokens = 0;
    else if (tg_str_eq(type, TG_STR("adaptive")))
        out->adaptive = true;
    else if (tg_json_i64(tg_json_get(v, TG_STR("budget_tokens")), &budget) == 0 && budget >= 0)
        out->budget_tokens = budget;
    if (tg_str_eq(display, TG_STR("summarized")))
        out->show = 1;
    else if (tg_str_eq(display, TG_STR("omitted")))
        out->show = 0;
}

static void parse_format(const struct tg_body *b, const struct tg_json *v,
                         struct tg_output_format *out)
{
    if (!tg_json_str_is(tg_json_get(v, TG_STR("type")), TG_STR("json_schema")))
        return;
    out->kind = TG_FORMAT_SCHEMA;
    out->schema = raw_or_empty(b->doc, tg_json_get(v, TG_STR("schema")));
}

static bool is_config_member(struct tg_str name, const void *ctx)
{
    return tg_str_eq(name, TG_STR("effort")) || tg_str_eq(name, TG_STR("format"));
}

/* `"name":value`, as it was sent. */
static int member_text(struct tg_arena *a, const struct tg_body *b, enum tg_field id,
                       const char *name, struct tg_str *out)
{
    *out = tg_arena_printf(a, "\"%s\":%.*s", name, TG_STR_ARG(tg_json_raw(b->doc, b->v[id])));
    return out->p ? 0 : TG_E_NOMEM;
}

static int join_members(struct tg_arena *a, struct tg_str more, struct tg_str *io)
{
    *io = io->n ? tg_arena_printf(a, "%.*s,%.*s", TG_STR_ARG(more), TG_STR_ARG(*io)) : more;
    return io->p ? 0 : TG_E_NOMEM;
}

/* What says format and effort goes back as it came. An output_config that holds more than what has
 * a field here stays whole among the unknown members, which are reported where they are lost. */
static int parse_output(struct tg_arena *a, const struct tg_body *b, struct tg_chat_req *req)
{
    const struct tg_json *config = b->v[TG_F_OUTPUT_CONFIG], *beta = b->v[TG_F_OUTPUT_FORMAT];
    struct tg_str text;
    int rc = 0;
    parse_format(b, tg_json_get(config, TG_STR("format")), &req->format);
    parse_format(b, beta, &req->format);
    req->reasoning.effort = tg_json_get_str(config, TG_STR("effort"));
    if (!tg_json_is_nil(beta)) {
        bool known = req->format.kind == TG_FORMAT_SCHEMA;
        rc = member_text(a, b, TG_F_OUTPUT_FORMAT, "output_format", &text);
        if (!rc)
            rc = join_members(a, text, known ? &req->own.members : &req->extra.members);
    }
    if (rc || tg_json_is_nil(config))
        return rc;
    struct tg_extra more;
    rc = tg_body_extra(a, b->doc, config, is_config_member, NULL, &more);
    if (!rc)
        rc = member_text(a, b, TG_F_OUTPUT_CONFIG, "output_config", &text);
    if (!rc)
        rc = join_members(a, text, more.members.n ? &req->extra.members : &req->own.members);
    return rc;
}

/* metadata is {"user_id"}; with anything else in it the whole is kept. */
static void parse_metadata(const struct tg_body *b, struct tg_chat_req *req)
{
    const struct tg_json *v = b->v[TG_F_METADATA];
    req->metadata = TG_STR("");
    if (tg_json_count(v) > (req->user.p ? 1 : 0))
        req->metadata = tg_json_raw(b->doc, v);
}

int tg_anthropic_parse_options(struct tg_arena *a, const struct tg_body *b,
                               const struct tg_field_table *t, struct tg_chat_req *out,
                               struct tg_fail *f)
{
    int rc = tg_body_top_extra(a, b, t, &out->extra);
    if (!rc)
        rc = parse_tools(a, b, out, f);
    if (!rc)
        rc = parse_output(a, b, out);
    if (rc)
        return rc;
    parse_tool_choice(b, &out->tool_choice);
    parse_thinking(b, &out->reasoning);
    parse_metadata(b, out);
    out->service_tier = tg_body_str(b, TG_F_SERVICE_TIER);
    return 0;
}

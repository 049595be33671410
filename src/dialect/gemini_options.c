/* Tools, toolConfig, generationConfig, and the members that have no place in the canonical form.
 *
 * Those are kept by name at the top: what is left of generationConfig as a "generationConfig" of
 * its own, and of toolConfig likewise, so that an answer can say what was left out. */
#include <stdio.h>

#include "base/err.h"
#include "dialect/gemini_priv.h"

void tg_gemini_add_member(struct tg_buf *b, struct tg_str name, struct tg_str raw)
{
    if (b->n)
        tg_buf_char(b, ',');
    tg_buf_json_str(b, name);
    tg_buf_char(b, ':');
    tg_buf_str_add(b, raw);
}

/* ---- tools ---- */

static int one_function(const struct tg_gemini_in *in, const struct tg_json *v, const char *path,
                        struct tg_tool *out)
{
    const struct tg_json *schema = tg_json_proto_get(v, TG_STR("parametersJsonSchema"));
    if (!tg_json_is_obj(v))
        return tg_gemini_bad(in, path, "must be an object");
    out->is_function = true;
    out->type = TG_STR("function");
    out->raw = tg_json_raw(in->doc, v);
    out->strict = -1;
    out->name = tg_json_get_str(v, TG_STR("name"));
    out->description = tg_json_get_str(v, TG_STR("description"));
    if (!out->name.n)
        return tg_gemini_bad(in, path, "has no name");
    out->parameters = tg_gemini_raw(in, schema);
    if (out->parameters.n)
        return 0;
    return tg_gemini_schema(in, tg_json_get(v, TG_STR("parameters")), path, &out->parameters);
}

/* A tool that Google runs itself: {"googleSearch":{}}. */
static int one_builtin(const struct tg_gemini_in *in, const struct tg_json_iter *it,
                       struct tg_tool *out)
{
    out->type = it->name;
    out->strict = -1;
    struct tg_str value = tg_json_raw(in->doc, it->value);
    struct tg_json_span key = tg_json_span(in->doc, it->key);
    out->raw = tg_arena_printf(in->a, "{%.*s:%.*s}", (int)key.n, tg_json_text(in->doc).p + key.at,
                               TG_STR_ARG(value));
    return out->raw.p ? 0 : tg_gemini_no_memory(in);
}

static size_t count_tools(const struct tg_json *list)
{
    size_t n = 0;
    struct tg_json_iter it = tg_json_proto_list(list);
    while (tg_json_next(&it)) {
        struct tg_json_iter m = tg_json_iter(it.value);
        while (tg_json_next(&m))
            n += 1 + tg_json_proto_count(m.value);
    }
    return n;
}

static int one_tool(const struct tg_gemini_in *in, const struct tg_json *v, size_t index,
                    struct tg_chat_req *out)
{
    char path[64];
    struct tg_json_iter m = tg_json_iter(v);
    snprintf(path, sizeof path, "tools[%zu]", index);
    if (!tg_json_is_obj(v))
        return tg_gemini_bad(in, path, "must be an object");
    while (tg_json_next(&m)) {
        if (tg_json_is_nil(m.value))
            continue;
        if (!tg_json_proto_is(m.name, TG_STR("functionDeclarations"))) {
            int rc = one_builtin(in, &m, &out->tools[out->n_tools]);
            if (rc)
                return rc;
            out->n_tools++;
            continue;
        }
        struct tg_json_iter f = tg_json_proto_list(m.value);
        while (tg_json_next(&f)) {
            snprintf(path, sizeof path, "tools[%zu].functionDeclarations[%zu]", index, f.index);
            int rc = one_function(in, f.value, path, &out->tools[out->n_tools]);
            if (rc)
                return rc;
            out->n_tools++;
        }
    }
    return 0;
}

static int parse_tools(const struct tg_gemini_in *in, const struct tg_json *list,
                       struct tg_chat_req *out)
{
    if (tg_json_is_nil(list))
        return 0;
    if (!tg_json_is_arr(list) && !tg_json_is_obj(list))
        return tg_gemini_bad(in, "tools", "must be an array");
    out->tools = tg_arena_array(in->a, count_tools(list) + 1, sizeof *out->tools);
    if (!out->tools)
        return tg_gemini_no_memory(in);
    struct tg_json_iter it = tg_json_proto_list(list);
    int rc = 0;
    while (!rc && tg_json_next(&it))
        rc = one_tool(in, it.value, it.index, out);
    return rc;
}

/* ANY with some of the functions: one is a named choice, all of them are "required". */
static void choose_among(const struct tg_json *names, struct tg_chat_req *req)
{
    struct tg_json_iter it = tg_json_proto_list(names);
    size_t n = tg_json_proto_count(names), functions = 0;
    for (size_t i = 0; i < req->n_tools; i++)
        functions += req->tools[i].is_function;
    req->tool_choice.kind = n == 0           ? TG_TOOL_CHOICE_REQUIRED
                            : n == 1         ? TG_TOOL_CHOICE_NAMED
                            : n == functions ? TG_TOOL_CHOICE_REQUIRED
                                             : TG_TOOL_CHOICE_RAW;
    if (n == 1 && tg_json_next(&it))
        req->tool_choice.name = tg_json_str(it.value);
}

/* VALIDATED is AUTO whose calls keep to their schemas: what is more than AUTO is left over. */
static int parse_tool_config(const struct tg_gemini_in *in, const struct tg_json *v,
                             struct tg_chat_req *req, struct tg_buf *extra)
{
    const struct tg_json *calling = tg_json_proto_get(v, TG_STR("functionCallingConfig"));
    struct tg_str mode = tg_json_get_str(calling, TG_STR("mode"));
    if (tg_json_is_nil(v))
        return 0;
    if (!tg_json_is_obj(v))
        return tg_gemini_bad(in, "toolConfig", "must be an object");
    struct tg_tool_choice *choice = &req->tool_choice;
    choice->raw = tg_json_raw(in->doc, v);
    if (tg_str_ieq(mode, TG_STR("ANY")))
        choose_among(tg_json_proto_get(calling, TG_STR("allowedFunctionNames")), req);
    else if (tg_str_ieq(mode, TG_STR("NONE")))
        choice->kind = TG_TOOL_CHOICE_NONE;
    else if (tg_str_ieq(mode, TG_STR("AUTO")) || tg_str_ieq(mode, TG_STR("VALIDATED")))
        choice->kind = TG_TOOL_CHOICE_AUTO;
    else if (mode.n && !tg_str_eq(mode, TG_STR("MODE_UNSPECIFIED")))
        choice->kind = TG_TOOL_CHOICE_RAW;
    if (tg_str_ieq(mode, TG_STR("VALIDATED")) || tg_json_count(v) > (calling != NULL))
        tg_gemini_add_member(extra, TG_STR("toolConfig"), choice->raw);
    return 0;
}

/* ---- generationConfig ---- */

static bool is_flag(struct tg_str name, struct tg_sampling *s, const struct tg_json *v)
{
    if (!tg_json_proto_is(name, TG_STR("responseLogprobs")) || !tg_json_is_bool(v))
        return false;
    s->has |= TG_HAS_LOGPROBS;
    s->logprobs = tg_json_true(v);
    return true;
}

/* 1: it was a number of ours; 0: something else. */
static int number(const struct tg_gemini_in *in, const struct tg_json_iter *it,
                  struct tg_sampling *s)
{
    const struct {
        struct tg_str name;
        const char *path;
        unsigned bit;
        double *d;
        int64_t *i;
    } known[] = {
        {TG_STR_INIT("temperature"), "generationConfig.temperature", TG_HAS_TEMPERATURE,
         &s->temperature, NULL},
        {TG_STR_INIT("topP"), "generationConfig.topP", TG_HAS_TOP_P, &s->top_p, NULL},
        {TG_STR_INIT("topK"), "generationConfig.topK", TG_HAS_TOP_K, NULL, &s->top_k},
        {TG_STR_INIT("maxOutputTokens"), "generationConfig.maxOutputTokens", TG_HAS_MAX_TOKENS,
         NULL, &s->max_tokens},
        {TG_STR_INIT("candidateCount"), "generationConfig.candidateCount", TG_HAS_N, NULL, &s->n},
        {TG_STR_INIT("seed"), "generationConfig.seed", TG_HAS_SEED, NULL, &s->seed},
        {TG_STR_INIT("presencePenalty"), "generationConfig.presencePenalty", TG_HAS_PRESENCE,
         &s->presence_penalty, NULL},
        {TG_STR_INIT("frequencyPenalty"), "generationConfig.frequencyPenalty", TG_HAS_FREQUENCY,
         &s->frequency_penalty, NULL},
        {TG_STR_INIT("logprobs"), "generationConfig.logprobs", TG_HAS_TOP_LOGPROBS, NULL,
         &s->top_logprobs},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(known); i++) {
        if (!tg_json_proto_is(it->name, known[i].name))
            continue;
        int rc = known[i].d ? tg_json_proto_double(it->value, known[i].d)
                            : tg_json_proto_i64(it->value, known[i].i);
        if (rc)
            return tg_gemini_bad(in, known[i].path,
                                 known[i].d ? "must be a number" : "must be a whole number");
        s->has |= known[i].bit;
        return 1;
    }
    return 0;
}

static int stops(const struct tg_gemini_in *in, const struct tg_json *v, struct tg_sampling *s)
{
    struct tg_json_iter it = tg_json_proto_list(v);
    while (tg_json_next(&it)) {
        if (!tg_json_is_str(it.value) || s->n_stops == TG_CHAT_MAX_STOPS)
            return tg_gemini_bad(in, "generationConfig.stopSequences",
                                 "must hold strings, at most 16 of them");
        s->stops[s->n_stops++] = tg_json_str(it.value);
    }
    return 0;
}

/* thinkingBudget: 0 none, -1 as the model likes; thinkingLevel: LOW, HIGH, …. */
static int thinking(const struct tg_gemini_in *in, const struct tg_json *v,
                    struct tg_reasoning_opts *r)
{
    const struct tg_json *show = tg_json_proto_get(v, TG_STR("includeThoughts"));
    const struct tg_json *budget = tg_json_proto_get(v, TG_STR("thinkingBudget"));
    struct tg_str level = tg_json_proto_str(v, TG_STR("thinkingLevel"));
    if (!tg_json_is_obj(v))
        return tg_gemini_bad(in, "generationConfig.thinkingConfig", "must be an object");
    r->raw = tg_json_raw(in->doc, v);
    r->show = tg_json_is_bool(show) ? tg_json_true(show) : -1;
    int64_t n;
    if (!tg_json_is_nil(budget)) {
        if (tg_json_proto_i64(budget, &n) || n < -1)
            return tg_gemini_bad(in, "generationConfig.thinkingConfig.thinkingBudget",
                                 "must be a whole number");
        r->adaptive = n == -1;
        r->budget_tokens = n;
    }
    if (!level.n || tg_str_eq(level, TG_STR("THINKING_LEVEL_UNSPECIFIED")))
        return 0;
    char *p = tg_arena_alloc(in->a, level.n);
    if (!p)
        return tg_gemini_no_memory(in);
    for (size_t i = 0; i < level.n; i++)
        p[i] = (char)(level.p[i] >= 'A' && level.p[i] <= 'Z' ? level.p[i] - 'A' + 'a' : level.p[i]);
    r->effort = tg_str_make(p, level.n);
    return 0;
}

/* The members that say what form the answer has; raw keeps them all. */
struct form {
    struct tg_str mime;
    const struct tg_json *schema, *json_schema;
    struct tg_buf raw;
};

static bool form_member(const struct tg_gemini_in *in, const struct tg_json_iter *it,
                        struct form *form)
{
    if (tg_json_proto_is(it->name, TG_STR("responseMimeType")) && tg_json_is_str(it->value))
        form->mime = tg_json_str(it->value);
    else if (tg_json_proto_is(it->name, TG_STR("responseSchema")))
        form->schema = it->value;
    else if (tg_json_proto_is(it->name, TG_STR("responseJsonSchema")) ||
             tg_str_eq(it->name, TG_STR("_responseJsonSchema")))
        form->json_schema = it->value;
    else
        return false;
    tg_gemini_add_member(&form->raw, it->name, tg_json_raw(in->doc, it->value));
    return true;
}

static int set_format(const struct tg_gemini_in *in, struct form *form,
                      struct tg_output_format *out)
{
    if (!form->raw.n)
        return 0;
    out->raw = tg_arena_dup(in->a, tg_buf_str(&form->raw));
    if (!out->raw.p)
        return tg_gemini_no_memory(in);
    out->schema = tg_gemini_raw(in, form->json_schema);
    if (!out->schema.n) {
        int rc =
            tg_gemini_schema(in, form->schema, "generationConfig.responseSchema", &out->schema);
        if (rc)
            return rc;
    }
    out->kind = out->schema.n                                       ? TG_FORMAT_SCHEMA
                : tg_str_eq(form->mime, TG_STR("application/json")) ? TG_FORMAT_JSON
                                                                    : TG_FORMAT_TEXT;
    return 0;
}

static int config_member(const struct tg_gemini_in *in, const struct tg_json_iter *it,
                         struct tg_chat_req *out, struct form *form, struct tg_buf *left)
{
    if (tg_json_is_nil(it->value))
        return 0;
    int rc = number(in, it, &out->sampling);
    if (rc)
        return rc > 0 ? 0 : rc;
    if (tg_json_proto_is(it->name, TG_STR("stopSequences")))
        return stops(in, it->value, &out->sampling);
    if (tg_json_proto_is(it->name, TG_STR("thinkingConfig")))
        return thinking(in, it->value, &out->reasoning);
    if (is_flag(it->name, &out->sampling, it->value) || form_member(in, it, form))
        return 0;
    tg_gemini_add_member(left, it->name, tg_json_raw(in->doc, it->value));
    return 0;
}

int tg_gemini_parse_config(const struct tg_gemini_in *in, const struct tg_json *config,
                           struct tg_chat_req *out, struct tg_buf *extra)
{
    struct form form = {0};
    struct tg_buf left;
    int rc = 0;
    if (tg_json_is_nil(config))
        return 0;
    if (!tg_json_is_obj(config))
        return tg_gemini_bad(in, "generationConfig", "must be an object");
    tg_buf_init(&form.raw, SIZE_MAX / 4);
    tg_buf_init(&left, SIZE_MAX / 4);
    struct tg_json_iter it = tg_json_iter(config);
    while (!rc && tg_json_next(&it))
        rc = config_member(in, &it, out, &form, &left);
    if (!rc)
        rc = tg_buf_ok(&left) && tg_buf_ok(&form.raw) ? set_format(in, &form, &out->format)
                                                      : tg_gemini_no_memory(in);
    if (!rc && left.n) {
        if (extra->n)
            tg_buf_char(extra, ',');
        tg_buf_lit(extra, "\"generationConfig\":{");
        tg_buf_str_add(extra, tg_buf_str(&left));
        tg_buf_char(extra, '}');
    }
    tg_buf_fini(&form.raw);
    tg_buf_fini(&left);
    return rc;
}

/* ---- the rest ---- */

static bool has_place(struct tg_str name)
{
    static const struct tg_str known[] = {
        TG_STR_INIT("contents"),   TG_STR_INIT("systemInstruction"), TG_STR_INIT("tools"),
        TG_STR_INIT("toolConfig"), TG_STR_INIT("generationConfig"),  TG_STR_INIT("model"),
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(known); i++) {
        if (tg_json_proto_is(name, known[i]))
            return true;
    }
    return false;
}

static int parse_all(const struct tg_gemini_in *in, const struct tg_json *request,
                     struct tg_chat_req *out, struct tg_buf *extra)
{
    int rc = parse_tools(in, tg_json_get(request, TG_STR("tools")), out);
    if (!rc)
        rc = parse_tool_config(in, tg_json_proto_get(request, TG_STR("toolConfig")), out, extra);
    if (!rc)
        rc = tg_gemini_parse_config(in, tg_json_proto_get(request, TG_STR("generationConfig")), out,
                                    extra);
    struct tg_json_iter it = tg_json_iter(request);
    while (!rc && tg_json_next(&it)) {
        if (!has_place(it.name) && !tg_json_is_nil(it.value))
            tg_gemini_add_member(extra, it.name, tg_json_raw(in->doc, it.value));
    }
    return rc;
}

int tg_gemini_parse_options(const struct tg_gemini_in *in, const struct tg_json *request,
                            struct tg_chat_req *out)
{
    struct tg_buf extra;
    tg_buf_init(&extra, SIZE_MAX / 4);
    int rc = parse_all(in, request, out, &extra);
    if (!rc && !tg_buf_ok(&extra))
        rc = tg_gemini_no_memory(in);
    if (!rc && extra.n) {
        out->extra.members = tg_arena_dup(in->a, tg_buf_str(&extra));
        rc = out->extra.members.p ? 0 : tg_gemini_no_memory(in);
    }
    tg_buf_fini(&extra);
    return rc;
}

/* Ollama's messages and options → canonical. */
#include <stdio.h>

#include "base/err.h"
#include "chat/call_id.h"
#include "chat/media.h"
#include "dialect/ollama_priv.h"
#include "dialect/openai_priv.h"

/* ---- options ---- */

static int bad_option(const char *name, const char *text, struct tg_fail *f)
{
    char param[64];
    snprintf(param, sizeof param, "options.%s", name);
    return tg_fail_param(f, TG_E_INVALID_VALUE, param, "'%s' %s", param, text);
}

static int read_doubles(const struct tg_json *o, struct tg_sampling *s, struct tg_fail *f)
{
    const struct {
        const char *name;
        unsigned bit;
        double *out;
    } rows[] = {
        {"temperature", TG_HAS_TEMPERATURE, &s->temperature},
        {"top_p", TG_HAS_TOP_P, &s->top_p},
        {"min_p", TG_HAS_MIN_P, &s->min_p},
        {"presence_penalty", TG_HAS_PRESENCE, &s->presence_penalty},
        {"frequency_penalty", TG_HAS_FREQUENCY, &s->frequency_penalty},
        {"repeat_penalty", TG_HAS_REPEAT, &s->repeat_penalty},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        const struct tg_json *v = tg_json_get(o, tg_str_c(rows[i].name));
        if (tg_json_is_nil(v))
            continue;
        if (tg_json_double(v, rows[i].out))
            return bad_option(rows[i].name, "must be a number", f);
        s->has |= rows[i].bit;
    }
    return 0;
}

static int read_ints(const struct tg_json *o, struct tg_sampling *s, struct tg_fail *f)
{
    const struct {
        const char *name;
        unsigned bit;
        int64_t *out;
    } rows[] = {
        {"top_k", TG_HAS_TOP_K, &s->top_k},
        {"seed", TG_HAS_SEED, &s->seed},
        {"num_predict", TG_HAS_MAX_TOKENS, &s->max_tokens},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        const struct tg_json *v = tg_json_get(o, tg_str_c(rows[i].name));
        if (tg_json_is_nil(v))
            continue;
        if (tg_json_i64(v, rows[i].out))
            return bad_option(rows[i].name, "must be a whole number", f);
        s->has |= rows[i].bit;
    }
    if (s->has & TG_HAS_MAX_TOKENS && s->max_tokens < 1) /* -1, -2: no limit */
        s->has &= ~(unsigned)TG_HAS_MAX_TOKENS;
    return 0;
}

static int read_stops(const struct tg_json *o, struct tg_sampling *s, struct tg_fail *f)
{
    const struct tg_json *v = tg_json_get(o, TG_STR("stop"));
    if (tg_json_is_str(v)) {
        s->stops[s->n_stops++] = tg_json_str(v);
        return 0;
    }
    if (!tg_json_is_nil(v) && !tg_json_is_arr(v))
        return bad_option("stop", "must be a string or an array of strings", f);
    struct tg_json_iter it = tg_json_iter(v);
    while (tg_json_next(&it)) {
        if (!tg_json_is_str(it.value) || s->n_stops == TG_CHAT_MAX_STOPS)
            return bad_option("stop", "must hold at most 16 strings", f);
        s->stops[s->n_stops++] = tg_json_str(it.value);
    }
    return 0;
}

static int read_format(const struct tg_body *b, struct tg_chat_req *out, struct tg_fail *f)
{
    const struct tg_json *v = b->v[TG_F_RESPONSE_FORMAT];
    if (tg_json_is_obj(v)) {
        out->format.kind = TG_FORMAT_SCHEMA;
        out->format.schema = tg_json_raw(b->doc, v);
        return 0;
    }
    if (!tg_json_str(v).n)
        return 0;
    if (!tg_json_str_is(v, TG_STR("json")))
        return tg_fail_param(f, TG_E_INVALID_VALUE, "format",
                             "'format' must be \"json\" or a JSON schema");
    out->format.kind = TG_FORMAT_JSON;
    return 0;
}

static int read_think(const struct tg_body *b, struct tg_reasoning_opts *out, struct tg_fail *f)
{
    const struct tg_json *v = b->v[TG_F_REASONING];
    if (tg_json_is_nil(v))
        return 0;
    if (tg_json_str(v).n) {
        out->effort = tg_json_str(v);
        return 0;
    }
    if (!tg_json_is_bool(v))
        return tg_fail_param(f, TG_E_INVALID_VALUE, "think",
                             "'think' must be a boolean, \"low\", \"medium\" or \"high\"");
    if (tg_json_true(v))
        out->adaptive = true;
    else
        out->budget_tokens = 0;
    return 0;
}

static int read_tools(struct tg_arena *a, const struct tg_body *b, struct tg_chat_req *out,
                      struct tg_fail *f)
{
    struct tg_body tools = {.doc = b->doc, .root = b->root};
    tools.v[TG_F_TOOLS] = b->v[TG_F_TOOLS]; /* the same form as OpenAI's; the rest is not */
    return tg_openai_parse_options(a, &tools, out, f);
}

int tg_ollama_parse_options(struct tg_arena *a, const struct tg_body *b, struct tg_chat_req *out,
                            struct tg_fail *f)
{
    const struct tg_json *o = b->v[TG_F_OPTIONS];
    int rc = read_tools(a, b, out, f);
    rc = rc ? rc : read_doubles(o, &out->sampling, f);
    rc = rc ? rc : read_ints(o, &out->sampling, f);
    rc = rc ? rc : read_stops(o, &out->sampling, f);
    rc = rc ? rc : read_format(b, out, f);
    return rc ? rc : read_think(b, &out->reasoning, f);
}

static bool is_read(struct tg_str name, const void *ctx)
{
    static const struct tg_str known[] = {
        TG_STR_INIT("temperature"),
        TG_STR_INIT("top_p"),
        TG_STR_INIT("min_p"),
        TG_STR_INIT("top_k"),
        TG_STR_INIT("presence_penalty"),
        TG_STR_INIT("frequency_penalty"),
        TG_STR_INIT("repeat_penalty"),
        TG_STR_INIT("seed"),
        TG_STR_INIT("num_predict"),
        TG_STR_INIT("stop"),
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(known); i++) {
        if (tg_str_eq(name, known[i]))
            return true;
    }
    return false;
}

int tg_ollama_left_options(struct tg_arena *a, const struct tg_body *b, struct tg_extra *io)
{
    struct tg_extra left;
    int rc = tg_body_extra(a, b->doc, b->v[TG_F_OPTIONS], is_read, NULL, &left);
    if (rc || !left.members.n)
        return rc;
    io->members = tg_arena_printf(a, "\"options\":{%.*s}%s%.*s", TG_STR_ARG(left.members),
                                  io->members.n ? "," : "", TG_STR_ARG(io->members));
    return io->members.p ? 0 : TG_E_NOMEM;
}

/* ---- messages ---- */

struct place {
    struct tg_arena *a;
    struct tg_json_doc *doc;
    size_t message;
    struct tg_part **open; /* the calls so far, in order; NULL: its result is there */
    size_t n_calls, n_results;
    struct tg_fail *f;
};

static int bad(const struct place *at, const char *member, const char *text)
{
    char param[80];
    snprintf(param, sizeof param, "messages[%zu]%s%s", at->message, member[0] ? "." : "", member);
    return tg_fail_param(at->f, TG_E_INVALID_VALUE, param, "'%s' %s", param, text);
}

static int no_memory(const struct place *at)
{
    return tg_fail_set(at->f, TG_E_NOMEM, "not enough memory for the request");
}

/* By the first bytes of the picture, which base64 keeps recognisable; Ollama is not told. */
static struct tg_str mime_of(struct tg_str data)
{
    static const struct {
        struct tg_str begins, mime;
    } kinds[] = {
        {TG_STR_INIT("/9j/"), TG_STR_INIT("image/jpeg")},
        {TG_STR_INIT("iVBORw0KGgo"), TG_STR_INIT("image/png")},
        {TG_STR_INIT("R0lGOD"), TG_STR_INIT("image/gif")},
        {TG_STR_INIT("UklGR"), TG_STR_INIT("image/webp")},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(kinds); i++) {
        if (tg_str_starts(data, kinds[i].begins))
            return kinds[i].mime;
    }
    return TG_STR("");
}

int tg_ollama_images(const struct tg_json *list, const char *param, struct tg_part *parts,
                     size_t *io_n, struct tg_fail *f)
{
    struct tg_json_iter it = tg_json_iter(list);
    while (tg_json_next(&it)) {
        struct tg_str data = tg_json_str(it.value);
        struct tg_media m = tg_media_of_url(data); /* some clients send it as a data URL */
        if (m.source != TG_MEDIA_INLINE)
            m = (struct tg_media){.source = TG_MEDIA_INLINE, .mime = mime_of(data), .data = data};
        if (!m.data.n)
            return tg_fail_param(f, TG_E_INVALID_VALUE, param, "'%s' must hold base64 texts only",
                                 param);
        parts[(*io_n)++] = (struct tg_part){
            .kind = TG_PART_IMAGE,
            .media = m,
        };
    }
    return 0;
}

/* The id that a call or a result is known by: its own, else one by order. */
static int call_id(struct place *at, struct tg_str own, size_t number, struct tg_part *p)
{
    if (own.n) {
        int rc = tg_call_id_split(at->a, own, &p->call_id, &p->signature);
        p->opaque = p->signature.n ? TG_OPAQUE_THOUGHT : TG_OPAQUE_NONE;
        return rc ? no_memory(at) : 0;
    }
    p->call_id = tg_arena_printf(at->a, "call_%zu", number);
    return p->call_id.p ? 0 : no_memory(at);
}

static int tool_calls(struct place *at, const struct tg_json *list, struct tg_message *m)
{
    struct tg_json_iter it = tg_json_iter(list);
    while (tg_json_next(&it)) {
        const struct tg_json *fn = tg_json_get(it.value, TG_STR("function"));
        const struct tg_json *arguments = tg_json_get(fn, TG_STR("arguments"));
        struct tg_part *p = &m->parts[m->n_parts++];
        p->kind = TG_PART_TOOL_CALL;
        p->raw = tg_json_raw(at->doc, it.value);
        p->tool_name = tg_json_get_str(fn, TG_STR("name"));
        if (!p->tool_name.n)
            return bad(at, "tool_calls", "has a call without a function name");
        p->arguments = tg_json_is_str(arguments)   ? tg_json_str(arguments)
                       : tg_json_is_nil(arguments) ? TG_STR("{}")
                                                   : tg_json_raw(at->doc, arguments);
        int rc = call_id(at, tg_json_get_str(it.value, TG_STR("id")), at->n_calls, p);
        if (rc)
            return rc;
        at->open[at->n_calls++] = p;
    }
    return 0;
}

/* The call that a result belongs to, of those without one: of its id, else the first of its tool,
 * else the first. Ollama's own clients name the tool and no more, while calls may carry ids. */
static struct tg_part **find_call(const struct place *at, struct tg_str id, struct tg_str tool)
{
    struct tg_part **first = NULL;
    for (size_t i = 0; i < at->n_calls; i++) {
        struct tg_part **call = &at->open[i];
        if (!*call)
            continue;
        if (id.n ? tg_str_eq((*call)->call_id, id) : tg_str_eq((*call)->tool_name, tool))
            return call;
        if (!first && !id.n && !tool.n)
            first = call;
    }
    return first;
}

static int match(struct place *at, struct tg_str own, struct tg_part *p)
{
    int rc = call_id(at, own, at->n_results++, p);
    if (rc)
        return rc;
    struct tg_part **call = find_call(at, own.n ? p->call_id : own, p->tool_name);
    if (!call)
        return 0;
    p->call_id = (*call)->call_id;
    *call = NULL;
    return 0;
}

static int tool_result(struct place *at, const struct tg_json *v, struct tg_str text,
                       struct tg_message *m)
{
    struct tg_part *p = &m->parts[m->n_parts++];
    struct tg_part *inner = tg_arena_array(at->a, 1, sizeof *inner);
    if (!inner)
        return no_memory(at);
    inner->kind = TG_PART_TEXT;
    inner->text = text;
    p->kind = TG_PART_TOOL_RESULT;
    p->parts = inner;
    p->n_parts = 1;
    p->tool_name = tg_json_get_str(v, TG_STR("tool_name"));
    if (!p->tool_name.n)
        p->tool_name = tg_json_get_str(v, TG_STR("name"));
    return match(at, tg_json_get_str(v, TG_STR("tool_call_id")), p);
}

static bool has_place(struct tg_str name, const void *ctx)
{
    static const struct tg_str known[] = {
        TG_STR_INIT("role"),       TG_STR_INIT("content"),   TG_STR_INIT("images"),
        TG_STR_INIT("tool_calls"), TG_STR_INIT("tool_name"), TG_STR_INIT("tool_call_id"),
        TG_STR_INIT("thinking"),   TG_STR_INIT("name"),
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(known); i++) {
        if (tg_str_eq(name, known[i]))
            return true;
    }
    return false;
}

static int one_message(struct place *at, const struct tg_json *v, struct tg_message *m)
{
    const struct tg_json *content = tg_json_get(v, TG_STR("content"));
    const struct tg_json *images = tg_json_get(v, TG_STR("images"));
    const struct tg_json *calls = tg_json_get(v, TG_STR("tool_calls"));
    struct tg_str thinking = tg_json_get_str(v, TG_STR("thinking"));
    if (!tg_json_is_obj(v))
        return bad(at, "", "must be an object");
    if (!tg_role_parse(tg_json_get_str(v, TG_STR("role")), &m->role))
        return bad(at, "role", "must be one of system, user, assistant and tool");
    if (!tg_json_is_nil(content) && !tg_json_is_str(content))
        return bad(at, "content", "must be a string");
    m->parts =
        tg_arena_array(at->a, 2 + tg_json_count(images) + tg_json_count(calls), sizeof *m->parts);
    if (!m->parts || tg_body_extra(at->a, at->doc, v, has_place, NULL, &m->extra) < 0)
        return no_memory(at);
    if (m->role == TG_ROLE_TOOL)
        return tool_result(at, v, tg_json_str(content), m);
    if (thinking.n)
        m->parts[m->n_parts++] = (struct tg_part){.kind = TG_PART_REASONING, .text = thinking};
    if (tg_json_str(content).n || (!tg_json_count(images) && !tg_json_count(calls)))
        m->parts[m->n_parts++] = (struct tg_part){
            .kind = TG_PART_TEXT, .text = content ? tg_json_str(content) : TG_STR("")};
    int rc = tg_ollama_images(images, "images", m->parts, &m->n_parts, at->f);
    return rc ? rc : tool_calls(at, calls, m);
}

static size_t count_calls(const struct tg_json *list)
{
    size_t n = 0;
    struct tg_json_iter it = tg_json_iter(list);
    while (tg_json_next(&it))
        n += tg_json_count(tg_json_get(it.value, TG_STR("tool_calls")));
    return n;
}

int tg_ollama_parse_messages(struct tg_arena *a, const struct tg_body *b, struct tg_chat_req *out,
                             struct tg_fail *f)
{
    const struct tg_json *list = b->v[TG_F_MESSAGES];
    struct place at = {.a = a, .doc = b->doc, .f = f};
    out->messages = tg_arena_array(a, tg_json_count(list) + 1, sizeof *out->messages);
    at.open = tg_arena_array(a, count_calls(list) + 1, sizeof(struct tg_part *));
    if (!out->messages || !at.open)
        return no_memory(&at);
    struct tg_json_iter it = tg_json_iter(list);
    while (tg_json_next(&it)) {
        at.message = it.index;
        int rc = one_message(&at, it.value, &out->messages[out->n_messages++]);
        if (rc)
            return rc;
    }
    return 0;
}

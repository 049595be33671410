/* Canonical request → Ollama's /api/chat, /api/generate (a raw prompt) or /api/embed. Only what the
 * client gave is written. */
#include <stdio.h>

#include "adapter/encode_priv.h"
#include "adapter/ollama_priv.h"
#include "base/err.h"
#include "chat/fidelity.h"
#include "json/write.h"

#define ROW(id, fate) [TG_FEATURE_##id] = TG_##fate

const uint8_t tg_ollama_fidelity[TG_FEATURE_COUNT] = {
    ROW(SYSTEM, NATIVE),
    ROW(DEVELOPER, EMULATED),
    ROW(NAME, DROPPED),
    ROW(TEMPERATURE, NATIVE),
    ROW(TOP_P, NATIVE),
    ROW(TOP_K, NATIVE),
    ROW(MIN_P, NATIVE),
    ROW(PRESENCE, NATIVE),
    ROW(FREQUENCY, NATIVE),
    ROW(REPETITION, NATIVE),
    ROW(MAX_TOKENS, NATIVE),
    ROW(SEED, NATIVE),
    ROW(N, REFUSED),
    ROW(LOGPROBS, NATIVE),
    ROW(TOP_LOGPROBS, NATIVE),
    ROW(STOP, NATIVE),
    ROW(LOGIT_BIAS, DROPPED),
    ROW(TOOLS, NATIVE),
    ROW(TOOL_TYPES, REFUSED),
    ROW(TOOL_STRICT, DROPPED),
    ROW(TOOL_CHOICE, NATIVE),
    ROW(TOOL_REQUIRED, REFUSED),
    ROW(TOOL_NAMED, REFUSED),
    ROW(TOOL_CHOICE_RAW, REFUSED),
    ROW(PARALLEL, DROPPED),
    ROW(RESULT_ERROR, DROPPED),
    ROW(RESULT_MEDIA, REFUSED),
    ROW(JSON_OBJECT, NATIVE),
    ROW(JSON_SCHEMA, NATIVE),
    ROW(EFFORT, NATIVE),
    ROW(BUDGET, EMULATED),
    ROW(SHOW, DROPPED),
    ROW(REASONING, NATIVE),
    ROW(SIGNED, DROPPED),
    ROW(ENCRYPTED, DROPPED),
    ROW(THOUGHT, DROPPED),
    ROW(IMAGE, NATIVE),
    ROW(IMAGE_URL, REFUSED),
    ROW(IMAGE_FILE, REFUSED),
    ROW(IMAGE_DETAIL, DROPPED),
    ROW(DOCUMENT, REFUSED),
    ROW(DOCUMENT_URL, REFUSED),
    ROW(DOCUMENT_FILE, REFUSED),
    ROW(AUDIO, REFUSED),
    ROW(RAW_PART, REFUSED),
    ROW(REFUSAL, EMULATED),
    ROW(CACHE_HINT, DROPPED),
    ROW(SERVICE_TIER, DROPPED),
    ROW(USER, DROPPED),
    ROW(METADATA, DROPPED),
    ROW(PROMPT, NATIVE),
    ROW(COUNTING, EMULATED),
    ROW(EXTRA, DROPPED),
    ROW(DIMENSIONS, NATIVE),
    ROW(BASE64, NATIVE),
    ROW(INPUT_TOKENS, REFUSED),
    ROW(INPUT_TYPE, DROPPED),
};

/* What was not understood is this format's own. */
static bool own(const struct tg_chat_req *req)
{
    return req->wire == TG_WIRE_OLLAMA_CHAT || req->wire == TG_WIRE_OLLAMA_GENERATE ||
           req->wire == TG_WIRE_OLLAMA_EMBED;
}

/* ---- options ---- */

/* What was not understood, as an object: of `options`, what goes in with those that were. */
struct extra {
    struct tg_json_doc *doc;
    const struct tg_json *all, *options; /* NULL: none */
};

static int read_extra(struct tg_arena *a, const struct tg_chat_req *req, struct extra *out)
{
    *out = (struct extra){0};
    if (!own(req) || !req->extra.members.n)
        return 0;
    struct tg_str text = tg_arena_printf(a, "{%.*s}", TG_STR_ARG(req->extra.members));
    int rc = text.p ? tg_json_parse(a, text, NULL, &out->doc, NULL) : TG_E_NOMEM;
    if (rc)
        return rc;
    out->all = tg_json_root(out->doc);
    out->options = tg_json_get(out->all, TG_STR("options"));
    return 0;
}

static void write_members_but(struct tg_jw *w, const struct extra *e, const struct tg_json *from,
                              const struct tg_json *but)
{
    struct tg_json_iter it = tg_json_iter(from);
    while (tg_json_next(&it)) {
        if (it.value != but)
            tg_jw_kraw(w, it.name, tg_json_raw(e->doc, it.value));
    }
}

static void write_options(struct tg_jw *w, const struct tg_sampling *s, const struct extra *e)
{
    const struct {
        unsigned bit;
        struct tg_str key;
        double value;
    } doubles[] = {
        {TG_HAS_TEMPERATURE, TG_STR_INIT("temperature"), s->temperature},
        {TG_HAS_TOP_P, TG_STR_INIT("top_p"), s->top_p},
        {TG_HAS_MIN_P, TG_STR_INIT("min_p"), s->min_p},
        {TG_HAS_PRESENCE, TG_STR_INIT("presence_penalty"), s->presence_penalty},
        {TG_HAS_FREQUENCY, TG_STR_INIT("frequency_penalty"), s->frequency_penalty},
        {TG_HAS_REPEAT, TG_STR_INIT("repeat_penalty"), s->repeat_penalty},
    };
    const unsigned known = TG_HAS_TEMPERATURE | TG_HAS_TOP_P | TG_HAS_MIN_P | TG_HAS_PRESENCE |
                           TG_HAS_FREQUENCY | TG_HAS_REPEAT | TG_HAS_TOP_K | TG_HAS_SEED |
                           TG_HAS_MAX_TOKENS;
    if (!(s->has & known) && !s->n_stops && !tg_json_count(e->options))
        return;
    tg_jw_key(w, TG_STR("options"));
    tg_jw_obj(w);
    for (size_t i = 0; i < TG_ARRAY_LEN(doubles); i++) {
        if (s->has & doubles[i].bit)
            tg_jw_kdouble(w, doubles[i].key, doubles[i].value);
    }
    if (s->has & TG_HAS_TOP_K)
        tg_jw_ki64(w, TG_STR("top_k"), s->top_k);
    if (s->has & TG_HAS_SEED)
        tg_jw_ki64(w, TG_STR("seed"), s->seed);
    if (s->has & TG_HAS_MAX_TOKENS)
        tg_jw_ki64(w, TG_STR("num_predict"), s->max_tokens);
    if (s->n_stops) {
        tg_jw_kstrs(w, TG_STR("stop"), s->stops, s->n_stops);
    }
    write_members_but(w, e, e->options, NULL);
    tg_jw_end_obj(w);
}

static void write_format(struct tg_jw *w, const struct tg_output_format *f)
{
    if (f->kind == TG_FORMAT_SCHEMA && f->schema.n)
        tg_jw_kraw(w, TG_STR("format"), f->schema);
    else if (f->kind == TG_FORMAT_JSON || f->kind == TG_FORMAT_SCHEMA)
        tg_jw_kstr(w, TG_STR("format"), TG_STR("json"));
}

/* Ollama knows low, medium and high, and a switch. */
static void write_think(struct tg_jw *w, const struct tg_reasoning_opts *r)
{
    struct tg_str e = r->effort;
    if (tg_str_eq(e, TG_STR("none")) || r->budget_tokens == 0)
        tg_jw_kbool(w, TG_STR("think"), false);
    else if (tg_str_eq(e, TG_STR("minimal")))
        tg_jw_kstr(w, TG_STR("think"), TG_STR("low"));
    else if (tg_str_eq(e, TG_STR("low")) || tg_str_eq(e, TG_STR("medium")))
        tg_jw_kstr(w, TG_STR("think"), e);
    else if (e.n)
        tg_jw_kstr(w, TG_STR("think"), TG_STR("high"));
    else if (r->adaptive || r->budget_tokens > 0)
        tg_jw_kbool(w, TG_STR("think"), true);
}

/* ---- messages ---- */

static int cannot(struct tg_fail *f, size_t message, const char *what)
{
    char param[48];
    snprintf(param, sizeof param, "messages[%zu].content", message);
    return tg_fail_param(f, TG_E_UNSUPPORTED_PARAMETER, param,
                         "'%s' holds %s, which this model's API has no form for", param, what);
}

static void write_texts(struct tg_jw *w, struct tg_str key, const struct tg_part *parts, size_t n,
                        bool reasoning)
{
    bool first = true;
    tg_jw_key(w, key);
    tg_jw_str_open(w);
    for (size_t i = 0; i < n; i++) {
        enum tg_part_kind k = parts[i].kind;
        bool said = k == TG_PART_TEXT || k == TG_PART_REFUSAL;
        if (reasoning ? k != TG_PART_REASONING || parts[i].opaque : !said)
            continue;
        if (!first)
            tg_jw_str_piece(w, TG_STR("\n"));
        first = false;
        tg_jw_str_piece(w, parts[i].text);
    }
    tg_jw_str_close(w);
}

static bool has_kind(const struct tg_message *m, enum tg_part_kind kind)
{
    for (size_t i = 0; i < m->n_parts; i++) {
        if (m->parts[i].kind == kind && !m->parts[i].opaque)
            return true;
    }
    return false;
}

static void write_images(struct tg_jw *w, const struct tg_message *m)
{
    if (!has_kind(m, TG_PART_IMAGE))
        return;
    tg_jw_key(w, TG_STR("images"));
    tg_jw_arr(w);
    for (size_t i = 0; i < m->n_parts; i++) {
        if (m->parts[i].kind == TG_PART_IMAGE)
            tg_jw_str(w, m->parts[i].media.data);
    }
    tg_jw_end_arr(w);
}

/* Arguments that are no object (a model may write anything) are quoted in one. */
static void write_arguments(struct tg_arena *a, struct tg_jw *w, struct tg_str text)
{
    struct tg_json_doc *doc;
    struct tg_str s = tg_str_trim(text);
    if (!s.n) {
        tg_jw_raw(w, TG_STR("{}"));
    } else if (tg_json_parse(a, s, NULL, &doc, NULL) == 0 && tg_json_is_obj(tg_json_root(doc))) {
        tg_jw_raw(w, s);
    } else {
        tg_jw_obj(w);
        tg_jw_kstr(w, TG_STR("_arguments"), text);
        tg_jw_end_obj(w);
    }
}

static void write_calls(struct tg_arena *a, struct tg_jw *w, const struct tg_message *m)
{
    bool any = false;
    for (size_t i = 0; i < m->n_parts; i++) {
        const struct tg_part *p = &m->parts[i];
        if (p->kind != TG_PART_TOOL_CALL)
            continue;
        if (!any) {
            tg_jw_key(w, TG_STR("tool_calls"));
            tg_jw_arr(w);
        }
        any = true;
        tg_jw_obj(w);
        if (p->call_id.n)
            tg_jw_kstr(w, TG_STR("id"), p->call_id);
        tg_jw_key(w, TG_STR("function"));
        tg_jw_obj(w);
        tg_jw_kstr(w, TG_STR("name"), p->tool_name);
        tg_jw_key(w, TG_STR("arguments"));
        write_arguments(a, w, p->arguments);
        tg_jw_end_obj(w);
        tg_jw_end_obj(w);
    }
    if (any)
        tg_jw_end_arr(w);
}

/* The name of the tool whose call had that id: this format's results name the tool. */
static struct tg_str tool_of(const struct tg_chat_req *req, struct tg_str call_id)
{
    for (size_t i = req->n_messages; i-- > 0;) {
        const struct tg_message *m = &req->messages[i];
        for (size_t k = 0; k < m->n_parts; k++) {
            if (m->parts[k].kind == TG_PART_TOOL_CALL && tg_str_eq(m->parts[k].call_id, call_id))
                return m->parts[k].tool_name;
        }
    }
    return TG_STR("");
}

static void write_results(struct tg_jw *w, const struct tg_chat_req *req,
                          const struct tg_message *m, size_t *out_n)
{
    *out_n = 0;
    for (size_t i = 0; i < m->n_parts; i++) {
        const struct tg_part *p = &m->parts[i];
        if (p->kind != TG_PART_TOOL_RESULT)
            continue;
        struct tg_str name = p->tool_name.n ? p->tool_name : tool_of(req, p->call_id);
        ++*out_n;
        tg_jw_obj(w);
        tg_jw_kstr(w, TG_STR("role"), TG_STR("tool"));
        write_texts(w, TG_STR("content"), p->parts, p->n_parts, false);
        if (name.n)
            tg_jw_kstr(w, TG_STR("tool_name"), name);
        if (p->call_id.n)
            tg_jw_kstr(w, TG_STR("tool_call_id"), p->call_id);
        tg_jw_end_obj(w);
    }
}

static int check_parts(const struct tg_message *m, size_t index, struct tg_fail *f)
{
    for (size_t i = 0; i < m->n_parts; i++) {
        const struct tg_part *p = &m->parts[i];
        if (p->kind == TG_PART_DOCUMENT || p->kind == TG_PART_AUDIO)
            return cannot(f, index, "a document or a sound");
        if (p->kind == TG_PART_IMAGE && p->media.source != TG_MEDIA_INLINE)
            return cannot(f, index, "an image that is not inline");
        if (p->kind == TG_PART_RAW)
            return cannot(f, index, "a part of an unknown kind");
    }
    return 0;
}

static int write_message(struct tg_arena *a, struct tg_jw *w, const struct tg_chat_req *req,
                         size_t index, struct tg_fail *f)
{
    const struct tg_message *m = &req->messages[index];
    size_t results;
    int rc = check_parts(m, index, f);
    if (rc)
        return rc;
    write_results(w, req, m, &results);
    if (results && results == m->n_parts)
        return 0;
    enum tg_role role = m->role == TG_ROLE_DEVELOPER ? TG_ROLE_SYSTEM : m->role;
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("role"), tg_str_c(tg_role_name(role)));
    write_texts(w, TG_STR("content"), m->parts, m->n_parts, false);
    if (has_kind(m, TG_PART_REASONING))
        write_texts(w, TG_STR("thinking"), m->parts, m->n_parts, true);
    write_images(w, m);
    write_calls(a, w, m);
    if (own(req))
        tg_jw_members(w, m->extra.members);
    tg_jw_end_obj(w);
    return 0;
}

static void write_tools(struct tg_jw *w, const struct tg_chat_req *req)
{
    size_t functions = 0;
    for (size_t i = 0; i < req->n_tools; i++)
        functions += req->tools[i].is_function;
    if (!functions || req->tool_choice.kind == TG_TOOL_CHOICE_NONE)
        return;
    tg_jw_key(w, TG_STR("tools"));
    tg_jw_arr(w);
    for (size_t i = 0; i < req->n_tools; i++) {
        const struct tg_tool *t = &req->tools[i];
        if (!t->is_function)
            continue;
        tg_jw_obj(w);
        tg_jw_kstr(w, TG_STR("type"), TG_STR("function"));
        tg_jw_key(w, TG_STR("function"));
        tg_jw_obj(w);
        tg_jw_kstr(w, TG_STR("name"), t->name);
        if (t->description.n)
            tg_jw_kstr(w, TG_STR("description"), t->description);
        if (t->parameters.n)
            tg_jw_kraw(w, TG_STR("parameters"), t->parameters);
        tg_jw_end_obj(w);
        tg_jw_end_obj(w);
    }
    tg_jw_end_arr(w);
}

static int write_chat(struct tg_arena *a, struct tg_jw *w, const struct tg_chat_req *req,
                      struct tg_fail *f)
{
    int rc = 0;
    tg_jw_key(w, TG_STR("messages"));
    tg_jw_arr(w);
    for (size_t i = 0; i < req->n_messages && !rc; i++)
        rc = write_message(a, w, req, i, f);
    tg_jw_end_arr(w);
    write_tools(w, req);
    return rc;
}

/* ---- embeddings ---- */

static int write_inputs(struct tg_jw *w, const struct tg_inputs *in, struct tg_fail *f)
{
    int rc = tg_adapter_write_texts(w, TG_STR("input"), in, f);
    if (in->dimensions >= 0)
        tg_jw_ki64(w, TG_STR("dimensions"), in->dimensions);
    return rc;
}

/* Not of a raw completion: OpenAI's old form of them has text offsets, which Ollama does not tell.
 */
static void write_logprobs(struct tg_jw *w, const struct tg_chat_req *req)
{
    const struct tg_sampling *s = &req->sampling;
    if (req->is_completion)
        return;
    if (s->has & TG_HAS_LOGPROBS)
        tg_jw_kbool(w, TG_STR("logprobs"), s->logprobs);
    if (s->has & TG_HAS_TOP_LOGPROBS)
        tg_jw_ki64(w, TG_STR("top_logprobs"), s->top_logprobs);
}

static int write_body(struct tg_arena *a, struct tg_jw *w, const struct tg_chat_req *req,
                      const struct tg_adapter_target *target, struct tg_fail *f)
{
    struct extra e;
    int rc = read_extra(a, req, &e);
    if (rc)
        return tg_fail_set(f, rc, "not enough memory for the request");
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("model"), target->model);
    if (req->task == TG_TASK_EMBED) {
        rc = write_inputs(w, &req->inputs, f);
    } else {
        if (req->is_completion) {
            tg_jw_kstr(w, TG_STR("prompt"), req->prompt);
            tg_jw_kbool(w, TG_STR("raw"), true);
        } else {
            rc = write_chat(a, w, req, f);
        }
        tg_jw_kbool(w, TG_STR("stream"), req->stream);
        write_options(w, &req->sampling, &e);
        write_logprobs(w, req);
        write_format(w, &req->format);
        write_think(w, &req->reasoning);
    }
    write_members_but(w, &e, e.all, req->task == TG_TASK_EMBED ? NULL : e.options);
    tg_jw_end_obj(w);
    return rc;
}

int tg_ollama_encode_body(struct tg_arena *a, const struct tg_chat_req *req,
                          const struct tg_adapter_target *target, struct tg_str *out,
                          uint64_t *out_dropped, uint64_t *out_emulated, struct tg_fail *fail)
{
    struct tg_str e = req->reasoning.effort;
    bool exact = tg_str_eq(e, TG_STR("low")) || tg_str_eq(e, TG_STR("medium")) ||
                 tg_str_eq(e, TG_STR("high")) || tg_str_eq(e, TG_STR("none"));
    struct tg_buf b;
    tg_buf_init(&b, SIZE_MAX / 4);
    struct tg_jw w = tg_jw(&b);
    int rc = write_body(a, &w, req, target, fail);
    rc = tg_adapter_take_body(a, &b, rc, out, fail);
    if (rc)
        return rc;
    *out_emulated = e.n && !exact ? TG_FEATURE_BIT(EFFORT) : 0;
    *out_dropped = req->is_completion ? TG_FEATURE_BIT(LOGPROBS) | TG_FEATURE_BIT(TOP_LOGPROBS) : 0;
    *out_dropped &= tg_features_of(req);
    return 0;
}

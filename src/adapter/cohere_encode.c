/* Canonical request → Cohere's v2 chat, embed and rerank. Only what the client gave is written. */
#include "adapter/cohere_priv.h"
#include "adapter/encode_priv.h"
#include "base/err.h"
#include "chat/fidelity.h"

#define ROW(id, fate) [TG_FEATURE_##id] = TG_##fate

const uint8_t tg_cohere_fidelity[TG_FEATURE_COUNT] = {
    ROW(SYSTEM, NATIVE),
    ROW(DEVELOPER, EMULATED),
    ROW(NAME, DROPPED),
    ROW(TEMPERATURE, NATIVE),
    ROW(TOP_P, NATIVE),
    ROW(TOP_K, NATIVE),
    ROW(MIN_P, DROPPED),
    ROW(PRESENCE, NATIVE),
    ROW(FREQUENCY, NATIVE),
    ROW(REPETITION, DROPPED),
    ROW(MAX_TOKENS, NATIVE),
    ROW(SEED, NATIVE),
    ROW(N, REFUSED),
    ROW(LOGPROBS, DROPPED),
    ROW(TOP_LOGPROBS, DROPPED),
    ROW(STOP, NATIVE),
    ROW(LOGIT_BIAS, DROPPED),
    ROW(TOOLS, NATIVE),
    ROW(TOOL_TYPES, REFUSED),
    ROW(TOOL_STRICT, NATIVE),
    ROW(TOOL_CHOICE, NATIVE),
    ROW(TOOL_REQUIRED, NATIVE),
    ROW(TOOL_NAMED, EMULATED),
    ROW(TOOL_CHOICE_RAW, REFUSED),
    ROW(PARALLEL, DROPPED),
    ROW(RESULT_ERROR, DROPPED),
    ROW(RESULT_MEDIA, REFUSED),
    ROW(JSON_OBJECT, NATIVE),
    ROW(JSON_SCHEMA, NATIVE),
    ROW(EFFORT, EMULATED),
    ROW(BUDGET, NATIVE),
    ROW(SHOW, DROPPED),
    ROW(REASONING, DROPPED),
    ROW(SIGNED, DROPPED),
    ROW(ENCRYPTED, DROPPED),
    ROW(THOUGHT, DROPPED),
    ROW(IMAGE, NATIVE),
    ROW(IMAGE_URL, NATIVE),
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
    ROW(PROMPT, EMULATED), /* as a user's message */
    ROW(COUNTING, EMULATED),
    ROW(EXTRA, DROPPED),
    ROW(DIMENSIONS, NATIVE),
    ROW(BASE64, NATIVE),
    ROW(INPUT_TOKENS, REFUSED),
    ROW(INPUT_TYPE, NATIVE),
};

/* ---- messages ---- */

static void write_said(struct tg_jw *w, enum tg_role role, const struct tg_part *parts, size_t n)
{
    struct tg_str between = TG_STR("");
    tg_jw_str_open(w);
    for (size_t i = 0; i < n; i++) {
        if (parts[i].kind != TG_PART_TEXT && parts[i].kind != TG_PART_REFUSAL)
            continue;
        tg_jw_str_piece(w, between);
        tg_jw_str_piece(w, parts[i].text);
        between = tg_adapter_between(role);
    }
    tg_jw_str_close(w);
}

static void write_image(struct tg_jw *w, const struct tg_media *m)
{
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("type"), TG_STR("image_url"));
    tg_jw_key(w, TG_STR("image_url"));
    tg_jw_obj(w);
    tg_jw_key(w, TG_STR("url"));
    if (m->source == TG_MEDIA_URL)
        tg_jw_str(w, m->data);
    else
        tg_adapter_write_data_url(w, m, TG_STR("image/png"));
    tg_jw_end_obj(w);
    tg_jw_end_obj(w);
}

static int check_parts(const struct tg_message *m, size_t index, bool *out_images,
                       struct tg_fail *f)
{
    for (size_t i = 0; i < m->n_parts; i++) {
        const struct tg_part *p = &m->parts[i];
        if (p->kind == TG_PART_DOCUMENT || p->kind == TG_PART_AUDIO || p->kind == TG_PART_RAW)
            return tg_adapter_cannot(f, index, "a part that the API has no form for");
        if (p->kind == TG_PART_IMAGE && p->media.source == TG_MEDIA_FILE_ID)
            return tg_adapter_cannot(f, index, "an image by file id");
        *out_images = *out_images || p->kind == TG_PART_IMAGE;
    }
    return 0;
}

static void write_content(struct tg_jw *w, const struct tg_message *m, bool images)
{
    tg_jw_key(w, TG_STR("content"));
    if (!images) {
        write_said(w, m->role, m->parts, m->n_parts);
        return;
    }
    tg_jw_arr(w);
    for (size_t i = 0; i < m->n_parts; i++) {
        if (m->parts[i].kind == TG_PART_IMAGE)
            write_image(w, &m->parts[i].media);
        if (m->parts[i].kind != TG_PART_TEXT)
            continue;
        tg_jw_obj(w);
        tg_jw_kstr(w, TG_STR("type"), TG_STR("text"));
        tg_jw_kstr(w, TG_STR("text"), m->parts[i].text);
        tg_jw_end_obj(w);
    }
    tg_jw_end_arr(w);
}

static void write_calls(struct tg_jw *w, const struct tg_message *m)
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
        tg_jw_kstr(w, TG_STR("id"), p->call_id);
        tg_jw_kstr(w, TG_STR("type"), TG_STR("function"));
        tg_jw_key(w, TG_STR("function"));
        tg_jw_obj(w);
        tg_jw_kstr(w, TG_STR("name"), p->tool_name);
        tg_jw_kstr(w, TG_STR("arguments"), p->arguments);
        tg_jw_end_obj(w);
        tg_jw_end_obj(w);
    }
    if (any)
        tg_jw_end_arr(w);
}

static int write_results(struct tg_jw *w, const struct tg_message *m, size_t index, size_t *out_n,
                         struct tg_fail *f)
{
    *out_n = 0;
    for (size_t i = 0; i < m->n_parts; i++) {
        const struct tg_part *p = &m->parts[i];
        if (p->kind != TG_PART_TOOL_RESULT)
            continue;
        ++*out_n;
        for (size_t k = 0; k < p->n_parts; k++) {
            if (p->parts[k].kind != TG_PART_TEXT)
                return tg_adapter_cannot(f, index, "a tool's result that is no text");
        }
        tg_jw_obj(w);
        tg_jw_kstr(w, TG_STR("role"), TG_STR("tool"));
        tg_jw_kstr(w, TG_STR("tool_call_id"), p->call_id);
        tg_jw_key(w, TG_STR("content"));
        write_said(w, TG_ROLE_TOOL, p->parts, p->n_parts);
        tg_jw_end_obj(w);
    }
    return 0;
}

static int write_message(struct tg_jw *w, const struct tg_message *m, size_t index,
                         struct tg_fail *f)
{
    size_t results;
    bool images = false;
    int rc = check_parts(m, index, &images, f);
    rc = rc ? rc : write_results(w, m, index, &results, f);
    if (rc || (results && results == m->n_parts))
        return rc;
    enum tg_role role = m->role == TG_ROLE_DEVELOPER ? TG_ROLE_SYSTEM : m->role;
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("role"), tg_str_c(tg_role_name(role)));
    write_content(w, m, images);
    write_calls(w, m);
    tg_jw_end_obj(w);
    return 0;
}

/* ---- the rest of a chat ---- */

static void write_sampling(struct tg_jw *w, const struct tg_sampling *s)
{
    const struct {
        unsigned bit;
        struct tg_str key;
        double value;
    } doubles[] = {
        {TG_HAS_TEMPERATURE, TG_STR_INIT("temperature"), s->temperature},
        {TG_HAS_TOP_P, TG_STR_INIT("p"), s->top_p},
        {TG_HAS_PRESENCE, TG_STR_INIT("presence_penalty"), s->presence_penalty},
        {TG_HAS_FREQUENCY, TG_STR_INIT("frequency_penalty"), s->frequency_penalty},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(doubles); i++) {
        if (s->has & doubles[i].bit)
            tg_jw_kdouble(w, doubles[i].key, doubles[i].value);
    }
    if (s->has & TG_HAS_TOP_K)
        tg_jw_ki64(w, TG_STR("k"), s->top_k);
    if (s->has & TG_HAS_SEED)
        tg_jw_ki64(w, TG_STR("seed"), s->seed);
    if (s->has & TG_HAS_MAX_TOKENS)
        tg_jw_ki64(w, TG_STR("max_tokens"), s->max_tokens);
    if (!s->n_stops)
        return;
    tg_jw_kstrs(w, TG_STR("stop_sequences"), s->stops, s->n_stops);
}

/* There is no choice of one tool: it is the only one that the model gets, and it must call one. */
static bool is_sent(const struct tg_chat_req *req, const struct tg_tool *t)
{
    return req->tool_choice.kind != TG_TOOL_CHOICE_NAMED ||
           tg_str_eq(t->name, req->tool_choice.name);
}

/* strict_tools is for all tools, so it stands when one of them asks for it. */
static void write_tools(struct tg_jw *w, const struct tg_chat_req *req)
{
    bool strict = false;
    if (!req->n_tools)
        return;
    tg_jw_key(w, TG_STR("tools"));
    tg_jw_arr(w);
    for (size_t i = 0; i < req->n_tools; i++) {
        const struct tg_tool *t = &req->tools[i];
        if (!is_sent(req, t))
            continue;
        strict |= t->strict > 0;
        tg_jw_obj(w);
        tg_jw_kstr(w, TG_STR("type"), TG_STR("function"));
        tg_jw_key(w, TG_STR("function"));
        tg_jw_obj(w);
        tg_jw_kstr(w, TG_STR("name"), t->name);
        if (t->description.n)
            tg_jw_kstr(w, TG_STR("description"), t->description);
        tg_jw_kraw(w, TG_STR("parameters"),
                   t->parameters.n ? t->parameters
                                   : TG_STR("{\"type\":\"object\",\"properties\":{}}"));
        tg_jw_end_obj(w);
        tg_jw_end_obj(w);
    }
    tg_jw_end_arr(w);
    if (strict)
        tg_jw_kbool(w, TG_STR("strict_tools"), true);
    if (req->tool_choice.kind == TG_TOOL_CHOICE_REQUIRED ||
        req->tool_choice.kind == TG_TOOL_CHOICE_NAMED)
        tg_jw_kstr(w, TG_STR("tool_choice"), TG_STR("REQUIRED"));
    if (req->tool_choice.kind == TG_TOOL_CHOICE_NONE)
        tg_jw_kstr(w, TG_STR("tool_choice"), TG_STR("NONE"));
}

static void write_format(struct tg_jw *w, const struct tg_output_format *f)
{
    if (f->kind != TG_FORMAT_JSON && f->kind != TG_FORMAT_SCHEMA)
        return;
    tg_jw_key(w, TG_STR("response_format"));
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("type"), TG_STR("json_object"));
    if (f->kind == TG_FORMAT_SCHEMA && f->schema.n)
        tg_jw_kraw(w, TG_STR("json_schema"), f->schema);
    tg_jw_end_obj(w);
}

/* A switch and a budget; words of effort become the one or the other. */
static void write_thinking(struct tg_jw *w, const struct tg_reasoning_opts *r)
{
    bool off = r->budget_tokens == 0 || tg_str_eq(r->effort, TG_STR("none"));
    bool low = tg_str_eq(r->effort, TG_STR("minimal")) || tg_str_eq(r->effort, TG_STR("low"));
    int64_t budget = r->budget_tokens > 0                     ? r->budget_tokens
                     : low                                    ? 1024
                     : tg_str_eq(r->effort, TG_STR("medium")) ? 4096
                                                              : 0;
    if (!off && !r->effort.n && !budget && !r->adaptive)
        return;
    tg_jw_key(w, TG_STR("thinking"));
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("type"), off ? TG_STR("disabled") : TG_STR("enabled"));
    if (!off && budget)
        tg_jw_ki64(w, TG_STR("token_budget"), budget);
    tg_jw_end_obj(w);
}

static bool names_no_tool(const struct tg_chat_req *req)
{
    for (size_t i = 0; i < req->n_tools; i++) {
        if (is_sent(req, &req->tools[i]))
            return false;
    }
    return req->tool_choice.kind == TG_TOOL_CHOICE_NAMED;
}

static int write_chat(struct tg_jw *w, const struct tg_chat_req *req, struct tg_fail *fail)
{
    int rc = 0;
    if (names_no_tool(req))
        return tg_fail_param(fail, TG_E_UNSUPPORTED_PARAMETER, "tool_choice:named",
                             "'tool_choice:named' names a tool that is not among 'tools'");
    tg_jw_key(w, TG_STR("messages"));
    tg_jw_arr(w);
    for (size_t i = 0; i < req->n_messages && !rc; i++)
        rc = write_message(w, &req->messages[i], i, fail);
    if (req->is_completion && !rc) {
        tg_jw_obj(w);
        tg_jw_kstr(w, TG_STR("role"), TG_STR("user"));
        tg_jw_kstr(w, TG_STR("content"), req->prompt);
        tg_jw_end_obj(w);
    }
    tg_jw_end_arr(w);
    write_sampling(w, &req->sampling);
    write_tools(w, req);
    write_format(w, &req->format);
    write_thinking(w, &req->reasoning);
    if (req->stream)
        tg_jw_kbool(w, TG_STR("stream"), true);
    return rc;
}

/* ---- embeddings and ranking ---- */

/* What an embedding is for, in Cohere's words: from Google's task types and from those of Voyage,
 * NVIDIA and Jina. "": it has none for that. */
static struct tg_str input_type(struct tg_str purpose)
{
    static const struct {
        struct tg_str word, own;
    } known[] = {
        {TG_STR_INIT("query"), TG_STR_INIT("search_query")},
        {TG_STR_INIT("RETRIEVAL_QUERY"), TG_STR_INIT("search_query")},
        {TG_STR_INIT("QUESTION_ANSWERING"), TG_STR_INIT("search_query")},
        {TG_STR_INIT("FACT_VERIFICATION"), TG_STR_INIT("search_query")},
        {TG_STR_INIT("CODE_RETRIEVAL_QUERY"), TG_STR_INIT("search_query")},
        {TG_STR_INIT("retrieval.query"), TG_STR_INIT("search_query")},
        {TG_STR_INIT("search_query"), TG_STR_INIT("search_query")},
        {TG_STR_INIT("document"), TG_STR_INIT("search_document")},
        {TG_STR_INIT("passage"), TG_STR_INIT("search_document")},
        {TG_STR_INIT("RETRIEVAL_DOCUMENT"), TG_STR_INIT("search_document")},
        {TG_STR_INIT("retrieval.passage"), TG_STR_INIT("search_document")},
        {TG_STR_INIT("search_document"), TG_STR_INIT("search_document")},
        {TG_STR_INIT("classification"), TG_STR_INIT("classification")},
        {TG_STR_INIT("clustering"), TG_STR_INIT("clustering")},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(known); i++) {
        if (tg_str_ieq(purpose, known[i].word))
            return known[i].own;
    }
    return TG_STR("");
}

/* input_type is required: what most embeddings are made for, unless it is said. */
static int write_embed(struct tg_jw *w, const struct tg_inputs *in, uint64_t *io_dropped,
                       struct tg_fail *fail)
{
    struct tg_str type = input_type(in->purpose);
    int rc = tg_adapter_write_texts(w, TG_STR("texts"), in, fail);
    if (in->purpose.n && !type.n)
        *io_dropped |= TG_FEATURE_BIT(INPUT_TYPE);
    tg_jw_kstr(w, TG_STR("input_type"), type.n ? type : TG_STR("search_document"));
    tg_jw_kraw(w, TG_STR("embedding_types"), TG_STR("[\"float\"]"));
    if (in->dimensions >= 0)
        tg_jw_ki64(w, TG_STR("output_dimension"), in->dimensions);
    return rc;
}

static int write_rerank(struct tg_jw *w, const struct tg_chat_req *req, struct tg_fail *fail)
{
    tg_jw_kstr(w, TG_STR("query"), req->prompt);
    int rc = tg_adapter_write_texts(w, TG_STR("documents"), &req->inputs, fail);
    if (req->inputs.top_n >= 0)
        tg_jw_ki64(w, TG_STR("top_n"), req->inputs.top_n);
    return rc;
}

int tg_cohere_encode_body(struct tg_arena *a, const struct tg_chat_req *req,
                          const struct tg_adapter_target *target, struct tg_str *out,
                          uint64_t *io_dropped, struct tg_fail *fail)
{
    struct tg_buf b;
    tg_buf_init(&b, SIZE_MAX / 4);
    struct tg_jw w = tg_jw(&b);
    tg_jw_obj(&w);
    tg_jw_kstr(&w, TG_STR("model"), target->model);
    int rc = req->task == TG_TASK_EMBED    ? write_embed(&w, &req->inputs, io_dropped, fail)
             : req->task == TG_TASK_RERANK ? write_rerank(&w, req, fail)
                                           : write_chat(&w, req, fail);
    tg_jw_end_obj(&w);
    return tg_adapter_take_body(a, &b, rc, out, fail);
}

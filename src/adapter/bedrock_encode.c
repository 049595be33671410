/* Canonical request → Converse. Only what the client gave is written. */
#include "adapter/bedrock_priv.h"
#include "adapter/encode_priv.h"
#include "base/err.h"
#include "json/json.h"

#define ROW(id, fate) [TG_FEATURE_##id] = TG_##fate
#define BIT(id)       TG_FEATURE_BIT(id)

const uint8_t tg_bedrock_fidelity[TG_FEATURE_COUNT] = {
    ROW(SYSTEM, NATIVE),
    ROW(DEVELOPER, EMULATED),
    ROW(NAME, DROPPED),
    ROW(TEMPERATURE, NATIVE),
    ROW(TOP_P, NATIVE),
    ROW(TOP_K, NATIVE),
    ROW(MIN_P, DROPPED),
    ROW(PRESENCE, DROPPED),
    ROW(FREQUENCY, DROPPED),
    ROW(REPETITION, DROPPED),
    ROW(MAX_TOKENS, NATIVE),
    ROW(SEED, DROPPED),
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
    ROW(TOOL_NAMED, NATIVE),
    ROW(TOOL_CHOICE_RAW, REFUSED),
    ROW(PARALLEL, DROPPED),
    ROW(RESULT_ERROR, NATIVE),
    ROW(RESULT_MEDIA, NATIVE),
    ROW(JSON_OBJECT, EMULATED),
    ROW(JSON_SCHEMA, NATIVE),
    ROW(EFFORT, EMULATED),
    ROW(BUDGET, NATIVE),
    ROW(SHOW, DROPPED),
    ROW(REASONING, DROPPED),
    ROW(SIGNED, NATIVE),
    ROW(ENCRYPTED, DROPPED),
    ROW(THOUGHT, DROPPED),
    ROW(IMAGE, NATIVE),
    ROW(IMAGE_URL, REFUSED),
    ROW(IMAGE_FILE, REFUSED),
    ROW(IMAGE_DETAIL, DROPPED),
    ROW(DOCUMENT, NATIVE),
    ROW(DOCUMENT_URL, REFUSED),
    ROW(DOCUMENT_FILE, REFUSED),
    ROW(AUDIO, REFUSED),
    ROW(RAW_PART, REFUSED),
    ROW(REFUSAL, EMULATED),
    ROW(CACHE_HINT, NATIVE),
    ROW(SERVICE_TIER, NATIVE),
    ROW(USER, DROPPED),
    ROW(METADATA, NATIVE),
    ROW(PROMPT, EMULATED), /* as a user's message */
    ROW(COUNTING, NATIVE),
    ROW(EXTRA, DROPPED),
    ROW(DIMENSIONS, REFUSED),
    ROW(BASE64, REFUSED),
    ROW(INPUT_TOKENS, REFUSED),
    ROW(INPUT_TYPE, REFUSED),
};

static void write_inference(struct tg_jw *w, const struct tg_sampling *s)
{
    const unsigned known = TG_HAS_MAX_TOKENS | TG_HAS_TEMPERATURE | TG_HAS_TOP_P;
    if (!(s->has & known) && !s->n_stops)
        return;
    tg_jw_key(w, TG_STR("inferenceConfig"));
    tg_jw_obj(w);
    if (s->has & TG_HAS_MAX_TOKENS)
        tg_jw_ki64(w, TG_STR("maxTokens"), s->max_tokens);
    if (s->has & TG_HAS_TEMPERATURE)
        tg_jw_kdouble(w, TG_STR("temperature"), s->temperature);
    if (s->has & TG_HAS_TOP_P)
        tg_jw_kdouble(w, TG_STR("topP"), s->top_p);
    if (s->n_stops) {
        tg_jw_kstrs(w, TG_STR("stopSequences"), s->stops, s->n_stops);
    }
    tg_jw_end_obj(w);
}

static void write_tool(struct tg_jw *w, const struct tg_tool *t)
{
    tg_jw_obj(w);
    tg_jw_key(w, TG_STR("toolSpec"));
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("name"), t->name);
    if (t->description.n)
        tg_jw_kstr(w, TG_STR("description"), t->description);
    tg_jw_key(w, TG_STR("inputSchema"));
    tg_jw_obj(w);
    tg_jw_kraw(w, TG_STR("json"),
               t->parameters.n ? t->parameters : TG_STR("{\"type\":\"object\",\"properties\":{}}"));
    tg_jw_end_obj(w);
    if (t->strict > 0)
        tg_jw_kbool(w, TG_STR("strict"), true);
    tg_jw_end_obj(w);
    tg_jw_end_obj(w);
}

static void write_choice(struct tg_jw *w, const struct tg_tool_choice *c)
{
    if (c->kind != TG_TOOL_CHOICE_AUTO && c->kind != TG_TOOL_CHOICE_REQUIRED &&
        c->kind != TG_TOOL_CHOICE_NAMED)
        return;
    tg_jw_key(w, TG_STR("toolChoice"));
    tg_jw_obj(w);
    tg_jw_key(w, c->kind == TG_TOOL_CHOICE_AUTO       ? TG_STR("auto")
                 : c->kind == TG_TOOL_CHOICE_REQUIRED ? TG_STR("any")
                                                      : TG_STR("tool"));
    tg_jw_obj(w);
    if (c->kind == TG_TOOL_CHOICE_NAMED)
        tg_jw_kstr(w, TG_STR("name"), c->name);
    tg_jw_end_obj(w);
    tg_jw_end_obj(w);
}

static bool calls_in_history(const struct tg_chat_req *req)
{
    for (size_t i = 0; i < req->n_messages; i++) {
        for (size_t k = 0; k < req->messages[i].n_parts; k++) {
            if (req->messages[i].parts[k].kind == TG_PART_TOOL_CALL)
                return true;
        }
    }
    return false;
}

static size_t count_functions(const struct tg_chat_req *req)
{
    size_t n = 0;
    for (size_t i = 0; i < req->n_tools; i++)
        n += req->tools[i].is_function;
    return n;
}

enum { MAX_STAND_INS = 64 };

struct names {
    struct tg_str v[MAX_STAND_INS];
    size_t n;
};

static bool is_new(struct names *seen, struct tg_str name)
{
    for (size_t i = 0; i < seen->n; i++) {
        if (tg_str_eq(seen->v[i], name))
            return false;
    }
    if (seen->n == MAX_STAND_INS)
        return false;
    seen->v[seen->n++] = name;
    return true;
}

/* A conversation with calls is refused without toolConfig: when the client names no tools any more,
 * those of the calls stand in. */
static void write_stand_ins(struct tg_jw *w, const struct tg_chat_req *req)
{
    struct names seen = {.n = 0};
    for (size_t i = 0; i < req->n_messages; i++) {
        for (size_t k = 0; k < req->messages[i].n_parts; k++) {
            const struct tg_part *p = &req->messages[i].parts[k];
            if (p->kind == TG_PART_TOOL_CALL && is_new(&seen, p->tool_name))
                write_tool(w, &(struct tg_tool){.name = p->tool_name});
        }
    }
}

/* "none" leaves the tools out, unless the conversation has calls: the API wants to know those. */
static void write_tools(struct tg_jw *w, const struct tg_chat_req *req)
{
    size_t n = count_functions(req);
    if ((!n || req->tool_choice.kind == TG_TOOL_CHOICE_NONE) && !calls_in_history(req))
        return;
    tg_jw_key(w, TG_STR("toolConfig"));
    tg_jw_obj(w);
    tg_jw_key(w, TG_STR("tools"));
    tg_jw_arr(w);
    for (size_t i = 0; i < req->n_tools; i++) {
        if (!req->tools[i].is_function)
            continue;
        write_tool(w, &req->tools[i]);
        if (req->tools[i].cache_hint.n)
            tg_jw_raw(w, TG_STR("{\"cachePoint\":{\"type\":\"default\"}}"));
    }
    if (!n)
        write_stand_ins(w, req);
    tg_jw_end_arr(w);
    if (n)
        write_choice(w, &req->tool_choice);
    tg_jw_end_obj(w);
}

/* The schema is a string that holds JSON here. */
static void write_format(struct tg_jw *w, const struct tg_output_format *f)
{
    if (f->kind != TG_FORMAT_JSON && f->kind != TG_FORMAT_SCHEMA)
        return;
    tg_jw_key(w, TG_STR("outputConfig"));
    tg_jw_obj(w);
    tg_jw_key(w, TG_STR("textFormat"));
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("type"), TG_STR("json_schema"));
    tg_jw_key(w, TG_STR("structure"));
    tg_jw_obj(w);
    tg_jw_key(w, TG_STR("jsonSchema"));
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("name"), f->name.n ? f->name : TG_STR("answer"));
    tg_jw_kstr(w, TG_STR("schema"),
               f->kind == TG_FORMAT_SCHEMA && f->schema.n ? f->schema
                                                          : TG_STR("{\"type\":\"object\"}"));
    tg_jw_end_obj(w);
    tg_jw_end_obj(w);
    tg_jw_end_obj(w);
    tg_jw_end_obj(w);
}

static int64_t budget_of(const struct tg_reasoning_opts *r)
{
    static const struct {
        struct tg_str effort;
        int64_t tokens;
    } known[] = {
        {TG_STR_INIT("minimal"), 1024}, {TG_STR_INIT("low"), 1024},
        {TG_STR_INIT("medium"), 4096},  {TG_STR_INIT("high"), 16384},
        {TG_STR_INIT("xhigh"), 32768},  {TG_STR_INIT("max"), 32768},
    };
    if (r->budget_tokens >= 0)
        return r->budget_tokens;
    for (size_t i = 0; i < TG_ARRAY_LEN(known); i++) {
        if (tg_str_eq(r->effort, known[i].effort))
            return known[i].tokens;
    }
    return 0;
}

/* What Converse has no member for goes to the model as it is: Claude thinks by a budget, and takes
 * top_k; Amazon's models have top_k elsewhere. */
static void write_additional(struct tg_jw *w, const struct tg_chat_req *req,
                             const struct tg_adapter_target *target, uint64_t *io_dropped)
{
    bool claude = tg_str_find(target->model, TG_STR("claude")) >= 0;
    bool top_k = req->sampling.has & TG_HAS_TOP_K;
    int64_t budget = budget_of(&req->reasoning);
    bool thinks = claude && (budget >= 1024 || req->reasoning.adaptive);
    if (!claude && top_k)
        *io_dropped |= BIT(TOP_K);
    if (!claude && req->reasoning.effort.n)
        *io_dropped |= BIT(EFFORT);
    if (!claude && (req->reasoning.budget_tokens >= 0 || req->reasoning.adaptive))
        *io_dropped |= BIT(BUDGET);
    if (!claude || (!top_k && !thinks))
        return;
    tg_jw_key(w, TG_STR("additionalModelRequestFields"));
    tg_jw_obj(w);
    if (top_k)
        tg_jw_ki64(w, TG_STR("top_k"), req->sampling.top_k);
    if (thinks) {
        tg_jw_key(w, TG_STR("thinking"));
        tg_jw_obj(w);
        tg_jw_kstr(w, TG_STR("type"), budget >= 1024 ? TG_STR("enabled") : TG_STR("adaptive"));
        if (budget >= 1024)
            tg_jw_ki64(w, TG_STR("budget_tokens"), budget);
        tg_jw_end_obj(w);
    }
    tg_jw_end_obj(w);
}

/* "auto" is what the account has anyway, and Anthropic's "standard_only" is the default. Source:
 * AWS's API reference, ServiceTier. */
static void write_tier(struct tg_jw *w, struct tg_str tier, uint64_t *io_dropped)
{
    static const struct tg_str known[] = {TG_STR_INIT("default"), TG_STR_INIT("priority"),
                                          TG_STR_INIT("flex"), TG_STR_INIT("reserved")};
    bool is_known = false;
    if (!tier.n || tg_str_eq(tier, TG_STR("auto")))
        return;
    if (tg_str_eq(tier, TG_STR("standard_only")))
        tier = known[0];
    for (size_t i = 0; i < TG_ARRAY_LEN(known); i++)
        is_known = is_known || tg_str_eq(tier, known[i]);
    if (!is_known) {
        *io_dropped |= BIT(SERVICE_TIER);
        return;
    }
    tg_jw_key(w, TG_STR("serviceTier"));
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("type"), tier);
    tg_jw_end_obj(w);
}

enum { MAX_METADATA = 16, MAX_METADATA_BYTES = 256 };

/* AWS's pattern of names and values. */
static bool is_plain(struct tg_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && !memchr(" :_@$#=/+,-.", c, 12))
            return false;
    }
    return s.n <= MAX_METADATA_BYTES;
}

static bool is_request_metadata(const struct tg_json *v)
{
    struct tg_json_iter it = tg_json_iter(v);
    while (tg_json_next(&it)) {
        if (!it.name.n || !tg_json_is_str(it.value) || !is_plain(it.name) ||
            !is_plain(tg_json_str(it.value)))
            return false;
    }
    return tg_json_is_obj(v) && tg_json_count(v) <= MAX_METADATA;
}

/* requestMetadata is for the account's own invocation logs: a map of short texts. Metadata of the
 * gateway's own request shapes is for the gateway's log. */
static void write_metadata(struct tg_arena *a, struct tg_jw *w, const struct tg_chat_req *req,
                           uint64_t *io_dropped)
{
    struct tg_str metadata = req->metadata;
    struct tg_json_doc *doc;
    if (!metadata.n || req->wire == TG_WIRE_NONE)
        return;
    if (tg_json_parse(a, metadata, NULL, &doc, NULL) == 0 && is_request_metadata(tg_json_root(doc)))
        tg_jw_kraw(w, TG_STR("requestMetadata"), metadata);
    else
        *io_dropped |= BIT(METADATA);
}

static int write_count(struct tg_jw *w, const struct tg_chat_req *req, struct tg_fail *fail)
{
    tg_jw_obj(w);
    tg_jw_key(w, TG_STR("input"));
    tg_jw_obj(w);
    tg_jw_key(w, TG_STR("converse"));
    tg_jw_obj(w);
    int rc = tg_bedrock_write_messages(w, req, fail);
    write_tools(w, req);
    tg_jw_end_obj(w);
    tg_jw_end_obj(w);
    tg_jw_end_obj(w);
    return rc;
}

static int write_body(struct tg_arena *a, struct tg_jw *w, const struct tg_chat_req *req,
                      const struct tg_adapter_target *target, uint64_t *io_dropped,
                      struct tg_fail *fail)
{
    tg_jw_obj(w);
    int rc = tg_bedrock_write_messages(w, req, fail);
    if (rc)
        return rc;
    write_inference(w, &req->sampling);
    write_tools(w, req);
    write_format(w, &req->format);
    write_additional(w, req, target, io_dropped);
    write_tier(w, req->service_tier, io_dropped);
    write_metadata(a, w, req, io_dropped);
    tg_jw_end_obj(w);
    return 0;
}

int tg_bedrock_encode_body(struct tg_arena *a, const struct tg_chat_req *req,
                           const struct tg_adapter_target *target, struct tg_str *out,
                           uint64_t *io_dropped, uint64_t *io_emulated, struct tg_fail *fail)
{
    struct tg_buf b;
    tg_buf_init(&b, SIZE_MAX / 4);
    struct tg_jw w = tg_jw(&b);
    bool calls = calls_in_history(req);
    if (tg_bedrock_system_only(req))
        *io_emulated |= BIT(SYSTEM);
    if (calls && !count_functions(req))
        *io_emulated |= BIT(TOOLS);
    else if (calls && req->tool_choice.kind == TG_TOOL_CHOICE_NONE)
        *io_emulated |= BIT(TOOL_CHOICE);
    int rc = req->task == TG_TASK_COUNT ? write_count(&w, req, fail)
                                        : write_body(a, &w, req, target, io_dropped, fail);
    return tg_adapter_take_body(a, &b, rc, out, fail);
}

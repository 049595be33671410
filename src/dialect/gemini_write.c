/* JSON that streams and single answers have alike. Shapes: ai.google.dev/api/generate-content,
 * GenerateContentResponse, Candidate, UsageMetadata, LogprobsResult; google.rpc.Status. */
#include "base/err.h"
#include "chat/logprobs.h"
#include "dialect/gemini_priv.h"

enum { MAX_ARGS_ARENA = 256 << 20 };

void tg_gemini_write_tail(const struct tg_render_info *info, struct tg_buf *out)
{
    struct tg_str id = info->id;
    if (tg_str_starts(id, TG_STR("chatcmpl-")))
        id = tg_str_from(id, 9);
    tg_buf_lit(out, ",\"modelVersion\":");
    tg_buf_json_str(out, info->model);
    tg_buf_lit(out, ",\"responseId\":");
    tg_buf_json_str(out, id);
    tg_buf_char(out, '}');
}

static void count(struct tg_buf *out, const char *key, int64_t n)
{
    tg_buf_str_add(out, tg_str_c(key));
    tg_buf_i64(out, n);
}

void tg_gemini_write_usage(const struct tg_usage *u, struct tg_buf *out)
{
    if (!u || u->source == TG_USAGE_ABSENT)
        return;
    count(out, ",\"usageMetadata\":{\"promptTokenCount\":", tg_usage_prompt(u));
    if (u->cache_read_tokens)
        count(out, ",\"cachedContentTokenCount\":", u->cache_read_tokens);
    count(out, ",\"candidatesTokenCount\":", u->output_tokens);
    if (u->reasoning_tokens)
        count(out, ",\"thoughtsTokenCount\":", u->reasoning_tokens);
    count(out, ",\"totalTokenCount\":", tg_usage_total(u));
    tg_buf_char(out, '}');
}

void tg_gemini_write_signature(struct tg_str signature, enum tg_opaque_kind kind, struct tg_str id,
                               struct tg_buf *out)
{
    struct tg_arena a;
    struct tg_str text;
    if (!signature.n && kind != TG_OPAQUE_REDACTED)
        return;
    tg_arena_init(&a, 1024, SIZE_MAX / 4);
    if (tg_gemini_wrap_signature(&a, kind, id, signature, &text) == 0) {
        tg_buf_lit(out, ",\"thoughtSignature\":");
        tg_buf_json_str(out, text);
    } else {
        out->failed = true; /* as if the buffer had not grown */
    }
    tg_arena_fini(&a);
}

/* 1; 0: it is something else; NOMEM. */
static int is_object(struct tg_str json)
{
    struct tg_arena a;
    struct tg_json_doc *doc;
    tg_arena_init(&a, 1024, MAX_ARGS_ARENA);
    int rc = tg_json_parse(&a, json, NULL, &doc, NULL);
    int is = rc == TG_E_NOMEM ? rc : rc == 0 && tg_json_is_obj(tg_json_root(doc));
    tg_arena_fini(&a);
    return is;
}

int tg_gemini_write_call(struct tg_str id, struct tg_str name, struct tg_str args,
                         struct tg_str signature, enum tg_opaque_kind kind, struct tg_buf *out,
                         struct tg_buf *malformed)
{
    args = tg_str_trim(args);
    int is = args.n ? is_object(args) : 1;
    if (is < 0)
        return is;
    if (!is) {
        tg_buf_str_add(malformed,
                       malformed->n ? TG_STR("; ") : TG_STR("Malformed function call: "));
        tg_buf_str_add(malformed, name);
        tg_buf_char(malformed, '(');
        tg_buf_str_add(malformed, args);
        tg_buf_char(malformed, ')');
        return 1;
    }
    tg_buf_lit(out, "{\"functionCall\":{");
    if (id.n) {
        tg_buf_lit(out, "\"id\":");
        tg_buf_json_str(out, id);
        tg_buf_char(out, ',');
    }
    tg_buf_lit(out, "\"name\":");
    tg_buf_json_str(out, name);
    tg_buf_lit(out, ",\"args\":");
    tg_buf_json_line(out, args.n ? args : TG_STR("{}"));
    tg_buf_char(out, '}');
    tg_gemini_write_signature(signature, kind, TG_STR(""), out);
    tg_buf_char(out, '}');
    return 0;
}

/* A word of Google's own for an end that the canonical kinds are too coarse for. */
static bool is_own_word(struct tg_str w)
{
    static const struct tg_str words[] = {
        TG_STR_INIT("SAFETY"),
        TG_STR_INIT("RECITATION"),
        TG_STR_INIT("LANGUAGE"),
        TG_STR_INIT("BLOCKLIST"),
        TG_STR_INIT("PROHIBITED_CONTENT"),
        TG_STR_INIT("SPII"),
        TG_STR_INIT("MALFORMED_FUNCTION_CALL"),
        TG_STR_INIT("UNEXPECTED_TOOL_CALL"),
        TG_STR_INIT("TOO_MANY_TOOL_CALLS"),
        TG_STR_INIT("MISSING_THOUGHT_SIGNATURE"),
        TG_STR_INIT("MALFORMED_RESPONSE"),
        TG_STR_INIT("MODEL_ARMOR"),
        TG_STR_INIT("IMAGE_SAFETY"),
        TG_STR_INIT("IMAGE_PROHIBITED_CONTENT"),
        TG_STR_INIT("IMAGE_RECITATION"),
        TG_STR_INIT("IMAGE_OTHER"),
        TG_STR_INIT("NO_IMAGE"),
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(words); i++) {
        if (tg_str_eq(w, words[i]))
            return true;
    }
    return false;
}

struct tg_str tg_gemini_finish_word(enum tg_finish finish, struct tg_str word, bool malformed)
{
    switch (finish) {
    case TG_FINISH_LENGTH:
        return TG_STR("MAX_TOKENS");
    case TG_FINISH_CONTENT_FILTER:
        return is_own_word(word) ? word : TG_STR("SAFETY");
    case TG_FINISH_OTHER:
        return is_own_word(word) ? word
               : malformed       ? TG_STR("MALFORMED_FUNCTION_CALL")
                                 : TG_STR("OTHER");
    case TG_FINISH_STOP:
    case TG_FINISH_TOOL_CALLS:
        break;
    }
    return malformed ? TG_STR("MALFORMED_FUNCTION_CALL") : TG_STR("STOP");
}

/* ---- what has no place in the canonical form ---- */

static bool is_top(struct tg_str name)
{
    return tg_str_eq(name, TG_STR("promptFeedback")) || tg_str_eq(name, TG_STR("createTime")) ||
           tg_str_eq(name, TG_STR("modelStatus"));
}

/* A later one of the same name replaces it. */
static bool is_newest(const struct tg_collect *c, size_t at)
{
    for (size_t i = at + 1; i < c->n_extras; i++) {
        if (c->extras[i].index == c->extras[at].index &&
            tg_str_eq(tg_buf_str(&c->extras[i].name), tg_buf_str(&c->extras[at].name)))
            return false;
    }
    return true;
}

void tg_gemini_write_extras(const struct tg_collect *c, uint32_t choice, bool top,
                            struct tg_buf *out)
{
    for (size_t i = 0; i < c->n_extras; i++) {
        const struct tg_collect_item *e = &c->extras[i];
        bool mine = is_top(tg_buf_str(&e->name)) == top && (top || e->index == choice);
        if (!mine || e->format != TG_WIRE_GEMINI_GENERATE || !is_newest(c, i))
            continue;
        tg_buf_char(out, ',');
        tg_buf_json_str(out, tg_buf_str(&e->name));
        tg_buf_char(out, ':');
        tg_buf_json_line(out, tg_buf_str(&e->text));
    }
}

static void citation(const struct tg_collect_citation *s, struct tg_buf *out)
{
    tg_buf_lit(out, "{\"uri\":");
    tg_buf_json_str(out, tg_buf_str(&s->url));
    if (s->title.n) {
        tg_buf_lit(out, ",\"title\":");
        tg_buf_json_str(out, tg_buf_str(&s->title));
    }
    if (s->start >= 0)
        count(out, ",\"startIndex\":", s->start);
    if (s->end >= 0)
        count(out, ",\"endIndex\":", s->end);
    tg_buf_char(out, '}');
}

void tg_gemini_write_citations(const struct tg_collect *c, uint32_t choice, struct tg_buf *out)
{
    bool any = false;
    for (size_t i = 0; i < c->n_choices; i++) {
        const struct tg_collect_choice *ch = &c->choices[i];
        for (size_t k = 0; ch->index == choice && k < ch->n_parts; k++) {
            for (size_t n = 0; n < ch->parts[k].n_citations; n++) {
                const struct tg_collect_citation *s = &ch->parts[k].citations[n];
                if (s->format == TG_WIRE_GEMINI_GENERATE)
                    continue; /* is among the extras */
                tg_buf_str_add(out, any ? TG_STR(",")
                                        : TG_STR(",\"citationMetadata\":{\"citationSources\":["));
                any = true;
                citation(s, out);
            }
        }
    }
    if (any)
        tg_buf_lit(out, "]}");
}

/* ---- log probabilities ---- */

static void candidate(const struct tg_json *v, struct tg_buf *out)
{
    struct tg_str logprob = tg_json_num(tg_json_get(v, TG_STR("logprob")));
    tg_buf_lit(out, "{\"token\":");
    tg_buf_json_str(out, tg_json_get_str(v, TG_STR("token")));
    tg_buf_lit(out, ",\"logProbability\":");
    tg_buf_str_add(out, logprob.n ? logprob : TG_STR("0"));
    tg_buf_char(out, '}');
}

static void candidates(const struct tg_json *list, struct tg_buf *out)
{
    struct tg_json_iter it = tg_json_iter(list);
    while (tg_json_next(&it)) {
        if (it.index)
            tg_buf_char(out, ',');
        candidate(it.value, out);
    }
}

static void write_result(const struct tg_json *content, struct tg_buf *out)
{
    tg_buf_lit(out, ",\"logprobsResult\":{\"topCandidates\":[");
    struct tg_json_iter it = tg_json_iter(content);
    while (tg_json_next(&it)) {
        tg_buf_str_add(out, it.index ? TG_STR(",{\"candidates\":[") : TG_STR("{\"candidates\":["));
        candidates(tg_json_get(it.value, TG_STR("top_logprobs")), out);
        tg_buf_lit(out, "]}");
    }
    tg_buf_lit(out, "],\"chosenCandidates\":[");
    candidates(content, out);
    tg_buf_lit(out, "]}");
}

int tg_gemini_write_logprobs(struct tg_str texts, struct tg_buf *out)
{
    struct tg_arena a;
    struct tg_buf joined;
    struct tg_json_doc *doc;
    if (!texts.n)
        return 0;
    tg_buf_init(&joined, SIZE_MAX / 4);
    tg_arena_init(&a, 4096, SIZE_MAX / 4);
    int rc = tg_logprobs_join(texts, &joined);
    if (!rc)
        rc = tg_json_parse(&a, tg_buf_str(&joined), NULL, &doc, NULL);
    if (!rc) {
        const struct tg_json *content = tg_json_get(tg_json_root(doc), TG_STR("content"));
        if (tg_json_count(content))
            write_result(content, out);
    }
    tg_arena_fini(&a);
    tg_buf_fini(&joined);
    return rc == TG_E_NOMEM ? rc : 0;
}

/* ---- errors ---- */

static const char *status_word(int status)
{
    static const struct {
        int status;
        const char *word;
    } words[] = {
        {401, "UNAUTHENTICATED"},   {403, "PERMISSION_DENIED"},  {404, "NOT_FOUND"},
        {409, "ABORTED"},           {429, "RESOURCE_EXHAUSTED"}, {499, "CANCELLED"},
        {500, "INTERNAL"},          {501, "UNIMPLEMENTED"},      {502, "UNAVAILABLE"},
        {503, "UNAVAILABLE"},       {504, "DEADLINE_EXCEEDED"},  {408, "DEADLINE_EXCEEDED"},
        {402, "PERMISSION_DENIED"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(words); i++) {
        if (words[i].status == status)
            return words[i].word;
    }
    return status >= 500 ? "INTERNAL" : "INVALID_ARGUMENT";
}

static void field_violation(const struct tg_fail *fail, struct tg_buf *out)
{
    if (!fail->param[0])
        return;
    tg_buf_lit(out, ",{\"@type\":\"type.googleapis.com/google.rpc.BadRequest\","
                    "\"fieldViolations\":[{\"field\":");
    tg_buf_json_str(out, tg_str_c(fail->param));
    tg_buf_lit(out, "}]}");
}

void tg_gemini_fail(const struct tg_fail *fail, struct tg_str request_id, bool in_stream,
                    struct tg_buf *out)
{
    struct tg_str message = tg_str_c(fail->message);
    int status = tg_fail_status(fail);
    if (!message.n)
        message = tg_str_c(tg_err_info(fail->err)->text);
    if (in_stream)
        tg_buf_lit(out, "data: ");
    count(out, "{\"error\":{\"code\":", status);
    tg_buf_lit(out, ",\"message\":");
    tg_buf_json_str(out, message);
    tg_buf_lit(out, ",\"status\":");
    tg_buf_json_str(out, tg_str_c(status_word(status)));
    tg_buf_lit(out, ",\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.ErrorInfo\","
                    "\"reason\":");
    tg_buf_json_str(out, tg_str_c(tg_fail_code(fail)));
    tg_buf_lit(out, ",\"domain\":\"tollgate\",\"metadata\":{\"request_id\":");
    tg_buf_json_str(out, request_id);
    tg_buf_lit(out, "}}");
    field_violation(fail, out);
    if (fail->retry_after_ms >= 0)
        tg_buf_printf(out,
                      ",{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\","
                      "\"retryDelay\":\"%lld.%03llds\"}",
                      (long long)(fail->retry_after_ms / 1000),
                      (long long)(fail->retry_after_ms % 1000));
    tg_buf_lit(out, "]}}");
    if (in_stream)
        tg_buf_lit(out, "\n\n");
}

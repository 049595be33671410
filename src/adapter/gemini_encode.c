/* Canonical request → body, by task: generateContent, countTokens, batchEmbedContents. */
#include "adapter/encode_priv.h"
#include "adapter/gemini_priv.h"
#include "base/err.h"

/* ---- paths ---- */

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~' || c == '@';
}

/* A client may have chosen the name (wildcard models): it stays one segment. */
struct tg_str tg_gemini_escape(struct tg_arena *a, struct tg_str s)
{
    static const char hex[] = "0123456789ABCDEF";
    char *p = tg_arena_alloc(a, s.n * 3 + 1);
    size_t n = 0;
    if (!p)
        return (struct tg_str){NULL, 0};
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (is_plain(s.p[i])) {
            p[n++] = s.p[i];
            continue;
        }
        p[n++] = '%';
        p[n++] = hex[c >> 4];
        p[n++] = hex[c & 15];
    }
    return tg_str_make(p, n);
}

struct tg_str tg_gemini_path(struct tg_arena *a, const struct tg_adapter_target *target,
                             const char *verb)
{
    struct tg_str base = tg_adapter_base(target), model = target->model;
    struct tg_str kind = TG_STR("models/");
    struct tg_str version = target->api_version.n ? target->api_version : TG_STR("v1beta");
    if (tg_str_starts(model, TG_STR("tunedModels/"))) {
        kind = TG_STR("tunedModels/");
        model = tg_str_from(model, kind.n);
    } else if (tg_str_starts(model, TG_STR("models/"))) {
        model = tg_str_from(model, kind.n);
    }
    model = tg_gemini_escape(a, model);
    if (!model.p)
        return model;
    return tg_arena_printf(a, "%.*s/%.*s/%.*s%.*s%s", TG_STR_ARG(base), TG_STR_ARG(version),
                           TG_STR_ARG(kind), TG_STR_ARG(model), verb);
}

int tg_gemini_make_request(struct tg_arena *a, struct tg_str path, bool stream,
                           struct tg_adapter_request *out)
{
    int rc = tg_adapter_post(path, out);
    if (rc == 0)
        tg_adapter_add_accept(out, stream);
    return rc;
}

/* ---- embeddings ---- */

/* Others' words for what embeddings are for (Cohere, Voyage, NVIDIA) in Google's. */
static struct tg_str task_type(struct tg_str s)
{
    static const struct {
        struct tg_str word, type;
    } words[] = {
        {TG_STR_INIT("query"), TG_STR_INIT("RETRIEVAL_QUERY")},
        {TG_STR_INIT("search_query"), TG_STR_INIT("RETRIEVAL_QUERY")},
        {TG_STR_INIT("passage"), TG_STR_INIT("RETRIEVAL_DOCUMENT")},
        {TG_STR_INIT("document"), TG_STR_INIT("RETRIEVAL_DOCUMENT")},
        {TG_STR_INIT("search_document"), TG_STR_INIT("RETRIEVAL_DOCUMENT")},
        {TG_STR_INIT("classification"), TG_STR_INIT("CLASSIFICATION")},
        {TG_STR_INIT("clustering"), TG_STR_INIT("CLUSTERING")},
        {TG_STR_INIT("semantic_similarity"), TG_STR_INIT("SEMANTIC_SIMILARITY")},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(words); i++) {
        if (tg_str_eq(s, words[i].word))
            return words[i].type;
    }
    return s;
}

static int check_input(struct tg_gemini_enc *e, size_t i)
{
    const struct tg_inputs *in = &e->req->inputs;
    struct tg_str raw = in->raw ? in->raw[i] : TG_STR("");
    if (!raw.n || raw.p[0] == '"' || in->texts[i].n || (e->own && raw.p[0] == '{'))
        return 0;
    return tg_fail_param(e->fail, TG_E_UNSUPPORTED_PARAMETER, "input",
                         "an input that is not text is not supported by this model's API");
}

static void write_input(struct tg_gemini_enc *e, size_t i)
{
    const struct tg_inputs *in = &e->req->inputs;
    struct tg_jw *w = &e->w;
    tg_jw_key(w, TG_STR("content"));
    if (e->own && in->raw[i].n && in->raw[i].p[0] == '{') {
        tg_jw_raw(w, in->raw[i]);
        return;
    }
    tg_jw_obj(w);
    tg_jw_key(w, TG_STR("parts"));
    tg_jw_arr(w);
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("text"), in->texts[i]);
    tg_jw_end_obj(w);
    tg_jw_end_arr(w);
    tg_jw_end_obj(w);
}

static void write_model(struct tg_gemini_enc *e, struct tg_str model)
{
    struct tg_jw *w = &e->w;
    bool whole =
        tg_str_starts(model, TG_STR("models/")) || tg_str_starts(model, TG_STR("tunedModels/"));
    tg_jw_key(w, TG_STR("model"));
    tg_jw_str_open(w);
    if (!whole)
        tg_jw_str_piece(w, TG_STR("models/"));
    tg_jw_str_piece(w, model);
    tg_jw_str_close(w);
}

static int write_embed(struct tg_gemini_enc *e, const struct tg_adapter_target *target)
{
    const struct tg_inputs *in = &e->req->inputs;
    struct tg_jw *w = &e->w;
    tg_jw_obj(w);
    tg_jw_key(w, TG_STR("requests"));
    tg_jw_arr(w);
    for (size_t i = 0; i < in->n; i++) {
        int rc = check_input(e, i);
        if (rc)
            return rc;
        tg_jw_obj(w);
        write_model(e, target->model);
        write_input(e, i);
        if (in->purpose.n)
            tg_jw_kstr(w, TG_STR("taskType"), task_type(in->purpose));
        if (in->dimensions >= 0)
            tg_jw_ki64(w, TG_STR("outputDimensionality"), in->dimensions);
        tg_jw_end_obj(w);
    }
    tg_jw_end_arr(w);
    tg_jw_end_obj(w);
    return 0;
}

/* Vertex's :predict. Source: Vertex AI, "Text embeddings API". */
static int write_predict(struct tg_gemini_enc *e)
{
    const struct tg_inputs *in = &e->req->inputs;
    struct tg_jw *w = &e->w;
    tg_jw_obj(w);
    tg_jw_key(w, TG_STR("instances"));
    tg_jw_arr(w);
    for (size_t i = 0; i < in->n; i++) {
        struct tg_str raw = in->raw ? in->raw[i] : TG_STR("");
        if (raw.n && raw.p[0] != '"' && !in->texts[i].n)
            return tg_fail_param(e->fail, TG_E_UNSUPPORTED_PARAMETER, "input",
                                 "an input that is not text is not supported by this model's API");
        tg_jw_obj(w);
        tg_jw_kstr(w, TG_STR("content"), in->texts[i]);
        if (in->purpose.n)
            tg_jw_kstr(w, TG_STR("task_type"), task_type(in->purpose));
        tg_jw_end_obj(w);
    }
    tg_jw_end_arr(w);
    if (in->dimensions >= 0) {
        tg_jw_key(w, TG_STR("parameters"));
        tg_jw_obj(w);
        tg_jw_ki64(w, TG_STR("outputDimensionality"), in->dimensions);
        tg_jw_end_obj(w);
    }
    tg_jw_end_obj(w);
    return 0;
}

/* ---- content ---- */

static int write_chat(struct tg_gemini_enc *e)
{
    int rc = tg_gemini_write_contents(e);
    return rc ? rc : tg_gemini_write_options(e);
}

/* The Gemini API counts a whole request only inside generateContentRequest; Vertex takes its
 * members as they are. */
static int write_count(struct tg_gemini_enc *e, const struct tg_adapter_target *target, bool vertex)
{
    struct tg_jw *w = &e->w;
    tg_jw_obj(w);
    if (!vertex) {
        tg_jw_key(w, TG_STR("generateContentRequest"));
        tg_jw_obj(w);
        write_model(e, target->model);
    }
    int rc = write_chat(e);
    if (!vertex)
        tg_jw_end_obj(w);
    tg_jw_end_obj(w);
    return rc;
}

static int write_body(struct tg_gemini_enc *e, const struct tg_adapter_target *target, bool vertex)
{
    if (e->req->task == TG_TASK_EMBED)
        return vertex ? write_predict(e) : write_embed(e, target);
    if (e->req->task == TG_TASK_COUNT)
        return write_count(e, target, vertex);
    tg_jw_obj(&e->w);
    int rc = write_chat(e);
    tg_jw_end_obj(&e->w);
    return rc;
}

int tg_gemini_encode_body(struct tg_arena *a, const struct tg_chat_req *req,
                          const struct tg_adapter_target *target, bool vertex,
                          struct tg_adapter_request *io, struct tg_fail *fail)
{
    struct tg_buf b;
    tg_buf_init(&b, SIZE_MAX / 4);
    struct tg_gemini_enc e = {
        .a = a,
        .w = tg_jw(&b),
        .req = req,
        .model = tg_gemini_model_of(target->model),
        .own = req->wire == TG_WIRE_GEMINI_GENERATE || req->wire == TG_WIRE_GEMINI_COUNT ||
               req->wire == TG_WIRE_GEMINI_EMBED,
        .fail = fail,
    };
    struct tg_str body;
    int rc = write_body(&e, target, vertex);
    if (!rc && e.out_of_memory)
        rc = TG_E_NOMEM;
    rc = tg_adapter_take_body(a, &b, rc, &body, fail);
    if (rc == TG_E_NOMEM)
        return tg_fail_set(fail, rc, "not enough memory for the request");
    if (rc)
        return rc;
    io->body = body;
    io->dropped |= e.dropped;
    io->emulated |= e.emulated;
    return 0;
}

/* Embeddings, moderations and ranking: requests and answers. Sources: OpenAI's API description
 * (CreateEmbeddingRequest, CreateModerationRequest); for /rerank, which OpenAI does not have, the
 * shape that Cohere v2, Jina, vLLM and Together share; text-embeddings-inference answers with a
 * bare array of {index, score}. */
#include "adapter/encode_priv.h"
#include "adapter/openai_priv.h"
#include "adapter/quirks.h"
#include "base/err.h"

bool tg_openai_is_items(enum tg_chat_task task)
{
    return task == TG_TASK_EMBED || task == TG_TASK_RERANK || task == TG_TASK_MODERATE;
}

struct tg_str tg_openai_items_path(enum tg_chat_task task)
{
    return task == TG_TASK_EMBED    ? TG_STR("/embeddings")
           : task == TG_TASK_RERANK ? TG_STR("/rerank")
                                    : TG_STR("/moderations");
}

/* ---- requests ---- */

static enum tg_wire_format own_format(enum tg_chat_task task)
{
    return task == TG_TASK_EMBED    ? TG_WIRE_OPENAI_EMBEDDINGS
           : task == TG_TASK_RERANK ? TG_WIRE_RERANK
                                    : TG_WIRE_OPENAI_MODERATIONS;
}

/* As the client wrote it where the format is the same; else its text, or a list of tokens. */
static int write_input(struct tg_jw *w, const struct tg_chat_req *req, size_t i,
                       struct tg_fail *fail)
{
    const struct tg_inputs *in = &req->inputs;
    struct tg_str raw = in->raw ? in->raw[i] : TG_STR("");
    bool own = req->wire == own_format(req->task);
    bool tokens = raw.n && raw.p[0] == '[' && req->task == TG_TASK_EMBED;
    if ((own || tokens) && raw.n) {
        tg_jw_raw(w, raw);
        return 0;
    }
    if (!in->texts[i].n && raw.n && raw.p[0] != '"')
        return tg_fail_param(fail, TG_E_UNSUPPORTED_PARAMETER, "input",
                             "an input that is not text is not supported by this model's API");
    tg_jw_str(w, in->texts[i]);
    return 0;
}

static int write_inputs(struct tg_jw *w, const struct tg_chat_req *req, struct tg_str key,
                        struct tg_fail *fail)
{
    const struct tg_inputs *in = &req->inputs;
    int rc = 0;
    tg_jw_key(w, key);
    if (in->single && req->task != TG_TASK_RERANK)
        return write_input(w, req, 0, fail);
    tg_jw_arr(w);
    for (size_t i = 0; i < in->n && !rc; i++)
        rc = write_input(w, req, i, fail);
    tg_jw_end_arr(w);
    return rc;
}

static void write_embed_options(struct tg_jw *w, const struct tg_chat_req *req,
                                const struct tg_adapter_target *target)
{
    const struct tg_inputs *in = &req->inputs;
    if (in->dimensions >= 0)
        tg_jw_ki64(w, tg_quirks_member(target->quirks, TG_STR("dimensions")), in->dimensions);
    if (in->base64)
        tg_jw_kstr(w, tg_quirks_member(target->quirks, TG_STR("encoding_format")),
                   TG_STR("base64"));
    bool purpose =
        req->wire == TG_WIRE_OPENAI_EMBEDDINGS ||
        tg_quirks_fate(tg_openai_fidelity, target->quirks, TG_FEATURE_INPUT_TYPE) == TG_NATIVE;
    if (in->purpose.n && purpose)
        tg_jw_kstr(w, tg_quirks_member(target->quirks, TG_STR("input_type")), in->purpose);
    if (req->user.n &&
        tg_quirks_fate(tg_openai_fidelity, target->quirks, TG_FEATURE_USER) != TG_DROPPED)
        tg_jw_kstr(w, TG_STR("user"), req->user);
}

static int write_body(struct tg_jw *w, const struct tg_chat_req *req,
                      const struct tg_adapter_target *target, struct tg_fail *fail)
{
    bool rank = req->task == TG_TASK_RERANK;
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("model"), target->model);
    if (rank)
        tg_jw_kstr(w, TG_STR("query"), req->prompt);
    int rc = write_inputs(w, req, rank ? TG_STR("documents") : TG_STR("input"), fail);
    if (rank && req->inputs.top_n >= 0)
        tg_jw_ki64(w, tg_quirks_member(target->quirks, TG_STR("top_n")), req->inputs.top_n);
    if (req->task == TG_TASK_EMBED)
        write_embed_options(w, req, target);
    if (req->wire == own_format(req->task))
        tg_jw_members(w, req->extra.members);
    tg_jw_end_obj(w);
    return rc;
}

int tg_openai_encode_items(struct tg_arena *a, const struct tg_chat_req *req,
                           const struct tg_adapter_target *target, struct tg_str *out,
                           struct tg_fail *fail)
{
    struct tg_buf b;
    tg_buf_init(&b, SIZE_MAX / 4);
    struct tg_jw w = tg_jw(&b);
    int rc = write_body(&w, req, target, fail);
    return tg_adapter_take_body(a, &b, rc, out, fail);
}

/* ---- answers ---- */

static const struct tg_json *list_of(const struct tg_json *root)
{
    const struct tg_json *data = tg_json_get(root, TG_STR("data"));
    if (tg_json_is_arr(root) && tg_json_count(root))
        return root;
    return data ? data : tg_json_get(root, TG_STR("results"));
}

static const struct tg_json *value_of(enum tg_chat_task task, const struct tg_json *item)
{
    if (task == TG_TASK_MODERATE)
        return tg_json_is_obj(item) ? item : NULL;
    bool embed = task == TG_TASK_EMBED;
    const struct tg_json *v =
        tg_json_get(item, embed ? TG_STR("embedding") : TG_STR("relevance_score"));
    if (!v && !embed)
        v = tg_json_get(item, TG_STR("score"));
    if (embed)
        return tg_json_is_arr(v) || tg_json_is_str(v) ? v : NULL;
    return tg_json_is_num(v) ? v : NULL;
}

bool tg_openai_media_usage(const struct tg_json *v, struct tg_usage *out)
{
    int64_t in = 0, output = 0, total = 0;
    if (tg_openai_usage(v, out))
        return true;
    bool has_in = tg_json_i64(tg_json_get(v, TG_STR("input_tokens")), &in) == 0 && in >= 0;
    bool has_out =
        tg_json_i64(tg_json_get(v, TG_STR("output_tokens")), &output) == 0 && output >= 0;
    if (!has_in && !has_out) {
        if (tg_json_i64(tg_json_get(v, TG_STR("total_tokens")), &total) != 0 || total < 0)
            return false;
        in = total;
    }
    if (in > (int64_t)1 << 48 || output > (int64_t)1 << 48)
        return false;
    *out =
        (struct tg_usage){.source = TG_USAGE_REPORTED, .input_tokens = in, .output_tokens = output};
    return true;
}

static bool emit_items(const struct tg_adapter_response *resp, struct tg_json_doc *doc,
                       const struct tg_json *list, struct tg_sink *sink)
{
    struct tg_json_iter it = tg_json_iter(list);
    while (tg_json_next(&it)) {
        const struct tg_json *v = value_of(resp->task, it.value);
        int64_t index;
        if (!v)
            return false;
        if (resp->tap)
            continue;
        if (tg_json_i64(tg_json_get(it.value, TG_STR("index")), &index) || index < 0 ||
            index > UINT32_MAX || resp->task == TG_TASK_MODERATE)
            index = (int64_t)it.index;
        sink->on_event(sink, &(struct tg_event){.kind = TG_EV_ITEM,
                                                .choice = (uint32_t)index,
                                                .text = tg_json_raw(doc, v)});
    }
    return true;
}

bool tg_openai_on_items(const struct tg_adapter_response *resp, struct tg_json_doc *doc,
                        struct tg_sink *sink)
{
    const struct tg_json *root = tg_json_root(doc), *list = list_of(root);
    struct tg_usage u;
    if (!tg_json_is_arr(list))
        return false;
    struct tg_event start = {.kind = TG_EV_START,
                             .id = tg_json_get_str(root, TG_STR("id")),
                             .model = tg_json_get_str(root, TG_STR("model"))};
    sink->on_event(sink, &start);
    if (!emit_items(resp, doc, list, sink))
        return false;
    if (tg_openai_media_usage(tg_json_get(root, TG_STR("usage")), &u))
        sink->on_event(sink, &(struct tg_event){.kind = TG_EV_USAGE, .usage = &u});
    return true;
}

/* The adapter's table: paths, headers, and error answers. */
#include "adapter/encode_priv.h"
#include "adapter/openai_priv.h"
#include "base/err.h"

static int make_request(struct tg_arena *a, struct tg_str path, bool stream,
                        const struct tg_adapter_target *target, struct tg_adapter_request *out)
{
    int rc = tg_adapter_post(tg_adapter_join(a, tg_adapter_base(target), path), out);
    if (rc)
        return rc;
    tg_adapter_add_accept(out, stream);
    return tg_adapter_add_bearer(a, target->credential, out);
}

static struct tg_str path_of(bool completion)
{
    return completion ? TG_STR("/completions") : TG_STR("/chat/completions");
}

static struct tg_str path_of_pass(const struct tg_pass *pass)
{
    static const struct {
        enum tg_wire_format format;
        struct tg_str path;
    } paths[] = {
        {TG_WIRE_OPENAI_CHAT, TG_STR_INIT("/chat/completions")},
        {TG_WIRE_OPENAI_COMPLETIONS, TG_STR_INIT("/completions")},
        {TG_WIRE_OPENAI_EMBEDDINGS, TG_STR_INIT("/embeddings")},
        {TG_WIRE_OPENAI_MODERATIONS, TG_STR_INIT("/moderations")},
        {TG_WIRE_RERANK, TG_STR_INIT("/rerank")},
        {TG_WIRE_OPENAI_RESPONSES, TG_STR_INIT("/responses")},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(paths); i++) {
        if (paths[i].format == pass->format)
            return paths[i].path;
    }
    return pass->tail;
}

static int encode(struct tg_arena *a, const struct tg_chat_req *req,
                  const struct tg_adapter_target *target, struct tg_adapter_request *out,
                  struct tg_fail *fail)
{
    struct tg_adapter_request r;
    bool items = tg_openai_is_items(req->task);
    struct tg_str path = items ? tg_openai_items_path(req->task) : path_of(req->is_completion);
    int rc = make_request(a, path, req->stream, target, &r);
    if (rc)
        return tg_fail_set(fail, rc, "not enough memory for the request");
    rc = items ? tg_openai_encode_items(a, req, target, &r.body, fail)
               : tg_openai_encode_body(a, req, target, &r.body, fail);
    if (rc)
        return rc;
    *out = r;
    return 0;
}

static int encode_responses(struct tg_arena *a, const struct tg_chat_req *req,
                            const struct tg_adapter_target *target, struct tg_adapter_request *out,
                            struct tg_fail *fail)
{
    struct tg_adapter_request r;
    if (tg_openai_is_items(req->task))
        return encode(a, req, target, out, fail);
    bool count = req->task == TG_TASK_COUNT;
    int rc = make_request(a, count ? TG_STR("/responses/input_tokens") : TG_STR("/responses"),
                          req->stream, target, &r);
    if (rc)
        return tg_fail_set(fail, rc, "not enough memory for the request");
    rc = tg_responses_encode_body(a, req, target, &r.body, fail);
    if (rc)
        return rc;
    *out = r;
    return 0;
}

static int encode_pass(struct tg_arena *a, const struct tg_pass *pass,
                       const struct tg_adapter_target *target, struct tg_adapter_request *out)
{
    bool media = pass->format == TG_WIRE_OPENAI_IMAGES || pass->format == TG_WIRE_OPENAI_AUDIO;
    int rc = make_request(a, path_of_pass(pass), pass->stream, target, out);
    if (rc || !media)
        return rc;
    if (pass->content_type.n) /* has the boundary of a multipart body */
        out->headers[0].value = pass->content_type;
    out->headers[1].value = TG_STR("*/*");
    return 0;
}

static bool classify(struct tg_arena *a, const struct tg_http_head *head, struct tg_str body,
                     struct tg_fail *fail)
{
    struct tg_json_doc *doc;
    struct tg_openai_error e;
    bool found = tg_json_parse(a, body, NULL, &doc, NULL) == 0 &&
                 tg_openai_find_error(tg_json_root(doc), &e);
    tg_openai_set_http_fail(head, body, found ? &e : NULL, fail);
    return found && e.proper && fail->err != TG_E_UPSTREAM_AUTH && !tg_openai_has_key(body);
}

#define OPENAI_FORMATS                                                                            \
    (TG_WIRE_BIT(OPENAI_CHAT) | TG_WIRE_BIT(OPENAI_COMPLETIONS) | TG_WIRE_BIT(OPENAI_RESPONSES) | \
     TG_WIRE_BIT(OPENAI_EMBEDDINGS) | TG_WIRE_BIT(OPENAI_MODERATIONS) |                           \
     TG_WIRE_BIT(OPENAI_IMAGES) | TG_WIRE_BIT(OPENAI_AUDIO) | TG_WIRE_BIT(RERANK))
#define OPENAI_TASKS (1u << TG_TASK_EMBED | 1u << TG_TASK_RERANK | 1u << TG_TASK_MODERATE)

const struct tg_adapter tg_adapter_openai = {
    .name = "openai",
    .api = TG_WIRE_OPENAI_CHAT,
    .formats = OPENAI_FORMATS,
    .tasks = 1u << TG_TASK_CHAT | OPENAI_TASKS,
    .fidelity = tg_openai_fidelity,
    .encode = encode,
    .encode_pass = encode_pass,
    TG_OPENAI_DECODER,
    .classify = classify,
};

const struct tg_adapter tg_adapter_openai_responses = {
    .name = "openai_responses",
    .api = TG_WIRE_OPENAI_RESPONSES,
    .formats = OPENAI_FORMATS,
    .tasks = 1u << TG_TASK_CHAT | 1u << TG_TASK_COUNT | OPENAI_TASKS,
    .fidelity = tg_responses_fidelity,
    .encode = encode_responses,
    .encode_pass = encode_pass,
    TG_OPENAI_DECODER,
    .classify = classify,
};

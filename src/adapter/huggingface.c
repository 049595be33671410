/* The adapter's table: paths, headers, errors ({"error": "text", "error_type": "word"}). */
#include "adapter/huggingface_priv.h"
#include "adapter/openai_priv.h"
#include "base/err.h"

enum { MAX_WAIT_S = 3600, GENERATION_FAILED = 424 };

static const char *path_of(const struct tg_chat_req *req)
{
    if (req->task == TG_TASK_EMBED)
        return "/embed";
    if (req->task == TG_TASK_RERANK)
        return "/rerank";
    return req->stream ? "/generate_stream" : "/generate";
}

static int encode(struct tg_arena *a, const struct tg_chat_req *req,
                  const struct tg_adapter_target *target, struct tg_adapter_request *out,
                  struct tg_fail *fail)
{
    struct tg_adapter_request r = {.method = TG_HTTP_POST};
    r.path = tg_arena_printf(a, "%.*s%s", TG_STR_ARG(target->base_path), path_of(req));
    struct tg_str bearer = tg_arena_printf(a, "Bearer %.*s", TG_STR_ARG(target->credential));
    if (!r.path.p || !bearer.p)
        return tg_fail_set(fail, TG_E_NOMEM, "not enough memory for the request");
    r.headers[r.n_headers++] =
        (struct tg_http_header){TG_STR("content-type"), TG_STR("application/json")};
    if (target->credential.n)
        r.headers[r.n_headers++] = (struct tg_http_header){TG_STR("authorization"), bearer};
    int rc = tg_huggingface_encode_body(a, req, &r, fail);
    if (rc)
        return rc;
    *out = r;
    return 0;
}

/* ---- errors ---- */

/* In a stream there is no status: the words of error_type, of both servers. */
static int status_of(struct tg_str type)
{
    static const struct {
        struct tg_str type;
        int status;
    } known[] = {
        {TG_STR_INIT("overloaded"), 429}, {TG_STR_INIT("validation"), 422},
        {TG_STR_INIT("tokenizer"), 422},  {TG_STR_INIT("template_error"), 422},
        {TG_STR_INIT("tool_error"), 422}, {TG_STR_INIT("unhealthy"), 503},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(known); i++) {
        if (tg_str_ieq(type, known[i].type))
            return known[i].status;
    }
    return GENERATION_FAILED;
}

void tg_huggingface_set_fail(const struct tg_json *root, int status, struct tg_fail *fail)
{
    static const struct tg_str too_long[] = {
        TG_STR_INIT("`inputs` must have less than"),
        TG_STR_INIT("`inputs` tokens + `max_new_tokens` must be"),
    };
    struct tg_openai_error e;
    bool found = tg_openai_find_error(root, &e);
    struct tg_str type = tg_json_get_str(root, TG_STR("error_type"));
    if (type.n)
        e.type = type;
    if (!status)
        status = status_of(type);
    for (size_t i = 0; found && i < TG_ARRAY_LEN(too_long); i++) {
        if (tg_str_find(e.message, too_long[i]) >= 0)
            e.code = TG_STR("context_length_exceeded");
    }
    /* 424 is the model's failure, not the request's. */
    tg_openai_set_fail(status == GENERATION_FAILED ? 502 : status, found ? &e : NULL, fail);
    fail->provider_status = status;
}

/* A model that is loading says when to come again in the body only. */
static int64_t loading_ms(const struct tg_json *root)
{
    double s;
    if (!root || tg_json_double(tg_json_get(root, TG_STR("estimated_time")), &s) || !(s >= 0))
        return -1;
    return s < MAX_WAIT_S ? (int64_t)(s * 1000) : MAX_WAIT_S * 1000;
}

static bool classify(struct tg_arena *a, const struct tg_http_head *head, struct tg_str body,
                     struct tg_fail *fail)
{
    struct tg_json_doc *doc;
    const struct tg_json *root = NULL;
    if (tg_json_parse(a, body, NULL, &doc, NULL) == 0)
        root = tg_json_root(doc);
    if (root)
        tg_huggingface_set_fail(root, head->status, fail);
    else
        tg_openai_set_http_fail(head, body, NULL, fail);
    fail->retry_after_ms = tg_adapter_retry_after_ms(head);
    if (fail->retry_after_ms < 0)
        fail->retry_after_ms = loading_ms(root);
    return false; /* no client speaks this format */
}

const struct tg_adapter tg_adapter_huggingface = {
    .name = "huggingface",
    .api = TG_WIRE_HF_GENERATE,
    .tasks = 1u << TG_TASK_CHAT | 1u << TG_TASK_EMBED | 1u << TG_TASK_RERANK,
    .fidelity = tg_huggingface_fidelity,
    .encode = encode,
    .state_bytes = sizeof(struct tg_huggingface_dec),
    .begin = tg_huggingface_begin,
    .on_head = tg_huggingface_on_head,
    .on_bytes = tg_huggingface_on_bytes,
    .on_end = tg_huggingface_on_end,
    .fini = tg_huggingface_fini,
    .classify = classify,
};

/* The adapter's table: paths, headers, errors ({"message": "text"}). */
#include "adapter/cohere_priv.h"
#include "adapter/encode_priv.h"
#include "adapter/openai_priv.h"
#include "base/err.h"

static int make_request(struct tg_arena *a, const char *path,
                        const struct tg_adapter_target *target, struct tg_adapter_request *out)
{
    int rc = tg_adapter_post(tg_adapter_join(a, target->base_path, tg_str_c(path)), out);
    return rc ? rc : tg_adapter_add_bearer(a, target->credential, out);
}

static int encode(struct tg_arena *a, const struct tg_chat_req *req,
                  const struct tg_adapter_target *target, struct tg_adapter_request *out,
                  struct tg_fail *fail)
{
    struct tg_adapter_request r;
    const char *path = req->task == TG_TASK_EMBED    ? "/v2/embed"
                       : req->task == TG_TASK_RERANK ? "/v2/rerank"
                                                     : "/v2/chat";
    if (make_request(a, path, target, &r))
        return tg_fail_set(fail, TG_E_NOMEM, "not enough memory for the request");
    int rc = tg_cohere_encode_body(a, req, target, &r.body, &r.dropped, fail);
    if (rc)
        return rc;
    *out = r;
    return 0;
}

static int encode_pass(struct tg_arena *a, const struct tg_pass *pass TG_UNUSED,
                       const struct tg_adapter_target *target, struct tg_adapter_request *out)
{
    return make_request(a, "/v2/rerank", target, out); /* all that passes */
}

static bool classify(struct tg_arena *a, const struct tg_http_head *head, struct tg_str body,
                     struct tg_fail *fail)
{
    struct tg_json_doc *doc;
    struct tg_openai_error e = {.message = TG_STR("")};
    bool json = tg_json_parse(a, body, NULL, &doc, NULL) == 0;
    if (json) {
        e.message = tg_json_get_str(tg_json_root(doc), TG_STR("message"));
        e.type = tg_json_get_str(tg_json_root(doc), TG_STR("error_type"));
    }
    if (tg_str_eq(e.type, TG_STR("TOO_MANY_TOKENS")))
        e.code = TG_STR("context_length_exceeded");
    bool own = e.message.n > 0;
    bool found = own || (json && tg_openai_find_error(tg_json_root(doc), &e));
    tg_openai_set_http_fail(head, body, found ? &e : NULL, fail);
    return own && fail->err != TG_E_UPSTREAM_AUTH && !tg_openai_has_key(body);
}

const struct tg_adapter tg_adapter_cohere = {
    .name = "cohere",
    .api = TG_WIRE_COHERE_CHAT,
    .formats = TG_WIRE_BIT(RERANK),
    .tasks = 1u << TG_TASK_CHAT | 1u << TG_TASK_EMBED | 1u << TG_TASK_RERANK,
    .fidelity = tg_cohere_fidelity,
    .encode = encode,
    .encode_pass = encode_pass,
    .state_bytes = sizeof(struct tg_cohere_dec),
    .begin = tg_cohere_begin,
    .on_head = tg_cohere_on_head,
    .on_bytes = tg_cohere_on_bytes,
    .on_end = tg_cohere_on_end,
    .fini = tg_cohere_fini,
    .classify = classify,
};

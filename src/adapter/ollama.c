/* The adapter's table: paths, headers, errors ({"error": "text"}). */
#include "adapter/encode_priv.h"
#include "adapter/ollama_priv.h"
#include "adapter/openai_priv.h"
#include "base/err.h"

/* A server on one's own machine asks for no credential. */
static int make_request(struct tg_arena *a, const char *path,
                        const struct tg_adapter_target *target, struct tg_adapter_request *out)
{
    int rc = tg_adapter_post(tg_adapter_join(a, tg_adapter_base(target), tg_str_c(path)), out);
    return rc ? rc : tg_adapter_add_bearer(a, target->credential, out);
}

static int encode(struct tg_arena *a, const struct tg_chat_req *req,
                  const struct tg_adapter_target *target, struct tg_adapter_request *out,
                  struct tg_fail *fail)
{
    struct tg_adapter_request r;
    const char *path = req->task == TG_TASK_EMBED ? "/api/embed"
                       : req->is_completion       ? "/api/generate"
                                                  : "/api/chat";
    int rc = make_request(a, path, target, &r);
    if (rc)
        return tg_fail_set(fail, rc, "not enough memory for the request");
    rc = tg_ollama_encode_body(a, req, target, &r.body, &r.dropped, &r.emulated, fail);
    if (rc)
        return rc;
    *out = r;
    return 0;
}

static int encode_pass(struct tg_arena *a, const struct tg_pass *pass,
                       const struct tg_adapter_target *target, struct tg_adapter_request *out)
{
    bool old = tg_str_ends(pass->tail, TG_STR("/embeddings"));
    return make_request(a,
                        pass->format == TG_WIRE_OLLAMA_GENERATE ? "/api/generate"
                        : pass->format != TG_WIRE_OLLAMA_EMBED  ? "/api/chat"
                        : old                                   ? "/api/embeddings"
                                                                : "/api/embed",
                        target, out);
}

static bool classify(struct tg_arena *a, const struct tg_http_head *head, struct tg_str body,
                     struct tg_fail *fail)
{
    struct tg_json_doc *doc;
    struct tg_openai_error e;
    bool json = tg_json_parse(a, body, NULL, &doc, NULL) == 0;
    struct tg_str text =
        json ? tg_json_get_str(tg_json_root(doc), TG_STR("error")) : (struct tg_str){NULL, 0};
    if (text.p)
        e = (struct tg_openai_error){.message = text};
    bool found = text.p || (json && tg_openai_find_error(tg_json_root(doc), &e));
    tg_openai_set_http_fail(head, body, found ? &e : NULL, fail);
    return text.p && fail->err != TG_E_UPSTREAM_AUTH && !tg_openai_has_key(body);
}

const struct tg_adapter tg_adapter_ollama = {
    .name = "ollama",
    .api = TG_WIRE_OLLAMA_CHAT,
    .formats = TG_WIRE_BIT(OLLAMA_CHAT) | TG_WIRE_BIT(OLLAMA_GENERATE) | TG_WIRE_BIT(OLLAMA_EMBED),
    .tasks = 1u << TG_TASK_CHAT | 1u << TG_TASK_EMBED,
    .fidelity = tg_ollama_fidelity,
    .encode = encode,
    .encode_pass = encode_pass,
    .state_bytes = sizeof(struct tg_ollama_dec),
    .begin = tg_ollama_dec_begin,
    .on_head = tg_ollama_dec_head,
    .on_bytes = tg_ollama_dec_bytes,
    .on_end = tg_ollama_dec_end,
    .fini = tg_ollama_dec_fini,
    .classify = classify,
};

/* Azure OpenAI: OpenAI's API under other paths and with another header. Two generations of paths
 * (learn.microsoft.com, azure/ai-foundry/openai/api-version-lifecycle): /openai/v1/… with the
 * deployment as the model, and, for a dated api-version, /openai/deployments/{name}/…; Foundry's
 * models have /models/…. The key goes into `api-key`, an Entra token is a bearer. Verdicts of the
 * content filter come as EXTRA events, its refusals as errors with code "content_filter". */
#include "adapter/openai_priv.h"
#include "base/err.h"
#include "wire/url.h"

/* Entra's tokens are JWTs: three parts, of which the first is a JSON object in base64. */
static bool is_token(struct tg_str credential)
{
    ptrdiff_t dot = tg_str_chr(credential, '.');
    return tg_str_starts(credential, TG_STR("eyJ")) && dot > 0 &&
           tg_str_chr(tg_str_from(credential, (size_t)dot + 1), '.') > 0;
}

static bool is_dated(struct tg_str version)
{
    return version.n && version.p[0] >= '0' && version.p[0] <= '9';
}

static void add_version(struct tg_buf *b, struct tg_str version)
{
    if (!version.n || tg_str_eq(version, TG_STR("v1")))
        return;
    tg_buf_lit(b, "?api-version=");
    (void)tg_url_encode(b, version);
}

/* `path` is OpenAI's, without its version. */
static int set_path(struct tg_arena *a, const struct tg_adapter_target *t, struct tg_str path,
                    struct tg_adapter_request *out)
{
    struct tg_buf b;
    struct tg_str base = t->base_path;
    bool foundry = tg_str_ends(base, TG_STR("/models"));
    bool responses = tg_str_starts(path, TG_STR("/responses"));
    tg_buf_init(&b, 64 * 1024);
    tg_buf_str_add(&b, base);
    if (!foundry && is_dated(t->api_version) && !responses) {
        tg_buf_lit(&b, "/openai/deployments/");
        (void)tg_url_encode(&b, t->model);
    } else if (!foundry) {
        tg_buf_str_add(&b, is_dated(t->api_version) ? TG_STR("/openai") : TG_STR("/openai/v1"));
    }
    tg_buf_str_add(&b, path);
    add_version(&b, foundry && !is_dated(t->api_version) ? TG_STR("2024-05-01-preview")
                                                         : t->api_version);
    out->path = tg_buf_ok(&b) ? tg_arena_dup(a, tg_buf_str(&b)) : (struct tg_str){NULL, 0};
    tg_buf_fini(&b);
    return out->path.p ? 0 : TG_E_NOMEM;
}

static int to_azure(struct tg_arena *a, const struct tg_adapter_target *t,
                    struct tg_adapter_request *out)
{
    for (size_t i = 0; i < out->n_headers && !is_token(t->credential); i++) {
        if (tg_str_eq(out->headers[i].name, TG_STR("authorization")))
            out->headers[i] = (struct tg_http_header){TG_STR("api-key"), t->credential};
    }
    return set_path(a, t, out->path, out);
}

static int encode_as(const struct tg_adapter *ad, struct tg_arena *a, const struct tg_chat_req *req,
                     const struct tg_adapter_target *target, struct tg_adapter_request *out,
                     struct tg_fail *fail)
{
    struct tg_adapter_target bare = *target;
    struct tg_adapter_request r;
    bare.base_path = TG_STR("");
    int rc = ad->encode(a, req, &bare, &r, fail);
    if (rc)
        return rc;
    rc = to_azure(a, target, &r);
    if (rc)
        return tg_fail_set(fail, rc, "not enough memory for the request");
    *out = r;
    return 0;
}

static int encode(struct tg_arena *a, const struct tg_chat_req *req,
                  const struct tg_adapter_target *target, struct tg_adapter_request *out,
                  struct tg_fail *fail)
{
    return encode_as(&tg_adapter_openai, a, req, target, out, fail);
}

static int encode_responses(struct tg_arena *a, const struct tg_chat_req *req,
                            const struct tg_adapter_target *target, struct tg_adapter_request *out,
                            struct tg_fail *fail)
{
    return encode_as(&tg_adapter_openai_responses, a, req, target, out, fail);
}

static int encode_pass(struct tg_arena *a, const struct tg_pass *pass,
                       const struct tg_adapter_target *target, struct tg_adapter_request *out)
{
    struct tg_adapter_target bare = *target;
    bare.base_path = TG_STR("");
    int rc = tg_adapter_openai.encode_pass(a, pass, &bare, out);
    return rc ? rc : to_azure(a, target, out);
}

static bool classify(struct tg_arena *a, const struct tg_http_head *head, struct tg_str body,
                     struct tg_fail *fail)
{
    return tg_adapter_openai.classify(a, head, body, fail);
}

#define AZURE_FORMATS                                                                             \
    (TG_WIRE_BIT(OPENAI_CHAT) | TG_WIRE_BIT(OPENAI_COMPLETIONS) | TG_WIRE_BIT(OPENAI_RESPONSES) | \
     TG_WIRE_BIT(OPENAI_EMBEDDINGS) | TG_WIRE_BIT(OPENAI_IMAGES) | TG_WIRE_BIT(OPENAI_AUDIO))

const struct tg_adapter tg_adapter_azure = {
    .name = "azure_openai",
    .api = TG_WIRE_OPENAI_CHAT,
    .formats = AZURE_FORMATS,
    .tasks = 1u << TG_TASK_CHAT | 1u << TG_TASK_EMBED,
    .fidelity = tg_openai_fidelity,
    .encode = encode,
    .encode_pass = encode_pass,
    TG_OPENAI_DECODER,
    .classify = classify,
};

const struct tg_adapter tg_adapter_azure_responses = {
    .name = "azure_openai_responses",
    .api = TG_WIRE_OPENAI_RESPONSES,
    .formats = AZURE_FORMATS,
    .tasks = 1u << TG_TASK_CHAT | 1u << TG_TASK_EMBED,
    .fidelity = tg_responses_fidelity,
    .encode = encode_responses,
    .encode_pass = encode_pass,
    TG_OPENAI_DECODER,
    .classify = classify,
};

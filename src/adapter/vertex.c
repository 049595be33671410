/* Gemini on Vertex AI: the same bodies behind paths that name project and location, with an access
 * token. Embeddings are :predict. Source: docs.cloud.google.com/vertex-ai/generative-ai/docs/
 * model-reference/inference and /text-embeddings-api. */
#include "adapter/encode_priv.h"
#include "adapter/vertex_priv.h"
#include "base/err.h"

/* "/v1/projects/p/locations/l/publishers/<publisher>/models/m:verb". A model may be given with its
 * publisher, or as an endpoint of the project's own ("endpoints/123", or the whole resource). */
struct tg_str tg_vertex_path(struct tg_arena *a, const struct tg_adapter_target *target,
                             const char *publisher, const char *verb)
{
    struct tg_str base = tg_adapter_base(target), model = target->model;
    struct tg_str version = target->api_version.n ? target->api_version : TG_STR("v1");
    bool own = tg_str_starts(model, TG_STR("endpoints/"));
    struct tg_str name = tg_gemini_escape(a, own ? tg_str_from(model, 10) : model);
    struct tg_str project = tg_gemini_escape(a, target->project);
    struct tg_str region =
        tg_gemini_escape(a, target->region.n ? target->region : TG_STR("global"));
    if (!name.p || !project.p || !region.p)
        return (struct tg_str){NULL, 0};
    if (!project.n) /* an API key of the express mode knows its project */
        return tg_arena_printf(a, "%.*s/%.*s/publishers/%s/models/%.*s%s", TG_STR_ARG(base),
                               TG_STR_ARG(version), publisher, TG_STR_ARG(name), verb);
    if (own)
        return tg_arena_printf(a, "%.*s/%.*s/projects/%.*s/locations/%.*s/endpoints/%.*s%s",
                               TG_STR_ARG(base), TG_STR_ARG(version), TG_STR_ARG(project),
                               TG_STR_ARG(region), TG_STR_ARG(name), verb);
    return tg_arena_printf(a, "%.*s/%.*s/projects/%.*s/locations/%.*s/publishers/%s/models/%.*s%s",
                           TG_STR_ARG(base), TG_STR_ARG(version), TG_STR_ARG(project),
                           TG_STR_ARG(region), publisher, TG_STR_ARG(name), verb);
}

int tg_vertex_make_request(struct tg_arena *a, const struct tg_adapter_target *target,
                           const char *publisher, const char *verb, bool stream,
                           struct tg_adapter_request *out)
{
    int rc = tg_gemini_make_request(a, tg_vertex_path(a, target, publisher, verb), stream, out);
    return rc ? rc : tg_adapter_add_bearer(a, target->credential, out);
}

static const char *verb_of(enum tg_chat_task task, bool stream, bool array)
{
    if (task == TG_TASK_COUNT)
        return ":countTokens";
    if (task == TG_TASK_EMBED)
        return ":predict";
    if (!stream)
        return ":generateContent";
    return array ? ":streamGenerateContent" : ":streamGenerateContent?alt=sse";
}

static int encode(struct tg_arena *a, const struct tg_chat_req *req,
                  const struct tg_adapter_target *target, struct tg_adapter_request *out,
                  struct tg_fail *fail)
{
    struct tg_adapter_request r;
    bool stream = req->stream && req->task == TG_TASK_CHAT;
    int rc =
        tg_vertex_make_request(a, target, "google", verb_of(req->task, stream, false), stream, &r);
    if (rc)
        return tg_fail_set(fail, rc, "not enough memory for the request");
    rc = tg_gemini_encode_body(a, req, target, true, &r, fail);
    if (rc)
        return rc;
    *out = r;
    return 0;
}

static int encode_pass(struct tg_arena *a, const struct tg_pass *pass,
                       const struct tg_adapter_target *target, struct tg_adapter_request *out)
{
    bool sse = pass->stream && !pass->json_array;
    return tg_vertex_make_request(a, target, "google",
                                  verb_of(TG_TASK_CHAT, pass->stream, pass->json_array), sse, out);
}

const struct tg_adapter tg_adapter_vertex = {
    .name = "vertex",
    .api = TG_WIRE_GEMINI_GENERATE,
    .formats = TG_WIRE_BIT(GEMINI_GENERATE),
    .tasks = 1u << TG_TASK_CHAT | 1u << TG_TASK_COUNT | 1u << TG_TASK_EMBED,
    .fidelity = tg_gemini_fidelity,
    .encode = encode,
    .encode_pass = encode_pass,
    TG_GEMINI_DECODER,
    .classify = tg_gemini_classify,
};

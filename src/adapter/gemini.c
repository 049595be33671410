/* The adapter's table: paths and headers. Source: ai.google.dev/api, "Authentication" and the
 * methods of v1beta.models. */
#include "adapter/encode_priv.h"
#include "adapter/gemini_priv.h"
#include "base/err.h"

static const char *verb_of(enum tg_chat_task task, bool stream, bool array)
{
    if (task == TG_TASK_COUNT)
        return ":countTokens";
    if (task == TG_TASK_EMBED)
        return ":batchEmbedContents";
    if (!stream)
        return ":generateContent";
    return array ? ":streamGenerateContent" : ":streamGenerateContent?alt=sse";
}

static int make_request(struct tg_arena *a, const char *verb, bool stream,
                        const struct tg_adapter_target *target, struct tg_adapter_request *out)
{
    int rc = tg_gemini_make_request(a, tg_gemini_path(a, target, verb), stream, out);
    if (!rc && target->credential.n)
        tg_adapter_add_header(out, TG_STR("x-goog-api-key"), target->credential);
    return rc;
}

static int encode(struct tg_arena *a, const struct tg_chat_req *req,
                  const struct tg_adapter_target *target, struct tg_adapter_request *out,
                  struct tg_fail *fail)
{
    struct tg_adapter_request r;
    bool stream = req->stream && req->task == TG_TASK_CHAT;
    int rc = make_request(a, verb_of(req->task, stream, false), stream, target, &r);
    if (rc)
        return tg_fail_set(fail, rc, "not enough memory for the request");
    rc = tg_gemini_encode_body(a, req, target, false, &r, fail);
    if (rc)
        return rc;
    *out = r;
    return 0;
}

static int encode_pass(struct tg_arena *a, const struct tg_pass *pass,
                       const struct tg_adapter_target *target, struct tg_adapter_request *out)
{
    const char *verb = pass->format == TG_WIRE_GEMINI_COUNT ? ":countTokens" : NULL;
    if (pass->format == TG_WIRE_GEMINI_EMBED)
        verb = tg_str_ends(pass->tail, TG_STR(":embedContent")) ? ":embedContent"
                                                                : ":batchEmbedContents";
    bool stream = pass->stream && !verb;
    if (!verb)
        verb = verb_of(TG_TASK_CHAT, stream, pass->json_array);
    return make_request(a, verb, stream && !pass->json_array, target, out);
}

const struct tg_adapter tg_adapter_gemini = {
    .name = "gemini",
    .api = TG_WIRE_GEMINI_GENERATE,
    .formats = TG_WIRE_BIT(GEMINI_GENERATE) | TG_WIRE_BIT(GEMINI_COUNT) | TG_WIRE_BIT(GEMINI_EMBED),
    .tasks = 1u << TG_TASK_CHAT | 1u << TG_TASK_COUNT | 1u << TG_TASK_EMBED,
    .fidelity = tg_gemini_fidelity,
    .encode = encode,
    .encode_pass = encode_pass,
    TG_GEMINI_DECODER,
    .classify = tg_gemini_classify,
};

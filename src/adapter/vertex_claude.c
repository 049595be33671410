/* Claude on Vertex AI: Anthropic's bodies and streams behind :rawPredict and :streamRawPredict. The
 * model is in the path, the version in the body. Source: docs.anthropic.com/en/api/
 * claude-on-vertex-ai; counting: the model "count-tokens" of the same publisher. */
#include "adapter/anthropic_priv.h"
#include "adapter/vertex_priv.h"
#include "base/err.h"

static const struct tg_anthropic_opts opts = {.stream = true,
                                              .version = TG_STR_INIT("vertex-2023-10-16")};
/* Counting names the model in the body. */
static const struct tg_anthropic_opts count_opts = {.model = true,
                                                    .version = TG_STR_INIT("vertex-2023-10-16")};

static int encode(struct tg_arena *a, const struct tg_chat_req *req,
                  const struct tg_adapter_target *target, struct tg_adapter_request *out,
                  struct tg_fail *fail)
{
    struct tg_adapter_request r;
    struct tg_adapter_target at = *target;
    bool count = req->task == TG_TASK_COUNT, stream = req->stream && !count;
    if (count)
        at.model = TG_STR("count-tokens");
    int rc = tg_vertex_make_request(a, &at, "anthropic",
                                    stream ? ":streamRawPredict" : ":rawPredict", stream, &r);
    if (rc)
        return tg_fail_set(fail, rc, "not enough memory for the request");
    rc = tg_anthropic_encode_body(a, req, target, count ? &count_opts : &opts, &r.body, &r.dropped,
                                  &r.emulated, fail);
    if (rc)
        return rc;
    *out = r;
    return 0;
}

/* Bodies don't pass through: the model must leave them and the version come in. */
const struct tg_adapter tg_adapter_vertex_claude = {
    .name = "vertex_claude",
    .api = TG_WIRE_ANTHROPIC_MESSAGES,
    .tasks = 1u << TG_TASK_CHAT | 1u << TG_TASK_COUNT,
    .fidelity = tg_anthropic_fidelity,
    .encode = encode,
    TG_ANTHROPIC_DECODER,
    .classify = tg_anthropic_classify,
};

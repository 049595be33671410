/* The adapter's table: paths and headers. Source: docs.anthropic.com/en/api/overview. */
#include "adapter/anthropic_priv.h"
#include "adapter/encode_priv.h"
#include "base/err.h"

static const struct tg_anthropic_opts opts = {.model = true, .stream = true};

static int make_request(struct tg_arena *a, bool count, bool stream,
                        const struct tg_adapter_target *target, struct tg_adapter_request *out)
{
    struct tg_str base = tg_adapter_base(target);
    struct tg_str path =
        tg_arena_printf(a, "%.*s/v1/messages%s", TG_STR_ARG(base), count ? "/count_tokens" : "");
    int rc = tg_adapter_post(path, out);
    if (rc)
        return rc;
    tg_adapter_add_accept(out, stream);
    tg_adapter_add_header(out, TG_STR("anthropic-version"),
                          target->api_version.n ? target->api_version : TG_STR("2023-06-01"));
    if (target->credential.n)
        tg_adapter_add_header(out, TG_STR("x-api-key"), target->credential);
    return 0;
}

static int encode(struct tg_arena *a, const struct tg_chat_req *req,
                  const struct tg_adapter_target *target, struct tg_adapter_request *out,
                  struct tg_fail *fail)
{
    struct tg_adapter_request r;
    bool count = req->task == TG_TASK_COUNT;
    int rc = make_request(a, count, req->stream && !count, target, &r);
    if (rc)
        return tg_fail_set(fail, rc, "not enough memory for the request");
    rc = tg_anthropic_encode_body(a, req, target, &opts, &r.body, &r.dropped, &r.emulated, fail);
    if (rc)
        return rc;
    *out = r;
    return 0;
}

static int encode_pass(struct tg_arena *a, const struct tg_pass *pass,
                       const struct tg_adapter_target *target, struct tg_adapter_request *out)
{
    return make_request(a, pass->format == TG_WIRE_ANTHROPIC_COUNT, pass->stream, target, out);
}

const struct tg_adapter tg_adapter_anthropic = {
    .name = "anthropic",
    .api = TG_WIRE_ANTHROPIC_MESSAGES,
    .formats = TG_WIRE_BIT(ANTHROPIC_MESSAGES) | TG_WIRE_BIT(ANTHROPIC_COUNT),
    .tasks = 1u << TG_TASK_CHAT | 1u << TG_TASK_COUNT,
    .fidelity = tg_anthropic_fidelity,
    .encode = encode,
    .encode_pass = encode_pass,
    TG_ANTHROPIC_DECODER,
    .classify = tg_anthropic_classify,
};

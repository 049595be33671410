/* Claude on Bedrock by its own format: Anthropic's bodies behind InvokeModel, and its events in the
 * frames of InvokeModelWithResponseStream. */
#include "adapter/bedrock_priv.h"
#include "base/base64.h"
#include "base/err.h"

static const struct tg_anthropic_opts opts = {
    .version = TG_STR_INIT("bedrock-2023-05-31"),
    .no_schema = true,
};

struct invoke_dec {
    struct tg_anthropic_dec claude;
    struct tg_aws_dec frames;
    struct tg_buf event; /* of one frame, as a server-sent event */
    bool stream;
};

static int begin(void *state, const struct tg_adapter_response *resp)
{
    struct invoke_dec *d = state;
    struct tg_adapter_response r = *resp;
    d->stream = resp->stream;
    r.format = TG_WIRE_ANTHROPIC_MESSAGES;
    tg_aws_dec_init(&d->frames, resp->max_pending_bytes ? resp->max_pending_bytes : 4u << 20);
    tg_buf_init(&d->event, (resp->max_pending_bytes ? resp->max_pending_bytes : 4u << 20) + 64);
    return tg_anthropic_begin(&d->claude, &r);
}

static int on_head(void *state, const struct tg_http_head *head)
{
    struct invoke_dec *d = state;
    return tg_anthropic_on_head(&d->claude, head);
}

static int stop(struct invoke_dec *d, struct tg_sink *sink, const struct tg_fail *fail)
{
    return tg_anthropic_emit_error(&d->claude, sink, fail);
}

static int on_exception(struct invoke_dec *d, struct tg_str type, struct tg_str payload,
                        struct tg_sink *sink)
{
    struct tg_arena a;
    struct tg_fail fail;
    tg_fail_clear(&fail);
    tg_arena_init(&a, 1024, 1u << 20);
    tg_bedrock_exception(&a, type, payload, &fail);
    tg_arena_fini(&a);
    return stop(d, sink, &fail);
}

/* {"bytes": base64 of one of Claude's events} */
static int on_frame(struct invoke_dec *d, const struct tg_aws_frame *f, struct tg_sink *sink)
{
    struct tg_arena a;
    struct tg_json_doc *doc;
    struct tg_fail fail;
    if (!tg_str_eq(tg_aws_frame_get(f, TG_STR(":message-type")), TG_STR("event")))
        return on_exception(d, tg_aws_frame_get(f, TG_STR(":exception-type")), f->payload, sink);
    tg_buf_clear(&d->event);
    tg_arena_init(&a, 4096, SIZE_MAX / 4);
    int rc = tg_json_parse(&a, f->payload, NULL, &doc, NULL);
    (void)tg_buf_lit(&d->event, "data: "); /* tested below */
    if (rc == 0)
        rc = tg_base64_decode(tg_json_get_str(tg_json_root(doc), TG_STR("bytes")), &d->event);
    (void)tg_buf_lit(&d->event, "\n\n");
    tg_arena_fini(&a);
    if (rc == 0 && tg_buf_ok(&d->event))
        return tg_anthropic_on_bytes(&d->claude, tg_buf_str(&d->event), sink);
    tg_fail_clear(&fail);
    /* what is decoded is shorter than its frame: only memory can have been wanting */
    (void)tg_fail_set(
        &fail, rc == TG_E_NOMEM || !tg_buf_ok(&d->event) ? TG_E_NOMEM : TG_E_UPSTREAM_INVALID,
        "the provider's stream is malformed"); /* its value is the error */
    return stop(d, sink, &fail);
}

static int on_bytes(void *state, struct tg_str in, struct tg_sink *sink)
{
    struct invoke_dec *d = state;
    struct tg_aws_frame f;
    struct tg_fail fail;
    int rc;
    if (!d->stream || d->claude.encoded)
        return tg_anthropic_on_bytes(&d->claude, in, sink);
    while (d->claude.mode != TG_ANTHROPIC_OVER && (rc = tg_aws_next(&d->frames, &in, &f)) != 0) {
        if (rc < 0) {
            tg_fail_clear(&fail);
            (void)tg_fail_set(&fail, rc, "%s", tg_err_info(rc)->text); /* its value is rc */
            return stop(d, sink, &fail);
        }
        rc = on_frame(d, &f, sink);
        if (rc)
            return rc;
    }
    return 0;
}

static int on_end(void *state, bool clean, struct tg_sink *sink)
{
    struct invoke_dec *d = state;
    return tg_anthropic_on_end(&d->claude, clean && !tg_aws_pending(&d->frames), sink);
}

static void fini(void *state)
{
    struct invoke_dec *d = state;
    tg_anthropic_fini(&d->claude);
    tg_aws_dec_fini(&d->frames);
    tg_buf_fini(&d->event);
}

static int encode(struct tg_arena *a, const struct tg_chat_req *req,
                  const struct tg_adapter_target *target, struct tg_adapter_request *out,
                  struct tg_fail *fail)
{
    struct tg_adapter_request r;
    const char *verb = req->stream ? "invoke-with-response-stream" : "invoke";
    if (tg_bedrock_request(a, target, verb, &r))
        return tg_fail_set(fail, TG_E_NOMEM, "not enough memory for the request");
    int rc =
        tg_anthropic_encode_body(a, req, target, &opts, &r.body, &r.dropped, &r.emulated, fail);
    if (rc)
        return rc;
    *out = r;
    return 0;
}

/* Never called, as `formats` is empty: the body needs a version and no model. */
static int encode_pass(struct tg_arena *a, const struct tg_pass *pass,
                       const struct tg_adapter_target *target, struct tg_adapter_request *out)
{
    return tg_bedrock_request(a, target, pass->stream ? "invoke-with-response-stream" : "invoke",
                              out);
}

const struct tg_adapter tg_adapter_bedrock_invoke = {
    .name = "bedrock_invoke",
    .api = TG_WIRE_ANTHROPIC_MESSAGES,
    .tasks = 1u << TG_TASK_CHAT,
    .fidelity = tg_anthropic_fidelity,
    .encode = encode,
    .encode_pass = encode_pass,
    .state_bytes = sizeof(struct invoke_dec),
    .begin = begin,
    .on_head = on_head,
    .on_bytes = on_bytes,
    .on_end = on_end,
    .fini = fini,
    .classify = tg_bedrock_classify,
};

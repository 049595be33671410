/* The two adapters' tables, paths and errors. */
#include "adapter/bedrock_priv.h"
#include "adapter/encode_priv.h"
#include "adapter/openai_priv.h"
#include "base/err.h"

/* Everything but unreserved characters: model ids hold colons, ARNs slashes. */
static void put_segment(struct tg_buf *b, struct tg_str s)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '.' || c == '_' || c == '~';
        char escaped[3] = {'%', hex[c >> 4], hex[c & 15]};
        (void)tg_buf_add(b, plain ? (const char *)&s.p[i] : escaped, plain ? 1 : 3);
    }
}

int tg_bedrock_request(struct tg_arena *a, const struct tg_adapter_target *target, const char *verb,
                       struct tg_adapter_request *out)
{
    struct tg_buf b;
    tg_buf_init(&b, 1u << 16);
    (void)tg_buf_str_add(&b, target->base_path); /* the buffer is tested at the end */
    (void)tg_buf_lit(&b, "/model/");
    put_segment(&b, target->model);
    (void)tg_buf_char(&b, '/');
    (void)tg_buf_str_add(&b, tg_str_c(verb));
    struct tg_str path = tg_buf_ok(&b) ? tg_arena_dup(a, tg_buf_str(&b)) : (struct tg_str){NULL, 0};
    tg_buf_fini(&b);
    int rc = tg_adapter_post(path, out);
    if (rc == 0 && !target->credential.n)
        out->aws_service = "bedrock";
    return rc ? rc : tg_adapter_add_bearer(a, target->credential, out);
}

/* ---- errors ---- */

/* Names of exceptions and the status they have outside a stream. */
static int status_of(struct tg_str type)
{
    static const struct {
        struct tg_str type;
        int status;
    } known[] = {
        {TG_STR_INIT("validationException"), 400},
        {TG_STR_INIT("accessDeniedException"), 403},
        {TG_STR_INIT("resourceNotFoundException"), 404},
        {TG_STR_INIT("modelTimeoutException"), 408},
        {TG_STR_INIT("throttlingException"), 429},
        {TG_STR_INIT("modelStreamErrorException"), 424},
        {TG_STR_INIT("modelErrorException"), 424},
        {TG_STR_INIT("serviceUnavailableException"), 503},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(known); i++) {
        if (tg_str_ieq(type, known[i].type))
            return known[i].status;
    }
    return 500;
}

void tg_bedrock_exception(struct tg_arena *a, struct tg_str type, struct tg_str payload,
                          struct tg_fail *fail)
{
    struct tg_json_doc *doc;
    struct tg_openai_error e = {.type = type};
    if (tg_json_parse(a, payload, NULL, &doc, NULL) == 0)
        e.message = tg_json_get_str(tg_json_root(doc), TG_STR("message"));
    tg_openai_set_fail(status_of(type), &e, fail);
}

bool tg_bedrock_classify(struct tg_arena *a, const struct tg_http_head *head, struct tg_str body,
                         struct tg_fail *fail)
{
    struct tg_json_doc *doc;
    struct tg_openai_error e = {.message = TG_STR("")};
    bool json = tg_json_parse(a, body, NULL, &doc, NULL) == 0;
    if (json)
        e.message = tg_json_get_str(tg_json_root(doc), TG_STR("message"));
    if (json && !e.message.n)
        e.message = tg_json_get_str(tg_json_root(doc), TG_STR("Message"));
    e.type = tg_http_head_get(head, TG_STR("x-amzn-errortype"));
    tg_openai_set_http_fail(head, body, e.message.n ? &e : NULL, fail);
    return false; /* no client speaks this format */
}

/* ---- Converse ---- */

static int encode(struct tg_arena *a, const struct tg_chat_req *req,
                  const struct tg_adapter_target *target, struct tg_adapter_request *out,
                  struct tg_fail *fail)
{
    struct tg_adapter_request r;
    const char *verb = req->task == TG_TASK_COUNT ? "count-tokens"
                       : req->stream              ? "converse-stream"
                                                  : "converse";
    if (tg_bedrock_request(a, target, verb, &r))
        return tg_fail_set(fail, TG_E_NOMEM, "not enough memory for the request");
    int rc = tg_bedrock_encode_body(a, req, target, &r.body, &r.dropped, &r.emulated, fail);
    if (rc)
        return rc;
    *out = r;
    return 0;
}

/* No client speaks it: never called, as `formats` is empty. */
static int encode_pass(struct tg_arena *a, const struct tg_pass *pass,
                       const struct tg_adapter_target *target, struct tg_adapter_request *out)
{
    return tg_bedrock_request(a, target, pass->stream ? "converse-stream" : "converse", out);
}

const struct tg_adapter tg_adapter_bedrock = {
    .name = "bedrock",
    .api = TG_WIRE_BEDROCK_CONVERSE,
    .tasks = 1u << TG_TASK_CHAT | 1u << TG_TASK_COUNT,
    .fidelity = tg_bedrock_fidelity,
    .encode = encode,
    .encode_pass = encode_pass,
    .state_bytes = sizeof(struct tg_bedrock_dec),
    .begin = tg_bedrock_begin,
    .on_head = tg_bedrock_on_head,
    .on_bytes = tg_bedrock_on_bytes,
    .on_end = tg_bedrock_on_end,
    .fini = tg_bedrock_fini,
    .classify = tg_bedrock_classify,
};

/* Error answers: {"type":"error","error":{"type","message"},"request_id"}. Types and statuses:
 * docs.anthropic.com/en/api/errors. */
#include "adapter/anthropic_priv.h"
#include "adapter/openai_priv.h"
#include "base/err.h"

/* An error inside a stream has no status of its own. */
static int status_of_type(struct tg_str type)
{
    static const struct {
        struct tg_str type;
        int status;
    } known[] = {
        {TG_STR_INIT("invalid_request_error"), 400}, {TG_STR_INIT("authentication_error"), 401},
        {TG_STR_INIT("billing_error"), 402},         {TG_STR_INIT("permission_error"), 403},
        {TG_STR_INIT("not_found_error"), 404},       {TG_STR_INIT("request_too_large"), 413},
        {TG_STR_INIT("rate_limit_error"), 429},      {TG_STR_INIT("api_error"), 500},
        {TG_STR_INIT("timeout_error"), 504},         {TG_STR_INIT("overloaded_error"), 529},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(known); i++) {
        if (tg_str_eq(type, known[i].type))
            return known[i].status;
    }
    return 0;
}

static void keep_529(int status, struct tg_fail *fail)
{
    if (status == 529 && fail->err == TG_E_UPSTREAM_OVERLOADED)
        fail->http_status = status;
}

bool tg_anthropic_read_error(const struct tg_json *root, int status, struct tg_fail *fail)
{
    const struct tg_json *v = tg_json_get(root, TG_STR("error"));
    if (!tg_json_str_is(tg_json_get(root, TG_STR("type")), TG_STR("error")) || !tg_json_is_obj(v))
        return false;
    struct tg_openai_error e = {
        .message = tg_json_get_str(v, TG_STR("message")),
        .type = tg_json_get_str(v, TG_STR("type")),
    };
    if (tg_str_starts(e.message, TG_STR("prompt is too long")))
        e.code = TG_STR("context_length_exceeded");
    if (!status)
        status = status_of_type(e.type);
    tg_openai_set_fail(status, &e, fail);
    keep_529(status, fail);
    return true;
}

bool tg_anthropic_classify(struct tg_arena *a, const struct tg_http_head *head, struct tg_str body,
                           struct tg_fail *fail)
{
    struct tg_json_doc *doc;
    struct tg_openai_error e;
    bool json = tg_json_parse(a, body, NULL, &doc, NULL) == 0;
    bool own = json && tg_anthropic_read_error(tg_json_root(doc), head->status, fail);
    if (!own) { /* of something in between: a proxy, a compatible server */
        bool found = json && tg_openai_find_error(tg_json_root(doc), &e);
        tg_openai_set_http_fail(head, body, found ? &e : NULL, fail);
        keep_529(head->status, fail);
    }
    fail->retry_after_ms = tg_adapter_retry_after_ms(head);
    return own && fail->err != TG_E_UPSTREAM_AUTH && !tg_openai_has_key(body);
}

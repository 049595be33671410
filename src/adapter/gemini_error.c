/* Google's errors: {"error":{"code","message","status","details":[…]}}, in streams that are arrays
 * as the only element. details hold google.rpc types: ErrorInfo.reason (API_KEY_INVALID comes with
 * status 400), RetryInfo.retryDelay ("34.4s"). Source: cloud.google.com/apis/design/errors. */
#include "adapter/gemini_priv.h"
#include "adapter/openai_priv.h"
#include "base/err.h"
#include "base/num.h"

#define MAX_DELAY_MS (3600 * 1000)

struct details {
    struct tg_str reason;
    int64_t delay_ms; /* -1: none */
    struct tg_str field;
};

static int64_t delay_of(struct tg_str s)
{
    int64_t ms;
    if (!tg_str_ends(s, TG_STR("s")) || tg_parse_duration_ms(s, &ms) || ms < 0)
        return -1;
    return ms < MAX_DELAY_MS ? ms : MAX_DELAY_MS;
}

static void read_details(const struct tg_json *list, struct details *d)
{
    struct tg_json_iter it = tg_json_iter(list);
    *d = (struct details){.delay_ms = -1};
    while (tg_json_next(&it)) {
        struct tg_str reason = tg_json_get_str(it.value, TG_STR("reason"));
        struct tg_str delay = tg_json_get_str(it.value, TG_STR("retryDelay"));
        const struct tg_json *first =
            tg_json_at(tg_json_get(it.value, TG_STR("fieldViolations")), 0);
        if (reason.n)
            d->reason = reason;
        if (delay.n)
            d->delay_ms = delay_of(delay);
        if (tg_json_get_str(first, TG_STR("field")).n)
            d->field = tg_json_get_str(first, TG_STR("field"));
    }
}

static bool is_context_length(struct tg_str message)
{
    return tg_str_find(message, TG_STR("exceeds the maximum number of tokens")) >= 0 ||
           tg_str_find(message, TG_STR("input context is too long")) >= 0;
}

/* A key that is missing or wrong is told with 400 and 403. */
static bool is_key_fault(struct tg_str reason, struct tg_str status)
{
    return tg_str_eq(reason, TG_STR("API_KEY_INVALID")) ||
           tg_str_eq(reason, TG_STR("API_KEY_SERVICE_BLOCKED")) ||
           tg_str_eq(reason, TG_STR("API_KEY_EXPIRED")) ||
           tg_str_eq(status, TG_STR("UNAUTHENTICATED"));
}

bool tg_gemini_read_error(const struct tg_json *root, int status, struct tg_fail *fail)
{
    if (tg_json_is_arr(root))
        root = tg_json_at(root, 0);
    const struct tg_json *e = tg_json_get(root, TG_STR("error"));
    int64_t code = 0;
    struct details d;
    if (!tg_json_is_obj(e))
        return false;
    if (tg_json_i64(tg_json_get(e, TG_STR("code")), &code) || code < 400 || code > 599)
        code = 0;
    int told = status ? status : (int)code;
    struct tg_str word = tg_json_get_str(e, TG_STR("status"));
    read_details(tg_json_get(e, TG_STR("details")), &d);
    struct tg_openai_error said = {
        .message = tg_json_get_str(e, TG_STR("message")),
        .code = d.reason.n ? d.reason : word,
        .param = d.field,
        .status = told,
    };
    if (is_context_length(said.message))
        said.code = TG_STR("context_length_exceeded");
    tg_openai_set_fail(is_key_fault(d.reason, word) ? 401 : told, &said, fail);
    fail->provider_status = told;
    if (d.delay_ms >= 0)
        fail->retry_after_ms = d.delay_ms;
    return true;
}

bool tg_gemini_classify(struct tg_arena *a, const struct tg_http_head *head, struct tg_str body,
                        struct tg_fail *fail)
{
    struct tg_json_doc *doc;
    struct tg_openai_error other;
    bool parsed = tg_json_parse(a, body, NULL, &doc, NULL) == 0;
    bool found = parsed && tg_gemini_read_error(tg_json_root(doc), head->status, fail);
    if (!found) /* of something in between */
        tg_openai_set_http_fail(
            head, body, parsed && tg_openai_find_error(tg_json_root(doc), &other) ? &other : NULL,
            fail);
    int64_t after = tg_adapter_retry_after_ms(head);
    if (after >= 0)
        fail->retry_after_ms = after;
    return found && tg_json_is_obj(tg_json_root(doc)) && fail->message[0] &&
           fail->err != TG_E_UPSTREAM_AUTH && !tg_openai_has_key(body);
}

/* Error answers: what they say and what they mean for the gateway. OpenAI's shape is
 * {"error":{"message","type","param","code"}}; recorded variants: a string as error, a numeric code
 * (OpenRouter, Perplexity), status_code (Groq), {"detail":…} (Mistral, FastAPI servers),
 * {"message":…} at the top, vLLM's {"object":"error",…}, an array of one (Gemini). */
#include <ctype.h>
#include <stdio.h>

#include "adapter/openai_priv.h"
#include "base/err.h"
#include "base/utf8.h"

/* ---- finding ---- */

/* FastAPI: {"detail":[{"loc":[…],"msg":"…"}]}, Mistral: {"detail":"…"}. */
static struct tg_str detail_of(const struct tg_json *root)
{
    const struct tg_json *detail = tg_json_get(root, TG_STR("detail"));
    if (tg_json_is_arr(detail))
        return tg_json_get_str(tg_json_at(detail, 0), TG_STR("msg"));
    return tg_json_str(detail);
}

/* Statuses that words stand for where there is no number, as in a stream that has begun with 200;
 * the others are the provider's own fault. */
static int status_of_word(struct tg_str word)
{
    static const struct {
        struct tg_str word;
        int status;
    } known[] = {
        {TG_STR_INIT("rate_limit_exceeded"), 429},  {TG_STR_INIT("insufficient_quota"), 429},
        {TG_STR_INIT("rate_limit_error"), 429},     {TG_STR_INIT("context_length_exceeded"), 400},
        {TG_STR_INIT("invalid_prompt"), 400},       {TG_STR_INIT("invalid_request_error"), 400},
        {TG_STR_INIT("server_is_overloaded"), 503}, {TG_STR_INIT("overloaded_error"), 503},
        {TG_STR_INIT("service_unavailable"), 503},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(known); i++) {
        if (tg_str_eq(word, known[i].word))
            return known[i].status;
    }
    return 0;
}

static int status_of(const struct tg_json *e)
{
    static const struct tg_str names[] = {TG_STR_INIT("status_code"), TG_STR_INIT("code"),
                                          TG_STR_INIT("status")};
    for (size_t i = 0; i < TG_ARRAY_LEN(names); i++) {
        int64_t n;
        if (tg_json_i64(tg_json_get(e, names[i]), &n) == 0 && n >= 400 && n <= 599)
            return (int)n;
    }
    return 0;
}

static bool is_number_text(struct tg_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!isdigit((unsigned char)s.p[i]))
            return false;
    }
    return true;
}

static void fill(const struct tg_json *e, struct tg_openai_error *out)
{
    out->message = tg_json_get_str(e, TG_STR("message"));
    out->type = tg_json_get_str(e, TG_STR("type"));
    out->param = tg_json_get_str(e, TG_STR("param"));
    out->code = tg_json_get_str(e, TG_STR("code"));
    out->status = status_of(e);
    if (!out->status)
        out->status = status_of_word(out->code);
    if (!out->status)
        out->status = status_of_word(out->type);
    if (is_number_text(out->code)) /* Azure: "401" */
        out->code = TG_STR("");
}

bool tg_openai_find_error(const struct tg_json *root, struct tg_openai_error *out)
{
    *out = (struct tg_openai_error){0};
    bool array = tg_json_is_arr(root);
    if (array)
        root = tg_json_at(root, 0);
    const struct tg_json *e = tg_json_get(root, TG_STR("error"));
    if (tg_json_is_obj(e)) {
        fill(e, out);
        out->proper = !array && out->message.n > 0;
        return true;
    }
    if (tg_json_is_str(e)) {
        fill(root, out);
        out->message = tg_json_str(e);
        return true;
    }
    if (!tg_json_is_obj(root) || tg_json_get(root, TG_STR("choices")))
        return false;
    fill(root, out);
    if (!out->message.n)
        out->message = detail_of(root);
    return out->message.n > 0 ||
           tg_json_str_is(tg_json_get(root, TG_STR("object")), TG_STR("error"));
}

/* ---- keys in texts ---- */

static bool is_key_byte(char c)
{
    return isalnum((unsigned char)c) || c == '-' || c == '_' || c == '*' || c == '.';
}

/* Length of what looks like a key at s, 0 if nothing does. */
static size_t key_length(struct tg_str s)
{
    static const struct tg_str marks[] = {
        TG_STR_INIT("sk-"),     TG_STR_INIT("sk_"),  TG_STR_INIT("gsk_"),  TG_STR_INIT("xai-"),
        TG_STR_INIT("hf_"),     TG_STR_INIT("AIza"), TG_STR_INIT("pplx-"), TG_STR_INIT("r8_"),
        TG_STR_INIT("Bearer "), TG_STR_INIT("key-"),
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(marks); i++) {
        if (!tg_str_istarts(s, marks[i]))
            continue;
        size_t n = marks[i].n;
        while (n < s.n && is_key_byte(s.p[n]))
            n++;
        if (n - marks[i].n >= 8)
            return n;
    }
    return 0;
}

static bool starts_word(struct tg_str text, size_t at)
{
    return at == 0 || !isalnum((unsigned char)text.p[at - 1]);
}

bool tg_openai_has_key(struct tg_str text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (starts_word(text, i) && key_length(tg_str_from(text, i)))
            return true;
    }
    return false;
}

struct tg_str tg_openai_redact(struct tg_str text, char *out, size_t cap)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n && n + 4 < cap;) {
        size_t key = starts_word(text, i) ? key_length(tg_str_from(text, i)) : 0;
        if (key) {
            memcpy(out + n, "***", 3);
            n += 3;
            i += key;
        } else {
            out[n++] = text.p[i] ? text.p[i] : ' '; /* a NUL would end the message */
            i++;
        }
    }
    out[n] = 0;
    struct tg_str done = tg_str_make(out, n);
    done.n = tg_utf8_whole(done);
    return done;
}

/* ---- meaning ---- */

static bool contains_nocase(struct tg_str text, struct tg_str what)
{
    for (size_t i = 0; i + what.n <= text.n; i++) {
        if (tg_str_ieq(tg_str_make(text.p + i, what.n), what))
            return true;
    }
    return false;
}

/* The code is OpenAI's; the others say it in words only. */
static bool is_context_length(const struct tg_openai_error *e)
{
    return tg_str_eq(e->code, TG_STR("context_length_exceeded")) ||
           tg_str_eq(e->type, TG_STR("too_many_prompt_tokens")) ||
           contains_nocase(e->message, TG_STR("maximum context length")) ||
           contains_nocase(e->message, TG_STR("max context length")) ||
           contains_nocase(e->message, TG_STR("context window"));
}

static int err_of_status(int status, const struct tg_openai_error *e)
{
    switch (status) {
    case 401:
    case 402: /* the gateway's account, not the client's */
    case 403:
        return TG_E_UPSTREAM_AUTH;
    case 408:
    case 504:
    case 522: /* Cloudflare: no connection, no answer in time */
    case 524:
        return TG_E_UPSTREAM_TIMEOUT;
    case 429:
        return TG_E_UPSTREAM_RATE_LIMIT;
    case 409:
    case 425:
        return TG_E_UPSTREAM_ERROR;
    case 503:
    case 529:
        return TG_E_UPSTREAM_OVERLOADED;
    default:
        break;
    }
    if (status >= 500 || status == 0)
        return TG_E_UPSTREAM_ERROR;
    if (status == 413 && !e)
        return TG_E_UPSTREAM_REJECTED; /* whoever says it, the request is what is too large */
    if (status < 400 || !e)
        return TG_E_UPSTREAM_INVALID; /* a redirect, or a page that is not the API's */
    bool size = status == 400 || status == 413 || status == 422;
    return size && is_context_length(e) ? TG_E_CONTEXT_LENGTH : TG_E_UPSTREAM_REJECTED;
}

/* A provider's word as an override, when it fits and is harmless. */
static void copy_word(struct tg_str s, char *out, size_t cap)
{
    out[0] = 0;
    if (s.n == 0 || s.n >= cap || tg_openai_has_key(s))
        return;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < 0x21 || s.p[i] > 0x7E)
            return;
    }
    tg_str_to_c(s, out, cap);
}

/* Statuses that mean the same to the client as they did to us. */
static bool keeps_status(int err, int status)
{
    if (err == TG_E_UPSTREAM_REJECTED || err == TG_E_CONTEXT_LENGTH)
        return true;
    return (err == TG_E_UPSTREAM_ERROR || err == TG_E_UPSTREAM_OVERLOADED) &&
           (status == 500 || status == 502 || status == 503);
}

void tg_openai_set_fail(int status, const struct tg_openai_error *e, struct tg_fail *fail)
{
    int err = err_of_status(status, e);
    char text[sizeof(fail->message)];
    bool told = e && e->message.n && err != TG_E_UPSTREAM_AUTH;
    struct tg_str message = tg_str_c(tg_err_info(err)->text);
    if (told)
        message = tg_openai_redact(e->message, text, sizeof(text));
    tg_fail_set(fail, err, "%.*s", TG_STR_ARG(message));
    fail->source = TG_FAIL_PROVIDER;
    fail->provider_status = status;
    if (keeps_status(err, status) && (e || err == TG_E_UPSTREAM_REJECTED))
        fail->http_status = status;
    if (!e || err == TG_E_UPSTREAM_AUTH)
        return;
    if (err == TG_E_CONTEXT_LENGTH) {
        copy_word(e->param, fail->param, sizeof(fail->param));
        return;
    }
    if (err == TG_E_UPSTREAM_REJECTED || err == TG_E_UPSTREAM_RATE_LIMIT ||
        err == TG_E_UPSTREAM_ERROR || err == TG_E_UPSTREAM_OVERLOADED) {
        copy_word(e->type, fail->type, sizeof(fail->type));
        copy_word(e->code, fail->code, sizeof(fail->code));
        copy_word(e->param, fail->param, sizeof(fail->param));
    }
}

/* ---- answers ---- */

/* What servers behind axum, Go's net/http and their like say in so many words; not the page of a
 * proxy, nor JSON of some other kind. */
static bool find_text(const struct tg_http_head *head, struct tg_str body,
                      struct tg_openai_error *out)
{
    struct tg_str type = tg_http_head_get(head, TG_STR("content-type"));
    struct tg_str text = tg_str_trim(body);
    if (!tg_str_istarts(type, TG_STR("text/plain")) || !text.n || !tg_utf8_valid(text) ||
        memchr("<{[", text.p[0], 3))
        return false;
    *out = (struct tg_openai_error){.message = text};
    return true;
}

void tg_openai_set_http_fail(const struct tg_http_head *head, struct tg_str body,
                             const struct tg_openai_error *e, struct tg_fail *fail)
{
    struct tg_openai_error text;
    if (!e && find_text(head, body, &text))
        e = &text;
    tg_openai_set_fail(head->status, e, fail);
    fail->retry_after_ms = tg_adapter_retry_after_ms(head);
}

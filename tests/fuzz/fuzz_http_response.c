/* Responses: the same message or the same error however the bytes are cut; what is accepted, llhttp
 * accepts with the same body and end. The first byte says how the rest is cut, the second what the
 * request's method was. */
#include "base/err.h"
#include "fuzz_http.h"

static void check_response(const struct http_seen *s, enum tg_http_method method)
{
    const struct tg_http_head *h = s->head;

    http_check_head(h);
    FUZZ_CHECK(h->status >= 200 && h->status <= 599);
    if (method == TG_HTTP_HEAD || h->status == 204 || h->status == 304)
        FUZZ_CHECK(h->body == TG_HTTP_BODY_NONE);
    if (h->body == TG_HTTP_BODY_NONE)
        FUZZ_CHECK(s->body.n == 0);
    if (h->body == TG_HTTP_BODY_LENGTH)
        FUZZ_CHECK(s->ended ? s->body.n == h->content_length : s->body.n < h->content_length);
    FUZZ_CHECK(s->ended_by_eof == (s->err == 0 && h->body == TG_HTTP_BODY_CLOSE));
    FUZZ_CHECK(!s->ended_by_eof || !h->keep_alive);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const enum tg_http_method methods[] = {TG_HTTP_POST, TG_HTTP_HEAD, TG_HTTP_CONNECT};

    if (n < 3 || n > 1 << 17)
        return 0;
    enum tg_http_method method = methods[data[1] % TG_ARRAY_LEN(methods)];
    struct tg_str text = {(const char *)data + 2, n - 2};
    struct http_seen whole, cut;

    http_see(&whole, TG_H1_RESPONSE, method, text, 0);
    http_see(&cut, TG_H1_RESPONSE, method, text, (size_t)data[0] + 1);
    http_check_same(&whole, &cut);
    FUZZ_CHECK(whole.err == 0 || whole.err == TG_E_UPSTREAM_INVALID ||
               whole.err == TG_E_UPSTREAM_TOO_LARGE || whole.err == TG_E_UPSTREAM_INCOMPLETE);
    if (whole.head) {
        check_response(&whole, method);
        if (method != TG_HTTP_CONNECT)
            http_check_llhttp(&whole, text, HTTP_RESPONSE, method == TG_HTTP_HEAD);
    }
    http_seen_fini(&whole);
    http_seen_fini(&cut);
    return 0;
}

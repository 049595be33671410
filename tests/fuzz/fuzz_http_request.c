/* Requests: the same message or the same error however the bytes are cut; what is accepted, llhttp
 * accepts with the same body and end; an accepted head written anew is read back the same. The
 * first byte says how the rest is cut. */
#include "fuzz_http.h"

/* Built anew as a gateway forwards: own request line, own Host and framing. */
static void write_anew(struct tg_buf *b, const struct tg_http_head *h)
{
    FUZZ_CHECK(tg_h1_write_request_line(b, h->method, h->target) == 0);
    for (size_t i = 0; i < h->n_headers; i++)
        FUZZ_CHECK(tg_h1_write_header(b, h->headers[i].name, h->headers[i].value) == 0);
    FUZZ_CHECK(tg_buf_lit(b, "\r\n") == 0);
}

static void check_written_anew(const struct http_seen *s)
{
    const struct tg_http_head *h = s->head;
    struct http_seen again;
    struct tg_buf b;

    if (!h || h->minor == 0) /* the writer makes HTTP/1.1 only */
        return;
    tg_buf_init(&b, 1 << 20);
    write_anew(&b, h);
    http_see(&again, TG_H1_REQUEST, TG_HTTP_GET, tg_buf_str(&b), 0);
    FUZZ_CHECK(again.head);
    /* The host of an absolute form stands in another case there than in Host. */
    FUZZ_CHECK(tg_str_ieq(again.head->host, h->host));
    struct tg_http_head same = *again.head;
    same.host = h->host;
    FUZZ_CHECK(http_same_head(&same, h));
    http_seen_fini(&again);
    tg_buf_fini(&b);
}

static void check_request(const struct tg_http_head *h)
{
    http_check_head(h);
    size_t hosts = 0;
    for (size_t i = 0; i < h->n_headers; i++)
        hosts += tg_str_ieq(h->headers[i].name, TG_STR("host"));
    FUZZ_CHECK(hosts <= 1 && (h->minor == 0 || h->host.n > 0));
    FUZZ_CHECK(h->body != TG_HTTP_BODY_CLOSE);
    FUZZ_CHECK(h->target.n > 0 && (h->target.p[0] == '/' || h->method == TG_HTTP_CONNECT ||
                                   tg_str_eq(h->target, TG_STR("*"))));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2 || n > 1 << 17)
        return 0;
    struct tg_str text = {(const char *)data + 1, n - 1};

    /* Pipelined messages, one after the other. */
    for (int i = 0; i < 8 && text.n > 0; i++) {
        struct http_seen whole, cut;

        http_see(&whole, TG_H1_REQUEST, TG_HTTP_GET, text, 0);
        http_see(&cut, TG_H1_REQUEST, TG_HTTP_GET, text, (size_t)data[0] + 1);
        http_check_same(&whole, &cut);
        if (whole.head) {
            check_request(whole.head);
            if (whole.head->method != TG_HTTP_CONNECT)
                http_check_llhttp(&whole, text, HTTP_REQUEST, false);
        }
        check_written_anew(&whole);
        bool more = whole.ended;
        text = tg_str_from(text, whole.used);
        http_seen_fini(&whole);
        http_seen_fini(&cut);
        if (!more)
            break;
    }
    return 0;
}

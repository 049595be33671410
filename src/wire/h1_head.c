/* Heads: line by line by our own rules, which give the exact error, then once more by llhttp, which
 * must come to the same result. Two parsers that agree leave little room for request smuggling. */
#include "wire/h1_priv.h"

#include <llhttp.h>

#include "base/assert.h"
#include "base/err.h"
#include "wire/url.h"

#define T  (H1_TOKEN | H1_VALUE | H1_URI)
#define V  (H1_VALUE | H1_URI)
#define B  H1_VALUE
#define B8 B, B, B, B, B, B, B, B
#define T8 T, T, T, T, T, T, T, T
/* clang-format off */
const uint8_t h1_class[256] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, B, 0, 0, 0, 0, 0, 0, /* HTAB */
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    /*   !  "  #  $  %  &  '  (  )  *  +  ,  -  .  / */
    B, T, V, T & ~H1_URI, T, T, T, T, V, V, T, T, V, T, T, V,
    T8, T, T, V, V, V, V, V, V,                     /* 0-9 : ; < = > ? */
    V, T, T, T, T, T, T, T, T8, T8, T, T, T, V, V, V, T, T, /* @ A-Z [ \ ] ^ _ */
    T8, T8, T8, T, T, T, V, T, V, T, 0,             /* ` a-z { | } ~ DEL */
    B8, B8, B8, B8, B8, B8, B8, B8, B8, B8, B8, B8, B8, B8, B8, B8, /* obs-text */
};
/* clang-format on */
#undef T
#undef V
#undef B
#undef B8
#undef T8

uint32_t h1_head_find(const char *p, size_t n, size_t max_bytes, struct h1_lines *out)
{
    const char *s = p, *end = p + (n < max_bytes ? n : max_bytes);
    for (uint32_t k = 0; k < TG_ARRAY_LEN(out->end) && s < end;) {
        const char *lf = memchr(s, '\n', (size_t)(end - s));
        if (!lf)
            return 0;
        out->end[k++] = (uint32_t)(lf + 1 - p);
        if (lf == s || (lf == s + 1 && *s == '\r')) {
            out->n = k;
            return out->end[k - 1];
        }
        s = lf + 1;
    }
    return 0;
}

/* One pass over the whole head that the compiler turns into vector code: no control byte, and CR
 * and LF only as pairs. When it says yes (all honest heads), the checks of single bytes are
 * skipped; when it says no, they find the place and the error. The last byte is an LF. */
static bool is_clean(const char *s, size_t n)
{
    const uint8_t *u = (const uint8_t *)s;
    uint8_t bad = u[0] == '\n';
    for (size_t i = 0; i + 1 < n; i++) {
        uint8_t c = u[i];
        bad |= (uint8_t)(((c < 0x20) & (c != '\t') & (c != '\r') & (c != '\n')) | (c == 0x7f));
        bad |= (uint8_t)((c == '\r') != (u[i + 1] == '\n'));
    }
    return bad == 0;
}

/* ---- start lines ---- */

struct request_parts {
    size_t method_n, target_at, target_n, version_at;
};

/* Cuts a request line, complete or not. All that is refused here is refused in the same order for
 * a part of the line and for the whole, so that the outcome does not depend on the reads.
 * 1: all three parts begin; 0: fine so far. */
static int request_scan(const struct tg_h1 *p, const char *s, size_t n, struct request_parts *out)
{
    size_t i = 0;
    while (i < n && i <= H1_MAX_METHOD_BYTES && h1_is(s[i], H1_TOKEN))
        i++;
    if (i > H1_MAX_METHOD_BYTES)
        return TG_E_METHOD_UNKNOWN;
    if (i == n)
        return 0;
    if (i == 0 || s[i] != ' ')
        return TG_E_BAD_REQUEST;
    out->method_n = i;
    out->target_at = ++i;
    while (i < n && s[i] != ' ' && s[i] != '\r' && s[i] != '\n')
        i++;
    out->target_n = i - out->target_at;
    if (out->target_n > p->limits.max_target_bytes)
        return TG_E_URI_TOO_LONG;
    if (i == n || (s[i] == '\r' && i + 1 == n))
        return 0;
    if (s[i] != ' ')
        return TG_E_BAD_REQUEST; /* no version, or a bare CR */
    out->version_at = ++i;
    return n - i > sizeof("HTTP/1.1\r\n") - 1 ? TG_E_BAD_REQUEST : 1;
}

/* "HTTP/1.0" or "HTTP/1.1" at s, which has 8 bytes. */
static int version_parse(const char *s, uint8_t *out_minor)
{
    if (memcmp(s, "HTTP/", 5) != 0 || s[5] < '0' || s[5] > '9' || s[6] != '.' || s[7] < '0' ||
        s[7] > '9')
        return TG_E_BAD_REQUEST;
    if (s[5] != '1' || s[7] > '1')
        return TG_E_HTTP_VERSION;
    *out_minor = (uint8_t)(s[7] - '0');
    return 0;
}

/* Which of the four forms of RFC 9112 3.2 it is. *out_authority is empty but in the absolute form;
 * *out_path is what the server works with. */
static int target_form(enum tg_http_method m, struct tg_str t, struct tg_str *out_authority,
                       struct tg_str *out_path)
{
    *out_authority = tg_str_make(NULL, 0);
    *out_path = t;
    if (m == TG_HTTP_CONNECT)
        return tg_host_valid(t) && tg_str_chr(t, ':') >= 0 ? 0 : TG_E_BAD_REQUEST;
    if (t.p[0] == '/')
        return 0;
    if (m == TG_HTTP_OPTIONS && tg_str_eq(t, TG_STR("*")))
        return 0;
    size_t scheme;
    if (tg_str_istarts(t, TG_STR("http://")))
        scheme = sizeof("http://") - 1;
    else if (tg_str_istarts(t, TG_STR("https://")))
        scheme = sizeof("https://") - 1;
    else
        return TG_E_BAD_REQUEST;
    size_t end = scheme;
    while (end < t.n && t.p[end] != '/' && t.p[end] != '?')
        end++;
    struct tg_str authority = tg_str_make(t.p + scheme, end - scheme);
    if (!tg_host_valid(authority))
        return TG_E_BAD_REQUEST;
    *out_authority = authority;
    *out_path = tg_str_from(t, end);
    return 0;
}

static int request_line(struct tg_h1 *p, const char *s, size_t n)
{
    struct request_parts part;
    int rc = request_scan(p, s, n, &part);
    if (rc <= 0)
        return rc < 0 ? rc : TG_E_BAD_REQUEST;
    const char *version = s + part.version_at;
    if (n - part.version_at != sizeof("HTTP/1.1\r\n") - 1 || version[8] != '\r')
        return TG_E_BAD_REQUEST;
    struct tg_str target = tg_str_make(s + part.target_at, part.target_n), authority, path;
    if (target.n == 0 || !h1_all(target.p, target.n, H1_URI))
        return TG_E_BAD_REQUEST;
    rc = version_parse(version, &p->head.minor);
    if (rc < 0)
        return rc;
    if (!tg_http_method_parse(tg_str_make(s, part.method_n), &p->head.method))
        return TG_E_METHOD_UNKNOWN;
    p->head.target = target;
    return target_form(p->head.method, target, &authority, &path);
}

/* What can be said of a status line before it is complete. */
static int status_scan(const struct tg_h1 *p, const char *s, size_t n)
{
    size_t prefix = sizeof("HTTP/1.") - 1;
    if (memcmp(s, "HTTP/1.", n < prefix ? n : prefix) != 0)
        return TG_E_BAD_REQUEST;
    return n > (size_t)p->limits.max_line_bytes + 1 + (s[n - 1] == '\n') ? TG_E_HEADERS_TOO_LARGE
                                                                         : 0;
}

/* "HTTP/1.1 200 reason"; the reason may be empty and even its space absent, as many servers send
 * it. */
static int status_line(struct tg_h1 *p, const char *s, size_t n)
{
    int rc = status_scan(p, s, n);
    if (rc < 0)
        return rc;
    if (n < sizeof("HTTP/1.1 200\r\n") - 1 || s[n - 2] != '\r' || s[8] != ' ')
        return TG_E_BAD_REQUEST;
    rc = version_parse(s, &p->head.minor);
    if (rc < 0)
        return rc;
    int status = 0;
    for (size_t i = 9; i < 12; i++) {
        if (s[i] < '0' || s[i] > '9')
            return TG_E_BAD_REQUEST;
        status = status * 10 + (s[i] - '0');
    }
    if (status < 100 || status > 599 || (s[12] != ' ' && n != 14))
        return TG_E_BAD_REQUEST;
    if (!h1_all(s + 12, n - 14, H1_VALUE))
        return TG_E_BAD_REQUEST;
    p->head.status = status;
    return 0;
}

static int start_line(struct tg_h1 *p, const char *s, size_t n)
{
    return p->role == TG_H1_REQUEST ? request_line(p, s, n) : status_line(p, s, n);
}

/* ---- header lines ---- */

/* 1-15 decimal digits and nothing else: no list, no sign, no two equal values (reliability: what
 * one parser joins another refuses). */
static int note_length(struct tg_h1 *p, struct tg_str v)
{
    if (p->n_length++ > 0 || v.n == 0 || v.n > 15)
        return TG_E_BAD_CONTENT_LENGTH;
    uint64_t n = 0;
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] < '0' || v.p[i] > '9')
            return TG_E_BAD_CONTENT_LENGTH;
        n = n * 10 + (uint64_t)(v.p[i] - '0');
    }
    p->head.content_length = n;
    return 0;
}

static void note_connection(struct tg_h1 *p, struct tg_str v)
{
    struct tg_str part;
    while (tg_str_split(&v, ',', &part)) {
        part = tg_str_trim(part);
        if (tg_str_ieq(part, TG_STR("close")))
            p->conn_close = true;
        else if (tg_str_ieq(part, TG_STR("keep-alive")))
            p->conn_keep_alive = true;
    }
}

static int note_host(struct tg_h1 *p, struct tg_str v)
{
    if (p->n_host++ > 0 || !tg_host_valid(v))
        return TG_E_BAD_HOST;
    p->head.host = v;
    return 0;
}

/* `lower` is in lower case and as long as the name. The first byte decides for most headers. */
static inline bool is_name(struct tg_str name, struct tg_str lower)
{
    return (name.p[0] | 0x20) == lower.p[0] && tg_str_ieq(name, lower);
}

static void note_expect(struct tg_h1 *p, struct tg_str v)
{
    if (tg_str_ieq(v, TG_STR("100-continue")))
        p->head.expect_continue = true;
    else
        p->expect_other = true;
}

/* Those that mean something in requests only. */
static int note_request_header(struct tg_h1 *p, const struct tg_http_header *h)
{
    if (h->name.n == sizeof("host") - 1 && is_name(h->name, TG_STR("host")))
        return note_host(p, h->value);
    if (h->name.n == sizeof("expect") - 1 && is_name(h->name, TG_STR("expect")))
        note_expect(p, h->value);
    if (h->name.n == sizeof("authorization") - 1 && is_name(h->name, TG_STR("authorization")) &&
        p->n_auth++ > 0)
        return TG_E_BAD_HEADER;
    return 0;
}

/* Remembers the few headers that frame a message. Told apart by length first: most need no look. */
static int note_header(struct tg_h1 *p, const struct tg_http_header *h)
{
    switch (h->name.n) {
    case sizeof("connection") - 1:
        if (is_name(h->name, TG_STR("connection")))
            note_connection(p, h->value);
        return 0;
    case sizeof("content-length") - 1:
        return is_name(h->name, TG_STR("content-length")) ? note_length(p, h->value) : 0;
    case sizeof("transfer-encoding") - 1:
        if (is_name(h->name, TG_STR("transfer-encoding"))) {
            p->n_coding++;
            p->coding_is_chunked = tg_str_ieq(h->value, TG_STR("chunked"));
        }
        return 0;
    default:
        return p->role == TG_H1_REQUEST ? note_request_header(p, h) : 0;
    }
}

/* Length of the token at the start of the line s, which ends in LF. Four bytes at a time: names are
 * a third of a head. */
static size_t token_len(const char *s, size_t n)
{
    const uint8_t *u = (const uint8_t *)s;
    size_t i = 0;
    while (n - i >= 4 && (h1_class[u[i]] & h1_class[u[i + 1]] & h1_class[u[i + 2]] &
                          h1_class[u[i + 3]] & H1_TOKEN))
        i += 4;
    while (h1_class[u[i]] & H1_TOKEN)
        i++;
    return i;
}

/* One header line with its line end. */
static int header_line(struct tg_h1 *p, const char *s, size_t n, bool clean,
                       struct tg_http_header *out)
{
    if (n > (size_t)p->limits.max_line_bytes + 2)
        return TG_E_HEADERS_TOO_LARGE;
    if (!clean && (n < 2 || s[n - 2] != '\r'))
        return TG_E_BAD_REQUEST; /* LF alone */
    size_t i = token_len(s, n);
    if (i == 0 || s[i] != ':')
        return TG_E_BAD_HEADER;
    const char *v = s + i + 1, *end = s + n - 2;
    while (v < end && (*v == ' ' || *v == '\t'))
        v++;
    while (end > v && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    if (!clean && !h1_all(v, (size_t)(end - v), H1_VALUE))
        return TG_E_BAD_HEADER;
    out->name = tg_str_make(s, i);
    out->value = tg_str_make(v, (size_t)(end - v));
    return note_header(p, out);
}

/* ---- the whole ---- */

static int headers_complete(llhttp_t *l)
{
    return HPE_PAUSED;
}

static bool same_framing(const struct tg_h1 *p, const llhttp_t *l)
{
    return ((l->flags & F_CHUNKED) != 0) == (p->n_coding > 0) &&
           ((l->flags & F_CONTENT_LENGTH) != 0) == (p->n_length > 0) &&
           (p->n_length == 0 || l->content_length == p->head.content_length);
}

static bool same_start(const struct tg_h1 *p, llhttp_t *l)
{
    if (llhttp_get_http_major(l) != 1 || llhttp_get_http_minor(l) != p->head.minor)
        return false;
    if (p->role == TG_H1_RESPONSE)
        return llhttp_get_status_code(l) == p->head.status;
    const char *method = llhttp_method_name((llhttp_method_t)llhttp_get_method(l));
    return strcmp(method, tg_http_method_name(p->head.method)) == 0;
}

/* The second opinion: llhttp, strict, over the same bytes. It must see the same head, ending at the
 * same byte. */
static int llhttp_check(const struct tg_h1 *p)
{
    static const llhttp_settings_t settings = {.on_headers_complete = headers_complete};
    llhttp_t l __attribute__((uninitialized)); /* zeroed by its init */
    llhttp_init(&l, p->role == TG_H1_REQUEST ? HTTP_REQUEST : HTTP_RESPONSE, &settings);
    llhttp_errno_t e = llhttp_execute(&l, p->buf, p->buf_len);
    if (e == HPE_INVALID_CONTENT_LENGTH)
        return TG_E_BAD_CONTENT_LENGTH; /* it takes no tab behind the digits */
    if (e != HPE_PAUSED)
        return TG_E_BAD_REQUEST;
    bool same =
        llhttp_get_error_pos(&l) == p->buf + p->buf_len && same_start(p, &l) && same_framing(p, &l);
    return same ? 0 : TG_E_BAD_FRAMING;
}

static int finish_target(struct tg_h1 *p)
{
    struct tg_http_head *h = &p->head;
    struct tg_str authority, path;
    int rc = target_form(h->method, h->target, &authority, &path);
    if (rc < 0)
        return rc;
    if (h->minor == 1 && p->n_host == 0)
        return TG_E_BAD_HOST;
    h->target = path;
    if (tg_str_empty(authority))
        return 0;
    if (p->n_host > 0 && !tg_str_ieq(authority, h->host))
        return TG_E_BAD_HOST;
    h->host = authority;
    if (path.n == 0) {
        h->target = TG_STR("/");
    } else if (path.p[0] == '?') {
        h->target = tg_arena_printf(p->arena, "/%.*s", TG_STR_ARG(path));
        if (!h->target.p)
            return TG_E_NOMEM;
    }
    return 0;
}

static int finish_request(struct tg_h1 *p)
{
    struct tg_http_head *h = &p->head;
    int rc = finish_target(p);
    if (rc < 0)
        return rc;
    if (h->minor == 0)
        h->expect_continue = false; /* RFC 9110 10.1.1 */
    else if (p->expect_other)
        return TG_E_EXPECTATION;
    if (p->n_coding > 0)
        h->body = TG_HTTP_BODY_CHUNKED;
    else
        h->body = h->content_length > 0 ? TG_HTTP_BODY_LENGTH : TG_HTTP_BODY_NONE;
    return 0;
}

static void finish_response(struct tg_h1 *p)
{
    struct tg_http_head *h = &p->head;
    bool tunnel = p->request_method == TG_HTTP_CONNECT && h->status / 100 == 2;
    if (tunnel || p->request_method == TG_HTTP_HEAD || h->status / 100 == 1 || h->status == 204 ||
        h->status == 304)
        h->body = TG_HTTP_BODY_NONE;
    else if (p->n_coding > 0)
        h->body = TG_HTTP_BODY_CHUNKED;
    else if (p->n_length > 0)
        h->body = h->content_length > 0 ? TG_HTTP_BODY_LENGTH : TG_HTTP_BODY_NONE;
    else
        h->body = TG_HTTP_BODY_CLOSE;
}

/* What can only be judged when all lines are known. */
static int head_finish(struct tg_h1 *p)
{
    struct tg_http_head *h = &p->head;
    if (p->n_coding > 0 && (p->n_coding > 1 || p->n_length > 0 || h->minor == 0))
        return TG_E_BAD_FRAMING;
    if (p->n_coding > 0 && !p->coding_is_chunked)
        return TG_E_TRANSFER_ENCODING;
    if (p->role == TG_H1_REQUEST) {
        int rc = finish_request(p);
        if (rc < 0)
            return rc;
    } else {
        finish_response(p);
    }
    if (h->body == TG_HTTP_BODY_LENGTH && p->limits.max_body_bytes > 0 &&
        h->content_length > p->limits.max_body_bytes)
        return TG_E_BODY_TOO_LARGE;
    h->keep_alive =
        !p->conn_close && (h->minor == 1 || p->conn_keep_alive) && h->body != TG_HTTP_BODY_CLOSE;
    return llhttp_check(p);
}

void h1_head_reset(struct tg_h1 *p)
{
    p->head = (struct tg_http_head){.headers = p->head.headers};
    p->n_host = p->n_length = p->n_coding = p->n_auth = 0;
    p->coding_is_chunked = p->conn_close = p->conn_keep_alive = p->expect_other = false;
}

static int slots_reserve(struct tg_h1 *p, uint32_t n)
{
    if (n <= p->slots)
        return 0;
    p->head.headers = tg_arena_alloc(p->arena, n * sizeof(p->head.headers[0]));
    if (!p->head.headers)
        return TG_E_NOMEM;
    p->slots = n;
    return 0;
}

int h1_head_parse(struct tg_h1 *p, const struct h1_lines *lines)
{
    h1_head_reset(p);
    bool clean = is_clean(p->buf, p->buf_len);
    int rc = start_line(p, p->buf, lines->end[0]);
    if (rc < 0)
        return rc;
    TG_INVARIANT(lines->n >= 2); /* an empty start line was refused */
    uint32_t n = lines->n - 2;
    rc = slots_reserve(p, n);
    if (rc < 0)
        return rc;
    for (uint32_t i = 0; i < n; i++) {
        if (i >= p->limits.max_headers)
            return TG_E_HEADERS_TOO_LARGE;
        uint32_t at = lines->end[i];
        rc = header_line(p, p->buf + at, lines->end[i + 1] - at, clean, &p->head.headers[i]);
        if (rc < 0)
            return rc;
    }
    if (lines->end[n + 1] - lines->end[n] != 2)
        return TG_E_BAD_REQUEST; /* LF alone */
    p->head.n_headers = n;
    return head_finish(p);
}

int h1_head_check_line(struct tg_h1 *p, const char *s, size_t n)
{
    if (p->lines == 0)
        return start_line(p, s, n);
    if (p->lines > p->limits.max_headers)
        return TG_E_HEADERS_TOO_LARGE;
    struct tg_http_header unused;
    return header_line(p, s, n, false, &unused);
}

int h1_head_check_part(struct tg_h1 *p, const char *s, size_t n)
{
    struct request_parts unused;
    if (p->lines > 0)
        return n > (size_t)p->limits.max_line_bytes + 1 ? TG_E_HEADERS_TOO_LARGE : 0;
    if (p->role == TG_H1_RESPONSE)
        return status_scan(p, s, n);
    int rc = request_scan(p, s, n, &unused);
    return rc < 0 ? rc : 0;
}

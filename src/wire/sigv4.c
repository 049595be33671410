#include "wire/sigv4.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/num.h"
#include "base/secret.h"
#include "wire/url.h"

enum { MAX_CANONICAL_BYTES = 64 * 1024, MAX_PARAMS = 64, HEX_BYTES = 2 * TG_SHA256_BYTES + 1 };

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* ---- path ---- */

/* The path without "." and "..", and without empty segments (RFC 3986 5.2.4, and slashes merged).
 */
static void put_normalised(struct tg_buf *b, struct tg_str path)
{
    struct tg_str part;
    size_t start = b->n;
    bool slash = true; /* the last segment was followed by one */
    while (tg_str_split(&path, '/', &part)) {
        slash = part.n == 0 || tg_str_eq(part, TG_STR(".")) || tg_str_eq(part, TG_STR(".."));
        if (tg_str_eq(part, TG_STR("..")) && tg_buf_ok(b)) {
            while (b->n > start && b->p[b->n - 1] != '/')
                b->n--;
            b->n -= b->n > start;
        }
        if (slash)
            continue;
        tg_buf_char(b, '/');
        tg_url_encode(b, part);
    }
    if (slash || b->n == start)
        tg_buf_char(b, '/');
}

/* ---- query ---- */

struct param {
    struct tg_str name, value; /* canonically encoded, in a buffer */
};

/* Any spelling of an encoded text in the one that is signed. */
static int put_recoded(struct tg_buf *b, struct tg_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '%') {
            int hi = i + 2 < s.n ? tg_hex_digit(s.p[i + 1]) : -1;
            int lo = hi >= 0 ? tg_hex_digit(s.p[i + 2]) : -1;
            if (lo < 0)
                return TG_E_INVALID_ARG;
            c = (char)(hi << 4 | lo);
            i += 2;
        }
        tg_url_encode(b, tg_str_make(&c, 1));
    }
    return 0;
}

static void sort_params(struct param *v, size_t n)
{
    for (size_t i = 1; i < n; i++)
        for (size_t k = i; k > 0; k--) {
            int order = tg_str_cmp(v[k - 1].name, v[k].name);
            if (order < 0 || (order == 0 && tg_str_cmp(v[k - 1].value, v[k].value) <= 0))
                break;
            struct param swap = v[k];
            v[k] = v[k - 1];
            v[k - 1] = swap;
        }
}

/* Encodes every parameter into `tmp`, remembers where, sorts, and writes them out. */
static int put_query(struct tg_buf *b, struct tg_buf *tmp, struct tg_str query)
{
    struct param v[MAX_PARAMS];
    struct tg_str part, name;
    size_t n = 0;
    int rc = tg_buf_reserve(tmp, 3 * query.n + 1); /* so that it does not move */
    while (rc == 0 && tg_str_split(&query, '&', &part)) {
        if (part.n == 0)
            continue;
        if (n == MAX_PARAMS)
            return TG_E_INVALID_ARG;
        struct tg_str value = part;
        (void)tg_str_split(&value, '=', &name); /* the rest is the value; "" without '=' */
        size_t at = tmp->n;
        rc = put_recoded(tmp, name);
        v[n].name = tg_str_make(tmp->p + at, tmp->n - at);
        at = tmp->n;
        if (rc == 0)
            rc = put_recoded(tmp, value);
        v[n++].value = tg_str_make(tmp->p + at, tmp->n - at);
    }
    if (rc)
        return rc;
    sort_params(v, n);
    for (size_t i = 0; i < n; i++) {
        tg_buf_str_add(b, i ? TG_STR("&") : TG_STR(""));
        tg_buf_str_add(b, v[i].name);
        tg_buf_char(b, '=');
        tg_buf_str_add(b, v[i].value);
    }
    return 0;
}

/* ---- headers ---- */

struct header_list {
    struct tg_http_header v[TG_SIGV4_MAX_HEADERS];
    size_t n;
};

static int name_cmp(struct tg_str a, struct tg_str b)
{
    for (size_t i = 0; i < a.n && i < b.n; i++) {
        int order = (unsigned char)lower(a.p[i]) - (unsigned char)lower(b.p[i]);
        if (order)
            return order;
    }
    return a.n < b.n ? -1 : a.n > b.n;
}

/* Keeps the list sorted; headers of one name stay in their order. */
static int add_header(struct header_list *l, struct tg_str name, struct tg_str value)
{
    if (l->n == TG_SIGV4_MAX_HEADERS)
        return TG_E_INVALID_ARG;
    size_t i = l->n++;
    while (i > 0 && name_cmp(l->v[i - 1].name, name) > 0) {
        l->v[i] = l->v[i - 1];
        i--;
    }
    l->v[i] = (struct tg_http_header){name, value};
    return 0;
}

static int collect_headers(const struct tg_sigv4 *in, const char *date, struct header_list *l)
{
    l->n = 0;
    int rc = add_header(l, TG_STR("host"), in->host);
    if (rc == 0)
        rc = add_header(l, TG_STR("x-amz-date"), tg_str_c(date));
    if (rc == 0 && in->session_token.n)
        rc = add_header(l, TG_STR("x-amz-security-token"), in->session_token);
    for (size_t i = 0; rc == 0 && i < in->n_headers; i++)
        rc = add_header(l, in->headers[i].name, in->headers[i].value);
    return rc;
}

static bool same_name(const struct header_list *l, size_t i)
{
    return i > 0 && name_cmp(l->v[i - 1].name, l->v[i].name) == 0;
}

static void put_name(struct tg_buf *b, struct tg_str name)
{
    for (size_t i = 0; i < name.n; i++)
        tg_buf_char(b, lower(name.p[i]));
}

/* Without blanks at the ends, and with runs of blanks as one. */
static void put_value(struct tg_buf *b, struct tg_str value)
{
    value = tg_str_trim(value);
    bool blank = false;
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];
        bool is_blank = c == ' ' || c == '\t' || c == '\r' || c == '\n';
        if (is_blank && !blank)
            tg_buf_char(b, ' ');
        else if (!is_blank)
            tg_buf_char(b, c);
        blank = is_blank;
    }
}

static void put_headers(struct tg_buf *b, const struct header_list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        if (same_name(l, i)) {
            tg_buf_char(b, ',');
        } else {
            tg_buf_str_add(b, i ? TG_STR("\n") : TG_STR(""));
            put_name(b, l->v[i].name);
            tg_buf_char(b, ':');
        }
        put_value(b, l->v[i].value);
    }
    tg_buf_char(b, '\n');
}

static void put_signed_names(struct tg_buf *b, const struct header_list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        if (same_name(l, i))
            continue;
        tg_buf_str_add(b, i ? TG_STR(";") : TG_STR(""));
        put_name(b, l->v[i].name);
    }
}

/* ---- signature ---- */

static int canonical_hash(const struct tg_sigv4 *in, const struct header_list *l,
                          char out[HEX_BYTES])
{
    struct tg_buf b, tmp;
    unsigned char hash[TG_SHA256_BYTES];
    tg_buf_init(&b, MAX_CANONICAL_BYTES);
    tg_buf_init(&tmp, MAX_CANONICAL_BYTES);
    tg_buf_str_add(&b, in->method);
    tg_buf_char(&b, '\n');
    put_normalised(&b, in->path);
    tg_buf_char(&b, '\n');
    int rc = put_query(&b, &tmp, in->query);
    tg_buf_char(&b, '\n');
    put_headers(&b, l);
    tg_buf_char(&b, '\n');
    put_signed_names(&b, l);
    tg_buf_char(&b, '\n');
    tg_buf_str_add(&b, in->body_sha256);
    if (rc == 0 && !tg_buf_ok(&b))
        rc = TG_E_FULL;
    if (rc == 0)
        rc = tg_sha256(tg_buf_str(&b), hash);
    if (rc == 0)
        tg_hex(hash, sizeof(hash), out);
    if (b.p)
        tg_secret_wipe(b.p, b.cap); /* it holds the session token */
    tg_buf_fini(&b);
    tg_buf_fini(&tmp);
    return rc;
}

static struct tg_str bytes_of(const unsigned char *p)
{
    return tg_str_make((const char *)p, TG_SHA256_BYTES);
}

/* HMAC over day, region, service and a fixed word, each keyed by the one before. */
static int signing_key(const struct tg_sigv4 *in, struct tg_str day,
                       unsigned char key[TG_SHA256_BYTES])
{
    struct tg_buf first;
    tg_buf_init(&first, 1024);
    tg_buf_lit(&first, "AWS4");
    tg_buf_str_add(&first, in->secret_access_key);
    int rc = tg_buf_ok(&first) ? tg_hmac_sha256(tg_buf_str(&first), day, key) : TG_E_FULL;
    if (rc == 0)
        rc = tg_hmac_sha256(bytes_of(key), in->region, key);
    if (rc == 0)
        rc = tg_hmac_sha256(bytes_of(key), in->service, key);
    if (rc == 0)
        rc = tg_hmac_sha256(bytes_of(key), TG_STR("aws4_request"), key);
    if (first.p)
        tg_secret_wipe(first.p, first.cap);
    tg_buf_fini(&first);
    return rc;
}

static int sign_hash(const struct tg_sigv4 *in, const char *date, struct tg_str scope,
                     const char *hash, char out[HEX_BYTES])
{
    unsigned char key[TG_SHA256_BYTES] = {0}, mac[TG_SHA256_BYTES];
    struct tg_buf text;
    tg_buf_init(&text, 1024);
    tg_buf_printf(&text, "AWS4-HMAC-SHA256\n%s\n%.*s\n%s", date, TG_STR_ARG(scope), hash);
    int rc = tg_buf_ok(&text) ? signing_key(in, tg_str_make(date, 8), key) : TG_E_FULL;
    if (rc == 0)
        rc = tg_hmac_sha256(bytes_of(key), tg_buf_str(&text), mac);
    if (rc == 0)
        tg_hex(mac, sizeof(mac), out);
    tg_secret_wipe(key, sizeof(key));
    tg_buf_fini(&text);
    return rc;
}

/* "2015-08-30T12:36:00.000000Z" → "20150830T123600Z" */
static void basic_date(int64_t wall_us, char out[TG_SIGV4_DATE_BYTES])
{
    char iso[40];
    size_t n = 0, len = tg_clock_iso(wall_us, iso, sizeof(iso));
    for (size_t i = 0; i < len && iso[i] != '.' && n < TG_SIGV4_DATE_BYTES - 2; i++)
        if (iso[i] != '-' && iso[i] != ':')
            out[n++] = iso[i];
    out[n++] = 'Z';
    out[n] = '\0';
}

int tg_sigv4_sign(const struct tg_sigv4 *in, char out_date[TG_SIGV4_DATE_BYTES],
                  struct tg_buf *out_authorization)
{
    struct header_list headers;
    struct tg_buf scope;
    char date[TG_SIGV4_DATE_BYTES], hash[HEX_BYTES], signature[HEX_BYTES];
    if (in->path.n == 0 || in->path.p[0] != '/')
        return TG_E_INVALID_ARG;
    basic_date(in->wall_us, date);
    int rc = collect_headers(in, date, &headers);
    if (rc)
        return rc;
    tg_buf_init(&scope, 512);
    tg_buf_printf(&scope, "%.8s/%.*s/%.*s/aws4_request", date, TG_STR_ARG(in->region),
                  TG_STR_ARG(in->service));
    rc = tg_buf_ok(&scope) ? canonical_hash(in, &headers, hash) : TG_E_FULL;
    if (rc == 0)
        rc = sign_hash(in, date, tg_buf_str(&scope), hash, signature);
    if (rc == 0) {
        tg_buf_printf(out_authorization, "AWS4-HMAC-SHA256 Credential=%.*s/%.*s, SignedHeaders=",
                      TG_STR_ARG(in->access_key_id), TG_STR_ARG(tg_buf_str(&scope)));
        put_signed_names(out_authorization, &headers);
        tg_buf_printf(out_authorization, ", Signature=%s", signature);
        rc = tg_buf_ok(out_authorization) ? 0 : TG_E_FULL;
    }
    tg_buf_fini(&scope);
    if (rc == 0)
        memcpy(out_date, date, TG_SIGV4_DATE_BYTES);
    return rc;
}

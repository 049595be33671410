#include "wire/url.h"

#include <arpa/inet.h>

#include "base/err.h"
#include "base/num.h"

/* RFC 3986 2.2 and 2.3, as sets over ASCII. */
#define UNRESERVED                                         \
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" \
    "0123456789-._~"
#define SUB_DELIMS "!$&'()*+,;="
/* In a host RFC 3986 allows the comma too, but there it looks like two Host headers joined. */
#define HOST_DELIMS "!$&'()*+;="

/* Bytes of the set, or whole percent escapes. */
static bool made_of(struct tg_str s, const char *set)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '%') {
            if (s.n - i < 3 || tg_hex_digit(s.p[i + 1]) < 0 || tg_hex_digit(s.p[i + 2]) < 0)
                return false;
            i += 2;
        } else if (s.p[i] == '\0' || !strchr(set, s.p[i])) {
            return false;
        }
    }
    return true;
}

/* The common hosts (names, IPv4) need no set: letters, digits, '-', '.'. */
static size_t plain_prefix(struct tg_str s)
{
    size_t i = 0;
    while (i < s.n) {
        char c = s.p[i], lower = (char)(c | 0x20);
        if (!((lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.'))
            break;
        i++;
    }
    return i;
}

static bool ipv6_valid(struct tg_str s)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr addr;
    if (s.n == 0 || s.n >= sizeof(text) || memchr(s.p, '\0', s.n))
        return false;
    tg_str_to_c(s, text, sizeof(text));
    return inet_pton(AF_INET6, text, &addr) == 1;
}

static bool port_parse(struct tg_str s, uint16_t *out)
{
    uint64_t v;
    if (s.n == 0 || s.n > 5 || s.p[0] < '0' || s.p[0] > '9')
        return false;
    if (tg_parse_u64(s, &v) < 0 || v == 0 || v > UINT16_MAX)
        return false;
    *out = (uint16_t)v;
    return true;
}

/* host [":" port], checked. *out_port stays 0 without a port. */
static bool host_split(struct tg_str s, struct tg_str *out_host, bool *out_ipv6, uint16_t *out_port)
{
    size_t after;
    if (s.n > 0 && s.p[0] == '[') {
        ptrdiff_t close = tg_str_chr(s, ']');
        if (close < 0)
            return false;
        *out_host = tg_str_make(s.p + 1, (size_t)close - 1);
        *out_ipv6 = true;
        if (!ipv6_valid(*out_host))
            return false;
        after = (size_t)close + 1;
    } else {
        after = plain_prefix(s);
        if (after < s.n && s.p[after] != ':') {
            ptrdiff_t colon = tg_str_chr(s, ':');
            after = colon < 0 ? s.n : (size_t)colon;
            if (!made_of(tg_str_first(s, after), UNRESERVED HOST_DELIMS))
                return false;
        }
        *out_host = tg_str_first(s, after);
        *out_ipv6 = false;
        if (after == 0)
            return false;
    }
    *out_port = 0;
    if (after == s.n)
        return true;
    return s.p[after] == ':' && port_parse(tg_str_from(s, after + 1), out_port);
}

bool tg_host_valid(struct tg_str host)
{
    struct tg_str name;
    bool ipv6;
    uint16_t port;
    return host_split(host, &name, &ipv6, &port);
}

int tg_url_parse(struct tg_str s, struct tg_url *out)
{
    struct tg_url u = {0};
    if (tg_str_istarts(s, TG_STR("https://"))) {
        u.https = true;
        s = tg_str_from(s, sizeof("https://") - 1);
    } else if (tg_str_istarts(s, TG_STR("http://"))) {
        s = tg_str_from(s, sizeof("http://") - 1);
    } else {
        return TG_E_INVALID_ARG;
    }
    size_t end = 0;
    while (end < s.n && s.p[end] != '/' && s.p[end] != '?')
        end++;
    struct tg_str authority = tg_str_first(s, end), rest = tg_str_from(s, end);
    ptrdiff_t at = tg_str_chr(authority, '@');
    if (at >= 0) {
        u.userinfo = tg_str_first(authority, (size_t)at);
        authority = tg_str_from(authority, (size_t)at + 1);
        if (!made_of(u.userinfo, UNRESERVED SUB_DELIMS ":"))
            return TG_E_INVALID_ARG;
    }
    if (!host_split(authority, &u.host, &u.host_is_ipv6, &u.port))
        return TG_E_INVALID_ARG;
    u.port_given = u.port != 0;
    if (!u.port_given)
        u.port = u.https ? 443 : 80;
    tg_target_split(rest, &u.path, &u.query);
    while (u.path.n > 0 && u.path.p[u.path.n - 1] == '/')
        u.path.n--;
    if (!made_of(u.path, UNRESERVED SUB_DELIMS ":@/") ||
        !made_of(u.query, UNRESERVED SUB_DELIMS ":@/?"))
        return TG_E_INVALID_ARG;
    *out = u;
    return 0;
}

void tg_target_split(struct tg_str target, struct tg_str *out_path, struct tg_str *out_query)
{
    ptrdiff_t q = tg_str_chr(target, '?');
    *out_path = q < 0 ? target : tg_str_first(target, (size_t)q);
    *out_query = q < 0 ? tg_str_make(NULL, 0) : tg_str_from(target, (size_t)q + 1);
}

/* What a decoded text may be. */
enum place { SEGMENT, PATH, QUERY };

static int decode(struct tg_arena *a, struct tg_str s, enum place place, struct tg_str *out)
{
    if (tg_str_chr(s, '%') < 0 && (place != QUERY || tg_str_chr(s, '+') < 0)) {
        *out = s;
        return 0;
    }
    char *d = tg_arena_alloc(a, s.n);
    if (!d)
        return TG_E_NOMEM;
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '%') {
            int high = s.n - i < 3 ? -1 : tg_hex_digit(s.p[i + 1]);
            int low = high < 0 ? -1 : tg_hex_digit(s.p[i + 2]);
            if (low < 0)
                return TG_E_INVALID_ARG;
            c = (char)(high << 4 | low);
            if (c == '\0' || (c == '/' && place == SEGMENT))
                return TG_E_INVALID_ARG;
            i += 2;
        } else if (c == '+' && place == QUERY) {
            c = ' ';
        }
        d[n++] = c;
    }
    *out = tg_str_make(d, n);
    return 0;
}

int tg_percent_decode(struct tg_arena *a, struct tg_str s, struct tg_str *out)
{
    return decode(a, s, SEGMENT, out);
}

int tg_path_decode(struct tg_arena *a, struct tg_str s, struct tg_str *out)
{
    return decode(a, s, PATH, out);
}

int tg_query_decode(struct tg_arena *a, struct tg_str s, struct tg_str *out)
{
    return decode(a, s, QUERY, out);
}

bool tg_query_get(struct tg_str query, struct tg_str name, struct tg_str *out)
{
    struct tg_str pair;
    while (tg_str_split(&query, '&', &pair)) {
        ptrdiff_t eq = tg_str_chr(pair, '=');
        struct tg_str key = eq < 0 ? pair : tg_str_first(pair, (size_t)eq);
        if (tg_str_eq(key, name)) {
            *out = eq < 0 ? tg_str_from(pair, pair.n) : tg_str_from(pair, (size_t)eq + 1);
            return true;
        }
    }
    return false;
}

struct tg_str tg_base64(struct tg_arena *a, struct tg_str s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (s.n > SIZE_MAX / 2)
        return tg_str_make(NULL, 0);
    size_t len = (s.n + 2) / 3 * 4, n = 0;
    char *d = tg_arena_alloc(a, len + 1);
    if (!d)
        return tg_str_make(NULL, 0);
    const uint8_t *u = (const uint8_t *)s.p;
    for (size_t i = 0; i < s.n; i += 3) {
        uint32_t v = (uint32_t)u[i] << 16;
        v |= i + 1 < s.n ? (uint32_t)u[i + 1] << 8 : 0;
        v |= i + 2 < s.n ? u[i + 2] : 0;
        d[n++] = digits[v >> 18];
        d[n++] = digits[v >> 12 & 63];
        d[n++] = i + 1 < s.n ? digits[v >> 6 & 63] : '=';
        d[n++] = i + 2 < s.n ? digits[v & 63] : '=';
    }
    d[n] = '\0';
    return tg_str_make(d, n);
}

static bool unreserved(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '~';
}

int tg_url_encode(struct tg_buf *b, struct tg_str s)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.n; i++) {
        unsigned char u = (unsigned char)s.p[i];
        if (unreserved(s.p[i])) {
            (void)tg_buf_char(b, s.p[i]); /* sticky: tested at the end */
            continue;
        }
        (void)tg_buf_char(b, '%');
        (void)tg_buf_char(b, digits[u >> 4]);
        (void)tg_buf_char(b, digits[u & 15]);
    }
    return tg_buf_ok(b) ? 0 : TG_E_FULL;
}

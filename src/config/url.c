/* URLs of providers and proxies (RFC 3986), host checks, address blocks. config/ may not look into
 * wire/, and needs less: what an operator writes, checked strictly, taken apart once at load. */
#include <arpa/inet.h>
#include <string.h>

#include "base/num.h"
#include "config/load_priv.h"

static bool has_control_or_space(struct tg_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= 0x20 || (unsigned char)s.p[i] >= 0x7f)
            return true;
    return false;
}

/* NULL in .p: malformed, or no memory (the arena tells). */
static struct tg_str percent_decode(struct tg_arena *a, struct tg_str s)
{
    char *p = tg_arena_alloc(a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; p && i < s.n; i++) {
        p[n++] = s.p[i];
        if (s.p[i] != '%')
            continue;
        int hi = i + 2 < s.n ? tg_hex_digit(s.p[i + 1]) : -1;
        int lo = hi >= 0 ? tg_hex_digit(s.p[i + 2]) : -1;
        if (lo < 0 || hi * 16 + lo < 0x20)
            return (struct tg_str){NULL, 0};
        p[n - 1] = (char)(hi * 16 + lo);
        i += 2;
    }
    if (p)
        p[n] = '\0';
    return tg_str_make(p, p ? n : 0);
}

static struct tg_str lower_dup(struct tg_arena *a, struct tg_str s)
{
    char *p = tg_arena_cstr(a, s);
    for (size_t i = 0; p && i < s.n; i++)
        if (p[i] >= 'A' && p[i] <= 'Z')
            p[i] = (char)(p[i] - 'A' + 'a');
    return tg_str_make(p, p ? s.n : 0);
}

static bool host_name_ok(struct tg_str host)
{
    for (size_t i = 0; i < host.n; i++) {
        char c = host.p[i];
        bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '-' || c == '_';
        if (!ok || (c == '.' && i + 1 < host.n && host.p[i + 1] == '.'))
            return false;
    }
    return host.n > 0 && host.n <= 253 && host.p[0] != '.' && host.p[0] != '-';
}

static bool parse_address(struct tg_str s, int family, unsigned char out[16])
{
    char text[64];
    if (s.n == 0 || s.n >= sizeof(text))
        return false;
    tg_str_to_c(s, text, sizeof(text));
    return inet_pton(family, text, out) == 1;
}

/* "host", "host:port", "[::1]:port" → host and the text behind it ("" or ":port"). */
static const char *split_host(struct tg_str hostport, struct tg_config_url *out,
                              struct tg_str *out_port)
{
    unsigned char address[16];
    if (hostport.n && hostport.p[0] == '[') {
        ptrdiff_t end = tg_str_chr(hostport, ']');
        if (end < 0)
            return "the host's [ has no ]";
        out->host = tg_str_first(tg_str_from(hostport, 1), (size_t)end - 1);
        out->host_is_ipv6 = true;
        *out_port = tg_str_from(hostport, (size_t)end + 1);
        return parse_address(out->host, AF_INET6, address) ? NULL : "the host is no IPv6 address";
    }
    ptrdiff_t colon = tg_str_chr(hostport, ':');
    out->host = colon < 0 ? hostport : tg_str_first(hostport, (size_t)colon);
    out->host_is_ipv6 = false;
    *out_port = colon < 0 ? (struct tg_str){NULL, 0} : tg_str_from(hostport, (size_t)colon);
    if (out->host.n == 0)
        return "it has no host";
    return host_name_ok(out->host) ? NULL : "the host's name is malformed";
}

static const char *parse_port(struct tg_str text, struct tg_config_url *out)
{
    uint64_t port;
    out->port = out->https ? 443 : 80;
    if (text.n == 0)
        return NULL;
    if (text.p[0] != ':' || tg_parse_u64(tg_str_from(text, 1), &port) != 0 || port == 0 ||
        port > 65535)
        return "the port is not a number from 1 to 65535";
    out->port = (uint16_t)port;
    return NULL;
}

static const char *take_scheme(struct tg_str *rest, struct tg_config_url *out)
{
    if (tg_str_istarts(*rest, TG_STR("https://"))) {
        out->https = true;
        *rest = tg_str_from(*rest, 8);
    } else if (tg_str_istarts(*rest, TG_STR("http://"))) {
        out->https = false;
        *rest = tg_str_from(*rest, 7);
    } else {
        return "it does not begin with http:// or https://";
    }
    return NULL;
}

/* The authority's part in front of the last '@'. */
static const char *take_userinfo(struct tg_arena *a, struct tg_str *authority, struct tg_str *out)
{
    size_t at = authority->n;
    while (at > 0 && authority->p[at - 1] != '@')
        at--;
    if (out)
        *out = (struct tg_str){NULL, 0};
    if (at == 0)
        return NULL;
    if (!out)
        return "it holds user information: give the credential by api_key";
    *out = percent_decode(a, tg_str_first(*authority, at - 1));
    if (!out->p && !a->overflow)
        return "its user information is malformed";
    *authority = tg_str_from(*authority, at);
    return NULL;
}

const char *tg_conf_url_parse(struct tg_arena *a, struct tg_str text, struct tg_config_url *out,
                              struct tg_str *out_userinfo)
{
    struct tg_config_url u = {0};
    struct tg_str rest = text, port = {NULL, 0};
    if (has_control_or_space(text))
        return "it holds a blank, a control byte or a byte that is not ASCII";
    if (tg_str_chr(text, '?') >= 0 || tg_str_chr(text, '#') >= 0)
        return "it must not hold a query or a fragment";
    const char *why = take_scheme(&rest, &u);
    if (why)
        return why;
    ptrdiff_t slash = tg_str_chr(rest, '/');
    struct tg_str authority = slash < 0 ? rest : tg_str_first(rest, (size_t)slash);
    struct tg_str path = slash < 0 ? (struct tg_str){NULL, 0} : tg_str_from(rest, (size_t)slash);
    why = take_userinfo(a, &authority, out_userinfo);
    if (!why)
        why = split_host(authority, &u, &port);
    if (!why)
        why = parse_port(port, &u);
    if (why)
        return why;
    while (path.n && path.p[path.n - 1] == '/')
        path.n--;
    u.path = tg_arena_dup(a, path);
    u.host = lower_dup(a, u.host);
    u.text = tg_arena_printf(a, "http%s://%.*s%.*s", u.https ? "s" : "", TG_STR_ARG(authority),
                             TG_STR_ARG(path));
    *out = u;
    return NULL;
}

bool tg_conf_host_is_loopback(struct tg_str host)
{
    unsigned char a[16];
    static const unsigned char v6_loopback[16] = {[15] = 1};
    if (tg_str_ieq(host, TG_STR("localhost")) || tg_str_ends(host, TG_STR(".localhost")))
        return true;
    if (parse_address(host, AF_INET, a))
        return a[0] == 127;
    return parse_address(host, AF_INET6, a) && memcmp(a, v6_loopback, 16) == 0;
}

/* Address and prefix length in bits; *out_bytes is 4 or 16. */
static bool parse_cidr(struct tg_str s, unsigned char out[16], unsigned *out_bytes,
                       unsigned *out_bits)
{
    ptrdiff_t slash = tg_str_chr(s, '/');
    struct tg_str address = slash < 0 ? s : tg_str_first(s, (size_t)slash);
    uint64_t bits;
    *out_bytes = parse_address(address, AF_INET, out) ? 4 : 16;
    if (*out_bytes == 16 && !parse_address(address, AF_INET6, out))
        return false;
    *out_bits = *out_bytes * 8;
    if (slash < 0)
        return true;
    if (tg_parse_u64(tg_str_from(s, (size_t)slash + 1), &bits) != 0 || bits > *out_bits)
        return false;
    *out_bits = (unsigned)bits;
    return true;
}

bool tg_conf_cidr_match(struct tg_str cidr, struct tg_str address)
{
    unsigned char net[16], a[16];
    unsigned net_bytes, bytes, net_bits, bits;
    if (!parse_cidr(cidr, net, &net_bytes, &net_bits) || tg_str_chr(address, '/') >= 0 ||
        !parse_cidr(address, a, &bytes, &bits) || bytes != net_bytes)
        return false;
    unsigned whole = net_bits / 8, rest = net_bits % 8;
    if (memcmp(net, a, whole) != 0)
        return false;
    return rest == 0 || ((net[whole] ^ a[whole]) >> (8 - rest)) == 0;
}

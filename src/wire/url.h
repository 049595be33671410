/* URLs of upstreams (absolute http/https) and targets of requests (path and query), RFC 3986.
 * Views point into the input. Pure, any thread. */
#ifndef TG_WIRE_URL_H
#define TG_WIRE_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/str.h"

struct tg_url {
    bool https;
    struct tg_str userinfo; /* proxies: user:password */
    struct tg_str host;     /* without brackets */
    bool host_is_ipv6;
    uint16_t port; /* the scheme's default when absent */
    bool port_given;
    struct tg_str path;  /* "" or starts with '/', without trailing '/'s */
    struct tg_str query; /* without '?' */
};
/* TG_E_INVALID_ARG: not http(s), no host, bad port (1-65535), bytes that a URL can't have (control
 * bytes, spaces, non-ASCII, backslash), bad percent escape, fragment. *out untouched then. */
int tg_url_parse(struct tg_str s, struct tg_url *out) TG_WARN_UNUSED;

/* "host", "host:port", "[v6]", "[v6]:port" as in Host or an authority: characters of RFC
 * 3986 3.2.2, no userinfo, port 1-65535. Used for the Host header. */
bool tg_host_valid(struct tg_str host);

/* Splits a request target at '?'. */
void tg_target_split(struct tg_str target, struct tg_str *out_path, struct tg_str *out_query);
/* Percent-decodes one path segment into the arena (without escapes: the input itself, no copy);
 * TG_E_INVALID_ARG for a bad escape, an encoded NUL or '/'; TG_E_NOMEM. */
int tg_percent_decode(struct tg_arena *a, struct tg_str s, struct tg_str *out) TG_WARN_UNUSED;
/* Percent-decodes the rest of a path in which '/' is plain, escaped or not (names of models hold
 * slashes), into the arena. TG_E_INVALID_ARG: a bad escape or an encoded NUL. */
int tg_path_decode(struct tg_arena *a, struct tg_str s, struct tg_str *out) TG_WARN_UNUSED;
/* tg_percent_decode() for a query value: '+' is a space, an encoded '/' is fine. */
int tg_query_decode(struct tg_arena *a, struct tg_str s, struct tg_str *out) TG_WARN_UNUSED;
/* Appends s with everything but RFC 3986's unreserved characters as %XX (upper case);
 * tg_buf_add()'s errors. */
int tg_url_encode(struct tg_buf *b, struct tg_str s);
/* First value of a query parameter, undecoded; false when absent. */
bool tg_query_get(struct tg_str query, struct tg_str name, struct tg_str *out);
/* Base64 with padding (RFC 4648), for proxy credentials. {NULL,0}: no memory. */
struct tg_str tg_base64(struct tg_arena *a, struct tg_str s);

#endif

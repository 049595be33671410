/* URLs of upstreams (absolute http/https) and targets of requests (path and query), RFC 3986.
 * Views point into the input. Pure, any thread. */
#ifndef TG_WIRE_URL_H
#define TG_WIRE_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/str.h"

struct tg_url {
    bool https;
    struct tg_str userinfo; /* proxies: user:password */
    struct tg_str host;     /* without brackets */
    bool host_is_ipv6;
    uint16_t port;          /* the scheme's default when absent */
    bool port_given;
    struct tg_str path;     /* "" or starts with '/', without a trailing '/' */
    struct tg_str query;    /* without '?' */
};
/* TG_E_INVALID_ARG: not http(s), no host, bad port, control bytes, spaces, fragment. */
int tg_url_parse(struct tg_str s, struct tg_url *out) TG_WARN_UNUSED;

/* Splits a request target at '?'. */
void tg_target_split(struct tg_str target, struct tg_str *out_path, struct tg_str *out_query);
/* Percent-decodes into the arena; TG_E_INVALID_ARG for a bad escape, an encoded NUL or '/' . */
int tg_percent_decode(struct tg_arena *a, struct tg_str s, struct tg_str *out) TG_WARN_UNUSED;
/* First value of a query parameter, undecoded; false when absent. */
bool tg_query_get(struct tg_str query, struct tg_str name, struct tg_str *out);
/* Base64 with padding (RFC 4648), for proxy credentials. {NULL,0}: no memory. */
struct tg_str tg_base64(struct tg_arena *a, struct tg_str s);

#endif

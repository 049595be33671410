/* HTTP/1.1 messages as data: methods, header lists, heads. Pure types and helpers.
 * Ownership: every tg_str points into the buffer or arena named by the function that filled it. */
#ifndef TG_WIRE_HTTP_H
#define TG_WIRE_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/str.h"

#define TG_HTTP_MAX_HEADERS 100

enum tg_http_method {
    TG_HTTP_GET,
    TG_HTTP_HEAD,
    TG_HTTP_POST,
    TG_HTTP_PUT,
    TG_HTTP_PATCH,
    TG_HTTP_DELETE,
    TG_HTTP_OPTIONS,
    TG_HTTP_CONNECT,
    TG_HTTP_TRACE,
    TG_HTTP_METHOD_COUNT,
};
const char *tg_http_method_name(enum tg_http_method m);
/* Methods are case-sensitive (RFC 9110 9.1); false: unknown. */
bool tg_http_method_parse(struct tg_str name, enum tg_http_method *out);

struct tg_http_header {
    struct tg_str name;  /* as sent */
    struct tg_str value; /* without surrounding blanks */
};

enum tg_http_body_kind {
    TG_HTTP_BODY_NONE,   /* no body */
    TG_HTTP_BODY_LENGTH, /* Content-Length */
    TG_HTTP_BODY_CHUNKED,
    TG_HTTP_BODY_CLOSE, /* responses: until the connection ends */
};

/* A parsed request or response head. */
struct tg_http_head {
    enum tg_http_method method; /* requests */
    int status;                 /* responses */
    struct tg_str target;       /* requests: path and query as sent (absolute form reduced to it);
                                 * "*" with OPTIONS, host:port with CONNECT */
    struct tg_str host;         /* requests: Host as sent, port included; "" only in HTTP/1.0 */
    uint8_t minor;              /* HTTP/1.<minor>: 0 or 1 */
    bool keep_alive;            /* what version and Connection say together */
    bool expect_continue;       /* Expect: 100-continue in an HTTP/1.1 request */
    enum tg_http_body_kind body;
    uint64_t content_length; /* with TG_HTTP_BODY_LENGTH */
    struct tg_http_header *headers;
    size_t n_headers;
};

/* First header of that name (case-insensitive), {NULL,0} if absent. */
struct tg_str tg_http_head_get(const struct tg_http_head *h, struct tg_str name);
/* Standard reason phrase, "Unknown" otherwise. */
const char *tg_http_reason(int status);
/* True for Connection, Keep-Alive, TE, Transfer-Encoding, Upgrade, Proxy-*, Trailer
 * (RFC 9110 7.6.1). */
bool tg_http_is_hop_by_hop(struct tg_str name);

#endif

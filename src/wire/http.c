#include "wire/http.h"

#include "base/assert.h"

static const struct tg_str method_names[TG_HTTP_METHOD_COUNT] = {
    [TG_HTTP_GET] = TG_STR_INIT("GET"),         [TG_HTTP_HEAD] = TG_STR_INIT("HEAD"),
    [TG_HTTP_POST] = TG_STR_INIT("POST"),       [TG_HTTP_PUT] = TG_STR_INIT("PUT"),
    [TG_HTTP_PATCH] = TG_STR_INIT("PATCH"),     [TG_HTTP_DELETE] = TG_STR_INIT("DELETE"),
    [TG_HTTP_OPTIONS] = TG_STR_INIT("OPTIONS"), [TG_HTTP_CONNECT] = TG_STR_INIT("CONNECT"),
    [TG_HTTP_TRACE] = TG_STR_INIT("TRACE"),
};

const char *tg_http_method_name(enum tg_http_method m)
{
    TG_REQUIRE((unsigned)m < TG_HTTP_METHOD_COUNT);
    return method_names[m].p;
}

bool tg_http_method_parse(struct tg_str name, enum tg_http_method *out)
{
    for (unsigned i = 0; i < TG_HTTP_METHOD_COUNT; i++) {
        if (tg_str_eq(name, method_names[i])) {
            *out = (enum tg_http_method)i;
            return true;
        }
    }
    return false;
}

struct tg_str tg_http_head_get(const struct tg_http_head *h, struct tg_str name)
{
    for (size_t i = 0; i < h->n_headers; i++) {
        const struct tg_http_header *e = &h->headers[i];
        if (e->name.n == name.n && tg_str_ieq(e->name, name))
            return e->value;
    }
    return tg_str_make(NULL, 0);
}

/* RFC 9110 section 15 and the later ones an LLM provider may send (RFC 6585, 7725). */
static const struct {
    int status;
    const char *reason;
} reasons[] = {
    {200, "OK"},
    {100, "Continue"},
    {101, "Switching Protocols"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {424, "Failed Dependency"},
    {425, "Too Early"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {451, "Unavailable For Legal Reasons"},
    {499, "Client Closed Request"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
    {529, "Overloaded"},
};

const char *tg_http_reason(int status)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(reasons); i++) {
        if (reasons[i].status == status)
            return reasons[i].reason;
    }
    return "Unknown";
}

bool tg_http_is_hop_by_hop(struct tg_str name)
{
    static const struct tg_str names[] = {
        TG_STR_INIT("connection"), TG_STR_INIT("keep-alive"),        TG_STR_INIT("te"),
        TG_STR_INIT("trailer"),    TG_STR_INIT("transfer-encoding"), TG_STR_INIT("upgrade"),
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(names); i++) {
        if (tg_str_ieq(name, names[i]))
            return true;
    }
    return tg_str_istarts(name, TG_STR("proxy-"));
}

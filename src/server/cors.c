#include "server/cors.h"

struct tg_str tg_cors_origin(const struct tg_server_settings *s, const struct tg_http_head *head)
{
    struct tg_str origin =
        s->cors_origins.n ? tg_http_head_get(head, TG_STR("origin")) : TG_STR("");
    if (!origin.n)
        return TG_STR("");
    for (size_t i = 0; i < s->cors_origins.n; i++) {
        if (tg_str_eq(s->cors_origins.v[i], TG_STR("*")))
            return TG_STR("*");
        if (tg_str_eq(s->cors_origins.v[i], origin))
            return origin;
    }
    return TG_STR("");
}

bool tg_cors_is_preflight(const struct tg_http_head *head)
{
    return head->method == TG_HTTP_OPTIONS && tg_http_head_get(head, TG_STR("origin")).n &&
           tg_http_head_get(head, TG_STR("access-control-request-method")).n;
}

size_t tg_cors_preflight(struct tg_str origin, const struct tg_http_head *head,
                         struct tg_http_header out[5])
{
    size_t n = 0;
    struct tg_str asked = tg_http_head_get(head, TG_STR("access-control-request-headers"));
    out[n++] = (struct tg_http_header){TG_STR("access-control-allow-origin"), origin};
    out[n++] = (struct tg_http_header){TG_STR("access-control-allow-methods"),
                                       TG_STR("GET, POST, DELETE, OPTIONS")};
    if (asked.n)
        out[n++] = (struct tg_http_header){TG_STR("access-control-allow-headers"), asked};
    out[n++] = (struct tg_http_header){TG_STR("access-control-max-age"), TG_STR("600")};
    out[n++] = (struct tg_http_header){TG_STR("vary"), TG_STR("Origin")};
    return n;
}

/* Cross-origin rules (Fetch standard 3.2): off unless server.cors_origins names origins. Never "*"
 * together with credentials. Pure. */
#ifndef TG_SERVER_CORS_H
#define TG_SERVER_CORS_H

#include <stdbool.h>

#include "config/settings.h"
#include "wire/http.h"

/* The value of Access-Control-Allow-Origin for this request: "", "*" or the request's own origin.
 */
struct tg_str tg_cors_origin(const struct tg_server_settings *s, const struct tg_http_head *head);
/* An OPTIONS request that asks for permission. */
bool tg_cors_is_preflight(const struct tg_http_head *head);
/* Headers of the answer to a preflight that is allowed; returns how many (at most 5). */
size_t tg_cors_preflight(struct tg_str origin, const struct tg_http_head *head,
                         struct tg_http_header out[5]);

#endif

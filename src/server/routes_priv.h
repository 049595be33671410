/* The operator's pages as the router finds them, and what the description of the API says of them:
 * one table for both. Thread rule: const data. */
#ifndef TG_SERVER_ROUTES_PRIV_H
#define TG_SERVER_ROUTES_PRIV_H

#include "admin/view.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "core/runtime.h"
#include "server/page.h"

#define TG_FANOUT_PATH "/v1/llm/chat"

enum { TG_ROUTE_GET = 1, TG_ROUTE_POST = 2, TG_ROUTE_DELETE = 4 };

/* One method of a page. Names and statuses as in struct tg_api_row; statuses "": it is refused. */
struct tg_page_doc {
    const char *summary, *gives, *query, *statuses, *type;
    const char *takes, *fails; /* fails NULL: "OpenAIError" */
};

struct tg_page_route {
    struct tg_str path;
    bool prefix; /* an id stands between path and suffix */
    void (*make)(struct tg_page *p);
    struct tg_str suffix; /* with prefix */
    unsigned methods;     /* GET when 0 */
    struct tg_page_doc get, post, delete_;
};

const struct tg_page_route *tg_router_pages(size_t *out_n);

/* The OpenAPI document of everything that is routed, appended. Scratch from the arena. TG_E_NOMEM.
 */
int tg_server_openapi(const struct tg_registry *r, struct tg_arena *a,
                      struct tg_buf *out) TG_WARN_UNUSED;

#endif

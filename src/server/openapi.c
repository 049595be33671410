#include "admin/openapi.h"

#include "base/err.h"
#include "dialect/dialect.h"
#include "server/routes_priv.h"

/* The rows of the description, from the tables that route. */
struct list {
    struct tg_api_row *v;
    size_t n;
};

static size_t count_rows(const struct tg_registry *r, size_t n_pages)
{
    size_t n = n_pages * 3 + 1; /* a page has three methods at most; one for the fan-out */
    for (size_t i = 0; i < r->n_dialects; i++)
        n += r->dialects[i]->n_endpoints;
    return n;
}

static const char *method_name(enum tg_http_method m)
{
    return m == TG_HTTP_POST ? "post" : m == TG_HTTP_DELETE ? "delete" : "get";
}

/* Whose format a dialect is; Tollgate's own are shown together. */
static const char *tag_of(const struct tg_dialect *d)
{
    static const struct {
        struct tg_str starts;
        const char *tag;
    } families[] = {
        {TG_STR_INIT("openai_"), "OpenAI"}, {TG_STR_INIT("anthropic_"), "Anthropic"},
        {TG_STR_INIT("gemini"), "Gemini"},  {TG_STR_INIT("ollama_"), "Ollama"},
        {TG_STR_INIT("rerank"), "Rerank"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(families); i++) {
        if (tg_str_starts(tg_str_c(d->name), families[i].starts))
            return families[i].tag;
    }
    return "Tollgate";
}

static void add_dialect(struct list *l, const struct tg_dialect *d)
{
    for (size_t i = 0; i < d->n_endpoints; i++) {
        const struct tg_endpoint *e = &d->endpoints[i];
        l->v[l->n++] = (struct tg_api_row){
            .method = method_name(e->method),
            .path = tg_str_c(e->path),
            .summary = e->summary,
            .tag = tag_of(d),
            .takes = e->takes,
            .gives = e->gives,
            .streams = e->streams,
            .fails = e->fails,
            .query = e->query,
            .stream_type = d->stream_content_type,
            .multipart = d->multipart,
            .model = true,
        };
    }
}

static const char *page_tag(struct tg_str path)
{
    if (tg_str_starts(path, TG_STR("/api/")))
        return "Ollama";
    if (tg_str_starts(path, TG_STR("/v1beta/")))
        return "Gemini";
    return tg_str_starts(path, TG_STR("/v1/responses")) ? "OpenAI" : "Operation";
}

static void add_page(struct list *l, struct tg_str path, const char *method,
                     const struct tg_page_doc *doc)
{
    if (!doc->summary)
        return;
    l->v[l->n++] = (struct tg_api_row){
        .method = method,
        .path = path,
        .summary = doc->summary,
        .tag = page_tag(path),
        .takes = doc->takes,
        .gives = doc->gives,
        .fails = doc->fails ? doc->fails : "OpenAIError",
        .query = doc->query,
        .statuses = doc->statuses,
        .type = doc->type,
    };
}

static int add_pages(struct list *l, struct tg_arena *a, const struct tg_page_route *pages,
                     size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct tg_str path = pages[i].path;
        if (pages[i].prefix)
            path = tg_arena_printf(a, "%.*s{id}%.*s", TG_STR_ARG(pages[i].path),
                                   TG_STR_ARG(pages[i].suffix));
        if (!path.p)
            return TG_E_NOMEM;
        add_page(l, path, "get", &pages[i].get);
        add_page(l, path, "post", &pages[i].post);
        add_page(l, path, "delete", &pages[i].delete_);
    }
    return 0;
}

int tg_server_openapi(const struct tg_registry *r, struct tg_arena *a, struct tg_buf *out)
{
    size_t n_pages;
    const struct tg_page_route *pages = tg_router_pages(&n_pages);
    struct list l = {
        .v = tg_arena_array(a, count_rows(r, n_pages), sizeof(struct tg_api_row)),
    };
    if (!l.v)
        return TG_E_NOMEM;
    for (size_t i = 0; i < r->n_dialects; i++)
        add_dialect(&l, r->dialects[i]);
    l.v[l.n++] = (struct tg_api_row){
        .method = "post",
        .path = TG_STR(TG_FANOUT_PATH),
        .summary = "One request to several models",
        .tag = "Tollgate",
        .takes = "FanoutRequest",
        .gives = "FanoutAnswer",
        .streams = "FanoutEvent",
        .fails = "OpenAIError",
        .stream_type = "text/event-stream",
        .model = true,
    };
    int rc = add_pages(&l, a, pages, n_pages);
    return rc < 0 ? rc : tg_admin_openapi(l.v, l.n, out);
}

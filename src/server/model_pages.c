#include "server/model_pages.h"

#include "admin/model_lists.h"
#include "base/err.h"
#include "dialect/dialect.h"
#include "server/routes_priv.h"
#include "wire/url.h"

#define GEMINI_PREFIX "/v1beta/models/"

static void sent(struct tg_page *p, int rc, struct tg_fail *f)
{
    if (rc == 0)
        return;
    (void)tg_fail_set(f, rc, "%s", tg_err_info(rc)->text); /* the first text stands */
    tg_page_fail(p, f);
}

static void make_list(struct tg_page *p,
                      int (*make)(const struct tg_admin_view *v, struct tg_buf *out))
{
    struct tg_admin_view v;
    struct tg_fail f;
    tg_fail_clear(&f);
    tg_router_view(p, &v);
    sent(p, make(&v, &p->body), &f);
}

void tg_page_ollama_tags(struct tg_page *p)
{
    make_list(p, tg_admin_ollama_tags);
}

void tg_page_ollama_ps(struct tg_page *p)
{
    make_list(p, tg_admin_ollama_ps);
}

void tg_page_gemini_models(struct tg_page *p)
{
    make_list(p, tg_admin_gemini_models);
}

void tg_page_ollama_version(struct tg_page *p)
{
    (void)tg_buf_lit(&p->body, "{\"version\":\"" TG_OLLAMA_API_VERSION "\"}");
}

static void finish_show(struct tg_page *p)
{
    struct tg_admin_view v;
    struct tg_fail f;
    tg_fail_clear(&f);
    tg_router_view(p, &v);
    sent(p, tg_admin_ollama_show(&v, &p->req->arena, tg_buf_str(&p->req->body), &p->body, &f), &f);
}

void tg_page_ollama_show(struct tg_page *p)
{
    p->wants_body = true;
    p->finish = finish_show;
}

void tg_page_gemini_model(struct tg_page *p)
{
    struct tg_admin_view v;
    struct tg_fail f;
    struct tg_str id;
    tg_fail_clear(&f);
    if (tg_path_decode(&p->req->arena, tg_str_from(p->path, sizeof GEMINI_PREFIX - 1), &id) < 0) {
        tg_page_fail_with(p, TG_E_BAD_REQUEST, "malformed percent-encoding in the model's name");
        return;
    }
    tg_router_view(p, &v);
    sent(p, tg_admin_gemini_model(&v, id, &p->body, &f), &f);
}

void tg_page_choose_fail(struct tg_page *p, const struct tg_dialect *d)
{
    if (tg_str_starts(p->path, TG_STR("/v1beta/")))
        d = &tg_dialect_gemini;
    else if (tg_str_starts(p->path, TG_STR("/api/")))
        d = &tg_dialect_ollama_chat;
    else if (tg_http_head_get(p->req->head, TG_STR("anthropic-version")).n)
        d = &tg_dialect_anthropic;
    p->render_fail = d ? d->render_fail : NULL;
}

#include "server/model_pages.h"

#include "admin/model_lists.h"
#include "base/err.h"
#include "dialect/dialect.h"
#include "server/engine_models.h"
#include "server/page_view.h"
#include "wire/url.h"

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
    tg_page_view(p, &v);
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
    tg_page_view(p, &v);
    sent(p, tg_admin_ollama_show(&v, &p->req->arena, tg_buf_str(&p->req->body), &p->body, &f), &f);
}

void tg_page_ollama_show(struct tg_page *p)
{
    p->wants_body = true;
    p->finish = finish_show;
}

/* What stands between "…/models/" and the suffix, decoded. False: the page is an error now. */
static bool name_in_path(struct tg_page *p, size_t suffix, struct tg_str *out)
{
    static const struct tg_str marker = TG_STR_INIT("/models/");
    struct tg_str rest = tg_str_from(p->path, (size_t)tg_str_find(p->path, marker) + marker.n);
    if (tg_path_decode(&p->req->arena, tg_str_first(rest, rest.n - suffix), out) == 0)
        return true;
    tg_page_fail_with(p, TG_E_BAD_REQUEST, "malformed percent-encoding in the model's name");
    return false;
}

static void make_one(struct tg_page *p, int (*make)(const struct tg_admin_view *v, struct tg_str id,
                                                    struct tg_buf *out, struct tg_fail *f))
{
    struct tg_admin_view v;
    struct tg_fail f;
    struct tg_str id;
    tg_fail_clear(&f);
    if (!name_in_path(p, 0, &id))
        return;
    tg_page_view(p, &v);
    sent(p, make(&v, id, &p->body, &f), &f);
}

void tg_page_gemini_model(struct tg_page *p)
{
    make_one(p, tg_admin_gemini_model);
}

/* Gemini's v1 has these paths in common with OpenAI and Anthropic; only Google's clients send their
 * key so. */
static bool is_google(const struct tg_page *p)
{
    return tg_http_head_get(p->req->head, TG_STR("x-goog-api-key")).n > 0;
}

void tg_page_models(struct tg_page *p)
{
    make_list(p, is_google(p) ? tg_admin_gemini_models : tg_admin_models);
}

void tg_page_model(struct tg_page *p)
{
    make_one(p, is_google(p) ? tg_admin_gemini_model : tg_admin_model);
}

void tg_page_model_command(struct tg_page *p)
{
    bool load = !tg_str_ends(p->path, TG_STR("/unload"));
    struct tg_fail f;
    struct tg_str id;
    tg_fail_clear(&f);
    if (!name_in_path(p, load ? sizeof "/load" - 1 : sizeof "/unload" - 1, &id))
        return;
    int rc =
        tg_engine_models_command(p->worker->shared, p->worker->rt->epoch->snapshot, id, load, &f);
    if (rc < 0) {
        sent(p, rc, &f);
        return;
    }
    p->status = 202;
    (void)tg_buf_lit(&p->body, "{\"model\":"); /* tg_page_send() tests the buffer */
    (void)tg_buf_json_str(&p->body, id);
    (void)tg_buf_printf(&p->body, ",\"command\":\"%s\"}", load ? "load" : "unload");
}

void tg_page_choose_fail(struct tg_page *p, const struct tg_dialect *d)
{
    if (tg_str_starts(p->path, TG_STR("/v1beta/")) || is_google(p))
        d = &tg_dialect_gemini;
    else if (tg_str_starts(p->path, TG_STR("/api/")))
        d = &tg_dialect_ollama_chat;
    else if (tg_http_head_get(p->req->head, TG_STR("anthropic-version")).n)
        d = &tg_dialect_anthropic;
    p->render_fail = d ? d->render_fail : NULL;
}

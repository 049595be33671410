#include "adapter/encode_priv.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/err.h"

/* ---- the HTTP request ---- */

void tg_adapter_add_header(struct tg_adapter_request *out, struct tg_str name, struct tg_str value)
{
    TG_REQUIRE(out->n_headers < TG_ADAPTER_MAX_HEADERS);
    out->headers[out->n_headers++] = (struct tg_http_header){name, value};
}

int tg_adapter_post(struct tg_str path, struct tg_adapter_request *out)
{
    if (!path.p)
        return TG_E_NOMEM;
    *out = (struct tg_adapter_request){.method = TG_HTTP_POST, .path = path};
    tg_adapter_add_header(out, TG_STR("content-type"), TG_STR("application/json"));
    return 0;
}

void tg_adapter_add_accept(struct tg_adapter_request *out, bool stream)
{
    tg_adapter_add_header(out, TG_STR("accept"),
                          stream ? TG_STR("text/event-stream") : TG_STR("application/json"));
}

/* Without printf: every request does it. */
struct tg_str tg_adapter_join(struct tg_arena *a, struct tg_str x, struct tg_str y)
{
    char *p = tg_arena_alloc(a, x.n + y.n + 1);
    if (!p)
        return (struct tg_str){NULL, 0};
    if (x.n)
        memcpy(p, x.p, x.n);
    if (y.n)
        memcpy(p + x.n, y.p, y.n);
    p[x.n + y.n] = 0;
    return tg_str_make(p, x.n + y.n);
}

int tg_adapter_add_bearer(struct tg_arena *a, struct tg_str credential,
                          struct tg_adapter_request *out)
{
    if (!credential.n)
        return 0;
    struct tg_str bearer = tg_adapter_join(a, TG_STR("Bearer "), credential);
    if (!bearer.p)
        return TG_E_NOMEM;
    tg_adapter_add_header(out, TG_STR("authorization"), bearer);
    return 0;
}

struct tg_str tg_adapter_base(const struct tg_adapter_target *target)
{
    struct tg_str base = target->base_path;
    while (base.n && base.p[base.n - 1] == '/')
        base.n--;
    return base;
}

/* ---- its body ---- */

int tg_adapter_take_body(struct tg_arena *a, struct tg_buf *b, int rc, struct tg_str *out,
                         struct tg_fail *fail)
{
    struct tg_str body = {NULL, 0};
    if (!rc && tg_buf_ok(b))
        body = tg_arena_dup(a, tg_buf_str(b));
    tg_buf_fini(b);
    if (rc)
        return rc;
    if (!body.p)
        return tg_fail_set(fail, TG_E_NOMEM, "not enough memory for the request");
    *out = body;
    return 0;
}

TG_COLD int tg_adapter_cannot(struct tg_fail *fail, size_t message, const char *what)
{
    char param[48];
    snprintf(param, sizeof(param), "messages[%zu].content", message);
    return tg_fail_param(fail, TG_E_UNSUPPORTED_PARAMETER, param,
                         "'%s' holds %s, which this model's API has no form for", param, what);
}

TG_COLD int tg_adapter_cannot_tool(struct tg_fail *fail, size_t index, const struct tg_tool *t)
{
    char param[32], quoted[80];
    snprintf(param, sizeof(param), "tools[%zu]", index);
    return tg_fail_param(fail, TG_E_UNSUPPORTED_PARAMETER, param,
                         "the tool '%s' is not supported by this model's API",
                         tg_fail_quote(t->type, quoted, sizeof(quoted)));
}

void tg_adapter_write_data_url(struct tg_jw *w, const struct tg_media *m,
                               struct tg_str fallback_mime)
{
    tg_jw_str_open(w);
    tg_jw_str_piece(w, TG_STR("data:"));
    tg_jw_str_piece(w, m->mime.n ? m->mime : fallback_mime);
    tg_jw_str_piece(w, TG_STR(";base64,"));
    tg_jw_str_piece(w, m->data);
    tg_jw_str_close(w);
}

struct tg_str tg_adapter_between(enum tg_role role)
{
    switch (role) {
    case TG_ROLE_SYSTEM:
    case TG_ROLE_DEVELOPER:
        return TG_STR("\n\n");
    case TG_ROLE_TOOL:
        return TG_STR("\n");
    case TG_ROLE_USER:
    case TG_ROLE_ASSISTANT:
        break;
    }
    return TG_STR("");
}

int tg_adapter_write_texts(struct tg_jw *w, struct tg_str key, const struct tg_inputs *in,
                           struct tg_fail *fail)
{
    tg_jw_key(w, key);
    tg_jw_arr(w);
    for (size_t i = 0; i < in->n; i++) {
        if (!in->texts[i].n && in->raw && in->raw[i].n && in->raw[i].p[0] != '"')
            return tg_fail_param(fail, TG_E_UNSUPPORTED_PARAMETER, "input",
                                 "an input that is not text is not supported by this model's API");
        tg_jw_str(w, in->texts[i]);
    }
    tg_jw_end_arr(w);
    return 0;
}

#include "adapter/encode_priv.h"

#include <stdio.h>

#include "base/err.h"

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

/* Endpoints whose path names the model. */
#include "base/err.h"
#include "dialect/dialect.h"
#include "wire/url.h"

static const struct tg_str placeholder = TG_STR_INIT("{model}");

bool tg_endpoint_match(const struct tg_endpoint *ep, struct tg_str path, struct tg_str *out_model)
{
    struct tg_str pattern = tg_str_c(ep->path);
    ptrdiff_t at = tg_str_chr(pattern, '{');
    if (at < 0) {
        *out_model = TG_STR("");
        return tg_str_eq(pattern, path);
    }
    struct tg_str before = tg_str_first(pattern, (size_t)at);
    struct tg_str behind = tg_str_from(pattern, (size_t)at + placeholder.n);
    if (path.n <= before.n + behind.n || !tg_str_starts(path, before) || !tg_str_ends(path, behind))
        return false;
    *out_model = tg_str_make(path.p + before.n, path.n - before.n - behind.n);
    return true;
}

int tg_dialect_path_model(struct tg_arena *a, const struct tg_dialect *d,
                          const struct tg_http_head *head, const struct tg_endpoint **out_endpoint,
                          struct tg_str *out_model, struct tg_fail *fail)
{
    struct tg_str path, query, raw;
    tg_target_split(head->target, &path, &query);
    for (size_t i = 0; i < d->n_endpoints; i++) {
        if (!tg_endpoint_match(&d->endpoints[i], path, &raw))
            continue;
        int rc = tg_path_decode(a, raw, out_model);
        if (rc < 0)
            return tg_fail_set(fail, rc == TG_E_INVALID_ARG ? TG_E_BAD_REQUEST : rc,
                               "malformed percent-encoding in the model's name");
        *out_endpoint = &d->endpoints[i];
        return 0;
    }
    return tg_fail_set(fail, TG_E_NOT_FOUND, "no such path");
}

/* Endpoints whose path names the model. */
#include "base/err.h"
#include "dialect/dialect.h"
#include "wire/url.h"

static const struct tg_str placeholder = TG_STR_INIT("{model}");

/* How long the pattern's end is at the path's; 0: it is not there. A colon may be escaped. */
static size_t end_length(struct tg_str path, struct tg_str end)
{
    struct tg_str word = tg_str_from(end, 1);
    if (tg_str_ends(path, end))
        return end.n;
    if (!end.n || end.p[0] != ':' || !tg_str_ends(path, word))
        return 0;
    struct tg_str rest = tg_str_first(path, path.n - word.n);
    bool escaped = tg_str_ends(rest, TG_STR("%3A")) || tg_str_ends(rest, TG_STR("%3a"));
    return escaped ? word.n + 3 : 0;
}

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
    size_t end = end_length(path, behind);
    if ((!end && behind.n) || path.n <= before.n + end || !tg_str_starts(path, before))
        return false;
    *out_model = tg_str_make(path.p + before.n, path.n - before.n - end);
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

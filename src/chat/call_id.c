#include "chat/call_id.h"

#include "base/base64.h"
#include "base/err.h"

static const struct tg_str mark = TG_STR_INIT("__tgs_");

int tg_call_id_join(struct tg_arena *a, struct tg_str id, struct tg_str signature,
                    struct tg_str *out)
{
    if (!signature.n || signature.n > TG_CALL_ID_MAX_SIGNATURE) {
        *out = id;
        return 0;
    }
    struct tg_buf b;
    struct tg_str joined = {NULL, 0};
    tg_buf_init(&b, SIZE_MAX / 4);
    tg_buf_str_add(&b, id);
    tg_buf_str_add(&b, mark);
    tg_base64url_encode(signature, &b);
    if (tg_buf_ok(&b))
        joined = tg_arena_dup(a, tg_buf_str(&b));
    tg_buf_fini(&b);
    if (!joined.p)
        return TG_E_NOMEM;
    *out = joined;
    return 0;
}

/* Where the last mark begins; -1: there is none. */
static ptrdiff_t find_mark(struct tg_str id)
{
    if (id.n <= mark.n)
        return -1;
    for (size_t i = id.n - mark.n; i-- > 0;) {
        if (id.p[i] == '_' && memcmp(id.p + i, mark.p, mark.n) == 0)
            return (ptrdiff_t)i;
    }
    return -1;
}

int tg_call_id_split(struct tg_arena *a, struct tg_str id, struct tg_str *out_id,
                     struct tg_str *out_signature)
{
    ptrdiff_t at = find_mark(id);
    *out_id = id;
    *out_signature = TG_STR("");
    if (at < 0)
        return 0;
    struct tg_buf b;
    tg_buf_init(&b, TG_CALL_ID_MAX_SIGNATURE);
    int rc = tg_base64_decode(tg_str_from(id, (size_t)at + mark.n), &b);
    if (rc == 0 && b.n) {
        struct tg_str s = tg_arena_dup(a, tg_buf_str(&b));
        rc = s.p ? 0 : TG_E_NOMEM;
        if (rc == 0) {
            *out_id = tg_str_first(id, (size_t)at);
            *out_signature = s;
        }
    }
    tg_buf_fini(&b);
    return rc == TG_E_NOMEM ? rc : 0;
}

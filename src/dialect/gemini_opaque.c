/* Opaque state of other providers inside a thoughtSignature. The format's type is bytes, so clients
 * may decode and encode it: the mark is inside the base64. */
#include "base/base64.h"
#include "base/err.h"
#include "dialect/gemini_priv.h"

static const struct tg_str mark = TG_STR_INIT("tgs1:");
static const struct tg_str mark64 = TG_STR_INIT("dGdzMT"); /* how it begins in base64 */

static const struct {
    char letter;
    enum tg_opaque_kind kind;
} letters[] = {{'s', TG_OPAQUE_SIGNED}, {'r', TG_OPAQUE_REDACTED}, {'e', TG_OPAQUE_ENCRYPTED}};

int tg_gemini_wrap_signature(struct tg_arena *a, enum tg_opaque_kind kind, struct tg_str id,
                             struct tg_str data, struct tg_str *out)
{
    struct tg_buf plain, coded;
    *out = data;
    for (size_t i = 0; i < TG_ARRAY_LEN(letters); i++) {
        if (letters[i].kind != kind)
            continue;
        tg_buf_init(&plain, SIZE_MAX / 4);
        tg_buf_init(&coded, SIZE_MAX / 4);
        tg_buf_str_add(&plain, mark);
        tg_buf_char(&plain, letters[i].letter);
        tg_buf_char(&plain, ':');
        if (tg_str_chr(id, ':') < 0)
            tg_buf_str_add(&plain, id);
        tg_buf_char(&plain, ':');
        tg_buf_str_add(&plain, data);
        tg_base64_encode(tg_buf_str(&plain), &coded);
        bool ok = tg_buf_ok(&plain) && tg_buf_ok(&coded);
        struct tg_str text = {NULL, 0};
        if (ok)
            text = tg_arena_dup(a, tg_buf_str(&coded));
        tg_buf_fini(&plain);
        tg_buf_fini(&coded);
        if (!text.p)
            return TG_E_NOMEM;
        *out = text;
    }
    return 0;
}

static bool split(struct tg_str plain, enum tg_opaque_kind *kind, struct tg_str *id,
                  struct tg_str *data)
{
    if (!tg_str_starts(plain, mark) || plain.n < mark.n + 3 || plain.p[mark.n + 1] != ':')
        return false;
    struct tg_str rest = tg_str_from(plain, mark.n + 2);
    ptrdiff_t colon = tg_str_chr(rest, ':');
    for (size_t i = 0; i < TG_ARRAY_LEN(letters) && colon >= 0; i++) {
        if (letters[i].letter != plain.p[mark.n])
            continue;
        *kind = letters[i].kind;
        *id = tg_str_first(rest, (size_t)colon);
        *data = tg_str_from(rest, (size_t)colon + 1);
        return true;
    }
    return false;
}

int tg_gemini_unwrap_signature(struct tg_arena *a, struct tg_str text, enum tg_opaque_kind *kind,
                               struct tg_str *id, struct tg_str *data)
{
    struct tg_buf b;
    *kind = TG_OPAQUE_THOUGHT;
    *id = TG_STR("");
    *data = text;
    if (!tg_str_starts(text, mark64))
        return 0;
    tg_buf_init(&b, text.n + 4);
    int rc = tg_base64_decode(text, &b);
    if (rc == 0) {
        struct tg_str plain = tg_arena_dup(a, tg_buf_str(&b));
        if (plain.p)
            split(plain, kind, id, data);
        else
            rc = TG_E_NOMEM;
    }
    tg_buf_fini(&b);
    return rc == TG_E_NOMEM ? rc : 0;
}

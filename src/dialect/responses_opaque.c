/* Other providers' opaque state inside encrypted_content. */
#include "base/base64.h"
#include "base/err.h"
#include "dialect/responses_priv.h"

static const struct tg_str mark = TG_STR_INIT("tgs1.");

enum { MAX_BYTES = 16 << 20 };

static const struct {
    char letter;
    bool of_text;
    enum tg_opaque_kind kind;
} letters[] = {
    {'s', false, TG_OPAQUE_SIGNED},
    {'r', false, TG_OPAQUE_REDACTED},
    {'t', false, TG_OPAQUE_THOUGHT},
    {'x', true, TG_OPAQUE_THOUGHT},
};

void tg_responses_seal(enum tg_opaque_kind kind, struct tg_str bytes, bool of_text,
                       struct tg_buf *out)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(letters); i++) {
        if (letters[i].kind != kind || letters[i].of_text != of_text)
            continue;
        struct tg_buf b;
        tg_buf_init(&b, MAX_BYTES);
        tg_buf_char(&b, letters[i].letter);
        tg_buf_str_add(&b, bytes);
        tg_buf_str_add(out, mark);
        tg_base64url_encode(tg_buf_str(&b), out);
        out->failed = out->failed || !tg_buf_ok(&b);
        tg_buf_fini(&b);
        return;
    }
    tg_buf_str_add(out, bytes);
}

static bool open_letter(char c, enum tg_opaque_kind *kind, bool *of_text)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(letters); i++) {
        if (letters[i].letter != c)
            continue;
        *kind = letters[i].kind;
        *of_text = letters[i].of_text;
        return true;
    }
    return false;
}

int tg_responses_unseal(struct tg_arena *a, struct tg_str sealed, enum tg_opaque_kind *out_kind,
                        struct tg_str *out_bytes, bool *out_of_text)
{
    *out_kind = TG_OPAQUE_ENCRYPTED;
    *out_bytes = sealed;
    *out_of_text = false;
    if (!tg_str_starts(sealed, mark))
        return 0;
    struct tg_buf b;
    tg_buf_init(&b, MAX_BYTES);
    int rc = tg_base64_decode(tg_str_from(sealed, mark.n), &b);
    if (rc == 0 && b.n > 1 && open_letter(b.p[0], out_kind, out_of_text)) {
        *out_bytes = tg_arena_dup(a, tg_str_from(tg_buf_str(&b), 1));
        rc = out_bytes->p ? 0 : TG_E_NOMEM;
    }
    tg_buf_fini(&b);
    return rc == TG_E_NOMEM ? rc : 0;
}

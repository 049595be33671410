#include "engine/control_priv.h"

#include "base/alloc.h"
#include "base/err.h"

int tg_control_make(const struct tg_llm *m, struct tg_control *out)
{
    uint32_t count[256] = {0}, total = 0;
    *out = (struct tg_control){NULL, {0}};
    for (int pass = 0; pass < 2; pass++) {
        for (int32_t t = 0; t < (int32_t)tg_llm_n_vocab(m); t++) {
            bool control;
            struct tg_str text = tg_llm_token_text(m, t, &control);
            if (!control || text.n == 0)
                continue;
            uint8_t b = (uint8_t)text.p[0];
            if (pass)
                out->texts[out->starts[b] + count[b]] = text;
            count[b]++;
        }
        if (pass)
            return 0;
        for (size_t b = 0; b < 256; b++) {
            out->starts[b] = total;
            total += count[b];
            count[b] = 0;
        }
        out->starts[256] = total;
        out->texts = tg_calloc(total ? total : 1, sizeof *out->texts);
        if (!out->texts)
            return TG_E_NOMEM;
    }
    return 0;
}

void tg_control_fini(struct tg_control *c)
{
    tg_free(c->texts);
    c->texts = NULL;
}

bool tg_control_find(const struct tg_control *c, struct tg_str s, size_t from, size_t *out_at,
                     size_t *out_len)
{
    for (size_t i = from; i < s.n; i++) {
        uint8_t b = (uint8_t)s.p[i];
        struct tg_str rest = tg_str_from(s, i);
        for (uint32_t k = c->starts[b]; k < c->starts[b + 1]; k++) {
            if (!tg_str_starts(rest, c->texts[k]))
                continue;
            *out_at = i;
            *out_len = c->texts[k].n;
            return true;
        }
    }
    return false;
}

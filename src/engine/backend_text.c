#include "engine/backend_text_priv.h"

#include <math.h>

#include "base/err.h"
#include "base/num.h"
#include "base/utf8.h"

/* JSON has no infinities; a token that can't come gets OpenAI's own floor. */
static void put_number(struct tg_buf *out, float v)
{
    tg_buf_printf(out, "%.6g", isfinite(v) && v > -9999 ? (double)v : -9999.0);
}

static void put_token(struct tg_buf *out, const struct tg_engine_logprob *lp)
{
    tg_buf_lit(out, "{\"token\":");
    tg_buf_json_str(out, lp->token);
    tg_buf_lit(out, ",\"logprob\":");
    put_number(out, lp->logprob);
    tg_buf_lit(out, ",\"bytes\":[");
    for (size_t i = 0; i < lp->token.n; i++) {
        if (i)
            tg_buf_char(out, ',');
        tg_buf_u64(out, (uint8_t)lp->token.p[i]);
    }
    tg_buf_char(out, ']');
}

void tg_logprobs_chat(struct tg_buf *out, const struct tg_engine_logprob *v, uint32_t n)
{
    tg_buf_lit(out, "{\"content\":[");
    for (uint32_t i = 0; i < n; i++) {
        if (i)
            tg_buf_char(out, ',');
        put_token(out, &v[i]);
        tg_buf_lit(out, ",\"top_logprobs\":[");
        for (uint32_t k = 0; k < v[i].n_top; k++) {
            if (k)
                tg_buf_char(out, ',');
            put_token(out, &v[i].top[k]);
            tg_buf_char(out, '}');
        }
        tg_buf_lit(out, "]}");
    }
    tg_buf_lit(out, "],\"refusal\":null}");
}

static uint64_t characters(struct tg_str s)
{
    uint64_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += ((uint8_t)s.p[i] & 0xC0) != 0x80;
    return n;
}

void tg_logprobs_completion(struct tg_buf *out, const struct tg_engine_logprob *v, uint32_t n,
                            uint64_t *offset)
{
    tg_buf_lit(out, "{\"tokens\":[");
    for (uint32_t i = 0; i < n; i++) {
        if (i)
            tg_buf_char(out, ',');
        tg_buf_json_str(out, v[i].token);
    }
    tg_buf_lit(out, "],\"token_logprobs\":[");
    for (uint32_t i = 0; i < n; i++) {
        if (i)
            tg_buf_char(out, ',');
        put_number(out, v[i].logprob);
    }
    tg_buf_lit(out, "],\"top_logprobs\":[");
    for (uint32_t i = 0; i < n; i++) {
        tg_buf_str_add(out, i ? TG_STR(",{") : TG_STR("{"));
        for (uint32_t k = 0; k < v[i].n_top; k++) {
            if (k)
                tg_buf_char(out, ',');
            tg_buf_json_str(out, v[i].top[k].token);
            tg_buf_char(out, ':');
            put_number(out, v[i].top[k].logprob);
        }
        tg_buf_char(out, '}');
    }
    tg_buf_lit(out, "],\"text_offset\":[");
    for (uint32_t i = 0; i < n; i++) {
        if (i)
            tg_buf_char(out, ',');
        tg_buf_u64(out, *offset);
        *offset += characters(v[i].token);
    }
    tg_buf_lit(out, "]}");
}

/* ---- logit_bias: the dialect has checked that it is JSON ---- */

static struct tg_str skip(struct tg_str s)
{
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t' || s.p[0] == '\n' || s.p[0] == '\r'))
        s = tg_str_from(s, 1);
    return s;
}

static bool take(struct tg_str *s, char c)
{
    *s = skip(*s);
    if (!s->n || s->p[0] != c)
        return false;
    *s = tg_str_from(*s, 1);
    return true;
}

/* "123": -1.5 */
static bool take_entry(struct tg_str *s, struct tg_engine_bias *out)
{
    int64_t token;
    double bias;
    if (!take(s, '"'))
        return false;
    ptrdiff_t end = tg_str_chr(*s, '"');
    if (end <= 0 || tg_parse_i64(tg_str_first(*s, (size_t)end), &token) < 0 || token < 0 ||
        token > INT32_MAX)
        return false;
    *s = tg_str_from(*s, (size_t)end + 1);
    if (!take(s, ':'))
        return false;
    *s = skip(*s);
    size_t n = 0;
    while (n < s->n && strchr("+-.eE0123456789", s->p[n]) && s->p[n])
        n++;
    if (tg_parse_double(tg_str_first(*s, n), &bias) < 0 || bias < -100 || bias > 100)
        return false;
    *s = tg_str_from(*s, n);
    *out = (struct tg_engine_bias){(int32_t)token, (float)bias};
    return true;
}

int tg_bias_parse(struct tg_str json, struct tg_engine_bias *out, size_t max)
{
    size_t n = 0;
    if (!take(&json, '{'))
        return TG_E_INVALID_VALUE;
    if (!take(&json, '}')) {
        do {
            if (n == max || !take_entry(&json, &out[n]))
                return TG_E_INVALID_VALUE;
            n++;
        } while (take(&json, ','));
        if (!take(&json, '}'))
            return TG_E_INVALID_VALUE;
    }
    return skip(json).n ? TG_E_INVALID_VALUE : (int)n;
}

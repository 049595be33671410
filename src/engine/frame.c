#include "engine/frame_priv.h"

#include <string.h>

#include "base/err.h"

int tg_frame_next(struct tg_str in, size_t max_payload, struct tg_frame *out, size_t *out_used)
{
    if (in.n < TG_FRAME_HEAD)
        return 0;
    uint32_t len;
    uint16_t magic;
    uint64_t id;
    memcpy(&len, in.p, 4);
    memcpy(&magic, in.p + 4, 2);
    memcpy(&id, in.p + 8, 8);
    if (magic != TG_FRAME_MAGIC || in.p[7] != 0 || len > max_payload)
        return TG_E_INVALID_ARG;
    if (in.n - TG_FRAME_HEAD < len)
        return 0;
    out->type = (enum tg_frame_type)(uint8_t)in.p[6];
    out->id = id;
    out->payload = tg_str_make(in.p + TG_FRAME_HEAD, len);
    *out_used = TG_FRAME_HEAD + len;
    return 1;
}

size_t tg_frame_begin(struct tg_buf *b, enum tg_frame_type type, uint64_t id)
{
    char head[TG_FRAME_HEAD] = {0};
    uint16_t magic = TG_FRAME_MAGIC;
    memcpy(head + 4, &magic, 2);
    head[6] = (char)type;
    memcpy(head + 8, &id, 8);
    size_t start = b->n;
    tg_buf_add(b, head, sizeof head);
    return start;
}

int tg_frame_end(struct tg_buf *b, size_t start, size_t max_payload)
{
    size_t len = b->n >= start + TG_FRAME_HEAD ? b->n - start - TG_FRAME_HEAD : 0;
    if (b->failed || len > max_payload) {
        b->n = start < b->n ? start : b->n;
        b->failed = false;
        return TG_E_FULL;
    }
    uint32_t n = (uint32_t)len;
    memcpy(b->p + start, &n, 4);
    return 0;
}

void tg_put_u8(struct tg_buf *b, uint8_t v)
{
    tg_buf_add(b, &v, 1);
}
void tg_put_u32(struct tg_buf *b, uint32_t v)
{
    tg_buf_add(b, &v, 4);
}
void tg_put_u64(struct tg_buf *b, uint64_t v)
{
    tg_buf_add(b, &v, 8);
}
void tg_put_f32(struct tg_buf *b, float v)
{
    tg_buf_add(b, &v, 4);
}

void tg_put_str(struct tg_buf *b, struct tg_str s)
{
    if (s.n > UINT32_MAX) {
        b->failed = true;
        return;
    }
    tg_put_u32(b, (uint32_t)s.n);
    tg_buf_str_add(b, s);
}

static bool take(struct tg_cursor *c, void *out, size_t n)
{
    if (c->bad || (size_t)(c->end - c->p) < n) {
        c->bad = true;
        return false;
    }
    memcpy(out, c->p, n);
    c->p += n;
    return true;
}

uint8_t tg_get_u8(struct tg_cursor *c)
{
    uint8_t v;
    return take(c, &v, 1) ? v : 0;
}

uint32_t tg_get_u32(struct tg_cursor *c)
{
    uint32_t v;
    return take(c, &v, 4) ? v : 0;
}

uint64_t tg_get_u64(struct tg_cursor *c)
{
    uint64_t v;
    return take(c, &v, 8) ? v : 0;
}

float tg_get_f32(struct tg_cursor *c)
{
    float v;
    return take(c, &v, 4) ? v : 0;
}

struct tg_str tg_get_str(struct tg_cursor *c)
{
    uint32_t n = tg_get_u32(c);
    if (c->bad || (size_t)(c->end - c->p) < n) {
        c->bad = true;
        return tg_str_make(NULL, 0);
    }
    struct tg_str s = tg_str_make(c->p, n);
    c->p += n;
    return s;
}

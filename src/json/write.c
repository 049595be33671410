#include "json/write.h"

#include <math.h>
#include <yyjson.h>

#include "base/assert.h"

static inline void before_value(struct tg_jw *w)
{
    if (w->comma)
        tg_buf_char(w->b, ',');
    w->comma = true;
}

static void open_container(struct tg_jw *w, char bracket)
{
    before_value(w);
    tg_buf_char(w->b, bracket);
    w->comma = false;
    w->depth++;
}

static void close_container(struct tg_jw *w, char bracket)
{
    TG_REQUIRE(w->depth > 0);
    tg_buf_char(w->b, bracket);
    w->comma = true;
    w->depth--;
}

void tg_jw_obj(struct tg_jw *w)
{
    open_container(w, '{');
}

void tg_jw_end_obj(struct tg_jw *w)
{
    close_container(w, '}');
}

void tg_jw_arr(struct tg_jw *w)
{
    open_container(w, '[');
}

void tg_jw_end_arr(struct tg_jw *w)
{
    close_container(w, ']');
}

void tg_jw_key(struct tg_jw *w, struct tg_str key)
{
    before_value(w);
    tg_buf_json_str(w->b, key);
    tg_buf_char(w->b, ':');
    w->comma = false;
}

void tg_jw_str(struct tg_jw *w, struct tg_str s)
{
    before_value(w);
    tg_buf_json_str(w->b, s);
}

void tg_jw_i64(struct tg_jw *w, int64_t v)
{
    before_value(w);
    tg_buf_i64(w->b, v);
}

void tg_jw_u64(struct tg_jw *w, uint64_t v)
{
    before_value(w);
    tg_buf_u64(w->b, v);
}

void tg_jw_double(struct tg_jw *w, double v)
{
    if (!isfinite(v)) {
        tg_jw_null(w);
        return;
    }
    if (v == floor(v) && fabs(v) < 1e15 && !(v == 0 && signbit(v))) {
        tg_jw_i64(w, (int64_t)v);
        return;
    }
    /* yyjson's writer is the shortest round trip; it gets memory on the stack. */
    char pool[512];
    yyjson_alc alc;
    yyjson_mut_val val = {0};
    yyjson_write_err err;
    size_t n = 0;
    bool ok = yyjson_alc_pool_init(&alc, pool, sizeof(pool)) && yyjson_mut_set_real(&val, v);
    const char *text = ok ? yyjson_mut_val_write_opts(&val, 0, &alc, &n, &err) : NULL;
    TG_INVARIANT(text);
    before_value(w);
    tg_buf_add(w->b, text, n);
}

void tg_jw_bool(struct tg_jw *w, bool v)
{
    tg_jw_raw(w, v ? TG_STR("true") : TG_STR("false"));
}

void tg_jw_null(struct tg_jw *w)
{
    tg_jw_raw(w, TG_STR("null"));
}

void tg_jw_raw(struct tg_jw *w, struct tg_str json)
{
    before_value(w);
    tg_buf_str_add(w->b, json.n ? json : TG_STR("null"));
}

void tg_jw_str_open(struct tg_jw *w)
{
    before_value(w);
    tg_buf_char(w->b, '"');
}

void tg_jw_str_piece(struct tg_jw *w, struct tg_str s)
{
    tg_buf_json(w->b, s);
}

void tg_jw_str_close(struct tg_jw *w)
{
    tg_buf_char(w->b, '"');
}

void tg_jw_kstr(struct tg_jw *w, struct tg_str key, struct tg_str s)
{
    tg_jw_key(w, key);
    tg_jw_str(w, s);
}

void tg_jw_ki64(struct tg_jw *w, struct tg_str key, int64_t v)
{
    tg_jw_key(w, key);
    tg_jw_i64(w, v);
}

void tg_jw_kdouble(struct tg_jw *w, struct tg_str key, double v)
{
    tg_jw_key(w, key);
    tg_jw_double(w, v);
}

void tg_jw_kbool(struct tg_jw *w, struct tg_str key, bool v)
{
    tg_jw_key(w, key);
    tg_jw_bool(w, v);
}

void tg_jw_kraw(struct tg_jw *w, struct tg_str key, struct tg_str json)
{
    tg_jw_key(w, key);
    tg_jw_raw(w, json);
}

void tg_jw_kstrs(struct tg_jw *w, struct tg_str key, const struct tg_str *list, size_t n)
{
    tg_jw_key(w, key);
    tg_jw_arr(w);
    for (size_t i = 0; i < n; i++)
        tg_jw_str(w, list[i]);
    tg_jw_end_arr(w);
}

void tg_jw_members(struct tg_jw *w, struct tg_str members)
{
    if (!members.n)
        return;
    before_value(w);
    tg_buf_str_add(w->b, members);
}

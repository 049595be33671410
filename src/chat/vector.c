#include "chat/vector.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/base64.h"
#include "base/err.h"
#include "base/num.h"
#include "json/json.h"

#define MAX_PACKED_BYTES (16u << 20)

static void pack(double v, struct tg_buf *out)
{
    float f = (float)v;
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    char b[4] = {(char)u, (char)(u >> 8), (char)(u >> 16), (char)(u >> 24)};
    tg_buf_add(out, b, sizeof b);
}

static float unpack(const char *p)
{
    const unsigned char *b = (const unsigned char *)p;
    uint32_t u = (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static int list_to_base64(const struct tg_json *list, struct tg_buf *out)
{
    struct tg_buf packed;
    struct tg_json_iter it = tg_json_iter(list);
    int rc = 0;
    tg_buf_init(&packed, MAX_PACKED_BYTES);
    while (rc == 0 && tg_json_next(&it)) {
        double v;
        if (tg_json_double(it.value, &v) != 0)
            rc = TG_E_UPSTREAM_INVALID;
        else
            pack(v, &packed);
    }
    if (rc == 0 && !tg_buf_ok(&packed))
        rc = TG_E_NOMEM;
    if (rc == 0) {
        tg_buf_char(out, '"');
        tg_base64_encode(tg_buf_str(&packed), out);
        tg_buf_char(out, '"');
    }
    tg_buf_fini(&packed);
    return rc;
}

/* Nine digits always do (IEEE 754 single). JSON has no word for what is not finite. */
static void write_float(float f, struct tg_buf *out)
{
    char text[32];
    if (!isfinite(f)) {
        tg_buf_lit(out, "null");
        return;
    }
    for (int digits = 6; digits <= 9; digits++) {
        double back;
        int n = snprintf(text, sizeof text, "%.*g", digits, (double)f);
        if (digits == 9 ||
            (tg_parse_double(tg_str_make(text, (size_t)n), &back) == 0 && (float)back == f)) {
            tg_buf_add(out, text, (size_t)n);
            return;
        }
    }
}

static int base64_to_list(struct tg_str text, struct tg_buf *out)
{
    struct tg_buf packed;
    tg_buf_init(&packed, MAX_PACKED_BYTES);
    int rc = tg_base64_decode(text, &packed);
    if (rc != 0 && rc != TG_E_NOMEM)
        rc = TG_E_UPSTREAM_INVALID;
    if (rc == 0 && packed.n % 4 != 0)
        rc = TG_E_UPSTREAM_INVALID;
    if (rc == 0)
        tg_buf_char(out, '[');
    for (size_t i = 0; rc == 0 && i < packed.n; i += 4) {
        if (i)
            tg_buf_char(out, ',');
        write_float(unpack(packed.p + i), out);
    }
    if (rc == 0)
        tg_buf_char(out, ']');
    tg_buf_fini(&packed);
    return rc;
}

static int convert(struct tg_str json, struct tg_buf *out)
{
    struct tg_arena a;
    struct tg_json_doc *doc;
    struct tg_json_limits limits = {.max_string_bytes = MAX_PACKED_BYTES * 2};
    tg_arena_init(&a, 4096, SIZE_MAX / 4);
    int rc = tg_json_parse(&a, json, &limits, &doc, NULL);
    if (rc != 0)
        rc = rc == TG_E_NOMEM ? rc : TG_E_UPSTREAM_INVALID;
    else if (tg_json_is_arr(tg_json_root(doc)))
        rc = list_to_base64(tg_json_root(doc), out);
    else if (tg_json_is_str(tg_json_root(doc)))
        rc = base64_to_list(tg_json_str(tg_json_root(doc)), out);
    else
        rc = TG_E_UPSTREAM_INVALID;
    tg_arena_fini(&a);
    return rc;
}

int tg_vector_write(struct tg_str json, bool base64, struct tg_buf *out)
{
    json = tg_str_trim(json);
    if (!json.n || (json.p[0] != '[' && json.p[0] != '"'))
        return TG_E_UPSTREAM_INVALID;
    bool is_base64 = json.p[0] == '"';
    int rc = 0;
    if (is_base64 == base64)
        tg_buf_str_add(out, json);
    else
        rc = convert(json, out);
    if (rc != 0)
        return rc;
    return tg_buf_ok(out) ? 0 : TG_E_FULL;
}

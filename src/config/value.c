/* From text to a typed member: one setter per type, chosen by the row. */
#include <math.h>

#include "base/fail.h"
#include "base/num.h"
#include "base/utf8.h"
#include "config/load_priv.h"

struct target {
    struct tg_conf_load *l;
    const struct tg_conf_row *row;
    void *member;
    const struct tg_conf_origin *where;
    struct tg_str key;
};

static int reject(const struct target *t, struct tg_str text)
{
    char expects[256], quoted[128];
    tg_conf_row_expects(t->row, expects, sizeof(expects));
    if (t->row->type == TG_CT_SECRET)
        tg_conf_error(t->l, t->where, t->key, "expected %s", expects);
    else
        tg_conf_error(t->l, t->where, t->key, "expected %s, got '%s'", expects,
                      tg_fail_quote(tg_str_first(text, 60), quoted, sizeof(quoted)));
    return TG_E_CONFIG;
}

/* Text that may stand in logs and headers of ours: UTF-8 without control bytes (TAB and LF may). */
static bool text_ok(struct tg_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c < 0x20 && c != '\t' && c != '\n') || c == 0x7f)
            return false;
    }
    return tg_utf8_valid(s);
}

static bool in_range(const struct tg_conf_row *row, int64_t v)
{
    return v >= row->min && v <= row->max;
}

static int set_str(const struct target *t, struct tg_str text)
{
    if (!in_range(t->row, (int64_t)text.n) || !text_ok(text))
        return reject(t, text);
    struct tg_str copy = tg_arena_dup(t->l->arena, text);
    if (text.n && !copy.p)
        return TG_E_NOMEM;
    *(struct tg_str *)t->member = copy;
    return 0;
}

static int set_path(const struct target *t, struct tg_str text)
{
    if (!in_range(t->row, (int64_t)text.n) || !text_ok(text) || tg_str_chr(text, '\n') >= 0)
        return reject(t, text);
    bool from_file =
        t->l->file.n && t->where->file && tg_str_eq(tg_str_c(t->where->file), t->l->file);
    struct tg_str dir = from_file ? t->l->file_dir : tg_str_c(t->l->src->cwd);
    struct tg_str copy = tg_conf_path_join(t->l->arena, dir, text);
    if (!copy.p)
        return TG_E_NOMEM;
    *(struct tg_str *)t->member = copy;
    return 0;
}

static int set_int(const struct target *t, struct tg_str text)
{
    int64_t v;
    if (tg_parse_i64(text, &v) != 0 || !in_range(t->row, v))
        return reject(t, text);
    *(uint32_t *)t->member = (uint32_t)v;
    return 0;
}

static int set_count(const struct target *t, struct tg_str text)
{
    int64_t v;
    if (tg_parse_i64(text, &v) != 0 || !in_range(t->row, v))
        return reject(t, text);
    *(uint64_t *)t->member = (uint64_t)v;
    return 0;
}

static int set_bool(const struct target *t, struct tg_str text)
{
    bool v;
    if (tg_parse_bool(text, &v) != 0)
        return reject(t, text);
    *(bool *)t->member = v;
    return 0;
}

static int set_duration(const struct target *t, struct tg_str text)
{
    int64_t v;
    if (tg_parse_duration_ms(text, &v) != 0 || !in_range(t->row, v))
        return reject(t, text);
    *(uint32_t *)t->member = (uint32_t)v;
    return 0;
}

static int set_bytes(const struct target *t, struct tg_str text)
{
    uint64_t v;
    if (tg_parse_bytes(text, &v) != 0 || v > INT64_MAX || !in_range(t->row, (int64_t)v))
        return reject(t, text);
    if (t->row->type == TG_CT_BYTES32)
        *(uint32_t *)t->member = (uint32_t)v;
    else
        *(uint64_t *)t->member = v;
    return 0;
}

static int set_double(const struct target *t, struct tg_str text)
{
    double v;
    if (tg_parse_double(text, &v) != 0 || v < (double)t->row->min || v > (double)t->row->max)
        return reject(t, text);
    *(double *)t->member = v;
    return 0;
}

static int set_enum(const struct target *t, struct tg_str text)
{
    char expects[256], quoted[128];
    for (const struct tg_conf_word *w = t->row->words; w->name; w++) {
        if (!tg_str_ieq(tg_str_c(w->name), text))
            continue;
        if (w->value >= 0) {
            *(uint32_t *)t->member = (uint32_t)w->value;
            return 0;
        }
        tg_conf_error(t->l, t->where, t->key, "'%s' is not available in this version; expected %s",
                      tg_fail_quote(tg_str_first(text, 60), quoted, sizeof(quoted)),
                      tg_conf_row_expects(t->row, expects, sizeof(expects)));
        return TG_E_CONFIG;
    }
    return reject(t, text);
}

static int set_url(const struct target *t, struct tg_str text)
{
    char quoted[128];
    struct tg_config_url url;
    const char *why = "it is too long";
    if (in_range(t->row, (int64_t)text.n))
        why = tg_conf_url_parse(t->l->arena, text, &url, NULL);
    if (t->l->arena->overflow)
        return TG_E_NOMEM;
    if (why && tg_str_chr(text, '@') >= 0) { /* it may hold a password */
        tg_conf_error(t->l, t->where, t->key, "expected an http:// or https:// URL: %s", why);
        return TG_E_CONFIG;
    }
    if (why) {
        tg_conf_error(t->l, t->where, t->key, "expected an http:// or https:// URL, got '%s': %s",
                      tg_fail_quote(tg_str_first(text, 60), quoted, sizeof(quoted)), why);
        return TG_E_CONFIG;
    }
    *(struct tg_config_url *)t->member = url;
    return 0;
}

const struct tg_secret *tg_conf_secret(struct tg_conf_load *l, struct tg_str value)
{
    struct tg_conf_secret_node *node = tg_arena_new(l->arena, struct tg_conf_secret_node);
    if (!node)
        return NULL;
    node->secret = tg_secret_new(value);
    node->next = l->refs->secrets;
    l->refs->secrets = node;
    return node->secret;
}

static int set_secret(const struct target *t, struct tg_str text)
{
    if (!in_range(t->row, (int64_t)text.n) || !text_ok(text) || tg_str_chr(text, '\n') >= 0)
        return reject(t, text);
    const struct tg_secret *s = tg_conf_secret(t->l, text);
    if (!s)
        return TG_E_NOMEM;
    *(const struct tg_secret **)t->member = s;
    return 0;
}

/* Whole and fractional digits of a decimal number; at most 9 behind the point. */
static bool parse_nano(struct tg_str text, int64_t *out)
{
    struct tg_str rest = text, whole = {NULL, 0}, part = TG_STR("0");
    uint64_t units, nano;
    if (!tg_str_split(&rest, '.', &whole) || whole.n > 9)
        return false;
    if (rest.p)
        part = rest;
    if (part.n == 0 || part.n > 9 || tg_parse_u64(whole, &units) != 0 ||
        tg_parse_u64(part, &nano) != 0)
        return false;
    for (size_t i = part.n; i < 9; i++)
        nano *= 10;
    *out = (int64_t)(units * 1000000000u + nano);
    return true;
}

static int set_price(const struct target *t, struct tg_str text)
{
    int64_t nusd;
    if (!parse_nano(text, &nusd) || nusd > t->row->max * 1000000000)
        return reject(t, text);
    *(int64_t *)t->member = nusd;
    return 0;
}

static int set_list_text(const struct target *t, struct tg_str text)
{
    struct tg_str parts[64], rest = text, part;
    size_t n = 0;
    while (tg_str_split(&rest, ',', &part)) {
        part = tg_str_trim(part);
        if (part.n == 0)
            continue;
        if (n == TG_ARRAY_LEN(parts))
            return reject(t, text);
        parts[n++] = part;
    }
    return tg_conf_set_list(t->l, t->row, (char *)t->member - t->row->offset, parts, n, t->where,
                            t->key);
}

static int set_headers_text(const struct target *t, struct tg_str text)
{
    tg_conf_error(t->l, t->where, t->key, "expected a map of header names to values");
    return TG_E_CONFIG;
}

int tg_conf_set(struct tg_conf_load *l, const struct tg_conf_row *row, void *base,
                struct tg_str text, const struct tg_conf_origin *where, struct tg_str key)
{
    static int (*const setters[])(const struct target *, struct tg_str) = {
        [TG_CT_STR] = set_str,
        [TG_CT_PATH] = set_path,
        [TG_CT_INT] = set_int,
        [TG_CT_COUNT] = set_count,
        [TG_CT_BOOL] = set_bool,
        [TG_CT_DURATION] = set_duration,
        [TG_CT_BYTES] = set_bytes,
        [TG_CT_BYTES32] = set_bytes,
        [TG_CT_DOUBLE] = set_double,
        [TG_CT_ENUM] = set_enum,
        [TG_CT_LIST] = set_list_text,
        [TG_CT_URL] = set_url,
        [TG_CT_SECRET] = set_secret,
        [TG_CT_PRICE] = set_price,
        [TG_CT_HEADERS] = set_headers_text,
    };
    struct target t = {l, row, (char *)base + row->offset, where, key};
    bool verbatim = row->type == TG_CT_STR || row->type == TG_CT_SECRET;
    return setters[row->type](&t, verbatim ? text : tg_str_trim(text));
}

int tg_conf_set_list(struct tg_conf_load *l, const struct tg_conf_row *row, void *base,
                     const struct tg_str *parts, size_t n, const struct tg_conf_origin *where,
                     struct tg_str key)
{
    struct target t = {l, row, (char *)base + row->offset, where, key};
    if (!in_range(row, (int64_t)n))
        return reject(&t, TG_STR("more"));
    struct tg_str *v = tg_arena_array(l->arena, n ? n : 1, sizeof(*v));
    if (!v)
        return TG_E_NOMEM;
    for (size_t i = 0; i < n; i++) {
        if (parts[i].n == 0 || parts[i].n > 256 || !text_ok(parts[i]))
            return reject(&t, parts[i]);
        v[i] = tg_arena_dup(l->arena, parts[i]);
        if (!v[i].p)
            return TG_E_NOMEM;
    }
    *(struct tg_str_list *)t.member = (struct tg_str_list){v, n};
    return 0;
}

/* Names that the gateway writes itself, or that belong to one connection (RFC 9110 7.6.1). */
static bool header_is_ours(struct tg_str name)
{
    static const char *const ours[] = {
        "host",
        "content-length",
        "content-type",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "accept-encoding",
        "proxy-authorization",
        "proxy-connection",
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(ours); i++)
        if (tg_str_ieq(tg_str_c(ours[i]), name))
            return true;
    return false;
}

/* RFC 9110 5.6.2 token. */
static bool is_token(struct tg_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c <= 0x20 || c >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", c))
            return false;
    }
    return s.n > 0 && s.n <= 128;
}

static const char *header_wrong(struct tg_str name, struct tg_str value)
{
    if (!is_token(name))
        return "not a valid header name";
    if (header_is_ours(name))
        return "this header is written by the gateway itself";
    if (value.n > 8192 || !text_ok(value) || tg_str_chr(value, '\n') >= 0)
        return "expected a header value: one line of at most 8192 bytes";
    return NULL;
}

int tg_conf_add_header(struct tg_conf_load *l, const struct tg_conf_row *row, void *base,
                       struct tg_str name, struct tg_str value, const struct tg_conf_origin *where,
                       struct tg_str key)
{
    struct tg_conf_model_def *def = base;
    const char *why = header_wrong(name, value);
    for (size_t i = 0; !why && i < def->target.n_headers; i++)
        if (tg_str_ieq(def->target.headers[i].name, name))
            why = "this header is given twice";
    if (!why && def->target.n_headers >= (size_t)row->max)
        why = "too many headers: at most 32 are allowed";
    if (why) {
        tg_conf_error(l, where, key, "%s", why);
        return TG_E_CONFIG;
    }
    struct tg_header_config *v = tg_arena_array(l->arena, def->target.n_headers + 1, sizeof(*v));
    if (!v)
        return TG_E_NOMEM;
    for (size_t i = 0; i < def->target.n_headers; i++)
        v[i] = def->target.headers[i];
    struct tg_header_config *h = &v[def->target.n_headers];
    h->name = tg_arena_dup(l->arena, name);
    h->value = tg_conf_secret(l, value);
    if (!h->name.p || !h->value)
        return TG_E_NOMEM;
    def->target.headers = v;
    def->target.n_headers++;
    return 0;
}

int tg_conf_set_defaults(struct tg_conf_load *l, const struct tg_conf_table *t, void *base)
{
    static const struct tg_conf_origin where = {"default", 0, 0};
    for (size_t i = 0; i < t->n; i++) {
        if (!t->rows[i].def || (t->rows[i].flags & TG_CF_INHERIT))
            continue;
        int rc = tg_conf_set(l, &t->rows[i], base, tg_str_c(t->rows[i].def), &where,
                             tg_str_c(t->rows[i].key));
        if (rc)
            return rc;
    }
    return 0;
}

/* Looking rows up, and describing them to people. */
#include <ctype.h>
#include <inttypes.h>

#include "base/buf.h"
#include "config/schema_priv.h"

const struct tg_conf_row *tg_conf_row_find(const struct tg_conf_table *t, struct tg_str key)
{
    for (size_t i = 0; i < t->n; i++)
        if (tg_str_eq(tg_str_c(t->rows[i].key), key))
            return &t->rows[i];
    return NULL;
}

bool tg_conf_is_section(const struct tg_conf_table *t, struct tg_str key)
{
    for (size_t i = 0; i < t->n; i++) {
        const char *row = t->rows[i].key;
        if (tg_str_starts(tg_str_c(row), key) && row[key.n] == '.')
            return true;
    }
    return false;
}

static struct tg_str last_part(struct tg_str key)
{
    size_t i = key.n;
    while (i > 0 && key.p[i - 1] != '.')
        i--;
    return tg_str_from(key, i);
}

/* The part of a row's key that stands where `key`'s last part stands; false: another section. */
static bool sibling(const char *row, struct tg_str key, struct tg_str *out)
{
    size_t head = key.n - last_part(key).n;
    if (!tg_str_starts(tg_str_c(row), tg_str_first(key, head)))
        return false;
    struct tg_str rest = tg_str_from(tg_str_c(row), head);
    return tg_str_split(&rest, '.', out);
}

struct tg_str tg_conf_nearest_key(const struct tg_conf_table *t, struct tg_str key)
{
    struct tg_str want = last_part(key), best = {NULL, 0}, part;
    if (want.n > 64)
        return best;
    unsigned limit = (unsigned)(want.n < 4 ? 2 : want.n / 3 + 1);
    for (size_t i = 0; i < t->n; i++) {
        if (!sibling(t->rows[i].key, key, &part))
            continue;
        unsigned d = tg_str_distance(want, part, limit + 1);
        if (d <= limit) {
            limit = d ? d - 1 : 0;
            best = part;
            if (d == 0)
                break;
        }
    }
    return best;
}

const char *tg_conf_row_env(const struct tg_conf_row *row, char *out, size_t cap)
{
    if (row->flags & TG_CF_FILE_ONLY)
        return "";
    if (row->env)
        return row->env;
    size_t n = (size_t)snprintf(out, cap, "TOLLGATE_%s", row->key);
    for (size_t i = 0; i < n && i + 1 < cap; i++)
        out[i] = (char)(out[i] == '.' ? '_' : toupper((unsigned char)out[i]));
    return out;
}

static void words_list(const struct tg_conf_word *w, char *out, size_t cap)
{
    size_t n = (size_t)snprintf(out, cap, "one of ");
    const char *sep = "";
    for (; w->name; w++) {
        if (w->hidden || n >= cap)
            continue;
        n += (size_t)snprintf(out + n, cap - n, "%s%s", sep, w->name);
        sep = ", ";
    }
}

static void duration(int64_t ms, char *out, size_t cap)
{
    static const struct {
        int64_t ms;
        const char *unit;
    } units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}};
    for (size_t i = 0; i < TG_ARRAY_LEN(units); i++)
        if (ms && ms % units[i].ms == 0) {
            snprintf(out, cap, "%" PRId64 "%s", ms / units[i].ms, units[i].unit);
            return;
        }
    snprintf(out, cap, "%" PRId64 "%s", ms, ms ? "ms" : "");
}

static void bytes(int64_t n, char *out, size_t cap)
{
    static const char *const units[] = {"", "KiB", "MiB", "GiB"};
    size_t u = 0;
    while (n && n % 1024 == 0 && u + 1 < TG_ARRAY_LEN(units)) {
        n /= 1024;
        u++;
    }
    snprintf(out, cap, "%" PRId64 "%s", n, units[u]);
}

static void range(const struct tg_conf_row *row, const char *what,
                  void (*fmt)(int64_t, char *, size_t), char *out, size_t cap)
{
    char lo[32], hi[32];
    fmt(row->min, lo, sizeof(lo));
    fmt(row->max, hi, sizeof(hi));
    snprintf(out, cap, "%s from %s to %s", what, lo, hi);
}

static void plain(int64_t n, char *out, size_t cap)
{
    snprintf(out, cap, "%" PRId64, n);
}

const char *tg_conf_row_expects(const struct tg_conf_row *row, char *out, size_t cap)
{
    switch (row->type) {
    case TG_CT_INT:
    case TG_CT_COUNT:
        range(row, "a whole number", plain, out, cap);
        break;
    case TG_CT_DOUBLE:
        range(row, "a number", plain, out, cap);
        break;
    case TG_CT_PRICE:
        range(row, "a price in USD per million tokens", plain, out, cap);
        break;
    case TG_CT_BOOL:
        snprintf(out, cap, "true or false");
        break;
    case TG_CT_DURATION:
        range(row, "a duration (500ms, 30s, 5m)", duration, out, cap);
        break;
    case TG_CT_BYTES:
    case TG_CT_BYTES32:
        range(row, "a size (512, 64KiB, 20MB)", bytes, out, cap);
        break;
    case TG_CT_ENUM:
        words_list(row->words, out, cap);
        break;
    case TG_CT_LIST:
        snprintf(out, cap, "a list of at most %" PRId64 " words", row->max);
        break;
    case TG_CT_URL:
        snprintf(out, cap, "an http:// or https:// URL");
        break;
    case TG_CT_HEADERS:
        snprintf(out, cap, "a map of at most %" PRId64 " header names to values", row->max);
        break;
    case TG_CT_PATH:
        snprintf(out, cap, "a file name");
        break;
    case TG_CT_SECRET:
    case TG_CT_STR:
        snprintf(out, cap, "a text of at most %" PRId64 " bytes", row->max);
        break;
    }
    return out;
}

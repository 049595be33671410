/* The settings in effect, for `check-config`. Secrets are written as ***; origins are only asked
 * whether they are set, since the names that they point to ended with the load. */
#include <inttypes.h>

#include "base/err.h"
#include "config/load_priv.h"

static void write_list(struct tg_buf *out, const struct tg_str_list *list)
{
    tg_buf_char(out, '[');
    for (size_t i = 0; i < list->n; i++) {
        tg_buf_str_add(out, i ? TG_STR(", ") : TG_STR(""));
        tg_buf_json_str(out, list->v[i]);
    }
    tg_buf_char(out, ']');
}

static void write_duration(struct tg_buf *out, uint32_t ms)
{
    if (ms % 1000)
        tg_buf_printf(out, "%ums", ms);
    else
        tg_buf_printf(out, "%us", ms / 1000);
}

static void write_word(struct tg_buf *out, const struct tg_conf_word *w, uint32_t value)
{
    while (w->name && w->value != (int)value)
        w++;
    tg_buf_printf(out, "%s", w->name ? w->name : "none");
}

static void write_price(struct tg_buf *out, int64_t nusd)
{
    if (nusd < 0)
        tg_buf_lit(out, "unknown");
    else
        tg_buf_printf(out, "%" PRId64 ".%09" PRId64, nusd / 1000000000, nusd % 1000000000);
}

static void write_value(struct tg_buf *out, const struct tg_conf_row *row, const void *base)
{
    const void *p = (const char *)base + row->offset;
    switch (row->type) {
    case TG_CT_STR:
    case TG_CT_PATH:
        tg_buf_json_str(out, *(const struct tg_str *)p);
        break;
    case TG_CT_INT:
    case TG_CT_BYTES32:
        tg_buf_u64(out, *(const uint32_t *)p);
        break;
    case TG_CT_COUNT:
    case TG_CT_BYTES:
        tg_buf_u64(out, *(const uint64_t *)p);
        break;
    case TG_CT_BOOL:
        tg_buf_printf(out, "%s", *(const bool *)p ? "true" : "false");
        break;
    case TG_CT_DURATION:
        write_duration(out, *(const uint32_t *)p);
        break;
    case TG_CT_DOUBLE:
        tg_buf_printf(out, "%g", *(const double *)p);
        break;
    case TG_CT_ENUM:
        write_word(out, row->words, *(const uint32_t *)p);
        break;
    case TG_CT_LIST:
        write_list(out, p);
        break;
    case TG_CT_URL:
        tg_buf_json_str(out, ((const struct tg_config_url *)p)->text);
        break;
    case TG_CT_SECRET:
        tg_buf_printf(out, "%s", tg_secret_print(*(const struct tg_secret *const *)p));
        break;
    case TG_CT_PRICE:
        write_price(out, *(const int64_t *)p);
        break;
    case TG_CT_HEADERS:
        tg_buf_lit(out, "***");
        break;
    }
}

static void write_model(struct tg_buf *out, const struct tg_conf_model_def *d)
{
    for (size_t i = 0; i < tg_conf_model_table.n; i++) {
        const struct tg_conf_row *row = &tg_conf_model_table.rows[i];
        if (!d->origin[i].file)
            continue;
        tg_buf_printf(out, "models.%.*s.%s = ", TG_STR_ARG(d->model.name), row->key);
        write_value(out, row, d);
        tg_buf_char(out, '\n');
    }
    if (d->target.unavailable.n)
        tg_buf_printf(out, "# models.%.*s is unavailable: %.*s\n", TG_STR_ARG(d->model.name),
                      TG_STR_ARG(d->target.unavailable));
}

int tg_config_write_effective(const struct tg_snapshot *s, struct tg_buf *out)
{
    const struct tg_snapshot_refs *refs = s->refs;
    for (size_t i = 0; i < tg_conf_global.n; i++) {
        const struct tg_conf_row *row = &tg_conf_global.rows[i];
        tg_buf_printf(out, "%s = ", row->key);
        if (tg_str_eq(tg_str_c(row->key), TG_STR("default_model")))
            tg_buf_json_str(out, s->default_model);
        else
            write_value(out, row, refs->raw);
        tg_buf_char(out, '\n');
    }
    for (size_t i = 0; i < refs->n_defs; i++)
        write_model(out, &refs->defs[i]);
    return tg_buf_ok(out) ? 0 : TG_E_FULL;
}

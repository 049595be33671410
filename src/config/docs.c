/* The schema for people: the reference in docs/configuration.md and the settings part of --help. */
#include <stdio.h>

#include "base/err.h"
#include "config/load_priv.h"

static struct tg_str section_of(const char *key)
{
    struct tg_str k = tg_str_c(key);
    ptrdiff_t dot = tg_str_chr(k, '.');
    return dot < 0 ? (struct tg_str){NULL, 0} : tg_str_first(k, (size_t)dot);
}

static const char *default_text(const struct tg_conf_row *row)
{
    if (row->def_doc)
        return row->def_doc;
    return row->def ? row->def : "none";
}

/* A table cell: '|' would end it. */
static void cell(struct tg_buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '|')
            tg_buf_char(out, '\\');
        tg_buf_char(out, *text);
    }
}

static void table_row(struct tg_buf *out, const struct tg_conf_row *row, bool with_env)
{
    char expects[256], env[160];
    tg_buf_printf(out, "| `%s` | ", row->key);
    if (with_env)
        tg_buf_printf(out, "`%s` | ", tg_conf_row_env(row, env, sizeof(env)));
    if (row->def && !row->def_doc)
        tg_buf_printf(out, "`%s`", row->def);
    else
        cell(out, default_text(row));
    tg_buf_lit(out, " | ");
    cell(out, tg_conf_row_expects(row, expects, sizeof(expects)));
    tg_buf_lit(out, " | ");
    cell(out, row->help);
    tg_buf_lit(out, " |\n");
}

static void global_tables(struct tg_buf *out)
{
    struct tg_str section = TG_STR("?");
    for (size_t i = 0; i < tg_conf_global.n; i++) {
        const struct tg_conf_row *row = &tg_conf_global.rows[i];
        if (!tg_str_eq(section_of(row->key), section)) {
            section = section_of(row->key);
            if (section.n)
                tg_buf_printf(out, "\n### `%.*s`\n\n", TG_STR_ARG(section));
            else
                tg_buf_lit(out, "### General\n\n");
            tg_buf_lit(out, "| setting | variable | default | value | meaning |\n"
                            "|---|---|---|---|---|\n");
        }
        table_row(out, row, true);
    }
}

int tg_config_write_docs(struct tg_buf *out)
{
    global_tables(out);
    tg_buf_lit(out, "\n### `models.<name>`\n\n"
                    "| setting | default | value | meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; i < tg_conf_model_table.n; i++)
        table_row(out, &tg_conf_model_table.rows[i], false);
    tg_conf_provider_docs(out);
    return tg_buf_ok(out) ? 0 : TG_E_FULL;
}

int tg_config_write_help(struct tg_buf *out)
{
    char env[160];
    for (size_t i = 0; i < tg_conf_global.n; i++) {
        const struct tg_conf_row *row = &tg_conf_global.rows[i];
        tg_buf_printf(out, "  %-34s %s\n      %s Default: %s.\n", row->key,
                      tg_conf_row_env(row, env, sizeof(env)), row->help, default_text(row));
    }
    return tg_buf_ok(out) ? 0 : TG_E_FULL;
}

/* The list of what is wrong with a configuration. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "config/load_priv.h"

void tg_config_report_init(struct tg_config_report *r)
{
    *r = (struct tg_config_report){0};
}

void tg_config_report_fini(struct tg_config_report *r)
{
    tg_free(r->v);
    tg_config_report_init(r);
}

/* Makes a text fit for a terminal and a JSON log: control bytes and invalid UTF-8 become '?'. */
static void make_printable(char *s)
{
    struct tg_str rest = tg_str_c(s);
    while (rest.n) {
        size_t len = tg_utf8_len(rest), at = (size_t)(rest.p - s);
        bool control = (unsigned char)s[at] < 0x20 || s[at] == 0x7f;
        if (len == 0 || control) {
            s[at] = '?';
            len = 1;
        }
        rest = tg_str_from(rest, len);
    }
}

static void cut(char *out, size_t cap, const char *s)
{
    size_t n = strlen(s);
    if (n >= cap)
        n = tg_utf8_whole(tg_str_make(s, cap - 1));
    memcpy(out, s, n);
    out[n] = '\0';
    make_printable(out);
}

static struct tg_config_problem *report_slot(struct tg_config_report *r)
{
    if (r->n >= TG_CONFIG_MAX_PROBLEMS)
        return NULL;
    if (!r->v) {
        r->v = tg_calloc(TG_CONFIG_MAX_PROBLEMS, sizeof(*r->v));
        if (!r->v) {
            r->nomem = true;
            return NULL;
        }
    }
    return &r->v[r->n++];
}

void tg_conf_problem(struct tg_config_report *r, enum tg_config_severity severity,
                     const struct tg_conf_origin *where, struct tg_str key, const char *fmt, ...)
{
    if (severity == TG_CONFIG_ERROR)
        r->n_errors++;
    else
        r->n_warnings++;
    struct tg_config_problem *p = report_slot(r);
    if (!p)
        return;
    p->severity = severity;
    if (where) {
        p->line = where->line;
        p->column = where->column;
        cut(p->file, sizeof(p->file), where->file ? where->file : "");
    }
    char text[1024];
    tg_str_to_c(key, text, sizeof(text));
    cut(p->key, sizeof(p->key), text);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    cut(p->message, sizeof(p->message), text);
}

static void problem_write(const struct tg_config_problem *p, struct tg_buf *out)
{
    if (p->file[0])
        tg_buf_printf(out, "%s:", p->file);
    if (p->line)
        tg_buf_printf(out, "%u:%u:", p->line, p->column);
    if (p->file[0])
        tg_buf_char(out, ' ');
    tg_buf_printf(out, "%s: ", p->severity == TG_CONFIG_ERROR ? "error" : "warning");
    if (p->key[0])
        tg_buf_printf(out, "%s: ", p->key);
    tg_buf_printf(out, "%s\n", p->message);
}

int tg_config_report_write(const struct tg_config_report *r, struct tg_buf *out)
{
    for (size_t i = 0; i < r->n; i++)
        problem_write(&r->v[i], out);
    size_t hidden = r->n_errors + r->n_warnings - r->n;
    if (hidden)
        tg_buf_printf(out, "%zu more not shown\n", hidden);
    return tg_buf_ok(out) ? 0 : TG_E_FULL;
}

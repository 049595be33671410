/* The environment's layers, and ${NAME} in configuration files. */
#include "base/buf.h"
#include "config/load_priv.h"

enum { MAX_VAR_NAME = 128, MAX_EXPANDED_BYTES = 64 * 1024 };

static bool process_env(const char *const *env, struct tg_str name, struct tg_str *out)
{
    for (; env && *env; env++) {
        struct tg_str e = tg_str_c(*env);
        if (e.n > name.n && e.p[name.n] == '=' && tg_str_starts(e, name)) {
            *out = tg_str_from(e, name.n + 1);
            return out->n > 0;
        }
    }
    return false;
}

bool tg_conf_env_get(const struct tg_conf_env *env, struct tg_str name, struct tg_str *out,
                     struct tg_conf_origin *out_where)
{
    struct tg_conf_origin where = {"environment", 0, 0};
    bool found = process_env(env->process, name, out);
    for (const struct tg_conf_var *v = env->dotenv; v && !found; v = v->next) {
        if (v->value.n == 0 || !tg_str_eq(v->name, name))
            continue;
        *out = v->value;
        where = (struct tg_conf_origin){v->file, v->line, 1};
        found = true;
    }
    if (found && out_where)
        *out_where = where;
    return found;
}

/* ---- ${NAME} ---- */

static size_t var_name_len(struct tg_str s)
{
    size_t n = 0;
    while (n < s.n && n <= MAX_VAR_NAME &&
           ((s.p[n] >= 'A' && s.p[n] <= 'Z') || (s.p[n] >= 'a' && s.p[n] <= 'z') || s.p[n] == '_' ||
            (n > 0 && s.p[n] >= '0' && s.p[n] <= '9')))
        n++;
    return n;
}

/* `inner` is what stands between the braces. */
static int expand_one(struct tg_conf_load *l, struct tg_str inner, struct tg_buf *b,
                      const char **out_why)
{
    size_t n = var_name_len(inner);
    struct tg_str name = tg_str_first(inner, n), tail = tg_str_from(inner, n), value;
    bool has_default = tg_str_starts(tail, TG_STR(":-"));
    *out_why = "expected ${NAME} or ${NAME:-default}; write $$ for a dollar sign";
    if (n == 0 || n > MAX_VAR_NAME || (tail.n && !has_default))
        return TG_E_INVALID_ARG;
    if (!tg_conf_env_get(&l->env, name, &value, NULL)) {
        if (!has_default) {
            l->missing = tg_arena_dup(l->arena, name);
            return TG_E_NOT_FOUND_INTERNAL;
        }
        value = tg_str_from(tail, 2);
    }
    return tg_buf_str_add(b, value);
}

static int expand_into(struct tg_conf_load *l, struct tg_str text, struct tg_buf *b,
                       const char **out_why)
{
    while (text.n) {
        ptrdiff_t at = tg_str_chr(text, '$');
        size_t plain = at < 0 ? text.n : (size_t)at;
        int rc = tg_buf_str_add(b, tg_str_first(text, plain));
        if (rc)
            return rc;
        text = tg_str_from(text, plain);
        if (text.n < 2 || (text.p[1] != '{' && text.p[1] != '$')) {
            rc = tg_buf_str_add(b, tg_str_first(text, 1)); /* a lone dollar sign, or the end */
            text = tg_str_from(text, 1);
        } else if (text.p[1] == '$') {
            rc = tg_buf_char(b, '$');
            text = tg_str_from(text, 2);
        } else {
            ptrdiff_t end = tg_str_chr(text, '}');
            *out_why = "${ without }";
            if (end < 0)
                return TG_E_INVALID_ARG;
            rc = expand_one(l, tg_str_first(tg_str_from(text, 2), (size_t)end - 2), b, out_why);
            text = tg_str_from(text, (size_t)end + 1);
        }
        if (rc)
            return rc;
    }
    return 0;
}

int tg_conf_expand(struct tg_conf_load *l, struct tg_arena *a, struct tg_str text,
                   struct tg_str *out, const char **out_why)
{
    struct tg_buf b;
    tg_buf_init(&b, MAX_EXPANDED_BYTES);
    int rc = expand_into(l, text, &b, out_why);
    if (rc == TG_E_FULL) {
        *out_why = "too long once expanded (at most 64 KiB)";
        rc = TG_E_INVALID_ARG;
    }
    if (rc == 0) {
        *out = tg_arena_dup(a, tg_buf_str(&b));
        rc = out->n == b.n ? 0 : TG_E_NOMEM;
    }
    if (b.p)
        tg_secret_wipe(b.p, b.n);
    tg_buf_fini(&b);
    return rc;
}

/* Where the database is. A relative name starts where it was written; without one the place is that
 * of programs' state by the XDG Base Directory Specification, and the memory where the user has no
 * home. */
#include "base/err.h"
#include "config/load_priv.h"

#define MEMORY "memory"

/* As the specification wants it, a relative one is ignored. */
static bool folder(const struct tg_conf_load *l, const char *variable, struct tg_str *out)
{
    struct tg_str v;
    if (!tg_conf_env_get(&l->env, tg_str_c(variable), &v, NULL) || !v.n || v.p[0] != '/')
        return false;
    *out = v;
    return true;
}

static struct tg_str usual(const struct tg_conf_load *l)
{
    struct tg_str dir;
    if (folder(l, "XDG_STATE_HOME", &dir))
        return tg_arena_printf(l->arena, "%.*s/tollgate/tollgate.db", TG_STR_ARG(dir));
    if (folder(l, "HOME", &dir))
        return tg_arena_printf(l->arena, "%.*s/.local/state/tollgate/tollgate.db", TG_STR_ARG(dir));
    return TG_STR(MEMORY);
}

int tg_conf_store_path(struct tg_conf_load *l)
{
    struct tg_store_settings *s = &l->raw->settings.store;
    const struct tg_conf_origin *at = tg_conf_where(l, "store.path");
    s->path_is_default = s->path.n == 0;
    if (tg_str_eq(s->path, TG_STR(MEMORY)))
        return 0;
    if (s->path_is_default) {
        s->path = usual(l);
    } else {
        bool from_file = l->file.n && at && at->file && tg_str_eq(tg_str_c(at->file), l->file);
        struct tg_str dir = from_file ? l->file_dir : tg_str_c(l->src->cwd);
        s->path = tg_conf_path_join(l->arena, dir, s->path);
    }
    return s->path.p ? 0 : TG_E_NOMEM;
}

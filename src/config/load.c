/* tg_config_load(): the order of things. Files are found and read, the environment is layered, the
 * schema is applied, models become targets and routes, and only then there is a snapshot. */
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "config/load_priv.h"
#include "config/node_priv.h"

enum { SCRATCH_MAX_BYTES = 64 * 1024 * 1024, ARENA_MAX_BYTES = 32 * 1024 * 1024, MAX_FILES = 64 };

int tg_conf_note_file(struct tg_conf_load *l, struct tg_str path)
{
    struct tg_str_list *files = &l->refs->snapshot.files;
    if (files->n >= MAX_FILES)
        return 0;
    struct tg_str *v = tg_arena_array(l->arena, files->n + 1, sizeof(*v));
    if (!v)
        return TG_E_NOMEM;
    for (size_t i = 0; i < files->n; i++)
        v[i] = files->v[i];
    v[files->n] = tg_arena_dup(l->arena, path);
    *files = (struct tg_str_list){v, files->n + 1};
    return v[files->n - 1].p ? 0 : TG_E_NOMEM;
}

static struct tg_str work_dir(const struct tg_conf_load *l)
{
    return l->src->cwd ? tg_str_c(l->src->cwd) : TG_STR(".");
}

/* ---- the configuration file ---- */

/* Reads `name` if it is there. *out_found tells. */
static int read_config_file(struct tg_conf_load *l, struct tg_str name, struct tg_str *out_text,
                            bool *out_found)
{
    struct tg_conf_origin at = {tg_arena_cstr(&l->scratch, name), 0, 0};
    struct tg_str path = tg_conf_path_join(&l->scratch, tg_str_c(l->src->cwd), name);
    *out_found = false;
    if (!at.file || !path.p)
        return TG_E_NOMEM;
    int rc = tg_conf_file_read(l, path, TG_CONF_MAX_FILE_BYTES, &at, TG_CONF_NO_KEY, out_text);
    if (rc == TG_E_NOT_FOUND_INTERNAL)
        return 0;
    if (rc)
        return tg_conf_go_on(rc);
    *out_found = true;
    l->file = tg_str_c(at.file);
    l->file_dir = tg_conf_path_dir(path);
    return tg_conf_note_file(l, path);
}

/* A configuration that was given as text, in memory of our own: it is wiped after use. */
static int take_text(struct tg_conf_load *l, struct tg_str *out_text, bool *out_found)
{
    if (l->src->text.n > TG_CONF_MAX_FILE_BYTES) {
        static const struct tg_conf_origin where = {"text", 0, 0};
        tg_conf_error(l, &where, TG_CONF_NO_KEY, "too big: at most %d bytes are allowed",
                      TG_CONF_MAX_FILE_BYTES);
        return 0;
    }
    l->file = TG_STR("text");
    *out_text = tg_arena_dup(&l->scratch, l->src->text);
    *out_found = true;
    return out_text->p ? 0 : TG_E_NOMEM;
}

static int find_config_file(struct tg_conf_load *l, struct tg_str *out_text, bool *out_found)
{
    static const char *const usual[] = {"tollgate.yaml", "config/models.yaml"};
    struct tg_conf_origin where = {"command line", 0, 0};
    struct tg_str name = tg_str_c(l->src->config_file), key = TG_STR("--config");
    *out_found = false;
    if (l->src->text.p)
        return take_text(l, out_text, out_found);
    if (name.n == 0 && tg_conf_env_get(&l->env, TG_STR("TOLLGATE_CONFIG"), &name, &where))
        key = TG_STR("TOLLGATE_CONFIG");
    if (name.n) {
        size_t errors = l->report->n_errors;
        int rc = read_config_file(l, name, out_text, out_found);
        if (rc == 0 && !*out_found && errors == l->report->n_errors)
            tg_conf_error(l, &where, key, "there is no file '%.*s'", TG_STR_ARG(name));
        return rc;
    }
    for (size_t i = 0; i < TG_ARRAY_LEN(usual) && !*out_found; i++) {
        int rc = read_config_file(l, tg_str_c(usual[i]), out_text, out_found);
        if (rc)
            return rc;
    }
    return 0;
}

static int read_dotenv(struct tg_conf_load *l, struct tg_str dir)
{
    if (!l->src->no_dotenv)
        return tg_conf_dotenv_load(l, dir);
    struct tg_str name = TG_STR("dev");
    tg_conf_env_get(&l->env, TG_STR("ENVIRONMENT"), &name, NULL);
    l->raw->environment = tg_arena_dup(l->arena, name);
    return l->raw->environment.p ? 0 : TG_E_NOMEM;
}

static bool same_dir(struct tg_str a, struct tg_str b)
{
    while (a.n > 1 && a.p[a.n - 1] == '/')
        a.n--;
    while (b.n > 1 && b.p[b.n - 1] == '/')
        b.n--;
    return tg_str_eq(a.n ? a : TG_STR("."), b.n ? b : TG_STR("."));
}

/* Everything that is outside: .env files and the configuration file's tree. */
static int read_inputs(struct tg_conf_load *l, struct tg_conf_node **out_root)
{
    struct tg_str text;
    bool found;
    int rc = read_dotenv(l, work_dir(l));
    if (rc == 0)
        rc = find_config_file(l, &text, &found);
    if (rc || !found)
        return rc;
    if (!l->src->no_dotenv && !l->src->text.p && !same_dir(l->file_dir, work_dir(l)))
        rc = tg_conf_dotenv_load(l, l->file_dir);
    if (rc == 0)
        rc = tg_conf_go_on(tg_conf_yaml_read(l, text, l->file.p, out_root));
    tg_secret_wipe((char *)(uintptr_t)text.p, text.n);
    return rc;
}

/* ---- layers of settings ---- */

static int apply_env(struct tg_conf_load *l)
{
    char buf[160];
    for (size_t i = 0; i < tg_conf_global.n; i++) {
        const struct tg_conf_row *row = &tg_conf_global.rows[i];
        struct tg_str name = tg_str_c(tg_conf_row_env(row, buf, sizeof(buf))), value;
        struct tg_conf_origin where;
        if (!tg_conf_env_get(&l->env, name, &value, &where))
            continue;
        l->raw_origin[i] = where;
        int rc = tg_conf_set(l, row, l->raw, value, &where, name);
        if (tg_conf_go_on(rc))
            return rc;
    }
    return 0;
}

static int apply_override(struct tg_conf_load *l, struct tg_str text)
{
    static const struct tg_conf_origin where = {"command line", 0, 0};
    struct tg_str value = text, key;
    const struct tg_conf_row *row = NULL;
    if (tg_str_split(&value, '=', &key) && value.p)
        row = tg_conf_row_find(&tg_conf_global, key);
    if (!row) {
        struct tg_str near = tg_conf_nearest_key(&tg_conf_global, key);
        tg_conf_error(l, &where, key, "expected setting=value, such as server.port=9000%s%.*s%s",
                      near.n ? " (is '" : "", TG_STR_ARG(near), near.n ? "' meant?)" : "");
        return 0;
    }
    l->raw_origin[tg_conf_row_index(&tg_conf_global, row)] = where;
    return tg_conf_go_on(tg_conf_set(l, row, l->raw, value, &where, key));
}

static int apply_overrides(struct tg_conf_load *l)
{
    for (const char *const *o = l->src->overrides; o && *o; o++) {
        int rc = apply_override(l, tg_str_c(*o));
        if (rc)
            return rc;
    }
    return 0;
}

static int apply_settings(struct tg_conf_load *l, const struct tg_conf_node *root)
{
    int rc = tg_conf_set_defaults(l, &tg_conf_global, l->raw);
    if (rc == 0 && root && root->kind == TG_NODE_MAP)
        rc = tg_conf_walk(l, &tg_conf_global, l->raw, l->raw_origin, NULL, "", root);
    if (rc == 0)
        rc = apply_env(l);
    return rc ? rc : apply_overrides(l);
}

static uint32_t count_cores(const struct tg_conf_load *l)
{
    if (l->src->cores)
        return l->src->cores;
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0)
        return (uint32_t)CPU_COUNT(&set);
#endif
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (uint32_t)n : 1;
}

static const struct tg_conf_node *find_models(const struct tg_conf_node *root)
{
    const struct tg_conf_node *n = root && root->kind == TG_NODE_MAP ? root->first : NULL;
    while (n && !tg_str_eq(n->key, TG_STR("models")))
        n = n->next;
    return n;
}

static int run(struct tg_conf_load *l)
{
    struct tg_conf_node *root = NULL;
    int rc = read_inputs(l, &root);
    struct tg_conf_origin top = {l->file.p, 1, 1};
    if (rc == 0 && root && root->kind != TG_NODE_MAP && !root->null)
        tg_conf_error(l, &top, TG_CONF_NO_KEY, "expected a map of settings at the top");
    if (rc == 0)
        rc = apply_settings(l, root);
    if (rc)
        return rc;
    tg_conf_env_check(l);
    tg_conf_check_settings(l);
    if (l->raw->settings.server.workers == 0)
        l->raw->settings.server.workers = count_cores(l);
    rc = tg_conf_store_path(l);
    if (rc == 0)
        rc = tg_conf_models_read(l, find_models(root));
    if (rc == 0)
        rc = tg_conf_models_implied(l);
    if (rc == 0)
        rc = tg_conf_targets_finish(l);
    return rc ? rc : tg_conf_snapshot_build(l);
}

static int load_init(struct tg_conf_load *l, const struct tg_config_source *src,
                     struct tg_config_report *report)
{
    *l = (struct tg_conf_load){.src = src, .report = report, .env.process = src->env};
    l->refs = tg_calloc(1, sizeof(*l->refs));
    if (!l->refs)
        return TG_E_NOMEM;
    l->refs->count = 1;
    l->refs->snapshot.refs = l->refs;
    l->arena = &l->refs->arena;
    tg_arena_init(l->arena, 16 * 1024, ARENA_MAX_BYTES);
    tg_arena_init(&l->scratch, 16 * 1024, SCRATCH_MAX_BYTES);
    l->raw = tg_arena_new(l->arena, struct tg_conf_raw);
    l->raw_origin = tg_arena_array(l->arena, tg_conf_global.n, sizeof(*l->raw_origin));
    return l->raw && l->raw_origin ? 0 : TG_E_NOMEM;
}

int tg_config_load(const struct tg_config_source *src, struct tg_snapshot **out,
                   struct tg_config_report *report)
{
    struct tg_conf_load l;
    size_t errors = report->n_errors;
    int rc = load_init(&l, src, report);
    if (rc == 0)
        rc = run(&l);
    if (rc == 0 && (tg_conf_nomem(&l) || report->nomem))
        rc = TG_E_NOMEM;
    if (rc == 0 && report->n_errors > errors)
        rc = TG_E_CONFIG;
    tg_conf_yaml_wipe(&l);
    tg_conf_dotenv_wipe(&l);
    tg_arena_fini(&l.scratch);
    if (rc) {
        if (l.refs)
            tg_snapshot_unref(&l.refs->snapshot);
        return rc;
    }
    l.refs->raw = l.raw;
    l.refs->defs = l.defs;
    l.refs->n_defs = l.n_defs;
    *out = &l.refs->snapshot;
    return 0;
}

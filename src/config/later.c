/* Settings of later versions. One that would limit, lock or charge is refused, since it would
 * silently not do so; one that would only speed up or store is warned about. */
#include "config/load_priv.h"

struct later {
    const char *name;
    bool prefix;
    enum tg_config_severity severity;
    const char *text;
};

static const struct later later_vars[] = {
    {"MAX_REQUESTS_PER_MINUTE", false, TG_CONFIG_ERROR,
     "rate limits are not available in this version, so this one would not hold: unset it"},
    {"MAX_REQUESTS_PER_HOUR", false, TG_CONFIG_ERROR,
     "rate limits are not available in this version, so this one would not hold: unset it"},
    {"API_KEYS", false, TG_CONFIG_ERROR,
     "client keys are not available in this version, so nobody would be asked for one: unset it"},
    {"REDIS_URL", false, TG_CONFIG_WARNING,
     "Redis is not available in this version; this variable is not used"},
    {"DATABASE_URL", false, TG_CONFIG_WARNING,
     "databases are not available in this version; this variable is not used"},
    {"CACHE_TTL_SECONDS", false, TG_CONFIG_WARNING,
     "the response cache is not available in this version; this variable is not used"},
    {"COST_PER_TOKEN_", true, TG_CONFIG_WARNING,
     "prices by environment are not available in this version; use models.<name>.prices"},
};

static const struct later later_keys[] = {
    {"api_keys", false, TG_CONFIG_ERROR, "client keys are not available in this version"},
    {"keys", false, TG_CONFIG_ERROR, "client keys are not available in this version"},
    {"auth", false, TG_CONFIG_ERROR, "client keys are not available in this version"},
    {"users", false, TG_CONFIG_ERROR, "users are not available in this version"},
    {"teams", false, TG_CONFIG_ERROR, "teams are not available in this version"},
    {"rate_limits", false, TG_CONFIG_ERROR, "rate limits are not available in this version"},
    {"budgets", false, TG_CONFIG_ERROR, "budgets are not available in this version"},
    {"cache", false, TG_CONFIG_ERROR, "the response cache is not available in this version"},
    {"redis", false, TG_CONFIG_ERROR, "Redis is not available in this version"},
    {"database", false, TG_CONFIG_ERROR, "databases are not available in this version"},
    {"batch", false, TG_CONFIG_ERROR, "batch jobs are not available in this version"},
    {"admin", false, TG_CONFIG_ERROR, "the admin interface is not available in this version"},
    {"tracing", false, TG_CONFIG_ERROR, "traces are not available in this version"},
    {"limits.requests_per_minute", false, TG_CONFIG_ERROR,
     "rate limits are not available in this version"},
    {"limits.requests_per_hour", false, TG_CONFIG_ERROR,
     "rate limits are not available in this version"},
    {"environment", false, TG_CONFIG_ERROR,
     "set the environment variable ENVIRONMENT: it chooses which .env file is read"},
};

const char *tg_conf_later_key(struct tg_str key)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(later_keys); i++)
        if (tg_str_eq(tg_str_c(later_keys[i].name), key))
            return later_keys[i].text;
    return NULL;
}

static void check_later(struct tg_conf_load *l, struct tg_str name,
                        const struct tg_conf_origin *where)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(later_vars); i++) {
        struct tg_str known = tg_str_c(later_vars[i].name);
        if (later_vars[i].prefix ? tg_str_starts(name, known) : tg_str_eq(name, known)) {
            tg_conf_problem(l->report, later_vars[i].severity, where, name, "%s",
                            later_vars[i].text);
            return;
        }
    }
}

/* Other parts of the program read these, and Kubernetes makes the last two kinds for a service that
 * is named tollgate. */
static bool is_not_a_setting(struct tg_str name)
{
    static const char *const others[] = {"TOLLGATE_CONFIG", "TOLLGATE_API_KEY",
                                         "TOLLGATE_LLAMA_DIR", "TOLLGATE_BIN", "TOLLGATE_PORT"};
    for (size_t i = 0; i < TG_ARRAY_LEN(others); i++)
        if (tg_str_eq(name, tg_str_c(others[i])))
            return true;
    return tg_str_starts(name, TG_STR("TOLLGATE_PORT_")) ||
           tg_str_starts(name, TG_STR("TOLLGATE_SERVICE_"));
}

/* A variable that begins with TOLLGATE_ is ours, so it has to be one that we know. */
static void check_ours(struct tg_conf_load *l, struct tg_str name,
                       const struct tg_conf_origin *where)
{
    if (!tg_str_starts(name, TG_STR("TOLLGATE_")) || is_not_a_setting(name))
        return;
    char best[160] = "", buf[160];
    unsigned limit = 4;
    for (size_t i = 0; i < tg_conf_global.n; i++) {
        const char *known = tg_conf_row_env(&tg_conf_global.rows[i], buf, sizeof(buf));
        if (tg_str_eq(tg_str_c(known), name))
            return;
        unsigned d = name.n > 64 || strlen(known) > 64
                         ? limit
                         : tg_str_distance(name, tg_str_c(known), limit);
        if (d < limit) {
            limit = d;
            snprintf(best, sizeof(best), "%s", known);
        }
    }
    if (best[0])
        tg_conf_warn(l, where, name, "unknown variable; did you mean %s?", best);
    else
        tg_conf_warn(l, where, name, "unknown variable; it is not used");
}

static void check_var(struct tg_conf_load *l, struct tg_str name, struct tg_str value,
                      const struct tg_conf_origin *where)
{
    if (value.n == 0 || name.n == 0)
        return;
    check_later(l, name, where);
    check_ours(l, name, where);
}

void tg_conf_env_check(struct tg_conf_load *l)
{
    struct tg_conf_origin where = {"environment", 0, 0};
    for (const char *const *e = l->env.process; e && *e; e++) {
        struct tg_str value = tg_str_c(*e), name;
        if (tg_str_split(&value, '=', &name))
            check_var(l, name, value, &where);
    }
    for (const struct tg_conf_var *v = l->env.dotenv; v; v = v->next) {
        where = (struct tg_conf_origin){v->file, v->line, 1};
        check_var(l, v->name, v->value, &where);
    }
}

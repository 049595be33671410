/* The configuration loader: any text gives a sound snapshot or a report that says why not,
 * in printable text; any .env file gives variables without NULs. The first byte's top bit chooses.
 */
#include "base/buf.h"
#include "base/err.h"
#include "config/load_priv.h"
#include "fuzz.h"

static const char *const env[] = {"KEY=sk-1", "URL=http://127.0.0.1:1/v1", "EMPTY=", NULL};

static void check_snapshot(const struct tg_snapshot *s)
{
    struct tg_buf b;
    FUZZ_CHECK(s->n_models > 0 && s->n_models == s->n_targets);
    FUZZ_CHECK(s->route_start[TG_ROUTE_MODEL] == 0);
    FUZZ_CHECK(s->route_start[TG_ROUTE_WILDCARD + 1] == s->n_routes);
    for (size_t i = 0; i < s->n_routes; i++) {
        const struct tg_route *r = &s->routes[i];
        FUZZ_CHECK(r->n_targets >= 1 && r->n_targets <= TG_ROUTE_MAX_TARGETS);
        for (size_t k = 0; k < r->n_targets; k++)
            FUZZ_CHECK(r->targets[k] < s->n_targets);
    }
    for (size_t i = 0; i < s->n_models; i++)
        FUZZ_CHECK(s->models[i].wildcard || tg_snapshot_model(s, s->models[i].name) != NULL);
    FUZZ_CHECK(s->default_model.n == 0 || tg_snapshot_route(s, s->default_model) != NULL);
    tg_buf_init(&b, 4 << 20);
    FUZZ_CHECK(tg_config_write_effective(s, &b) == 0);
    tg_buf_fini(&b);
}

static void check_report(const struct tg_config_report *r)
{
    struct tg_buf b;
    tg_buf_init(&b, 1 << 20);
    FUZZ_CHECK(r->n <= TG_CONFIG_MAX_PROBLEMS && r->n <= r->n_errors + r->n_warnings);
    FUZZ_CHECK(tg_config_report_write(r, &b) == 0);
    for (size_t i = 0; i < b.n; i++)
        FUZZ_CHECK((unsigned char)b.p[i] >= 0x20 || b.p[i] == '\n');
    tg_buf_fini(&b);
}

static void fuzz_yaml(struct tg_str text)
{
    struct tg_config_source src = {
        .env = env, .text = text, .cwd = "/nonexistent", .cores = 2, .no_dotenv = true};
    struct tg_config_report report;
    struct tg_snapshot *s = NULL;
    tg_config_report_init(&report);
    int rc = tg_config_load(&src, &s, &report);
    FUZZ_CHECK(rc == 0 || rc == TG_E_CONFIG);
    FUZZ_CHECK((rc == TG_E_CONFIG) == (report.n_errors > 0));
    check_report(&report);
    if (rc == 0)
        check_snapshot(s);
    tg_snapshot_unref(s);
    tg_config_report_fini(&report);
}

static void fuzz_dotenv(struct tg_str text)
{
    struct tg_config_report report;
    struct tg_conf_load l = {.report = &report};
    struct tg_conf_var *list = NULL;
    tg_config_report_init(&report);
    tg_arena_init(&l.scratch, 4096, 8 << 20);
    tg_conf_dotenv_parse(&l, text, ".env", &list);
    for (const struct tg_conf_var *v = list; v; v = v->next) {
        FUZZ_CHECK(v->name.n > 0 && v->line > 0);
        for (size_t i = 0; i < v->value.n; i++)
            FUZZ_CHECK(v->value.p[i] != '\0');
    }
    check_report(&report);
    tg_arena_fini(&l.scratch);
    tg_config_report_fini(&report);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0)
        return 0;
    struct tg_str text = tg_str_make((const char *)data + 1, n - 1);
    if (data[0] & 0x80)
        fuzz_dotenv(text);
    else
        fuzz_yaml(text);
    return 0;
}

#include <sys/resource.h>

#include "admin/view.h"
#include "base/clock.h"
#include "base/err.h"
#include "json/write.h"

#define K(lit) TG_STR(lit)

static int done(const struct tg_buf *out)
{
    return tg_buf_ok(out) ? 0 : TG_E_NOMEM;
}

/* ---- models ---- */

/* Nano-USD per million tokens as USD per million tokens; null when no price is known. */
static void write_price(struct tg_jw *w, struct tg_str key, int64_t nusd)
{
    if (nusd < 0)
        tg_jw_kraw(w, key, TG_STR("null"));
    else
        tg_jw_kdouble(w, key, (double)nusd / 1e9);
}

static void write_size(struct tg_jw *w, struct tg_str key, uint64_t n)
{
    if (n)
        tg_jw_ki64(w, key, (int64_t)n);
    else
        tg_jw_kraw(w, key, TG_STR("null"));
}

static void write_pricing(struct tg_jw *w, const struct tg_price *p)
{
    tg_jw_key(w, K("pricing"));
    tg_jw_obj(w);
    write_price(w, K("input_usd_per_million_tokens"), p->input_nusd_per_mtok);
    write_price(w, K("output_usd_per_million_tokens"), p->output_nusd_per_mtok);
    tg_jw_end_obj(w);
}

static void write_names(struct tg_jw *w, struct tg_str key, const struct tg_str_list *l)
{
    tg_jw_key(w, key);
    tg_jw_arr(w);
    for (size_t i = 0; i < l->n; i++)
        tg_jw_str(w, l->v[i]);
    tg_jw_end_arr(w);
}

/* What Anthropic's clients look for beside: one list serves both. */
static void write_anthropic(struct tg_jw *w, const struct tg_admin_view *v)
{
    char iso[40];
    size_t n = tg_clock_iso(v->started_wall_us, iso, sizeof iso);
    tg_jw_kstr(w, K("type"), K("model"));
    tg_jw_kstr(w, K("created_at"), tg_str_make(iso, n));
}

static void write_end(struct tg_jw *w, struct tg_str key, const struct tg_model *m)
{
    if (m)
        tg_jw_kstr(w, key, m->name);
    else
        tg_jw_kraw(w, key, K("null"));
}

static void write_model(struct tg_jw *w, const struct tg_admin_view *v, const struct tg_model *m)
{
    const struct tg_snapshot *s = v->epoch->snapshot;
    const struct tg_target *t = &s->targets[m->target];
    const char *tier = tg_tier_name(m->tier);
    tg_jw_obj(w);
    tg_jw_kstr(w, K("id"), m->name);
    tg_jw_kstr(w, K("object"), K("model"));
    tg_jw_ki64(w, K("created"), v->started_wall_us / 1000000);
    write_anthropic(w, v);
    tg_jw_kstr(w, K("owned_by"), tg_str_c(tg_backend_kind_name(t->kind)));
    tg_jw_kstr(w, K("display_name"), m->display_name);
    if (*tier)
        tg_jw_kstr(w, K("tier"), tg_str_c(tier));
    else
        tg_jw_kraw(w, K("tier"), K("null"));
    tg_jw_kstr(w, K("backend_type"), tg_str_c(tg_backend_kind_name(t->kind)));
    tg_jw_kstr(w, K("backend_model"), t->model_name);
    write_size(w, K("context_length"), m->context_length);
    write_size(w, K("max_tokens"), m->max_tokens);
    write_pricing(w, &m->price);
    write_names(w, K("aliases"), &m->aliases);
    tg_jw_kbool(w, K("default"), tg_str_eq(m->name, s->default_model));
    tg_jw_kbool(w, K("available"), t->unavailable.n == 0);
    if (t->unavailable.n)
        tg_jw_kstr(w, K("unavailable_reason"), t->unavailable);
    tg_jw_end_obj(w);
}

int tg_admin_models(const struct tg_admin_view *v, struct tg_buf *out)
{
    const struct tg_snapshot *s = v->epoch->snapshot;
    struct tg_jw w = tg_jw(out);
    tg_jw_obj(&w);
    tg_jw_kstr(&w, K("object"), K("list"));
    tg_jw_key(&w, K("data"));
    tg_jw_arr(&w);
    for (size_t i = 0; i < s->n_models; i++)
        write_model(&w, v, &s->models[i]);
    tg_jw_end_arr(&w);
    tg_jw_kbool(&w, K("has_more"), false);
    write_end(&w, K("first_id"), s->n_models ? &s->models[0] : NULL);
    write_end(&w, K("last_id"), s->n_models ? &s->models[s->n_models - 1] : NULL);
    tg_jw_end_obj(&w);
    return done(out);
}

int tg_admin_model(const struct tg_admin_view *v, struct tg_str id, struct tg_buf *out,
                   struct tg_fail *fail)
{
    const struct tg_model *m = tg_epoch_model(v->epoch, id, fail);
    if (!m)
        return fail->err ? fail->err : TG_E_MODEL_NOT_FOUND;
    struct tg_jw w = tg_jw(out);
    write_model(&w, v, m);
    return done(out);
}

/* ---- health ---- */

static void write_provider(struct tg_jw *w, const struct tg_admin_view *v, size_t i)
{
    const struct tg_target *t = &v->epoch->snapshot->targets[i];
    tg_jw_obj(w);
    tg_jw_kstr(w, K("name"), t->name);
    tg_jw_kstr(w, K("backend_type"), tg_str_c(tg_backend_kind_name(t->kind)));
    tg_jw_kbool(w, K("available"), t->unavailable.n == 0);
    if (t->unavailable.n)
        tg_jw_kstr(w, K("reason"), t->unavailable);
    int number;
    tg_jw_kstr(w, K("circuit"), tg_str_c(tg_epoch_circuit(v->epoch, i, &number)));
    tg_jw_ki64(w, K("in_flight"), v->epoch->targets[i].in_flight);
    tg_jw_end_obj(w);
}

static void write_engine(struct tg_jw *w, const struct tg_admin_engine *e)
{
    tg_jw_obj(w);
    tg_jw_kstr(w, K("name"), e->name);
    tg_jw_kstr(w, K("state"), tg_str_c(e->state));
    tg_jw_kdouble(w, K("progress"), (double)e->progress_permille / 1000.0);
    tg_jw_ki64(w, K("running"), e->running);
    tg_jw_ki64(w, K("waiting"), e->waiting);
    tg_jw_ki64(w, K("restarts"), e->restarts);
    if (e->n_ctx) {
        tg_jw_kstr(w, K("description"), tg_str_c(e->description));
        tg_jw_ki64(w, K("parameters"), (int64_t)e->n_params);
        tg_jw_ki64(w, K("context_length"), e->n_ctx);
        tg_jw_ki64(w, K("slots"), e->slots);
        tg_jw_ki64(w, K("load_ms"), e->load_ms);
        tg_jw_ki64(w, K("resident_bytes"), (int64_t)e->resident_bytes);
        tg_jw_kstr(w, K("library"), tg_str_c(e->library));
    }
    if (e->reason && *e->reason)
        tg_jw_kstr(w, K("reason"), tg_str_c(e->reason));
    tg_jw_end_obj(w);
}

/* Ready: not draining, and at least one model that could answer. */
static bool is_ready(const struct tg_admin_view *v)
{
    if (v->draining)
        return false;
    for (size_t i = 0; i < v->epoch->snapshot->n_targets; i++) {
        int circuit;
        (void)tg_epoch_circuit(v->epoch, i, &circuit); /* only its number matters */
        if (!v->epoch->snapshot->targets[i].unavailable.n && circuit != 1)
            return true;
    }
    return false;
}

static void write_stores(struct tg_jw *w)
{
    tg_jw_key(w, K("stores"));
    tg_jw_obj(w);
    tg_jw_key(w, K("memory"));
    tg_jw_obj(w);
    tg_jw_kstr(w, K("status"), K("ok"));
    tg_jw_end_obj(w);
    tg_jw_key(w, K("redis"));
    tg_jw_obj(w);
    tg_jw_kstr(w, K("status"), K("not_configured"));
    tg_jw_end_obj(w);
    tg_jw_end_obj(w);
}

static void write_engines(struct tg_jw *w, const struct tg_admin_view *v)
{
    tg_jw_key(w, K("local_models"));
    tg_jw_arr(w);
    for (size_t i = 0; i < v->n_engines; i++)
        write_engine(w, &v->engines[i]);
    tg_jw_end_arr(w);
    bool loaded = false;
    for (size_t i = 0; i < v->n_engines; i++)
        loaded = loaded || strcmp(v->engines[i].state, "ready") == 0;
    tg_jw_kbool(w, K("model_loaded"), loaded);
}

int tg_admin_health(const struct tg_admin_view *v, struct tg_buf *out, int *out_status)
{
    const struct tg_snapshot *s = v->epoch->snapshot;
    bool ready = is_ready(v);
    struct tg_jw w = tg_jw(out);
    tg_jw_obj(&w);
    tg_jw_kstr(&w, K("status"),
               v->draining ? K("draining")
               : ready     ? K("healthy")
                           : K("unhealthy"));
    tg_jw_kstr(&w, K("version"), K(TG_VERSION));
    tg_jw_kstr(&w, K("environment"), s->environment);
    tg_jw_kdouble(&w, K("uptime_seconds"), (double)(v->now_wall_us - v->started_wall_us) / 1e6);
    tg_jw_ki64(&w, K("workers"), (int64_t)v->n_workers);
    tg_jw_ki64(&w, K("active_requests"), (int64_t)v->gauges[TG_GAUGE_ACTIVE]);
    tg_jw_kstr(&w, K("default_model"), s->default_model);
    write_stores(&w);
    tg_jw_key(&w, K("providers"));
    tg_jw_arr(&w);
    for (size_t i = 0; i < s->n_targets; i++)
        write_provider(&w, v, i);
    tg_jw_end_arr(&w);
    write_engines(&w, v);
    tg_jw_end_obj(&w);
    *out_status = ready ? 200 : 503;
    return done(out);
}

/* ---- metrics ---- */

static void write_model_info(const struct tg_admin_view *v, struct tg_buf *out)
{
    const struct tg_snapshot *s = v->epoch->snapshot;
    (void)tg_buf_lit(out, "# HELP llm_gateway_model_info Configured models; the value is 1.\n"
                          "# TYPE llm_gateway_model_info gauge\n"); /* done() tests the buffer */
    for (size_t i = 0; i < s->n_models; i++) {
        const struct tg_model *m = &s->models[i];
        const struct tg_target *t = &s->targets[m->target];
        (void)tg_buf_lit(out, "llm_gateway_model_info{model=\"");
        tg_metrics_escape(out, m->name);
        (void)tg_buf_lit(out, "\",backend_type=\"");
        tg_metrics_escape(out, tg_str_c(tg_backend_kind_name(t->kind)));
        (void)tg_buf_lit(out, "\",backend_model=\"");
        tg_metrics_escape(out, t->model_name);
        (void)tg_buf_lit(out, "\"} 1\n");
    }
}

/* As the worker that answers sees it: 0 closed, 1 open, 2 half open. */
static void write_circuits(const struct tg_admin_view *v, struct tg_buf *out)
{
    const struct tg_snapshot *s = v->epoch->snapshot;
    (void)tg_buf_lit(out, "# HELP llm_gateway_circuit_state Breaker of a target in the answering "
                          "worker: 0 closed, 1 open, 2 half open.\n"
                          "# TYPE llm_gateway_circuit_state gauge\n");
    for (size_t i = 0; i < s->n_targets; i++) {
        (void)tg_buf_lit(out, "llm_gateway_circuit_state{target=\"");
        tg_metrics_escape(out, s->targets[i].name);
        int circuit;
        (void)tg_epoch_circuit(v->epoch, i, &circuit);
        (void)tg_buf_printf(out, "\"} %d\n", circuit);
    }
}

static void write_gauges(const struct tg_admin_view *v, struct tg_buf *out)
{
    static const struct {
        const char *name, *type, *help;
    } gauges[TG_GAUGE_COUNT] = {
#define X(id, name, type, help) [TG_GAUGE_##id] = {name, type, help},
        TG_GAUGES(X)
#undef X
    };
    for (size_t i = 0; i < TG_GAUGE_COUNT; i++)
        tg_metrics_line(out, gauges[i].name, gauges[i].help, gauges[i].type, TG_STR(""),
                        v->gauges[i]);
}

static void write_process(const struct tg_admin_view *v, struct tg_buf *out)
{
    struct rusage ru;
    (void)tg_buf_printf(out,
                        "# HELP llm_gateway_loop_lag_seconds Longest turn of an event loop since "
                        "the last scrape.\n# TYPE llm_gateway_loop_lag_seconds gauge\n"
                        "llm_gateway_loop_lag_seconds %llu.%06llu\n",
                        (unsigned long long)(v->max_lag_us / 1000000),
                        (unsigned long long)(v->max_lag_us % 1000000));
    if (getrusage(RUSAGE_SELF, &ru) != 0)
        return;
    (void)tg_buf_printf(
        out,
        "# HELP process_cpu_seconds_total User and system CPU time.\n"
        "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total %.6f\n"
        "# HELP process_start_time_seconds Start time since the epoch.\n"
        "# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds %.3f\n",
        (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
            (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6,
        (double)v->started_wall_us / 1e6);
}

int tg_admin_metrics(const struct tg_admin_view *v, struct tg_buf *out)
{
    int rc = tg_metrics_render(v->metrics, v->n_workers, out);
    if (rc < 0)
        return rc;
    write_gauges(v, out);
    write_model_info(v, out);
    write_circuits(v, out);
    write_process(v, out);
    return done(out);
}

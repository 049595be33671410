/* What is written down of an exchange: log lines, metrics. One place, so that every way out of an
 * exchange is counted the same. */
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/num.h"
#include "base/utf8.h"
#include "core/exchange_priv.h"
#include "core/headers_priv.h"

/* Of what clients choose: a line that is too long would be lost, and with it the request. */
#define MAX_NAME_BYTES     200
#define MAX_METADATA_BYTES (16u << 10)

static const struct tg_target *last_target(const struct tg_exchange *x)
{
    return x->attempts ? &x->epoch->snapshot->targets[x->last_target] : NULL;
}

/* The configured name: bounded in number, unlike what clients send. */
static struct tg_str model_label(const struct tg_exchange *x)
{
    return x->plan && x->plan->model ? x->plan->model->name : TG_STR("unknown");
}

static void add_time(struct tg_buf *b, const char *key, int64_t wall_us)
{
    char iso[40];
    size_t n = tg_clock_iso(wall_us, iso, sizeof iso);
    tg_log_str(b, key, tg_str_make(iso, n));
}

static void add_name(struct tg_buf *b, const char *key, struct tg_str name)
{
    if (name.n > MAX_NAME_BYTES) {
        name.n = MAX_NAME_BYTES;
        name.n = tg_utf8_whole(name);
    }
    tg_log_str(b, key, name);
}

/* The client's own JSON on one line: line ends in it are blanks between its tokens, and could make
 * one line of the log look like several. */
static void add_metadata(struct tg_buf *b, struct tg_str json)
{
    if (!json.n)
        return;
    if (json.n > MAX_METADATA_BYTES) {
        tg_log_i64(b, "metadata_bytes", (int64_t)json.n);
        return;
    }
    tg_log_raw(b, "metadata", TG_STR(""));
    for (size_t i = 0; i < json.n; i++) {
        if (json.p[i] != '\n' && json.p[i] != '\r')
            (void)tg_buf_char(b, json.p[i]); /* tg_log_end() tests the buffer */
    }
}

void tg_settle_received(struct tg_exchange *x)
{
    if (!tg_log_on(TG_LOG_INFO))
        return;
    struct tg_buf *b = &x->rt->log;
    tg_log_begin(b, TG_LOG_INFO, "request_received");
    tg_log_str(b, "request_id", x->request_id);
    tg_log_cstr(b, "endpoint", x->endpoint);
    add_name(b, "model", x->call.model);
    tg_log_bool(b, "stream", x->call.stream);
    tg_log_i64(b, "request_bytes", (int64_t)x->req->body.n);
    tg_log_cstr(b, "client", x->req->peer);
    tg_log_end(b);
}

/* What the provider's people ask for when one asks them about a request. */
static void note_provider_id(struct tg_exchange *x)
{
    const struct tg_http_head *head = tg_attempt_response_head(x->attempt);
    struct tg_str id = head ? tg_headers_provider_id(head) : TG_STR("");
    x->out.provider_id = tg_arena_dup(&x->arena, tg_str_first(id, MAX_NAME_BYTES));
}

void tg_settle_attempt(struct tg_exchange *x)
{
    note_provider_id(x);
    const struct tg_attempt_times *t = tg_attempt_times(x->attempt);
    const struct tg_fail *f = tg_attempt_failure(x->attempt);
    struct tg_str target = tg_attempt_target(x->attempt)->name, model = model_label(x);
    if (f) {
        struct tg_str labels[] = {target, tg_str_c(tg_fail_code(f))};
        tg_metrics_add(x->rt->metrics, TG_METRIC_UPSTREAM_ERRORS, labels, 2, 1);
        return;
    }
    if (t->head_us && t->ended_us > t->head_us)
        tg_metrics_observe_us(x->rt->metrics, TG_METRIC_GENERATION_DURATION, &model, 1,
                              t->ended_us - t->started_us);
}

/* ---- the end ---- */

static int final_status(const struct tg_exchange *x)
{
    if (x->gone && !x->status)
        return 499;
    return x->status;
}

static void count_tokens(struct tg_exchange *x, struct tg_str model)
{
    const struct tg_usage *u = &x->usage;
    struct tg_metrics *m = x->rt->metrics;
    if (u->source == TG_USAGE_ABSENT) {
        if (x->attempts && !x->fail)
            tg_metrics_add(m, TG_METRIC_USAGE_ABSENT, &last_target(x)->name, 1, 1);
        return;
    }
    const struct {
        struct tg_str kind;
        int64_t n;
    } kinds[] = {
        {TG_STR("input"), u->input_tokens},
        {TG_STR("cache_read"), u->cache_read_tokens},
        {TG_STR("cache_write"), u->cache_write_tokens},
        {TG_STR("output"), u->output_tokens},
        {TG_STR("reasoning"), u->reasoning_tokens},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(kinds); i++) {
        struct tg_str labels[] = {model, kinds[i].kind};
        if (kinds[i].n > 0)
            tg_metrics_add(m, TG_METRIC_TOKENS, labels, 2, (uint64_t)kinds[i].n);
    }
    int64_t generated = tg_usage_completion(u);
    if (generated > 0)
        tg_metrics_add(m, TG_METRIC_TOKENS_GENERATED, &model, 1, (uint64_t)generated);
}

static void count(struct tg_exchange *x, uint64_t took_us)
{
    char status[24];
    struct tg_str endpoint = tg_str_c(x->endpoint), model = model_label(x);
    struct tg_str labels[] = {tg_str_make(status, tg_fmt_u64(status, (uint64_t)final_status(x))),
                              endpoint, model};
    tg_metrics_add(x->rt->metrics, TG_METRIC_REQUESTS, labels, 3, 1);
    tg_metrics_observe_us(x->rt->metrics, TG_METRIC_REQUEST_DURATION, &endpoint, 1, took_us);
    if (x->first_token_us)
        tg_metrics_observe_us(x->rt->metrics, TG_METRIC_TTFT, &model, 1,
                              x->first_token_us - x->received_us);
    if (x->gone)
        tg_metrics_add(x->rt->metrics, TG_METRIC_CLIENT_GONE, &endpoint, 1, 1);
    count_tokens(x, model);
}

static void log_usage(struct tg_buf *b, const struct tg_usage *u)
{
    static const char *const sources[] = {"absent", "reported", "estimated"};
    /* What follows the first key goes straight into the line: tg_log_end() tests the buffer. */
    tg_log_raw(b, "token_usage", TG_STR("{\"prompt_tokens\":"));
    (void)tg_buf_i64(b, tg_usage_prompt(u));
    tg_log_i64(b, "completion_tokens", tg_usage_completion(u));
    tg_log_i64(b, "total_tokens", tg_usage_total(u));
    tg_log_i64(b, "cache_read_tokens", u->cache_read_tokens);
    tg_log_i64(b, "cache_write_tokens", u->cache_write_tokens);
    tg_log_i64(b, "reasoning_tokens", u->reasoning_tokens);
    tg_log_cstr(b, "source", sources[u->source]);
    (void)tg_buf_char(b, '}');
}

static void log_failure(struct tg_buf *b, const struct tg_fail *f)
{
    tg_log_cstr(b, "error_code", tg_fail_code(f));
    tg_log_cstr(b, "error", f->message);
    if (f->param[0])
        tg_log_cstr(b, "param", f->param);
    if (f->provider_status)
        tg_log_i64(b, "provider_status", f->provider_status);
}

static void log_exchange(struct tg_exchange *x, uint64_t took_us)
{
    bool failed = x->fail && x->fail->err;
    enum tg_log_level level = failed ? TG_LOG_WARNING : TG_LOG_INFO;
    if (!tg_log_on(level))
        return;
    struct tg_buf *b = &x->rt->log;
    const struct tg_target *t = last_target(x);
    tg_log_begin(b, level, failed ? "request_failed" : "response_generated");
    tg_log_str(b, "request_id", x->request_id);
    tg_log_cstr(b, "endpoint", x->endpoint);
    add_name(b, "model", x->plan ? x->plan->name : x->call.model);
    add_name(b, "backend_model", t ? tg_route_upstream_name(t, x->plan->name) : TG_STR(""));
    tg_log_str(b, "target", t ? t->name : TG_STR(""));
    add_time(b, "start", x->started_wall_us);
    add_time(b, "end", x->started_wall_us + (int64_t)took_us);
    tg_log_ms(b, "latency_ms", took_us);
    if (x->first_token_us)
        tg_log_ms(b, "ttft_ms", x->first_token_us - x->received_us);
    tg_log_i64(b, "status", final_status(x));
    tg_log_bool(b, "stream", x->call.stream);
    tg_log_i64(b, "attempts", x->attempts);
    log_usage(b, &x->usage);
    if (x->has_finish)
        tg_log_cstr(b, "finish_reason", tg_finish_name(x->finish));
    struct tg_str lost = tg_fit_text(x);
    if (lost.n)
        tg_log_str(b, "fidelity", lost);
    if (x->out.provider_id.n)
        add_name(b, "provider_request_id", x->out.provider_id);
    if (x->call.user.n)
        add_name(b, "user", x->call.user);
    add_metadata(b, x->call.metadata);
    tg_log_i64(b, "response_bytes", (int64_t)x->reply.ops->bytes_out(x->reply.ctx));
    if (failed)
        log_failure(b, x->fail);
    tg_log_end(b);
}

void tg_settle_exchange(struct tg_exchange *x)
{
    uint64_t took_us = tg_clock_mono_us() - x->received_us;
    count(x, took_us);
    log_exchange(x, took_us);
}

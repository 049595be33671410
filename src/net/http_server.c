/* The server object: settings, accepting, draining, counters. */
#include "net/http_server_priv.h"

#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/err.h"

const struct tg_http_server_opts tg_http_server_opts_default = {
    .limits = {.max_target_bytes = 8192,
               .max_line_bytes = 16384,
               .max_head_bytes = 65536,
               .max_headers = 100,
               .max_interim = 100,
               .max_trailer_bytes = 8192},
    .max_body_bytes = 20000000,
    .header_timeout_ms = 10000,
    .body_min_bytes_per_s = 1024,
    .body_grace_ms = 10000,
    .idle_timeout_ms = 75000,
    .write_stall_ms = 30000,
    .high_mark_bytes = 262144,
    .low_mark_bytes = 65536,
    .max_conns = 65536,
};

static struct tg_http_server_cfg *cfg_new(const struct tg_http_server_opts *opts)
{
    struct tg_http_server_cfg *cfg = tg_malloc(sizeof *cfg);
    if (!cfg)
        return NULL;
    cfg->o = *opts;
    cfg->o.limits.max_body_bytes = opts->max_body_bytes;
    cfg->refs = 1;
    if (cfg->o.tls)
        tg_tls_ref(cfg->o.tls);
    return cfg;
}

void tg_http_server_cfg_unref(struct tg_http_server_cfg *cfg)
{
    TG_INVARIANT(cfg->refs > 0);
    if (--cfg->refs > 0)
        return;
    tg_tls_unref(cfg->o.tls);
    tg_free(cfg);
}

int tg_http_server_new(struct tg_loop *loop, const struct tg_http_server_opts *opts,
                       const struct tg_http_server_ops *ops, void *ctx, struct tg_http_server **out)
{
    TG_REQUIRE(ops->on_request && ops->on_refused);
    struct tg_http_server *s = tg_calloc(1, sizeof *s);
    if (!s)
        return TG_E_NOMEM;
    s->cfg = cfg_new(opts ? opts : &tg_http_server_opts_default);
    if (!s->cfg) {
        tg_free(s);
        return TG_E_NOMEM;
    }
    s->loop = loop;
    s->ops = *ops;
    s->ctx = ctx;
    s->date_s = -1;
    tg_list_init(&s->conns);
    tg_buf_init(&s->scratch, 256 * 1024);
    *out = s;
    return 0;
}

void tg_http_server_set_opts(struct tg_http_server *s, const struct tg_http_server_opts *opts)
{
    struct tg_http_server_cfg *cfg = cfg_new(opts);
    if (!cfg)
        return; /* the old settings stay */
    tg_http_server_cfg_unref(s->cfg);
    s->cfg = cfg;
}

/* RFC 9110 6.6.1. The text changes once a second; it is made once a second. */
struct tg_str tg_http_server_date(struct tg_http_server *s)
{
    int64_t now_us = tg_clock_wall_us();
    int64_t now_s = now_us / 1000000;
    if (now_s != s->date_s) {
        s->date_n = (uint8_t)tg_clock_http_date(now_us, s->date, sizeof s->date);
        s->date_s = now_s;
    }
    return tg_str_make(s->date, s->date_n);
}

static bool server_is_full(struct tg_http_server *s)
{
    if (s->stats.open < s->cfg->o.max_conns)
        return false;
    s->stats.refused_full++;
    return true;
}

void tg_http_server_accept_fd(struct tg_http_server *s, int fd)
{
    struct tg_stream *stream;

    if (server_is_full(s)) {
        close(fd);
        return;
    }
    struct tg_http_conn *c = tg_http_conn_new(s);
    if (!c) {
        s->stats.refused_full++;
        close(fd);
        return;
    }
    if (tg_stream_from_fd(s->loop, fd, &c->task, &stream) < 0) {
        s->stats.refused_full++;
        tg_http_server_cfg_unref(c->cfg);
        tg_free(c);
        return;
    }
    tg_http_conn_start(c, stream);
}

int tg_http_server_accept_stream(struct tg_http_server *s, struct tg_stream *stream)
{
    if (server_is_full(s)) {
        tg_stream_close(stream);
        return TG_E_FULL;
    }
    struct tg_http_conn *c = tg_http_conn_new(s);
    if (!c) {
        s->stats.refused_full++;
        tg_stream_close(stream);
        return TG_E_NOMEM;
    }
    tg_http_conn_start(c, stream);
    return 0;
}

void tg_http_server_drain(struct tg_http_server *s)
{
    s->draining = true;
    tg_list_each_safe (it, tmp, &s->conns) {
        struct tg_http_conn *c = tg_list_entry(it, struct tg_http_conn, link);
        if (c->state == TG_CONN_IDLE || c->state == TG_CONN_TLS)
            tg_http_conn_close(c);
    }
}

void tg_http_server_close_all(struct tg_http_server *s)
{
    tg_list_each_safe (it, tmp, &s->conns)
        tg_http_conn_close(tg_list_entry(it, struct tg_http_conn, link));
}

void tg_http_server_free(struct tg_http_server *s)
{
    if (!s)
        return;
    TG_REQUIRE(tg_list_empty(&s->conns));
    tg_http_server_cfg_unref(s->cfg);
    tg_buf_fini(&s->scratch);
    tg_free(s);
}

const struct tg_http_server_stats *tg_http_server_stats(const struct tg_http_server *s)
{
    return &s->stats;
}

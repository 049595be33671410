/* Rules between settings. */
#include "config/load_priv.h"

const struct tg_conf_origin *tg_conf_where(const struct tg_conf_load *l, const char *row_key)
{
    const struct tg_conf_row *row = tg_conf_row_find(&tg_conf_global, tg_str_c(row_key));
    return &l->raw_origin[tg_conf_row_index(&tg_conf_global, row)];
}

#define problem_at(l, severity, key, ...) \
    tg_conf_problem((l)->report, severity, tg_conf_where(l, key), TG_STR(key), __VA_ARGS__)

static void check_bind(struct tg_conf_load *l)
{
    const struct tg_server_settings *s = &l->raw->settings.server;
    if (tg_conf_host_is_loopback(s->host))
        return;
    if (!s->insecure_bind)
        problem_at(l, TG_CONFIG_ERROR, "server.host",
                   "'%.*s' is no loopback address, and this version has no client keys: whoever "
                   "reaches it could spend your provider keys. Listen on 127.0.0.1, or set "
                   "insecure_bind: true (INSECURE_BIND=true) if that is meant",
                   TG_STR_ARG(s->host));
    else
        problem_at(l, TG_CONFIG_WARNING, "server.insecure_bind",
                   "everyone who reaches %.*s may use every model", TG_STR_ARG(s->host));
}

static void check_tls(struct tg_conf_load *l)
{
    const struct tg_server_settings *s = &l->raw->settings.server;
    if (s->tls_cert_file.n && !s->tls_key_file.n)
        problem_at(l, TG_CONFIG_ERROR, "server.tls_cert_file", "needs tls_key_file too");
    if (s->tls_key_file.n && !s->tls_cert_file.n)
        problem_at(l, TG_CONFIG_ERROR, "server.tls_key_file", "needs tls_cert_file too");
    if (s->tls_cert_file.n && !tg_conf_file_readable(s->tls_cert_file))
        problem_at(l, TG_CONFIG_ERROR, "server.tls_cert_file", "cannot read '%.*s'",
                   TG_STR_ARG(s->tls_cert_file));
    if (s->tls_key_file.n && !tg_conf_file_readable(s->tls_key_file))
        problem_at(l, TG_CONFIG_ERROR, "server.tls_key_file", "cannot read '%.*s'",
                   TG_STR_ARG(s->tls_key_file));
}

/* RFC 6454: scheme://host[:port], nothing behind it. */
static bool origin_ok(struct tg_conf_load *l, struct tg_str s)
{
    struct tg_config_url u;
    if (tg_str_eq(s, TG_STR("*")))
        return true;
    return !tg_conf_url_parse(&l->scratch, s, &u, NULL) && u.path.n == 0 && s.p[s.n - 1] != '/';
}

static void check_lists(struct tg_conf_load *l)
{
    const struct tg_server_settings *s = &l->raw->settings.server;
    for (size_t i = 0; i < s->cors_origins.n; i++)
        if (!origin_ok(l, s->cors_origins.v[i]))
            problem_at(l, TG_CONFIG_ERROR, "server.cors_origins",
                       "'%.*s' is no origin; expected https://host, http://host:port or *",
                       TG_STR_ARG(s->cors_origins.v[i]));
}

/* A limit that another one always reaches first could never take effect. */
static void check_order(struct tg_conf_load *l)
{
    const struct tg_settings *s = &l->raw->settings;
    if (s->limits.max_header_line_bytes > s->limits.max_header_bytes)
        problem_at(l, TG_CONFIG_ERROR, "limits.header_line",
                   "is more than limits.header, so it could never take effect");
    if (s->retry.base_delay_ms > s->retry.max_delay_ms)
        problem_at(l, TG_CONFIG_ERROR, "retry.base_delay",
                   "is more than retry.max_delay, so it could never take effect");
    if (s->upstream.max_event_bytes > s->upstream.max_response_bytes)
        problem_at(l, TG_CONFIG_ERROR, "upstream.max_event",
                   "is more than upstream.max_response, so it could never take effect");
}

void tg_conf_check_settings(struct tg_conf_load *l)
{
    check_bind(l);
    check_tls(l);
    check_lists(l);
    check_order(l);
}

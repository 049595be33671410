/* Which HTTP proxy a target is reached through. A model's own setting, else upstream.proxy, else
 * the customary variables: HTTPS_PROXY or HTTP_PROXY by the target's scheme (either case), except
 * for hosts that NO_PROXY names ("*", "host", ".domain", "10.0.0.0/8", each with or without a
 * port) and for loopback. There is no standard for these; this is the subset that curl and Go
 * agree on. */
#include <string.h>

#include "base/num.h"
#include "config/load_priv.h"

/* One entry of NO_PROXY against a target. */
static bool entry_matches(struct tg_str entry, const struct tg_config_url *url)
{
    uint64_t port;
    if (tg_str_eq(entry, TG_STR("*")) || tg_conf_cidr_match(entry, url->host))
        return true;
    ptrdiff_t colon = tg_str_chr(entry, ':');
    if (colon >= 0) {
        if (tg_parse_u64(tg_str_from(entry, (size_t)colon + 1), &port) != 0 || port != url->port)
            return false;
        entry = tg_str_first(entry, (size_t)colon);
    }
    if (entry.n && entry.p[0] == '.')
        entry = tg_str_from(entry, 1);
    if (entry.n == 0 || entry.n > url->host.n)
        return false;
    size_t head = url->host.n - entry.n; /* "example.com" covers itself and its subdomains */
    return tg_str_ieq(tg_str_from(url->host, head), entry) &&
           (head == 0 || url->host.p[head - 1] == '.');
}

static bool env_either(const struct tg_conf_load *l, const char *upper, const char *lower,
                       struct tg_str *out, struct tg_conf_origin *out_where)
{
    return tg_conf_env_get(&l->env, tg_str_c(lower), out, out_where) ||
           tg_conf_env_get(&l->env, tg_str_c(upper), out, out_where);
}

static bool excluded(const struct tg_conf_load *l, const struct tg_config_url *url)
{
    struct tg_str list, entry;
    if (tg_conf_host_is_loopback(url->host))
        return true;
    if (!env_either(l, "NO_PROXY", "no_proxy", &list, NULL))
        return false;
    while (tg_str_split(&list, ',', &entry))
        if (entry_matches(tg_str_trim(entry), url))
            return true;
    return false;
}

static int parse_proxy(struct tg_conf_load *l, struct tg_str text,
                       const struct tg_conf_origin *where, struct tg_str key,
                       struct tg_proxy_config *out)
{
    struct tg_config_url u;
    struct tg_str userinfo;
    const char *why;
    if (tg_str_find(text, TG_STR("://")) < 0)
        text = tg_arena_printf(&l->scratch, "http://%.*s", TG_STR_ARG(text));
    why = tg_conf_url_parse(&l->scratch, text, &u, &userinfo);
    if (!why && u.https)
        why = "only http:// proxies are supported";
    if (!why && u.path.n)
        why = "it must not have a path";
    if (why) {
        tg_conf_error(l, where, key, "not a proxy's address such as http://proxy:3128: %s", why);
        return TG_E_CONFIG;
    }
    *out = (struct tg_proxy_config){
        .host = tg_arena_dup(l->arena, u.host), .host_is_ipv6 = u.host_is_ipv6, .port = u.port};
    if (userinfo.n) {
        out->userinfo = tg_conf_secret(l, userinfo);
        tg_secret_wipe((char *)(uintptr_t)userinfo.p, userinfo.n);
        if (!out->userinfo)
            return TG_E_NOMEM;
    }
    return tg_conf_nomem(l) ? TG_E_NOMEM : 0;
}

int tg_conf_proxy_resolve(struct tg_conf_load *l, const struct tg_secret *own,
                          const struct tg_config_url *url, const struct tg_conf_origin *where,
                          struct tg_str key, struct tg_proxy_config *out)
{
    struct tg_str text;
    struct tg_conf_origin env_where;
    if (own) {
        text = tg_secret_reveal(own);
        return tg_str_ieq(text, TG_STR("none")) ? 0 : parse_proxy(l, text, where, key, out);
    }
    bool set = url->https ? env_either(l, "HTTPS_PROXY", "https_proxy", &text, &env_where)
                          : env_either(l, "HTTP_PROXY", "http_proxy", &text, &env_where);
    if (!set || excluded(l, url))
        return 0;
    struct tg_str name = url->https ? TG_STR("HTTPS_PROXY") : TG_STR("HTTP_PROXY");
    return parse_proxy(l, text, &env_where, name, out);
}

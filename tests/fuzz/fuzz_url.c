/* URLs, Host headers, request targets and percent escapes. */
#include "base/arena.h"
#include "base/buf.h"
#include "fuzz.h"
#include "wire/url.h"

static bool inside(struct tg_str part, struct tg_str whole)
{
    return part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

/* Put together again from its parts it is the same URL. */
static void check_rebuilt(const struct tg_url *u)
{
    struct tg_url again;
    struct tg_buf b;

    tg_buf_init(&b, 1 << 16);
    tg_buf_printf(&b, "%s://", u->https ? "https" : "http");
    if (u->userinfo.n > 0)
        tg_buf_printf(&b, "%.*s@", TG_STR_ARG(u->userinfo));
    tg_buf_printf(&b, u->host_is_ipv6 ? "[%.*s]:%u" : "%.*s:%u", TG_STR_ARG(u->host), u->port);
    tg_buf_str_add(&b, u->path);
    if (u->query.n > 0)
        tg_buf_printf(&b, "?%.*s", TG_STR_ARG(u->query));
    FUZZ_CHECK(tg_buf_ok(&b) && tg_url_parse(tg_buf_str(&b), &again) == 0);
    FUZZ_CHECK(again.https == u->https && again.port == u->port && again.port_given);
    FUZZ_CHECK(again.host_is_ipv6 == u->host_is_ipv6 && tg_str_eq(again.host, u->host));
    FUZZ_CHECK(tg_str_eq(again.userinfo, u->userinfo) && tg_str_eq(again.path, u->path));
    FUZZ_CHECK(tg_str_eq(again.query, u->query));
    tg_buf_fini(&b);
}

static void check_url(struct tg_str text)
{
    struct tg_url url;

    if (tg_url_parse(text, &url) != 0)
        return;
    FUZZ_CHECK(url.host.n > 0 && url.port > 0);
    FUZZ_CHECK(inside(url.host, text) && inside(url.path, text) && inside(url.query, text));
    FUZZ_CHECK(url.path.n == 0 || url.path.p[0] == '/');
    for (size_t i = 0; i < text.n; i++)
        FUZZ_CHECK((unsigned char)text.p[i] > ' ' && (unsigned char)text.p[i] < 0x7f);
    check_rebuilt(&url);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct tg_str text = {(const char *)data, n}, path, query, value, decoded;
    struct tg_arena arena;

    if (n > 1 << 14)
        return 0;
    tg_arena_init(&arena, 1024, 1 << 18);
    check_url(text);
    if (tg_host_valid(text))
        for (size_t i = 0; i < n; i++)
            FUZZ_CHECK(text.p[i] != '@' && text.p[i] != '/' && (unsigned char)text.p[i] > ' ');
    tg_target_split(text, &path, &query);
    FUZZ_CHECK(inside(path, text) && inside(query, text));
    if (tg_str_chr(path, '\0') < 0 && tg_percent_decode(&arena, path, &decoded) == 0)
        for (size_t i = 0; i < decoded.n; i++)
            FUZZ_CHECK(decoded.p[i] != '\0');
    if (tg_query_get(query, TG_STR("key"), &value)) {
        FUZZ_CHECK(inside(value, query));
        if (tg_query_decode(&arena, value, &decoded) == 0)
            FUZZ_CHECK(decoded.n <= value.n);
    }
    tg_arena_fini(&arena);
    return 0;
}

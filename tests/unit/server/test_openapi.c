/* The description of the API against the tables that route. */
#include <string.h>

#include "admin/openapi.h"
#include "base/arena.h"
#include "check.h"
#include "dialect/dialect.h"
#include "json/json.h"
#include "server/registry.h"
#include "server/routes_priv.h"

static struct tg_arena arena;
static struct tg_buf text;
static const struct tg_json *root;

static int setup(void **state)
{
    struct tg_json_doc *doc;
    tg_arena_init(&arena, 4096, 64 << 20);
    tg_buf_init(&text, 16 << 20);
    if (tg_server_openapi(&tg_server_registry, &arena, &text) < 0 ||
        tg_json_parse(&arena, tg_buf_str(&text), NULL, &doc, NULL) < 0)
        return -1;
    root = tg_json_root(doc);
    return 0;
}

static int teardown(void **state)
{
    tg_buf_fini(&text);
    tg_arena_fini(&arena);
    return 0;
}

static const struct tg_json *operation(struct tg_str path, struct tg_str method)
{
    return tg_json_get(tg_json_get2(root, TG_STR("paths"), path), method);
}

static size_t count_operations(void)
{
    size_t n = 0;
    struct tg_json_iter it = tg_json_iter(tg_json_get(root, TG_STR("paths")));
    while (tg_json_next(&it))
        n += tg_json_count(it.value);
    return n;
}

static bool earlier(size_t d, size_t e)
{
    const struct tg_dialect *const *all = tg_server_registry.dialects;
    for (size_t i = 0; i <= d; i++) {
        for (size_t k = 0; k < (i < d ? all[i]->n_endpoints : e); k++) {
            if (strcmp(all[i]->endpoints[k].path, all[d]->endpoints[e].path) == 0 &&
                all[i]->endpoints[k].method == all[d]->endpoints[e].method)
                return true;
        }
    }
    return false;
}

/* Every endpoint of a dialect has an operation, and names what it takes, gives and fails with. */
static size_t check_dialects(void)
{
    size_t n = 0;
    for (size_t i = 0; i < tg_server_registry.n_dialects; i++) {
        const struct tg_dialect *d = tg_server_registry.dialects[i];
        for (size_t k = 0; k < d->n_endpoints; k++) {
            const struct tg_endpoint *e = &d->endpoints[k];
            assert_int_equal(e->method, TG_HTTP_POST);
            const struct tg_json *op = operation(tg_str_c(e->path), TG_STR("post"));
            assert_true(tg_json_is_obj(tg_json_get(op, TG_STR("requestBody"))));
            assert_non_null(e->takes);
            assert_non_null(e->fails);
            assert_true(e->gives || d->multipart);
            n += !earlier(i, k);
        }
    }
    return n;
}

static size_t check_page(const struct tg_page_route *r, unsigned method, const char *name,
                         const struct tg_page_doc *doc)
{
    char path[96];
    unsigned methods = r->methods ? r->methods : TG_ROUTE_GET;
    snprintf(path, sizeof path, "%.*s%s%.*s", TG_STR_ARG(r->path), r->prefix ? "{id}" : "",
             TG_STR_ARG(r->suffix));
    const struct tg_json *op = operation(tg_str_c(path), tg_str_c(name));
    assert_int_equal((methods & method) != 0, doc->summary != NULL);
    if (!doc->summary)
        return 0;
    assert_true(tg_str_eq(tg_json_get_str(op, TG_STR("summary")), tg_str_c(doc->summary)));
    return 1;
}

static void test_all_that_is_routed_and_nothing_else(void **state)
{
    size_t n_pages, n = check_dialects();
    const struct tg_page_route *pages = tg_router_pages(&n_pages);
    for (size_t i = 0; i < n_pages; i++) {
        n += check_page(&pages[i], TG_ROUTE_GET, "get", &pages[i].get);
        n += check_page(&pages[i], TG_ROUTE_POST, "post", &pages[i].post);
        n += check_page(&pages[i], TG_ROUTE_DELETE, "delete", &pages[i].delete_);
    }
    assert_true(tg_json_is_obj(operation(TG_STR("/v1/llm/chat"), TG_STR("post"))));
    assert_int_equal(count_operations(), n + 1);
}

/* ---- references ---- */

static void check_ref(struct tg_str ref)
{
    struct tg_str prefix = TG_STR("#/components/");
    assert_true(tg_str_starts(ref, prefix));
    struct tg_str rest = tg_str_from(ref, prefix.n);
    const char *slash = memchr(rest.p, '/', rest.n);
    assert_non_null(slash);
    size_t at = (size_t)(slash - rest.p);
    const struct tg_json *kind = tg_json_get2(root, TG_STR("components"), tg_str_first(rest, at));
    assert_true(tg_json_is_obj(tg_json_get(kind, tg_str_from(rest, at + 1))));
}

static size_t check_refs(const struct tg_json *v, int depth)
{
    size_t n = 0;
    struct tg_json_iter it = tg_json_iter(v);
    assert_true(depth < 64);
    while (tg_json_next(&it)) {
        if (tg_str_eq(it.name, TG_STR("$ref"))) {
            check_ref(tg_json_str(it.value));
            n++;
        }
        n += check_refs(it.value, depth + 1);
    }
    return n;
}

static void test_every_reference_resolves(void **state)
{
    assert_true(check_refs(root, 0) > 200);
}

static size_t uses(struct tg_str name)
{
    char ref[128];
    size_t n = 0;
    snprintf(ref, sizeof ref, "#/components/schemas/%.*s\"", TG_STR_ARG(name));
    for (const char *p = text.p; (p = strstr(p, ref)); p++)
        n++;
    return n;
}

static void test_every_schema_is_used(void **state)
{
    struct tg_json_iter it =
        tg_json_iter(tg_json_get2(root, TG_STR("components"), TG_STR("schemas")));
    (void)tg_buf_char(&text, '\0');
    assert_true(tg_buf_ok(&text));
    while (tg_json_next(&it)) {
        if (!uses(it.name))
            fail_msg("nothing refers to the schema %.*s", TG_STR_ARG(it.name));
    }
    text.n--;
}

/* ---- one operation, whole ---- */

static void test_two_dialects_on_one_path(void **state)
{
    const struct tg_json *op = operation(TG_STR("/api/chat"), TG_STR("post"));
    const struct tg_json *content = tg_json_get2(op, TG_STR("requestBody"), TG_STR("content"));
    const struct tg_json *schema =
        tg_json_get2(content, TG_STR("application/json"), TG_STR("schema"));
    assert_int_equal(tg_json_count(tg_json_get(schema, TG_STR("anyOf"))), 2);
    const struct tg_json *ok = tg_json_get2(op, TG_STR("responses"), TG_STR("200"));
    content = tg_json_get(ok, TG_STR("content"));
    assert_true(tg_json_is_obj(tg_json_get(content, TG_STR("application/x-ndjson"))));
    assert_true(tg_json_is_obj(tg_json_get2(ok, TG_STR("headers"), TG_STR("x-tollgate-target"))));
}

static void test_a_document_without_memory(void **state)
{
    struct tg_buf small;
    tg_buf_init(&small, 1000);
    assert_true(tg_server_openapi(&tg_server_registry, &arena, &small) < 0);
    tg_buf_fini(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_that_is_routed_and_nothing_else),
        cmocka_unit_test(test_every_reference_resolves),
        cmocka_unit_test(test_every_schema_is_used),
        cmocka_unit_test(test_two_dialects_on_one_path),
        cmocka_unit_test(test_a_document_without_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

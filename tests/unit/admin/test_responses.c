/* Lists of a kept answer's input. */
#include "check.h"

#include "admin/responses.h"
#include "base/err.h"

#define ITEMS                                                                      \
    "[{\"role\":\"user\",\"content\":\"one\"},"                                    \
    "{\"type\":\"message\",\"id\":\"msg_own\",\"role\":\"assistant\",\"content\":" \
    "\"two\"},"                                                                    \
    "{\"type\":\"function_call_output\",\"call_id\":\"c\",\"output\":\"3.10\"}]"

struct page {
    struct tg_arena arena;
    struct tg_buf out;
    struct tg_fail fail;
    struct tg_admin_list list;
};

static void page_init(struct page *p)
{
    *p = (struct page){0};
    tg_arena_init(&p->arena, 1024, 1 << 20);
    tg_buf_init(&p->out, 1 << 16);
    tg_fail_clear(&p->fail);
}

static void page_fini(struct page *p)
{
    tg_buf_fini(&p->out);
    tg_arena_fini(&p->arena);
}

static int list(struct page *p, const char *query, const char *items)
{
    tg_buf_clear(&p->out);
    tg_fail_clear(&p->fail);
    int rc = tg_admin_list_read(&p->arena, tg_str_c(query), &p->list, &p->fail);
    return rc < 0 ? rc
                  : tg_admin_input_items(&p->arena, TG_STR("resp_x"), tg_str_c(items), &p->list,
                                         &p->out, &p->fail);
}

static void items_have_ids_types_and_parts(void **state)
{
    struct page p;
    page_init(&p);
    assert_int_equal(list(&p, "order=asc", ITEMS), 0);
    assert_str(
        tg_buf_str(&p.out),
        "{\"object\":\"list\",\"data\":["
        "{\"id\":\"msg_x_in0\",\"type\":\"message\",\"status\":\"completed\",\"role\":\"user\","
        "\"content\":[{\"type\":\"input_text\",\"text\":\"one\"}]},"
        "{\"id\":\"msg_own\",\"type\":\"message\",\"status\":\"completed\",\"role\":\"assistant\","
        "\"content\":[{\"type\":\"output_text\",\"text\":\"two\",\"annotations\":[]}]},"
        "{\"id\":\"msg_x_in2\",\"type\":\"function_call_output\",\"call_id\":\"c\",\"output\":"
        "\"3.10\"}],\"first_id\":\"msg_x_in0\",\"last_id\":\"msg_x_in2\",\"has_more\":false}");
    page_fini(&p);
}

static void pages_follow_each_other(void **state)
{
    struct page p;
    page_init(&p);
    assert_int_equal(list(&p, "limit=2", ITEMS), 0); /* the newest first */
    assert_contains(tg_buf_str(&p.out), "\"first_id\":\"msg_x_in2\",\"last_id\":\"msg_own\"");
    assert_contains(tg_buf_str(&p.out), "\"has_more\":true");
    assert_int_equal(list(&p, "limit=2&after=msg_own", ITEMS), 0);
    assert_contains(tg_buf_str(&p.out), "\"first_id\":\"msg_x_in0\",\"last_id\":\"msg_x_in0\"");
    assert_contains(tg_buf_str(&p.out), "\"has_more\":false");
    assert_int_equal(list(&p, "order=asc&after=msg%5Fx_in2", ITEMS), 0);
    assert_str(tg_buf_str(&p.out), "{\"object\":\"list\",\"data\":[],\"first_id\":null,"
                                   "\"last_id\":null,\"has_more\":false}");
    assert_int_equal(list(&p, "", "[]"), 0);
    assert_contains(tg_buf_str(&p.out), "\"data\":[]");
    page_fini(&p);
}

static void wrong_queries_are_named(void **state)
{
    static const struct {
        const char *query, *param;
        int err;
    } cases[] = {
        {"limit=0", "limit", TG_E_INVALID_VALUE},    {"limit=101", "limit", TG_E_INVALID_VALUE},
        {"limit=-1", "limit", TG_E_INVALID_VALUE},   {"limit=x", "limit", TG_E_INVALID_VALUE},
        {"limit=", "limit", TG_E_INVALID_VALUE},     {"order=up", "order", TG_E_INVALID_VALUE},
        {"after=none", "after", TG_E_INVALID_VALUE}, {"after=%zz", "", TG_E_BAD_REQUEST},
    };
    struct page p;
    page_init(&p);
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        assert_int_equal(list(&p, cases[i].query, ITEMS), cases[i].err);
        assert_string_equal(p.fail.param, cases[i].param);
        assert_int_equal(p.out.n, 0);
    }
    page_fini(&p);
}

static void a_deletion_is_told(void **state)
{
    struct page p;
    page_init(&p);
    tg_admin_response_deleted(TG_STR("resp_\"x"), &p.out);
    assert_str(tg_buf_str(&p.out),
               "{\"id\":\"resp_\\\"x\",\"object\":\"response\",\"deleted\":true}");
    page_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_have_ids_types_and_parts),
        cmocka_unit_test(pages_follow_each_other),
        cmocka_unit_test(wrong_queries_are_named),
        cmocka_unit_test(a_deletion_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

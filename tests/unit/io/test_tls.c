#include "certs.h"

#include "base/alloc.h"
#include "io/tls.h"

static void must_refuse(int rc, struct tg_fail *why, const char *part)
{
    assert_int_equal(rc, TG_E_CONFIG);
    assert_int_equal(why->err, TG_E_CONFIG);
    if (tg_str_find(tg_str_c(why->message), tg_str_c(part)) < 0)
        fail_msg("\"%s\" lacks \"%s\"", why->message, part);
    tg_fail_clear(why);
}

static void server_files_are_checked(void **state)
{
    need_certs();
    struct tg_tls_ctx *ctx = NULL;
    struct tg_fail why;
    tg_fail_clear(&why);
    assert_int_equal(tg_tls_server_new(cert("good.pem"), cert("good.key"), &ctx, &why), 0);
    tg_tls_unref(ctx);
    ctx = NULL;
    must_refuse(tg_tls_server_new(cert("good.pem"), cert("other.key"), &ctx, &why), &why, "key");
    must_refuse(tg_tls_server_new(cert("half.pem"), cert("good.key"), &ctx, &why), &why,
                "half.pem");
    must_refuse(tg_tls_server_new(cert("none.pem"), cert("good.key"), &ctx, &why), &why,
                "none.pem");
    must_refuse(tg_tls_server_new(cert("good.pem"), cert("none.key"), &ctx, &why), &why,
                "none.key");
    must_refuse(tg_tls_server_new(cert("good.pem"), cert("good.pem"), &ctx, &why), &why,
                "good.pem");
    must_refuse(tg_tls_server_new(cert("good.pem"), cert("locked.key"), &ctx, &why), &why,
                "locked.key"); /* and nobody was asked on a terminal */
    assert_null(ctx);
}

static void client_files_are_checked(void **state)
{
    need_certs();
    struct tg_tls_ctx *ctx = NULL;
    struct tg_fail why;
    tg_fail_clear(&why);
    assert_int_equal(tg_tls_client_new(cert("ca.pem"), &ctx, &why), 0);
    tg_tls_unref(ctx);
    ctx = NULL;
    must_refuse(tg_tls_client_new(cert("none.pem"), &ctx, &why), &why, "none.pem");
    must_refuse(tg_tls_client_new(cert("half.pem"), &ctx, &why), &why, "half.pem");
    must_refuse(tg_tls_client_new(cert("good.key"), &ctx, &why), &why, "good.key");
    assert_null(ctx);
    assert_int_equal(tg_tls_client_new(NULL, &ctx, &why), 0); /* the system's */
    tg_tls_unref(tg_tls_ref(ctx));
    tg_tls_unref(ctx);
    tg_tls_unref(NULL);
}

static void a_failed_allocation_is_survived(void **state)
{
    struct tg_tls_ctx *ctx = NULL;
    struct tg_fail why;
    tg_fail_clear(&why);
    tg_alloc_fail_at(1, 0);
    assert_int_equal(tg_tls_client_new(NULL, &ctx, &why), TG_E_NOMEM);
    tg_alloc_fail_at(0, 0);
    assert_null(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(server_files_are_checked),
        cmocka_unit_test(client_files_are_checked),
        cmocka_unit_test(a_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, certs_make, certs_remove);
}

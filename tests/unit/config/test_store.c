/* Where the database goes: named by the operator, or the usual place. */
#include "check.h"
#include "config_fixture.h"

static int setup(void **state)
{
    static struct fixture f;
    fx_init(&f);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    fx_fini(*state);
    return 0;
}

static void the_usual_place_is_the_users(void **state)
{
    struct fixture *f = *state;
    const struct tg_store_settings *s;
    fx_load(f, NO_ENV);
    fx_expect_ok(f);
    s = &f->s->settings.store;
    assert_str(s->path, "memory");
    assert_true(s->path_is_default);
    assert_int_equal(s->responses_lifetime_ms, 30u * 86400000u);

    fx_load(f, ENV("HOME=/srv/ann"));
    fx_expect_ok(f);
    assert_str(f->s->settings.store.path, "/srv/ann/.local/state/tollgate/tollgate.db");
    assert_true(f->s->settings.store.path_is_default);

    fx_load(f, ENV("HOME=/srv/ann", "XDG_STATE_HOME=/var/state"));
    fx_expect_ok(f);
    assert_str(f->s->settings.store.path, "/var/state/tollgate/tollgate.db");

    fx_load(f, ENV("HOME=/srv/ann", "XDG_STATE_HOME=relative"));
    fx_expect_ok(f);
    assert_str(f->s->settings.store.path, "/srv/ann/.local/state/tollgate/tollgate.db");
}

static void a_name_starts_where_it_was_written(void **state)
{
    struct fixture *f = *state;
    char want[64];
    fx_load(f, ENV("STORE_PATH=/data/t.db", "HOME=/srv/ann"));
    fx_expect_ok(f);
    assert_str(f->s->settings.store.path, "/data/t.db");
    assert_false(f->s->settings.store.path_is_default);

    snprintf(want, sizeof want, "%s/t.db", f->dir);
    fx_load(f, ENV("STORE_PATH=t.db"));
    fx_expect_ok(f);
    assert_str_equal(f->s->settings.store.path, tg_str_c(want));
    fx_load_text(f, "store:\n  path: t.db\n  responses_lifetime: 2h\n", NO_ENV);
    fx_expect_ok(f);
    assert_str_equal(f->s->settings.store.path, tg_str_c(want));
    assert_int_equal(f->s->settings.store.responses_lifetime_ms, 7200000);

    fx_load_text(f, "store: {path: memory, responses_lifetime: 0}\n", ENV("HOME=/srv/ann"));
    fx_expect_ok(f);
    assert_str(f->s->settings.store.path, "memory");
    assert_false(f->s->settings.store.path_is_default);
    assert_int_equal(f->s->settings.store.responses_lifetime_ms, 0);
}

static void a_lifetime_has_limits(void **state)
{
    struct fixture *f = *state;
    fx_load_text(f, "store: {responses_lifetime: 60d}\n", NO_ENV);
    fx_expect_error(f, "store.responses_lifetime");
    fx_load_text(f, "store: {responses_lifetime: -1}\n", NO_ENV);
    fx_expect_error(f, "store.responses_lifetime");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_usual_place_is_the_users, setup, teardown),
        cmocka_unit_test_setup_teardown(a_name_starts_where_it_was_written, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lifetime_has_limits, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

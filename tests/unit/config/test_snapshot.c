/* References: counted across threads, freed once. */
#include <pthread.h>

#include "check.h"
#include "config_fixture.h"

enum { THREADS = 4, ROUNDS = 20000 };

static struct tg_snapshot *load_one(struct fixture *f)
{
    fx_load_text(f, "models: {a: {backend_type: mock, aliases: [b]}}\n", NO_ENV);
    fx_expect_ok(f);
    struct tg_snapshot *s = f->s;
    f->s = NULL; /* the test's own */
    return s;
}

static void *use(void *arg)
{
    const struct tg_snapshot *s = arg;
    for (int i = 0; i < ROUNDS; i++) {
        const struct tg_snapshot *mine = tg_snapshot_ref(s);
        if (!tg_snapshot_route(mine, TG_STR("b")))
            return arg;
        tg_snapshot_unref(mine);
    }
    tg_snapshot_unref(s);
    return NULL;
}

static void the_last_reference_frees_it_on_any_thread(void **state)
{
    struct fixture f;
    pthread_t threads[THREADS];
    fx_init(&f);
    struct tg_snapshot *s = load_one(&f);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, use, (void *)(uintptr_t)tg_snapshot_ref(s)), 0);
    tg_snapshot_unref(s);
    for (int i = 0; i < THREADS; i++) {
        void *result;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_null(result);
    }
    fx_fini(&f); /* the address sanitizer says whether all is free */
}

/* What a reload does: the owner swaps, readers go on with what they hold. */
static void a_new_snapshot_leaves_the_old_one_alone(void **state)
{
    struct fixture f;
    fx_init(&f);
    struct tg_snapshot *old = load_one(&f);
    const struct tg_snapshot *held = tg_snapshot_ref(old);
    struct tg_snapshot *next = load_one(&f);
    tg_snapshot_unref(old);
    assert_str(held->models[0].name, "a");
    assert_ptr_not_equal(held, next);
    tg_snapshot_unref(held);
    tg_snapshot_unref(next);
    tg_snapshot_unref(NULL);
    fx_fini(&f);
}

static void names_of_kinds(void **state)
{
    assert_string_equal(tg_backend_kind_name(TG_BACKEND_OPENAI), "openai");
    assert_string_equal(tg_backend_kind_name(TG_BACKEND_OPENAI_COMPATIBLE), "openai_compatible");
    assert_string_equal(tg_backend_kind_name(TG_BACKEND_LOCAL), "local");
    assert_string_equal(tg_backend_kind_name(TG_BACKEND_MOCK), "mock");
    assert_string_equal(tg_backend_kind_name(TG_BACKEND_NONE), "none");
    assert_string_equal(tg_tier_name(TG_TIER_NONE), "");
    assert_string_equal(tg_tier_name(TG_TIER_SMALL), "small");
    assert_string_equal(tg_tier_name(TG_TIER_MEDIUM), "medium");
    assert_string_equal(tg_tier_name(TG_TIER_LARGE), "large");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_reference_frees_it_on_any_thread),
        cmocka_unit_test(a_new_snapshot_leaves_the_old_one_alone),
        cmocka_unit_test(names_of_kinds),
    };
    return cmocka_run_group_tests_name("config/snapshot", tests, NULL, NULL);
}

#include "check.h"

#include "base/err.h"
#include "engine/limits_priv.h"

static void kernel_texts(void **state)
{
    assert_true(tg_parse_meminfo(TG_STR("MemTotal: 9 kB\nMemAvailable:    2048 kB\nX: 1 kB\n")) ==
                2048 * 1024);
    assert_true(tg_parse_meminfo(TG_STR("MemAvailable: kB\n")) == 0);
    assert_true(tg_parse_meminfo(TG_STR("MemAvailable: 99999999999999999999 kB\n")) == 0);
    assert_true(tg_parse_meminfo(TG_STR("")) == 0);
    assert_int_equal(tg_parse_cpu_max(TG_STR("max 100000\n")), 0);
    assert_int_equal(tg_parse_cpu_max(TG_STR("150000 100000\n")), 1);
    assert_int_equal(tg_parse_cpu_max(TG_STR("50000 100000\n")), 1);
    assert_int_equal(tg_parse_cpu_max(TG_STR("400000 100000\n")), 4);
    assert_int_equal(tg_parse_cpu_max(TG_STR("1 0")), 0);
    assert_int_equal(tg_parse_cpu_max(TG_STR("nonsense")), 0);
    assert_true(tg_parse_memory_max(TG_STR("max\n")) == UINT64_MAX);
    assert_true(tg_parse_memory_max(TG_STR("4096\n")) == 4096);
}

static void the_system_answers(void **state)
{
    assert_true(tg_cores_usable() >= 1);
    assert_true(tg_memory_address_space() > 1 << 20);
    assert_int_equal(tg_threads_default(0, 1), 1);
    assert_int_equal(tg_threads_default(0, 8), 7);
    assert_int_equal(tg_threads_default(4, 2), 2);
    assert_int_equal(tg_threads_default(1, 2), 1);
}

static const struct tg_llm_shape tiny = {.file_bytes = 4 << 20,
                                         .kv_bytes_per_token = 2560,
                                         .n_ctx_train = 2048,
                                         .n_vocab = 2048,
                                         .n_embd = 256,
                                         .n_layer = 5,
                                         .n_head = 8};

static void plans_take_the_defaults(void **state)
{
    struct tg_p_init in = {.slots = 8};
    struct tg_fail f;
    struct tg_plan p;
    tg_fail_clear(&f);
    assert_int_equal(tg_plan_make(&in, &tiny, 4, 8ull << 30, &f, &p), 0);
    assert_int_equal(p.n_ctx, 2048);
    assert_int_equal(p.n_cells, 8 * 2048);
    assert_int_equal(p.threads, 3);
    assert_true(p.memory_bytes > tiny.file_bytes + 8ull * 2048 * 2560);
    in.n_ctx = 100000; /* the model was not trained for so much */
    assert_int_equal(tg_plan_make(&in, &tiny, 4, 8ull << 30, &f, &p), 0);
    assert_int_equal(p.n_ctx, 2048);
    struct tg_llm_shape big = tiny;
    big.n_ctx_train = 131072;
    in.n_ctx = 0;
    assert_int_equal(tg_plan_make(&in, &big, 4, 8ull << 30, &f, &p), 0);
    assert_int_equal(p.n_ctx, 4096);
}

static void a_cache_nobody_asked_for_shrinks(void **state)
{
    struct tg_p_init in = {.slots = 8};
    struct tg_llm_shape s = tiny;
    struct tg_fail f;
    struct tg_plan p;
    s.kv_bytes_per_token = 128 << 10;
    s.n_ctx_train = 4096;
    tg_fail_clear(&f);
    assert_int_equal(tg_plan_make(&in, &s, 2, 2ull << 30, &f, &p), 0);
    assert_true(p.n_cells < 8 * 4096);
    assert_true(p.n_cells >= 4096);
    assert_true(p.memory_bytes <= (2ull << 30) / 10 * 8);
}

static void too_much_is_refused_by_name(void **state)
{
    struct tg_p_init in = {.slots = 8, .memory_limit_bytes = 1 << 20};
    struct tg_fail f;
    struct tg_plan p = {.n_ctx = 77};
    tg_fail_clear(&f);
    assert_int_equal(tg_plan_make(&in, &tiny, 2, 8ull << 30, &f, &p), TG_E_LOCAL_UNAVAILABLE);
    assert_contains(tg_str_c(f.message), "memory_limit");
    assert_int_equal(p.n_ctx, 77);
    in.memory_limit_bytes = 0;
    in.cache_tokens = 1 << 30;
    tg_fail_clear(&f);
    assert_int_equal(tg_plan_make(&in, &tiny, 2, 8ull << 30, &f, &p), TG_E_LOCAL_UNAVAILABLE);
    assert_contains(tg_str_c(f.message), "context_tokens");
    in.cache_tokens = 0;
    in.n_ctx = 10;
    tg_fail_clear(&f);
    assert_int_equal(tg_plan_make(&in, &tiny, 2, 8ull << 30, &f, &p), TG_E_LOCAL_UNAVAILABLE);
    assert_contains(tg_str_c(f.message), "too small");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernel_texts),
        cmocka_unit_test(the_system_answers),
        cmocka_unit_test(plans_take_the_defaults),
        cmocka_unit_test(a_cache_nobody_asked_for_shrinks),
        cmocka_unit_test(too_much_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

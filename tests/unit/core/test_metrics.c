#include <pthread.h>
#include <stdio.h>

#include "check.h"
#include "core/metrics.h"

static struct tg_metrics *m[2];
static struct tg_buf out;

static int setup(void **state TG_UNUSED)
{
    tg_buf_init(&out, 64u << 20);
    return tg_metrics_new(&m[0]) | tg_metrics_new(&m[1]);
}

static int teardown(void **state TG_UNUSED)
{
    tg_metrics_free(m[0]);
    tg_metrics_free(m[1]);
    tg_buf_fini(&out);
    return 0;
}

static struct tg_str text(void)
{
    tg_buf_clear(&out);
    assert_int_equal(tg_metrics_render(m, 2, &out), 0);
    return tg_buf_str(&out);
}

static void count(struct tg_metrics *where, const char *status, const char *model, uint64_t n)
{
    struct tg_str l[] = {tg_str_c(status), TG_STR("/v1/x"), tg_str_c(model)};
    tg_metrics_add(where, TG_METRIC_REQUESTS, l, 3, n);
}

static void sums_over_workers(void **state TG_UNUSED)
{
    count(m[0], "200", "a", 2);
    count(m[1], "200", "a", 3);
    count(m[1], "500", "a", 1);
    struct tg_str t = text();
    assert_contains(t, "# TYPE llm_gateway_requests_total counter\n");
    assert_contains(
        t, "llm_gateway_requests_total{status=\"200\",endpoint=\"/v1/x\",model=\"a\"} 5\n");
    assert_contains(
        t, "llm_gateway_requests_total{status=\"500\",endpoint=\"/v1/x\",model=\"a\"} 1\n");
}

static void histograms_are_cumulative(void **state TG_UNUSED)
{
    struct tg_str l = TG_STR("/v1/x");
    const uint64_t us[] = {500, 1000, 1001, 30000, 400000000};
    for (size_t i = 0; i < TG_ARRAY_LEN(us); i++)
        tg_metrics_observe_us(m[i % 2], TG_METRIC_REQUEST_DURATION, &l, 1, us[i]);
    struct tg_str t = text();
    assert_contains(t, "_bucket{endpoint=\"/v1/x\",le=\"0.001\"} 2\n");
    assert_contains(t, "_bucket{endpoint=\"/v1/x\",le=\"0.0025\"} 3\n");
    assert_contains(t, "_bucket{endpoint=\"/v1/x\",le=\"0.05\"} 4\n");
    assert_contains(t, "_bucket{endpoint=\"/v1/x\",le=\"300\"} 4\n");
    assert_contains(t, "_bucket{endpoint=\"/v1/x\",le=\"+Inf\"} 5\n");
    assert_contains(t, "_sum{endpoint=\"/v1/x\"} 400.032501\n");
    assert_contains(t, "_count{endpoint=\"/v1/x\"} 5\n");
}

static void labels_are_escaped_and_cut(void **state TG_UNUSED)
{
    char longer[300];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    count(m[0], "200", "a\"b\\c\nd", 1);
    count(m[0], "200", longer, 1);
    struct tg_str t = text();
    assert_contains(t, "model=\"a\\\"b\\\\c\\nd\"} 1\n");
    assert_contains(t, "xxxx\"} 1\n");
}

static void series_are_bounded(void **state TG_UNUSED)
{
    for (int i = 0; i < 5000; i++) {
        char model[32];
        snprintf(model, sizeof model, "m%d", i);
        count(m[0], "200", model, 1);
    }
    struct tg_str t = text();
    assert_contains(t, "model=\"m2047\"} 1\n");
    assert_lacks(t, "model=\"m2048\"");
    assert_contains(t, "llm_gateway_metric_series_dropped_total 2952\n");
}

static void *write_many(void *arg)
{
    for (int i = 0; i < 20000; i++) {
        char model[32];
        snprintf(model, sizeof model, "m%d", i % 50);
        count(arg, "200", model, 1);
    }
    return NULL;
}

static void is_read_while_it_is_written(void **state TG_UNUSED)
{
    pthread_t t[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&t[i], NULL, write_many, m[i]), 0);
    for (int i = 0; i < 20; i++)
        assert_contains(text(), "# TYPE llm_gateway_requests_total counter\n");
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    assert_contains(text(), "model=\"m49\"} 800\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sums_over_workers, setup, teardown),
        cmocka_unit_test_setup_teardown(histograms_are_cumulative, setup, teardown),
        cmocka_unit_test_setup_teardown(labels_are_escaped_and_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(series_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(is_read_while_it_is_written, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

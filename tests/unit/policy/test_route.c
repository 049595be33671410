/* From a request's model name to targets in order. */
#include "check.h"
#include "config_fixture.h"

#include "policy/route.h"

static const char yaml[] =
    "models:\n"
    "  a: {backend_type: mock, tier: small, aliases: [first], fallbacks: [b, c]}\n"
    "  b: {backend_type: openai_compatible, base_url: '${NOPE}'}\n"
    "  c: {backend_type: mock, tier: small}\n"
    "  d: {backend_type: openai_compatible, base_url: '${NOPE}', fallbacks: [b]}\n"
    "  e: {backend_type: openai_compatible, base_url: 'http://h', model_name: vendor/e}\n"
    "  'w-*': {backend_type: mock}\n";

static int setup(void **state)
{
    static struct fixture f;
    fx_init(&f);
    fx_load_text(&f, yaml, NO_ENV);
    fx_expect_ok(&f);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    fx_fini(*state);
    return 0;
}

/* The plan as "a c|b": healthy ones in front of the bar. */
static struct tg_str plan_text(const struct fixture *f, const char *name, uint64_t open)
{
    static char text[512];
    struct tg_route_plan p;
    struct tg_fail fail_out;
    size_t n = 0;
    tg_fail_clear(&fail_out);
    assert_int_equal(tg_route_find(f->s, tg_str_c(name), &open, &p, &fail_out), 0);
    assert_int_equal(fail_out.err, 0);
    for (size_t i = 0; i <= p.n; i++) {
        if (i == p.n_healthy)
            n += (size_t)snprintf(text + n, sizeof(text) - n, "|");
        if (i < p.n)
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%.*s",
                                  TG_STR_ARG(f->s->targets[p.targets[i]].name));
    }
    return tg_str_make(text, n);
}

static void healthy_targets_come_first(void **state)
{
    const struct fixture *f = *state;
    assert_str(plan_text(f, "a", 0), "ac|"); /* b is unavailable */
    assert_str(plan_text(f, "a", 1 << 0), "c|a");
    assert_str(plan_text(f, "a", 1 << 2), "a|c");
    assert_str(plan_text(f, "a", 1 << 0 | 1 << 2), "|ac");
    assert_str(plan_text(f, "first", 0), "ac|");
    assert_str(plan_text(f, "small", 0), "ac|");
    assert_str(plan_text(f, "w-1", 0), "w-*|");
    assert_str(plan_text(f, "", 0), "ac|"); /* the default model */
}

static void the_plan_says_what_was_asked_for(void **state)
{
    const struct fixture *f = *state;
    struct tg_route_plan p;
    assert_int_equal(tg_route_find(f->s, TG_STR("first"), NULL, &p, NULL), 0);
    assert_str(p.model->name, "a");
    assert_str(p.name, "first");
    assert_int_equal(p.route->kind, TG_ROUTE_ALIAS);
    assert_int_equal(tg_route_find(f->s, TG_STR(""), NULL, &p, NULL), 0);
    assert_str(p.name, "a");
    assert_int_equal(tg_route_find(f->s, TG_STR("w-9"), NULL, &p, NULL), 0);
    assert_str(p.name, "w-9");
    assert_true(p.model->wildcard);
}

static void unknown_names_are_answered_with_the_nearest(void **state)
{
    static const char *const cases[][2] = {
        {"frist", "The model 'frist' does not exist. Did you mean 'first'?"},
        {"smal", "The model 'smal' does not exist. Did you mean 'small'?"},
        {"gpt-5-turbo", "The model 'gpt-5-turbo' does not exist. GET /v1/models lists the models."},
        {"q\x01", "The model 'q\\x01' does not exist."},
    };
    const struct fixture *f = *state;
    struct tg_route_plan p = {.n = 77};
    struct tg_fail out;
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        tg_fail_clear(&out);
        assert_int_equal(tg_route_find(f->s, tg_str_c(cases[i][0]), NULL, &p, &out),
                         TG_E_MODEL_NOT_FOUND);
        if (tg_str_find(tg_str_c(out.message), tg_str_c(cases[i][1])) != 0)
            fail_msg("%s", out.message);
        assert_string_equal(out.param, "model");
        assert_int_equal(tg_fail_status(&out), 404);
        assert_int_equal(p.n, 77); /* untouched */
    }
    char huge[5000];
    memset(huge, 'x', sizeof(huge));
    tg_fail_clear(&out);
    assert_int_equal(tg_route_find(f->s, tg_str_make(huge, sizeof(huge)), NULL, &p, &out),
                     TG_E_MODEL_NOT_FOUND);
    assert_true(strlen(out.message) < 300);
}

static void unavailable_models_say_why(void **state)
{
    const struct fixture *f = *state;
    struct tg_route_plan p;
    struct tg_fail out;
    tg_fail_clear(&out);
    assert_int_equal(tg_route_find(f->s, TG_STR("d"), NULL, &p, &out), TG_E_NO_UPSTREAM);
    assert_string_equal(out.message,
                        "The model 'd' is not available: environment variable NOPE is not set.");
    assert_int_equal(tg_fail_status(&out), 503);
}

static void without_a_default_the_field_is_required(void **state)
{
    struct fixture *f = *state;
    struct tg_route_plan p;
    struct tg_fail out;
    fx_load_text(f, "engine: {builtin: false}\n", ENV("OPENAI_API_KEY=k"));
    fx_expect_ok(f);
    tg_fail_clear(&out);
    assert_int_equal(tg_route_find(f->s, TG_STR(""), NULL, &p, &out), TG_E_MISSING_FIELD);
    assert_string_equal(out.param, "model");
    assert_int_equal(tg_route_find(f->s, TG_STR("any"), NULL, &p, &out), 0);
}

static void names_for_the_provider(void **state)
{
    const struct fixture *f = *state;
    const struct tg_target *e = tg_snapshot_target(f->s, 4), *w = tg_snapshot_target(f->s, 5);
    assert_str(tg_route_upstream_name(e, TG_STR("e")), "vendor/e");
    assert_str(tg_route_upstream_name(w, TG_STR("w-7")), "w-7");
}

/* More targets than one word of the bitmap has bits. */
static void health_of_many_targets(void **state)
{
    struct fixture *f = *state;
    struct tg_buf b;
    struct tg_route_plan p;
    tg_buf_init(&b, 1 << 16);
    tg_buf_lit(&b, "models:\n");
    for (int i = 0; i < 130; i++)
        tg_buf_printf(&b, "  m%d: {backend_type: mock}\n", i);
    tg_buf_lit(&b, "  last: {backend_type: mock, fallbacks: [m129, m63, m64]}\n");
    tg_buf_char(&b, '\0');
    fx_load_text(f, b.p, NO_ENV);
    fx_expect_ok(f);
    tg_buf_fini(&b);
    /* m63 is the last bit of the first word, `last` (130) the third of the third. */
    uint64_t open[3] = {UINT64_C(1) << 63, 0, UINT64_C(1) << 2};
    assert_int_equal(tg_route_find(f->s, TG_STR("last"), open, &p, NULL), 0);
    assert_int_equal(p.n, 4);
    assert_int_equal(p.n_healthy, 2);
    assert_int_equal(p.targets[0], 129);
    assert_int_equal(p.targets[1], 64);
    assert_int_equal(p.targets[2], 130);
    assert_int_equal(p.targets[3], 63);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(healthy_targets_come_first),
        T(the_plan_says_what_was_asked_for),
        T(unknown_names_are_answered_with_the_nearest),
        T(unavailable_models_say_why),
        T(without_a_default_the_field_is_required),
        T(names_for_the_provider),
        T(health_of_many_targets),
    };
    return cmocka_run_group_tests_name("policy/route", tests, NULL, NULL);
}

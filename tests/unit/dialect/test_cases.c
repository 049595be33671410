/* The case files of tests/cases/dialect: a body, and what the dialect says about it. The kind names
 * the dialect; the log is either a failure or the canonical request with, for a format that passes
 * through, the spliced body. */
#include "check.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/err.h"
#include "canon.h"
#include "case_file.h"
#include "dialect/dialect.h"

static const struct tg_dialect *const dialects[] = {
    &tg_dialect_openai_chat,     &tg_dialect_openai_completions, &tg_dialect_responses,
    &tg_dialect_responses_count, &tg_dialect_anthropic,          &tg_dialect_anthropic_count,
    &tg_dialect_generate,        &tg_dialect_simple_chat,
};
static unsigned failures;

static const struct tg_dialect *dialect_of(const char *kind)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(dialects); i++) {
        size_t n = strlen(dialects[i]->name);
        const char *word = strstr(kind, dialects[i]->name);
        if (word && (word[n] == 0 || word[n] == ' '))
            return dialects[i];
    }
    fail_msg("no dialect in \"%s\"", kind);
    return NULL;
}

static void log_failure(struct tg_buf *b, const char *step, const struct tg_fail *f)
{
    tg_buf_printf(b, "%s %s %d %s", step, tg_err_name(f->err), tg_fail_status(f), tg_fail_code(f));
    canon_str(b, "param", tg_str_c(f->param));
    tg_buf_printf(b, ": %s\n", f->message);
}

static void log_splice(struct tg_buf *b, const struct tg_dialect *d, struct tg_arena *a,
                       const struct tg_call *call)
{
    struct iovec iov[8];
    int n;
    bool hide;
    int rc = d->splice(a, call, TG_STR("up/stream"), true, iov, 8, &n, &hide);
    tg_buf_printf(b, "splice%s ", hide ? " hide" : "");
    if (rc)
        tg_buf_printf(b, "%s", tg_err_name(rc));
    for (int i = 0; !rc && i < n; i++)
        tg_buf_add(b, iov[i].iov_base, iov[i].iov_len);
    tg_buf_char(b, '\n');
}

static void run(const struct tg_dialect *d, struct tg_arena *a, struct tg_str body,
                struct tg_buf *log)
{
    struct tg_call call = {0};
    struct tg_chat_req req;
    struct tg_fail f;
    tg_fail_clear(&f);
    if (d->accepts && !d->accepts(body)) {
        tg_buf_lit(log, "not accepted\n");
        return;
    }
    if (d->open(a, NULL, body, &call, &f)) {
        log_failure(log, "open", &f);
        return;
    }
    assert_ptr_equal(call.dialect, d);
    assert_int_equal(f.err, 0);
    if (d->splice)
        log_splice(log, d, a, &call);
    if (d->parse(a, &call, &req, &f)) {
        log_failure(log, "parse", &f);
        return;
    }
    assert_int_equal(f.err, 0);
    assert_string_equal(req.dialect, d->name);
    canon_dump(log, &req);
}

static void check_case(void *ctx, const struct case_one *c)
{
    struct tg_arena a;
    struct tg_buf log;
    tg_arena_init(&a, 4096, 64u << 20);
    tg_buf_init(&log, 8u << 20);
    /* Memory of exactly that size, so that a read behind its end is caught. */
    char *body = tg_malloc(c->input.n);
    assert_non_null(body);
    if (c->input.n)
        memcpy(body, c->input.p, c->input.n);
    run(dialect_of(c->kind), &a, tg_str_make(body, c->input.n), &log);
    struct tg_str want = tg_str_trim(tg_buf_str(&c->log)), got = tg_str_trim(tg_buf_str(&log));
    if (!tg_str_eq(got, want)) {
        failures++;
        print_error("## %s\n%.*s\nwanted:\n%.*s\n", c->title, TG_STR_ARG(got), TG_STR_ARG(want));
    }
    tg_free(body);
    tg_buf_fini(&log);
    tg_arena_fini(&a);
}

static void case_files(void **state)
{
    size_t n = case_files_each("dialect", check_case, NULL);
    print_message("%zu cases\n", n);
    assert_int_equal(failures, 0);
    assert_true(n >= 80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(case_files)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What happens when the child dies, hangs or can't start: errors at once, restarts, reasons. */
#include "engine_rig.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"
#include "engine/limits_priv.h"

static struct tg_engine_model_opts opts_for(const char *path)
{
    struct tg_engine_model_opts o;
    tg_engine_model_opts_init(&o);
    o.name = TG_STR("test");
    if (path)
        o.path = tg_str_c(path);
    return o;
}

static struct tg_engine_request story(const struct tg_engine_message *m)
{
    struct tg_engine_request req = rig_greedy(m);
    req.sampling.temperature = 1;
    static const struct tg_engine_bias no_end[] = {{0, -100}, {2, -100}};
    req.bias = no_end; /* it does not end before the fault comes */
    req.n_bias = 2;
    return req;
}

static void still_answers(struct rig *r)
{
    struct tg_engine_request req = rig_greedy(RIG_USER("What is the capital of France?"));
    struct rig_answer *a = rig_ask(r, &req);
    if (a->err)
        fail_msg("no answer: %s", a->message);
    assert_contains(tg_buf_str(&a->text[0]), "Paris");
}

static void killed_by(int sig)
{
    struct rig r;
    rig_start(&r, NULL);
    struct tg_engine_request req = story(RIG_USER("Tell me a long story about a fox."));
    struct rig_answer *a = rig_submit(&r, &req), *b = rig_submit(&r, &req);
    rig_wait(&r, a->n_text > 3 && b->n_text > 3);
    int pid = rig_status(&r).pid;
    assert_true(pid > 0);
    assert_int_equal(kill(pid, sig), 0);
    rig_wait(&r, a->last && b->last);
    assert_int_equal(a->err, TG_E_LOCAL_UNAVAILABLE);
    assert_int_equal(b->err, TG_E_LOCAL_UNAVAILABLE);
    rig_wait(&r, rig_status(&r).state == TG_ENGINE_READY && rig_status(&r).pid != pid);
    assert_int_equal(rig_status(&r).restarts, 1);
    still_answers(&r);
    rig_stop(&r);
}

static void kill_minus_nine(void **state)
{
    if (rig_possible())
        killed_by(SIGKILL);
}

static void a_segmentation_fault(void **state)
{
    if (rig_possible())
        killed_by(SIGSEGV);
}

static void an_abort(void **state)
{
    if (rig_possible())
        killed_by(SIGABRT);
}

/* A Ctrl-C or a stop of the whole group is for the gateway. */
static void polite_signals_do_nothing(void **state)
{
    struct rig r;
    if (!rig_possible())
        return;
    rig_start(&r, NULL);
    still_answers(&r);
    int pid = rig_status(&r).pid;
    kill(pid, SIGINT);
    kill(pid, SIGTERM);
    kill(pid, SIGHUP);
    still_answers(&r);
    assert_int_equal(rig_status(&r).pid, pid);
    rig_stop(&r);
}

static void a_hang_is_noticed(void **state)
{
    struct rig r;
    if (!rig_possible())
        return;
    struct tg_engine_model_opts o = opts_for(NULL);
    o.watchdog_ms = 3000; /* beats come once a second */
    rig_start(&r, &o);
    struct tg_engine_request req = story(RIG_USER("Tell me a long story about a bear."));
    struct rig_answer *a = rig_submit(&r, &req);
    rig_wait(&r, a->n_text > 3);
    int pid = rig_status(&r).pid;
    kill(pid, SIGSTOP);
    rig_wait(&r, a->last);
    assert_int_equal(a->err, TG_E_LOCAL_UNAVAILABLE);
    rig_wait(&r, rig_status(&r).state == TG_ENGINE_READY);
    assert_true(rig_status(&r).pid != pid);
    still_answers(&r);
    rig_stop(&r);
}

/* A stalled reader is no hang: the child's signs of life go on. */
static void a_stalled_reader_is_no_hang(void **state)
{
    struct rig r;
    if (!rig_possible())
        return;
    struct tg_engine_model_opts o = opts_for(NULL);
    o.watchdog_ms = 3000;
    rig_start(&r, &o);
    struct tg_engine_request req = story(RIG_USER("Tell me a long story about a bee."));
    req.credit_bytes = 20;
    struct rig_answer *a = rig_submit(&r, &req);
    a->keep_credit = true;
    rig_wait(&r, a->owed >= 20);
    uint64_t until = rig_deadline() - 60000 + 4500;
    while (rig_turn(&r, until))
        ;
    assert_false(a->last);
    assert_int_equal(rig_status(&r).restarts, 0);
    tg_engine_cancel(r.host, a->id);
    rig_wait(&r, a->last);
    assert_int_equal(a->reason, TG_ENGINE_CANCELLED);
    rig_stop(&r);
}

static void a_prompt_seen_at_two_crashes_is_refused(void **state)
{
    struct rig r;
    if (!rig_possible())
        return;
    rig_start(&r, NULL);
    struct tg_engine_request req = story(RIG_USER("Tell me a long story about a cat."));
    for (int i = 0; i < 2; i++) {
        struct rig_answer *a = rig_submit(&r, &req);
        rig_wait(&r, a->n_text > 3);
        kill(rig_status(&r).pid, SIGKILL);
        rig_wait(&r, a->last);
        assert_int_equal(a->err, TG_E_LOCAL_UNAVAILABLE);
        rig_wait(&r, rig_status(&r).state == TG_ENGINE_READY);
    }
    struct rig_answer *a = rig_ask(&r, &req);
    assert_int_equal(a->err, TG_E_LOCAL_FAILED);
    assert_false(a->started);
    still_answers(&r); /* others are not refused */
    rig_stop(&r);
}

/* The model can't be had: the reason is told to every request, and in the status. */
static void can_not_start(const struct tg_engine_model_opts *o, const char *why)
{
    struct rig r;
    rig_start(&r, o);
    struct tg_engine_request req = rig_greedy(RIG_USER("hello"));
    struct rig_answer *a = rig_ask(&r, &req);
    assert_int_equal(a->err, TG_E_LOCAL_UNAVAILABLE);
    if (!strstr(a->message, why))
        fail_msg("\"%s\" lacks \"%s\"", a->message, why);
    /* The status is a copy, and may be a second old. */
    rig_wait(&r, rig_status(&r).state == TG_ENGINE_FAILED);
    struct tg_engine_status s = rig_status(&r);
    assert_non_null(strstr(s.reason, why));
    a = rig_ask(&r, &req); /* at once now, not after another try */
    assert_int_equal(a->err, TG_E_LOCAL_UNAVAILABLE);
    assert_true(a->retry_after_ms > 0);
    assert_int_equal(s.restarts, 0);
    rig_stop(&r);
}

static void a_missing_file(void **state)
{
    if (!rig_possible())
        return;
    struct tg_engine_model_opts o = opts_for("/nonexistent/model.gguf");
    can_not_start(&o, "model.gguf can't be opened");
    o = opts_for("/tmp");
    can_not_start(&o, "tmp is not a file");
}

static void a_file_that_is_no_model(void **state)
{
    if (!rig_possible())
        return;
    struct tg_engine_model_opts o = opts_for(rig_write_model(TG_STR("this is no model at all")));
    can_not_start(&o, "not a usable GGUF file");
    o = opts_for(rig_write_model(TG_STR("")));
    can_not_start(&o, "not a usable GGUF file");
}

static void a_truncated_file(void **state)
{
    if (!rig_possible())
        return;
    struct tg_str bytes = rig_model_bytes();
    const size_t cuts[] = {100, 5000, bytes.n / 2, bytes.n - 1};
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        struct tg_engine_model_opts o = opts_for(rig_write_model(tg_str_first(bytes, cuts[i])));
        can_not_start(&o, ".gguf");
    }
    tg_free((char *)(uintptr_t)bytes.p);
}

/* A header that makes the library abort: restarts with growing pauses, then the reason. */
static void a_file_that_aborts_the_library(void **state)
{
    struct rig r;
    if (!rig_possible())
        return;
    struct tg_str bytes = rig_model_bytes();
    char *p = tg_malloc(bytes.n);
    memcpy(p, bytes.p, bytes.n);
    /* Two tokens of the same text: " the" is spelt with a special letter in front. */
    ptrdiff_t at = tg_str_find(bytes, TG_STR("\x04\0\0\0\0\0\0\0\xC4\xA0ha"));
    if (at < 0)
        at = tg_str_find(bytes, TG_STR("\x04\0\0\0\0\0\0\0\xC4\xA0to"));
    assert_true(at > 0);
    memcpy(p + at + 10, "he", 2);
    struct tg_engine_model_opts o = opts_for(rig_write_model(tg_str_make(p, bytes.n)));
    rig_start(&r, &o);
    struct tg_engine_request req = rig_greedy(RIG_USER("hello"));
    struct rig_answer *a = rig_ask(&r, &req);
    assert_int_equal(a->err, TG_E_LOCAL_UNAVAILABLE);
    struct tg_engine_status s = rig_status(&r);
    assert_int_equal(s.state, TG_ENGINE_FAILED);
    assert_int_equal(s.restarts, 5);
    assert_non_null(strstr(s.reason, "ABRT"));
    rig_stop(&r);
    tg_free(p);
    tg_free((char *)(uintptr_t)bytes.p);
}

/* Regular expressions of this tokenizer recurse per letter: only a large stack survives. */
static void a_quarter_megabyte_of_one_letter(void **state)
{
    static char text[TG_ENGINE_MAX_TEXT_BYTES];
    struct rig r;
    if (!rig_possible())
        return;
    struct tg_str bytes = rig_model_bytes();
    char *p = tg_malloc(bytes.n);
    memcpy(p, bytes.p, bytes.n);
    ptrdiff_t at = tg_str_find(bytes, TG_STR("\x05\0\0\0\0\0\0\0qwen2"));
    assert_true(at > 0);
    memcpy(p + at + 8, "bloom", 5);
    struct tg_engine_model_opts o = opts_for(rig_write_model(tg_str_make(p, bytes.n)));
    rig_start(&r, &o);
    memset(text, 'a', sizeof text);
    const struct tg_engine_message m = {TG_ROLE_USER, {text, sizeof text}};
    struct tg_engine_request req = rig_greedy(&m);
    struct rig_answer *a = rig_ask(&r, &req);
    assert_int_equal(a->err, TG_E_CONTEXT_LENGTH);
    assert_int_equal(rig_status(&r).restarts, 0);
    rig_stop(&r);
    tg_free(p);
    tg_free((char *)(uintptr_t)bytes.p);
}

static void too_little_memory(void **state)
{
    if (!rig_possible())
        return;
    struct tg_engine_model_opts o = opts_for(NULL);
    o.memory_limit_bytes = 2 << 20;
    can_not_start(&o, "memory_limit");
}

/* As under "ulimit -v": whatever does not fit, the gateway hears of it and lives. */
static void a_tight_address_space(void **state)
{
    struct rig r;
    if (!rig_possible())
        return;
    if (tg_memory_address_space() > 1ull << 40)
        skip_because("a sanitizer's shadow memory does not fit any limit");
    static const char *const limits[] = {"15000000", "60000000", "100000000", "200000000"};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        rig_child_argument = limits[i];
        rig_start(&r, NULL);
        struct tg_engine_request req = rig_greedy(RIG_USER("hello"));
        struct rig_answer *a = rig_ask(&r, &req);
        rig_child_argument = NULL;
        assert_int_equal(a->err, TG_E_LOCAL_UNAVAILABLE);
        assert_int_equal(rig_status(&r).state, TG_ENGINE_FAILED);
        assert_true(strlen(rig_status(&r).reason) > 20);
        print_message("# %s: %s\n", limits[i], rig_status(&r).reason);
        rig_stop(&r);
    }
}

static void an_unknown_chat_template(void **state)
{
    struct rig r;
    if (!rig_possible())
        return;
    struct tg_engine_model_opts o = opts_for(NULL);
    o.chat_template = TG_STR("no-such-format");
    rig_start(&r, &o);
    struct tg_engine_request req = rig_greedy(RIG_USER("What is the capital of France?"));
    struct rig_answer *a = rig_ask(&r, &req);
    assert_int_equal(a->err, TG_E_LOCAL_FAILED);
    assert_contains(tg_str_c(a->message), "chat_template");
    assert_false(rig_status(&r).info.has_template);
    req.raw = true; /* without a template it works */
    req.prompt = TG_STR("Once upon");
    req.max_tokens = 3;
    assert_true(rig_ask(&r, &req)->done);
    rig_stop(&r);
    o.chat_template = TG_STR("chatml");
    rig_start(&r, &o);
    still_answers(&r);
    assert_string_equal(rig_status(&r).info.chat_format, "chatml");
    rig_stop(&r);
}

/* The thread checker slows the library's own threads, which spin for each other, beyond the time
 * that a start may take. */
#ifdef __SANITIZE_THREAD__
enum { RIG_THREADS = 1 };
#else
enum { RIG_THREADS = 2 };
#endif

static void a_model_file_by_path(void **state)
{
    struct rig r;
    if (!rig_possible())
        return;
    struct tg_str bytes = rig_model_bytes();
    const char *path = rig_write_model(bytes);
    struct tg_engine_model_opts o = opts_for(path + 1);
    assert_int_equal(chdir("/"), 0); /* so that the path is relative and right */
    o.flash = TG_ENGINE_FLASH_ON;
    o.n_ctx = 256;
    o.slots = 2;
    rig_start(&r, &o);
    still_answers(&r);
    assert_int_equal(rig_status(&r).info.n_ctx, 256);
    assert_int_equal(rig_status(&r).info.slots, 2);
    rig_stop(&r);
    o.no_mmap = true;
    o.threads = RIG_THREADS;
    o.nice = 5;
    rig_start(&r, &o);
    still_answers(&r);
    rig_stop(&r);
    tg_free((char *)(uintptr_t)bytes.p);
}

/* Cells for three requests, work for eight: some are put back and go on later. */
static void a_cache_too_small_for_all(void **state)
{
    struct rig r;
    if (!rig_possible())
        return;
    struct tg_engine_model_opts o = opts_for(NULL);
    o.n_ctx = 256;
    o.cache_tokens = 512;
    rig_start(&r, &o);
    struct rig_answer *a[8];
    for (int i = 0; i < 8; i++) {
        struct tg_engine_request req =
            story(i % 2 ? RIG_USER("Tell me a story.") : RIG_USER("A story about a fox, please."));
        req.max_tokens = 150;
        a[i] = rig_submit(&r, &req);
    }
    for (int i = 0; i < 8; i++) {
        rig_wait(&r, a[i]->last);
        assert_true(a[i]->done);
        assert_int_equal(a[i]->reason, TG_ENGINE_LENGTH);
        assert_int_equal(a[i]->counts.completion_tokens, 150);
    }
    rig_stop(&r);
}

static void loading_and_unloading(void **state)
{
    struct rig r;
    if (!rig_possible())
        return;
    struct tg_engine_model_opts o = opts_for(NULL);
    o.load_at_boot = true;
    rig_start(&r, &o);
    rig_wait(&r, rig_status(&r).state == TG_ENGINE_READY);
    int pid = rig_status(&r).pid;
    struct tg_engine_request req = story(RIG_USER("Tell me a long story about a dog."));
    struct rig_answer *a = rig_submit(&r, &req);
    rig_wait(&r, a->n_text > 3);
    assert_int_equal(tg_engine_model_unload(r.host, r.model), 0);
    rig_wait(&r, a->last);
    assert_int_equal(a->err, TG_E_LOCAL_UNAVAILABLE);
    rig_wait(&r, rig_status(&r).pid == 0);
    assert_int_equal(rig_status(&r).state, TG_ENGINE_OFF);
    assert_int_equal(rig_status(&r).restarts, 0);
    assert_int_not_equal(kill(pid, 0), 0);
    assert_int_equal(tg_engine_model_load(r.host, r.model), 0);
    rig_wait(&r, rig_status(&r).state == TG_ENGINE_READY);
    still_answers(&r);
    a = rig_submit(&r, &req);
    rig_wait(&r, a->n_text > 3);
    assert_int_equal(tg_engine_model_remove(r.host, r.model), 0);
    rig_wait(&r, a->last);
    assert_int_equal(a->err, TG_E_LOCAL_UNAVAILABLE);
    struct tg_engine_status s;
    rig_wait(&r, tg_engine_model_status(r.host, r.model, &s) == TG_E_NOT_FOUND_INTERNAL);
    a = rig_ask(&r, &req);
    assert_int_equal(a->err, TG_E_LOCAL_UNAVAILABLE);
    rig_stop(&r);
}

static void an_idle_model_is_stopped(void **state)
{
    struct rig r;
    if (!rig_possible())
        return;
    struct tg_engine_model_opts o = opts_for(NULL);
    o.idle_stop_ms = 150;
    rig_start(&r, &o);
    still_answers(&r);
    rig_wait(&r, rig_status(&r).state == TG_ENGINE_OFF);
    rig_wait(&r, rig_status(&r).pid == 0);
    still_answers(&r); /* and comes back with the next request */
    rig_stop(&r);
}

/* The end of the host ends every request and child. */
static void the_end_is_told(void **state)
{
    struct rig r;
    if (!rig_possible())
        return;
    rig_start(&r, NULL);
    struct tg_engine_request req = story(RIG_USER("Tell me a long story about a hen."));
    struct rig_answer *a = rig_submit(&r, &req);
    rig_wait(&r, a->n_text > 3);
    int pid = rig_status(&r).pid;
    rig_stop(&r);
    assert_int_equal(a->err, TG_E_SHUTTING_DOWN);
    assert_int_not_equal(kill(pid, 0), 0);
}

int main(int argc, char **argv)
{
    rig_main(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kill_minus_nine),
        cmocka_unit_test(a_segmentation_fault),
        cmocka_unit_test(an_abort),
        cmocka_unit_test(polite_signals_do_nothing),
        cmocka_unit_test(a_hang_is_noticed),
        cmocka_unit_test(a_stalled_reader_is_no_hang),
        cmocka_unit_test(a_prompt_seen_at_two_crashes_is_refused),
        cmocka_unit_test(a_missing_file),
        cmocka_unit_test(a_file_that_is_no_model),
        cmocka_unit_test(a_truncated_file),
        cmocka_unit_test(a_file_that_aborts_the_library),
        cmocka_unit_test(a_quarter_megabyte_of_one_letter),
        cmocka_unit_test(too_little_memory),
        cmocka_unit_test(a_tight_address_space),
        cmocka_unit_test(an_unknown_chat_template),
        cmocka_unit_test(a_model_file_by_path),
        cmocka_unit_test(a_cache_too_small_for_all),
        cmocka_unit_test(loading_and_unloading),
        cmocka_unit_test(an_idle_model_is_stopped),
        cmocka_unit_test(the_end_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

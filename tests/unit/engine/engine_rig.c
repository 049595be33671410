#include "engine_rig.h"

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"
#include "base/utf8.h"
#include "engine/child.h"
#include "engine/child_priv.h"
#include "io/mailbox.h"

void rig_main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "engine") == 0) {
        uint64_t bytes;
        if (argc > 2 && tg_parse_u64(tg_str_c(argv[2]), &bytes) == 0)
            setrlimit(RLIMIT_AS, &(const struct rlimit){bytes, bytes});
        _exit(tg_engine_child_main(TG_ENGINE_CHILD_FD));
    }
    tg_log_set_level(TG_LOG_OFF);
}

const char *rig_child_argument;

static void quiet(const char *line)
{
    (void)line;
}

bool rig_possible(void)
{
    /* Tried in a process of its own: the library must not be mapped here. */
    static int known = -1;
    if (known < 0) {
        pid_t pid = fork();
        if (pid == 0) {
            struct tg_fail f;
            struct tg_llm *m;
            tg_fail_clear(&f);
            _exit(tg_child_open_library(quiet, false, &f, &m) == 0 ? 0 : 1);
        }
        int status = 1;
        waitpid(pid, &status, 0);
        known = status == 0;
    }
    if (!known)
        print_message("# skipped: libllama was not found\n");
    return known;
}

/* ---- events ---- */

static void on_text(struct rig *r, struct rig_answer *a, const struct tg_engine_event *ev)
{
    assert_true(ev->choice < 4);
    if (a->n_text++ == 0)
        a->utf8 = true;
    a->utf8 = a->utf8 && tg_utf8_valid(ev->text);
    tg_buf_str_add(&a->text[ev->choice], ev->text);
    a->n_logprobs += ev->n_logprobs;
    for (uint32_t i = 0; i < ev->n_logprobs; i++) {
        a->n_top += ev->logprobs[i].n_top;
        a->logprob_sum += (double)ev->logprobs[i].logprob;
        if (ev->logprobs[i].n_top) /* greedy: the token is the likeliest */
            assert_str_equal(ev->logprobs[i].token, ev->logprobs[i].top[0].token);
    }
    if (a->keep_credit)
        a->owed += ev->cost;
    else if (r->host)
        tg_engine_credit(r->host, a->id, ev->choice, ev->cost);
}

static void on_event(void *ctx, struct tg_engine_event *ev)
{
    struct rig *r = ctx;
    struct rig_answer *a = &r->a[ev->tag.a];
    r->last_event_ms = tg_clock_mono_ms();
    assert_true(ev->tag.a < r->n);
    assert_false(a->last); /* nothing follows the last event */
    switch (ev->kind) {
    case TG_ENGINE_EV_STARTED:
        a->started = true;
        a->counts = ev->counts;
        break;
    case TG_ENGINE_EV_TEXT:
        assert_true(a->started);
        on_text(r, a, ev);
        break;
    case TG_ENGINE_EV_VECTOR:
        assert_true(a->started && ev->choice < TG_ENGINE_MAX_CHOICES);
        a->dims = (uint32_t)(ev->text.n / sizeof(float));
        assert_true(a->dims <= 512);
        memcpy(a->vector[ev->choice], ev->text.p, ev->text.n);
        break;
    case TG_ENGINE_EV_DONE:
        a->n_ended++;
        a->done = ev->last && !a->err;
        a->reason = ev->reason;
        a->stop_index = ev->stop_index;
        a->counts = ev->counts;
        break;
    case TG_ENGINE_EV_ERROR:
        a->n_ended++;
        a->err = ev->err;
        a->retry_after_ms = ev->retry_after_ms;
        tg_str_to_c(ev->text, a->message, sizeof a->message);
        break;
    }
    a->last = ev->last;
    tg_engine_event_free(ev);
}

/* ---- host and requests ---- */

void rig_start(struct rig *r, const struct tg_engine_model_opts *opts)
{
    struct tg_engine_model_opts builtin;
    struct tg_fail f;
    tg_fail_clear(&f);
    memset(r, 0, sizeof *r);
    tg_engine_model_opts_init(&builtin);
    builtin.name = TG_STR("test");
    assert_int_equal(tg_loop_new(&r->loop), 0);
    assert_int_equal(tg_mailbox_new(r->loop, 1024, r, &r->inbox), 0);
    static const char *argv[4];
    argv[0] = "tollgate";
    argv[1] = "engine";
    argv[2] = rig_child_argument;
    const struct tg_engine_host_opts how = {.argv = argv};
    assert_int_equal(tg_engine_host_new(&how, &r->host), 0);
    assert_int_equal(tg_engine_client_add(r->host, r->inbox, on_event, &r->client), 0);
    assert_int_equal(tg_engine_model_add(r->host, opts ? opts : &builtin, &f, &r->model), 0);
}

void rig_stop(struct rig *r)
{
    tg_engine_host_free(r->host);
    r->host = NULL; /* texts may still lie in the inbox: no credit for them any more */
    tg_loop_turn(r->loop);
    tg_mailbox_free(r->inbox);
    tg_loop_free(r->loop);
    for (uint32_t i = 0; i < r->n; i++)
        for (size_t k = 0; k < 4; k++)
            tg_buf_fini(&r->a[i].text[k]);
}

struct tg_engine_request rig_greedy(const struct tg_engine_message *m)
{
    struct tg_engine_request req = {.messages = m, .n_messages = 1};
    tg_engine_sampling_init(&req.sampling);
    req.sampling.temperature = 0;
    return req;
}

struct rig_answer *rig_submit(struct rig *r, const struct tg_engine_request *req)
{
    struct tg_fail f;
    assert_true(r->n < RIG_REQUESTS);
    struct rig_answer *a = &r->a[r->n];
    for (size_t k = 0; k < 4; k++)
        tg_buf_init(&a->text[k], 1 << 20);
    tg_fail_clear(&f);
    struct tg_engine_tag tag = {.a = r->n++};
    int rc = tg_engine_submit(r->host, r->model, r->client, tag, req, &f, &a->id);
    if (rc)
        print_error("submit: %s\n", f.message);
    assert_int_equal(rc, 0);
    a->submitted = true;
    return a;
}

struct rig_answer *rig_ask(struct rig *r, const struct tg_engine_request *req)
{
    struct rig_answer *a = rig_submit(r, req);
    rig_wait(r, a->last);
    return a;
}

uint64_t rig_deadline(void)
{
    return tg_clock_mono_ms() + 60000;
}

bool rig_turn(struct rig *r, uint64_t deadline_ms)
{
    if (!tg_loop_turn(r->loop))
        usleep(500);
    uint64_t now = tg_clock_mono_ms();
    return now < deadline_ms || now - r->last_event_ms < 60000;
}

struct tg_engine_status rig_status(struct rig *r)
{
    struct tg_engine_status s;
    assert_int_equal(tg_engine_model_status(r->host, r->model, &s), 0);
    return s;
}

/* ---- files ---- */

struct tg_str rig_model_bytes(void)
{
    char path[4096];
    const char *root = getenv("TG_SOURCE_ROOT");
    snprintf(path, sizeof path, "%s/models/tiny-chat-3.5m-q8_0.gguf", root ? root : ".");
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    size_t n = (size_t)ftell(f);
    rewind(f);
    char *p = tg_malloc(n);
    assert_non_null(p);
    assert_int_equal(fread(p, 1, n, f), n);
    fclose(f);
    return tg_str_make(p, n);
}

static char temp_path[64];

static void remove_temp(void)
{
    if (temp_path[0])
        unlink(temp_path);
}

const char *rig_write_model(struct tg_str bytes)
{
    if (!temp_path[0]) {
        snprintf(temp_path, sizeof temp_path, "/tmp/tg-engine-%d.gguf", (int)getpid());
        atexit(remove_temp);
    }
    FILE *f = fopen(temp_path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes.p, 1, bytes.n, f), bytes.n);
    assert_int_equal(fclose(f), 0);
    return temp_path;
}

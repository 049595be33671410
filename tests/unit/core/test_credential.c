/* Credentials that are renewed: files that change, commands that really run, and when requests
 * wait, go on with the old one, or fail. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "check.h"
#include "config/config.h"
#include "core/credential_priv.h"
#include "core/sign.h"

struct rig {
    char dir[32];
    struct tg_loop *loop;
    struct tg_resolver *resolver;
    struct tg_http_client *http;
    struct tg_runtime *rt;
    struct tg_task task; /* of the one who waits */
    struct tg_credential_waiter waiter;
    int woken;
    struct tg_credential_value value;
    struct tg_fail fail;
};

static const struct tg_registry no_dialects;

static void write_file(const struct rig *r, const char *name, const char *text)
{
    char path[128], tmp[128];
    snprintf(tmp, sizeof tmp, "%s/%s.new", r->dir, name);
    snprintf(path, sizeof path, "%s/%s", r->dir, name);
    FILE *f = fopen(tmp, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
    assert_int_equal(rename(tmp, path), 0);
}

static void on_wake(struct tg_task *t)
{
    tg_container_of(t, struct rig, task)->woken++;
}

static struct tg_snapshot *load(const struct rig *r, const char *body)
{
    char yaml[1024];
    struct tg_snapshot *s = NULL;
    struct tg_config_report report;
    struct tg_buf text;
    static const char *const env[] = {NULL};
    snprintf(yaml, sizeof yaml, "engine: {builtin: false}\nmodels:\n  m: {%s}\n", body);
    struct tg_config_source src = {.cwd = r->dir, .env = env, .text = tg_str_c(yaml), .cores = 1};
    tg_config_report_init(&report);
    tg_buf_init(&text, 1 << 16);
    if (tg_config_load(&src, &s, &report) != 0) {
        (void)tg_config_report_write(&report, &text);
        fail_msg("%.*s", TG_STR_ARG(tg_buf_str(&text)));
    }
    tg_buf_fini(&text);
    tg_config_report_fini(&report);
    return s;
}

static void rig_start(struct rig *r, const char *body)
{
    struct tg_snapshot *s = load(r, body);
    struct tg_http_client_opts ho = {.resolver = r->resolver};
    assert_int_equal(tg_http_client_new(r->loop, &ho, &r->http), 0);
    struct tg_runtime_opts o = {
        .loop = r->loop, .http = r->http, .registry = &no_dialects, .snapshot = s};
    assert_int_equal(tg_runtime_new(&o, &r->rt), 0);
    tg_snapshot_unref(s);
    tg_task_init(&r->task, on_wake);
    tg_credential_waiter_init(&r->waiter, &r->task);
}

static int setup(void **state)
{
    static struct rig r;
    r = (struct rig){0};
    snprintf(r.dir, sizeof r.dir, "/tmp/tg-cred-XXXXXX");
    assert_non_null(mkdtemp(r.dir));
    assert_int_equal(tg_loop_new(&r.loop), 0);
    assert_int_equal(tg_resolver_new(r.loop, &r.resolver), 0);
    *state = &r;
    return 0;
}

static int teardown(void **state)
{
    struct rig *r = *state;
    char command[64];
    tg_credential_waiter_cancel(&r->waiter);
    tg_runtime_free(r->rt);
    tg_http_client_free(r->http);
    for (int i = 0; i < 3; i++)
        tg_loop_turn(r->loop);
    tg_resolver_free(r->resolver);
    tg_loop_free(r->loop);
    snprintf(command, sizeof command, "rm -rf '%s'", r->dir);
    assert_int_equal(system(command), 0);
    return 0;
}

static int get(struct rig *r)
{
    tg_fail_clear(&r->fail);
    return tg_credential_get(r->rt, r->rt->epoch, 0, &r->waiter, &r->value, &r->fail);
}

/* Turns the loop until the waiter was woken. */
static void turn(struct rig *r)
{
    for (int n = 0; !r->woken; n++) {
        if (!tg_loop_turn(r->loop))
            usleep(200);
        if (n > 100000)
            fail_msg("nobody was woken");
    }
    r->woken = 0;
}

/* Turns the loop for a while of real time. */
static void turn_for(struct rig *r, unsigned ms)
{
    for (unsigned n = 0; n < ms; n++) {
        tg_loop_turn(r->loop);
        usleep(1000);
    }
}

static int get_waiting(struct rig *r)
{
    int rc;
    while ((rc = get(r)) == 0)
        turn(r);
    return rc;
}

#define assert_key(r, want)                  \
    do {                                     \
        assert_int_equal(get_waiting(r), 1); \
        assert_str((r)->value.key, want);    \
    } while (0)

/* How often the command of a test has run: it appends a byte to "runs" each time. */
static size_t runs(const struct rig *r)
{
    struct stat st;
    char path[64];
    snprintf(path, sizeof path, "%s/runs", r->dir);
    return stat(path, &st) == 0 ? (size_t)st.st_size : 0;
}

static const char *in_dir(const struct rig *r, const char *fmt)
{
    static char body[512];
    char dir[40];
    snprintf(dir, sizeof dir, "%s", r->dir);
    struct tg_buf b;
    tg_buf_init(&b, sizeof body - 1);
    for (const char *p = fmt; *p; p++)
        if (*p == '@')
            tg_buf_str_add(&b, tg_str_c(dir));
        else
            tg_buf_char(&b, *p);
    assert_true(tg_buf_ok(&b));
    tg_str_to_c(tg_buf_str(&b), body, sizeof body);
    tg_buf_fini(&b);
    return body;
}

#define COMMAND(c) \
    "backend_type: anthropic, api_key_refresh: 1s, api_key_command: 'printf x >>@/runs; " c "'"

/* ---- fixed ---- */

static void fixed_ones_come_from_the_configuration(void **state)
{
    struct rig *r = *state;
    rig_start(r, "backend_type: anthropic, api_key: k");
    assert_int_equal(get(r), 1);
    assert_str(r->value.key, "k");
    assert_int_equal(r->value.generation, 0);
    assert_null(r->rt->epoch->targets[0].credential);
    assert_int_equal(tg_credential_refused(r->rt, r->rt->epoch, 0, 0, &r->waiter),
                     TG_E_NOT_FOUND_INTERNAL);
}

static void fixed_aws_keys(void **state)
{
    struct rig *r = *state;
    rig_start(r, "backend_type: bedrock, region: us-east-1, aws_access_key_id: AK, "
                 "aws_secret_access_key: sk, aws_session_token: st");
    assert_int_equal(get(r), 1);
    assert_str(r->value.key, "");
    assert_str(r->value.aws_key_id, "AK");
    assert_str(r->value.aws_secret, "sk");
    assert_str(r->value.aws_session_token, "st");
}

/* ---- files ---- */

static void a_file_is_read_again_when_it_changes(void **state)
{
    struct rig *r = *state;
    write_file(r, "k", "one\n");
    rig_start(r, in_dir(r, "backend_type: anthropic, api_key_file: '@/k'"));
    assert_key(r, "one");
    uint64_t first = r->value.generation;
    assert_key(r, "one");
    assert_int_equal(r->value.generation, first);
    write_file(r, "k", " two \n");
    assert_key(r, "one"); /* looked at once a second */
    turn_for(r, 1100);
    assert_key(r, "two");
    assert_true(r->value.generation != first);
}

static void a_file_that_is_no_good_leaves_the_old_one(void **state)
{
    struct rig *r = *state;
    write_file(r, "k", "one\n");
    rig_start(r, in_dir(r, "backend_type: anthropic, api_key_file: '@/k'"));
    assert_key(r, "one");
    static const char *const bad[] = {"", "\n", "a\nb", "a\x01z"};
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++) {
        write_file(r, "k", bad[i]);
        assert_int_equal(
            tg_credential_refused(r->rt, r->rt->epoch, 0, r->value.generation, &r->waiter),
            TG_E_NOT_FOUND_INTERNAL);
        r->rt->epoch->targets[0].credential->forced_ms = 0; /* as if time had passed */
        assert_key(r, "one");
        assert_contains(tg_str_c(r->rt->epoch->targets[0].credential->fail.message), "the file");
    }
    char path[64];
    snprintf(path, sizeof path, "%s/k", r->dir);
    assert_int_equal(unlink(path), 0);
    turn_for(r, 1100);
    assert_key(r, "one");
    write_file(r, "k", "two");
    turn_for(r, 1100);
    assert_key(r, "two");
}

static void a_401_makes_a_file_read_at_once(void **state)
{
    struct rig *r = *state;
    write_file(r, "k", "one");
    rig_start(r, in_dir(r, "backend_type: anthropic, api_key_file: '@/k'"));
    assert_key(r, "one");
    uint64_t first = r->value.generation;
    write_file(r, "k", "two");
    assert_int_equal(tg_credential_refused(r->rt, r->rt->epoch, 0, first, &r->waiter), 1);
    assert_key(r, "two");
    /* Another attempt that went with the old one is told so at once. */
    assert_int_equal(tg_credential_refused(r->rt, r->rt->epoch, 0, first, &r->waiter), 1);
    /* The new one is refused as well: it was looked at just now. */
    write_file(r, "k", "three");
    assert_int_equal(tg_credential_refused(r->rt, r->rt->epoch, 0, r->value.generation, &r->waiter),
                     TG_E_NOT_FOUND_INTERNAL);
}

/* ---- commands ---- */

static void the_first_requests_wait_for_a_command(void **state)
{
    struct rig *r = *state;
    rig_start(r, in_dir(r, COMMAND("sleep 0.05; echo key-1; echo canary >&2")));
    assert_int_equal(runs(r), 0); /* not before someone asks */
    assert_int_equal(get(r), 0);
    assert_int_equal(get(r), 0); /* asked again: still one command, one place in line */
    turn(r);
    assert_int_equal(get(r), 1);
    assert_str(r->value.key, "key-1");
    assert_int_equal(r->value.generation, 1);
    assert_int_equal(runs(r), 1);
}

static void one_that_goes_away_is_not_woken(void **state)
{
    struct rig *r = *state;
    rig_start(r, in_dir(r, COMMAND("echo k")));
    assert_int_equal(get(r), 0);
    tg_credential_waiter_cancel(&r->waiter);
    turn_for(r, 100);
    assert_int_equal(r->woken, 0);
    assert_int_equal(get(r), 1);
}

static void an_old_value_is_renewed_while_it_is_in_use(void **state)
{
    struct rig *r = *state;
    write_file(r, "k", "one");
    rig_start(r, in_dir(r, COMMAND("cat @/k")));
    assert_key(r, "one");
    write_file(r, "k", "two");
    turn_for(r, 1100);
    assert_int_equal(get(r), 1); /* at once, with the old one */
    assert_str(r->value.key, "one");
    turn_for(r, 200);
    assert_int_equal(get(r), 1);
    assert_str(r->value.key, "two");
    assert_int_equal(r->value.generation, 2);
    assert_int_equal(runs(r), 2);
    turn_for(r, 2100); /* idle for long: too old to go with */
    write_file(r, "k", "three");
    assert_int_equal(get(r), 0);
    assert_key(r, "three");
}

static void the_same_value_is_no_new_generation(void **state)
{
    struct rig *r = *state;
    rig_start(r, in_dir(r, COMMAND("echo k")));
    assert_key(r, "k");
    turn_for(r, 1100);
    assert_key(r, "k");
    turn_for(r, 200);
    assert_key(r, "k");
    assert_int_equal(runs(r), 2);
    assert_int_equal(r->value.generation, 1);
}

static void failures_keep_the_old_one_and_back_off(void **state)
{
    struct rig *r = *state;
    write_file(r, "k", "one");
    rig_start(r, in_dir(r, COMMAND("cat @/k")));
    assert_key(r, "one");
    char path[64];
    snprintf(path, sizeof path, "%s/k", r->dir);
    assert_int_equal(unlink(path), 0);
    turn_for(r, 2100);
    assert_key(r, "one");
    size_t before = runs(r);
    for (int i = 0; i < 20; i++) {
        assert_key(r, "one");
        turn_for(r, 10);
    }
    assert_int_equal(runs(r), before); /* not again and again */
    write_file(r, "k", "two");
    turn_for(r, 1100);
    assert_int_equal(get(r), 1); /* the old one, without waiting: the last renewal had failed */
    turn_for(r, 200);
    assert_key(r, "two");
}

static void what_a_failure_says(void **state)
{
    static const char *const cases[][2] = {
        {"exit 3", "ended with status 3"},     {"kill -9 $$$$", "ended by a signal"},
        {"echo canary >&2", "no credential"},  {"printf \"a\\nb\"", "no credential"},
        {"head -c 70000 /dev/zero", "64 KiB"}, {"head -c 9000 /dev/zero", "no credential"},
    };
    struct rig *r = *state;
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        char body[256];
        snprintf(body, sizeof body, "backend_type: anthropic, api_key_command: '%s'", cases[i][0]);
        if (i == 0) {
            rig_start(r, body);
        } else {
            struct tg_snapshot *s = load(r, body);
            assert_int_equal(tg_runtime_reload(r->rt, s), 0);
            tg_snapshot_unref(s);
        }
        assert_int_equal(get_waiting(r), TG_E_UPSTREAM_AUTH);
        assert_string_equal(r->fail.message,
                            "there is no credential for m: its last renewal failed");
        const char *why = r->rt->epoch->targets[0].credential->fail.message;
        if (tg_str_find(tg_str_c(why), tg_str_c(cases[i][1])) < 0)
            fail_msg("%s: %s", cases[i][0], why);
        assert_lacks(tg_str_c(why), "canary");
        assert_int_equal(get(r), TG_E_UPSTREAM_AUTH); /* at once: it is not tried again yet */
    }
}

static void a_401_renews_once(void **state)
{
    struct rig *r = *state;
    write_file(r, "k", "one");
    rig_start(r, in_dir(r, COMMAND("cat @/k")));
    assert_key(r, "one");
    struct tg_epoch *e = r->rt->epoch;
    write_file(r, "k", "two");
    /* Renewed less than ten seconds ago: refused for good. */
    assert_int_equal(tg_credential_refused(r->rt, e, 0, 1, &r->waiter), TG_E_NOT_FOUND_INTERNAL);
    e->targets[0].credential->forced_ms = 0;
    assert_int_equal(tg_credential_refused(r->rt, e, 0, 1, &r->waiter), 0);
    assert_int_equal(tg_credential_refused(r->rt, e, 0, 1, &r->waiter), 0); /* one renewal */
    turn(r);
    assert_int_equal(tg_credential_refused(r->rt, e, 0, 1, &r->waiter), 1);
    assert_key(r, "two");
    assert_int_equal(runs(r), 2);
    /* The renewal gives the same: there is nothing to try again with. */
    e->targets[0].credential->forced_ms = 0;
    assert_int_equal(tg_credential_refused(r->rt, e, 0, 2, &r->waiter), 0);
    turn(r);
    assert_int_equal(tg_credential_refused(r->rt, e, 0, 2, &r->waiter), TG_E_NOT_FOUND_INTERNAL);
}

static void credential_process_of_aws(void **state)
{
    struct rig *r = *state;
    char now[40], later[40], past[40];
    int64_t wall = tg_clock_wall_us();
    tg_clock_iso(wall + 3600 * INT64_C(1000000), later, sizeof later);
    tg_clock_iso(wall + 6 * INT64_C(1000000), now, sizeof now);
    tg_clock_iso(wall - INT64_C(1000000), past, sizeof past);
#define FORM                                                                \
    "{\"Version\":1,\"AccessKeyId\":\"AK\",\"SecretAccessKey\":\"canary\"," \
    "\"SessionToken\":\"st\",\"Expiration\":\"%s\"}"
    char text[256];
    snprintf(text, sizeof text, FORM, later);
    write_file(r, "k", text);
    rig_start(r, in_dir(r, "backend_type: bedrock, region: r, api_key_refresh: 1s, "
                           "api_key_command: 'printf x >>@/runs; cat @/k'"));
    assert_int_equal(get_waiting(r), 1);
    assert_str(r->value.key, "");
    assert_str(r->value.aws_key_id, "AK");
    assert_str(r->value.aws_secret, "canary");
    assert_str(r->value.aws_session_token, "st");
    turn_for(r, 1200); /* its own time counts, not api_key_refresh */
    assert_int_equal(get(r), 1);
    turn_for(r, 100);
    assert_int_equal(runs(r), 1);

    /* One that ends in a few seconds: renewed half-way, of no use afterwards. */
    struct tg_credential *c = r->rt->epoch->targets[0].credential;
    snprintf(text, sizeof text, FORM, now);
    write_file(r, "k", text);
    c->now.renew_ms = c->now.wait_ms = c->now.expires_ms = 0;
    assert_int_equal(get_waiting(r), 1);
    write_file(r, "k", "{\"Version\":1}");
    turn_for(r, 1500);
    assert_int_equal(get(r), 1);
    turn_for(r, 3500);
    assert_int_equal(get_waiting(r), TG_E_UPSTREAM_AUTH);
    assert_contains(tg_str_c(c->fail.message), "AccessKeyId");
    assert_lacks(tg_str_c(c->fail.message), "canary");

    snprintf(text, sizeof text, FORM, past);
    write_file(r, "k", text);
    c->next_try_ms = 0;
    assert_int_equal(get_waiting(r), TG_E_UPSTREAM_AUTH);
    assert_contains(tg_str_c(c->fail.message), "has expired");
}

static void a_bearer_token_for_bedrock_may_come_from_a_command(void **state)
{
    struct rig *r = *state;
    rig_start(r, "backend_type: bedrock, region: r, api_key_command: 'echo bearer'");
    assert_key(r, "bearer");
    assert_str(r->value.aws_key_id, "");
}

/* ---- reload ---- */

static void reload_to(struct rig *r, const char *body)
{
    struct tg_snapshot *s = load(r, body);
    assert_int_equal(tg_runtime_reload(r->rt, s), 0);
    tg_snapshot_unref(s);
}

static void a_reload_keeps_what_is_the_same(void **state)
{
    struct rig *r = *state;
    rig_start(r, in_dir(r, COMMAND("echo k")));
    assert_key(r, "k");
    struct tg_epoch *old = tg_epoch_ref(r->rt->epoch);
    reload_to(r, in_dir(r, COMMAND("echo k") ", max_tokens: 5"));
    assert_int_equal(get(r), 1); /* no new run */
    assert_int_equal(runs(r), 1);
    assert_ptr_equal(old->targets[0].credential, r->rt->epoch->targets[0].credential);
    assert_ptr_equal(r->rt->epoch->targets[0].credential->snapshot, r->rt->epoch->snapshot);
    tg_epoch_unref(r->rt, old);
    assert_int_equal(get(r), 1);
    reload_to(r, in_dir(r, COMMAND("echo other")));
    assert_int_equal(get(r), 0);
    assert_key(r, "other");
    reload_to(r, "backend_type: anthropic, api_key: fixed");
    assert_key(r, "fixed");
}

static void a_reload_in_the_middle_of_a_renewal(void **state)
{
    struct rig *r = *state;
    rig_start(r, in_dir(r, COMMAND("sleep 0.1; echo k")));
    struct tg_epoch *old = tg_epoch_ref(r->rt->epoch);
    assert_int_equal(get(r), 0);
    reload_to(r, in_dir(r, COMMAND("sleep 0.1; echo k")));
    turn(r);
    assert_int_equal(get(r), 1);
    assert_int_equal(runs(r), 1);
    tg_epoch_unref(r->rt, old);
    reload_to(r, in_dir(r, COMMAND("sleep 30")));
    assert_int_equal(get(r), 0); /* torn down while it runs */
}

/* ---- token requests ---- */

static void a_refresh_token_is_a_form(void **state TG_UNUSED)
{
    struct tg_secret *secret = tg_secret_new(TG_STR("s&=%")),
                     *token = tg_secret_new(TG_STR("1//x"));
    struct tg_google_config g = {
        .client_id = TG_STR("id.apps"), .client_secret = secret, .refresh_token = token};
    struct tg_buf out;
    tg_buf_init(&out, 1000);
    assert_int_equal(tg_google_grant(&g, false, 0, &out, NULL), 0);
    assert_str(tg_buf_str(&out), "grant_type=refresh_token&client_id=id.apps&client_secret="
                                 "s%26%3D%25&refresh_token=1%2F%2Fx");
    tg_buf_fini(&out);
    tg_buf_init(&out, 20);
    assert_int_equal(tg_google_grant(&g, false, 0, &out, NULL), TG_E_FULL);
    tg_buf_fini(&out);
    struct tg_google_config bad = {.client_email = TG_STR("a@b"), .private_key = secret};
    struct tg_fail f;
    tg_fail_clear(&f);
    tg_buf_init(&out, 1000);
    assert_int_equal(tg_google_grant(&bad, true, 0, &out, &f), TG_E_CONFIG);
    assert_contains(tg_str_c(f.message), "no RSA key");
    tg_buf_fini(&out);
    tg_secret_free(secret);
    tg_secret_free(token);
}

/* ---- memory ---- */

static void without_memory_nothing_breaks(void **state)
{
    struct rig *r = *state;
    rig_start(r, in_dir(r, COMMAND("echo k")));
    for (uint64_t at = 1; at < 40; at++) {
        tg_alloc_fail_at(at, 0);
        int rc = get(r);
        for (int i = 0; rc == 0 && i < 2000 && !r->woken; i++) {
            tg_loop_turn(r->loop);
            usleep(100);
        }
        tg_alloc_fail_at(0, 0);
        r->woken = 0;
        if (r->rt->epoch->targets[0].credential)
            r->rt->epoch->targets[0].credential->next_try_ms = 0;
        if (rc == 1)
            break;
    }
    assert_key(r, "k");
}

/* ---- what providers say of it ---- */

static bool redacts(const struct rig *r, const char *text, const char *want)
{
    struct tg_fail f;
    tg_fail_clear(&f);
    (void)tg_fail_set(&f, TG_E_UPSTREAM_REJECTED, "%s", text);
    bool found = tg_credential_redact(r->rt->epoch, 0, &f);
    assert_string_equal(f.message, want);
    assert_string_equal(f.code, "");
    return found;
}

static void a_quoted_secret_is_starred(void **state)
{
    struct rig *r = *state;
    rig_start(r, "backend_type: anthropic, api_key: very-secret-key");
    assert_true(redacts(r, "bad key very-secret-key, very-secret-key!", "bad key ***, ***!"));
    assert_true(redacts(r, "very-secret-key", "***"));
    assert_true(redacts(r, "cut: very-secret-k", "cut: ***"));
    assert_false(redacts(r, "cut: very-", "cut: very-"));
    assert_true(tg_credential_is_in(r->rt->epoch, 0, TG_STR("{\"a\":\"very-secret-key\"}")));
    assert_false(tg_credential_is_in(r->rt->epoch, 0, TG_STR("very-secret-ke")));
    char text[600];
    for (size_t pad = sizeof r->fail.message - 20; pad < sizeof r->fail.message; pad++) {
        snprintf(text, sizeof text, "%0*d%s", (int)pad, 0, "very-secret-key");
        tg_fail_clear(&r->fail);
        (void)tg_fail_set(&r->fail, TG_E_UPSTREAM_REJECTED, "%s", text);
        (void)tg_credential_redact(r->rt->epoch, 0, &r->fail);
        assert_null(strstr(r->fail.message, "very-s"));
    }
}

static void a_short_secret_is_a_word(void **state)
{
    struct rig *r = *state;
    rig_start(r, "backend_type: anthropic, api_key: example");
    assert_false(redacts(r, "an example", "an example"));
    assert_false(tg_credential_is_in(r->rt->epoch, 0, TG_STR("an example")));
}

static void every_secret_part_is_starred(void **state)
{
    struct rig *r = *state;
    rig_start(r,
              "backend_type: bedrock, region: us-east-1, aws_access_key_id: AKIAIOSFODNN7EXAMPLE,"
              " aws_secret_access_key: wJalrXUtnFEMI, aws_session_token: FwoGZXIvYXdz");
    assert_true(redacts(r, "AKIAIOSFODNN7EXAMPLE wJalrXUtnFEMI FwoGZXIvYXdz",
                        "AKIAIOSFODNN7EXAMPLE *** ***"));
}

static void a_renewed_secret_is_starred(void **state)
{
    struct rig *r = *state;
    write_file(r, "key", "first-secret\n");
    rig_start(r, in_dir(r, "backend_type: anthropic, api_key_file: @/key"));
    assert_false(redacts(r, "first-secret", "first-secret")); /* none was given yet */
    assert_key(r, "first-secret");
    assert_true(redacts(r, "first-secret", "***"));
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_quoted_secret_is_starred),
        T(a_short_secret_is_a_word),
        T(every_secret_part_is_starred),
        T(a_renewed_secret_is_starred),
        T(fixed_ones_come_from_the_configuration),
        T(fixed_aws_keys),
        T(a_file_is_read_again_when_it_changes),
        T(a_file_that_is_no_good_leaves_the_old_one),
        T(a_401_makes_a_file_read_at_once),
        T(the_first_requests_wait_for_a_command),
        T(one_that_goes_away_is_not_woken),
        T(an_old_value_is_renewed_while_it_is_in_use),
        T(the_same_value_is_no_new_generation),
        T(failures_keep_the_old_one_and_back_off),
        T(what_a_failure_says),
        T(a_401_renews_once),
        T(credential_process_of_aws),
        T(a_bearer_token_for_bedrock_may_come_from_a_command),
        T(a_reload_keeps_what_is_the_same),
        T(a_reload_in_the_middle_of_a_renewal),
        cmocka_unit_test(a_refresh_token_is_a_form),
        T(without_memory_nothing_breaks),
    };
    return cmocka_run_group_tests_name("core/credential", tests, NULL, NULL);
}

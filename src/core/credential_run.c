/* How a credential is renewed: a file is read, a command is run, a token server is asked. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/err.h"
#include "config/token.h"
#include "core/credential_priv.h"
#include "core/sign.h"
#include "wire/h1.h"

enum {
    RENEW_AHEAD_MS = 5 * 60 * 1000, /* before the end that a token server or AWS names */
    MARGIN_MS = 10 * 1000,          /* a value this close to its end is not begun with */
    ARENA_FIRST_BYTES = 4096,
    ARENA_MAX_BYTES = 256 * 1024,
    MAX_REQUEST_BYTES = 64 * 1024,
};

void tg_credential_state_fini(struct tg_credential_state *s)
{
    tg_secret_free(s->key);
    tg_secret_free(s->aws_key_id);
    tg_secret_free(s->aws_secret);
    tg_secret_free(s->aws_session_token);
    *s = (struct tg_credential_state){0};
}

/* ---- how long a value is good for ---- */

static void lasts_by_age(const struct tg_credential *c, struct tg_credential_state *s)
{
    uint64_t now = tg_loop_now_ms(c->rt->loop), age = tg_credential_config(c)->refresh_ms;
    s->renew_ms = now + age;
    s->wait_ms = now + 2 * age; /* after a long idle time nobody goes with what is too old */
    s->expires_ms = TG_CREDENTIAL_NEVER_MS;
}

/* Renewed 5 minutes before its end, or half-way when it is shorter than ten. */
static void lasts_until(const struct tg_credential *c, struct tg_credential_state *s,
                        int64_t lifetime_ms)
{
    uint64_t now = tg_loop_now_ms(c->rt->loop), life = lifetime_ms > 0 ? (uint64_t)lifetime_ms : 0;
    uint64_t ahead = life / 2 < RENEW_AHEAD_MS ? life / 2 : RENEW_AHEAD_MS;
    s->expires_ms = now + life;
    s->renew_ms = s->expires_ms - ahead;
    s->wait_ms = s->expires_ms - (ahead < MARGIN_MS ? 0 : MARGIN_MS);
}

/* ---- a key as text: files and commands ---- */

static int take_key(const struct tg_credential *c, struct tg_str text, const char *whence,
                    struct tg_credential_state *out, struct tg_fail *f)
{
    struct tg_str key = tg_str_trim(text);
    if (!tg_key_fits_header(key) || key.n > TG_CREDENTIAL_MAX_KEY_BYTES)
        return tg_fail_set(f, TG_E_CONFIG,
                           "%s holds no credential: expected one line of at most %d "
                           "bytes",
                           whence, TG_CREDENTIAL_MAX_KEY_BYTES);
    struct tg_secret *secret = tg_secret_new(key);
    if (!secret)
        return tg_fail_set(f, TG_E_NOMEM, "out of memory");
    *out = (struct tg_credential_state){.key = secret};
    lasts_by_age(c, out);
    return 0;
}

static int take_aws(const struct tg_credential *c, struct tg_str json,
                    struct tg_credential_state *out, struct tg_fail *f)
{
    struct tg_aws_token t;
    int rc = tg_aws_token_parse(json, &t, f);
    if (rc)
        return rc;
    struct tg_credential_state s = {.aws_key_id = t.access_key_id,
                                    .aws_secret = t.secret_access_key,
                                    .aws_session_token = t.session_token};
    int64_t left_us = t.expires_wall_us - tg_clock_wall_us();
    if (t.expires_wall_us == 0) {
        lasts_by_age(c, &s);
    } else if (left_us > 0) {
        lasts_until(c, &s, left_us / 1000);
    } else {
        tg_credential_state_fini(&s);
        return tg_fail_set(f, TG_E_CONFIG, "the command printed a credential that has expired");
    }
    *out = s;
    return 0;
}

/* ---- file ---- */

static int read_all(int fd, char *buf, size_t cap, size_t *out_n)
{
    size_t n = 0;
    for (;;) {
        ssize_t got = read(fd, buf + n, cap - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return TG_E_IO;
        n += (size_t)got;
        if (got == 0 || n == cap)
            break;
    }
    *out_n = n;
    return n == cap ? TG_E_FULL : 0;
}

int tg_credential_read_file(const struct tg_credential *c, struct tg_credential_state *out,
                            struct tg_fail *f)
{
    struct tg_str path = tg_credential_config(c)->file; /* with a NUL behind it */
    char text[TG_CREDENTIAL_MAX_KEY_BYTES + 64];
    size_t n = 0;
    int fd = open(path.p, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return tg_fail_set(f, TG_E_IO, "the file cannot be opened: %s", strerrordesc_np(errno));
    int rc = read_all(fd, text, sizeof(text), &n);
    close(fd);
    rc = rc ? tg_fail_set(f, rc, "the file cannot be read, or is too long for a credential")
            : take_key(c, tg_str_make(text, n), "the file", out, f);
    tg_secret_wipe(text, sizeof(text));
    return rc;
}

/* ---- command ---- */

static int start_command(struct tg_credential *c, struct tg_fail *f)
{
    struct tg_process_opts o = {
        .command = tg_credential_config(c)->command.p, /* with a NUL behind it */
        .max_output_bytes = TG_CREDENTIAL_MAX_ANSWER_BYTES,
        .timeout_ms = TG_CREDENTIAL_COMMAND_TIMEOUT_MS,
    };
    int rc = tg_process_start(c->rt->loop, &o, &c->task, &c->run.process);
    return rc ? tg_fail_set(f, rc, "the command cannot be started") : 0;
}

static int end_command(const struct tg_credential *c, const struct tg_process_result *r,
                       struct tg_credential_state *out, struct tg_fail *f)
{
    struct tg_str text = tg_str_trim(r->output);
    if (r->timed_out)
        return tg_fail_set(f, TG_E_CONFIG, "the command took longer than %d seconds",
                           TG_CREDENTIAL_COMMAND_TIMEOUT_MS / 1000);
    if (r->too_long)
        return tg_fail_set(f, TG_E_CONFIG, "the command printed more than 64 KiB");
    if (r->exit_code < 0)
        return tg_fail_set(f, TG_E_CONFIG, "the command was ended by a signal");
    if (r->exit_code > 0)
        return tg_fail_set(f, TG_E_CONFIG, "the command ended with status %d", r->exit_code);
    if (c->target->kind == TG_BACKEND_BEDROCK && tg_str_starts(text, TG_STR("{")))
        return take_aws(c, text, out, f);
    return take_key(c, text, "what the command printed", out, f);
}

/* ---- token server ---- */

static int write_request(struct tg_credential *c, struct tg_fail *f)
{
    const struct tg_credential_config *cc = tg_credential_config(c);
    const struct tg_config_url *u = &cc->google.token_url;
    struct tg_buf form, *b = &c->run.request;
    struct tg_str path = u->path.n ? u->path : TG_STR("/");
    tg_buf_init(&form, MAX_REQUEST_BYTES / 2);
    int rc = tg_google_grant(&cc->google, cc->source == TG_CREDENTIAL_GOOGLE_KEY,
                             tg_clock_wall_us(), &form, f);
    if (rc == 0)
        rc = tg_h1_write_request_line(b, TG_HTTP_POST, path);
    if (rc == 0) {
        tg_buf_lit(b, "Host: ");
        tg_put_authority(b, u);
        tg_buf_lit(b, "\r\nContent-Type: application/x-www-form-urlencoded\r\nAccept: "
                      "application/json\r\nAccept-Encoding: identity\r\nUser-Agent: "
                      "tollgate/" TG_VERSION "\r\nContent-Length: ");
        tg_buf_u64(b, form.n);
        tg_buf_lit(b, "\r\n\r\n");
        tg_buf_str_add(b, tg_buf_str(&form));
        rc = tg_buf_ok(b) ? 0 : TG_E_NOMEM;
    }
    if (form.p)
        tg_secret_wipe(form.p, form.cap);
    tg_buf_fini(&form);
    return rc ? tg_fail_set(f, rc, "the request for a token cannot be made") : 0;
}

static int start_call(struct tg_credential *c, struct tg_fail *f)
{
    const struct tg_upstream_settings *u = &c->target->upstream;
    struct tg_http_origin *origin;
    tg_arena_init(&c->run.arena, ARENA_FIRST_BYTES, ARENA_MAX_BYTES);
    tg_buf_init(&c->run.request, MAX_REQUEST_BYTES);
    tg_buf_init(&c->run.answer, TG_CREDENTIAL_MAX_ANSWER_BYTES);
    int rc = write_request(c, f);
    if (rc == 0)
        rc = tg_runtime_origin(c->rt, c->target, &tg_credential_config(c)->google.token_url,
                               &origin, f);
    if (rc)
        return rc;
    c->run.iov = (struct iovec){c->run.request.p, c->run.request.n};
    struct tg_http_call_opts o = {
        .method = TG_HTTP_POST,
        .request = &c->run.iov,
        .n_request = 1,
        .arena = &c->run.arena,
        .connect_timeout_ms = u->connect_timeout_ms,
        .first_byte_timeout_ms = TG_CREDENTIAL_COMMAND_TIMEOUT_MS,
        .idle_timeout_ms = TG_CREDENTIAL_COMMAND_TIMEOUT_MS,
        .max_body_bytes = TG_CREDENTIAL_MAX_ANSWER_BYTES,
    };
    return tg_http_call_start(origin, &o, &c->task, &c->run.call);
}

/* The server's answer, good or not: an error has its word in the same JSON. */
static int end_call(const struct tg_credential *c, struct tg_credential_state *out,
                    struct tg_fail *f)
{
    struct tg_oauth_token t;
    struct tg_fail why;
    tg_fail_clear(&why);
    int rc = tg_oauth_token_parse(tg_buf_str(&c->run.answer), &t, &why);
    if (rc && c->run.status != 200)
        return tg_fail_set(f, rc, "%s (status %d)", why.message, c->run.status);
    if (rc)
        return tg_fail_set(f, rc, "%s", why.message);
    struct tg_credential_state s = {.key = t.access_token};
    if (c->run.status != 200) {
        tg_credential_state_fini(&s);
        return tg_fail_set(f, TG_E_CONFIG, "the token server answered %d", c->run.status);
    }
    if (t.lifetime_s > 0)
        lasts_until(c, &s, t.lifetime_s * 1000);
    else
        lasts_by_age(c, &s);
    *out = s;
    return 0;
}

static int step_call(struct tg_credential *c, struct tg_credential_state *out, struct tg_fail *f)
{
    struct tg_http_call_event ev;
    for (;;) {
        int rc = tg_http_call_next(c->run.call, &ev, f);
        if (rc <= 0)
            return rc;
        if (ev.kind == TG_CALL_HEAD)
            c->run.status = ev.head->status;
        else if (ev.kind == TG_CALL_BODY)
            rc = tg_buf_str_add(&c->run.answer, ev.body);
        if (rc < 0)
            return tg_fail_set(f, rc, "the token server's answer is too long");
        if (ev.kind != TG_CALL_END)
            continue;
        rc = end_call(c, out, f);
        return rc < 0 ? rc : 1;
    }
}

/* ---- either ---- */

int tg_credential_run_start(struct tg_credential *c, struct tg_fail *f)
{
    c->run = (struct tg_credential_run){0};
    int rc = tg_credential_config(c)->source == TG_CREDENTIAL_COMMAND ? start_command(c, f)
                                                                      : start_call(c, f);
    if (rc)
        tg_credential_run_stop(c);
    return rc;
}

int tg_credential_run_step(struct tg_credential *c, struct tg_credential_state *out,
                           struct tg_fail *f)
{
    struct tg_process_result r;
    if (c->run.call)
        return step_call(c, out, f);
    if (!c->run.process || !tg_process_over(c->run.process, &r))
        return 0;
    int rc = end_command(c, &r, out, f);
    return rc < 0 ? rc : 1;
}

static void wipe(struct tg_buf *b)
{
    if (b->p)
        tg_secret_wipe(b->p, b->cap);
    tg_buf_fini(b);
}

void tg_credential_run_stop(struct tg_credential *c)
{
    tg_process_free(c->run.process);
    if (c->run.call)
        tg_http_call_free(c->run.call);
    wipe(&c->run.request);
    wipe(&c->run.answer);
    tg_arena_fini(&c->run.arena);
    c->run = (struct tg_credential_run){0};
}

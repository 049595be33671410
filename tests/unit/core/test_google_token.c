/* Access tokens of Google's token server: the signed request as it goes over the wire, what the
 * answers lead to. The server is a thread that says what the test tells it. */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/err.h"
#include "check.h"
#include "config/config.h"
#include "core/credential_priv.h"
#include "core/sign.h"

struct server {
    int fd;
    uint16_t port;
    pthread_t thread;
    const char *answers[8]; /* bodies, with the status in front: "200 {…}" */
    size_t n_answers;
    char requests[8][8192];
    _Atomic size_t n_requests;
};

struct rig {
    char dir[32];
    struct server server;
    EVP_PKEY *key;
    struct tg_loop *loop;
    struct tg_resolver *resolver;
    struct tg_http_client *http;
    struct tg_runtime *rt;
    struct tg_task task;
    struct tg_credential_waiter waiter;
    int woken;
    struct tg_credential_value value;
    struct tg_fail fail;
};

static const struct tg_registry no_dialects;

/* ---- the token server ---- */

static bool complete(const char *request, size_t n)
{
    struct tg_str r = tg_str_make(request, n);
    ptrdiff_t end = tg_str_find(r, TG_STR("\r\n\r\n")),
              at = tg_str_find(r, TG_STR("Content-Length: "));
    return end > 0 && at > 0 && n >= (size_t)end + 4 + (size_t)strtoul(request + at + 16, NULL, 10);
}

static void *serve(void *arg)
{
    struct server *s = arg;
    for (size_t i = 0; i < s->n_answers; i++) {
        int c = accept(s->fd, NULL, NULL);
        size_t n = 0;
        char *to = s->requests[i];
        while (c >= 0 && !complete(to, n)) {
            ssize_t got = read(c, to + n, sizeof s->requests[i] - 1 - n);
            if (got <= 0)
                break;
            n += (size_t)got;
        }
        char answer[4096];
        int len =
            snprintf(answer, sizeof answer,
                     "HTTP/1.1 %.3s X\r\nContent-Type: application/json\r\nConnection: close\r\n"
                     "Content-Length: %zu\r\n\r\n%s",
                     s->answers[i], strlen(s->answers[i] + 4), s->answers[i] + 4);
        s->n_requests++;
        ssize_t sent = write(c, answer, (size_t)len);
        (void)sent; /* a client that left is its own business */
        close(c);
    }
    return NULL;
}

static void server_start(struct server *s)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(s->fd, 8), 0);
    assert_int_equal(getsockname(s->fd, (struct sockaddr *)&a, &n), 0);
    s->port = ntohs(a.sin_port);
}

static void server_says(struct server *s, const char *const *answers, size_t n)
{
    for (size_t i = 0; i < n; i++)
        s->answers[i] = answers[i];
    s->n_answers = n;
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

/* ---- the rig ---- */

static EVP_PKEY *make_key(void)
{
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_id(EVP_PKEY_RSA, NULL);
    assert_int_equal(EVP_PKEY_keygen_init(c), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(c, 2048), 1);
    assert_int_equal(EVP_PKEY_keygen(c, &key), 1);
    EVP_PKEY_CTX_free(c);
    return key;
}

static void write_key_file(struct rig *r)
{
    char path[64];
    struct tg_buf b;
    char *p;
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, r->key, NULL, NULL, 0, NULL, NULL), 1);
    long n = BIO_get_mem_data(bio, &p);
    tg_buf_init(&b, 1 << 16);
    tg_buf_printf(&b,
                  "{\"type\":\"service_account\",\"project_id\":\"p\",\"private_key_id\":\"kid-1\","
                  "\"client_email\":\"a@p.iam\",\"token_uri\":\"http://127.0.0.1:%u/token\","
                  "\"private_key\":",
                  r->server.port);
    tg_buf_json_str(&b, tg_str_make(p, (size_t)n));
    tg_buf_char(&b, '}');
    BIO_free(bio);
    snprintf(path, sizeof path, "%s/sa.json", r->dir);
    FILE *f = fopen(path, "wb");
    assert_int_equal(fwrite(b.p, 1, b.n, f), b.n);
    assert_int_equal(fclose(f), 0);
    tg_buf_fini(&b);
}

static void on_wake(struct tg_task *t)
{
    tg_container_of(t, struct rig, task)->woken++;
}

static int setup(void **state)
{
    static struct rig r;
    static const char *const env[] = {NULL};
    struct tg_snapshot *s;
    struct tg_config_report report;
    char yaml[256];
    memset(&r, 0, sizeof r);
    snprintf(r.dir, sizeof r.dir, "/tmp/tg-google-XXXXXX");
    assert_non_null(mkdtemp(r.dir));
    server_start(&r.server);
    r.key = make_key();
    write_key_file(&r);
    snprintf(yaml, sizeof yaml,
             "models: {m: {backend_type: vertex, service_account_file: '%s/sa.json'}}", r.dir);
    struct tg_config_source src = {.cwd = r.dir, .env = env, .text = tg_str_c(yaml), .cores = 1};
    tg_config_report_init(&report);
    assert_int_equal(tg_config_load(&src, &s, &report), 0);
    tg_config_report_fini(&report);
    assert_int_equal(tg_loop_new(&r.loop), 0);
    assert_int_equal(tg_resolver_new(r.loop, &r.resolver), 0);
    struct tg_http_client_opts ho = {.resolver = r.resolver};
    assert_int_equal(tg_http_client_new(r.loop, &ho, &r.http), 0);
    struct tg_runtime_opts o = {
        .loop = r.loop, .http = r.http, .registry = &no_dialects, .snapshot = s};
    assert_int_equal(tg_runtime_new(&o, &r.rt), 0);
    tg_snapshot_unref(s);
    tg_task_init(&r.task, on_wake);
    tg_credential_waiter_init(&r.waiter, &r.task);
    *state = &r;
    return 0;
}

static int teardown(void **state)
{
    struct rig *r = *state;
    char command[64];
    if (r->server.n_answers)
        pthread_join(r->server.thread, NULL);
    close(r->server.fd);
    EVP_PKEY_free(r->key);
    tg_credential_waiter_cancel(&r->waiter);
    tg_runtime_free(r->rt);
    tg_http_client_free(r->http);
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

static int get_waiting(struct rig *r)
{
    int rc;
    while ((rc = get(r)) == 0) {
        for (int n = 0; !r->woken; n++) {
            if (!tg_loop_turn(r->loop))
                usleep(200);
            if (n > 100000)
                fail_msg("nobody was woken");
        }
        r->woken = 0;
    }
    return rc;
}

/* ---- tests ---- */

static struct tg_str decoded(struct tg_str part, struct tg_buf *out)
{
    tg_buf_clear(out);
    assert_int_equal(tg_base64_decode(part, out), 0);
    return tg_buf_str(out);
}

/* Copied first: a buffer ends with no NUL, and strtoll() may look for one. */
static long long number_after(struct tg_str text, struct tg_str name)
{
    char digits[24];
    ptrdiff_t at = tg_str_find(text, name);
    assert_true(at >= 0);
    struct tg_str rest = tg_str_from(text, (size_t)at + name.n);
    snprintf(digits, sizeof digits, "%.*s", (int)rest.n, rest.p);
    return strtoll(digits, NULL, 10);
}

static void check_assertion(struct rig *r, struct tg_str jwt)
{
    struct tg_buf b;
    struct tg_str rest = jwt, head, claims = {0};
    char want[64];
    tg_buf_init(&b, 8192);
    assert_true(tg_str_split(&rest, '.', &head) && tg_str_split(&rest, '.', &claims));
    assert_str(decoded(head, &b), "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"kid-1\"}");
    struct tg_str c = decoded(claims, &b);
    assert_contains(
        c, "{\"iss\":\"a@p.iam\",\"scope\":"
           "\"https://www.googleapis.com/auth/cloud-platform\",\"aud\":\"http://127.0.0.1:");
    snprintf(want, sizeof want, ":%u/token\",\"iat\":", r->server.port);
    assert_true(tg_str_find(c, tg_str_c(want)) > 0);
    long long iat = number_after(c, TG_STR("\"iat\":")), exp = number_after(c, TG_STR("\"exp\":"));
    assert_int_equal(exp - iat, 3600);
    assert_in_range(iat, tg_clock_wall_us() / 1000000 - 30, tg_clock_wall_us() / 1000000 + 1);
    struct tg_str signature = decoded(rest, &b), text = tg_str_first(jwt, jwt.n - rest.n - 1);
    EVP_MD_CTX *m = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestVerifyInit(m, NULL, EVP_sha256(), NULL, r->key), 1);
    assert_int_equal(EVP_DigestVerify(m, (const unsigned char *)signature.p, signature.n,
                                      (const unsigned char *)text.p, text.n),
                     1);
    EVP_MD_CTX_free(m);
    tg_buf_fini(&b);
}

static void a_signed_request_buys_a_token(void **state)
{
    static const char *const says[] = {
        "200 {\"access_token\":\"ya29.a\",\"expires_in\":3599,\"token_type\":\"Bearer\"}"};
    struct rig *r = *state;
    server_says(&r->server, says, 1);
    assert_int_equal(get_waiting(r), 1);
    assert_str(r->value.key, "ya29.a");
    assert_int_equal(get(r), 1); /* kept */
    struct tg_str request = tg_str_c(r->server.requests[0]);
    assert_true(tg_str_starts(request, TG_STR("POST /token HTTP/1.1\r\nHost: 127.0.0.1:")));
    assert_contains(request, "Content-Type: application/x-www-form-urlencoded\r\n");
    static const char form[] =
        "\r\n\r\ngrant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
    ptrdiff_t at = tg_str_find(request, tg_str_c(form));
    assert_true(at > 0);
    check_assertion(r, tg_str_from(request, (size_t)at + strlen(form)));
    const struct tg_credential *c = r->rt->epoch->targets[0].credential;
    uint64_t now = tg_loop_now_ms(r->loop);
    assert_in_range(c->now.expires_ms - now, 3590 * 1000, 3599 * 1000);
    assert_int_equal(c->now.expires_ms - c->now.renew_ms, 5 * 60 * 1000); /* 5 minutes ahead */
    assert_int_equal(c->run.request.n + c->run.answer.n, 0); /* nothing of it is kept */
}

static void a_token_is_renewed_ahead_of_its_end(void **state)
{
    static const char *const says[] = {"200 {\"access_token\":\"one\",\"expires_in\":3599}",
                                       "503 busy",
                                       "200 {\"access_token\":\"two\",\"expires_in\":60}"};
    struct rig *r = *state;
    server_says(&r->server, says, 3);
    assert_int_equal(get_waiting(r), 1);
    struct tg_credential *c = r->rt->epoch->targets[0].credential;
    c->now.renew_ms = tg_loop_now_ms(r->loop); /* 5 minutes left */
    assert_int_equal(get(r), 1);
    assert_str(r->value.key, "one");
    while (c->running) /* the server is down for a moment */
        if (!tg_loop_turn(r->loop))
            usleep(200);
    assert_int_equal(c->failures, 1);
    assert_int_equal(get(r), 1);
    assert_str(r->value.key, "one");
    c->next_try_ms = 0;
    assert_int_equal(get(r), 1);
    while (c->running)
        if (!tg_loop_turn(r->loop))
            usleep(200);
    assert_int_equal(get(r), 1);
    assert_str(r->value.key, "two");
    assert_int_equal(c->now.expires_ms - c->now.renew_ms, 30 * 1000); /* half of a short life */
}

static void refusals_are_told(void **state)
{
    static const char *const says[] = {
        "400 {\"error\":\"invalid_grant\",\"error_description\":\"canary\"}", "200 <html>canary",
        "500 {\"access_token\":\"canary\"}", "200 {\"access_token\":\"a\\nb\"}"};
    static const char *const told[] = {"the token server answered invalid_grant", "has no token",
                                       "the token server answered 500", "has no token"};
    struct rig *r = *state;
    server_says(&r->server, says, TG_ARRAY_LEN(says));
    for (size_t i = 0; i < TG_ARRAY_LEN(says); i++) {
        if (i)
            r->rt->epoch->targets[0].credential->next_try_ms = 0;
        assert_int_equal(get_waiting(r), TG_E_UPSTREAM_AUTH);
        const char *why = r->rt->epoch->targets[0].credential->fail.message;
        if (tg_str_find(tg_str_c(why), tg_str_c(told[i])) < 0)
            fail_msg("%s: %s", says[i], why);
        assert_lacks(tg_str_c(why), "canary");
    }
}

static void nobody_listens(void **state)
{
    struct rig *r = *state;
    close(r->server.fd);
    assert_int_equal(get_waiting(r), TG_E_UPSTREAM_AUTH);
    assert_contains(tg_str_c(r->fail.message), "there is no credential for m");
}

/* ---- AWS: what is appended to a request's head ---- */

static void requests_are_signed(void **state TG_UNUSED)
{
    struct tg_target t = {.kind = TG_BACKEND_BEDROCK, .name = TG_STR("m")};
    t.url = (struct tg_config_url){.https = true, .port = 443, .host = TG_STR("b.example")};
    t.provider.region = TG_STR("us-east-1");
    struct tg_adapter_request req = {
        .method = TG_HTTP_POST, .path = TG_STR("/model/a%3A0/converse"), .aws_service = "bedrock"};
    req.headers[req.n_headers++] =
        (struct tg_http_header){TG_STR("Content-Type"), TG_STR("application/json")};
    struct tg_credential_value v = {.aws_key_id = TG_STR("AK"),
                                    .aws_secret = TG_STR("canary"),
                                    .aws_session_token = TG_STR("token")};
    char a[] = "{\"a\"", b[] = ":1}", whole[] = "{\"a\":1}";
    struct iovec two[] = {{a, 4}, {b, 3}}, one[] = {{whole, 7}}, other[] = {{whole, 6}};
    struct tg_buf x, y;
    struct tg_fail f;
    tg_fail_clear(&f);
    tg_buf_init(&x, 8192);
    tg_buf_init(&y, 8192);
    tg_clock_fake_start(1, 1440938160 * INT64_C(1000000));
    assert_int_equal(tg_sign_aws(&x, &t, &req, &v, two, 2, &f), 0);
    assert_int_equal(tg_sign_aws(&y, &t, &req, &v, one, 1, &f), 0);
    assert_str_equal(tg_buf_str(&x), tg_buf_str(&y)); /* however the body is cut */
    assert_true(tg_str_starts(tg_buf_str(&x), TG_STR("X-Amz-Date: 20150830T123600Z\r\n"
                                                     "X-Amz-Security-Token: token\r\n"
                                                     "Authorization: AWS4-HMAC-SHA256 "
                                                     "Credential=AK/20150830/us-east-1/bedrock/"
                                                     "aws4_request, SignedHeaders=content-type;"
                                                     "host;x-amz-date;x-amz-security-token, ")));
    assert_lacks(tg_buf_str(&x), "canary");
    tg_buf_clear(&y);
    assert_int_equal(tg_sign_aws(&y, &t, &req, &v, other, 1, &f), 0);
    assert_false(tg_str_eq(tg_buf_str(&x), tg_buf_str(&y)));
    tg_clock_fake_stop();
    v.aws_secret = TG_STR("");
    assert_int_equal(tg_sign_aws(&y, &t, &req, &v, one, 1, &f), TG_E_UPSTREAM_AUTH);
    assert_contains(tg_str_c(f.message), "m has no AWS keys");
    tg_buf_clear(&x);
    t.url.port = 8443;
    tg_put_authority(&x, &t.url);
    t.url = (struct tg_config_url){.port = 80, .host = TG_STR("::1"), .host_is_ipv6 = true};
    tg_buf_char(&x, ' ');
    tg_put_authority(&x, &t.url);
    assert_str(tg_buf_str(&x), "b.example:8443 [::1]");
    tg_buf_fini(&x);
    tg_buf_fini(&y);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_signed_request_buys_a_token),
        T(a_token_is_renewed_ahead_of_its_end),
        T(refusals_are_told),
        T(nobody_listens),
        cmocka_unit_test(requests_are_signed),
    };
    return cmocka_run_group_tests_name("core/google_token", tests, NULL, NULL);
}

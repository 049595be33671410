#include "certs.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/alloc.h"
#include "base/rand.h"
#include "io/tls.h"

/* Two ends on one loop, each with an owner that counts. */
struct pair {
    struct tg_loop *loop;
    struct counter cc, cs;
    struct tg_stream *c, *s;
};

static struct tg_tls_ctx *server_ctx(const char *name)
{
    struct tg_tls_ctx *ctx;
    struct tg_fail why;
    char crt[32], key[32];
    tg_fail_clear(&why);
    snprintf(crt, sizeof crt, "%s.pem", name);
    snprintf(key, sizeof key, "%s.key", name);
    if (tg_tls_server_new(cert(crt), cert(key), &ctx, &why) < 0)
        fail_msg("%s", why.message);
    return ctx;
}

static struct tg_tls_ctx *client_ctx(const char *ca)
{
    struct tg_tls_ctx *ctx;
    assert_int_equal(tg_tls_client_new(cert(ca), &ctx, NULL), 0);
    return ctx;
}

static void pair_open(struct pair *p, struct tg_loop *loop, struct tg_tls_ctx *client,
                      struct tg_tls_ctx *server, const char *host)
{
    int fd[2];
    tcp_pair(fd);
    p->loop = loop;
    counter_init(&p->cc);
    counter_init(&p->cs);
    p->c = stream_on(loop, fd[0], &p->cc.task);
    p->s = stream_on(loop, fd[1], &p->cs.task);
    if (client)
        assert_int_equal(tg_stream_start_tls(p->c, client, tg_str_c(host)), 0);
    if (server)
        assert_int_equal(tg_stream_start_tls(p->s, server, TG_STR("")), 0);
}

static void pair_close(struct pair *p)
{
    tg_stream_close(p->c);
    tg_stream_close(p->s);
}

/* As an owner's step does: try, then want what is missing. */
static int step(struct tg_stream *s)
{
    int rc = tg_stream_tls_step(s);
    s->ready = 0;
    tg_stream_want(s, rc == TG_E_AGAIN ? tg_stream_want_io(s, TG_WANT_READ) : TG_WANT_READ);
    return rc;
}

static void handshake(struct pair *p, int *out_c, int *out_s)
{
    *out_c = *out_s = TG_E_AGAIN;
    for (int i = 0; i < 50000 && (*out_c == TG_E_AGAIN || *out_s == TG_E_AGAIN); i++) {
        if (*out_c == TG_E_AGAIN)
            *out_c = step(p->c);
        if (*out_s == TG_E_AGAIN)
            *out_s = step(p->s);
        if (*out_c < 0 && *out_c != TG_E_AGAIN && *out_s == TG_E_AGAIN)
            break; /* the client gave up */
        if (!tg_loop_turn(p->loop))
            usleep(20);
    }
}

static void must_handshake(struct pair *p)
{
    int c, s;
    handshake(p, &c, &s);
    if (c < 0 || s < 0)
        fail_msg("client %s, server %s", tg_stream_tls_error(p->c), tg_stream_tls_error(p->s));
}

static int put(struct tg_stream *s, const char *text)
{
    struct iovec v = iov_of(text);
    return tg_stream_writev(s, &v, 1);
}

/* Reads until n bytes are there, driven by readiness alone. */
static void must_get(struct pair *p, struct tg_stream *s, char *buf, size_t n)
{
    size_t got = 0;
    tg_stream_want(s, TG_WANT_READ);
    while (got < n) {
        int rc = tg_stream_read(s, buf + got, n - got);
        if (rc > 0) {
            got += (size_t)rc;
            continue;
        }
        assert_int_equal(rc, TG_E_AGAIN);
        s->ready = 0;
        turn_until(p->loop, s->ready);
    }
}

static void good_certificate(void **state)
{
    need_certs();
    static const char *const hosts[] = {"localhost", "a.wild.test", "127.0.0.1",
                                        "::1",       "LOCALHOST",   "localhost."};
    struct tg_loop *loop = new_loop();
    struct tg_tls_ctx *cc = client_ctx("ca.pem"), *sc = server_ctx("good");
    for (size_t i = 0; i < TG_ARRAY_LEN(hosts); i++) {
        struct pair p;
        char buf[16];
        pair_open(&p, loop, cc, sc, hosts[i]);
        must_handshake(&p);
        assert_string_equal(tg_stream_tls_error(p.c), "");
        assert_int_equal(put(p.c, "question"), 8);
        must_get(&p, p.s, buf, 8);
        assert_memory_equal(buf, "question", 8);
        assert_int_equal(put(p.s, "answer"), 6);
        must_get(&p, p.c, buf, 6);
        assert_memory_equal(buf, "answer", 6);
        assert_int_equal(tg_stream_tls_step(p.c), 0);
        pair_close(&p);
    }
    tg_tls_unref(cc);
    tg_tls_unref(sc);
    tg_loop_free(loop);
}

/* What must not pass, and what people are told. */
static void bad_certificates(void **state)
{
    need_certs();
    static const struct {
        const char *server, *host, *says;
    } cases[] = {
        {"expired", "localhost", "certificate has expired"},
        {"other", "localhost", "hostname mismatch"},
        {"good", "b.a.wild.test", "hostname mismatch"},
        {"good", "wild.test", "hostname mismatch"},
        {"good", "127.0.0.2", "IP address mismatch"},
        {"self", "localhost", "self-signed certificate"},
    };
    struct tg_loop *loop = new_loop();
    struct tg_tls_ctx *cc = client_ctx("ca.pem");
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        struct tg_tls_ctx *sc = server_ctx(cases[i].server);
        struct pair p;
        int c, s;
        char buf[4];
        pair_open(&p, loop, cc, sc, cases[i].host);
        handshake(&p, &c, &s);
        assert_int_equal(c, TG_E_UPSTREAM_TLS);
        if (!strstr(tg_stream_tls_error(p.c), cases[i].says))
            fail_msg("\"%s\" lacks \"%s\"", tg_stream_tls_error(p.c), cases[i].says);
        assert_int_equal(tg_stream_tls_step(p.c), TG_E_UPSTREAM_TLS); /* stays so */
        assert_int_equal(tg_stream_read(p.c, buf, 4), TG_E_UPSTREAM_TLS);
        assert_int_equal(put(p.c, "secret"), TG_E_UPSTREAM_TLS);
        for (int k = 0; k < 1000 && (s >= 0 || s == TG_E_AGAIN); k++) {
            tg_loop_turn(loop);
            s = tg_stream_read(p.s, buf, 4); /* it hears of the alert */
        }
        assert_int_equal(s, TG_E_UPSTREAM_TLS);
        assert_true(strlen(tg_stream_tls_error(p.s)) > 0);
        pair_close(&p);
        tg_tls_unref(sc);
    }
    tg_tls_unref(cc);
    tg_loop_free(loop);
}

static void unknown_ca_and_system_store(void **state)
{
    need_certs();
    struct tg_loop *loop = new_loop();
    struct tg_tls_ctx *sc = server_ctx("good"), *cc;
    struct pair p;
    int c, s;
    assert_int_equal(tg_tls_client_new(NULL, &cc, NULL), 0);
    pair_open(&p, loop, cc, sc, "localhost");
    handshake(&p, &c, &s);
    assert_int_equal(c, TG_E_UPSTREAM_TLS);
    assert_contains(tg_str_c(tg_stream_tls_error(p.c)), "certificate refused");
    pair_close(&p);
    tg_tls_unref(cc);
    tg_tls_unref(sc);
    tg_loop_free(loop);
}

static void resumes_by_host(void **state)
{
    need_certs();
    struct tg_loop *loop = new_loop();
    /* Two server contexts: what one loop sealed the next one opens. */
    struct tg_tls_ctx *cc = client_ctx("ca.pem"), *sc[2] = {server_ctx("good"), server_ctx("good")};
    for (int i = 0; i < 6; i++) {
        struct pair p;
        char buf[8];
        bool other = i == 4;
        pair_open(&p, loop, cc, sc[i % 2], other ? "x.wild.test" : "localhost");
        must_handshake(&p);
        assert_int_equal(tg_stream_tls_resumed(p.c), i > 0 && !other);
        assert_int_equal(tg_stream_tls_resumed(p.s), i > 0 && !other);
        assert_int_equal(put(p.s, "hi"), 2);
        must_get(&p, p.c, buf, 2); /* and the ticket */
        if (i & 1)
            assert_int_equal(tg_stream_shutdown(p.c), 0);
        pair_close(&p); /* also when it ends abruptly */
        tg_loop_turn(loop);
    }
    tg_tls_unref(cc);
    tg_tls_unref(sc[0]);
    tg_tls_unref(sc[1]);
    tg_loop_free(loop);
}

/* TLS 1.3 tickets are for one use, but connections made side by side find one each. */
static void resumes_side_by_side(void **state)
{
    need_certs();
    struct tg_loop *loop = new_loop();
    struct tg_tls_ctx *cc = client_ctx("ca.pem"), *sc = server_ctx("good");
    struct pair p[4];
    char buf[4];
    for (int round = 0; round < 4; round++) {
        int n = round == 0 ? 2 : 4; /* a full handshake leaves two tickets, a resumed one one */
        for (int i = 0; i < n; i++)
            pair_open(&p[i], loop, cc, sc, "localhost");
        for (int i = 0; i < n; i++) {
            must_handshake(&p[i]);
            assert_int_equal(tg_stream_tls_resumed(p[i].c), round > 0);
        }
        for (int i = 0; i < n; i++) {
            assert_int_equal(put(p[i].s, "hi"), 2);
            must_get(&p[i], p[i].c, buf, 2); /* and the tickets */
            pair_close(&p[i]);
        }
    }
    tg_tls_unref(cc);
    tg_tls_unref(sc);
    tg_loop_free(loop);
}

/* Fewer sessions than hosts: the oldest go. */
static void sessions_are_bounded(void **state)
{
    need_certs();
    struct tg_loop *loop = new_loop();
    struct tg_tls_ctx *cc = client_ctx("ca.pem"), *sc = server_ctx("good");
    for (int i = 0; i < 1030; i++) {
        struct pair p;
        char host[32], buf[4];
        int n = i < 1028 ? i : i == 1028 ? 1 : 1027;
        snprintf(host, sizeof host, "h%d.wild.test", n);
        pair_open(&p, loop, cc, sc, host);
        must_handshake(&p);
        assert_int_equal(tg_stream_tls_resumed(p.c), i == 1029);
        assert_int_equal(put(p.s, "hi"), 2);
        must_get(&p, p.c, buf, 2);
        pair_close(&p);
    }
    tg_tls_unref(cc);
    tg_tls_unref(sc);
    tg_loop_free(loop);
}

/* ---- data ---- */

struct sender {
    const char *p;
    size_t n, at;
};

/* Offers the rest in randomly cut pieces, as a queue of buffers does. */
static int send_some(struct tg_stream *s, struct sender *q)
{
    struct iovec v[6];
    size_t at = q->at;
    int n = 0;
    for (; n < 5 && at < q->n; n++) {
        size_t k = tg_rand_below(4) ? tg_rand_below(300) : tg_rand_below(40000);
        k = k < q->n - at ? k : q->n - at;
        v[n] = (struct iovec){(char *)(uintptr_t)q->p + at, k};
        at += k;
    }
    v[n++] = (struct iovec){(char *)(uintptr_t)q->p + at, q->n - at};
    int rc = tg_stream_writev(s, v, n);
    if (rc > 0)
        q->at += (size_t)rc;
    return rc;
}

static void carry(struct pair *p, struct tg_stream *from, struct tg_stream *to, size_t total,
                  bool slow)
{
    char *out = tg_malloc(total), *in = tg_malloc(total);
    struct sender q = {out, total, 0};
    size_t got = 0;
    int stalls = 0;
    assert_non_null(out);
    assert_non_null(in);
    tg_rand_bytes(out, total);
    to->ready = TG_WANT_READ;
    from->ready = TG_WANT_WRITE;
    for (int idle = 0; got < total;) {
        if (q.at < total && (from->ready & TG_WANT_WRITE)) {
            int rc = send_some(from, &q);
            assert_true(rc > 0 || rc == TG_E_AGAIN);
            if (rc == TG_E_AGAIN) {
                stalls++;
                from->ready = 0;
                tg_stream_want(from, TG_WANT_READ | TG_WANT_WRITE);
            }
        }
        if ((to->ready & TG_WANT_READ) && (!slow || tg_rand_below(16) == 0)) {
            size_t room = total - got, cap = tg_rand_below(3) ? 1 + tg_rand_below(room) : 1;
            to->ready = 0; /* level-triggered: what is left must wake again */
            int rc = tg_stream_read(to, in + got, cap);
            assert_true(rc > 0 || rc == TG_E_AGAIN);
            got += rc > 0 ? (size_t)rc : 0;
            tg_stream_want(to, TG_WANT_READ);
        }
        idle = tg_loop_turn(p->loop) ? 0 : idle + 1;
        if (idle > 100)
            usleep(100);
        assert_true(idle < 20000);
    }
    assert_memory_equal(in, out, total);
    if (slow)
        assert_true(stalls > 0);
    tg_free(out);
    tg_free(in);
}

static void carries_any_sizes(void **state)
{
    need_certs();
    struct tg_loop *loop = new_loop();
    struct tg_tls_ctx *cc = client_ctx("ca.pem"), *sc = server_ctx("good");
    static const size_t sizes[] = {1, 2, 1000, 16383, 16384, 16385, 65536, 3000000};
    struct pair p;
    pair_open(&p, loop, cc, sc, "localhost");
    must_handshake(&p);
    for (size_t i = 0; i < TG_ARRAY_LEN(sizes); i++) {
        carry(&p, p.c, p.s, sizes[i], false);
        carry(&p, p.s, p.c, sizes[i], false);
    }
    carry(&p, p.c, p.s, 12000000, true);
    carry(&p, p.s, p.c, 12000000, true);
    pair_close(&p);
    tg_tls_unref(cc);
    tg_tls_unref(sc);
    tg_loop_free(loop);
}

/* Head and body leave in one record: the peer's raw socket sees one TLS record header. */
static void short_pieces_share_a_record(void **state)
{
    need_certs();
    struct tg_loop *loop = new_loop();
    struct tg_tls_ctx *cc = client_ctx("ca.pem"), *sc = server_ctx("good");
    struct pair p;
    unsigned char raw[2048];
    pair_open(&p, loop, cc, sc, "localhost");
    must_handshake(&p);
    struct iovec v[4] = {iov_of("HTTP/1.1 200 OK\r\n\r\n"), iov_of(""), iov_of("the body"),
                         iov_of("")};
    assert_int_equal(tg_stream_writev(p.s, v, 4), 27);
    /* The client has read nothing since the handshake: tickets, then this. */
    char buf[64];
    must_get(&p, p.c, buf, 27);
    assert_int_equal(tg_stream_writev(p.s, v, 4), 27);
    usleep(1000);
    struct sockaddr_in a;
    socklen_t n = sizeof a;
    int fd = -1; /* the client's socket: look without taking */
    for (int i = 3; i < 64 && fd < 0; i++)
        if (getpeername(i, (struct sockaddr *)&a, &n) == 0 &&
            recv(i, raw, sizeof raw, MSG_PEEK | MSG_DONTWAIT) > 0)
            fd = i;
    assert_true(fd >= 0);
    ssize_t got = recv(fd, raw, sizeof raw, MSG_PEEK | MSG_DONTWAIT);
    assert_int_equal(raw[0], 23); /* application data, RFC 8446 5.1 */
    assert_int_equal(5 + raw[3] * 256 + raw[4], got);
    must_get(&p, p.c, buf, 27);
    pair_close(&p);
    tg_tls_unref(cc);
    tg_tls_unref(sc);
    tg_loop_free(loop);
}

/* A reader with a small buffer is told of what OpenSSL still holds, though the socket is empty. */
static void what_openssl_holds_wakes_the_owner(void **state)
{
    need_certs();
    struct tg_loop *loop = new_loop();
    struct tg_tls_ctx *cc = client_ctx("ca.pem"), *sc = server_ctx("good");
    struct pair p;
    char c;
    pair_open(&p, loop, cc, sc, "localhost");
    must_handshake(&p);
    assert_int_equal(put(p.s, "0123456789"), 10);
    tg_stream_want(p.c, TG_WANT_READ);
    for (int i = 0; i < 10; i++) {
        turn_until(loop, p.c->ready & TG_WANT_READ);
        p.c->ready = 0;
        int rc = tg_stream_read(p.c, &c, 1);
        if (rc == TG_E_AGAIN) { /* only tickets */
            i--;
            continue;
        }
        assert_int_equal(rc, 1);
        assert_int_equal(c, '0' + i);
        if (i == 4) { /* also across a pause */
            tg_stream_want(p.c, TG_WANT_NONE);
            turn_for(loop, 3);
            p.c->ready = 0;
            tg_stream_want(p.c, TG_WANT_READ);
        }
    }
    turn_for(loop, 2);
    p.c->ready = 0;
    p.cc.runs = 0;
    turn_for(loop, 5);
    assert_int_equal(p.cc.runs, 0);
    pair_close(&p);
    tg_tls_unref(cc);
    tg_tls_unref(sc);
    tg_loop_free(loop);
}

static void a_paused_reader_is_left_alone(void **state)
{
    need_certs();
    struct tg_loop *loop = new_loop();
    struct tg_tls_ctx *cc = client_ctx("ca.pem"), *sc = server_ctx("good");
    struct pair p;
    char buf[8];
    pair_open(&p, loop, cc, sc, "localhost");
    must_handshake(&p);
    tg_stream_want(p.s, TG_WANT_READ);
    turn_for(loop, 2);
    tg_stream_want(p.s, TG_WANT_WRITE); /* writable at once, but nothing to read for it */
    p.s->ready = 0;
    assert_int_equal(put(p.c, "later"), 5);
    turn_for(loop, 5);
    assert_int_equal(p.s->ready, TG_WANT_WRITE);
    tg_stream_want(p.s, TG_WANT_NONE);
    p.s->ready = 0;
    turn_for(loop, 2);
    p.cs.runs = 0;
    assert_int_equal(put(p.c, " on"), 3);
    turn_for(loop, 5);
    assert_int_equal(p.cs.runs, 0);
    assert_int_equal(p.s->ready, 0);
    must_get(&p, p.s, buf, 8);
    assert_memory_equal(buf, "later on", 8);
    pair_close(&p);
    tg_tls_unref(cc);
    tg_tls_unref(sc);
    tg_loop_free(loop);
}

/* ---- ends ---- */

static void must_end(struct pair *p, struct tg_stream *s, int expect)
{
    char buf[16];
    int rc = TG_E_AGAIN;
    tg_stream_want(s, TG_WANT_READ);
    for (int i = 0; i < 100000 && (rc == TG_E_AGAIN || rc > 0); i++) {
        rc = tg_stream_read(s, buf, sizeof buf);
        if (rc == TG_E_AGAIN) {
            s->ready = 0;
            turn_until(p->loop, s->ready);
        }
    }
    assert_int_equal(rc, expect);
    assert_int_equal(tg_stream_read(s, buf, sizeof buf), expect);
    s->ready = 0;
    turn_for(p->loop, 3);
    int work = 0;
    for (int i = 0; i < 20; i++)
        work += tg_loop_turn(p->loop);
    assert_true(work <= 2); /* no spinning at the end */
}

static void orderly_end_is_eof_and_truncation_is_not(void **state)
{
    need_certs();
    struct tg_loop *loop = new_loop();
    struct tg_tls_ctx *cc = client_ctx("ca.pem"), *sc = server_ctx("good");
    for (int orderly = 0; orderly < 2; orderly++) {
        struct pair p;
        pair_open(&p, loop, cc, sc, "localhost");
        must_handshake(&p);
        assert_int_equal(put(p.s, "last words"), 10);
        if (orderly) {
            assert_int_equal(tg_stream_shutdown(p.s), 0);
            assert_int_equal(put(p.s, "more"), TG_E_IO);
        } else {
            tg_stream_close(p.s);
        }
        must_end(&p, p.c, orderly ? TG_E_EOF : TG_E_IO);
        if (orderly) { /* half-closed: the other way still works */
            char buf[8];
            assert_int_equal(put(p.c, "answer"), 6);
            must_get(&p, p.s, buf, 6);
            tg_stream_close(p.s);
        } else {
            assert_string_equal(tg_stream_tls_error(p.c), "cut off without close_notify");
        }
        tg_stream_close(p.c);
    }
    tg_tls_unref(cc);
    tg_tls_unref(sc);
    tg_loop_free(loop);
}

static void garbage_after_the_handshake_is_a_tls_failure(void **state)
{
    need_certs();
    struct tg_loop *loop = new_loop();
    struct tg_tls_ctx *cc = client_ctx("ca.pem"), *sc = server_ctx("good");
    struct pair p;
    int fd[2], c = TG_E_AGAIN;
    tcp_pair(fd);
    p.loop = loop;
    counter_init(&p.cc);
    p.c = stream_on(loop, fd[0], &p.cc.task);
    assert_int_equal(tg_stream_start_tls(p.c, cc, TG_STR("localhost")), 0);
    /* A server of OpenSSL's own, so that raw bytes can be put on its socket. */
    SSL_CTX *raw = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate_chain_file(raw, cert("good.pem")), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(raw, cert("good.key"), SSL_FILETYPE_PEM), 1);
    SSL *ssl = SSL_new(raw);
    SSL_set_fd(ssl, fd[1]);
    SSL_set_accept_state(ssl);
    for (int i = 0; i < 5000 && (c < 0 || !SSL_is_init_finished(ssl)); i++) {
        SSL_do_handshake(ssl);
        if (c == TG_E_AGAIN)
            c = step(p.c);
        tg_loop_turn(loop);
    }
    assert_int_equal(c, 0);
    assert_int_equal(send(fd[1], "\x17\x03\x03\x00\x20garbage garbage garbage garbage ", 37, 0),
                     37);
    must_end(&p, p.c, TG_E_UPSTREAM_TLS);
    assert_true(strlen(tg_stream_tls_error(p.c)) > 0);
    tg_stream_close(p.c);
    SSL_free(ssl);
    SSL_CTX_free(raw);
    close(fd[1]);
    tg_tls_unref(cc);
    tg_tls_unref(sc);
    ERR_clear_error();
    tg_loop_free(loop);
}

static void plain_text_peers_fail_the_handshake(void **state)
{
    need_certs();
    static const char *const says[] = {"HTTP/1.1 400 Bad Request\r\n\r\n", "", "\x15\x03\x01\x00"};
    struct tg_loop *loop = new_loop();
    struct tg_tls_ctx *cc = client_ctx("ca.pem");
    for (size_t i = 0; i < TG_ARRAY_LEN(says); i++) {
        struct pair p;
        int c = TG_E_AGAIN;
        pair_open(&p, loop, cc, NULL, "localhost");
        if (*says[i])
            put(p.s, says[i]);
        tg_stream_shutdown(p.s);
        for (int k = 0; k < 10000 && c == TG_E_AGAIN; k++) {
            c = step(p.c);
            tg_loop_turn(loop);
        }
        assert_int_equal(c, TG_E_UPSTREAM_TLS);
        assert_true(strlen(tg_stream_tls_error(p.c)) > 0);
        pair_close(&p);
    }
    tg_tls_unref(cc);
    tg_loop_free(loop);
}

/* A peer that says nothing: the step stays undecided and nothing spins. */
static void a_stalled_handshake_waits_quietly(void **state)
{
    need_certs();
    struct tg_loop *loop = new_loop();
    struct tg_tls_ctx *cc = client_ctx("ca.pem"), *sc = server_ctx("good");
    struct pair p;
    pair_open(&p, loop, cc, NULL, "localhost");
    assert_int_equal(step(p.c), TG_E_AGAIN);
    assert_int_equal(p.c->wanted, TG_WANT_READ);
    turn_for(loop, 3);
    p.cc.runs = 0;
    turn_for(loop, 10);
    assert_int_equal(p.cc.runs, 0);
    assert_int_equal(tg_stream_tls_step(p.c), TG_E_AGAIN);
    /* While it waits, data can't pass, and asking to write waits for reading. */
    assert_int_equal(put(p.c, "x"), TG_E_AGAIN);
    assert_int_equal(tg_stream_want_io(p.c, TG_WANT_WRITE), TG_WANT_READ);
    assert_false(tg_stream_idle_ok(p.c));
    pair_close(&p);
    tg_tls_unref(cc);
    tg_tls_unref(sc);
    tg_loop_free(loop);
}

static void idle_streams_swallow_tickets_only(void **state)
{
    need_certs();
    struct tg_loop *loop = new_loop();
    struct tg_tls_ctx *cc = client_ctx("ca.pem"), *sc = server_ctx("good");
    struct pair p;
    pair_open(&p, loop, cc, sc, "localhost");
    must_handshake(&p);
    usleep(1000);
    assert_true(tg_stream_idle_ok(p.c)); /* the server's tickets lie there */
    assert_true(tg_stream_idle_ok(p.c));
    assert_int_equal(put(p.s, "?"), 1);
    usleep(1000);
    assert_false(tg_stream_idle_ok(p.c));
    pair_close(&p);
    pair_open(&p, loop, cc, sc, "localhost");
    must_handshake(&p);
    assert_true(tg_stream_tls_resumed(p.c)); /* the ticket was kept, not lost */
    assert_int_equal(tg_stream_shutdown(p.s), 0);
    usleep(1000);
    assert_false(tg_stream_idle_ok(p.c));
    pair_close(&p);
    tg_tls_unref(cc);
    tg_tls_unref(sc);
    tg_loop_free(loop);
}

/* ---- protocol ---- */

static void old_versions_and_other_protocols_are_refused(void **state)
{
    need_certs();
    struct tg_loop *loop = new_loop();
    struct tg_tls_ctx *sc = server_ctx("good");
    for (int how = 0; how < 3; how++) {
        struct pair p;
        int fd[2], s = TG_E_AGAIN;
        tcp_pair(fd);
        p.loop = loop;
        counter_init(&p.cs);
        p.s = stream_on(loop, fd[1], &p.cs.task);
        assert_int_equal(tg_stream_start_tls(p.s, sc, TG_STR("")), 0);
        SSL_CTX *raw = SSL_CTX_new(TLS_client_method());
        if (how == 0) {
            SSL_CTX_set_security_level(raw, 0);
            SSL_CTX_set_max_proto_version(raw, TLS1_1_VERSION);
        } else if (how == 1) {
            SSL_CTX_set_alpn_protos(raw, (const unsigned char *)"\x02h2", 3);
        } else {
            SSL_CTX_set_max_proto_version(raw, TLS1_2_VERSION);
            SSL_CTX_set_alpn_protos(raw, (const unsigned char *)"\x02h2\x08http/1.1", 12);
        }
        SSL *ssl = SSL_new(raw);
        SSL_set_fd(ssl, fd[0]);
        SSL_set_connect_state(ssl);
        for (int i = 0; i < 5000 && s == TG_E_AGAIN; i++) {
            SSL_do_handshake(ssl);
            s = step(p.s);
            tg_loop_turn(loop);
        }
        assert_int_equal(s, how == 2 ? 0 : TG_E_UPSTREAM_TLS);
        if (how == 2) {
            const unsigned char *proto;
            unsigned n;
            SSL_do_handshake(ssl);
            SSL_get0_alpn_selected(ssl, &proto, &n);
            assert_str_equal(tg_str_make((const char *)proto, n), TG_STR("http/1.1"));
        }
        SSL_free(ssl);
        SSL_CTX_free(raw);
        ERR_clear_error();
        tg_stream_close(p.s);
        close(fd[0]);
    }
    tg_tls_unref(sc);
    tg_loop_free(loop);
}

static void misuse_is_refused(void **state)
{
    need_certs();
    struct tg_loop *loop = new_loop();
    struct tg_tls_ctx *cc = client_ctx("ca.pem"), *sc = server_ctx("good");
    struct tg_stream *a, *b;
    struct pair p;
    char longest[300];
    memset(longest, 'a', sizeof longest);
    pair_open(&p, loop, NULL, NULL, NULL);
    assert_int_equal(tg_stream_start_tls(p.c, cc, TG_STR("")), TG_E_INVALID_ARG);
    assert_int_equal(tg_stream_start_tls(p.c, sc, TG_STR("localhost")), TG_E_INVALID_ARG);
    assert_int_equal(tg_stream_start_tls(p.c, cc, tg_str_make("a\0b", 3)), TG_E_INVALID_ARG);
    assert_int_equal(tg_stream_start_tls(p.c, cc, tg_str_make(longest, 254)), TG_E_INVALID_ARG);
    assert_int_equal(tg_stream_start_tls(p.c, cc, TG_STR("localhost")), 0);
    assert_int_equal(tg_stream_start_tls(p.c, cc, TG_STR("localhost")), TG_E_INVALID_ARG);
    pair_close(&p);
    assert_int_equal(tg_stream_mem_pair(loop, (struct tg_mem_pipe_opts){.cap = 8}, &a, &b), 0);
    assert_int_equal(tg_stream_start_tls(a, cc, TG_STR("localhost")), TG_E_INVALID_ARG);
    tg_stream_close(a);
    tg_stream_close(b);
    tg_tls_unref(cc);
    tg_tls_unref(sc);
    tg_loop_free(loop);
}

static void every_failed_allocation_is_survived(void **state)
{
    need_certs();
    struct tg_loop *loop = new_loop();
    struct tg_tls_ctx *cc = client_ctx("ca.pem"), *sc = server_ctx("good");
    int before = count_fds();
    for (uint64_t i = 1; i < 12; i++) {
        struct pair p;
        char buf[64];
        int rc = 0;
        pair_open(&p, loop, NULL, sc, NULL);
        tg_alloc_fail_at(i, 0);
        rc = tg_stream_start_tls(p.c, cc, TG_STR("localhost"));
        if (rc == 0) {
            must_handshake(&p);
            struct iovec v[2] = {iov_of("two "), iov_of("pieces")};
            rc = tg_stream_writev(p.s, v, 2);
            if (rc > 0)
                must_get(&p, p.c, buf, 10); /* a session that can't be kept is no failure */
        }
        tg_alloc_fail_at(0, 0);
        assert_true(rc == 10 || rc == TG_E_NOMEM);
        pair_close(&p);
        tg_loop_turn(loop);
    }
    assert_int_equal(count_fds(), before);
    tg_tls_unref(cc);
    tg_tls_unref(sc);
    tg_loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_certificate),
        cmocka_unit_test(bad_certificates),
        cmocka_unit_test(unknown_ca_and_system_store),
        cmocka_unit_test(resumes_by_host),
        cmocka_unit_test(resumes_side_by_side),
        cmocka_unit_test(sessions_are_bounded),
        cmocka_unit_test(carries_any_sizes),
        cmocka_unit_test(short_pieces_share_a_record),
        cmocka_unit_test(what_openssl_holds_wakes_the_owner),
        cmocka_unit_test(a_paused_reader_is_left_alone),
        cmocka_unit_test(orderly_end_is_eof_and_truncation_is_not),
        cmocka_unit_test(garbage_after_the_handshake_is_a_tls_failure),
        cmocka_unit_test(plain_text_peers_fail_the_handshake),
        cmocka_unit_test(a_stalled_handshake_waits_quietly),
        cmocka_unit_test(idle_streams_swallow_tickets_only),
        cmocka_unit_test(old_versions_and_other_protocols_are_refused),
        cmocka_unit_test(misuse_is_refused),
        cmocka_unit_test(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, certs_make, certs_remove);
}

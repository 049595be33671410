/* Random lives, replayable from their seed: whatever clients, handlers, upstreams and callers do
 * and in whatever order, every answer belongs to its request, nothing is left behind, nothing
 * hangs. */
#include "net_up.h"

static uint64_t rng, current_seed;
static uint64_t answered; /* over all seeds: the test must not be empty */

static uint32_t rnd(uint32_t n) /* 0 … n-1; SplitMix64 */
{
    uint64_t z = (rng += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return (uint32_t)((z ^ (z >> 31)) % n);
}

/* The body that answers request `id`: its length and bytes follow from the id. */
static size_t body_len(uint32_t id)
{
    static const size_t lens[] = {0, 1, 10, 500, 5000, 40000, 150000};
    return lens[id % TG_ARRAY_LEN(lens)] + id % 13;
}
static char body_byte(uint32_t id, size_t at)
{
    return (char)('a' + (id * 7 + at * 3 + at / 64) % 26);
}
static bool body_matches(uint32_t id, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != body_byte(id, i))
            return false;
    return true;
}

/* ---- the server's side ---- */

enum { CONNS = 4, REQUESTS = 12 };

struct rclient {
    struct peer peer;
    struct tg_buf out; /* not sent yet */
    bool open, head_only[REQUESTS];
    uint32_t first_id;
};

struct rhandler { /* what a scripted handler has decided */
    uint32_t id;
    size_t at;
    bool begun, over, known_length;
};

static struct rhandler *plan_of(struct handler *h)
{
    return (struct rhandler *)(void *)h->user;
}

static void write_some(struct handler *h, struct rhandler *m)
{
    static char piece[60000];
    size_t left = body_len(m->id) - m->at, n = rnd(4) ? rnd(900) : rnd(sizeof piece);

    if (tg_http_conn_above_high(h->conn))
        return;
    n = n < left ? n : left;
    for (size_t i = 0; i < n; i++)
        piece[i] = body_byte(m->id, m->at + i);
    if (tg_http_conn_write(h->conn, tg_str_make(piece, n)) == 0)
        m->at += n;
}

static void begin_answer(struct handler *h, struct rhandler *m)
{
    char id[16];
    size_t n = (size_t)snprintf(id, sizeof id, "%u", m->id);
    struct tg_http_header x = {TG_STR("X-Id"), tg_str_make(id, n)};
    uint64_t len = m->known_length ? body_len(m->id) : TG_HTTP_LENGTH_UNKNOWN;
    if (tg_http_conn_respond(h->conn, 200, &x, 1, len) == 0)
        m->begun = true;
}

static void random_step(struct handler *h, unsigned events)
{
    struct rhandler *m = plan_of(h);

    if (events & (TG_CONN_GONE | TG_CONN_FLUSHED)) {
        if ((events & TG_CONN_GONE) || rnd(3))
            handler_free(h); /* else it stays for a while */
        return;
    }
    if (h->seen & (TG_CONN_GONE | TG_CONN_FLUSHED)) {
        handler_free(h);
        return;
    }
    if (m->over)
        return;
    if (!m->begun) {
        if ((h->seen & TG_CONN_BODY_DONE) || rnd(4) == 0)
            begin_answer(h, m);
    } else if (m->at < body_len(m->id)) {
        write_some(h, m);
    } else {
        tg_http_conn_end(h->conn);
        m->over = true;
    }
    switch (rnd(800)) {
    case 0:
        tg_http_conn_abort(h->conn);
        break;
    case 1:
        handler_free(h);
        break;
    default:
        break;
    }
}

static void plan(struct handler *h)
{
    struct rhandler *m = plan_of(h);
    struct tg_str id = tg_http_head_get(h->req->head, TG_STR("X-Id"));

    m->id = (uint32_t)strtoul(id.p, NULL, 10);
    m->known_length = rnd(2);
    if (rnd(10) == 0) {
        tg_http_req_free(h->req);
        h->req = NULL;
    }
    if (rnd(10) == 0)
        begin_answer(h, m);
}

static void wake_some(struct rig *r)
{
    if (!r->handlers.next)
        return;
    tg_list_each (it, &r->handlers) {
        if (rnd(3) == 0)
            tg_loop_wake(r->loop, &tg_list_entry(it, struct handler, link)->task);
    }
}

static void add_request(struct rclient *c, uint32_t id, uint32_t nth)
{
    uint32_t kind = rnd(12);
    size_t n = rnd(3) ? rnd(3000) : rnd(120000);

    c->head_only[nth] = kind == 0;
    if (kind <= 2) {
        tg_buf_printf(&c->out, "%s /x HTTP/1.1\r\nHost: h\r\nX-Id: %u\r\n\r\n",
                      kind == 0 ? "HEAD" : "GET", id);
        return;
    }
    if (kind <= 6) {
        tg_buf_printf(&c->out,
                      "POST /x HTTP/1.1\r\nHost: h\r\nX-Id: %u\r\nContent-Length: %zu\r\n%s\r\n",
                      id, n, kind == 3 ? "Expect: 100-continue\r\n" : "");
        for (size_t i = 0; i < n; i++)
            tg_buf_char(&c->out, body_byte(id, i));
        return;
    }
    tg_buf_printf(&c->out,
                  "POST /x HTTP/1.1\r\nHost: h\r\nX-Id: %u\r\nTransfer-Encoding: chunked\r\n\r\n",
                  id);
    for (size_t at = 0; at < n;) {
        size_t k = 1 + rnd(5000);
        k = k < n - at ? k : n - at;
        tg_buf_printf(&c->out, "%zx\r\n", k);
        for (size_t i = 0; i < k; i++)
            tg_buf_char(&c->out, body_byte(id, at + i));
        tg_buf_lit(&c->out, "\r\n");
        at += k;
    }
    tg_buf_lit(&c->out, "0\r\n\r\n");
}

static void client_step(struct rclient *c)
{
    struct peer *p = &c->peer;

    if (!c->open)
        return;
    switch (rnd(2500)) {
    case 0:
        peer_close(p);
        c->open = false;
        return;
    case 1:
        tg_stream_mem_reset(p->stream);
        c->open = false;
        return;
    case 2:
        tg_stream_shutdown(p->stream);
        tg_buf_clear(&c->out);
        return;
    case 3:
        tg_buf_clear(&c->out); /* from here on nonsense */
        for (int i = 0; i < 200; i++)
            tg_buf_char(&c->out, (char)rnd(256));
        return;
    default:
        break;
    }
    if (rnd(8) == 0) {
        p->stopped = !p->stopped;
        if (!p->stopped && !p->eof && !p->broken)
            tg_stream_want(p->stream, TG_WANT_READ);
    }
    if (c->out.n > 0) {
        size_t n = rnd(3) ? rnd(200) : rnd(40000);
        n = n < c->out.n ? n : c->out.n;
        struct iovec v = {c->out.p, n};
        int rc = n ? tg_stream_writev(p->stream, &v, 1) : 0;
        if (rc > 0)
            tg_buf_drop(&c->out, (size_t)rc);
    }
}

/* Everything that came parses, in order, and each answer is the one to its request. */
static void check_answers(struct rclient *c)
{
    struct tg_str in = tg_buf_str(&c->peer.got);
    uint32_t nth = 0;

    while (in.n > 0) {
        struct tg_arena a;
        struct tg_h1 *h1;
        struct tg_h1_event ev;
        uint32_t id = 0;
        size_t at = 0;
        int rc;
        bool ended = false, ours = false;
        tg_arena_init(&a, 1024, 1 << 20);
        assert_int_equal(tg_h1_new(TG_H1_RESPONSE, &tg_h1_limits_default, &a, &h1), 0);
        assert_true(nth < REQUESTS + 1);
        tg_h1_set_request_method(h1,
                                 nth < REQUESTS && c->head_only[nth] ? TG_HTTP_HEAD : TG_HTTP_GET);
        while ((rc = tg_h1_next(h1, &in, &ev)) > 0 && !ended) {
            if (ev.kind == TG_H1_HEAD) {
                struct tg_str x = tg_http_head_get(ev.head, TG_STR("X-Id"));
                ours = ev.head->status == 200;
                id = x.n ? (uint32_t)strtoul(x.p, NULL, 10) : 0;
                if (ours)
                    assert_int_equal(id, c->first_id + nth);
                else
                    assert_true(ev.head->status >= 400); /* refused: the last one */
            } else if (ev.kind == TG_H1_BODY) {
                for (size_t i = 0; ours && i < ev.body.n; i++)
                    assert_int_equal(ev.body.p[i], body_byte(id, at + i));
                at += ev.body.n;
            } else {
                ended = true;
                if (ours && !c->head_only[nth])
                    assert_int_equal(at, body_len(id));
                break;
            }
        }
        if (rc < 0)
            fail_msg("answer %u does not parse: %s", nth, tg_err_name(rc));
        tg_arena_fini(&a);
        if (!ended)
            break; /* cut: then it is the last */
        answered += ours;
        if (!ours)
            if (in.n && !(nth < REQUESTS && c->head_only[nth])) /* it was no HEAD for the server */
                fail_msg("behind the refusal: %.*s", TG_STR_ARG(in));
        if (!ours)
            break;
        nth++;
    }
}

static void server_life(uint64_t seed)
{
    struct rig r;
    static struct rclient c[CONNS];

    rng = seed;
    rig_init(&r);
    r.opts.half_close_ok = rnd(2);
    tg_http_server_set_opts(r.server, &r.opts);
    r.at_request = plan;
    r.at_events = random_step;
    for (uint32_t i = 0; i < CONNS; i++) {
        rig_connect(&r, &c[i].peer, 1 + (rnd(2) ? rnd(100000) : rnd(300)),
                    rnd(3) ? 0 : 1 + rnd(50));
        tg_buf_init(&c[i].out, 16 << 20);
        c[i].open = true;
        c[i].first_id = i * REQUESTS;
        for (uint32_t k = 0; k < REQUESTS; k++)
            add_request(&c[i], i * REQUESTS + k, k);
        assert_true(tg_buf_ok(&c[i].out));
    }
    for (int step = 0; step < 3000; step++) {
        for (int i = 0; i < CONNS; i++)
            client_step(&c[i]);
        wake_some(&r);
        tg_loop_turn(r.loop);
        if (rnd(400) == 0)
            pass_ms(r.loop, rnd(20000));
    }
    r.at_events = NULL;
    tg_http_server_close_all(r.server);
    settle(r.loop);
    while (r.live > 0) /* those that had seen FLUSHED and stayed */
        handler_free(tg_list_entry(r.handlers.next, struct handler, link));
    for (int i = 0; i < CONNS; i++) {
        c[i].peer.stopped = false;
        check_answers(&c[i]);
        peer_fini(&c[i].peer);
        tg_buf_fini(&c[i].out);
    }
    settle(r.loop);
    rig_fini(&r);
}

/* TG_RANDOM_SEEDS=n runs that many, for an hour of looking. */
static uint64_t how_many(void)
{
    const char *text = getenv("TG_RANDOM_SEEDS");
    return text ? strtoul(text, NULL, 10) : 40;
}

static void test_server_lives(void **state)
{
    answered = 0;
    for (uint64_t seed = 1; seed <= how_many(); seed++) {
        current_seed = seed;
        server_life(seed);
    }
    assert_true(answered > how_many() * 15);
}

/* ---- the client's side ---- */

enum { CALLS = 60, UPS = 12 };

struct rup {
    struct upc c;
    struct tg_buf out;
    bool open, dying;
};

/* Answers one request that is whole, in one of many ways. */
static void answer_randomly(struct rup *u, uint32_t id)
{
    struct tg_buf *b = &u->out;
    size_t n = body_len(id);

    switch (rnd(25)) {
    case 0:
        upc_reset(&u->c);
        u->open = false;
        return;
    case 1:
        u->dying = true; /* no answer */
        return;
    case 2:
        tg_buf_lit(b, "nonsense\r\n\r\n");
        return;
    case 3:
        tg_buf_lit(b, "HTTP/1.1 100 Continue\r\n\r\n");
        break;
    default:
        break;
    }
    uint32_t kind = rnd(10);
    tg_buf_printf(b, "HTTP/1.1 200 OK\r\nX-Id: %u\r\n", id);
    if (kind == 0)
        tg_buf_lit(b, "Connection: close\r\n");
    if (kind == 1) { /* delimited by close */
        u->dying = true;
        tg_buf_lit(b, "\r\n");
        for (size_t i = 0; i < n; i++)
            tg_buf_char(b, body_byte(id, i));
        return;
    }
    if (kind < 5) {
        tg_buf_printf(b, "Content-Length: %zu\r\n\r\n", n);
        for (size_t i = 0; i < n; i++)
            tg_buf_char(b, body_byte(id, i));
    } else {
        tg_buf_lit(b, "Transfer-Encoding: chunked\r\n\r\n");
        for (size_t at = 0; at < n;) {
            size_t k = 1 + rnd(9000);
            k = k < n - at ? k : n - at;
            tg_buf_printf(b, "%zx\r\n", k);
            for (size_t i = 0; i < k; i++)
                tg_buf_char(b, body_byte(id, at + i));
            tg_buf_lit(b, "\r\n");
            at += k;
        }
        tg_buf_lit(b, "0\r\n\r\n");
    }
    switch (rnd(25)) {
    case 0: /* cut */
        if (b->n > 1)
            b->n -= 1 + rnd((uint32_t)(b->n - 1));
        u->dying = true;
        break;
    case 1:
        u->dying = true;
        break;
    default:
        break;
    }
}

static void up_take(struct rup *u)
{
    const char *t = upc_text(&u->c), *end = strstr(t, "\r\n\r\n"), *x = strstr(t, "X-Id: ");
    const char *len = strstr(t, "Content-Length: ");

    if (!end || !x || !len)
        return;
    size_t head = (size_t)(end + 4 - t), body = strtoul(len + 16, NULL, 10);
    if (u->c.got.n < head + body) {
        if (rnd(300) == 0) { /* early */
            answer_randomly(u, (uint32_t)strtoul(x + 6, NULL, 10));
            u->dying = true;
        }
        return;
    }
    uint32_t id = (uint32_t)strtoul(x + 6, NULL, 10);
    tg_buf_drop(&u->c.got, head + body);
    answer_randomly(u, id);
}

static void up_step(struct rup *u)
{
    if (!u->open)
        return;
    if (rnd(4) && !upc_poll(&u->c)) {
        upc_close(&u->c);
        u->open = false;
        return;
    }
    if (u->out.n == 0 && !u->dying)
        up_take(u);
    if (u->open && u->out.n > 0) {
        size_t n = rnd(2) ? 1 + rnd(100) : 1 + rnd(60000);
        ssize_t k = send(u->c.fd, u->out.p, n < u->out.n ? n : u->out.n, MSG_NOSIGNAL);
        if (k > 0)
            tg_buf_drop(&u->out, (size_t)k);
        else if (errno != EAGAIN)
            tg_buf_clear(&u->out), u->dying = true;
    }
    if (u->open && u->out.n == 0 && (u->dying || rnd(300) == 0)) {
        upc_close(&u->c);
        u->open = false;
    }
}

struct rcall {
    struct caller k;
    char head[128];
    struct iovec iov[2];
    bool started, over;
};

static void call_check(struct rcall *c, uint32_t id)
{
    assert_false(c->k.order_wrong);
    assert_true(body_matches(id, c->k.body.p, c->k.body.n));
    if (c->k.heads) {
        struct tg_str x = tg_http_head_get(c->k.head, TG_STR("X-Id"));
        assert_int_equal(strtoul(x.p, NULL, 10), id);
    }
    if (c->k.ended) {
        answered++;
        assert_int_equal(c->k.heads, 1);
        if (c->k.body.n != body_len(id)) /* only close can cut unseen */
            assert_int_equal(c->k.head->body, TG_HTTP_BODY_CLOSE);
    } else if (c->k.err) {
        assert_int_equal(c->k.fail.err, c->k.err);
    }
}

static void call_step(struct crig *r, struct rcall *c, uint32_t id)
{
    static char body[300000];

    if (c->over)
        return;
    if (!c->started) {
        if (rnd(30))
            return;
        size_t n = rnd(4) ? rnd(2000) : rnd(sizeof body);
        snprintf(c->head, sizeof c->head,
                 "POST /x HTTP/1.1\r\nHost: u\r\nX-Id: %u\r\nContent-Length: %zu\r\n\r\n", id, n);
        c->iov[0] = (struct iovec){c->head, strlen(c->head)};
        c->iov[1] = (struct iovec){body, n};
        c->started = true;
        if (caller_start_with(&c->k, r, c->iov, 2) < 0)
            c->over = true;
        else
            c->k.stop_after = rnd(3) == 0;
        return;
    }
    if (c->k.ended || c->k.err || rnd(400) == 0) {
        call_check(c, id);
        caller_free(&c->k);
        c->over = true;
    } else if (rnd(20) == 0) {
        tg_http_call_pause(c->k.call, rnd(2));
    }
}

static void client_life(uint64_t seed)
{
    struct crig r;
    static struct rcall calls[CALLS];
    static struct rup ups[UPS];
    int left = CALLS;

    rng = seed;
    crig_init(&r);
    r.oo.max_conns = 1 + rnd(8);
    r.oo.max_connecting = 1 + rnd(3);
    crig_origin(&r);
    memset(calls, 0, sizeof calls);
    memset(ups, 0, sizeof ups);
    for (int step = 0; left > 0; step++) {
        if (step > 200000)
            fail_msg("calls hang");
        for (int i = 0; i < UPS; i++) {
            if (!ups[i].open) {
                tg_buf_fini(&ups[i].out);
                memset(&ups[i], 0, sizeof ups[i]);
                tg_buf_init(&ups[i].out, 16 << 20);
                tg_buf_init(&ups[i].c.got, 16 << 20);
                ups[i].open = up_try_accept(&r.up, &ups[i].c);
            }
            up_step(&ups[i]);
        }
        left = 0;
        for (uint32_t i = 0; i < CALLS; i++) {
            call_step(&r, &calls[i], i + 1);
            left += !calls[i].over;
        }
        for (uint32_t i = 0; i < CALLS; i++) /* whoever is paused for good would never end */
            if (calls[i].started && !calls[i].over && rnd(200) == 0)
                tg_http_call_pause(calls[i].k.call, false);
        tg_loop_turn(r.loop);
        if (step % 64 == 0)
            tg_clock_fake_advance_us(rnd(3) * 1000);
        if (rnd(2000) == 0)
            pass_ms(r.loop, rnd(40000));
    }
    const struct tg_http_client_stats *s = tg_http_client_stats(r.client);
    assert_int_equal(s->waiting, 0);
    assert_int_equal(s->connecting, 0);
    assert_int_equal(s->open, s->idle);
    for (int i = 0; i < UPS; i++) {
        if (ups[i].open)
            upc_close(&ups[i].c);
        tg_buf_fini(&ups[i].out);
    }
    crig_fini(&r);
}

static void test_client_lives(void **state)
{
    int fds = 0;

    answered = 0;
    for (uint64_t seed = 1; seed <= how_many(); seed++) {
        current_seed = seed;
        client_life(seed);
        if (seed == 1)
            fds = count_fds();
    }
    assert_int_equal(count_fds(), fds);
    assert_true(answered > how_many() * 20);
}

static int print_seed(void **state)
{
    print_message("# last seed %llu, answered %llu\n", (unsigned long long)current_seed,
                  (unsigned long long)answered);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_server_lives, print_seed),
        cmocka_unit_test_teardown(test_client_lives, print_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "server/mock_server.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"
#include "core/mock_model.h"
#include "core/mock_script.h"
#include "dialect/dialect.h"
#include "json/json.h"
#include "server/mock_answer.h"
#include "server/mock_lists.h"
#include "server/mock_record.h"
#include "wire/h1.h"
#include "wire/url.h"

#define MAX_BODY   (64u << 20)
#define MAX_OUT    (64u << 20)
#define BIG_HEADER (1u << 20)
#define DIMENSIONS 64
#define OUT_HIGH   (256u << 10) /* streams without waits stop here until it has left */

enum phase { READING, LATENCY, ROLE, TOKENS, SILENT, DRAINING };

struct mock_conn {
    struct tg_task task;
    struct tg_grave grave;
    struct tg_list link;
    struct tg_mock_server *server;
    struct tg_stream *stream;
    int fd;
    struct tg_arena arena; /* of the request being read */
    struct tg_h1 *parser;
    const struct tg_http_head *head;
    struct tg_buf in; /* read, not yet parsed */
    struct tg_buf body, out;
    struct tg_timer timer;
    struct tg_mock_job job;
    enum tg_mock_wire wire;
    enum phase phase;
    size_t out_at; /* bytes of `out` that have left */
    bool due, close_after, reset_after;
};

struct tg_mock_server {
    struct tg_loop *loop;
    struct tg_listener *listener;
    struct tg_mock_server_opts o;
    struct tg_list conns;
    uint64_t requests;
};

/* ---- connections ---- */

static void release(struct tg_grave *g)
{
    struct mock_conn *c = tg_container_of(g, struct mock_conn, grave);
    tg_arena_fini(&c->arena);
    tg_buf_fini(&c->in);
    tg_buf_fini(&c->body);
    tg_buf_fini(&c->out);
    tg_free(c);
}

static void conn_close(struct mock_conn *c, bool reset)
{
    struct linger hard = {.l_onoff = 1, .l_linger = 0};
    if (reset)
        (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    tg_timer_stop(c->server->loop, &c->timer);
    tg_task_cancel(&c->task);
    tg_list_del(&c->link);
    tg_stream_close(c->stream);
    tg_loop_bury(c->server->loop, &c->grave, release);
}

static void wait_ms(struct mock_conn *c, uint32_t ms)
{
    c->due = ms == 0;
    if (ms)
        tg_timer_start(c->server->loop, &c->timer, ms);
}

static void on_timer(struct tg_timer *t)
{
    struct mock_conn *c = tg_container_of(t, struct mock_conn, timer);
    c->due = true;
    tg_loop_wake(c->server->loop, &c->task);
}

/* ---- requests ---- */

static void refuse(struct mock_conn *c, uint32_t status, const char *text)
{
    struct tg_mock_config e = {.status = status};
    tg_mock_error(&c->out, &e, tg_str_c(text));
    c->phase = DRAINING;
}

static int64_t tokens_wanted(const struct tg_json *root)
{
    int64_t max;
    if (tg_json_i64(tg_json_get(root, TG_STR("max_completion_tokens")), &max) < 0 &&
        tg_json_i64(tg_json_get(root, TG_STR("max_tokens")), &max) < 0)
        return -1;
    return max;
}

/* What the script's file answers to this conversation. */
static int scripted(struct mock_conn *c, struct tg_mock_answer *out, struct tg_fail *fail)
{
    const struct tg_dialect *d =
        c->job.completion ? &tg_dialect_openai_completions : &tg_dialect_openai_chat;
    struct tg_call call = {.dialect = d};
    struct tg_chat_req req = {.dialect = d->name};
    char tag[24];
    int n = snprintf(tag, sizeof tag, "mock%llu", (unsigned long long)c->server->requests);
    int rc = d->open(&c->arena, c->head, tg_buf_str(&c->body), &call, fail);
    if (rc == 0)
        rc = d->parse(&c->arena, &call, &req, fail);
    if (rc < 0)
        return rc;
    struct tg_str copy = tg_arena_dup(&c->arena, tg_str_make(tag, (size_t)n));
    return tg_mock_model_answer(c->job.cfg.steps, &req, copy, &c->arena, out, fail);
}

static int begin_script(struct mock_conn *c, const struct tg_json *root, struct tg_fail *fail)
{
    struct tg_mock_job *j = &c->job;
    struct tg_mock_answer answer = {.finish = TG_FINISH_STOP};
    j->cfg = c->server->o.script;
    j->model = tg_json_get_str(root, TG_STR("model"));
    c->wire = TG_MOCK_WIRE_NONE;
    int rc = tg_mock_script_apply(j->model, &j->cfg, &c->wire, fail);
    if (rc == 0 && j->cfg.steps)
        rc = scripted(c, &answer, fail);
    if (rc == 0)
        rc = tg_mock_player_init(&j->player, &j->cfg, &answer, tokens_wanted(root),
                                 (int64_t)(c->body.n / 4 + 1), &c->arena);
    if (rc < 0)
        return tg_fail_set(fail, rc, "not enough memory for the mock's answer");
    j->stream = tg_json_true(tg_json_get(root, TG_STR("stream")));
    j->usage = tg_json_true(tg_json_get2(root, TG_STR("stream_options"), TG_STR("include_usage")));
    j->serial = c->server->requests;
    c->phase = LATENCY;
    wait_ms(c, j->cfg.latency_ms);
    return 0;
}

static void models(struct mock_conn *c)
{
    tg_mock_json(&c->out, 200, TG_STR(""),
                 TG_STR("{\"object\":\"list\",\"data\":[{\"id\":\"mock\",\"object\":\"model\","
                        "\"created\":1700000000,\"owned_by\":\"tollgate\"}]}"));
    c->phase = DRAINING;
}

static void answer_json(struct mock_conn *c, struct tg_str path, const struct tg_json *root)
{
    const struct tg_mock_config *script = &c->server->o.script;
    uint32_t dimensions = script->dimensions ? script->dimensions : DIMENSIONS;
    struct tg_fail fail;
    tg_fail_clear(&fail);
    c->job.completion =
        tg_str_ends(path, TG_STR("/completions")) && !tg_str_ends(path, TG_STR("chat/completions"));
    if (!tg_str_ends(path, TG_STR("/completions"))) {
        c->phase = DRAINING;
        if (!tg_mock_lists(&c->out, path, root, dimensions, (uint32_t)(c->body.n / 4 + 1)))
            refuse(c, 404,
                   "the mock serves /chat/completions, /completions, /embeddings, /moderations, "
                   "/rerank and /models");
    } else if (begin_script(c, root, &fail) < 0) {
        refuse(c, fail.err == TG_E_NOMEM ? 503 : 400, fail.message);
    }
}

static void begin_answer(struct mock_conn *c)
{
    struct tg_str path, query;
    struct tg_json_doc *doc = NULL;
    bool is_json = tg_json_parse(&c->arena, tg_buf_str(&c->body), NULL, &doc, NULL) == 0;
    c->server->requests++;
    tg_target_split(c->head->target, &path, &query);
    if (c->server->o.record_fd && tg_mock_record(c->server->o.record_fd, c->server->requests,
                                                 c->head, tg_buf_str(&c->body), is_json) < 0)
        refuse(c, 500, "the mock cannot write its record");
    else if (tg_str_ends(path, TG_STR("/health")) || tg_str_ends(path, TG_STR("/models")))
        models(c);
    else if (!is_json)
        refuse(c, 400, "the body is not valid JSON");
    else
        answer_json(c, path, tg_json_root(doc));
}

/* ---- answers ---- */

/* A fault that takes the place of a whole answer, or of the rest of a stream. */
static bool break_off(struct mock_conn *c)
{
    enum phase before = c->phase;
    c->phase = DRAINING;
    c->close_after = true;
    switch (c->wire) {
    case TG_MOCK_WIRE_RESET:
        c->reset_after = true;
        return true;
    case TG_MOCK_WIRE_CLOSE:
        return true;
    case TG_MOCK_WIRE_STALL:
        c->close_after = false;
        c->phase = SILENT;
        return true;
    case TG_MOCK_WIRE_TRUNCATED_CHUNK:
        (void)tg_buf_lit(&c->out, "ff\r\ndata: {\"choices\"");
        return true;
    case TG_MOCK_WIRE_BAD_CHUNK:
        (void)tg_buf_lit(&c->out, "zz\r\ndata: x\r\n");
        return true;
    case TG_MOCK_WIRE_NO_DONE:
        c->close_after = false;
        (void)tg_buf_lit(&c->out, "0\r\n\r\n");
        return true;
    case TG_MOCK_WIRE_ERROR_EVENT:
        tg_mock_stream_event(&c->out,
                             TG_STR("{\"error\":{\"message\":\"the mock was told to fail\","
                                    "\"type\":\"server_error\",\"code\":\"mock_error\"}}"));
        c->close_after = false;
        (void)tg_buf_lit(&c->out, "0\r\n\r\n");
        return true;
    case TG_MOCK_WIRE_NONE:
    case TG_MOCK_WIRE_GARBAGE:
    case TG_MOCK_WIRE_BIG_HEADER:
    case TG_MOCK_WIRE_HTML:
    case TG_MOCK_WIRE_BAD_JSON:
    case TG_MOCK_WIRE_DRIP:
        break;
    }
    c->phase = before; /* no fault that ends an answer */
    c->close_after = false;
    return false;
}

/* Faults instead of an answer. */
static bool broken_answer(struct mock_conn *c)
{
    c->phase = DRAINING;
    c->close_after = true;
    if (c->wire == TG_MOCK_WIRE_GARBAGE) {
        (void)tg_buf_lit(&c->out, "\x16\x03\x01 this is not HTTP\r\n\r\n");
    } else if (c->wire == TG_MOCK_WIRE_BIG_HEADER) {
        tg_mock_big_header(&c->out, BIG_HEADER);
    } else if (c->wire == TG_MOCK_WIRE_HTML) {
        tg_mock_html(&c->out);
        c->close_after = false;
    } else if (c->wire == TG_MOCK_WIRE_BAD_JSON) {
        tg_mock_json(&c->out, 200, TG_STR(""), TG_STR("{\"choices\":[{\"message\":{\"content\":"));
        c->close_after = false;
    } else {
        c->close_after = false;
        return false;
    }
    return true;
}

static bool is_single_cut(enum tg_mock_wire w)
{
    return w == TG_MOCK_WIRE_RESET || w == TG_MOCK_WIRE_CLOSE || w == TG_MOCK_WIRE_STALL ||
           w == TG_MOCK_WIRE_TRUNCATED_CHUNK;
}

/* A single answer that breaks: nothing at all, or (after > 0) half of it. */
static void single(struct mock_conn *c)
{
    bool cut = is_single_cut(c->wire);
    c->phase = DRAINING;
    if (!cut || c->job.cfg.fault_after_tokens || c->wire == TG_MOCK_WIRE_TRUNCATED_CHUNK)
        tg_mock_single(&c->out, &c->job);
    if (!cut)
        return;
    c->out.n = c->out.n / 2 + (c->out.n ? 60 : 0); /* the head and some of the body */
    c->close_after = c->wire != TG_MOCK_WIRE_STALL;
    c->reset_after = c->wire == TG_MOCK_WIRE_RESET;
    if (c->wire == TG_MOCK_WIRE_STALL)
        c->phase = SILENT;
}

static void after_latency(struct mock_conn *c)
{
    if (broken_answer(c))
        return;
    if (c->job.cfg.status && c->job.cfg.status != 200) {
        tg_mock_error(&c->out, &c->job.cfg, TG_STR("the mock was told to fail"));
        c->phase = DRAINING;
    } else if (!c->job.stream) {
        single(c);
    } else if (c->wire != TG_MOCK_WIRE_NONE && !c->job.cfg.fault_after_tokens &&
               (c->wire == TG_MOCK_WIRE_RESET || c->wire == TG_MOCK_WIRE_STALL ||
                c->wire == TG_MOCK_WIRE_CLOSE)) {
        (void)break_off(c);
    } else {
        tg_mock_stream_head(&c->out);
        c->phase = ROLE;
        wait_ms(c, c->job.cfg.ttft_ms);
    }
}

static void next_event(struct mock_conn *c)
{
    if (c->phase == ROLE) {
        tg_mock_stream_role(&c->out, &c->job);
        c->phase = TOKENS;
    }
    struct tg_mock_player *p = &c->job.player;
    struct tg_event ev;
    if (c->wire != TG_MOCK_WIRE_NONE && p->sent == c->job.cfg.fault_after_tokens && break_off(c))
        return;
    if (!tg_mock_player_next(p, &ev) || ev.kind == TG_EV_END) {
        tg_mock_stream_end(&c->out, &c->job);
        c->phase = DRAINING;
        return;
    }
    tg_mock_stream_play(&c->out, &c->job, &ev);
    if (ev.kind == TG_EV_DELTA)
        wait_ms(c, c->job.cfg.delay_ms);
}

static void play(struct mock_conn *c)
{
    if (c->phase == LATENCY && c->due)
        after_latency(c);
    while ((c->phase == ROLE || c->phase == TOKENS) && c->due && c->out.n - c->out_at < OUT_HIGH)
        next_event(c);
}

/* ---- input and output ---- */

static int begin_request(struct mock_conn *c)
{
    struct tg_h1_limits l = tg_h1_limits_default;
    l.max_body_bytes = MAX_BODY;
    tg_arena_reset(&c->arena);
    tg_buf_clear(&c->body);
    c->head = NULL;
    return tg_h1_new(TG_H1_REQUEST, &l, &c->arena, &c->parser);
}

/* Parses what has been read; 1: a request is complete. */
static int parse(struct mock_conn *c)
{
    struct tg_str in = tg_buf_str(&c->in);
    struct tg_h1_event ev;
    int rc = c->parser ? 0 : begin_request(c);
    bool complete = false;
    while (rc >= 0 && !complete && (rc = tg_h1_next(c->parser, &in, &ev)) > 0) {
        if (ev.kind == TG_H1_HEAD) {
            c->head = ev.head;
            if (ev.head->expect_continue)
                rc = tg_buf_lit(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
        } else if (ev.kind == TG_H1_BODY) {
            rc = tg_buf_str_add(&c->body, ev.body);
        } else {
            complete = true;
        }
    }
    tg_buf_drop(&c->in, c->in.n - in.n);
    if (complete)
        c->parser = NULL;
    return rc < 0 ? rc : complete;
}

/* false: the connection is gone. */
static bool read_more(struct mock_conn *c)
{
    char *buf = tg_loop_read_buf(c->server->loop);
    int n = tg_stream_read(c->stream, buf, TG_LOOP_READ_BYTES);
    if (n == TG_E_AGAIN)
        return true;
    if (n < 0 || tg_buf_add(&c->in, buf, (size_t)n) < 0) {
        conn_close(c, false);
        return false;
    }
    return true;
}

static int write_some(struct mock_conn *c)
{
    size_t n = c->out.n - c->out_at;
    if (c->wire == TG_MOCK_WIRE_DRIP && n > 1)
        n = 1;
    struct iovec iov = {c->out.p + c->out_at, n};
    return tg_stream_writev(c->stream, &iov, 1);
}

/* false: the connection is gone or waits. */
static bool flush(struct mock_conn *c)
{
    while (c->out_at < c->out.n) {
        int n = write_some(c);
        if (n == TG_E_AGAIN) {
            tg_stream_want(c->stream, tg_stream_want_io(c->stream, TG_WANT_READ | TG_WANT_WRITE));
            return false;
        }
        if (n < 0) {
            conn_close(c, false);
            return false;
        }
        c->out_at += (size_t)n;
        if (c->wire == TG_MOCK_WIRE_DRIP && c->out_at < c->out.n) {
            wait_ms(c, c->job.cfg.delay_ms ? c->job.cfg.delay_ms : 1);
            return false;
        }
    }
    tg_buf_clear(&c->out);
    c->out_at = 0;
    tg_stream_want(c->stream, TG_WANT_READ);
    return true;
}

/* One round: a request begun, its script played, bytes written. True: another round can follow. */
static bool round_of(struct mock_conn *c)
{
    int rc = c->phase == READING ? parse(c) : 0;
    if (rc > 0)
        begin_answer(c);
    if (rc >= 0)
        play(c);
    if (rc < 0 || !tg_buf_ok(&c->out)) {
        conn_close(c, true);
        return false;
    }
    if (!flush(c))
        return false;
    if (c->phase != DRAINING)
        return (c->phase == ROLE || c->phase == TOKENS) && c->due;
    if (c->close_after) {
        conn_close(c, c->reset_after);
        return false;
    }
    c->phase = READING;
    c->wire = TG_MOCK_WIRE_NONE;
    return c->in.n > 0;
}

static void step(struct tg_task *t)
{
    struct mock_conn *c = tg_container_of(t, struct mock_conn, task);
    bool readable = c->stream->ready & TG_WANT_READ;
    c->stream->ready = 0;
    if (readable && !read_more(c))
        return;
    while (round_of(c))
        continue;
}

static void on_accept(void *ctx, int fd)
{
    struct tg_mock_server *s = ctx;
    struct mock_conn *c = tg_calloc(1, sizeof *c);
    if (!c) {
        close(fd);
        return;
    }
    if (tg_stream_from_fd(s->loop, fd, &c->task, &c->stream) < 0) { /* has closed fd */
        tg_free(c);
        return;
    }
    c->server = s;
    c->fd = fd;
    tg_task_init(&c->task, step);
    tg_timer_init(&c->timer, on_timer);
    tg_list_init(&c->link);
    tg_list_add_tail(&s->conns, &c->link);
    tg_arena_init(&c->arena, 2048, (size_t)MAX_BODY * 5);
    tg_buf_init(&c->in, MAX_BODY + (1u << 20));
    tg_buf_init(&c->body, MAX_BODY);
    tg_buf_init(&c->out, MAX_OUT);
    if (s->o.tls && tg_stream_start_tls(c->stream, s->o.tls, TG_STR("")) < 0) {
        conn_close(c, false);
        return;
    }
    tg_stream_want(c->stream, TG_WANT_READ);
}

/* ---- life ---- */

int tg_mock_server_start(struct tg_loop *loop, const struct tg_mock_server_opts *o,
                         struct tg_mock_server **out, struct tg_fail *fail)
{
    struct tg_mock_server *s = tg_calloc(1, sizeof *s);
    if (!s)
        return tg_fail_set(fail, TG_E_NOMEM, "out of memory");
    s->loop = loop;
    s->o = *o;
    tg_list_init(&s->conns);
    struct tg_listen_opts l = {.host = o->host, .port = o->port};
    int rc = tg_listener_start(loop, &l, on_accept, s, &s->listener, fail);
    if (rc < 0) {
        tg_free(s);
        return rc;
    }
    *out = s;
    return 0;
}

uint16_t tg_mock_server_port(const struct tg_mock_server *s)
{
    return tg_listener_port(s->listener);
}

uint64_t tg_mock_server_requests(const struct tg_mock_server *s)
{
    return s->requests;
}

void tg_mock_server_stop(struct tg_mock_server *s)
{
    tg_listener_stop(s->listener);
    tg_list_each_safe (it, tmp, &s->conns)
        conn_close(tg_list_entry(it, struct mock_conn, link), false);
    tg_free(s);
}

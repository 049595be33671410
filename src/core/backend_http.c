/* The HTTP backend: builds the upstream request anew (own request line, Host, one Content-Length,
 * headers from an allow-list), runs it over the worker's pooled client and feeds the answer to the
 * target's adapter. Pass-through bodies are slices of the client's own bytes. */
#include <limits.h>

#include "base/assert.h"
#include "base/err.h"
#include "base/secret.h"
#include "chat/fidelity.h"
#include "core/attempt.h"
#include "core/credential.h"
#include "core/headers_priv.h"
#include "core/runtime.h"
#include "core/sign.h"
#include "policy/route.h"
#include "wire/h1.h"

#define MAX_IOV         24           /* head, and a body with every name of its members changed */
#define MAX_ERROR_BYTES (256u << 10) /* of a non-2xx body */
#define MAX_HEAD_BYTES  (64u << 10)
#define HEAD_BYTES      512 /* what most heads need */

/* An attempt at a target whose credential is renewed: made when it first has to wait. */
struct patience {
    struct tg_loop *loop;
    struct tg_credential_waiter waiter;
    struct tg_timer timer; /* bounds the wait for a first credential */
    bool ended;
};

struct http_state {
    struct tg_http_call *call;
    void *adapter_state;
    struct tg_buf head;  /* our request head; wiped and freed once it was sent (it holds the key) */
    struct tg_buf error; /* body of a non-2xx answer */
    bool decoding;       /* adapter->begin was called: fini is owed */
    bool is_error;
    bool hide_usage;
    bool is_signed;
    bool refused;              /* a 401 is held back until the credential is renewed, or not */
    struct patience *patience; /* NULL: the credential is a fixed one */
    uint64_t generation;       /* of the credential that the request was made with */
};

static int put_host(struct tg_buf *b, const struct tg_config_url *u)
{
    (void)tg_buf_lit(b, "Host: "); /* the buffer is tested once, at the end */
    tg_put_authority(b, u);
    return tg_buf_lit(b, "\r\n");
}

/* The adapter's headers, the target's and the client's. */
static int put_onward(struct tg_buf *b, struct tg_attempt *a, const struct tg_adapter_request *req)
{
    const struct tg_target *t = tg_attempt_target(a);
    const struct tg_attempt_job *job = tg_attempt_job(a);
    struct tg_onward o = {
        .from = job->call->dialect->format,
        /* AWS has its own headers, whatever it speaks. */
        .to = req->aws_service ? TG_WIRE_NONE : tg_attempt_adapter(a)->api,
        .client = job->client_head,
        .own = req->headers,
        .n_own = req->n_headers,
        .configured = t->headers,
        .n_configured = t->n_headers,
        .fixed_version = t->provider.own_version,
    };
    return tg_headers_onward(b, &o);
}

static size_t iov_bytes(const struct iovec *iov, int n)
{
    size_t total = 0;
    for (int i = 0; i < n; i++)
        total += iov[i].iov_len;
    return total;
}

static int write_head(struct tg_buf *b, struct tg_attempt *a, const struct tg_adapter_request *req,
                      const struct tg_credential_value *v, const struct iovec *body, int n_body)
{
    const struct tg_target *t = tg_attempt_target(a);
    int rc = tg_h1_write_request_line(b, req->method, req->path);
    if (rc == 0)
        rc = put_host(b, &t->url);
    if (rc == 0)
        rc = put_onward(b, a, req);
    if (rc == 0)
        rc = tg_h1_write_header(b, TG_STR("X-Request-Id"), tg_attempt_job(a)->request_id);
    if (rc == 0 && req->aws_service)
        rc = tg_sign_aws(b, t, req, v, body, (size_t)n_body, tg_attempt_fail(a));
    if (rc < 0)
        return rc;
    (void)tg_buf_lit(b, "User-Agent: tollgate/" TG_VERSION
                        "\r\nAccept-Encoding: identity\r\nContent-Length: ");
    (void)tg_buf_u64(b, iov_bytes(body, n_body));
    (void)tg_buf_lit(b, "\r\n\r\n");
    return tg_buf_ok(b) ? 0 : TG_E_NOMEM;
}

/* "/v1/images/edits" → "/images/edits": what comes behind the version. */
static struct tg_str path_tail(struct tg_str path)
{
    for (size_t i = 1; i < path.n; i++) {
        if (path.p[i] == '/')
            return tg_str_from(path, i);
    }
    return path;
}

/* The body as slices, from iov[1] on; returns how many entries are used, head included. */
static int make_body(struct tg_attempt *a, struct http_state *st,
                     const struct tg_adapter_target *at, struct tg_adapter_request *req,
                     struct iovec *iov)
{
    const struct tg_attempt_job *job = tg_attempt_job(a);
    const struct tg_adapter *ad = tg_attempt_adapter(a);
    if (job->chat) {
        int rc = ad->encode(tg_attempt_arena(a), job->chat, at, req, tg_attempt_fail(a));
        struct tg_losses lost = {.dropped = req->dropped, .emulated = req->emulated};
        struct tg_client_fields client = {job->call->dialect->fields, job->call->body};
        if (rc == 0 && job->strict)
            rc = tg_fidelity_strict(&lost, &client, job->chat, tg_attempt_fail(a));
        if (rc < 0)
            return rc;
        tg_attempt_set_fidelity(a, req->dropped, req->emulated);
        iov[1] = (struct iovec){(void *)(uintptr_t)req->body.p, req->body.n};
        return 2;
    }
    const struct tg_dialect *d = job->call->dialect;
    struct tg_pass pass = {
        .format = d->format,
        .stream = job->call->stream,
        .json_array = job->call->json_array,
        .tail = path_tail(job->path),
        .content_type = job->client_head
                            ? tg_http_head_get(job->client_head, TG_STR("content-type"))
                            : TG_STR(""),
    };
    struct tg_call call = *job->call;
    call.renames = tg_quirks_renames(at->quirks);
    int n = 0, rc = ad->encode_pass(tg_attempt_arena(a), &pass, at, req);
    if (rc == 0)
        rc = d->splice(tg_attempt_arena(a), &call, at->model, at->stream_usage, iov + 1,
                       MAX_IOV - 1, &n, &st->hide_usage);
    return rc < 0 ? rc : n + 1;
}

static enum tg_wire_format answer_format(const struct tg_adapter *ad, const struct tg_chat_req *req)
{
    return req->is_completion && ad->api == TG_WIRE_OPENAI_CHAT ? TG_WIRE_OPENAI_COMPLETIONS
                                                                : ad->api;
}

static int begin_decoding(struct tg_attempt *a, struct http_state *st)
{
    const struct tg_attempt_job *job = tg_attempt_job(a);
    const struct tg_adapter *ad = tg_attempt_adapter(a);
    const struct tg_upstream_settings *u = &tg_attempt_target(a)->upstream;
    bool stream = job->call->stream;
    struct tg_adapter_response r = {
        .stream = stream,
        .tap = job->chat == NULL,
        .hide_usage = st->hide_usage,
        .format = job->chat ? answer_format(ad, job->chat) : job->call->dialect->format,
        .task = job->call->dialect->task,
        .json_array = job->call->json_array,
        .req = job->chat,
        .max_pending_bytes = stream ? u->max_event_bytes : u->max_response_bytes,
    };
    st->adapter_state = tg_arena_zalloc(tg_attempt_arena(a), ad->state_bytes + 1);
    if (!st->adapter_state)
        return TG_E_NOMEM;
    int rc = ad->begin(st->adapter_state, &r);
    st->decoding = rc == 0;
    return rc;
}

/* `iov` is copied: a stream holds it for its whole life. */
static int open_call(struct tg_attempt *a, struct http_state *st, const struct iovec *iov, int n)
{
    const struct tg_attempt_job *job = tg_attempt_job(a);
    const struct tg_upstream_settings *u = &tg_attempt_target(a)->upstream;
    struct tg_http_origin *origin;
    int rc = tg_epoch_origin(job->rt, job->epoch, job->target, &origin, tg_attempt_fail(a));
    if (rc < 0)
        return rc;
    struct iovec *kept = tg_arena_alloc(tg_attempt_arena(a), (size_t)n * sizeof *iov);
    if (!kept)
        return TG_E_NOMEM;
    memcpy(kept, iov, (size_t)n * sizeof *iov);
    struct tg_http_call_opts o = {
        .method = TG_HTTP_POST,
        .request = kept,
        .n_request = n,
        .arena = tg_attempt_arena(a),
        .connect_timeout_ms = u->connect_timeout_ms,
        .first_byte_timeout_ms = u->first_byte_timeout_ms,
        .idle_timeout_ms = u->idle_timeout_ms,
        .max_body_bytes = u->max_response_bytes,
    };
    return tg_http_call_start(origin, &o, tg_attempt_task(a), &st->call);
}

const struct tg_quirks *tg_target_quirks(const struct tg_target *t)
{
    if (t->kind == TG_BACKEND_OPENAI)
        return tg_quirks_find(TG_STR("openai"), t->url.host);
    if (t->kind == TG_BACKEND_HUGGINGFACE && t->provider.api != TG_API_NATIVE)
        return tg_quirks_find(TG_STR("huggingface"), t->url.host);
    if (t->kind != TG_BACKEND_OPENAI_COMPATIBLE)
        return NULL;
    const struct tg_quirks *q = tg_quirks_find(t->provider.provider, t->url.host);
    return q || t->provider.api == TG_API_RESPONSES ? q : &tg_quirks_unknown;
}

/* Makes the request and sends it, now that there is a credential. */
static int launch(struct tg_attempt *a, struct http_state *st, const struct tg_credential_value *v)
{
    const struct tg_target *t = tg_attempt_target(a);
    const struct tg_quirks *quirks = tg_target_quirks(t);
    struct tg_adapter_target at = {
        .model = tg_route_upstream_name(t, tg_attempt_job(a)->model),
        .base_path = t->url.path,
        .credential = v->key,
        .api_version = t->provider.api_version,
        .region = t->provider.region,
        .project = t->provider.project,
        .max_tokens = t->max_tokens,
        .stream_usage = t->upstream.stream_usage && tg_quirks_stream_usage(quirks),
        .quirks = quirks,
    };
    struct tg_adapter_request req = {.method = TG_HTTP_POST};
    TG_UNINITIALIZED struct iovec iov[MAX_IOV];
    int n = make_body(a, st, &at, &req, iov);
    if (n < 0)
        return n;
    int rc = tg_buf_reserve(&st->head, HEAD_BYTES);
    if (rc == 0)
        rc = write_head(&st->head, a, &req, v, iov + 1, n - 1);
    if (rc < 0)
        return rc;
    st->is_signed = req.aws_service != NULL;
    st->generation = v->generation;
    iov[0] = (struct iovec){st->head.p, st->head.n};
    rc = begin_decoding(a, st);
    if (rc == 0)
        rc = open_call(a, st, iov, n);
    if (rc == 0)
        tg_attempt_to(a, TG_ATTEMPT_CONNECT);
    return rc;
}

static void on_patience(struct tg_timer *t)
{
    struct patience *p = tg_container_of(t, struct patience, timer);
    p->ended = true;
    tg_loop_wake(p->loop, p->waiter.task);
}

static struct patience *patience_new(struct tg_attempt *a)
{
    struct patience *p = tg_arena_new(tg_attempt_arena(a), struct patience);
    if (!p)
        return NULL;
    p->loop = tg_attempt_job(a)->rt->loop;
    tg_credential_waiter_init(&p->waiter, tg_attempt_task(a));
    tg_timer_init(&p->timer, on_patience);
    return p;
}

/* Sends the request as soon as the target has a credential. */
static int begin(struct tg_attempt *a, struct http_state *st)
{
    const struct tg_attempt_job *job = tg_attempt_job(a);
    const struct tg_target *t = tg_attempt_target(a);
    struct patience *p = st->patience;
    struct tg_credential_value v;
    if (p && p->ended)
        return tg_fail_set(tg_attempt_fail(a), TG_E_UPSTREAM_TIMEOUT,
                           "there was no credential for %.*s within %u ms", TG_STR_ARG(t->name),
                           t->upstream.connect_timeout_ms);
    int rc = tg_credential_get(job->rt, job->epoch, job->target, p ? &p->waiter : NULL, &v,
                               tg_attempt_fail(a));
    if (rc == 0 && !tg_timer_active(&p->timer))
        tg_timer_start(p->loop, &p->timer, t->upstream.connect_timeout_ms);
    if (rc <= 0)
        return rc;
    if (p)
        tg_timer_stop(p->loop, &p->timer);
    return launch(a, st, &v);
}

static int start(struct tg_attempt *a)
{
    struct http_state *st = tg_attempt_state_mem(a);
    tg_buf_init(&st->head, MAX_HEAD_BYTES);
    tg_buf_init(&st->error, MAX_ERROR_BYTES);
    if (!tg_credential_is_fixed(tg_attempt_target(a))) {
        st->patience = patience_new(a);
        if (!st->patience)
            return TG_E_NOMEM;
    }
    return begin(a, st);
}

/* ---- the answer ---- */

static void drop_head(struct http_state *st)
{
    if (st->head.p)
        tg_secret_wipe(st->head.p, st->head.cap);
    tg_buf_fini(&st->head);
}

static int on_head(struct tg_attempt *a, struct http_state *st, const struct tg_http_head *head)
{
    tg_attempt_to(a, TG_ATTEMPT_BODY);
    tg_attempt_set_response_head(a, head);
    st->is_error = head->status < 200 || head->status > 299;
    return st->is_error ? 0 : tg_attempt_adapter(a)->on_head(st->adapter_state, head);
}

static int on_body(struct tg_attempt *a, struct http_state *st, struct tg_str bytes)
{
    if (!st->is_error)
        return tg_attempt_adapter(a)->on_bytes(st->adapter_state, bytes, tg_attempt_sink(a));
    size_t room = MAX_ERROR_BYTES - st->error.n;
    if (bytes.n > room) /* too long to be an error object: what is kept says enough */
        bytes.n = room;
    return tg_buf_add(&st->error, bytes.p, bytes.n);
}

/* The provider's word against a credential. A renewable one gets another chance before the failure
 * is told: true while that is awaited. AWS says 403 of keys that have expired. */
static bool refused(struct tg_attempt *a, struct http_state *st)
{
    const struct tg_attempt_job *job = tg_attempt_job(a);
    int status = tg_attempt_response_head(a)->status;
    if (!st->patience || (status != 401 && !(status == 403 && st->is_signed)))
        return false;
    int rc = tg_credential_refused(job->rt, job->epoch, job->target, st->generation,
                                   &st->patience->waiter);
    if (rc > 0)
        tg_attempt_set_renewed(a);
    st->refused = rc == 0;
    return st->refused;
}

static int failure_code(struct tg_attempt *a)
{
    int err = tg_attempt_fail(a)->err;
    return err ? err : TG_E_UPSTREAM_ERROR;
}

static int on_error_answer(struct tg_attempt *a, struct http_state *st)
{
    struct tg_fail *f = tg_attempt_fail(a);
    const struct tg_adapter *ad = tg_attempt_adapter(a);
    struct tg_str body = tg_buf_str(&st->error);
    const struct tg_attempt_job *job = tg_attempt_job(a);
    bool own = ad->classify(tg_attempt_arena(a), tg_attempt_response_head(a), body, f);
    bool tells = tg_credential_redact(job->epoch, job->target, f) ||
                 tg_credential_is_in(job->epoch, job->target, body);
    if (own && !tells)
        tg_attempt_set_error_body(a, body);
    f->source = TG_FAIL_PROVIDER;
    return refused(a, st) ? TG_BACKEND_WAITING : failure_code(a);
}

static int on_end(struct tg_attempt *a, struct http_state *st)
{
    if (st->is_error)
        return on_error_answer(a, st);
    int rc = tg_attempt_adapter(a)->on_end(st->adapter_state, true, tg_attempt_sink(a));
    return rc < 0 ? rc : TG_BACKEND_FINISHED;
}

static int on_call_event(struct tg_attempt *a, struct http_state *st,
                         const struct tg_http_call_event *ev)
{
    switch (ev->kind) {
    case TG_CALL_SENT:
        tg_attempt_to(a, TG_ATTEMPT_WAIT_HEAD);
        drop_head(st);
        return TG_BACKEND_WAITING;
    case TG_CALL_HEAD:
        return on_head(a, st, ev->head);
    case TG_CALL_BODY:
        return on_body(a, st, ev->body);
    case TG_CALL_END:
        return on_end(a, st);
    }
    TG_UNREACHABLE();
}

/* The call broke: what the decoder has may still say more, but the call's own reason stands; unless
 * the answer was whole before. */
static int on_broken(struct tg_attempt *a, struct http_state *st, int err)
{
    /* Over a pooled connection SENT comes late: a retry must know that the request had left. */
    if (tg_http_call_info(st->call)->request_sent && tg_attempt_get_state(a) == TG_ATTEMPT_CONNECT)
        tg_attempt_to(a, TG_ATTEMPT_WAIT_HEAD);
    (void)tg_fail_set(tg_attempt_fail(a), err, "%s", tg_err_info(err)->text); /* first one wins */
    const struct tg_http_head *head = tg_attempt_response_head(a);
    if (!head || st->is_error)
        return err;
    /* lets the adapter close what it had begun */
    if (tg_attempt_adapter(a)->on_end(st->adapter_state, false, tg_attempt_sink(a)) < 0)
        return err;
    tg_fail_clear(tg_attempt_fail(a));
    return TG_BACKEND_FINISHED;
}

static int step(struct tg_attempt *a)
{
    struct http_state *st = tg_attempt_state_mem(a);
    struct tg_http_call_event ev;
    if (st->refused) /* its failure is kept since then */
        return refused(a, st) ? TG_BACKEND_WAITING : failure_code(a);
    if (!st->call)
        return begin(a, st);
    for (;;) {
        int rc = tg_http_call_next(st->call, &ev, tg_attempt_fail(a));
        if (rc == 0)
            return TG_BACKEND_WAITING;
        if (rc < 0)
            return on_broken(a, st, rc);
        rc = on_call_event(a, st, &ev);
        if (rc != TG_BACKEND_WAITING || st->refused)
            return rc;
    }
}

static void pause_call(struct tg_attempt *a, bool paused)
{
    struct http_state *st = tg_attempt_state_mem(a);
    if (st->call)
        tg_http_call_pause(st->call, paused);
}

static void stop(struct tg_attempt *a)
{
    struct http_state *st = tg_attempt_state_mem(a);
    if (st->patience) {
        tg_credential_waiter_cancel(&st->patience->waiter);
        tg_timer_stop(st->patience->loop, &st->patience->timer);
    }
    if (st->call)
        tg_http_call_free(st->call);
    st->call = NULL;
    if (st->decoding && tg_attempt_adapter(a)->fini)
        tg_attempt_adapter(a)->fini(st->adapter_state);
    st->decoding = false;
    drop_head(st);
    tg_buf_fini(&st->error);
}

const struct tg_backend_ops tg_backend_http_ops = {
    .name = "http",
    .state_bytes = sizeof(struct http_state),
    .start = start,
    .step = step,
    .pause = pause_call,
    .stop = stop,
};

#include "io/tls_priv.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/err.h"
#include "base/list.h"
#include "base/map.h"

#define HOSTS_MAX     1024
#define HOST_SESSIONS 16

struct tg_tls_ctx {
    SSL_CTX *ssl;
    atomic_uint refs;
    bool is_server;
    bool system_trust;      /* counted in it */
    struct tg_map sessions; /* client: host → struct kept_host */
    struct tg_list by_age;  /* least recently used first */
};

/* TLS 1.3 tickets are for one use each (RFC 8446 C.4): OpenSSL marks a session as spent when the
 * first handshake with it is done. Servers send two at a time, so that a few kept for each host let
 * connections that are made side by side resume too. */
struct kept_host {
    struct tg_list link;
    SSL_SESSION *sessions[HOST_SESSIONS]; /* the newest last */
    unsigned n;
    char host[TLS_HOST_MAX + 1];
};

static const unsigned char alpn_http11[] = "\x08http/1.1";

/* ---- sessions ---- */

static void drop_host(struct tg_tls_ctx *ctx, struct kept_host *k)
{
    tg_map_del(&ctx->sessions, tg_str_c(k->host));
    tg_list_del(&k->link);
    while (k->n > 0)
        SSL_SESSION_free(k->sessions[--k->n]);
    tg_free(k);
}

static struct kept_host *add_host(struct tg_tls_ctx *ctx, const char *host)
{
    if (ctx->sessions.count >= HOSTS_MAX)
        drop_host(ctx, tg_list_entry(ctx->by_age.next, struct kept_host, link));
    struct kept_host *k = tg_calloc(1, sizeof(*k));
    if (!k)
        return NULL;
    tg_str_to_c(tg_str_c(host), k->host, sizeof k->host);
    if (tg_map_put(&ctx->sessions, tg_str_c(k->host), k) < 0) {
        tg_free(k);
        return NULL;
    }
    return k;
}

/* Takes the reference to session, or leaves it and returns false. */
static bool keep_session(struct tg_tls_ctx *ctx, const char *host, SSL_SESSION *session)
{
    struct kept_host *k = tg_map_get(&ctx->sessions, tg_str_c(host));

    if (k)
        tg_list_del(&k->link);
    else if (!(k = add_host(ctx, host)))
        return false;
    if (k->n == HOST_SESSIONS) {
        SSL_SESSION_free(k->sessions[0]);
        memmove(k->sessions, k->sessions + 1, (HOST_SESSIONS - 1) * sizeof k->sessions[0]);
        k->n--;
    }
    k->sessions[k->n++] = session;
    tg_list_add_tail(&ctx->by_age, &k->link);
    return true;
}

/* OpenSSL has a new session (TLS 1.3: a ticket came). 1: we keep the reference. */
static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
    struct tg_tls_ctx *ctx = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    const char *host = SSL_get_app_data(ssl);

    return host && SSL_SESSION_is_resumable(session) && keep_session(ctx, host, session);
}

static void offer_session(struct tg_tls_ctx *ctx, SSL *ssl, const char *host)
{
    struct kept_host *k = tg_map_get(&ctx->sessions, tg_str_c(host));

    while (k && k->n > 0) {
        SSL_SESSION *session = k->sessions[k->n - 1];
        bool offered = SSL_SESSION_is_resumable(session) && SSL_set_session(ssl, session) == 1;
        bool again = offered && SSL_SESSION_get_protocol_version(session) < TLS1_3_VERSION;
        if (!again) {
            SSL_SESSION_free(session);
            k->n--;
        }
        if (!offered)
            continue;
        tg_list_del(&k->link);
        tg_list_add_tail(&ctx->by_age, &k->link);
        return;
    }
}

/* ---- contexts ---- */

static int ssl_reason(struct tg_fail *fail, const char *what, const char *file)
{
    unsigned long e = ERR_peek_last_error();
    const char *why = e ? ERR_reason_error_string(e) : NULL;
    char quoted[512];

    tg_fail_quote(tg_str_c(file ? file : ""), quoted, sizeof quoted);
    ERR_clear_error();
    return tg_fail_set(fail, TG_E_CONFIG, "%s%s%s: %s", what, *quoted ? " " : "", quoted,
                       why ? why : "failed");
}

/* A key with a passphrase is refused; nobody is there to be asked. */
static int no_passphrase(char *buf, int n, int writing, void *arg)
{
    (void)buf, (void)n, (void)writing, (void)arg;
    return -1;
}

static int ctx_new(const SSL_METHOD *method, struct tg_tls_ctx **out)
{
    struct tg_tls_ctx *ctx = tg_calloc(1, sizeof(*ctx));

    if (!ctx)
        return TG_E_NOMEM;
    ctx->ssl = SSL_CTX_new(method);
    if (!ctx->ssl) {
        tg_free(ctx);
        ERR_clear_error();
        return TG_E_NOMEM;
    }
    atomic_init(&ctx->refs, 1);
    tg_map_init(&ctx->sessions, HOSTS_MAX);
    tg_list_init(&ctx->by_age);
    SSL_CTX_set_app_data(ctx->ssl, ctx);
    SSL_CTX_set_min_proto_version(ctx->ssl, TLS1_2_VERSION);
    SSL_CTX_set_mode(ctx->ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                   SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_clear_mode(ctx->ssl, SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_options(ctx->ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_read_ahead(ctx->ssl, 1); /* one receive for a record's head and body */
    SSL_CTX_set_default_passwd_cb(ctx->ssl, no_passphrase);
    *out = ctx;
    return 0;
}

/* The system's certificates take more than a megabyte: all contexts share one store, which OpenSSL
 * locks. It goes with the last context, so that a reload can bring in a changed one. */
static struct {
    pthread_mutex_t lock;
    X509_STORE *store;
    unsigned users;
} system_trust = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int use_system_trust(struct tg_tls_ctx *ctx)
{
    pthread_mutex_lock(&system_trust.lock);
    if (!system_trust.store) {
        X509_STORE *store = X509_STORE_new();
        if (store && X509_STORE_set_default_paths(store) != 1) {
            X509_STORE_free(store);
            store = NULL;
        }
        system_trust.store = store;
    }
    if (system_trust.store) {
        SSL_CTX_set1_cert_store(ctx->ssl, system_trust.store);
        ctx->system_trust = true;
        system_trust.users++;
    }
    pthread_mutex_unlock(&system_trust.lock);
    return ctx->system_trust;
}

static void leave_system_trust(void)
{
    pthread_mutex_lock(&system_trust.lock);
    if (--system_trust.users == 0) {
        X509_STORE_free(system_trust.store);
        system_trust.store = NULL;
    }
    pthread_mutex_unlock(&system_trust.lock);
}

int tg_tls_client_new(const char *ca_file, struct tg_tls_ctx **out, struct tg_fail *fail)
{
    struct tg_tls_ctx *ctx;
    int rc = ctx_new(TLS_client_method(), &ctx);

    if (rc < 0)
        return tg_fail_set(fail, rc, "no memory for TLS");
    SSL_CTX_set_verify(ctx->ssl, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(ctx->ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx->ssl, on_new_session);
    SSL_CTX_set_alpn_protos(ctx->ssl, alpn_http11, sizeof(alpn_http11) - 1);
    ERR_clear_error();
    int ok = ca_file ? SSL_CTX_load_verify_file(ctx->ssl, ca_file) : use_system_trust(ctx);
    if (ok != 1) {
        tg_tls_unref(ctx);
        return ssl_reason(fail, "cannot load the CA certificates", ca_file);
    }
    *out = ctx;
    return 0;
}

/* RFC 7301 3.2: when nothing is in common the handshake fails. */
static int pick_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n,
                     const unsigned char *in, unsigned in_n, void *arg)
{
    static const unsigned char ours[] = "\x08http/1.1\x08http/1.0";

    (void)ssl, (void)arg;
    for (unsigned at = 0; at + 9 < sizeof ours; at += 9)
        for (unsigned i = 0; i < in_n && in[i] < in_n - i; i += 1u + in[i])
            if (in[i] == 8 && memcmp(in + i + 1, ours + at + 1, 8) == 0) {
                *out = in + i + 1;
                *out_n = 8;
                return SSL_TLSEXT_ERR_OK;
            }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* The contexts of all loops share the keys that session tickets are sealed with, so that a client
 * resumes whichever loop it lands on. Made at random once in the life of the process. */
static unsigned char ticket_keys[80];
static int ticket_keys_ok;

static void make_ticket_keys(void)
{
    ticket_keys_ok = RAND_priv_bytes(ticket_keys, sizeof ticket_keys) == 1;
}

static void share_tickets(SSL_CTX *ssl)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, make_ticket_keys);
    if (ticket_keys_ok)
        SSL_CTX_set_tlsext_ticket_keys(ssl, ticket_keys, sizeof ticket_keys);
    SSL_CTX_set_session_id_context(ssl, (const unsigned char *)"tollgate", 8);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF); /* tickets only, nothing kept here */
}

int tg_tls_server_new(const char *cert_file, const char *key_file, struct tg_tls_ctx **out,
                      struct tg_fail *fail)
{
    struct tg_tls_ctx *ctx;
    int rc = ctx_new(TLS_server_method(), &ctx);

    if (rc < 0)
        return tg_fail_set(fail, rc, "no memory for TLS");
    ctx->is_server = true;
    SSL_CTX_set_options(ctx->ssl, SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_alpn_select_cb(ctx->ssl, pick_alpn, NULL);
    share_tickets(ctx->ssl);
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(ctx->ssl, cert_file) != 1)
        rc = ssl_reason(fail, "cannot load the certificate", cert_file);
    else if (SSL_CTX_use_PrivateKey_file(ctx->ssl, key_file, SSL_FILETYPE_PEM) != 1)
        rc = ssl_reason(fail, "cannot load the private key", key_file);
    else if (SSL_CTX_check_private_key(ctx->ssl) != 1)
        rc = ssl_reason(fail, "certificate and private key do not match", NULL);
    if (rc < 0) {
        tg_tls_unref(ctx);
        return rc;
    }
    *out = ctx;
    return 0;
}

struct tg_tls_ctx *tg_tls_ref(struct tg_tls_ctx *ctx)
{
    atomic_fetch_add_explicit(&ctx->refs, 1, memory_order_relaxed);
    return ctx;
}

void tg_tls_unref(struct tg_tls_ctx *ctx)
{
    if (!ctx || atomic_fetch_sub_explicit(&ctx->refs, 1, memory_order_acq_rel) != 1)
        return;
    while (!tg_list_empty(&ctx->by_age))
        drop_host(ctx, tg_list_entry(ctx->by_age.next, struct kept_host, link));
    tg_map_fini(&ctx->sessions);
    SSL_CTX_free(ctx->ssl);
    if (ctx->system_trust)
        leave_system_trust();
    tg_free(ctx);
}

/* ---- one connection ---- */

void tg_tls_set_origin(SSL *ssl, const char *host)
{
    /* OpenSSL's slot takes no const; on_new_session() only reads. */
    SSL_set_app_data(ssl, (char *)(uintptr_t)host);
}

/* RFC 6125 6.4: the name is checked against dNSName, an address against iPAddress. */
static bool expect_name(SSL *ssl, const char *host)
{
    unsigned char ip[sizeof(struct in6_addr)];

    if (inet_pton(AF_INET, host, ip) == 1 || inet_pton(AF_INET6, host, ip) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, host) == 1 &&
           SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                    (char *)(uintptr_t)host) == 1; /* its macro casts a const away */
}

int tg_tls_ctx_open(struct tg_tls_ctx *ctx, const char *host, SSL **out)
{
    if (ctx->is_server != (*host == '\0'))
        return TG_E_INVALID_ARG;
    SSL *ssl = SSL_new(ctx->ssl);
    if (!ssl) {
        ERR_clear_error();
        return TG_E_NOMEM;
    }
    if (ctx->is_server) {
        SSL_set_accept_state(ssl);
    } else {
        SSL_set_connect_state(ssl);
        if (!expect_name(ssl, host)) {
            SSL_free(ssl);
            ERR_clear_error();
            return TG_E_INVALID_ARG;
        }
        offer_session(ctx, ssl, host);
    }
    *out = ssl;
    return 0;
}

/* A renewable credential and its parts: credential.c decides when, credential_run.c how,
 * google_grant.c what Google's token server is asked. Thread rule: the worker's thread. */
#ifndef TG_CORE_CREDENTIAL_PRIV_H
#define TG_CORE_CREDENTIAL_PRIV_H

#include <stdbool.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/secret.h"
#include "config/snapshot.h"
#include "core/credential.h"
#include "core/runtime.h"
#include "io/process.h"
#include "net/http_client.h"

#define TG_CREDENTIAL_MAX_ANSWER_BYTES   65536
#define TG_CREDENTIAL_MAX_KEY_BYTES      8192
#define TG_CREDENTIAL_COMMAND_TIMEOUT_MS 10000
#define TG_CREDENTIAL_NEVER_MS           UINT64_MAX

/* One value and how long it is good for, in the loop's milliseconds. */
struct tg_credential_state {
    struct tg_secret *key;
    struct tg_secret *aws_key_id, *aws_secret, *aws_session_token;
    uint64_t renew_ms;   /* from then on it is renewed while it stays in use; */
    uint64_t wait_ms;    /* from then on requests wait for the renewal, unless it fails; */
    uint64_t expires_ms; /* from then on it is of no use */
};
void tg_credential_state_fini(struct tg_credential_state *s);

/* A renewal under way: a command or a call, one of them. */
struct tg_credential_run {
    struct tg_process *process;
    struct tg_http_call *call;
    struct tg_arena arena; /* of the call */
    struct tg_buf request; /* wiped: it holds an assertion or a refresh token */
    struct tg_buf answer;  /* wiped */
    struct iovec iov;
    int status;
};

struct tg_credential {
    struct tg_task task;
    struct tg_grave grave;
    struct tg_runtime *rt;
    const struct tg_snapshot *snapshot; /* a reference */
    const struct tg_target *target;     /* in it */
    uint32_t refs;
    struct tg_credential_state now;
    bool has; /* now is set */
    uint64_t generation;
    struct tg_credential_run run;
    bool running;
    uint32_t failures; /* in a row */
    uint64_t next_try_ms;
    uint64_t forced_ms;  /* when a 401 last forced a renewal, or one ended; 0: never */
    struct tg_fail fail; /* of the last renewal */
    struct tg_list waiters;
    struct stat stamp; /* the file's, when it was read */
    uint64_t next_look_ms;
};

static inline const struct tg_credential_config *tg_credential_config(const struct tg_credential *c)
{
    return &c->target->provider.credential;
}

/* ---- credential_run.c ---- */
/* Begins a command or a call; the credential's task is woken when there is something. Negative: it
 * could not begin. */
int tg_credential_run_start(struct tg_credential *c, struct tg_fail *f) TG_WARN_UNUSED;
/* 1: *out is the new value (the caller's); 0: goes on; negative: it failed. */
int tg_credential_run_step(struct tg_credential *c, struct tg_credential_state *out,
                           struct tg_fail *f) TG_WARN_UNUSED;
void tg_credential_run_stop(struct tg_credential *c); /* at any time */
/* Reads the credential's file as it is now. */
int tg_credential_read_file(const struct tg_credential *c, struct tg_credential_state *out,
                            struct tg_fail *f) TG_WARN_UNUSED;

/* ---- google_grant.c ---- */
/* Appends the form that asks for an access token. TG_E_CONFIG: the key is of no use; TG_E_FULL,
 * TG_E_NOMEM. */
int tg_google_grant(const struct tg_google_config *g, bool service_account, int64_t wall_us,
                    struct tg_buf *out, struct tg_fail *f) TG_WARN_UNUSED;

#endif

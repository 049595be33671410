/* The credential of a target in one worker, kept fresh while the gateway runs: from a file that
 * changes, a command that prints it, or a token server. Fixed credentials come straight out of the
 * configuration.
 *
 * A renewal never blocks the worker (but for the reading of a small file, at most once a second).
 * While one fails the last good value stays in use until it expires; each failure is logged
 * (credential_renewal_failed) and counted. Workers renew on their own, as they share nothing.
 * Thread rule: the worker's thread. */
#ifndef TG_CORE_CREDENTIAL_H
#define TG_CORE_CREDENTIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/fail.h"
#include "base/list.h"
#include "base/str.h"
#include "io/loop.h"

struct tg_epoch;
struct tg_runtime;
struct tg_target;
struct tg_credential;

/* What requests are made with. The views are valid until the loop's next tick: to be written into
 * the request at once. */
struct tg_credential_value {
    struct tg_str key; /* API key or access token; "": none */
    /* AWS's, instead of a key; "": none */
    struct tg_str aws_key_id, aws_secret, aws_session_token;
    uint64_t generation; /* differs whenever the value does; 0: fixed */
};

/* An attempt that waits for a renewal. The task is woken when one ends, well or not. */
struct tg_credential_waiter {
    struct tg_list link; /* linked while it waits */
    struct tg_task *task;
};
void tg_credential_waiter_init(struct tg_credential_waiter *w, struct tg_task *task);
void tg_credential_waiter_cancel(struct tg_credential_waiter *w); /* fine when it does not wait */

/* It never changes while the configuration stands: nobody ever waits for it. */
bool tg_credential_is_fixed(const struct tg_target *t);
/* 1: *out is set. 0: there is none yet; w (NULL with a fixed one) waits, then call again.
 * TG_E_UPSTREAM_AUTH: there is none and the last renewal failed (why is in *f); TG_E_NOMEM. Begins
 * a renewal when it is time for one.
 */
int tg_credential_get(struct tg_runtime *rt, struct tg_epoch *e, uint16_t target,
                      struct tg_credential_waiter *w, struct tg_credential_value *out,
                      struct tg_fail *f) TG_WARN_UNUSED;

/* The provider refused (401) a request made with that generation. 1: there is another value now; 0:
 * a renewal is under way, w waits, then call again; TG_E_NOT_FOUND_INTERNAL: no other is to be had
 * (it is a fixed one, the renewal gave the same, or the last was less than 10 seconds ago). */
int tg_credential_refused(struct tg_runtime *rt, struct tg_epoch *e, uint16_t target,
                          uint64_t generation, struct tg_credential_waiter *w) TG_WARN_UNUSED;

/* Whether a text that the provider sent holds the target's credential (its secret parts, as they
 * are now), so that it can't be passed on. Secrets of less than 8 bytes are not looked for. */
bool tg_credential_is_in(const struct tg_epoch *e, uint16_t target, struct tg_str text);
/* Puts "***" in its place in a failure's texts, and in place of the beginning of it at their end,
 * where a long message was cut. True: it was there. */
bool tg_credential_redact(const struct tg_epoch *e, uint16_t target, struct tg_fail *f);

/* After a reload: targets of the same name with the same source keep what they have. */
void tg_credential_carry(struct tg_epoch *from, struct tg_epoch *to);
void tg_credential_unref(struct tg_credential *c); /* NULL is allowed */

#endif

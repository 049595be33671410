/* `tollgate mock`: a provider of OpenAI's API that plays scripts (core/mock_script.h and
 * config/mock_steps.h), faults of the wire included, for tests, benches and people who try out
 * their client. One thread, one loop; an answer without waits is one write. Thread rule: the loop's
 * thread. */
#ifndef TG_SERVER_MOCK_SERVER_H
#define TG_SERVER_MOCK_SERVER_H

#include "base/compiler.h"
#include "base/fail.h"
#include "config/settings.h"
#include "io/connect.h"
#include "io/tls.h"

struct tg_mock_server;
struct tg_mock_server_opts {
    const char *host;
    uint16_t port;                /* 0: the kernel chooses */
    struct tg_mock_config script; /* what a plain model name gets */
    struct tg_tls_ctx *tls;       /* NULL: plain; borrowed */
    int record_fd; /* every request is appended to it as a line of JSON; 0: none; borrowed */
};
int tg_mock_server_start(struct tg_loop *loop, const struct tg_mock_server_opts *o,
                         struct tg_mock_server **out, struct tg_fail *fail) TG_WARN_UNUSED;
uint16_t tg_mock_server_port(const struct tg_mock_server *s);
uint64_t tg_mock_server_requests(const struct tg_mock_server *s);
void tg_mock_server_stop(struct tg_mock_server *s); /* closes everything; free at the tick's end */

#endif

/* Between the resolver and those who wait for a name. Thread rule: the loop's thread. */
#ifndef TG_IO_CONNECT_PRIV_H
#define TG_IO_CONNECT_PRIV_H

#include <netinet/in.h>

#include "io/connect.h"

#define RESOLVE_ADDRS_MAX 16
#define RESOLVE_HOST_MAX  253 /* RFC 1035 2.3.4, as text */

struct tg_addr {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
};
static inline socklen_t tg_addr_len(const struct tg_addr *a)
{
    return a->any.sa_family == AF_INET6 ? sizeof a->v6 : sizeof a->v4;
}
void tg_addr_set_port(struct tg_addr *a, uint16_t port);
/* From an IP literal; false if it is none. */
bool tg_addr_parse(const char *text, struct tg_addr *out);

/* Someone who waits. The task is woken when asking again is worth it; tg_list_del() on the link
 * ends the wait. */
struct tg_resolve_wait {
    struct tg_list link;
    struct tg_task *task;
};
struct tg_loop *tg_resolver_loop(struct tg_resolver *r);
void tg_resolver_use(struct tg_resolver *r, int by); /* counts connects that point to it */
/* > 0: so many addresses in out[RESOLVE_ADDRS_MAX] (port 0). TG_E_AGAIN: wait is queued.
 * TG_E_UPSTREAM_DNS with *out_why, a constant text. TG_E_NOMEM. */
int tg_resolver_ask(struct tg_resolver *r, const char *host, struct tg_resolve_wait *wait,
                    struct tg_addr *out, const char **out_why) TG_WARN_UNUSED;

#endif

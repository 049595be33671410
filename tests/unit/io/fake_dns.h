/* Stands before the system's getaddrinfo() in this binary, for libuv too: names in ".test" are
 * answered from a table that the test changes, others as ever. */
#ifndef TG_TEST_FAKE_DNS_H
#define TG_TEST_FAKE_DNS_H

#include "io_fixture.h"

#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>

#include "base/alloc.h"

static struct {
    pthread_mutex_t lock;
    int status; /* 0 or EAI_* */
    const char *addrs[20];
    int n;
    bool stuck; /* does not return until this is cleared */
    int queries;
} fake_dns = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct fake_ai {
    struct addrinfo ai;
    struct sockaddr_storage ss;
};

static struct addrinfo *fake_answer(const char *text)
{
    static struct fake_ai ring[1024]; /* an answer is copied long before its turn comes again */
    static unsigned turn;
    struct fake_ai *f = &ring[turn++ % 1024];
    memset(f, 0, sizeof *f);
    struct sockaddr_in *v4 = (struct sockaddr_in *)&f->ss;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&f->ss;
    f->ai.ai_addr = (struct sockaddr *)&f->ss;
    f->ai.ai_family = AF_UNIX; /* "other": what we can't use */
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        f->ss.ss_family = (sa_family_t)(f->ai.ai_family = AF_INET);
        f->ai.ai_addrlen = sizeof *v4;
    } else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        f->ss.ss_family = (sa_family_t)(f->ai.ai_family = AF_INET6);
        f->ai.ai_addrlen = sizeof *v6;
    }
    return &f->ai;
}

static bool is_fake(const char *host)
{
    return host && tg_str_ends(tg_str_c(host), TG_STR(".test"));
}

__attribute__((visibility("default"))) int getaddrinfo(const char *host, const char *service,
                                                       const struct addrinfo *hints,
                                                       struct addrinfo **out)
{
    if (!is_fake(host)) {
        int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
        *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
        return real(host, service, hints, out);
    }
    pthread_mutex_lock(&fake_dns.lock);
    fake_dns.queries++;
    while (fake_dns.stuck) {
        pthread_mutex_unlock(&fake_dns.lock);
        usleep(1000);
        pthread_mutex_lock(&fake_dns.lock);
    }
    int status = fake_dns.status;
    struct addrinfo **end = out;
    *out = NULL;
    for (int i = 0; status == 0 && i < fake_dns.n; i++) {
        *end = fake_answer(fake_dns.addrs[i]);
        end = &(*end)->ai_next;
    }
    pthread_mutex_unlock(&fake_dns.lock);
    return status;
}

__attribute__((visibility("default"))) void freeaddrinfo(struct addrinfo *ai)
{
    if (ai && ai->ai_addr == (struct sockaddr *)&((struct fake_ai *)ai)->ss && !ai->ai_canonname &&
        ai->ai_protocol == 0)
        return;
    void (*real)(struct addrinfo *);
    *(void **)&real = dlsym(RTLD_NEXT, "freeaddrinfo");
    real(ai);
}

static inline void fake_dns_says(int status, int n, const char *const *addrs)
{
    pthread_mutex_lock(&fake_dns.lock);
    fake_dns.status = status;
    fake_dns.n = n;
    for (int i = 0; i < n; i++)
        fake_dns.addrs[i] = addrs[i];
    pthread_mutex_unlock(&fake_dns.lock);
}

static inline void fake_dns_stuck(bool on)
{
    pthread_mutex_lock(&fake_dns.lock);
    fake_dns.stuck = on;
    pthread_mutex_unlock(&fake_dns.lock);
}

static inline int fake_dns_queries(void)
{
    pthread_mutex_lock(&fake_dns.lock);
    int n = fake_dns.queries;
    pthread_mutex_unlock(&fake_dns.lock);
    return n;
}

#endif

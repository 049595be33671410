#include "base/secret.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"

/* The bytes lie in pages of their own, which madvise can name; there are few secrets. */
struct tg_secret {
    char *bytes;
    size_t n;
    size_t mapped_bytes;
};

void tg_secret_wipe(void *p, size_t n)
{
    if (n)
        memset(p, 0, n);
    __asm__ volatile("" : : "r"(p) : "memory");
}

struct tg_secret *tg_secret_new(struct tg_str value)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (value.n > SIZE_MAX / 2)
        return NULL;
    struct tg_secret *s = tg_malloc(sizeof(*s));
    if (!s)
        return NULL;
    s->n = value.n;
    s->mapped_bytes = (value.n / page + 1) * page;
    void *pages =
        mmap(NULL, s->mapped_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) {
        tg_free(s);
        return NULL;
    }
#ifdef MADV_DONTDUMP
    (void)madvise(pages, s->mapped_bytes, MADV_DONTDUMP); /* best effort */
#endif
    s->bytes = pages;
    if (value.n)
        memcpy(s->bytes, value.p, value.n);
    return s;
}

void tg_secret_free(struct tg_secret *s)
{
    if (!s)
        return;
    tg_secret_wipe(s->bytes, s->n);
    munmap(s->bytes, s->mapped_bytes);
    tg_free(s);
}

struct tg_str tg_secret_reveal(const struct tg_secret *s)
{
    return tg_str_make(s->bytes, s->n);
}

/* The process allocator: malloc behind one door, so that tests can make any call fail and count
 * the calls. Sizes are in bytes; a zero size is rounded up to 1. Returns NULL on failure.
 * Thread rule: any thread; the failure hook is for tests, which arm it from one thread. */
#ifndef TG_BASE_ALLOC_H
#define TG_BASE_ALLOC_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/str.h"

void *tg_malloc(size_t n) TG_WARN_UNUSED __attribute__((malloc));
void *tg_calloc(size_t n, size_t size) TG_WARN_UNUSED __attribute__((malloc));
void *tg_realloc(void *p, size_t n) TG_WARN_UNUSED;
void tg_free(void *p); /* NULL is allowed */
char *tg_strdup(const char *s) TG_WARN_UNUSED;
char *tg_str_dup_c(struct tg_str s) TG_WARN_UNUSED; /* NUL-terminated copy, tg_free it */
/* For boot code only: never returns NULL, aborts with a message. */
void *tg_xmalloc(size_t n) TG_WARN_UNUSED;
void *tg_xcalloc(size_t n, size_t size) TG_WARN_UNUSED;

/* Once, before the threads of a server start: the allocator neither returns nor maps memory at
 * every request. tg_alloc_trim() gives back what a peak has left; it takes milliseconds. */
void tg_alloc_tune(void);
void tg_alloc_trim(void);

/* Test support: the `countdown`-th allocation from now (1 = the next) fails, and if `sticky` every
 * later one too; 0 switches injection off. tg_alloc_count() counts the calls (failed ones too)
 * since the last tg_alloc_fail_at(). */
void tg_alloc_fail_at(uint64_t countdown, int sticky);
uint64_t tg_alloc_count(void);

#endif

/* Random bytes from getrandom(2), buffered per thread, and ids made of them. Any thread. */
#ifndef TG_BASE_RAND_H
#define TG_BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

void tg_rand_bytes(void *out, size_t n); /* never fails: aborts if the kernel has none */
uint64_t tg_rand_u64(void);
/* Uniform in [0, n), n > 0. */
uint64_t tg_rand_below(uint64_t n);
#define TG_ID_LEN 27
/* "req_" style id: prefix, then 24 base-62 characters (142 bits). out holds strlen(prefix)+25. */
size_t tg_rand_id(const char *prefix, char *out, size_t cap);

#endif

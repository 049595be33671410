/* Assertions that stay on in release builds. Never put one on data that came from a socket,
 * file, database or model: those get an error. A failed one prints where, calls the panic hook
 * (which prints the worker's state ring) and aborts. Any thread. */
#ifndef TG_BASE_ASSERT_H
#define TG_BASE_ASSERT_H

#include "base/compiler.h"

/* The caller broke this function's contract. */
#define TG_REQUIRE(cond) \
    (tg_likely(cond) ? (void)0 : tg_assert_failed("REQUIRE", #cond, __FILE__, __LINE__))
/* We broke our own invariant. */
#define TG_INVARIANT(cond) \
    (tg_likely(cond) ? (void)0 : tg_assert_failed("INVARIANT", #cond, __FILE__, __LINE__))
#define TG_UNREACHABLE() tg_assert_failed("UNREACHABLE", "", __FILE__, __LINE__)

void tg_assert_failed(const char *kind, const char *cond, const char *file,
                      int line) TG_NORETURN TG_COLD;
/* Called once, on the failing thread, before abort(); may be NULL. Async-signal-unsafe work is
 * allowed: the process is lost anyway. */
void tg_assert_set_panic_hook(void (*hook)(void));

#endif

/* What every unit test includes: cmocka and assertions on tg_str. Header only. */
#ifndef TG_TEST_CHECK_H
#define TG_TEST_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"

#define assert_str(s, lit)      check_str((s), TG_STR(lit), __FILE__, __LINE__)
#define assert_str_equal(s, t)  check_str((s), (t), __FILE__, __LINE__)
#define assert_contains(s, lit) check_contains((s), TG_STR(lit), true, __FILE__, __LINE__)
#define assert_lacks(s, lit)    check_contains((s), TG_STR(lit), false, __FILE__, __LINE__)

/* Ends a test that can't run here, saying why. Not cmocka's skip(): version 1.1.5 prints "not ok",
 * which meson counts as a failure. */
#define skip_because(why)                        \
    do {                                         \
        print_message("# skipped: %s\n", (why)); \
        return;                                  \
    } while (0)

static inline void check_str(struct tg_str s, struct tg_str want, const char *file, int line)
{
    if (tg_str_eq(s, want))
        return;
    print_error("\"%.*s\"\n  wanted \"%.*s\"\n", TG_STR_ARG(s), TG_STR_ARG(want));
    _fail(file, line);
}

static inline void check_contains(struct tg_str s, struct tg_str part, bool wanted,
                                  const char *file, int line)
{
    if ((tg_str_find(s, part) >= 0) == wanted)
        return;
    print_error("\"%.*s\"\n  %s \"%.*s\"\n", TG_STR_ARG(s), wanted ? "lacks" : "contains",
                TG_STR_ARG(part));
    _fail(file, line);
}

#endif

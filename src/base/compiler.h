/* Compiler attributes used across the tree. Header only, no state. */
#ifndef TG_BASE_COMPILER_H
#define TG_BASE_COMPILER_H

#define TG_WARN_UNUSED       __attribute__((warn_unused_result))
#define TG_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define TG_NORETURN          __attribute__((noreturn))
#define TG_UNUSED            __attribute__((unused))
#define TG_COLD              __attribute__((cold))
/* A big local array that is written before it is read: spares it the zeroing that
 * -ftrivial-auto-var-init=zero gives every variable. */
#if __has_attribute(uninitialized)
#define TG_UNINITIALIZED __attribute__((uninitialized))
#else
#define TG_UNINITIALIZED
#endif
#define tg_likely(x)    __builtin_expect(!!(x), 1)
#define tg_unlikely(x)  __builtin_expect(!!(x), 0)
#define TG_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* The object that holds `member` at address `ptr`. */
#define tg_container_of(ptr, type, member) \
    ((type *)(void *)((char *)(ptr) - __builtin_offsetof(type, member)))

#endif

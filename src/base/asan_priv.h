/* Marks memory as unusable for AddressSanitizer, so that a use behind the end of an arena's or
 * slab's piece is caught as one behind malloc's would be. Nothing in other builds. Any thread. */
#ifndef TG_BASE_ASAN_PRIV_H
#define TG_BASE_ASAN_PRIV_H

#include <stddef.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TG_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define TG_ASAN 1
#endif

#ifdef TG_ASAN
#include <sanitizer/asan_interface.h>
#define tg_asan_poison(p, n)   ASAN_POISON_MEMORY_REGION((p), (n))
#define tg_asan_unpoison(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
#else
#define tg_asan_poison(p, n)   ((void)(p), (void)(n))
#define tg_asan_unpoison(p, n) ((void)(p), (void)(n))
#endif

#endif

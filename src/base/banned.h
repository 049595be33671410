/* Force-included into every source file: calling one of these is a compile error
 * (-Werror=deprecated-declarations). Each line says what to use in its place. The allocator
 * functions are banned outside src/base only; base/ is compiled with TG_BASE_ALLOWS_MALLOC. */
#ifndef TG_BASE_BANNED_H
#define TG_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <alloca.h>

#define TG_BANNED(why) __attribute__((deprecated("banned: " why)))

char *strtok(char *, const char *) TG_BANNED("use tg_str_split");
struct tm *gmtime(const time_t *) TG_BANNED("use gmtime_r");
struct tm *localtime(const time_t *) TG_BANNED("use localtime_r");
/* clang refuses an attribute behind glibc's inline definitions of these. */
#ifdef __clang__
#undef sprintf
#pragma GCC poison strcpy strcat strncpy sprintf atoi atol
#else
char *strcpy(char *, const char *) TG_BANNED("use tg_buf or tg_arena");
char *strcat(char *, const char *) TG_BANNED("use tg_buf");
char *strncpy(char *, const char *, size_t) TG_BANNED("use tg_str and memcpy");
int sprintf(char *, const char *, ...) TG_BANNED("use snprintf or tg_buf_printf");
int atoi(const char *) TG_BANNED("use tg_parse_i64");
long atol(const char *) TG_BANNED("use tg_parse_i64");
#endif
#undef alloca
void *alloca(size_t) TG_BANNED("use an arena");

#ifndef TG_BASE_ALLOWS_MALLOC
void *malloc(size_t) TG_BANNED("use tg_malloc or an arena");
void *calloc(size_t, size_t) TG_BANNED("use tg_calloc or an arena");
void *realloc(void *, size_t) TG_BANNED("use tg_realloc or tg_buf");
void free(void *) TG_BANNED("use tg_free");
char *strdup(const char *) TG_BANNED("use tg_strdup or tg_arena_dup");
#endif

#endif

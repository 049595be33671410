/* What any dlopened library needs around it: where to look for it, and its log lines. Names of the
 * inference library are not known here.
 * Thread rule: tg_liblog_* from any thread after tg_liblog_init(); the others from one. */
#ifndef TG_ENGINE_LIB_PRIV_H
#define TG_ENGINE_LIB_PRIV_H

#include <stdbool.h>
#include <stddef.h>

/* dlopens the first of `names` (NULL-terminated) found in the folders (NULL and "" are passed
 * over), then in `built` ("": none), then in the system's path; `out_dir` is the folder, "" for the
 * system's. NULL: see dlerror(). */
void *tg_lib_open(const char *const *names, const char *const *dirs, size_t n_dirs,
                  const char *built, char *out_dir, size_t cap);
/* Of the first mapped library whose name holds `mark`: what stands between it and the next dot.
 * Without one, `out` stays. */
void tg_lib_mapped(const char *mark, char *out, size_t cap);

/* What clients may read of a path: where models lie on this machine is not their business. */
const char *tg_lib_file_name(const char *path);

/* The library's log comes in pieces and leaves as whole lines: warnings and errors, or all. */
enum tg_liblog_level { TG_LIBLOG_INFO, TG_LIBLOG_WARN, TG_LIBLOG_ERROR, TG_LIBLOG_MORE };
void tg_liblog_init(void (*sink)(const char *line), bool verbose);
void tg_liblog_text(enum tg_liblog_level level, const char *text); /* MORE: of the line before */
void tg_liblog_forget(void);                                       /* an operation begins */
void tg_liblog_first_error(char *out, size_t cap); /* of the operation; the later ones repeat it */

#endif

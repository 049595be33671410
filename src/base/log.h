/* Structured logging: one JSON object a line. A line is built in the caller's buffer and handed
 * to a queue that a writer thread drains; the caller never blocks. When the queue (4 MiB) is full
 * the line is dropped and counted. Values are escaped; secrets have no function here.
 * Thread rule: any thread after start; the builder is one thread's. */
#ifndef TG_BASE_LOG_H
#define TG_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/str.h"

enum tg_log_level { TG_LOG_DEBUG, TG_LOG_INFO, TG_LOG_WARNING, TG_LOG_ERROR, TG_LOG_OFF };

/* Starts the writer thread on fd (normally 2; it stays the caller's and must live until stop).
 * Before start and after stop, lines are written to fd 2 directly, as far as it takes them without
 * blocking. TG_E_NOMEM, TG_E_IO, TG_E_INVALID_ARG: runs already. */
int tg_log_start(int fd, enum tg_log_level level) TG_WARN_UNUSED;
void tg_log_stop(void); /* drains what is queued, bounded to one second */
void tg_log_set_level(enum tg_log_level level);
bool tg_log_on(enum tg_log_level level);
/* "DEBUG", "info", … TG_E_INVALID_ARG. */
int tg_log_level_parse(struct tg_str s, enum tg_log_level *out) TG_WARN_UNUSED;
uint64_t tg_log_dropped(void);

/* A line: begin, fields, end. `b` is a scratch buffer that the caller keeps (cleared here). A level
 * that is off gives no line; a line that does not fit b's maximum is dropped and counted. Keys are
 * literals that need no escaping. The lines of one thread keep their order.
 * {"timestamp":"…","level":"INFO","event":"…", fields …} */
void tg_log_begin(struct tg_buf *b, enum tg_log_level level, const char *event);
void tg_log_str(struct tg_buf *b, const char *key, struct tg_str v);
void tg_log_cstr(struct tg_buf *b, const char *key, const char *v);
void tg_log_i64(struct tg_buf *b, const char *key, int64_t v);
void tg_log_ms(struct tg_buf *b, const char *key, uint64_t us); /* as milliseconds, 3 decimals */
void tg_log_bool(struct tg_buf *b, const char *key, bool v);
void tg_log_raw(struct tg_buf *b, const char *key, struct tg_str json); /* valid JSON, as it is */
void tg_log_end(struct tg_buf *b);                                      /* hands the line over */
/* A whole line with one message, for lifecycle events. */
void tg_log_msg(enum tg_log_level level, const char *event, const char *fmt, ...) TG_PRINTF(3, 4);

#endif

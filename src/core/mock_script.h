/* The scripted provider: what it says and how it misbehaves, taken from the configuration and from
 * the model's name, so that a test can ask for a fault without touching any file:
 *
 *     mock:tokens=50,ttft=200,delay=10      50 tokens, the first after 200 ms, then one each 10 ms
 *     mock:status=429,retry_after=2         an error answer
 *     mock:fault=stall,after=3              three tokens, then silence
 *
 * Used by `backend_type: mock` and by `tollgate mock`. Pure, any thread. */
#ifndef TG_CORE_MOCK_SCRIPT_H
#define TG_CORE_MOCK_SCRIPT_H

#include "base/compiler.h"
#include "base/fail.h"
#include "base/str.h"
#include "config/settings.h"

/* Faults below the level of events, which only `tollgate mock` can have (key wire). `after` says
 * where in a stream they strike. */
enum tg_mock_wire {
    TG_MOCK_WIRE_NONE = 0,
    TG_MOCK_WIRE_RESET,           /* RST instead of an answer, or within one */
    TG_MOCK_WIRE_CLOSE,           /* FIN in the same places */
    TG_MOCK_WIRE_STALL,           /* no answer, or silence within one */
    TG_MOCK_WIRE_TRUNCATED_CHUNK, /* a chunk announces more than comes */
    TG_MOCK_WIRE_BAD_CHUNK,       /* a chunk size that is no number */
    TG_MOCK_WIRE_GARBAGE,         /* an answer that is not HTTP */
    TG_MOCK_WIRE_BIG_HEADER,      /* a header of 1 MiB */
    TG_MOCK_WIRE_HTML,            /* 502 with an HTML page */
    TG_MOCK_WIRE_BAD_JSON,        /* 200 with a body that is cut JSON */
    TG_MOCK_WIRE_NO_DONE,         /* a stream that ends without finish reason and [DONE] */
    TG_MOCK_WIRE_ERROR_EVENT,     /* an error object within the stream */
    TG_MOCK_WIRE_DRIP,            /* one byte at a time, `delay` apart */
};

/* Settings of the model name (behind its first ':') over those in *io. Keys: text, tokens, latency,
 * ttft, delay (ms), status, retry_after (s), fault, after, and wire unless io_wire is NULL.
 * TG_E_INVALID_VALUE with what is known. */
int tg_mock_script_apply(struct tg_str model, struct tg_mock_config *io, enum tg_mock_wire *io_wire,
                         struct tg_fail *fail) TG_WARN_UNUSED;

/* How many tokens the script answers, and the text of token i (with its trailing blank). */
uint32_t tg_mock_script_tokens(const struct tg_mock_config *c);
struct tg_str tg_mock_script_token(const struct tg_mock_config *c, uint32_t i);
/* The word that begins at `at` (<= text.n), with the blanks behind it; "" at the end. */
struct tg_str tg_mock_script_word(struct tg_str text, size_t at);

/* The failure that a script with an error status stands for. */
int tg_mock_script_fail(const struct tg_mock_config *c, struct tg_fail *out);

#endif

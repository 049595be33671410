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

/* Settings of the model name (behind its first ':') over those in *io. Keys: text, tokens, latency,
 * ttft, delay (ms), status, retry_after (s), fault, after. TG_E_INVALID_VALUE with what is known.
 */
int tg_mock_script_apply(struct tg_str model, struct tg_mock_config *io,
                         struct tg_fail *fail) TG_WARN_UNUSED;

/* How many tokens the script answers, and the text of token i (with its trailing blank). */
uint32_t tg_mock_script_tokens(const struct tg_mock_config *c);
struct tg_str tg_mock_script_token(const struct tg_mock_config *c, uint32_t i);

/* The failure that a script with an error status stands for. */
int tg_mock_script_fail(const struct tg_mock_config *c, struct tg_fail *out);

#endif

/* What the machine allows the engine: processors, memory, and an estimate of what a model needs.
 * Thread rule: any thread; the functions that read the system touch /proc and /sys. */
#ifndef TG_ENGINE_LIMITS_PRIV_H
#define TG_ENGINE_LIMITS_PRIV_H

#include "base/fail.h"
#include "engine/llama_api_priv.h"
#include "engine/proto_priv.h"

/* Cores this process may use: affinity mask and cgroup quota; at least 1. */
uint32_t tg_cores_usable(void);
/* 0 asked: one core is left to the gateway. Never more than there are. */
uint32_t tg_threads_default(uint32_t asked, uint32_t cores);
/* The kernel's MemAvailable, or what the cgroup leaves if that is less; 0 when unknown. */
uint64_t tg_memory_available(void);
uint64_t tg_memory_address_space(void); /* of this process, now */

/* Texts of the kernel's files. */
uint64_t tg_parse_meminfo(struct tg_str text);    /* MemAvailable in bytes, 0: not there */
uint32_t tg_parse_cpu_max(struct tg_str text);    /* cgroup cpu.max: cores, 0: no limit */
uint64_t tg_parse_memory_max(struct tg_str text); /* bytes, UINT64_MAX: "max" */

struct tg_plan {      /* how the context is made */
    uint32_t n_ctx;   /* one request */
    uint32_t n_cells; /* all slots together */
    uint32_t slots, n_batch, threads;
    uint64_t memory_bytes; /* estimate: weights, cache, buffers */
};
/* Settings (zeroes mean defaults) and the file's shape to a plan that fits `available` bytes.
 * TG_E_LOCAL_UNAVAILABLE with *f naming the setting when it can't. */
int tg_plan_make(const struct tg_p_init *init, const struct tg_llm_shape *shape, uint32_t cores,
                 uint64_t available, struct tg_fail *f, struct tg_plan *out) TG_WARN_UNUSED;

#endif

/* From settings to a model that can answer: library, file, memory limits, context, measurements. */
#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "engine/child_priv.h"

enum {
    PATH_CAP = 4096,
    EMBED_TOKENS = 2048, /* a text is embedded in one piece: its memory grows with its length */
};

/* The folder of the running binary with `tail` behind it, "" if it can't be told. */
static void beside_binary(const char *tail, char *out, size_t cap)
{
    char exe[PATH_CAP];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    out[0] = '\0';
    if (n <= 0)
        return;
    exe[n] = '\0';
    char *slash = strrchr(exe, '/');
    if (!slash)
        return;
    *slash = '\0';
    int len = snprintf(out, cap, "%s/%s", exe, tail);
    if (len < 0 || (size_t)len >= cap)
        out[0] = '\0';
}

int tg_child_open_library(void (*log)(const char *line), bool verbose, struct tg_fail *f,
                          struct tg_llm **out)
{
    char beside[PATH_CAP];
    beside_binary("../lib/tollgate", beside, sizeof beside);
    const char *const dirs[] = {getenv("TOLLGATE_LLAMA_DIR"), beside};
    return tg_llm_open(dirs, TG_ARRAY_LEN(dirs), log, verbose, f, out);
}

static void log_line(const char *line)
{
    char buf[600];
    int n = snprintf(buf, sizeof buf, "%s\n", line);
    if (n > 0)
        (void)!write(STDERR_FILENO, buf, (size_t)n < sizeof buf ? (size_t)n : sizeof buf - 1);
}

static bool on_progress(void *ctx, unsigned permille)
{
    struct tg_child *c = ctx;
    struct tg_buf b;
    if (permille < c->progress + 10 && permille != 1000)
        return true;
    c->progress = permille;
    tg_buf_init(&b, 256);
    if (tg_p_put_u32(&b, TG_FR_PROGRESS, 0, permille) == 0)
        tg_child_out_send(&c->out, &b);
    tg_buf_fini(&b);
    return true;
}

/* The built-in model as a file: the library reads files only. */
static int builtin_file(char *path, size_t cap, struct tg_fail *f)
{
    struct tg_str s = tg_builtin_model();
    int fd = memfd_create("tollgate-model", MFD_CLOEXEC);
    while (fd >= 0 && s.n) {
        ssize_t n = write(fd, s.p, s.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        s = tg_str_from(s, (size_t)n);
    }
    if (fd < 0 || s.n)
        return tg_fail_set(f, TG_E_LOCAL_UNAVAILABLE, "the built-in model can't be unpacked: %s",
                           strerrordesc_np(errno));
    snprintf(path, cap, "/proc/self/fd/%d", fd);
    return 0;
}

static int model_path(const struct tg_p_init *init, char *path, size_t cap, struct tg_fail *f)
{
    if (init->builtin)
        return builtin_file(path, cap, f);
    if (init->path.n == 0 || init->path.n >= cap || init->path.p[0] != '/')
        return tg_fail_set(f, TG_E_LOCAL_UNAVAILABLE, "the model's path is not absolute");
    tg_str_to_c(init->path, path, cap);
    return 0;
}

/* Turns the kernel's out-of-memory killer, which might take the gateway, into a failed allocation
 * here. What is mapped already (shadow memory of a sanitizer, for one) does not count. */
static void limit_memory(const struct tg_plan *p, const struct tg_llm_shape *shape)
{
    enum { SLACK = 512 << 20 }; /* thread stacks and allocator arenas are reserved, not used */
    uint64_t now = tg_memory_address_space();
    /* Embedding computes one row of output per token, and may be asked for later. */
    uint64_t embed = (uint64_t)EMBED_TOKENS * shape->n_vocab * 4;
    uint64_t most = now + p->memory_bytes + p->memory_bytes / 2 + shape->file_bytes + SLACK +
                    embed + TG_TOKENIZER_STACK_BYTES;
    struct rlimit old, set;
    if (now == 0 || getrlimit(RLIMIT_AS, &old) != 0)
        return;
    set = old;
    if (old.rlim_cur == RLIM_INFINITY || most < old.rlim_cur)
        set.rlim_cur = most;
    if (setrlimit(RLIMIT_AS, &set) != 0)
        log_line("the memory limit could not be set");
}

/* A template that will not render is told at once, not at the first request. */
static void check_template(struct tg_child *c, struct tg_engine_info *info)
{
    struct tg_llm_message msg = {"user", "x"};
    struct tg_buf b;
    tg_buf_init(&b, 64 << 10);
    const char *name = c->chat_template[0] ? c->chat_template : NULL;
    info->has_template = tg_prompt_render(c->llm, name, &msg, 1, &b) == 0;
    tg_str_to_c(tg_str_c(name                 ? name
                         : info->has_template ? "model"
                                              : "none"),
                info->chat_format, sizeof info->chat_format);
    tg_buf_fini(&b);
}

/* The library knows the size of well-known models by name only and writes "?B" for the others. */
static void name_size(struct tg_engine_info *info)
{
    char tail[sizeof info->description];
    char *at = strstr(info->description, "?B");
    if (!at)
        return;
    bool large = info->n_params >= 1000000000;
    double size = (double)info->n_params / (large ? 1e9 : 1e6);
    tg_str_to_c(tg_str_c(at + 2), tail, sizeof tail);
    snprintf(at, sizeof info->description - (size_t)(at - info->description), "%.1f%c%s", size,
             large ? 'B' : 'M', tail);
}

static void log_calib(const struct tg_calib *k)
{
    char line[240];
    snprintf(line, sizeof line,
             "measured: flash attention %s; a step of 1, 2, 4, 8 rows takes %u, %u, %u, %u us, "
             "1 behind %u tokens %u us, 4 beside as many of another's %u us; a prompt token %u ns",
             k->flash ? "on" : "off", k->step_us[0], k->step_us[1], k->step_us[2], k->step_us[3],
             TG_CALIB_DEPTH, k->deep_us, k->foreign_us, k->prefill_ns_per_token);
    log_line(line);
}

static int load(struct tg_child *c, struct tg_fail *f)
{
    char path[PATH_CAP];
    struct tg_llm_shape shape;
    uint64_t begun = tg_clock_mono_us();
    int rc = tg_child_open_library(log_line, c->init.verbose, f, &c->llm);
    if (!rc)
        rc = model_path(&c->init, path, sizeof path, f);
    if (!rc)
        rc = tg_llm_probe(c->llm, path, &shape, f);
    if (!rc)
        rc = tg_plan_make(&c->init, &shape, tg_cores_usable(), tg_memory_available(), f, &c->plan);
    if (rc)
        return rc;
    limit_memory(&c->plan, &shape);
    /* A mapped memfd would only be a second copy. */
    rc = tg_llm_load(c->llm, path, c->init.no_mmap || c->init.builtin, on_progress, c, f);
    c->ready.calib = c->init.calib;
    if (!rc)
        rc = tg_control_make(c->llm, &c->control);
    if (!rc)
        rc = tg_calibrate(c->llm, &c->plan, c->init.flash, shape.file_bytes, &c->ready.calib, f);
    if (rc)
        return rc;
    log_calib(&c->ready.calib);
    struct tg_engine_info *info = &c->ready.info;
    tg_llm_describe(c->llm, info);
    name_size(info);
    check_template(c, info);
    info->n_ctx = c->plan.n_ctx;
    c->embed_tokens = c->plan.n_ctx < EMBED_TOKENS ? c->plan.n_ctx : EMBED_TOKENS;
    info->cache_tokens = tg_llm_n_cells(c->llm);
    info->slots = c->plan.slots;
    info->threads = c->plan.threads;
    info->memory_bytes = c->plan.memory_bytes;
    info->flash = c->ready.calib.flash;
    info->load_ms = (uint32_t)((tg_clock_mono_us() - begun) / 1000);
    return 0;
}

int tg_child_load(struct tg_child *c)
{
    struct tg_fail f;
    struct tg_buf b;
    tg_fail_clear(&f);
    tg_buf_init(&b, 64 << 10);
    int rc = load(c, &f);
    if (!rc)
        rc = tg_p_put_ready(&b, &c->ready);
    else if (tg_p_put_error(&b, TG_FR_FAILED, 0, f.err ? f.err : rc, tg_str_c(f.message)) < 0)
        tg_child_die("no memory for a frame");
    tg_child_out_send(&c->out, &b);
    tg_buf_fini(&b);
    return rc;
}

/* Ollama's native API as a client dialect. Source: github.com/ollama/ollama docs/api.md.
 * Thread rule: pure functions over the state they are given. */
#ifndef TG_DIALECT_OLLAMA_PRIV_H
#define TG_DIALECT_OLLAMA_PRIV_H

#include "chat/collect.h"
#include "dialect/body_priv.h"
#include "dialect/dialect.h"

/* `options`, `format`, `think`, `tools` into the request. */
int tg_ollama_parse_options(struct tg_arena *a, const struct tg_body *b, struct tg_chat_req *out,
                            struct tg_fail *f) TG_WARN_UNUSED;
/* Adds an `options` of those that parse_options() has no place for to what was not understood.
 * NOMEM. */
int tg_ollama_left_options(struct tg_arena *a, const struct tg_body *b,
                           struct tg_extra *io) TG_WARN_UNUSED;
int tg_ollama_parse_messages(struct tg_arena *a, const struct tg_body *b, struct tg_chat_req *out,
                             struct tg_fail *f) TG_WARN_UNUSED;
/* A list of base64 images as parts behind the first *io_n. */
int tg_ollama_images(const struct tg_json *list, const char *param, struct tg_part *parts,
                     size_t *io_n, struct tg_fail *f) TG_WARN_UNUSED;

/* Rendering of chat and generate: one object a line, tool calls when they are whole. */
struct tg_ollama_render {
    bool generate;      /* `response` in place of `message` */
    struct tg_str head; /* `{"model":…,"created_at":…` */
    struct tg_collect collect;
    enum tg_finish finish;
    uint32_t calls;
};
int tg_ollama_begin(void *state, const struct tg_render_info *info);
int tg_ollama_render(void *state, const struct tg_render_info *info, const struct tg_event *ev,
                     struct tg_buf *out);
int tg_ollama_finish(void *state, const struct tg_render_info *info, const struct tg_usage *usage,
                     uint64_t now_us, struct tg_buf *out);
void tg_ollama_fini(void *state);
void tg_ollama_fail(const struct tg_fail *fail, struct tg_str request_id, bool in_stream,
                    struct tg_buf *out);
/* `{"model":…,"created_at":…` */
void tg_ollama_write_silence(const struct tg_render_info *info, struct tg_buf *out);
void tg_ollama_write_head(const struct tg_render_info *info, struct tg_buf *out);
/* `,"total_duration":…,"prompt_eval_count":…` and so on. */
void tg_ollama_write_counts(const struct tg_render_info *info, const struct tg_usage *usage,
                            uint64_t now_us, bool generated, struct tg_buf *out);

#endif

/* The Gemini dialects' own parts: reading requests, JSON schemas in Google's form, opaque state of
 * other providers, rendering. Source of names and shapes: Google's API description
 * (ai.google.dev/api/generate-content, /caching, /tokens, /embeddings) and recorded traffic.
 * Thread rule: as dialect.h. */
#ifndef TG_DIALECT_GEMINI_PRIV_H
#define TG_DIALECT_GEMINI_PRIV_H

#include "chat/collect.h"
#include "dialect/dialect.h"
#include "json/proto.h"

/* ---- requests (gemini.c, gemini_parse.c, gemini_options.c) ---- */

/* call->parsed. */
struct tg_gemini_body {
    struct tg_json_doc *doc;
    const struct tg_json *root;
    const struct tg_json *request; /* what holds the contents: root, or what it counts */
    bool single;                   /* embedContent */
};

/* What the readers share. */
struct tg_gemini_in {
    struct tg_arena *a;
    struct tg_json_doc *doc;
    struct tg_fail *f;
};
int tg_gemini_bad(const struct tg_gemini_in *in, const char *path, const char *what);
int tg_gemini_no_memory(const struct tg_gemini_in *in);
/* The value's text; "" when absent or null. */
struct tg_str tg_gemini_raw(const struct tg_gemini_in *in, const struct tg_json *v);

/* systemInstruction and contents. INVALID_VALUE with the path of the field. */
int tg_gemini_parse_contents(const struct tg_gemini_in *in, const struct tg_json *request,
                             struct tg_chat_req *out) TG_WARN_UNUSED;
/* A text, an image, a call: one entry of `parts`. Ids of calls and results are not filled in. */
int tg_gemini_parse_part(const struct tg_gemini_in *in, const struct tg_json *v, const char *path,
                         struct tg_part *out) TG_WARN_UNUSED;
/* Gives calls and results without an id one: calls are numbered through the conversation, a result
 * takes the id of the oldest call of its name that has no result yet. */
int tg_gemini_name_calls(const struct tg_gemini_in *in, struct tg_chat_req *req) TG_WARN_UNUSED;
/* Everything else. */
int tg_gemini_parse_options(const struct tg_gemini_in *in, const struct tg_json *request,
                            struct tg_chat_req *out) TG_WARN_UNUSED;
int tg_gemini_parse_config(const struct tg_gemini_in *in, const struct tg_json *config,
                           struct tg_chat_req *out, struct tg_buf *extra) TG_WARN_UNUSED;
/* Appends `"name":raw` behind a comma where one is needed. */
void tg_gemini_add_member(struct tg_buf *b, struct tg_str name, struct tg_str raw);

/* ---- schemas (gemini_schema.c) ---- */

/* Google's Schema (upper-case types, nullable, numbers as strings) as JSON schema. Members that the
 * two have alike stay as they are. INVALID_VALUE: nested too deeply; NOMEM. */
int tg_gemini_schema(const struct tg_gemini_in *in, const struct tg_json *v, const char *path,
                     struct tg_str *out) TG_WARN_UNUSED;

/* ---- opaque state (gemini_opaque.c) ----
 *
 * Google's clients give each part's thoughtSignature, base64, back as it was. Other providers'
 * opaque state travels in it: base64 of "tgs1:<s, r or e>:<id>:<data>". */

/* What stands in thoughtSignature for an opaque value; NOMEM. id: the reasoning item's or "". */
int tg_gemini_wrap_signature(struct tg_arena *a, enum tg_opaque_kind kind, struct tg_str id,
                             struct tg_str data, struct tg_str *out) TG_WARN_UNUSED;
/* The reverse; without the mark it is Gemini's own. NOMEM. */
int tg_gemini_unwrap_signature(struct tg_arena *a, struct tg_str text,
                               enum tg_opaque_kind *out_kind, struct tg_str *out_id,
                               struct tg_str *out_data) TG_WARN_UNUSED;

/* ---- answers (gemini_write.c, gemini_render.c) ---- */

/* A call whose arguments have not all come yet. */
struct tg_gemini_call {
    uint32_t choice, part;
    enum tg_opaque_kind opaque; /* of signature */
    struct tg_buf id, name, signature, args;
};
/* What is known of one choice of a stream. */
struct tg_gemini_choice {
    bool finished, said;
    enum tg_finish finish;
    enum tg_part_kind kind; /* of the newest part that is no call */
    uint32_t part;          /* its number */
    enum tg_opaque_kind opaque;
    struct tg_buf id, signature; /* of that part, until it ends */
    struct tg_buf word;          /* the provider's for the end */
    struct tg_buf malformed;     /* calls that could not be given */
};
struct tg_gemini_render {
    struct tg_gemini_choice *choices;
    size_t n_choices;
    struct tg_gemini_call *calls;
    size_t n_calls, cap_calls;
    bool begun;                /* the stream's first event is out */
    bool array;                /* one JSON array, else server-sent events */
    struct tg_str tail;        /* `,"modelVersion":…,"responseId":…}` */
    struct tg_collect collect; /* single answers; of a stream extras and citations */
};
int tg_gemini_begin(void *state, const struct tg_render_info *info);
int tg_gemini_render(void *state, const struct tg_render_info *info, const struct tg_event *ev,
                     struct tg_buf *out);
int tg_gemini_finish(void *state, const struct tg_render_info *info, const struct tg_usage *usage,
                     uint64_t now_us, struct tg_buf *out);
void tg_gemini_fini(void *state);
void tg_gemini_fail(const struct tg_fail *fail, struct tg_str request_id, bool in_stream,
                    struct tg_buf *out);

/* `,"modelVersion":…,"responseId":…}` */
void tg_gemini_write_tail(const struct tg_render_info *info, struct tg_buf *out);
/* `,"usageMetadata":{…}`; nothing when absent. */
void tg_gemini_write_usage(const struct tg_usage *u, struct tg_buf *out);
/* `,"thoughtSignature":"…"`; nothing for "". */
void tg_gemini_write_signature(struct tg_str signature, enum tg_opaque_kind kind, struct tg_str id,
                               struct tg_buf *out);
/* A functionCall part, 0; 1 when the arguments are no JSON object: then nothing is written, and the
 * call's text is added to `malformed`; NOMEM. */
int tg_gemini_write_call(struct tg_str id, struct tg_str name, struct tg_str args,
                         struct tg_str signature, enum tg_opaque_kind kind, struct tg_buf *out,
                         struct tg_buf *malformed) TG_WARN_UNUSED;
/* finishReason. */
struct tg_str tg_gemini_finish_word(enum tg_finish finish, struct tg_str word, bool malformed);
/* Members of a candidate kept as they came, and citations of other providers. */
void tg_gemini_write_extras(const struct tg_collect *c, uint32_t choice, bool top,
                            struct tg_buf *out);
void tg_gemini_write_citations(const struct tg_collect *c, uint32_t choice, struct tg_buf *out);
/* `,"logprobsResult":{…}` from OpenAI's form (texts each followed by TG_COLLECT_RS); nothing when
 * there is none. */
int tg_gemini_write_logprobs(struct tg_str texts, struct tg_buf *out) TG_WARN_UNUSED;

#endif

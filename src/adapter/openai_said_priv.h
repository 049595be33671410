/* One choice of an answer: its parts, what a delta or a message says of them, its end. Shared by
 * the files that turn JSON into events. Thread rule: as adapter.h. */
#ifndef TG_ADAPTER_OPENAI_SAID_PRIV_H
#define TG_ADAPTER_OPENAI_SAID_PRIV_H

#include "adapter/openai_priv.h"

enum { TG_OPENAI_MAX_CHOICES = 4096 };

/* What the functions share for one document. */
struct tg_openai_ctx {
    struct tg_openai_dec *d;
    struct tg_json_doc *doc;
    struct tg_sink *sink;
    struct tg_openai_choice *ch;
    struct tg_str logprobs; /* of this choice in this chunk; "" once it went with a delta */
    int err;                /* first failure */
};

/* The members of `delta` or `message`, each kind in the order in which it is thought and said. */
struct tg_openai_said {
    const struct tg_json *reasoning, *details, *content, *refusal, *tool_calls, *function_call;
    const struct tg_json *annotations, *images, *extra_content;
};

struct tg_openai_choice *tg_openai_find_choice(struct tg_openai_dec *d, uint32_t index, int *err);
void tg_openai_find_said(const struct tg_json *m, struct tg_openai_said *s);
void tg_openai_say(struct tg_openai_ctx *c, const struct tg_openai_said *s, bool whole);
void tg_openai_finish_choice(struct tg_openai_ctx *c, struct tg_str word);

/* Emits an event of the choice. */
void tg_openai_emit(struct tg_openai_ctx *c, struct tg_event *ev);
/* A piece of text, reasoning or refusal: goes on with the open part of its kind or begins one. */
void tg_openai_text(struct tg_openai_ctx *c, enum tg_part_kind part_kind, enum tg_delta_kind kind,
                    struct tg_str text);
void tg_openai_end_open(struct tg_openai_ctx *c);
/* The same without text: the open part of that kind, begun when there is none. */
void tg_openai_open(struct tg_openai_ctx *c, enum tg_part_kind part_kind, struct tg_str id);
/* The part of the tool call with that id; false: none has begun. */
bool tg_openai_call_part(const struct tg_openai_choice *ch, struct tg_str id, uint32_t *out_part);

/* openai_details.c: reasoning with opaque state, citations, images, signatures of texts. */
/* Texts; true when there was one, which the other members then only repeat. */
bool tg_openai_say_details(struct tg_openai_ctx *c, const struct tg_openai_said *s);
/* Signatures of entries without a text, behind what they sign. */
void tg_openai_say_signatures(struct tg_openai_ctx *c, const struct tg_openai_said *s);
/* Annotations, and the signature of the text, which stands in extra_content. */
void tg_openai_say_citations(struct tg_openai_ctx *c, const struct tg_openai_said *s);
/* A list of {"url","title"}, of the text as a whole. */
void tg_openai_say_sources(struct tg_openai_ctx *c, const struct tg_json *sources);
void tg_openai_say_images(struct tg_openai_ctx *c, const struct tg_json *images);
/* Pass-through: nothing but the signatures. */
void tg_openai_tap_signatures(struct tg_openai_ctx *c, const struct tg_openai_said *s);
/* The signature of a call that is about to begin, "" if none. */
struct tg_str tg_openai_call_signature(const struct tg_openai_said *s, const struct tg_json *call);

#endif

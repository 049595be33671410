/* What each client format calls the features of chat/fidelity.h: its own fields, so that whatever
 * is lost or refused is told by the name that the client wrote (struct tg_client_fields). NULL: the
 * format can't say it. Inside of messages the name begins at the part or block that has the field;
 * `:value` is a field's value. Const data. */
#ifndef TG_DIALECT_FIELDS_PRIV_H
#define TG_DIALECT_FIELDS_PRIV_H

#include "chat/fidelity.h"

typedef const char *const tg_field_names[TG_FEATURE_COUNT];

extern tg_field_names tg_fields_openai_chat;
extern tg_field_names tg_fields_openai_completions;
extern tg_field_names tg_fields_openai_inputs; /* embeddings, moderations, ranking */
extern tg_field_names tg_fields_responses;
extern tg_field_names tg_fields_anthropic;
extern tg_field_names tg_fields_gemini;
extern tg_field_names tg_fields_gemini_embed;
extern tg_field_names tg_fields_ollama;
extern tg_field_names tg_fields_ollama_generate;
extern tg_field_names tg_fields_ollama_embed;
extern tg_field_names tg_fields_generate;    /* POST /v1/generate */
extern tg_field_names tg_fields_simple_chat; /* POST /api/chat {"message"} */

#endif

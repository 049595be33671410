/* What is kept of /v1/responses, as its clients read it: pure functions from records to bodies.
 * Thread rule: any thread; everything given is borrowed for the call. */
#ifndef TG_ADMIN_RESPONSES_H
#define TG_ADMIN_RESPONSES_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/fail.h"
#include "base/str.h"

/* A page of a list, from the query: order (desc by default), limit (1-100, by default 20), after.
 */
struct tg_admin_list {
    bool ascending;
    size_t limit;
    struct tg_str after; /* an item's id; "": from the start */
};
/* TG_E_INVALID_VALUE naming the parameter; TG_E_BAD_REQUEST: malformed escapes. */
int tg_admin_list_read(struct tg_arena *a, struct tg_str query, struct tg_admin_list *out,
                       struct tg_fail *fail) TG_WARN_UNUSED;

/* The items that a request brought, as OpenAI lists them: each with an id and a type, texts as
 * content parts. An item without an id has one made of the response's and its place. TG_E_NOMEM;
 * TG_E_INVALID_VALUE: `after` is no item of the list. */
int tg_admin_input_items(struct tg_arena *a, struct tg_str response_id, struct tg_str items,
                         const struct tg_admin_list *page, struct tg_buf *out,
                         struct tg_fail *fail) TG_WARN_UNUSED;
/* {"id":…,"object":"response","deleted":true} */
void tg_admin_response_deleted(struct tg_str id, struct tg_buf *out);

#endif

/* What pages are made from: the worker's picture of the whole process as it is now.
 * Thread rule: the worker's thread. */
#ifndef TG_SERVER_PAGE_VIEW_H
#define TG_SERVER_PAGE_VIEW_H

#include "admin/view.h"
#include "server/page.h"

/* *v borrows from the runtime's epoch and the request's arena: for this call of the page. */
void tg_page_view(struct tg_page *p, struct tg_admin_view *v);

#endif

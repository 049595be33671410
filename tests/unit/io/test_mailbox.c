#include "io_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "io/mailbox.h"

#define SENDERS  4
#define MESSAGES 20000

struct letter {
    struct tg_msg msg;
    int sender, n;
};

struct desk {
    struct tg_loop *loop;
    struct tg_mailbox *box;
    int next[SENDERS]; /* expected: each sender's letters keep their order */
    int got, discarded, stop_at;
};

static int discarded;

static void deliver(struct tg_msg *m, void *ctx)
{
    struct letter *l = tg_container_of(m, struct letter, msg);
    struct desk *d = ctx;
    assert_int_equal(l->n, d->next[l->sender]);
    d->next[l->sender]++;
    d->got++;
    tg_free(l);
    if (d->got == d->stop_at)
        tg_loop_stop(d->loop);
}

static void discard(struct tg_msg *m)
{
    discarded++;
    tg_free(tg_container_of(m, struct letter, msg));
}

static struct letter *letter_new(int sender, int n)
{
    struct letter *l = tg_calloc(1, sizeof(*l));
    assert_non_null(l);
    *l = (struct letter){.msg = {.deliver = deliver, .discard = discard}, .sender = sender, .n = n};
    return l;
}

struct sender {
    pthread_t thread;
    struct tg_mailbox *box;
    int id, full;
};

static void *send_all(void *arg)
{
    struct sender *s = arg;
    for (int i = 0; i < MESSAGES; i++) {
        struct letter *l = letter_new(s->id, i);
        while (tg_mailbox_post(s->box, &l->msg) == TG_E_FULL) {
            s->full++;
            usleep(50);
        }
    }
    return NULL;
}

static void four_threads_lose_nothing_and_keep_their_order(void **state)
{
    struct desk d = {.loop = new_loop(), .stop_at = SENDERS * MESSAGES};
    struct sender s[SENDERS] = {0};
    assert_int_equal(tg_mailbox_new(d.loop, 500, &d, &d.box), 0);
    for (int i = 0; i < SENDERS; i++) {
        s[i].id = i;
        s[i].box = d.box;
        assert_int_equal(pthread_create(&s[i].thread, NULL, send_all, &s[i]), 0);
    }
    tg_loop_run(d.loop); /* sleeps whenever nothing is there */
    for (int i = 0; i < SENDERS; i++)
        pthread_join(s[i].thread, NULL);
    assert_int_equal(d.got, SENDERS * MESSAGES);
    tg_mailbox_free(d.box);
    tg_loop_free(d.loop);
}

static void is_bounded_and_discards_at_the_end(void **state)
{
    struct desk d = {.loop = new_loop()};
    assert_int_equal(tg_mailbox_new(d.loop, 3, &d, &d.box), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(tg_mailbox_post(d.box, &letter_new(0, i)->msg), 0);
    struct letter *spare = letter_new(0, 3);
    assert_int_equal(tg_mailbox_post(d.box, &spare->msg), TG_E_FULL);
    assert_int_equal(d.got, 0); /* R1 */
    assert_true(tg_loop_turn(d.loop));
    assert_int_equal(d.got, 3);
    assert_int_equal(tg_mailbox_post(d.box, &spare->msg), 0);
    assert_int_equal(tg_mailbox_post(d.box, &letter_new(0, 4)->msg), 0);
    discarded = 0;
    tg_mailbox_free(d.box);
    assert_int_equal(discarded, 2);
    tg_loop_turn(d.loop);
    assert_int_equal(d.got, 3);
    tg_loop_free(d.loop);
}

static void repost(struct tg_msg *m, void *ctx)
{
    struct desk *d = ctx;
    if (++d->got < 1000)
        assert_int_equal(tg_mailbox_post(d->box, m), 0);
    else
        tg_loop_stop(d->loop);
}

static void a_receiver_may_post_to_itself(void **state)
{
    struct desk d = {.loop = new_loop()};
    struct tg_msg m = {.deliver = repost};
    assert_int_equal(tg_mailbox_new(d.loop, 1, &d, &d.box), 0);
    assert_int_equal(tg_mailbox_post(d.box, &m), 0);
    tg_loop_run(d.loop);
    assert_int_equal(d.got, 1000);
    tg_mailbox_free(d.box);
    tg_loop_free(d.loop);
}

static void a_failed_allocation_is_survived(void **state)
{
    struct tg_loop *loop = new_loop();
    struct tg_mailbox *box = NULL;
    tg_alloc_fail_at(1, 0);
    assert_int_equal(tg_mailbox_new(loop, 1, NULL, &box), TG_E_NOMEM);
    tg_alloc_fail_at(0, 0);
    assert_null(box);
    tg_loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(four_threads_lose_nothing_and_keep_their_order),
        cmocka_unit_test(is_bounded_and_discards_at_the_end),
        cmocka_unit_test(a_receiver_may_post_to_itself),
        cmocka_unit_test(a_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

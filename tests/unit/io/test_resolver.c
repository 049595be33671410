#include "fake_dns.h"

#include <stdio.h>

#include "io/connect_priv.h"

#define START_MS 1000000ull

static struct tg_loop *loop;
static struct tg_resolver *resolver;
static struct counter asker;
static struct tg_resolve_wait wait;
static struct tg_addr addrs[RESOLVE_ADDRS_MAX];
static const char *why;

static const char *const three[] = {"10.0.0.1", "2001:db8::1", "10.0.0.2"};
static const char *const other[] = {"10.9.9.9"};

static int set_up(void **state)
{
    tg_clock_fake_start(START_MS * 1000000, 0);
    loop = new_loop();
    assert_int_equal(tg_resolver_new(loop, &resolver), 0);
    counter_init(&asker);
    tg_list_init(&wait.link);
    wait.task = &asker.task;
    fake_dns_stuck(false);
    fake_dns_says(0, 3, three);
    fake_dns.queries = 0;
    why = NULL;
    return 0;
}

static int tear_down(void **state)
{
    fake_dns_stuck(false);
    tg_list_del(&wait.link);
    tg_resolver_free(resolver);
    tg_loop_free(loop);
    tg_clock_fake_stop();
    return 0;
}

static int ask(const char *host)
{
    return tg_resolver_ask(resolver, host, &wait, addrs, &why);
}

static int ask_and_wait(const char *host)
{
    asker.runs = 0;
    int rc = ask(host);
    if (rc != TG_E_AGAIN)
        return rc;
    turn_until(loop, asker.runs > 0);
    return ask(host);
}

static void advance_ms(uint64_t ms)
{
    tg_clock_fake_advance_us(ms * 1000);
    tg_loop_turn(loop);
}

static void first(const char *expect)
{
    char text[INET6_ADDRSTRLEN];
    assert_non_null(inet_ntop(AF_INET, &addrs[0].v4.sin_addr, text, sizeof text));
    assert_string_equal(text, expect);
}

static void answers_keep_the_systems_order_and_are_cached(void **state)
{
    assert_int_equal(ask_and_wait("a.test"), 3);
    first("10.0.0.1");
    assert_int_equal(addrs[1].any.sa_family, AF_INET6);
    assert_int_equal(addrs[2].any.sa_family, AF_INET);
    assert_int_equal(ask("a.test"), 3);
    advance_ms(29999);
    assert_int_equal(ask("a.test"), 3);
    assert_int_equal(fake_dns_queries(), 1);
    fake_dns_says(0, 1, other);
    advance_ms(1);
    assert_int_equal(ask_and_wait("a.test"), 1);
    first("10.9.9.9");
    assert_int_equal(fake_dns_queries(), 2);
}

static void at_most_16_and_only_ip(void **state)
{
    const char *many[20];
    for (int i = 0; i < 20; i++)
        many[i] = "10.0.0.7";
    many[3] = "something else";
    fake_dns_says(0, 20, many);
    assert_int_equal(ask_and_wait("many.test"), 16);
    fake_dns_says(0, 1, &many[3]);
    assert_int_equal(ask_and_wait("none.test"), TG_E_UPSTREAM_DNS);
    assert_string_equal(why, "no address");
}

static void failures_are_kept_for_a_second(void **state)
{
    fake_dns_says(EAI_NONAME, 0, NULL);
    assert_int_equal(ask_and_wait("bad.test"), TG_E_UPSTREAM_DNS);
    assert_string_equal(why, "no such name");
    advance_ms(999);
    assert_int_equal(ask("bad.test"), TG_E_UPSTREAM_DNS);
    assert_int_equal(fake_dns_queries(), 1);
    advance_ms(1);
    fake_dns_says(0, 1, other);
    assert_int_equal(ask_and_wait("bad.test"), 1);
    assert_int_equal(fake_dns_queries(), 2);
}

static void the_last_good_answer_outlives_failures(void **state)
{
    assert_int_equal(ask_and_wait("a.test"), 3);
    fake_dns_says(EAI_AGAIN, 0, NULL);
    advance_ms(30000);
    assert_int_equal(ask_and_wait("a.test"), 3); /* waits once */
    for (int i = 0; i < 28; i++) {
        advance_ms(20000);
        assert_int_equal(ask("a.test"), 3); /* then nobody waits any more */
        turn_for(loop, 2);
    }
    assert_true(fake_dns_queries() > 10); /* but it goes on trying */
    advance_ms(10000);                    /* 600 s after the good answer */
    assert_int_equal(ask_and_wait("a.test"), TG_E_UPSTREAM_DNS);
    assert_string_equal(why, "the name server does not answer");
    advance_ms(1000);
    fake_dns_says(0, 1, other);
    assert_int_equal(ask_and_wait("a.test"), 1);
}

static void a_background_look_up_brings_the_new_answer(void **state)
{
    assert_int_equal(ask_and_wait("a.test"), 3);
    fake_dns_says(EAI_FAIL, 0, NULL);
    advance_ms(30000);
    assert_int_equal(ask_and_wait("a.test"), 3);
    fake_dns_says(0, 1, other);
    advance_ms(1000);
    assert_int_equal(ask("a.test"), 3); /* the old one, at once */
    turn_for(loop, 20);
    assert_int_equal(ask("a.test"), 1);
}

static void a_slow_server_counts_as_failed_after_two_seconds(void **state)
{
    fake_dns_stuck(true);
    assert_int_equal(ask("slow.test"), TG_E_AGAIN);
    advance_ms(1999);
    assert_int_equal(asker.runs, 0);
    advance_ms(1);
    tg_loop_turn(loop);
    assert_int_equal(asker.runs, 1);
    assert_int_equal(ask("slow.test"), TG_E_UPSTREAM_DNS);
    advance_ms(1000);
    assert_int_equal(ask("slow.test"), TG_E_AGAIN); /* no second look-up of the name meanwhile */
    fake_dns_stuck(false);                          /* it answers after all */
    turn_until(loop, asker.runs == 2);
    assert_int_equal(ask("slow.test"), 3);
    assert_int_equal(fake_dns_queries(), 1);
}

static void a_waiter_may_leave(void **state)
{
    fake_dns_stuck(true);
    assert_int_equal(ask("a.test"), TG_E_AGAIN);
    tg_list_del(&wait.link);
    fake_dns_stuck(false);
    turn_for(loop, 20);
    assert_int_equal(asker.runs, 0);
    assert_int_equal(ask("a.test"), 3);
}

static void freeing_abandons_a_look_up(void **state)
{
    fake_dns_stuck(true);
    assert_int_equal(ask("a.test"), TG_E_AGAIN);
    usleep(5000); /* let the pool begin with it */
    tg_list_del(&wait.link);
    tg_resolver_free(resolver);
    fake_dns_stuck(false);
    turn_for(loop, 10);
    assert_int_equal(tg_resolver_new(loop, &resolver), 0);
}

static void names_are_bounded(void **state)
{
    char host[32];
    for (int i = 0; i < 1100; i++) {
        snprintf(host, sizeof host, "n%d.test", i);
        assert_int_equal(ask_and_wait(host), 3);
    }
    assert_int_equal(fake_dns_queries(), 1100);
    assert_int_equal(ask("n1099.test"), 3);
    assert_int_equal(ask("n76.test"), 3); /* 1,024 newest */
    assert_int_equal(ask("n75.test"), TG_E_AGAIN);
    turn_until(loop, asker.runs > 0);
}

static void every_failed_allocation_is_survived(void **state)
{
    for (uint64_t i = 1;; i++) {
        char host[32];
        snprintf(host, sizeof host, "f%u.test", (unsigned)i);
        tg_alloc_fail_at(i, 0);
        int rc = ask(host);
        tg_alloc_fail_at(0, 0);
        if (rc == TG_E_AGAIN) {
            tg_list_del(&wait.link);
            break;
        }
        assert_int_equal(rc, TG_E_NOMEM);
        assert_true(i < 20);
    }
    turn_for(loop, 5);
}

static void parses_literals(void **state)
{
    struct tg_addr a;
    assert_true(tg_addr_parse("127.0.0.1", &a));
    assert_int_equal(a.any.sa_family, AF_INET);
    tg_addr_set_port(&a, 8080);
    assert_int_equal(ntohs(a.v4.sin_port), 8080);
    assert_true(tg_addr_parse("::1", &a));
    assert_int_equal(a.any.sa_family, AF_INET6);
    tg_addr_set_port(&a, 443);
    assert_int_equal(ntohs(a.v6.sin6_port), 443);
    assert_int_equal(tg_addr_len(&a), sizeof(struct sockaddr_in6));
    static const char *const bad[] = {"", "1.2.3", "[::1]", "0x7f000001", "127.1", "::1%lo", "a.b"};
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++)
        assert_false(tg_addr_parse(bad[i], &a));
}

/* The system's own resolver. */
static void real_names(void **state)
{
    int rc = ask_and_wait("localhost");
    assert_true(rc >= 1);
    assert_true(addrs[0].any.sa_family == AF_INET || addrs[0].any.sa_family == AF_INET6);
    asker.runs = 0;
    assert_int_equal(ask("no-such-name.invalid"), TG_E_AGAIN); /* RFC 6761 6.4 */
    for (int i = 0; i < 300 && asker.runs == 0; i++) {
        usleep(10000);
        advance_ms(10); /* offline the resolver may hang: then the 2 s count */
    }
    assert_int_equal(ask("no-such-name.invalid"), TG_E_UPSTREAM_DNS);
    assert_true(strlen(why) > 0);
    assert_int_equal(ask_and_wait("not a name"), TG_E_UPSTREAM_DNS);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(answers_keep_the_systems_order_and_are_cached),
        T(at_most_16_and_only_ip),
        T(failures_are_kept_for_a_second),
        T(the_last_good_answer_outlives_failures),
        T(a_background_look_up_brings_the_new_answer),
        T(a_slow_server_counts_as_failed_after_two_seconds),
        T(a_waiter_may_leave),
        T(freeing_abandons_a_look_up),
        T(names_are_bounded),
        T(every_failed_allocation_is_survived),
        T(parses_literals),
        T(real_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

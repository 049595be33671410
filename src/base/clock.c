#include "base/clock.h"

#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "base/err.h"

static bool fake_on;
static uint64_t fake_mono_ns;
static int64_t fake_wall_us;

uint64_t tg_clock_mono_ns(void)
{
    if (__builtin_expect(__atomic_load_n(&fake_on, __ATOMIC_RELAXED), 0))
        return __atomic_load_n(&fake_mono_ns, __ATOMIC_RELAXED);
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

int64_t tg_clock_wall_us(void)
{
    if (__builtin_expect(__atomic_load_n(&fake_on, __ATOMIC_RELAXED), 0))
        return __atomic_load_n(&fake_wall_us, __ATOMIC_RELAXED);
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

void tg_clock_fake_start(uint64_t mono_ns, int64_t wall_us)
{
    __atomic_store_n(&fake_mono_ns, mono_ns, __ATOMIC_RELAXED);
    __atomic_store_n(&fake_wall_us, wall_us, __ATOMIC_RELAXED);
    __atomic_store_n(&fake_on, true, __ATOMIC_RELAXED);
}

void tg_clock_fake_advance_us(uint64_t us)
{
    __atomic_add_fetch(&fake_mono_ns, us * 1000, __ATOMIC_RELAXED);
    __atomic_add_fetch(&fake_wall_us, (int64_t)us, __ATOMIC_RELAXED);
}

void tg_clock_fake_stop(void)
{
    __atomic_store_n(&fake_on, false, __ATOMIC_RELAXED);
}

/* A UTC instant in fields. */
struct civil {
    int year, month, day, hour, minute, second, weekday; /* month, day from 1; 0: Sunday */
};

enum { US_PER_SECOND = 1000000, SECONDS_PER_DAY = 86400, ISO_BYTES = 19 };
#define MIN_WALL_US (-62135596800 * US_PER_SECOND)     /* 0001-01-01 */
#define MAX_WALL_US (253402300800 * US_PER_SECOND - 1) /* 9999-12-31, four digits of year */

static int days_in_month(int year, int month)
{
    static const char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

/* Days from 1970-01-01 to the first day of the year (year >= 1). */
static int64_t days_before_year(int year)
{
    int64_t y = year - 1;
    return y * 365 + y / 4 - y / 100 + y / 400 - 719162;
}

static int64_t clamp_wall(int64_t wall_us)
{
    return wall_us < MIN_WALL_US ? MIN_WALL_US : wall_us > MAX_WALL_US ? MAX_WALL_US : wall_us;
}

static int64_t floor_second(int64_t wall_us)
{
    return wall_us / US_PER_SECOND - (wall_us % US_PER_SECOND < 0);
}

static struct civil to_civil(int64_t wall_us)
{
    struct civil c;
    wall_us = clamp_wall(wall_us);
    int64_t seconds = floor_second(wall_us);
    int64_t days = seconds / SECONDS_PER_DAY - (seconds % SECONDS_PER_DAY < 0);
    int rest = (int)(seconds - days * SECONDS_PER_DAY);
    c.hour = rest / 3600;
    c.minute = rest / 60 % 60;
    c.second = rest % 60;
    c.weekday = (int)((days + 4 + 7 * 200000) % 7); /* 1970-01-01 was a Thursday */
    c.year = (int)(1970 + days * 400 / 146097);     /* right or nearly so */
    while (days < days_before_year(c.year))
        c.year--;
    while (days >= days_before_year(c.year + 1))
        c.year++;
    int day = (int)(days - days_before_year(c.year));
    c.month = 1;
    while (day >= days_in_month(c.year, c.month))
        day -= days_in_month(c.year, c.month++);
    c.day = day + 1;
    return c;
}

static void put_digits(char *out, int v, int width)
{
    while (width-- > 0) {
        out[width] = (char)('0' + v % 10);
        v /= 10;
    }
}

/* The text of the second last asked for: log lines ask for the same one thousands of times, and
 * the calendar costs more than the rest of the line. The fraction is written anew each time. */
static __thread struct {
    int64_t second;
    char text[sizeof("0000-00-00T00:00:00.000000Z")];
} stamp = {.second = INT64_MIN, .text = "0000-00-00T00:00:00.000000Z"};

static void stamp_second(int64_t wall_us)
{
    struct civil c = to_civil(wall_us);
    put_digits(stamp.text, c.year, 4);
    put_digits(stamp.text + 5, c.month, 2);
    put_digits(stamp.text + 8, c.day, 2);
    put_digits(stamp.text + 11, c.hour, 2);
    put_digits(stamp.text + 14, c.minute, 2);
    put_digits(stamp.text + 17, c.second, 2);
}

size_t tg_clock_iso(int64_t wall_us, char *out, size_t cap)
{
    if (cap < sizeof(stamp.text))
        return 0;
    wall_us = clamp_wall(wall_us);
    int64_t second = floor_second(wall_us);
    if (second != stamp.second) {
        stamp_second(wall_us);
        stamp.second = second;
    }
    memcpy(out, stamp.text, sizeof(stamp.text));
    put_digits(out + 20, (int)(wall_us - second * US_PER_SECOND), 6);
    return sizeof(stamp.text) - 1;
}

static const char day_names[] = "SunMonTueWedThuFriSat";
static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

size_t tg_clock_http_date(int64_t wall_us, char *out, size_t cap)
{
    char text[] = "Sun, 00 Jan 0000 00:00:00 GMT";
    struct civil c = to_civil(wall_us);
    if (cap < sizeof(text))
        return 0;
    memcpy(text, day_names + 3 * c.weekday, 3);
    put_digits(text + 5, c.day, 2);
    memcpy(text + 8, month_names + 3 * (c.month - 1), 3);
    put_digits(text + 12, c.year, 4);
    put_digits(text + 17, c.hour, 2);
    put_digits(text + 20, c.minute, 2);
    put_digits(text + 23, c.second, 2);
    memcpy(out, text, sizeof(text));
    return sizeof(text) - 1;
}

/* Index of a three-letter name in a packed list of `count`, or -1. */
static int name_index(const char *p, const char *names, int count)
{
    for (int i = 0; i < count; i++)
        if (memcmp(p, names + 3 * i, 3) == 0)
            return i;
    return -1;
}

static int get_digits(const char *p, int width)
{
    int v = 0;
    for (int i = 0; i < width; i++) {
        if (p[i] < '0' || p[i] > '9')
            return -1;
        v = v * 10 + (p[i] - '0');
    }
    return v;
}

static bool shape_matches(const char *p, size_t n)
{
    static const char shape[] = "aaa, 00 aaa 0000 00:00:00 GMT";
    if (n != sizeof(shape) - 1)
        return false;
    for (size_t i = 0; i < n; i++)
        if (shape[i] != 'a' && shape[i] != '0' && shape[i] != p[i])
            return false;
    return true;
}

/* Year, month and day must be in range. */
static int64_t from_civil(int year, int month, int day, int seconds)
{
    int64_t days = days_before_year(year) + day - 1;
    for (int m = 1; m < month; m++)
        days += days_in_month(year, m);
    return (days * SECONDS_PER_DAY + seconds) * US_PER_SECOND;
}

int tg_clock_parse_http_date(const char *p, size_t n, int64_t *out_wall_us)
{
    if (!shape_matches(p, n))
        return TG_E_INVALID_ARG;
    int weekday = name_index(p, day_names, 7), month = name_index(p + 8, month_names, 12) + 1;
    int day = get_digits(p + 5, 2), year = get_digits(p + 12, 4);
    int hour = get_digits(p + 17, 2), minute = get_digits(p + 20, 2);
    int second = get_digits(p + 23, 2);
    if (weekday < 0 || month < 1 || year < 1 || day < 1 || day > days_in_month(year, month))
        return TG_E_INVALID_ARG;
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
        return TG_E_INVALID_ARG;
    *out_wall_us = from_civil(year, month, day, hour * 3600 + minute * 60 + second);
    return 0;
}

/* "Z", "+01:00" or "-0730"; seconds east of Greenwich, INT_MIN: malformed. */
static int parse_zone(const char *p, size_t n)
{
    if (n == 1 && (p[0] == 'Z' || p[0] == 'z'))
        return 0;
    bool colon = n == 6 && p[3] == ':';
    if ((n != 5 && !colon) || (p[0] != '+' && p[0] != '-'))
        return INT_MIN;
    int hour = get_digits(p + 1, 2), minute = get_digits(p + (colon ? 4 : 3), 2);
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59)
        return INT_MIN;
    int seconds = hour * 3600 + minute * 60;
    return p[0] == '-' ? -seconds : seconds;
}

static bool iso_shape(const char *p, size_t n)
{
    static const char shape[] = "dddd-dd-ddTdd:dd:dd";
    if (n < ISO_BYTES + 1)
        return false;
    for (size_t i = 0; i < ISO_BYTES; i++)
        if (shape[i] != 'd' && p[i] != shape[i] &&
            !(shape[i] == 'T' && (p[i] == 't' || p[i] == ' ')))
            return false;
    return true;
}

int tg_clock_parse_iso(const char *p, size_t n, int64_t *out_wall_us)
{
    if (!iso_shape(p, n))
        return TG_E_INVALID_ARG;
    int year = get_digits(p, 4), month = get_digits(p + 5, 2), day = get_digits(p + 8, 2);
    int hour = get_digits(p + 11, 2), minute = get_digits(p + 14, 2),
        second = get_digits(p + 17, 2);
    size_t i = ISO_BYTES;
    if (p[i] == '.')
        for (i++; i < n && p[i] >= '0' && p[i] <= '9'; i++)
            continue;
    int zone = parse_zone(p + i, n - i);
    if (year < 1 || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month))
        return TG_E_INVALID_ARG;
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60 ||
        zone == INT_MIN)
        return TG_E_INVALID_ARG;
    *out_wall_us = from_civil(year, month, day, hour * 3600 + minute * 60 + second - zone);
    return 0;
}

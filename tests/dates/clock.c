/*
 * A library for LD_PRELOAD: the clock of its process goes DATES_AHEAD seconds before that of the system.
 *
 * Debian's libfaketime does the same and more. Its version 0.9.10 tells the real time to a signal handler that
 * interrupts a wait, so PostgreSQL there misses its own timeouts and deadlocks, and it makes time.sleep() of Python
 * fail. Here nothing is remembered, and a wait is touched only where its end is a time of day.
 *
 * Monotonic clocks and the times of files stay real.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static time_t ahead;
static int (*real_clock_gettime)(clockid_t, struct timespec *);
static int (*real_clock_nanosleep)(clockid_t, int, const struct timespec *, struct timespec *);
static int (*real_cond_timedwait)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
static int (*real_mutex_timedlock)(pthread_mutex_t *, const struct timespec *);
static int (*real_sem_timedwait)(sem_t *, const struct timespec *);

/* The loader and the constructors of other libraries may ask for the time before ours has run. */
__attribute__((constructor)) static void find(void)
{
	const char *seconds = getenv("DATES_AHEAD");

	ahead = seconds ? atoll(seconds) : 0;
	real_clock_nanosleep = dlsym(RTLD_NEXT, "clock_nanosleep");
	real_cond_timedwait = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
	if (!real_cond_timedwait)
		real_cond_timedwait = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
	real_mutex_timedlock = dlsym(RTLD_NEXT, "pthread_mutex_timedlock");
	real_sem_timedwait = dlsym(RTLD_NEXT, "sem_timedwait");
	real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
}

/* Return `until` by the system's clock. A moment less than thirty years after the beginning is a monotonic clock's. */
static struct timespec really(const struct timespec *until)
{
	struct timespec moment = *until;

	if (moment.tv_sec > 1000000000)
		moment.tv_sec -= ahead;
	return moment;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	if (!real_clock_gettime)
		find();
	int result = real_clock_gettime(clock, now);
	if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		now->tv_sec += ahead;
	return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	struct timespec exact;

	(void)zone;
	if (clock_gettime(CLOCK_REALTIME, &exact))
		return -1;
	now->tv_sec = exact.tv_sec;
	now->tv_usec = exact.tv_nsec / 1000;
	return 0;
}

time_t time(time_t *now)
{
	struct timespec exact;

	clock_gettime(CLOCK_REALTIME, &exact);
	if (now)
		*now = exact.tv_sec;
	return exact.tv_sec;
}

int timespec_get(struct timespec *now, int base)
{
	return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, now) == 0 ? base : 0;
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *until, struct timespec *left)
{
	struct timespec moment = *until;

	if (clock == CLOCK_REALTIME && flags & TIMER_ABSTIME)
		moment = really(until);
	return real_clock_nanosleep(clock, flags, &moment, left);
}

int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
			   const struct timespec *restrict until)
{
	struct timespec moment = really(until);

	return real_cond_timedwait(condition, mutex, &moment);
}

int pthread_mutex_timedlock(pthread_mutex_t *restrict mutex, const struct timespec *restrict until)
{
	struct timespec moment = really(until);

	return real_mutex_timedlock(mutex, &moment);
}

int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict until)
{
	struct timespec moment = really(until);

	return real_sem_timedwait(semaphore, &moment);
}

/*
 * handover: nanoseconds a cache line takes from one CPU to another and back, halved. The vCPUs of a
 * virtual machine may sit on one core complex or on two, and move; all work across them costs up to
 * twice as much when they are far apart.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define PASSES 200000

static _Atomic unsigned ball;

static void pin(unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

static void play(unsigned side)
{
	for (unsigned i = 0; i < PASSES; i++) {
		while ((atomic_load_explicit(&ball, memory_order_acquire) & 1) != side)
			;
		atomic_fetch_add_explicit(&ball, 1, memory_order_release);
	}
}

static void *other(void *arg)
{
	(void)arg;
	pin(1);
	play(1);
	return NULL;
}

int main(void)
{
	struct timespec a, b;
	pthread_t t;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
		puts("0");
		return 0;
	}
	pin(0);
	if (pthread_create(&t, NULL, other, NULL))
		return 71;
	clock_gettime(CLOCK_MONOTONIC, &a);
	play(0);
	pthread_join(t, NULL);
	clock_gettime(CLOCK_MONOTONIC, &b);
	printf("%.1f\n", ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / (2.0 * PASSES));
	return 0;
}

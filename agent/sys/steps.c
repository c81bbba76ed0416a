/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sys/steps.h"

#include <stdio.h>
#include <time.h>

#include "sys/blockdev.h"

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void steps_begin(struct steps *steps)
{
	steps->started_us = now_us();
}

void steps_watch(struct steps *steps, dev_t disk)
{
	steps->disk = disk;
	steps->written_before = blockdev_written(disk);
}

void steps_done(struct steps *steps, const char *name)
{
	uint64_t now = now_us(), written = steps->disk ? blockdev_written(steps->disk) : 0;
	struct step *step = &steps->items[steps->count < STEPS_MAX ? steps->count : STEPS_MAX - 1];

	if (steps->count < STEPS_MAX)
		steps->count++;
	snprintf(step->name, sizeof(step->name), "%s", name);
	step->us += (uint32_t)(now - steps->started_us);
	step->written += written - steps->written_before;
	steps->started_us = now;
	steps->written_before = written;
}

uint64_t steps_written(const struct steps *steps)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < steps->count; i++)
		sum += steps->items[i].written;
	return sum;
}

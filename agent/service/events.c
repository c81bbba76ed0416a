/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "service/events.h"

#include <time.h>

uint64_t events_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void events_subscribe(struct agent *agent, struct events_sink *sink)
{
	sink->next = agent->event_sinks;
	agent->event_sinks = sink;
}

void events_unsubscribe(struct agent *agent, struct events_sink *sink)
{
	struct events_sink **at = &agent->event_sinks;

	while (*at && *at != sink)
		at = &(*at)->next;
	if (*at)
		*at = sink->next;
	sink->next = NULL;
}

void events_publish(struct agent *agent, const struct event *event)
{
	struct event dated = *event;
	struct events_sink *next;

	dated.time_ms = events_now_ms();
	for (struct events_sink *sink = agent->event_sinks; sink; sink = next) {
		next = sink->next;
		sink->tell(sink, &dated);
	}
}

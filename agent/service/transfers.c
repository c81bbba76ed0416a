/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "service/transfers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static void unlist(struct transfer *transfer)
{
	struct transfer **at = &transfer->agent->transfers;

	while (*at && *at != transfer)
		at = &(*at)->next;
	if (*at)
		*at = transfer->next;
	loop_disarm(transfer->agent->loop, &transfer->timer);
}

static void too_late(struct loop_timer *timer)
{
	struct transfer *transfer = timer->context;

	unlist(transfer);
	transfer->expired(transfer);
}

static struct transfer *find(const struct agent *agent, const char *layer)
{
	struct transfer *transfer = agent->transfers;

	while (transfer && strcmp(transfer->layer, layer) != 0)
		transfer = transfer->next;
	return transfer;
}

int transfers_wait(struct agent *agent, struct transfer *transfer, unsigned wait_ms, struct error *err)
{
	if (find(agent, transfer->layer))
		return error_set(err, ERROR_IN_USE, EBUSY, "another request has a stream of the layer %s", transfer->layer);
	transfer->agent = agent;
	transfer->peer = (struct transfer_peer){ .fd = -1 };
	transfer->timer = (struct loop_timer){ .fire = too_late, .context = transfer };
	transfer->next = agent->transfers;
	agent->transfers = transfer;
	loop_arm(agent->loop, &transfer->timer, wait_ms);
	return 0;
}

void transfers_end(struct transfer *transfer)
{
	const struct transfer_peer peer = transfer->peer;

	unlist(transfer);
	close_fd(&transfer->peer.fd);
	free((char *)peer.early);
	if (peer.ended)
		peer.ended(peer.context);
}

int transfers_find(const struct agent *agent, const char *layer, struct transfer **transfer, struct error *err)
{
	*transfer = find(agent, layer);
	if (*transfer && (*transfer)->peer.fd < 0)
		return 0;
	int result = *transfer ? error_set(err, ERROR_IN_USE, EBUSY, "the stream of the layer %s is taken", layer)
			       : error_set(err, ERROR_NOT_FOUND, ENOENT, "no request waits for a stream of the layer %s", layer);
	snprintf(err->field, sizeof(err->field), "layer");
	return result;
}

/* The worker may have to wait for its turn, and the front end's connection may end before. */
int transfers_take(struct transfer *transfer, const struct transfer_peer *peer, struct error *err)
{
	char *early = malloc(peer->early_length + 1);
	int fd = early ? fcntl(peer->fd, F_DUPFD_CLOEXEC, 3) : -1;

	if (fd < 0) {
		free(early);
		return error_set(err, ERROR_INTERNAL, early ? errno : ENOMEM, "stream of the layer %s", transfer->layer);
	}
	loop_disarm(transfer->agent->loop, &transfer->timer);
	transfer->peer = *peer;
	transfer->peer.fd = fd;
	transfer->peer.early = early;
	if (peer->early_length > 0)
		memcpy(early, peer->early, peer->early_length);
	transfer->begin(transfer);
	return 0;
}

void transfers_abandon(struct transfer *transfer)
{
	transfer->peer.ended = NULL;
}

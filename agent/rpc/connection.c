/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rpc/connection.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "rpc/server.h"
#include "sys/vsock.h"

#define READ_SIZE (64u * 1024u)

static void update(struct rpc_connection *connection)
{
	uint32_t wanted = 0;

	if (!connection->paused && !connection->ended && !connection->closing)
		wanted |= EPOLLIN;
	if (buf_length(&connection->out) > 0)
		wanted |= EPOLLOUT;
	if (wanted != connection->events)
		loop_change(connection->agent->loop, &connection->watch, wanted);
	connection->events = wanted;
}

static void flush(struct rpc_connection *connection)
{
	while (!connection->dead && buf_length(&connection->out) > 0) {
		size_t length = buf_length(&connection->out) < VSOCK_SEND_MAX ? buf_length(&connection->out) : VSOCK_SEND_MAX;
		ssize_t sent = send(connection->watch.fd, buf_bytes(&connection->out), length, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent >= 0)
			buf_consume(&connection->out, (size_t)sent);
		else if (errno == EAGAIN)
			break;
		else if (errno != EINTR)
			connection->dead = true;
	}
}

/* Ends an event or a call from outside: this is the only place where a connection frees itself. */
static void finish(struct rpc_connection *connection)
{
	if (connection->busy)
		return;
	bool idle = buf_length(&connection->out) == 0;

	if (connection->dead || (idle && (connection->closing || (connection->ended && connection->in_flight == 0))))
		rpc_connection_free(connection);
	else
		update(connection);
}

static void receive(struct rpc_connection *connection)
{
	char *room;

	if (buf_room(&connection->in, READ_SIZE, &room) < 0) {
		log_warning("a connection is closed: no memory for what it sends");
		connection->dead = true;
		return;
	}
	ssize_t got = recv(connection->watch.fd, room, READ_SIZE, MSG_DONTWAIT);
	if (got > 0)
		buf_filled(&connection->in, (size_t)got);
	else if (got == 0)
		connection->ended = true;
	else if (errno != EAGAIN && errno != EINTR)
		connection->dead = true;
	if (!connection->dead)
		connection->handler->input(connection);
}

static void ready(struct loop_watch *watch, uint32_t events)
{
	struct rpc_connection *connection = watch->context;

	connection->busy = true;
	if (events & EPOLLIN)
		receive(connection);
	else if (events & (EPOLLHUP | EPOLLERR))
		connection->dead = true;
	if (!connection->dead && (events & EPOLLOUT)) {
		flush(connection);
		if (buf_length(&connection->out) == 0 && connection->handler->flushed)
			connection->handler->flushed(connection);
	}
	connection->busy = false;
	finish(connection);
}

struct rpc_connection *rpc_connection_new(struct rpc_server *server, struct agent *agent, int fd, const struct rpc_handler *handler,
					  size_t in_limit, size_t out_limit)
{
	struct rpc_connection *connection = calloc(1, sizeof(*connection));
	struct error err;

	if (!connection) {
		close(fd);
		return NULL;
	}
	connection->server = server;
	connection->agent = agent;
	connection->handler = handler;
	/* One read more than a whole unit: the excess shows that the unit is too long. */
	connection->in.limit = in_limit + READ_SIZE;
	connection->in.wipe = true; /* requests carry keys, and streams what people type */
	connection->out.limit = out_limit;
	connection->watch = (struct loop_watch){ .fd = fd, .ready = ready, .context = connection };
	connection->events = EPOLLIN;
	if (loop_add(agent->loop, &connection->watch, EPOLLIN, &err) < 0) {
		log_warning("connection: %s", err.message);
		close(fd);
		free(connection);
		return NULL;
	}
	return connection;
}

void rpc_connection_send(struct rpc_connection *connection, const void *bytes, size_t size)
{
	if (connection->dead)
		return;
	if (buf_append(&connection->out, bytes, size) < 0) {
		log_warning("a connection is closed: its peer does not read");
		connection->dead = true;
	}
	flush(connection);
	finish(connection);
}

void rpc_connection_pause(struct rpc_connection *connection, bool paused)
{
	connection->paused = paused;
	if (!connection->busy)
		update(connection);
}

void rpc_connection_close(struct rpc_connection *connection)
{
	connection->closing = true;
	finish(connection);
}

void rpc_connection_settle(struct rpc_connection *connection)
{
	finish(connection);
}

void rpc_connection_free(struct rpc_connection *connection)
{
	rpc_server_forget(connection->server, connection);
	if (connection->handler->closed)
		connection->handler->closed(connection);
	loop_remove(connection->agent->loop, &connection->watch);
	close_fd(&connection->watch.fd);
	buf_free(&connection->in);
	buf_free(&connection->out);
	free(connection);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rpc/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "coffer/protocol.h"
#include "rpc/connection.h"
#include "rpc/control.h"
#include "rpc/stream.h"
#include "sys/vsock.h"

/* Answers that wait for a peer that does not read. */
#define CONTROL_OUT_LIMIT (4u * 1024u * 1024u)
#define PAUSE_MS          200u

struct rpc_server {
	struct agent *agent;
	struct loop_watch control, stream;
	struct loop_timer pause; /* out of descriptors: listening goes on a moment later */
	struct rpc_connection *connections;
	unsigned count;
};

/* With no descriptor left, the waiting connection would wake the loop for ever. */
static void pause_listening(struct rpc_server *server, int errnum)
{
	log_warning("accept: %s", strerror(errnum));
	loop_change(server->agent->loop, &server->control, 0);
	loop_change(server->agent->loop, &server->stream, 0);
	loop_arm(server->agent->loop, &server->pause, PAUSE_MS);
}

static void go_on_listening(struct loop_timer *timer)
{
	struct rpc_server *server = timer->context;

	loop_change(server->agent->loop, &server->control, EPOLLIN);
	loop_change(server->agent->loop, &server->stream, EPOLLIN);
}

static void accept_on(struct loop_watch *watch, uint32_t events)
{
	struct rpc_server *server = watch->context;
	bool control = watch == &server->control;
	int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			pause_listening(server, errno);
		return;
	}
	if (server->count >= COFFER_CONNECTIONS_MAX) {
		log_warning("a connection is refused: %u are open", server->count);
		close(fd);
		return;
	}
	struct rpc_connection *connection =
		rpc_connection_new(server, server->agent, fd, control ? &rpc_control_handler : &rpc_stream_handler, COFFER_LINE_MAX,
				   control ? CONTROL_OUT_LIMIT : RPC_STREAM_OUT_LIMIT);
	if (!connection)
		return;
	connection->next = server->connections;
	server->connections = connection;
	server->count++;
	if (control)
		rpc_control_greet(connection);
}

void rpc_server_forget(struct rpc_server *server, struct rpc_connection *connection)
{
	struct rpc_connection **at = &server->connections;

	while (*at && *at != connection)
		at = &(*at)->next;
	if (!*at)
		return;
	*at = connection->next;
	server->count--;
}

static int listen_on(struct rpc_server *server, struct loop_watch *watch, unsigned port, struct error *err)
{
	const char *directory = server->agent->listen;

	*watch = (struct loop_watch){ .ready = accept_on, .context = server };
	watch->fd = directory ? vsock_listen_unix(directory, port, err) : vsock_listen(port, err);
	return watch->fd < 0 ? watch->fd : loop_add(server->agent->loop, watch, EPOLLIN, err);
}

int rpc_server_new(struct agent *agent, struct rpc_server **made, struct error *err)
{
	struct rpc_server *server = calloc(1, sizeof(*server));

	if (!server)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "server");
	server->agent = agent;
	server->control.fd = server->stream.fd = -1;
	server->pause = (struct loop_timer){ .fire = go_on_listening, .context = server };
	int result = listen_on(server, &server->stream, COFFER_PORT_STREAM, err);
	if (result == 0)
		result = listen_on(server, &server->control, COFFER_PORT_CONTROL, err);
	if (result < 0) {
		rpc_server_free(server);
		return result;
	}
	*made = server;
	return 0;
}

void rpc_server_free(struct rpc_server *server)
{
	while (server->connections)
		rpc_connection_free(server->connections);
	loop_disarm(server->agent->loop, &server->pause);
	loop_remove(server->agent->loop, &server->control);
	loop_remove(server->agent->loop, &server->stream);
	close_fd(&server->control.fd);
	close_fd(&server->stream.fd);
	free(server);
}

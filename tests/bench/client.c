/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/bench/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char line[1 << 20];

static const char *read_line(int connection)
{
	size_t used = 0;

	while (used == 0 || line[used - 1] != '\n') {
		ssize_t got = read(connection, line + used, sizeof(line) - 1 - used);

		if (got <= 0) {
			fprintf(stderr, "bench: the agent has closed the connection\n");
			exit(1);
		}
		used += (size_t)got;
	}
	line[used] = '\0';
	return line;
}

int client_connect(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (connection < 0 || connect(connection, (struct sockaddr *)&address, sizeof(address)) < 0) {
		perror("bench: connect to the agent");
		exit(1);
	}
	read_line(connection);
	return connection;
}

const char *client_call(int connection, const char *method, const char *params)
{
	static char request[1 << 18];
	int length = snprintf(request, sizeof(request), "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":%s}\n", method,
			      params);

	if (length < 0 || (size_t)length >= sizeof(request) || write(connection, request, (size_t)length) != length) {
		fprintf(stderr, "bench: %s cannot be asked\n", method);
		exit(1);
	}
	const char *answer = read_line(connection);
	if (!strstr(answer, "\"result\":")) {
		fprintf(stderr, "bench: %s: %s", method, answer);
		exit(1);
	}
	return answer;
}

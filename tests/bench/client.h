/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_BENCH_CLIENT_H
#define TESTS_BENCH_CLIENT_H

/* A client of the control protocol (docs/PROTOCOL.md) that costs next to nothing.  Whatever goes wrong ends the program. */

/* Connects to the Unix socket and reads the hello. */
int client_connect(const char *path);

/* One request and its answer: the whole line, which stands until the next call. */
const char *client_call(int connection, const char *method, const char *params);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Put before every source file but base/error.c when clang-tidy reads it.  The analyzer sees one file at a time, so it does not
 * know that making an error always gives a negative number, and would follow the path on which it does not.
 */
#include "base/error.h"

#define error_set(...)    ((void)error_set(__VA_ARGS__), -22)
#define error_field(...)  ((void)error_field(__VA_ARGS__), -22)
#define error_wrap(...)   ((void)error_wrap(__VA_ARGS__), -22)
#define error_within(...) ((void)error_within(__VA_ARGS__), -22)
#define error_step(...)   ((void)error_step(__VA_ARGS__), -22)

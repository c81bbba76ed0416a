/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /pause of the initramfs: the first process of a sandbox.  It holds the sandbox's namespaces, buries the orphans of its pid
 * namespace, and ends on SIGTERM or SIGINT.  It shares no code and no memory with the agent, so whoever joins its pid namespace
 * finds nothing in it.  No C library: two kilobytes instead of seven hundred.
 */
#include <asm/signal.h>
#include <asm/unistd.h>
#include <linux/wait.h>

static long call(long number, long a, long b, long c, long d)
{
#if defined(__x86_64__)
	register long r10 __asm__("r10") = d;
	long result;

	__asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
	return result;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;

	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
	return x0;
#else
#error "how does this processor call its kernel?"
#endif
}

void _start(void);
void _start(void)
{
	/* Blocked and waited for: no handler is needed, and a first process would not get unhandled ones at all. */
	const unsigned long set = 1ul << (SIGTERM - 1) | 1ul << (SIGINT - 1) | 1ul << (SIGCHLD - 1);

	call(__NR_rt_sigprocmask, SIG_BLOCK, (long)&set, 0, sizeof(set));
	for (;;) {
		long signal = call(__NR_rt_sigtimedwait, (long)&set, 0, 0, sizeof(set));

		if (signal == SIGTERM || signal == SIGINT)
			call(__NR_exit_group, 0, 0, 0, 0);
		while (call(__NR_wait4, -1, 0, WNOHANG, 0) > 0)
			;
	}
}

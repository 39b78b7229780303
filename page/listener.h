/* The socket that browsers, or the proxy before us, connect to. */
#ifndef PAGE_LISTENER_H
#define PAGE_LISTENER_H

/* The first one that a service manager hands over (sd_listen_fds(3)), or -1. */
int listener_given(void);

/*
** One at "127.0.0.1:8080", "[::1]:8080" or "0.0.0.0:0", where the system chooses the port.  -1: why not is in
** *problem, static text or the system's.
*/
int listener_open(const char *text, const char **problem);

/* 0 when it has none. */
int listener_port(int listener);

#endif

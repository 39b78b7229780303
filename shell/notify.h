/* Telling the service manager how a service is: the protocol of sd_notify(3), without its library. */
#ifndef SHELL_NOTIFY_H
#define SHELL_NOTIFY_H

/* "READY=1", "STOPPING=1", "STATUS=...".  Nothing happens where no manager asked for it in NOTIFY_SOCKET. */
void notify(const char *state);

#endif

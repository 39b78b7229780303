/*
** Faults under a channel: preloaded, it has the n-th allocation, network call or look at the clock fail
** that is made by a plugin in portal.d, or by a library that such a plugin called; and counts what is
** allocated there and never freed.  For one thread, the one that arms it.
*/
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <link.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum kind { MEMORY, NETWORK, SHORT, BLOCKED, SIGNAL, CLOCK };

/* Frames that are looked through for a plugin's; plugins and places in them there may be. */
enum { FRAMES = 64, RANGES = 16, PLACES = 1 << 10, JUMP_SECONDS = 3600,
       SLOTS = 1 << 16 };

static struct { uintptr_t start, end; } ranges[RANGES];
static int range_count;

static _Thread_local bool ours;         /* this thread has armed it once */
static _Thread_local bool armed;
static _Thread_local bool looking;
static enum kind armed_kind;
static bool lasts;
static long nth, count;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t number, size_t size);
void *__libc_realloc(void *old, size_t size);
void __libc_free(void *memory);

/* What was allocated beneath a channel and is not yet freed. */
static void *slots[SLOTS];
static long held;

static size_t slot_of(const void *memory)
{
    size_t at = (size_t)((uintptr_t)memory * 11400714819323198485u >> 48) % SLOTS;

    while (slots[at] != NULL && slots[at] != memory) at = (at + 1) % SLOTS;
    return at;
}

static void hold(void *memory)
{
    slots[slot_of(memory)] = memory;
    held++;
}

static void let_go(const void *memory)
{
    size_t at;

    if (!ours || memory == NULL) return;
    at = slot_of(memory);
    if (slots[at] == NULL) return;
    slots[at] = NULL;
    held--;
    /* Those behind it may stand there because it stood here. */
    while (slots[at = (at + 1) % SLOTS] != NULL) {
        void *moved = slots[at];
        slots[at] = NULL;
        slots[slot_of(moved)] = moved;
    }
}

/* Where the operations of a kind came from when none failed, each place once; and the one that is to fail. */
static uint64_t places[PLACES];
static long place_count;
static uint64_t wanted;

/* By the calls within plugins that lead there; 0: there are none. */
static uint64_t place(void)
{
    void *frames[FRAMES];
    uint64_t hash = 0;
    int depth;

    looking = true;
    depth = backtrace(frames, FRAMES);
    looking = false;
    for (int i = 0; i < depth; i++) {
        uintptr_t address = (uintptr_t)frames[i];
        for (int range = 0; range < range_count; range++) {
            if (address < ranges[range].start || address >= ranges[range].end) continue;
            hash = (hash ^ address) * 1099511628211u;
        }
    }
    return hash;
}

static void place_note(uint64_t here)
{
    for (long i = 0; i < place_count; i++) {
        if (places[i] == here) return;
    }
    if (place_count < PLACES) places[place_count++] = here;
}

/* Where in a channel we are; 0: nowhere, or nobody wants to know. */
static uint64_t watched(void)
{
    return armed && !looking ? place() : 0;
}

/* Of something that a channel does. */
static bool strikes(enum kind kind, uint64_t here)
{
    if (kind != armed_kind) return false;
    count++;
    if (nth == 0) place_note(here);
    /* From the place that is wanted on, it is as if it had been known as the n-th. */
    if (wanted != 0 && wanted == here) {
        nth = count;
        wanted = 0;
    }
    return nth > 0 && (lasts ? count >= nth : count == nth);
}

static bool fails(enum kind kind, int error)
{
    uint64_t here = kind == armed_kind ? watched() : 0;

    if (here == 0 || !strikes(kind, here)) return false;
    errno = error;
    return true;
}

/* What the test calls */

static int range_note(struct dl_phdr_info *library, size_t size, void *data)
{
    (void)size;
    (void)data;
    for (int i = 0; i < library->dlpi_phnum && strstr(library->dlpi_name, "/portal.d/") != NULL; i++) {
        const ElfW(Phdr) *part = &library->dlpi_phdr[i];
        if (part->p_type != PT_LOAD || (part->p_flags & PF_X) == 0 || range_count == RANGES) continue;
        ranges[range_count].start = library->dlpi_addr + part->p_vaddr;
        ranges[range_count].end = ranges[range_count].start + part->p_memsz;
        range_count++;
    }
    return 0;
}

/*
** From now on the n-th fails, or also all that follow; 0: none; -n: the first from the n-th place there was
** when none failed.  The channel's plugin is loaded already.
*/
void faults_arm(int kind, long n, int all_after);
/* Nothing fails any more.  How many there were. */
long faults_disarm(void);
/* How many places there were when none failed. */
long faults_places(void);
/* Allocations that are not freed, of all times it was armed. */
long faults_held(void);

void faults_arm(int kind, long n, int all_after)
{
    void *frame;

    if (!ours) (void)backtrace(&frame, 1);      /* which allocates at its first call */
    range_count = 0;
    if (n == 0) place_count = 0;
    wanted = n < 0 ? places[-n - 1] : 0;
    (void)dl_iterate_phdr(range_note, NULL);
    armed_kind = (enum kind)kind;
    nth = n;
    lasts = all_after != 0;
    count = 0;
    ours = true;
    armed = true;
}

long faults_disarm(void)
{
    armed = false;
    return count;
}

long faults_places(void)
{
    return place_count;
}

long faults_held(void)
{
    return held;
}

/* Memory */

static void *given(void *memory)
{
    if (memory != NULL) hold(memory);
    return memory;
}

void *malloc(size_t size)
{
    uint64_t here = watched();

    if (here == 0) return __libc_malloc(size);
    return strikes(MEMORY, here) ? NULL : given(__libc_malloc(size));
}

void *calloc(size_t nmemb, size_t size)
{
    uint64_t here = watched();

    if (here == 0) return __libc_calloc(nmemb, size);
    return strikes(MEMORY, here) ? NULL : given(__libc_calloc(nmemb, size));
}

void *realloc(void *ptr, size_t size)
{
    uint64_t here = watched();
    void *memory;

    if (here != 0 && strikes(MEMORY, here)) return NULL;
    memory = __libc_realloc(ptr, size);
    if (memory == NULL) return NULL;
    let_go(ptr);
    return here != 0 ? given(memory) : memory;
}

void free(void *ptr)
{
    let_go(ptr);
    __libc_free(ptr);
}

/* The network */

#define REAL(name) (__extension__(__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

int socket(int domain, int type, int protocol)
{
    return fails(NETWORK, EMFILE) ? -1 : REAL(socket)(domain, type, protocol);
}

int socketpair(int domain, int type, int protocol, int fds[2])
{
    return fails(NETWORK, EMFILE) ? -1 : REAL(socketpair)(domain, type, protocol, fds);
}

int connect(int fd, __CONST_SOCKADDR_ARG addr, socklen_t len)
{
    return fails(NETWORK, ENETUNREACH) ? -1 : REAL(connect)(fd, addr, len);
}

int poll(struct pollfd *fds, nfds_t nfds, int timeout)
{
    return fails(SIGNAL, EINTR) ? -1 : REAL(poll)(fds, nfds, timeout);
}

ssize_t send(int fd, const void *buf, size_t n, int flags)
{
    if (fails(NETWORK, ECONNRESET) || fails(BLOCKED, EAGAIN)) return -1;
    return REAL(send)(fd, buf, n > 1 && fails(SHORT, 0) ? n / 2 : n, flags);
}

ssize_t recv(int fd, void *buf, size_t n, int flags)
{
    if (fails(NETWORK, ECONNRESET)) return -1;
    return REAL(recv)(fd, buf, n > 1 && fails(SHORT, 0) ? 1 : n, flags);
}

/* The clock */

int clock_gettime(clockid_t clock_id, struct timespec *tp)
{
    int code = REAL(clock_gettime)(clock_id, tp);

    if (code == 0 && fails(CLOCK, errno)) tp->tv_sec += JUMP_SECONDS;
    return code;
}

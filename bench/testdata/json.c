// The small task in C: {"A":1,"B":2} in, {"Sum":3} out, once through fd 0 and 1 (caisson_run) and once as a direct call (alloc, run).
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char buf[4096];

// field finds "name": in text and reads the number after it.
static long long field(const char *text, const char *name) {
    const char *at = strstr(text, name);
    return at ? strtoll(at + strlen(name), NULL, 10) : 0;
}

// add answers in buf what buf asks.
static int add(size_t size) {
    buf[size] = 0;
    return snprintf(buf, sizeof buf, "{\"Sum\":%lld}", field(buf, "\"A\":") + field(buf, "\"B\":"));
}

__attribute__((export_name("caisson_run")))
int caisson_run(void) {
    size_t size = 0;
    ssize_t n;
    while ((n = read(0, buf + size, sizeof buf - 1 - size)) > 0) size += (size_t)n;
    if (n < 0) return 1;
    int out = add(size);
    return write(1, buf, (size_t)out) == out ? 0 : 1;
}

__attribute__((export_name("alloc")))
char *alloc(int size) { return buf; }

__attribute__((export_name("run")))
long long run(char *at, int size) { return (long long)(size_t)buf << 32 | add((size_t)size); }

// A reactor with a small real job: {"A":1,"B":2} in, {"Sum":3} out.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int runs; // stays 0 before every run, or the state was not clean

// field finds "name": in text and reads the number after it.
static int field(const char *text, const char *name, long long *value) {
    char key[16];
    snprintf(key, sizeof key, "\"%s\"", name);
    const char *at = strstr(text, key);
    if (!at) return 0;
    at += strlen(key);
    while (*at == ' ') at++;
    if (*at++ != ':') return 0;
    char *end;
    *value = strtoll(at, &end, 10);
    return end != at;
}

__attribute__((export_name("caisson_run")))
int caisson_run(void) {
    if (runs++ != 0) return 70;
    size_t size = 0, room = 256;
    char *text = malloc(room);
    ssize_t n;
    while (text && (n = read(0, text + size, room - size - 1)) > 0) {
        size += (size_t)n;
        if (size == room - 1) text = realloc(text, room *= 2);
    }
    if (!text || n < 0) return 1;
    text[size] = 0;
    long long a, b;
    if (!field(text, "A", &a) || !field(text, "B", &b)) {
        fprintf(stderr, "want A and B in %s\n", text);
        return 65;
    }
    printf("{\"Sum\":%lld}", a + b);
    return fflush(stdout) ? 1 : 0;
}

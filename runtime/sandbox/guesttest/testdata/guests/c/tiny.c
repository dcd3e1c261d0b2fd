// A reactor that does next to nothing: it reads at most 64 bytes and answers "ok" and how many there were.
#include <unistd.h>

__attribute__((export_name("caisson_run")))
int caisson_run(void) {
    char buf[64], out[6] = "ok ";
    ssize_t n = read(0, buf, sizeof buf);
    if (n < 0) return 1;
    out[3] = (char)('0' + n / 10);
    out[4] = (char)('0' + n % 10);
    out[5] = '\n';
    return write(1, out, sizeof out) == sizeof out ? 0 : 1;
}

//! A command: stdin to stdout, by WASI's own calls, since Zig's own reading and writing changes with each version.
const std = @import("std");
const wasi = std.os.wasi;

pub fn main() u8 {
    var buf: [4096]u8 = undefined;
    while (true) {
        var n: usize = 0;
        const in = [_]wasi.iovec_t{.{ .base = &buf, .len = buf.len }};
        if (wasi.fd_read(0, &in, in.len, &n) != .SUCCESS) return 1;
        if (n == 0) return 0;
        var at: usize = 0;
        while (at < n) {
            var wrote: usize = 0;
            const out = [_]wasi.ciovec_t{.{ .base = buf[at..].ptr, .len = n - at }};
            if (wasi.fd_write(1, &out, out.len, &wrote) != .SUCCESS) return 1;
            at += wrote;
        }
    }
}

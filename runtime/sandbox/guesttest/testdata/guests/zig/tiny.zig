//! A reactor that does next to nothing: it reads at most 64 bytes and answers "ok" and how many there were.
const std = @import("std");
const wasi = std.os.wasi;

export fn caisson_run() i32 {
    var buf: [64]u8 = undefined;
    var n: usize = 0;
    const in = [_]wasi.iovec_t{.{ .base = &buf, .len = buf.len }};
    if (wasi.fd_read(0, &in, in.len, &n) != .SUCCESS) return 1;
    const text = [_]u8{ 'o', 'k', ' ', '0' + @as(u8, @intCast(n / 10)), '0' + @as(u8, @intCast(n % 10)), '\n' };
    const out = [_]wasi.ciovec_t{.{ .base = &text, .len = text.len }};
    var wrote: usize = 0;
    return if (wasi.fd_write(1, &out, out.len, &wrote) == .SUCCESS and wrote == text.len) 0 else 1;
}

// The compute set: a reactor that answers "fib 20" with fib's number in decimal, and exports each function by its name.
use std::io::Read;

#[no_mangle]
pub extern "C" fn fib(n: u32) -> u32 {
    if n < 2 {
        n
    } else {
        fib(n - 1) + fib(n - 2)
    }
}

/// Counts the primes below n.
#[no_mangle]
pub extern "C" fn sieve(n: u32) -> u32 {
    let mut composite = vec![false; n as usize];
    let mut count = 0;
    for i in 2..n as usize {
        if composite[i] {
            continue;
        }
        count += 1;
        for j in (i * 2..n as usize).step_by(i) {
            composite[j] = true;
        }
    }
    count
}

const ROUND_CONSTANTS: [u32; 64] = [
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
];

fn sha256_block(h: &mut [u32; 8], p: &[u8]) {
    let mut w = [0u32; 64];
    for i in 0..16 {
        w[i] = u32::from_be_bytes([p[4 * i], p[4 * i + 1], p[4 * i + 2], p[4 * i + 3]]);
    }
    for i in 16..64 {
        let s0 = w[i - 15].rotate_right(7) ^ w[i - 15].rotate_right(18) ^ (w[i - 15] >> 3);
        let s1 = w[i - 2].rotate_right(17) ^ w[i - 2].rotate_right(19) ^ (w[i - 2] >> 10);
        w[i] = w[i - 16].wrapping_add(s0).wrapping_add(w[i - 7]).wrapping_add(s1);
    }
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut k] = *h;
    for i in 0..64 {
        let s1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
        let t1 = k.wrapping_add(s1).wrapping_add((e & f) ^ (!e & g)).wrapping_add(ROUND_CONSTANTS[i]).wrapping_add(w[i]);
        let s0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
        let t2 = s0.wrapping_add((a & b) ^ (a & c) ^ (b & c));
        k = g;
        g = f;
        f = e;
        e = d.wrapping_add(t1);
        d = c;
        c = b;
        b = a;
        a = t1.wrapping_add(t2);
    }
    for (sum, v) in h.iter_mut().zip([a, b, c, d, e, f, g, k]) {
        *sum = sum.wrapping_add(v);
    }
}

/// Hashes 1 KiB n times, each hash becoming the beginning of the next.
#[no_mangle]
pub extern "C" fn sha256(n: u32) -> u32 {
    let mut block = [0u8; 1024 + 64];
    block[1024] = 0x80;
    block[1024 + 62] = 0x20; // 8192 bits
    let mut h = [0u32; 8];
    for _ in 0..n {
        h = [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];
        for part in block.chunks(64) {
            sha256_block(&mut h, part);
        }
        for (i, word) in h.iter().enumerate() {
            block[4 * i..4 * i + 4].copy_from_slice(&word.to_be_bytes());
        }
    }
    h[0]
}

/// Sorts n numbers of xorshift32 and sums them by their places.
#[no_mangle]
pub extern "C" fn sort(n: u32) -> u32 {
    let mut x = 2463534242u32;
    let mut numbers: Vec<u32> = (0..n)
        .map(|_| {
            x ^= x << 13;
            x ^= x >> 17;
            x ^= x << 5;
            x
        })
        .collect();
    numbers.sort_unstable();
    numbers.iter().zip(1u32..).fold(0, |sum, (v, i)| v.wrapping_mul(i).wrapping_add(sum))
}

/// Multiplies two n by n matrices of small whole numbers and sums the product.
#[no_mangle]
pub extern "C" fn matmul(n: u32) -> u32 {
    let size = n as usize;
    let (mut a, mut b, mut c) = (vec![0f64; size * size], vec![0f64; size * size], vec![0f64; size * size]);
    for i in 0..size {
        for j in 0..size {
            a[i * size + j] = ((i * j) % 7 + 1) as f64;
            b[i * size + j] = ((i + j) % 5) as f64;
        }
    }
    for i in 0..size {
        for k in 0..size {
            let f = a[i * size + k];
            for j in 0..size {
                c[i * size + j] += f * b[k * size + j];
            }
        }
    }
    c.iter().sum::<f64>() as u64 as u32
}

#[no_mangle]
pub extern "C" fn caisson_run() -> i32 {
    let mut text = String::new();
    if std::io::stdin().read_to_string(&mut text).is_err() {
        return 1;
    }
    let (name, n) = match text.trim().split_once(' ') {
        Some((name, n)) => (name, n.parse().unwrap_or(0)),
        None => return 65,
    };
    let answer = match name {
        "fib" => fib(n),
        "sieve" => sieve(n),
        "sha256" => sha256(n),
        "sort" => sort(n),
        "matmul" => matmul(n),
        _ => return 65,
    };
    print!("{}", answer);
    match std::io::Write::flush(&mut std::io::stdout()) {
        Ok(()) => 0,
        Err(_) => 1,
    }
}

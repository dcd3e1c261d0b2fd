// The compute set: a reactor that answers "fib 20" with fib's number in decimal, and exports each function by its name.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT(name) __attribute__((export_name(name)))

EXPORT("fib") uint32_t fib(uint32_t n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

// sieve counts the primes below n.
EXPORT("sieve") uint32_t sieve(uint32_t n) {
    char *composite = calloc(n, 1);
    uint32_t count = 0;
    for (uint32_t i = 2; i < n; i++) {
        if (composite[i]) continue;
        count++;
        for (uint32_t j = i * 2; j < n; j += i) composite[j] = 1;
    }
    free(composite);
    return count;
}

static const uint32_t round_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t rotate(uint32_t x, int by) { return x >> by | x << (32 - by); }

static void sha256_block(uint32_t h[8], const uint8_t *p) {
    uint32_t w[64], s[8];
    for (int i = 0; i < 16; i++) w[i] = (uint32_t)p[4 * i] << 24 | p[4 * i + 1] << 16 | p[4 * i + 2] << 8 | p[4 * i + 3];
    for (int i = 16; i < 64; i++)
        w[i] = w[i - 16] + w[i - 7] + (rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3) +
               (rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10);
    memcpy(s, h, sizeof s);
    for (int i = 0; i < 64; i++) {
        uint32_t t1 = s[7] + (rotate(s[4], 6) ^ rotate(s[4], 11) ^ rotate(s[4], 25)) + ((s[4] & s[5]) ^ (~s[4] & s[6])) + round_constants[i] + w[i];
        uint32_t t2 = (rotate(s[0], 2) ^ rotate(s[0], 13) ^ rotate(s[0], 22)) + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += t1;
        s[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++) h[i] += s[i];
}

// sha256 hashes 1 KiB n times, each hash becoming the beginning of the next.
EXPORT("sha256") uint32_t sha256(uint32_t n) {
    static const uint32_t initial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    uint8_t block[1024 + 64] = {0};
    uint32_t h[8] = {0};
    block[1024] = 0x80;
    block[1024 + 62] = 0x20; // 8192 bits
    for (uint32_t i = 0; i < n; i++) {
        memcpy(h, initial, sizeof h);
        for (int at = 0; at < 1024 + 64; at += 64) sha256_block(h, block + at);
        for (int j = 0; j < 32; j++) block[j] = (uint8_t)(h[j / 4] >> (24 - 8 * (j % 4)));
    }
    return h[0];
}

static int compare(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

// sort sorts n numbers of xorshift32 and sums them by their places.
EXPORT("sort") uint32_t sort(uint32_t n) {
    uint32_t x = 2463534242u, sum = 0, *numbers = malloc(n * sizeof *numbers + 1);
    for (uint32_t i = 0; i < n; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        numbers[i] = x;
    }
    qsort(numbers, n, sizeof *numbers, compare);
    for (uint32_t i = 0; i < n; i++) sum += numbers[i] * (i + 1);
    free(numbers);
    return sum;
}

// matmul multiplies two n by n matrices of small whole numbers and sums the product.
EXPORT("matmul") uint32_t matmul(uint32_t n) {
    size_t cells = (size_t)n * n;
    double *a = calloc(3 * cells, sizeof *a), *b = a + cells, *c = b + cells, sum = 0;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j < n; j++) {
            a[i * n + j] = (i * j) % 7 + 1;
            b[i * n + j] = (i + j) % 5;
        }
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < n; k++)
            for (uint32_t j = 0; j < n; j++) c[i * n + j] += a[i * n + k] * b[k * n + j];
    for (size_t i = 0; i < cells; i++) sum += c[i];
    free(a);
    return (uint32_t)(uint64_t)sum;
}

EXPORT("caisson_run") int caisson_run(void) {
    static const struct {
        const char *name;
        uint32_t (*work)(uint32_t);
    } works[] = {{"fib", fib}, {"sieve", sieve}, {"sha256", sha256}, {"sort", sort}, {"matmul", matmul}};
    char name[16];
    uint32_t n;
    if (scanf("%15s %u", name, &n) != 2) return 65;
    for (size_t i = 0; i < sizeof works / sizeof *works; i++)
        if (strcmp(name, works[i].name) == 0) {
            printf("%u", works[i].work(n));
            return fflush(stdout) ? 1 : 0;
        }
    return 65;
}

/* mmap(2) and memcpy(3): prints the nanoseconds of each row of `deno task bench:peers`. */

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 4096, SAMPLES = 15 };

static char buffer[PIECE];
static const char *small;
static char *memory;
static size_t size;

static void *mapped(const char *path, int prot) {
  int fd = open(path, prot & PROT_WRITE ? O_RDWR : O_RDONLY);
  struct stat facts;
  if (fd == -1 || fstat(fd, &facts) == -1) exit(1);
  size = (size_t)facts.st_size;
  void *address = mmap(NULL, size, prot, MAP_SHARED, fd, 0);
  if (address == MAP_FAILED) exit(1);
  close(fd);
  return address;
}

static void read_pieces(int count) {
  for (int i = 0; i < count; i++) {
    memcpy(buffer, memory + (size_t)(i % 256) * PIECE, PIECE);
    /* The compiler must not leave a copy out. */
    __asm__ volatile("" : : "r"(buffer) : "memory");
  }
}

static void read_randomly(int count) {
  uint32_t state = 1;
  for (int i = 0; i < count; i++) {
    state = state * 1664525u + 1013904223u;
    memcpy(buffer, memory + ((uint64_t)state * (size - PIECE) >> 32), PIECE);
    __asm__ volatile("" : : "r"(buffer) : "memory");
  }
}

static void write_pieces(int count) {
  for (int i = 0; i < count; i++) {
    memcpy(memory + (size_t)(i % 256) * PIECE, buffer, PIECE);
    __asm__ volatile("" : : "r"(memory) : "memory");
  }
}

static void open_and_close(int count) {
  for (int i = 0; i < count; i++) munmap(mapped(small, PROT_READ), size);
}

static int compare(const void *a, const void *b) {
  double difference = *(const double *)a - *(const double *)b;
  return (difference > 0) - (difference < 0);
}

static double measure(int count, void (*run)(int)) {
  double times[SAMPLES];
  for (int i = 0; i < SAMPLES; i++) {
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    run(count);
    clock_gettime(CLOCK_MONOTONIC, &end);
    times[i] = ((double)(end.tv_sec - start.tv_sec) * 1e9 +
                (double)(end.tv_nsec - start.tv_nsec)) / count;
  }
  qsort(times, SAMPLES, sizeof *times, compare);
  return times[SAMPLES / 2];
}

int main(int argc, char **argv) {
  if (argc != 4) return 1;
  small = argv[1];
  memory = mapped(argv[1], PROT_READ);
  double in_order = measure(50000, read_pieces);
  memory = mapped(argv[2], PROT_READ);
  for (size_t at = 0; at < size; at += PIECE) buffer[0] ^= memory[at];
  double at_random = measure(50000, read_randomly);
  memory = mapped(argv[3], PROT_READ | PROT_WRITE);
  double written = measure(50000, write_pieces);
  printf("[%f, %f, %f, %f]\n", in_order, at_random, written,
         measure(2000, open_and_close));
  return 0;
}

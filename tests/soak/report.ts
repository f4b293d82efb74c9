/** What a fuzz run has seen. */
export interface Report {
  /** Calls by name. */
  readonly operations: Record<string, number>;
  /** Errors by class, and a system's code. */
  readonly errors: Record<string, number>;
  /** Descriptions of faults, and how often each was found. */
  readonly findings: Record<string, number>;
}

export function emptyReport(): Report {
  return { operations: {}, errors: {}, findings: {} };
}

export function addTo(counts: Record<string, number>, name: string, n = 1) {
  counts[name] = (counts[name] ?? 0) + n;
}

/** Adds another report. */
export function merge(report: Report, other: Report): void {
  for (const key of ["operations", "errors", "findings"] as const) {
    for (const [name, n] of Object.entries(other[key])) {
      addTo(report[key], name, n);
    }
  }
}

export function sum(counts: Record<string, number>): number {
  return Object.values(counts).reduce((one, two) => one + two, 0);
}

/** "3 this, 2 that", the most frequent first. */
export function list(counts: Record<string, number>): string {
  return Object.entries(counts)
    .toSorted(([, one], [, two]) => two - one)
    .map(([name, n]) => `${n} ${name}`).join(", ");
}

/**
 * Counts the tests in JUnit reports of `deno test`, and prints why tests were skipped.
 *
 * `deno run --allow-read scripts/count_tests.ts REPORT...` prints the counts of all reports together in
 * its last line. A run that was killed leaves no report, and is not counted.
 *
 * @module
 */

import { existsSync } from "node:fs";

/** The name and the contents of a test. */
const TEST =
  /<testcase name="([^"]*)"(?:[^">]|"[^"]*")*?(?:\/>|>(.*?)<\/testcase>)/gs;

/** What `tests/skip.ts` adds to the name of a test. */
const REASON = / \(skipped: (.*)\)$/s;

/** Prints the reasons of skipped tests, and in the last line the counts, if there is a report. */
export function printCounts(reports: readonly string[]): void {
  const existing = reports.filter((report) => existsSync(report));
  if (existing.length === 0) return;
  const counts = { passed: 0, failed: 0, skipped: 0 };
  const reasons: string[] = [];
  for (const report of existing) {
    const tests = Deno.readTextFileSync(report).matchAll(TEST);
    for (const [, name = "", contents = ""] of tests) {
      if (contents.includes("<skipped")) {
        counts.skipped++;
        reasons.push(unescape(REASON.exec(name)?.[1] ?? "without a reason"));
      } else if (/<(failure|error)\b/.test(contents)) counts.failed++;
      else counts.passed++;
    }
  }
  console.log("skipped, and why:");
  const groups = Object.entries(Object.groupBy(reasons, (reason) => reason));
  for (
    const [reason, tests = []] of groups.sort(([, one = []], [, two = []]) =>
      two.length - one.length
    )
  ) console.log(`${tests.length}`.padStart(7), reason);
  const { passed, failed, skipped } = counts;
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
}

function unescape(text: string): string {
  return text.replaceAll("&quot;", '"').replaceAll("&apos;", "'")
    .replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
}

if (import.meta.main) printCounts(Deno.args);

/**
 * A bar chart in a terminal.
 *
 * @module
 */

/** Columns if a terminal does not report them, and the maximum. */
const [DEFAULT_COLUMNS, MAX_COLUMNS] = [80, 100];

/** Columns reserved for the number after a bar. */
const NUMBER_COLUMNS = 12;

/** Prints a bar for each time, in nanoseconds. The longest is as wide as the terminal allows. */
export function drawBars(title: string, times: Record<string, number>): void {
  const names = Object.keys(times);
  const indent = Math.max(...names.map(({ length }) => length)) + 3;
  const columns = Deno.stdout.isTerminal()
    ? Math.min(Deno.consoleSize().columns || DEFAULT_COLUMNS, MAX_COLUMNS)
    : DEFAULT_COLUMNS;
  const width = Math.max(1, columns - indent - NUMBER_COLUMNS);
  const longest = Math.max(...Object.values(times));
  console.log(title);
  for (const [name, time] of Object.entries(times)) {
    const length = Math.max(1, Math.round(width * time / longest));
    const bar = "█".repeat(length);
    console.log(`  ${name}`.padEnd(indent) + `${bar} ${time.toFixed(0)} ns`);
  }
  console.log();
}

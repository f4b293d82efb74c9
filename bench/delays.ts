/**
 * How late a timer comes that is due each millisecond.
 *
 * @module
 */

/** The milliseconds by which each turn of the timer was late while a task ran, the last one included. */
export async function delaysDuring(
  run: () => Promise<unknown>,
): Promise<number[]> {
  const delays: number[] = [];
  let last = performance.now();
  const tick = () => {
    const now = performance.now();
    delays.push(Math.max(0, now - last - 1));
    last = now;
  };
  const timer = setInterval(tick, 1);
  await run();
  tick();
  clearInterval(timer);
  return delays;
}

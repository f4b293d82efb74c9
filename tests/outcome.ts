/** The outcome of a call: its value, or the error that it threw or rejected with. */
export type Outcome = { value: unknown } | { error: Error };

export async function outcomeOf(call: () => unknown): Promise<Outcome> {
  try {
    return { value: await call() };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { error };
  }
}

/**
 * Preconditions of a request, in the order in which RFC 9110, section 13.2.2, has them evaluated.
 *
 * @module
 */

/** The status of a GET or HEAD request whose precondition is false; `null` if there is no such precondition. */
export function failedPrecondition(
  asked: Headers,
  etag: string,
  modified: Date,
): 412 | 304 | null {
  const isNewerThan = (header: string) =>
    seconds(modified) > seconds(new Date(asked.get(header) ?? NaN));
  const isAsOldAs = (header: string) =>
    seconds(modified) <= seconds(new Date(asked.get(header) ?? NaN));

  const wanted = asked.get("if-match");
  const isOther = wanted === null
    ? isNewerThan("if-unmodified-since")
    : !matches(wanted, etag);
  if (isOther) return 412;
  // To know what the client has, tags need not be strong.
  const known = asked.get("if-none-match")?.replaceAll("W/", "");
  const isKnown = known === undefined
    ? isAsOldAs("if-modified-since")
    : matches(known, etag);
  return isKnown ? 304 : null;
}

/** Whether a list of entity tags has this one. */
function matches(list: string, etag: string): boolean {
  const tags = list.split(/\s*,\s*/);
  return tags.includes("*") || tags.includes(etag);
}

/** NaN of a date that is not valid, which no time is before or after: such a precondition is ignored. */
function seconds(date: Date): number {
  return Math.floor(date.getTime() / 1000);
}

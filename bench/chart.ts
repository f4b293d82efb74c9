/**
 * The picture of a report, as SVG: real work, the curves of calls against speed, and all cases by group,
 * on logarithmic axes. It is one narrow column, so that a phone shows it in a size that can be read.
 *
 * @module
 */

import { digits } from "./measure.ts";
import {
  CURVE,
  type Pattern,
  PATTERNS,
  pointsOf,
  SIZES,
} from "./studies/curve.ts";
import { isLosing, type Line, type Ratio } from "./study.ts";

/** Where nobody has written a reason down. */
export const NOT_EXPLAINED = "not explained yet.";

const WIDTH = 480;
const MARGIN = 16;
const LINE = 20;
const FONT = 13;
/** Characters of a line of text: 7.2 pixels each in the widest font of those named. */
const LINE_LENGTH = Math.floor((WIDTH - 2 * MARGIN) / 7.2);

/** Where the bars and marks of the cases are. */
const PLOT = { left: 226, right: WIDTH - MARGIN - 62 };
const CURVE_HEIGHT = 112;

/**
 * Blue and vermilion of Okabe and Ito, which color-blind people tell apart; lighter on a dark
 * background. Slower is a shape of its own too.
 */
const STYLE = `
  :root { --ink: #1f2328; --soft: #59636e; --line: #d1d9e0; --paper: #ffffff;
    --faster: #0072b2; --slower: #d55e00; --third: #007a5a }
  @media (prefers-color-scheme: dark) { :root { --ink: #f0f6fc; --soft: #9198a1;
    --line: #3d444d; --paper: #0d1117; --faster: #56b4e9; --slower: #e69f00; --third: #2fc79a } }
  text { font: ${FONT}px system-ui, -apple-system, "Segoe UI", sans-serif; fill: var(--ink) }
  .title { font-size: 19px; font-weight: 600 } .head { font-size: 15px; font-weight: 600 }
  .soft { fill: var(--soft) } .tick { fill: var(--soft); font-size: 12px }
  .value { font-variant-numeric: tabular-nums } .end { text-anchor: end } .middle { text-anchor: middle }
  .grid { stroke: var(--line) } .one { stroke: var(--ink); stroke-width: 1.5 }
  .faster { fill: var(--faster) } .slower { fill: var(--slower) }
  path { fill: none; stroke-width: 2.5; stroke-linejoin: round }
  .size0 { stroke: var(--faster) } .size1 { stroke: var(--ink); stroke-dasharray: 7 3 }
  .size2 { stroke: var(--third); stroke-dasharray: 2 3 }`;

/** The chart. */
export function chart(
  ratios: readonly Ratio[],
  curve: readonly Line[],
  made: string,
): string {
  const drawing = new Drawing();
  const title = "MmapFile beside Deno.FsFile";
  drawing.text(title, "title", 26);
  drawing.paragraph(
    "How many times as fast, on a logarithmic scale. At 1 both are as fast; to the right MmapFile is faster (blue circles and bars), to the left slower (orange diamonds and bars).",
    "soft",
  );
  const work = ratios.filter(({ group }) => group === "Real work");
  const others = ratios.filter(({ group }) =>
    group !== "Real work" && group !== CURVE.title
  );
  const losing = ratios.filter(isLosing);
  drawBars(drawing, work);
  drawCurves(drawing, curve);
  drawGroups(drawing, others);
  drawLosing(drawing, losing);
  drawing.gap(10);
  drawing.paragraph(made, "soft");
  return drawing.svg(
    title,
    `${ratios.length} cases, ${losing.length} of them slower. ` +
      work.map(({ name, ratio }) => `${name}: ${digits(ratio)}`).join("; "),
  );
}

/** Grows downwards. */
class Drawing {
  #y = MARGIN;
  readonly #parts: string[] = [];

  get y(): number {
    return this.#y;
  }

  add(part: string): void {
    this.#parts.push(part);
  }

  gap(height: number): void {
    this.#y += height;
  }

  text(text: string, kind: string, height = LINE): void {
    this.#y += height;
    this.label(MARGIN, this.#y - 6, text, kind);
  }

  label(x: number, y: number, text: string, kind = ""): void {
    this.add(
      `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" class="${kind}">${
        escaped(text)
      }</text>`,
    );
  }

  /** Text over as many lines as it needs. */
  paragraph(text: string, kind = ""): void {
    let line = "";
    for (const word of text.split(" ")) {
      if (line !== "" && line.length + word.length >= LINE_LENGTH) {
        this.text(line, kind, 18);
        line = "";
      }
      line += line === "" ? word : ` ${word}`;
    }
    this.text(line, kind, 18);
  }

  line(x1: number, y1: number, x2: number, y2: number, kind: string): void {
    this.add(
      `<line x1="${x1.toFixed(1)}" y1="${y1.toFixed(1)}" x2="${
        x2.toFixed(1)
      }" y2="${y2.toFixed(1)}" class="${kind}"/>`,
    );
  }

  svg(title: string, description: string): string {
    const height = this.#y + MARGIN;
    return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-labelledby="title description">
<title id="title">${escaped(title)}</title>
<desc id="description">${escaped(description)}</desc>
<style>${STYLE}
</style>
<rect width="100%" height="100%" rx="6" style="fill: var(--paper)"/>
${this.#parts.join("\n")}
</svg>
`;
  }
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

/** A logarithmic axis from pixel to pixel. */
class Axis {
  readonly #min: number;
  readonly #max: number;

  constructor(
    values: readonly number[],
    readonly from: number,
    readonly to: number,
  ) {
    this.#min = Math.log10(Math.min(0.5, ...values) * 0.85);
    this.#max = Math.log10(Math.max(3, ...values) * 1.15);
  }

  at(value: number): number {
    const part = (Math.log10(value) - this.#min) / (this.#max - this.#min);
    return this.from + part * (this.to - this.from);
  }

  /** 1 and 3 times powers of ten, or the powers alone where those would be too close. */
  ticks(): number[] {
    const isWide = this.#max - this.#min > 2.2;
    return [-2, -1, 0, 1, 2, 3, 4, 5]
      .flatMap((power) =>
        isWide ? [10 ** power] : [10 ** power, 3 * 10 ** power]
      )
      .filter((value) => {
        const log = Math.log10(value);
        return log > this.#min && log < this.#max;
      });
  }
}

/** The scale above rows of cases, and its lines through them. */
function drawScale(drawing: Drawing, axis: Axis, rows: number): void {
  drawing.gap(16);
  const { y } = drawing;
  for (const tick of axis.ticks()) {
    const x = axis.at(tick);
    drawing.line(x, y + 2, x, y + 4 + rows * LINE, tick === 1 ? "one" : "grid");
    drawing.label(x, y - 3, String(tick), "tick middle");
  }
  drawing.gap(4);
}

function drawBars(drawing: Drawing, work: readonly Ratio[]): void {
  drawing.gap(10);
  drawing.text("Real work, end to end", "head", 24);
  const axis = new Axis(
    work.map(({ ratio }) => ratio),
    PLOT.left,
    PLOT.right,
  );
  drawScale(drawing, axis, work.length);
  for (const one of work) {
    const { name, ratio } = one;
    const [x1, x2] = [axis.at(1), axis.at(ratio)].toSorted((a, b) => a - b);
    drawing.add(
      `<rect x="${x1!.toFixed(1)}" y="${drawing.y + 4}" width="${
        Math.max(1, x2! - x1!).toFixed(1)
      }" height="12" class="${side(one)}"/>`,
    );
    drawing.label(
      WIDTH - MARGIN,
      drawing.y + 15,
      digits(ratio),
      "value end",
    );
    drawing.text(name, "");
  }
}

function drawCurves(drawing: Drawing, lines: readonly Line[]): void {
  drawing.gap(14);
  drawing.text("From the first call on", "head", 24);
  drawing.paragraph(
    "A file is opened, read or written so many times 4 KiB, and closed: times as fast, by the number of calls.",
    "soft",
  );
  const sizes = Object.keys(SIZES) as (keyof typeof SIZES)[];
  drawing.gap(20);
  let x = MARGIN;
  for (const [i, size] of sizes.entries()) {
    drawing.add(
      `<path d="M${x} ${drawing.y - 5}h28" class="size${i}"/>`,
    );
    drawing.label(x + 34, drawing.y, size);
    x += 110;
  }
  const ratios = lines.flatMap(({ values }) => values["times as fast"] ?? []);
  for (const pattern of PATTERNS) drawCurve(drawing, pattern, lines, ratios);
}

function drawCurve(
  drawing: Drawing,
  pattern: Pattern,
  lines: readonly Line[],
  ratios: readonly number[],
): void {
  drawing.gap(6);
  drawing.text(pattern, "");
  const top = drawing.y + 4;
  const bottom = top + CURVE_HEIGHT;
  const [left, right] = [MARGIN + 28, WIDTH - MARGIN - 8];
  const axis = new Axis(ratios, bottom, top);
  for (const tick of axis.ticks()) {
    const y = axis.at(tick);
    drawing.line(left, y, right, y, tick === 1 ? "one" : "grid");
    drawing.label(left - 5, y + 4, String(tick), "tick end");
  }
  const x = (count: number) => left + (right - left) * Math.log10(count) / 5;
  for (let power = 0; power <= 5; power++) {
    const count = 10 ** power;
    const kind = power === 0 ? "middle" : power === 5 ? "end" : "middle";
    drawing.label(
      power === 5 ? right : x(count),
      bottom + 15,
      count.toLocaleString("en-US") + (power === 0 ? " call" : ""),
      `tick ${kind}`,
    );
  }
  for (const [i, size] of Object.keys(SIZES).entries()) {
    const points = pointsOf(lines, pattern, size as keyof typeof SIZES);
    if (points.length === 0) continue;
    const path = points.map(({ count, ratio }) =>
      `${x(count).toFixed(1)} ${axis.at(ratio).toFixed(1)}`
    ).join("L");
    drawing.add(
      `<path d="M${path}" class="size${i}"><title>${pattern}, ${size}</title></path>`,
    );
  }
  drawing.gap(CURVE_HEIGHT + 22);
}

/** A line for each group, with a mark for each of its cases. */
function drawGroups(
  drawing: Drawing,
  cases: readonly Ratio[],
): void {
  const groups = Map.groupBy(cases, ({ group }) => group);
  drawing.gap(14);
  drawing.text("All cases, by group", "head", 24);
  drawing.paragraph(
    "Each mark is a case: sizes of 1 KB to 1 GB, or calls of one kind. Groups with a slash compare something else.",
    "soft",
  );
  const axis = new Axis(
    cases.map(({ ratio }) => ratio),
    PLOT.left,
    PLOT.right,
  );
  drawScale(drawing, axis, groups.size);
  for (const [group, cases] of groups) {
    const y = drawing.y + 10;
    const ratios = cases.map(({ ratio }) => ratio);
    drawing.line(
      axis.at(Math.min(...ratios)),
      y,
      axis.at(Math.max(...ratios)),
      y,
      "grid",
    );
    for (const one of cases) {
      drawing.add(mark(one, axis.at(one.ratio), y));
    }
    const range = [Math.min(...ratios), Math.max(...ratios)].map(short);
    drawing.label(
      WIDTH - MARGIN,
      y + 5,
      [...new Set(range)].join("–"),
      "value end",
    );
    drawing.text(group, "");
  }
}

function short(value: number): string {
  return value.toFixed(value >= 10 ? 0 : value >= 0.1 ? 1 : 3);
}

/** A circle, or a diamond where it is slower. */
function mark(one: Ratio, x: number, y: number): string {
  const title = `<title>${escaped(one.name)}: ${digits(one.ratio)}</title>`;
  const kind = side(one);
  return kind === "faster"
    ? `<circle cx="${
      x.toFixed(1)
    }" cy="${y}" r="4.5" class="${kind}" fill-opacity="0.75">${title}</circle>`
    : `<rect x="${(x - 4).toFixed(1)}" y="${
      y - 4
    }" width="8" height="8" transform="rotate(45 ${
      x.toFixed(1)
    } ${y})" class="${kind}">${title}</rect>`;
}

function side(one: Ratio): string {
  return isLosing(one) ? "slower" : "faster";
}

/** What is slower, in the same size, with the reason. */
function drawLosing(drawing: Drawing, losing: readonly Ratio[]): void {
  drawing.gap(14);
  drawing.text("Slower, and why", "head", 24);
  if (losing.length === 0) drawing.paragraph("Nothing.");
  const reasons = Map.groupBy(losing, ({ reason }) => reason ?? NOT_EXPLAINED);
  for (const [reason, cases] of reasons) {
    const names = cases.map(({ name, ratio }) => `${name} (${digits(ratio)})`);
    drawing.paragraph(`◆ ${names.join("; ")}: ${reason}`);
  }
}

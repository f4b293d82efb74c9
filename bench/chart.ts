/**
 * The picture of a report: how many times as fast as `Deno.FsFile` each row is.
 *
 * @module
 */

import * as echarts from "echarts";
import { isMissed, type Measurement } from "./pairs.ts";

const ROW_HEIGHT = 17;
const PANEL_GAP = 46;
const TOP = 92;
const WIDTH = 1040;
const COLUMN_WIDTH = WIDTH / 2;
const LABEL_WIDTH = 265;
const BAR_WIDTH = 185;

/** From a third as fast to a thousand times. */
const MIN = 0.3;
const MAX = 1000;

const FASTER = "#2a9d5c";
const EVEN = "#8a97a5";
const SLOWER = "#d1495b";

/** Rows of one family, in one part of the picture. */
interface Panel {
  readonly family: string;
  readonly rows: readonly Measurement[];
  readonly left: number;
  readonly top: number;
}

/** The chart as SVG. */
export function chart(
  measurements: readonly Measurement[],
  title: string,
  subtitle: string,
): string {
  const { panels, height } = layOut(measurements);
  const instance = echarts.init(null, null, {
    renderer: "svg",
    ssr: true,
    width: WIDTH,
    height,
  });
  try {
    instance.setOption({
      animation: false,
      backgroundColor: "#ffffff",
      textStyle: { fontFamily: "sans-serif" },
      title: [
        {
          text: title,
          subtext: subtitle,
          left: 16,
          top: 10,
          textStyle: { fontSize: 19 },
          subtextStyle: { fontSize: 12, color: "#555", lineHeight: 17 },
        },
        ...panels.map(({ family, left, top }) => ({
          text: family,
          left: left + 14,
          top: top - 24,
          textStyle: { fontSize: 13 },
        })),
      ],
      grid: panels.map(({ rows, left, top }) => ({
        left: left + LABEL_WIDTH,
        top,
        width: BAR_WIDTH,
        height: rows.length * ROW_HEIGHT,
        // Long names may not move the bars: all panels have one scale.
        outerBoundsMode: "none",
      })),
      xAxis: panels.map((_, gridIndex) => ({
        type: "log",
        gridIndex,
        min: MIN,
        max: MAX,
        axisLabel: { show: false },
        axisLine: { show: false },
        axisTick: { show: false },
        splitLine: { show: false },
      })),
      yAxis: panels.map(({ rows }, gridIndex) => ({
        type: "category",
        gridIndex,
        inverse: true,
        data: rows.map(({ row }) => row.name),
        axisLine: { show: false, onZero: false },
        axisTick: { show: false },
        axisLabel: { color: "#222", fontSize: 11 },
      })),
      series: panels.map(({ rows }, index) => ({
        type: "bar",
        xAxisIndex: index,
        yAxisIndex: index,
        barWidth: ROW_HEIGHT - 5,
        data: rows.map(bar),
        markLine: {
          silent: true,
          symbol: "none",
          label: { fontSize: 9, color: "#777", formatter: "{c}×" },
          data: [
            { xAxis: 1, lineStyle: { color: "#222", type: "solid", width: 1 } },
            ...[10, 100].map((xAxis) => ({
              xAxis,
              lineStyle: { color: "#c8ced4", type: "dashed", width: 1 },
            })),
          ],
        },
      })),
    });
    return instance.renderToSVGString();
  } finally {
    // Its timers would keep the process alive.
    instance.dispose();
  }
}

/** A bar from 1 to the ratio, which is written behind it. */
function bar(measurement: Measurement) {
  const { ratio } = measurement;
  const missed = isMissed(measurement) && measurement.row.target >= 1;
  return {
    value: Math.min(MAX, Math.max(MIN, ratio)),
    itemStyle: {
      color: ratio >= 1.05 ? FASTER : ratio >= 0.95 ? EVEN : SLOWER,
    },
    label: {
      show: true,
      position: "right",
      color: missed ? SLOWER : "#222",
      fontSize: 11,
      formatter: `${format(ratio)}×`,
    },
  };
}

function format(ratio: number): string {
  return ratio.toFixed(ratio < 10 ? 2 : ratio < 100 ? 1 : 0);
}

/** Families one below the other, in two columns of about the same height. */
function layOut(
  measurements: readonly Measurement[],
): { panels: Panel[]; height: number } {
  const families = Map.groupBy(measurements, ({ row }) => row.family);
  const columns = [TOP, TOP];
  const panels: Panel[] = [];
  for (const [family, rows] of families) {
    const column = columns[0] <= columns[1] ? 0 : 1;
    const top = columns[column] + PANEL_GAP - 20;
    panels.push({ family, rows, left: column * COLUMN_WIDTH, top });
    columns[column] = top + rows.length * ROW_HEIGHT + 20;
  }
  return { panels, height: Math.max(...columns) + 10 };
}

// @ts-check
// Small plots: axes, and the density of the null.

const WIDTH = 640;
const PLOT = { left: 8, right: 8, top: 22, height: 96 };

function scale(low, high) {
  const span = high > low ? high - low : 1;
  return (value) => PLOT.left + ((value - low) / span) * (WIDTH - PLOT.left - PLOT.right);
}

function ticks(low, high, wanted = 6) {
  const rough = (high - low) / wanted || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 2.5, 5, 10].find((one) => one * power >= rough);
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-9; at += step)
    found.push(Number(at.toPrecision(12)));
  return found;
}

function axis(at, low, high, title) {
  const y = PLOT.top + PLOT.height;
  return s(
    "g",
    { class: "axis" },
    s("line", { x1: PLOT.left, x2: WIDTH - PLOT.right, y1: y, y2: y }),
    ticks(low, high).map((one) =>
      s(
        "g",
        {},
        s("line", { x1: at(one), x2: at(one), y1: y, y2: y + 4 }),
        s("text", { x: at(one), y: y + 20, "text-anchor": "middle" }, significant(one, 4)),
      ),
    ),
    s("text", { x: WIDTH - PLOT.right, y: y + 42, "text-anchor": "end" }, title),
  );
}

function plot(title, description, ...parts) {
  return s(
    "svg",
    {
      class: "plot",
      viewBox: `0 0 ${WIDTH} ${PLOT.top + PLOT.height + 46}`,
      role: "img",
      "aria-label": `The plot shows ${title}: ${description}.`,
    },
    parts,
  );
}

// Density from quantiles: what lies between two of them, over how far they are apart, smoothed over a few.
function density({ level, z }) {
  const step = Math.max(1, Math.round(level.length / 34));
  const bars = [];
  for (let at = 0; at + 1 < z.length; at += step) {
    const to = Math.min(at + step, z.length - 1);
    if (z[to] > z[at]) bars.push({ from: z[at], to: z[to], height: (level[to] - level[at]) / (z[to] - z[at]) });
  }
  return bars;
}

function quantile({ level, z }, wanted) {
  const at = level.findIndex((one) => one >= wanted);
  return at < 0 ? z[z.length - 1] : z[at];
}

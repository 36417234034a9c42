// Draws the charts of a page from their specifications, in the colours of the page.
// Needs vega.js. Works under a Content-Security-Policy without unsafe-eval and without inline styles.

const NARROW = 520;

/** Returns a function from var(--name) to the colour that the element has for it. */
function colourReader(element) {
  const probe = document.createElement("span");
  probe.hidden = true;
  element.append(probe);
  const found = new Map();
  const read = (variable) => {
    if (!found.has(variable)) {
      probe.style.color = variable;
      found.set(variable, getComputedStyle(probe).color);
    }
    return found.get(variable);
  };
  return { read, close: () => probe.remove() };
}

function withColours(value, read) {
  if (typeof value === "string") return value.startsWith("var(--") ? read(value) : value;
  if (Array.isArray(value)) return value.map((each) => withColours(each, read));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, withColours(each, read)]));
}

// One tooltip for all charts: the first pair is its heading.
const tooltip = document.createElement("div");
tooltip.className = "chart-tooltip";
tooltip.hidden = true;
document.body.append(tooltip);

function showTooltip(handler, event, item, value) {
  if (value === null || typeof value !== "object" || event.clientX === undefined) {
    tooltip.hidden = true;
    return;
  }
  const [[, heading], ...figures] = Object.entries(value);
  const title = document.createElement("p");
  title.textContent = heading;
  const list = document.createElement("dl");
  for (const [name, figure] of figures) {
    const term = document.createElement("dt");
    const description = document.createElement("dd");
    term.textContent = name;
    description.textContent = figure;
    list.append(term, description);
  }
  tooltip.replaceChildren(title, list);
  tooltip.hidden = false;
  const { width, height } = tooltip.getBoundingClientRect();
  const left = event.clientX + 14 + width > innerWidth ? event.clientX - 14 - width : event.clientX + 14;
  const top = event.clientY + 14 + height > innerHeight ? event.clientY - 14 - height : event.clientY + 14;
  tooltip.style.left = `${Math.max(0, left)}px`;
  tooltip.style.top = `${Math.max(0, top)}px`;
}

/** Draws one plot in place. */
async function draw(plot) {
  const spec = JSON.parse(plot.nextElementSibling.textContent);
  const colours = colourReader(plot.parentElement);
  const shown = withColours(spec, colours.read);
  colours.close();
  shown.config.font = getComputedStyle(plot).fontFamily;
  const width = plot.parentElement.clientWidth;
  const isNarrow = width < NARROW;
  // Names of groups may take a third of the width.
  for (const each of shown.layer.flatMap((outer) => [outer, ...(outer.layer ?? [])])) {
    const axis = each.encoding?.y?.axis;
    if (axis?.labelLimit) axis.labelLimit = isNarrow ? 110 : width / 3;
  }
  if (isNarrow) Object.assign(shown.config.legend, { columns: 1, labelLimit: 280 });
  plot.classList.add("is-drawn");
  plot.view?.finalize();
  const { view } = await window.vegaEmbed(plot, shown, {
    actions: false,
    ast: true,
    defaultStyle: false,
    renderer: "svg",
    tooltip: showTooltip,
  });
  plot.view = view;
  // The plot has a label, and the same figures are in a table.
  plot.querySelector("svg")?.setAttribute("aria-hidden", "true");
}

/** Draws all charts of an element, by default of the page. */
export async function drawCharts(root = document) {
  for (const plot of root.querySelectorAll(".chart-plot")) await draw(plot);
  document.documentElement.dataset.charts = "drawn";
}

await drawCharts();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawCharts());
new MutationObserver(() => drawCharts()).observe(document.documentElement, { attributeFilter: ["data-theme"] });

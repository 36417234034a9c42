// The builder of filters without reloading the page: the server renders each change, this puts it in place.
// Pages listen to the event "filterchange" of the form, whose fields are the filter.

const DELAY = 250;

function fieldsOf(form) {
  return [...new FormData(form)].filter(([name]) => name.startsWith("f.") || name === "club");
}

async function refresh(builder, action, focus) {
  const form = builder.closest("form");
  const params = new URLSearchParams(fieldsOf(form));
  const club = new URLSearchParams(location.search).get("club");
  if (club && !params.has("club")) params.set("club", club);
  if (action) params.set("do", action);
  if (builder.dataset.with) params.set("with", builder.dataset.with);
  builder.setAttribute("aria-busy", "true");
  const response = await fetch(`/filters/${encodeURIComponent(builder.dataset.report)}?${params}`);
  if (!response.ok) {
    form.requestSubmit();
    return;
  }
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const changed = document.importNode(page.querySelector("[data-filter-builder]"), true);
  builder.replaceWith(changed);
  const target = focus
    ? changed.querySelector(`[name="${CSS.escape(focus)}"]`)
    : [...changed.querySelectorAll("[data-refresh]")].filter((each) => each.value === "").at(-1);
  (target ?? changed.querySelector("button")).focus();
  form.dispatchEvent(new CustomEvent("filterchange", { bubbles: true }));
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-filter-builder] button[name=do]");
  if (button === null) return;
  event.preventDefault();
  refresh(button.closest("[data-filter-builder]"), button.value, "");
});

document.addEventListener("change", (event) => {
  const builder = event.target.closest("[data-filter-builder]");
  if (builder !== null && event.target.matches("[data-refresh]")) refresh(builder, "", event.target.name);
});

// What is typed counts after a pause.
let timer = 0;
document.addEventListener("input", (event) => {
  const builder = event.target.closest("[data-filter-builder]");
  if (builder === null || event.target.matches("[data-refresh]")) return;
  clearTimeout(timer);
  timer = setTimeout(() => {
    builder.closest("form")?.dispatchEvent(new CustomEvent("filterchange", { bubbles: true }));
  }, DELAY);
});

// Enter in a field applies the filter; the first button of the form would change it instead.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !event.target.matches("[data-filter-builder] input")) return;
  const form = event.target.closest("form");
  const apply = form.querySelector("[data-apply]");
  if (apply !== null) {
    event.preventDefault();
    form.requestSubmit(apply);
  }
});

const loaded = new Map();

function valuesOf(report, field) {
  const key = `${report} ${field}`;
  if (!loaded.has(key)) {
    const params = new URLSearchParams(location.search);
    const query = new URLSearchParams({ field });
    if (params.has("club")) query.set("club", params.get("club"));
    for (const name of ["from", "to"]) {
      const input = document.querySelector(`[data-range-${name}]`);
      if (input) query.set(name, input.dataset[`range${name === "from" ? "From" : "To"}`]);
    }
    const request = fetch(`/filters/${encodeURIComponent(report)}/values.json?${query}`);
    loaded.set(key, request.then((response) => (response.ok ? response.json() : { values: [] })));
  }
  return loaded.get(key);
}

document.addEventListener("focusin", async (event) => {
  const input = event.target;
  if (!input.matches?.("input[data-values]") || input.list === null || input.list.childElementCount > 0) return;
  const builder = input.closest("[data-filter-builder]");
  const { values } = await valuesOf(builder.dataset.report, input.dataset.values);
  for (const each of values) {
    if (each.value === null) continue;
    const option = document.createElement("option");
    option.value = String(each.value);
    const name = each.name || String(each.value);
    option.label = each.count === null ? name : `${name} (${each.count})`;
    input.list?.append(option);
  }
});

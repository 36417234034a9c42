// The number of members of a filter while it is being built. Without this script the button "Count" shows it.

for (const output of document.querySelectorAll("[data-live-count]")) {
  const form = output.closest("form");
  const number = output.querySelector(".live-count-number");
  const unit = output.querySelector(".live-count-unit");
  const problem = output.querySelector(".live-count-problem");
  let running = null;
  for (const element of form.querySelectorAll("[data-hidden-with-live-count]")) element.hidden = true;

  // The builder waits for a pause in typing before it says that the filter has changed.
  form.addEventListener("filterchange", async () => {
    running?.abort();
    running = new AbortController();
    const target = new URL(output.dataset.liveCount, location.href);
    for (const [name, value] of new FormData(form)) {
      if (name.startsWith("f.")) target.searchParams.append(name, value);
    }
    output.setAttribute("aria-busy", "true");
    try {
      const response = await fetch(target, { signal: running.signal });
      const found = await response.json();
      const isHidden = found.members_count === null && !found.problem;
      number.textContent = found.text || "–";
      unit.textContent = found.members_count === 1 ? output.dataset.one : output.dataset.many;
      problem.textContent = response.ok ? found.problem || (isHidden ? output.dataset.hidden : "") : found.error;
    } catch (error) {
      if (error.name === "AbortError") return;
      number.textContent = "–";
    }
    output.removeAttribute("aria-busy");
  });
}

// What the pages of reports do with a script: hide dates that are not chosen, copy commands, show progress.

const period = document.querySelector("#period");
if (period !== null) {
  const showDates = () => {
    for (const each of document.querySelectorAll("[data-dates]")) each.hidden = period.value !== "custom";
  };
  period.addEventListener("change", showDates);
  showDates();
}

for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) break;
  button.hidden = false;
  button.addEventListener("click", () => {
    navigator.clipboard.writeText(button.parentElement.nextElementSibling.textContent.trim());
  });
}

const progress = document.querySelector("[data-progress]");
if (progress !== null) {
  const poll = async () => {
    const response = await fetch(progress.dataset.progress);
    if (!response.ok) return;
    const { status, progress: part } = await response.json();
    if (status !== "queued" && status !== "running" && status !== "waiting") {
      location.reload();
      return;
    }
    progress.value = part <= 1 ? (part ?? 0) * 100 : part;
    setTimeout(poll, 1000);
  };
  setTimeout(poll, 500);
}

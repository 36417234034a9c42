// What every page uses: choices that submit themselves, and forms that are sent once.

for (const form of document.querySelectorAll("form[data-submit-on-change]")) {
  for (const element of form.querySelectorAll("[data-hidden-with-script]")) {
    element.hidden = true;
  }
  form.addEventListener("change", () => form.requestSubmit());
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!(form instanceof HTMLFormElement) || form.method !== "post") {
    return;
  }
  if (form.dataset.isSent) {
    event.preventDefault();
    return;
  }
  form.dataset.isSent = "true";
  form.setAttribute("aria-busy", "true");
});

// A page that comes back from the browser's cache can be sent again.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) {
    for (const form of document.querySelectorAll("form[data-is-sent]")) {
      delete form.dataset.isSent;
      form.removeAttribute("aria-busy");
    }
  }
});

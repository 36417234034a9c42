// The slider of a member's page: it follows the date field and the other way round. Without it the date field does the same.

const form = document.querySelector("form[data-as-of]");
const slider = form.querySelector("input[type=range]");
const date = form.querySelector("input[type=date]");
const first = Date.parse(`${form.dataset.first}T00:00:00Z`);
const DAY = 86_400_000;
const words = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeZone: "UTC" });

form.querySelector(".as-of-slider").hidden = false;

function describe(at) {
  slider.setAttribute("aria-valuetext", words.format(at));
}

slider.addEventListener("input", () => {
  const at = new Date(first + slider.valueAsNumber * DAY);
  date.value = at.toISOString().slice(0, 10);
  describe(at);
});
slider.addEventListener("change", () => form.requestSubmit());

date.addEventListener("change", () => {
  if (date.value && date.validity.valid) {
    slider.valueAsNumber = Math.round((date.valueAsNumber - first) / DAY);
    describe(date.valueAsDate);
  }
});

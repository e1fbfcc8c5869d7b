// The photographs of a person as a row of small pictures, and the files that could not be used.
const list = element.querySelector(".photos"), skipped = element.querySelector(".skipped");
const clear = element.querySelector(".clear");
let turn = -1, shown = null, large = [];
const make = (tag, parent, text = "") => {
  const made = document.createElement(tag);
  made.textContent = text;
  parent.append(made);
  return made;
};
function show(value) {
  if (!value || value.turn < turn) return;
  turn = value.turn;
  shown = value;
  if (value.cleared) large = [];
  const focus = [...list.children].indexOf(document.activeElement);
  list.replaceChildren();
  list.hidden = !value.photos.length;
  element.querySelector(".welcome").hidden = value.photos.length > 0;
  value.photos.forEach((photo, index) => {
    const button = make("button", list);
    button.type = "button";
    button.title = photo.name;
    button.className = photo.verdict;
    button.setAttribute("aria-current", String(index === value.place));
    Object.assign(make("img", button), { src: photo.thumbnail, alt: "" });
    make("span", button, photo.name).className = "name";
    make("span", button, photo.verdict).className = "verdict";
    button.addEventListener("click", () => trigger("pick", { place: index }));
  });
  if (focus >= 0 && list.children[value.place]) list.children[value.place].focus();
  const current = list.children[value.place];
  if (current) list.scrollLeft = current.offsetLeft - list.clientWidth / 2 + current.clientWidth / 2;
  element.querySelector(".count span").textContent = value.words;
  clear.hidden = !value.photos.length && !value.skipped.length && !large.length;
  complain();
}
function complain() {
  const reasons = [...shown.skipped, ...large.map((name) => [name, `larger than ${shown.limit >> 20} MB`])];
  skipped.replaceChildren();
  skipped.hidden = !reasons.length;
  if (reasons.length) make("strong", skipped, "Could not be used:");
  const list = make("ul", skipped);
  for (const [name, reason] of reasons) {
    const item = make("li", list);
    make("b", item, name);
    item.append(`: ${reason}`);
  }
}

// Files that are too large are told here, and the others uploaded; Gradio would refuse all of them, and show names
// as HTML. What is dropped takes the same way as what is chosen.
const zone = (event) => event.target.closest?.(".uploads");
function sift(files, input) {
  large = [];
  const small = new DataTransfer();
  clear.hidden = false;
  for (const file of files) file.size > shown.limit ? large.push(file.name) : small.items.add(file);
  complain();
  input.files = small.files;
}
function chosen(event) {
  if (!zone(event) || ![...event.target.files].some((file) => file.size > shown.limit)) return;
  sift([...event.target.files], event.target);
  if (!event.target.files.length) event.stopImmediatePropagation();
}
function dropped(event) {
  const input = zone(event)?.querySelector("input[type=file]");
  if (!input || ![...event.dataTransfer.files].some((file) => file.size > shown.limit)) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  sift([...event.dataTransfer.files], input);
  if (input.files.length) input.dispatchEvent(new Event("change", { bubbles: true }));
}
document.addEventListener("change", chosen, true);
document.addEventListener("drop", dropped, true);
clear.addEventListener("click", () => {
  const judged = shown.photos.filter((photo) => photo.verdict).length;
  if (!judged || confirm(`Forget what you said about ${judged} of ${shown.photos.length} photographs?`)) trigger("clear", {});
});
watch("value", () => show(props.value));
show(props.value);

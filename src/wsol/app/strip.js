// The photographs of a person as a row of small pictures, and the files that could not be used.
const list = element.querySelector(".photos"), skipped = element.querySelector(".skipped");
let turn = -1;
const make = (tag, parent, text = "") => {
  const made = document.createElement(tag);
  made.textContent = text;
  parent.append(made);
  return made;
};
function show(value) {
  if (!value || value.turn < turn) return;
  turn = value.turn;
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
  element.querySelector(".count").textContent = value.words;
  skipped.replaceChildren();
  skipped.hidden = !value.skipped.length;
  if (value.skipped.length) make("strong", skipped, "Could not be used:");
  const reasons = make("ul", skipped);
  for (const [name, reason] of value.skipped) {
    const item = make("li", reasons);
    make("b", item, name);
    item.append(`: ${reason}`);
  }
}
watch("value", () => show(props.value));
show(props.value);

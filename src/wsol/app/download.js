// The outcome as a file: it comes as a data URI, so that nothing of it stays on the server.
const status = element.querySelector("p");
element.querySelector("button").addEventListener("click", () => {
  status.textContent = "";
  trigger("download", { format: element.querySelector("select").value });
});
watch("value", () => {
  const { name, uri, words } = props.value || {};
  status.textContent = words || "";
  if (!uri) return;
  const link = Object.assign(document.createElement("a"), { href: uri, download: name });
  document.body.append(link);
  link.click();
  link.remove();
});

// Builds elements. Text goes in as text nodes only, so nothing from outside is ever read as markup.

/**
 * Return a new element. `attributes` are set by name, except `class`, `text` (its text) and `on` (event listeners);
 * false and null leave an attribute out. Children are nodes or strings.
 */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") node.className = value;
    else if (name === "text") node.textContent = value;
    else if (name === "on") {
      for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    } else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children);
  return node;
}

/** Write a text only when it differs, so that an unchanged page costs nothing. */
export function write(node, text) {
  if (node.writtenText === text) return;
  node.writtenText = text;
  node.textContent = text;
}

/** Set or take away (null) an attribute only when it differs. */
export function mark(node, name, value) {
  if (value === null || value === undefined) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

/** Set the classes of an element only when they differ. */
export function dress(node, classes) {
  if (node.className !== classes) node.className = classes;
}

/** Show or hide an element. */
export function show(node, visible) {
  if (node.hidden === visible) node.hidden = !visible;
}

/** Return a labelled choice; `entries` are [value, words] pairs. */
export function choice(label, value, entries, onChange) {
  const select = element("select", { "aria-label": label, title: label, on: { change: () => onChange(select.value) } });
  for (const [key, words] of entries) select.append(element("option", { value: key, text: words }));
  if (!entries.some(([key]) => key === value)) select.append(element("option", { value, text: value }));
  select.value = value;
  return select;
}

/** Return the size of one rem in CSS pixels: what `scale` changes. */
export function rem() {
  return parseFloat(getComputedStyle(document.documentElement).fontSize) || 16;
}

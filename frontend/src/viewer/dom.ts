// Small helpers of the page: finding, making and marking elements.

export function byId(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (!found) throw new Error(`no element ${id}`);
  return found;
}

export function element(tag: string, className = ""): HTMLElement {
  const made = document.createElement(tag);
  if (className) made.className = className;
  return made;
}

export function text(tag: string, content: string, className = ""): HTMLElement {
  const made = element(tag, className);
  made.textContent = content;
  return made;
}

export function scoped(cell: HTMLElement, scope: string): HTMLElement {
  cell.setAttribute("scope", scope);
  return cell;
}

export function set(host: HTMLElement, selector: string, content: string): void {
  const found = host.querySelector(selector);
  if (found) found.textContent = content;
}

export function pressed(act: string, on: boolean): void {
  document.querySelector(`[data-act="${act}"]`)?.setAttribute("aria-pressed", String(on));
}

export function words(code: string): string {
  return code.replaceAll("_", " ").replaceAll(".", " ");
}

export function inside(host: HTMLElement, event: PointerEvent): [number, number] {
  const box = host.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

/** After the browser has painted what was drawn so far. */
export function painted(): Promise<void> {
  return new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
}

/** One line to the reader; bad ones stand out. */
export function say(message: string, bad = false): void {
  const line = byId("message");
  line.textContent = message;
  line.classList.toggle("bad", bad);
}

// Score sheets: a button a cell, whose click raises the grade.
import { byId, element, scoped, text, words } from "./dom";
import type { Cell, Score } from "./types";

/** Most columns of a score sheet drawn as a table; more (slices) are drawn as a strip for each row. */
const MOST_COLUMNS = 5;

/** Sends a cell (as score/cell) with the grade it shall have. */
type SetCell = (target: string, value: number) => void;

/** Cells of one place, each with the column it stands in. */
type Row = [column: string, cell: Cell][];

/** Draws the sheets; those that were open stay open, at first the first one is. */
export function showScores(scores: Score[], setCell: SetCell): void {
  byId("scores").replaceChildren(...scores.map((score, n) => sheet(score, n === 0, setCell)));
}

function sheet(score: Score, open: boolean, setCell: SetCell): HTMLElement {
  const box = element("details", "score") as HTMLDetailsElement;
  box.dataset["score"] = score.id;
  box.open = byId("scores").querySelector<HTMLDetailsElement>(`[data-score="${CSS.escape(score.id)}"]`)?.open ?? open;
  const heading = element("summary");
  const value = score.total.value;
  const shown = value === undefined ? score.total.status.replaceAll("_", " ") : String(+value.toFixed(2));
  heading.append(text("span", score.label), text("b", shown));
  box.append(heading);
  if (score.statement) box.append(text("p", score.statement));
  if (score.cells.length) box.append(...cellSheet(score, setCell));
  else box.append(text("p", "no cells"));
  return box;
}

/** A score's cells as readers know them: one row a place; columns, or a strip of slices where there are many. */
function cellSheet(score: Score, setCell: SetCell): HTMLElement[] {
  const rows = new Map<string, Row>();
  for (const cell of score.cells) {
    const [place, column] = placed(cell.id);
    rows.set(place, [...(rows.get(place) ?? []), [column, cell]]);
  }
  const columns = [...new Set([...rows.values()].flat().map(([column]) => column))];
  if (columns.length <= MOST_COLUMNS) return [cellTable(score, rows, columns, setCell)];
  return [...rows].flatMap(([place, cells]) => {
    const strip = element("div", "strip");
    strip.append(...cells.map(([column, cell]) => cellButton(score, cell, setCell, column)));
    return [text("p", words(place), "strip-name"), strip];
  });
}

function cellTable(score: Score, rows: Map<string, Row>, columns: string[], setCell: SetCell): HTMLElement {
  const table = element("table", "sheet");
  const head = element("thead");
  const names = element("tr");
  names.append(element("td"), ...columns.map((column) => scoped(text("th", words(column) || "grade"), "col")));
  head.append(names);
  const body = element("tbody");
  for (const [place, cells] of rows) {
    const row = element("tr");
    row.append(scoped(text("th", words(place)), "row"));
    for (const column of columns) {
      const at = element("td");
      const cell = cells.find(([name]) => name === column)?.[1];
      if (cell) at.append(cellButton(score, cell, setCell));
      row.append(at);
    }
    body.append(row);
  }
  table.append(head, body);
  return table;
}

function cellButton(score: Score, cell: Cell, setCell: SetCell, caption = ""): HTMLElement {
  const button = element("button", "cell");
  button.dataset["cell"] = `${score.id}/${cell.id}`;
  if (caption) button.append(text("small", words(caption).replace("slice", "")));
  button.append(cell.value === null ? "–" : String(cell.value));
  button.setAttribute("aria-label", `${words(cell.id)}: ${cell.value ?? "not graded"}`);
  button.classList.toggle("on", (cell.value ?? 0) > 0);
  button.classList.toggle("mine", Boolean(cell.by));
  button.title = `${words(cell.id)}: ${cell.by ? `set by ${cell.by}` : cell.reason || "estimated"}`;
  const highest = cell.highest ?? 0; // none: a volume, which no click sets
  button.toggleAttribute("disabled", highest === 0);
  button.addEventListener("click", () => {
    const next = cell.value === null ? 0 : (cell.value + 1) % (highest + 1);
    setCell(`${score.id}/${cell.id}`, next);
  });
  return button;
}

/** Place and column of a cell's id: what follows the last dot is the column. */
function placed(id: string): [string, string] {
  const at = id.lastIndexOf(".");
  return at < 0 ? [id, ""] : [id.slice(0, at), id.slice(at + 1)];
}

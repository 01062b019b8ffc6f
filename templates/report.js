/* Sorting and filtering of tables. Without it every row is shown, in the order of the report. */
"use strict";
(() => {
  const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

  const key = (row, column) => {
    const cell = row.cells[column];
    if (cell.classList.contains("undefined")) return null;
    if (cell.dataset.v !== undefined) return Number(cell.dataset.v);
    const text = cell.textContent.trim();
    return text === "–" || text === "" ? null : text;
  };

  const compare = (a, b) =>
    typeof a === "number" && typeof b === "number" ? a - b : collator.compare(String(a), String(b));

  /* Cells without a value stay at the end in both directions. */
  const sort = (table, head, column) => {
    const down = head.getAttribute("aria-sort") === "ascending";
    const sign = down ? -1 : 1;
    const body = table.tBodies[0];
    const rows = Array.from(body.rows, (row, place) => ({ row, place, value: key(row, column) }));
    rows.sort((a, b) => {
      if (a.value === null || b.value === null) {
        return (a.value === null) - (b.value === null) || a.place - b.place;
      }
      return sign * compare(a.value, b.value) || a.place - b.place;
    });
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    body.append(...rows.map((item) => item.row));
  };

  const sortable = (table) => {
    Array.from(table.tHead.rows[0].cells).forEach((head, column) => {
      if (head.classList.contains("plot")) return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => sort(table, head, column));
    });
  };

  const filterable = (table, number) => {
    const rows = Array.from(table.tBodies[0].rows);
    const box = document.createElement("div");
    const label = document.createElement("label");
    const input = document.createElement("input");
    const said = document.createElement("span");
    box.className = "filter";
    input.type = "search";
    input.id = "filter-" + number;
    label.htmlFor = input.id;
    label.textContent = "Filter rows";
    said.setAttribute("role", "status");
    box.append(label, input, said);
    input.addEventListener("input", () => {
      const wanted = input.value.trim().toLowerCase();
      let shown = 0;
      for (const row of rows) {
        row.hidden = wanted !== "" && !row.textContent.toLowerCase().includes(wanted);
        if (!row.hidden) shown += 1;
      }
      said.textContent = wanted === "" ? "" : shown + " of " + rows.length + " rows shown";
    });
    const frame = table.closest(".scroller");
    frame.parentNode.insertBefore(box, frame);
  };

  /* A frame that does not scroll needs no stop on the way of the keyboard. */
  const stops = () =>
    document.querySelectorAll(".scroller").forEach((frame) => {
      if (frame.scrollWidth > frame.clientWidth + 1) frame.setAttribute("tabindex", "0");
      else frame.removeAttribute("tabindex");
    });

  document.querySelectorAll("table.list, table.forest, table.gaps").forEach((table, number) => {
    const rows = table.tBodies[0].rows.length;
    if (rows > 1) sortable(table);
    if (rows > 12) filterable(table, number);
  });
  stops();
  window.addEventListener("resize", stops);
})();

// Headings of tables sort: upwards, downwards, and as it was. Numbers by size, words by the alphabet, what is missing last.
{
  const units = { ms: 1e-3, s: 1, min: 60, h: 3600, B: 1, kB: 1e3, MB: 1e6, GB: 1e9 };
  const part = /([+-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?)(?:\s*(ms|s|min|h|B|kB|MB|GB)(?![\p{L}]))?/gu;

  // "1 min 16 s" is 76, "−0.066" with its interval below is -0.066, "12/12" is 12, "< 0.0001" is less than that.
  function amount(text) {
    const plain = text.trim().replaceAll("\u2212", "-");
    if (!/^[<+-]?\s*\d/.test(plain)) return null;
    let sum = null;
    for (const [, digits, unit] of plain.matchAll(part)) {
      if (sum !== null && !unit) break;
      sum = (sum ?? 0) + Number(digits.replaceAll(",", "")) * (unit ? units[unit] : 1);
      if (!unit) break;
    }
    return sum !== null && plain.startsWith("<") ? sum / 2 : sum;
  }

  function value(cell) {
    const first = (cell.childNodes.length ? cell : { childNodes: [] });
    let text = "";
    for (const node of first.childNodes) {
      if (node.nodeName === "BR" || node.nodeName === "SMALL") break;
      text += node.textContent;
    }
    text = text.trim();
    return { amount: amount(text), text, missing: text === "" || text === "–" };
  }

  function order(a, b, sign) {
    if (a.missing || b.missing) return a.missing - b.missing;
    if (a.amount !== null && b.amount !== null) return sign * (a.amount - b.amount);
    if ((a.amount === null) !== (b.amount === null)) return a.amount === null ? 1 : -1;
    return sign * a.text.localeCompare(b.text, undefined, { numeric: true });
  }

  // The column that a heading is above, where headings above span several.
  function columns(head) {
    const taken = [];
    const places = new Map();
    [...head.rows].forEach((row, y) => {
      let x = 0;
      for (const cell of row.cells) {
        while (taken[y]?.[x]) x += 1;
        for (let dy = 0; dy < cell.rowSpan; dy += 1) {
          taken[y + dy] ??= [];
          for (let dx = 0; dx < cell.colSpan; dx += 1) taken[y + dy][x + dx] = true;
        }
        if (cell.scope === "col") places.set(cell, x);
        x += cell.colSpan;
      }
    });
    return places;
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    if (rows.length < 2) continue;
    const places = columns(table.tHead);
    for (const [heading, column] of places) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.title = "sort by this column";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => {
        const next = { ascending: "descending", descending: null }[heading.getAttribute("aria-sort")];
        const wanted = next === undefined ? "ascending" : next;
        for (const other of places.keys()) other.removeAttribute("aria-sort");
        if (wanted) heading.setAttribute("aria-sort", wanted);
        const sign = wanted === "descending" ? -1 : 1;
        const sorted = wanted ? [...rows].sort((a, b) => order(value(a.cells[column]), value(b.cells[column]), sign)) : rows;
        body.append(...sorted);
      });
    }
  }
}
